"""Powertools' resolver, with the responses that all functions share.

Ingest doesn't use it: importing the event handler takes nearly as long as the rest of its start (docs/adr/0013).
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel
from pydantic_core import to_json

from dropzone.api import problems, response
from dropzone.api.pages import Listing
from dropzone.api.parameters import Request, invalid_request, unknown_parameter
from dropzone.api.problems import FieldError, ProblemType


@dataclass(frozen=True, slots=True)
class Body:
    """What the body of a request may be: a text, and models by media type."""

    text: str
    kinds: Mapping[str, tuple[type[BaseModel], ...]]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Described:
    """What the API's document says of a route beside its types and its docstring: it costs nothing at run time."""

    problems: tuple[ProblemType, ...]
    """Those that it answers, but for what any route may."""
    listing: Listing[Any] | None = None
    """It answers a page of this list."""
    answer: type | None = None
    """What it answers in JSON, where its function returns bytes."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """What it answers in other media types, with an example of each."""
    headers: tuple[str, ...] = ()
    """Those of its answer."""
    body: Body | None = None
    query: type[Request] | None = None
    """What it reads of the query by itself."""


DESCRIBED: dict[Callable[..., Any], Described] = {}
"""By the function of a route."""


def described[F: Callable[..., Any]](
    *kinds: ProblemType,
    listing: Listing[Any] | None = None,
    answer: type | None = None,
    texts: Mapping[str, str] | None = None,
    headers: tuple[str, ...] = (),
    body: Body | None = None,
    query: type[Request] | None = None,
) -> Callable[[F], F]:
    """Describe the function of a route."""

    def describe(function: F) -> F:
        DESCRIBED[function] = Described(kinds, listing, answer, texts or {}, headers, body, query)
        return function

    return describe


def make_app(logger: Logger) -> APIGatewayRestResolver:
    """A resolver that validates, and answers unknown routes, and the errors that any route may meet, with problems."""
    app = APIGatewayRestResolver(
        enable_validation=True,
        serializer=lambda body: to_json(body).decode(),
        response_validation_error_http_code=HTTPStatus.INTERNAL_SERVER_ERROR,
    )

    def failed(error: Exception) -> Response[Any]:
        return converted(problems.problem_of(error, app.current_event.raw_event, logger))

    @app.not_found
    def _not_found(_: NotFoundError) -> Response[Any]:
        return problem(app, problems.NO_SUCH_PATH)

    @app.exception_handler(RequestValidationError)
    def _invalid(error: RequestValidationError) -> Response[Any]:
        # A parameter's place begins with what it is part of (path, query), and with the name of the model that has it.
        found = [entry | {"loc": entry["loc"][2:] or entry["loc"][1:]} for entry in error.errors()]
        return failed(invalid_request([*found, *_unknown(app)]))

    app.exception_handler([Exception])(failed)
    app.use([_refuse_unknown])
    return app


def _refuse_unknown(app: APIGatewayRestResolver, following: Callable[[APIGatewayRestResolver], Any]) -> Any:  # noqa: ANN401 - whatever follows gives
    """Refuse parameters that the route doesn't declare: Powertools leaves them out."""
    if unknown := _unknown(app):
        raise invalid_request(unknown)
    return following(app)


def _unknown(app: APIGatewayRestResolver) -> list[dict[str, Any]]:
    """The parameters of the query that its model doesn't declare."""
    models = [field.type_ for field in app.context["_route"].dependant.query_params]
    known = {field.alias or name for model in models for name, field in model.model_fields.items()}
    sent = app.current_event.query_string_parameters or {}
    return [unknown_parameter(name) for name in sent if models and name not in known]


def resolve(
    app: APIGatewayRestResolver, event: dict[str, Any], context: LambdaContext, cors_origin: str | None
) -> dict[str, Any]:
    """Answer a request, HEAD as GET without the body; see `response.finished`."""
    if event.get("httpMethod") != "HEAD":
        return response.finished(app.resolve(event, context), event, cors_origin)
    result = response.finished(app.resolve({**event, "httpMethod": "GET"}, context), event, cors_origin)
    return result | {"body": "", "isBase64Encoded": False}


def json_response(status: HTTPStatus, body: object) -> Response[Any]:
    """A response in JSON."""
    return converted(response.json_response(status, body))


def problem(
    app: APIGatewayRestResolver,
    problem_type: ProblemType,
    *,
    reason: str = "",
    violations: Iterable[FieldError] = (),
) -> Response[Any]:
    """A problem's response; see `problems.problem`."""
    event = app.current_event.raw_event
    return converted(problems.problem(problem_type, event, reason=reason, violations=violations))


def converted(ours: response.Response) -> Response[Any]:
    """A response, as Powertools has it."""
    body = ours.body
    found: Response[Any] = Response(
        status_code=ours.status.value,
        content_type=ours.content_type or None,
        body=base64.b64encode(body).decode() if isinstance(body, bytes) else body,
        headers=dict(ours.headers),
    )
    # Powertools would take bytes in JSON for a value that it has to write.
    found.base64_encoded = isinstance(body, bytes)
    return found
