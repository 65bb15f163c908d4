"""Powertools' resolver, with the responses that all functions share.

Ingest doesn't use it: importing the event handler takes nearly as long as the rest of its start (docs/adr/0013).
"""

import base64
from collections.abc import Callable, Mapping
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

from dropzone.api import gateway, problems
from dropzone.api.access import Authorizer
from dropzone.api.pages import Listing
from dropzone.api.parameters import Request, invalid_request, unknown_parameter
from dropzone.api.problems import ProblemError, ProblemType
from dropzone.domain.access import PUBLIC, Access, Scope


@dataclass(frozen=True, slots=True)
class Body:
    """What the body of a request may be: a text, and models by media type."""

    text: str
    kinds: Mapping[str, tuple[type[BaseModel], ...]]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Described:
    """What a route's declaration says beside its types and its docstring: a decorator of its function.

    All but its scopes is for the API's document, and costs nothing at run time.
    """

    scopes: frozenset[Scope]
    """Each of which opens it; none if it needs no key."""
    problems: tuple[ProblemType, ...] = ()
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

    def __call__[F: Callable[..., Any]](self, function: F) -> F:
        DESCRIBED[function] = self
        return function


DESCRIBED: dict[Callable[..., Any], Described] = {}
"""By the function of a route."""


def check_scopes(app: APIGatewayRestResolver) -> None:
    """Refuse a route that doesn't declare which scopes open it.

    Raises:
        LookupError: naming the route.
    """
    for route in app._static_routes + app._dynamic_routes:  # noqa: SLF001 - Powertools offers no other way to them
        if route.func not in DESCRIBED:
            raise LookupError(f"{route.method} {route.path}: add @Described(scopes), with PUBLIC if it needs no key")


def make_app(logger: Logger, authorizer: Callable[[], Authorizer] | None = None) -> APIGatewayRestResolver:
    """A resolver that validates, and answers unknown routes, and the errors that any route may meet, with problems.

    Without an authorizer, only public routes are answered.
    """
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

    def authorize() -> None:
        described = DESCRIBED.get(app.context["_route"].func)
        if described is None:
            # Powertools' own route for unknown paths, or one that nobody described: it opens for nobody.
            raise ProblemError(problems.NO_SUCH_PATH)
        scopes = described.scopes
        if scopes == PUBLIC:
            return
        if authorizer is None:
            raise TypeError("the function has no authorizer, and a route that needs one")
        # Ingest, which has no resolver, says as much when it accepts or refuses.
        app.context["access"] = authorizer().authorize(app.current_event.raw_event, scopes, logger)
        logger.info("allowed", opened_by=sorted(scopes))

    def authorized(_: APIGatewayRestResolver, following: Callable[[APIGatewayRestResolver], Any]) -> Any:  # noqa: ANN401 - whatever follows gives
        authorize()
        return following(app)

    @app.exception_handler(RequestValidationError)
    def _invalid(error: RequestValidationError) -> Response[Any]:
        # Powertools validates before any middleware: only those who may ask learn what parameters are expected.
        try:
            authorize()
        except Exception as refusal:  # noqa: BLE001 - as of any other request
            return failed(refusal)
        # A parameter's place begins with what it is part of (path, query), and with the name of the model that has it.
        found = [entry | {"loc": entry["loc"][2:] or entry["loc"][1:]} for entry in error.errors()]
        return failed(invalid_request([*found, *_unknown(app)]))

    app.exception_handler([Exception])(failed)
    app.use([authorized, _refuse_unknown])
    return app


def access_of(app: APIGatewayRestResolver) -> Access:
    """What the current request may do."""
    found: Access = app.context["access"]
    return found


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
    """Answer a request, HEAD as GET without the body; see `gateway.finished`."""
    if event.get("httpMethod") != "HEAD":
        return gateway.finished(app.resolve(event, context), event, cors_origin)
    result = gateway.finished(app.resolve({**event, "httpMethod": "GET"}, context), event, cors_origin)
    return result | {"body": "", "isBase64Encoded": False}


def problem(app: APIGatewayRestResolver, problem_type: ProblemType) -> Response[Any]:
    """A problem's response; see `problems.problem`."""
    return converted(problems.problem(problem_type, app.current_event.raw_event))


def converted(ours: gateway.Response) -> Response[Any]:
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
