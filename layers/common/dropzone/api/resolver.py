"""Powertools' resolver, with responses common to all functions.

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
    """What the body of a request may be: a description, and models by media type."""

    text: str
    kinds: Mapping[str, tuple[type[BaseModel], ...]]
    required: bool = False


@dataclass(frozen=True, slots=True)
class Described:
    """A decorator of a route's function, for what its types and docstring don't declare.

    Everything but the scopes is only for the API document, and costs nothing at run time.
    """

    scopes: frozenset[Scope]
    """The scopes that open the route, any of which is enough; empty if it needs no key."""
    problems: tuple[ProblemType, ...] = ()
    """The problems that it may answer with, besides those of all routes."""
    listing: Listing[Any] | None = None
    """The list that it answers a page of."""
    answer: type | None = None
    """The type of its JSON answer, if its function returns bytes."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Other media types of its answer, with an example of each."""
    headers: tuple[str, ...] = ()
    """The headers of its answer."""
    body: Body | None = None
    query: type[Request] | None = None
    """The parameters that it reads from the query itself."""

    def __call__[F: Callable[..., Any]](self, function: F) -> F:
        DESCRIBED[function] = self
        return function


DESCRIBED: dict[Callable[..., Any], Described] = {}
"""The descriptions by the function of a route."""


def check_scopes(app: APIGatewayRestResolver) -> None:
    """Check that every route declares its scopes.

    Raises:
        LookupError: a route doesn't; the message names it.
    """
    for route in app._static_routes + app._dynamic_routes:  # noqa: SLF001 - Powertools offers no other way to them
        if route.func not in DESCRIBED:
            raise LookupError(f"{route.method} {route.path}: add @Described(scopes), with PUBLIC if it needs no key")


def make_app(logger: Logger, authorizer: Callable[[], Authorizer] | None = None) -> APIGatewayRestResolver:
    """A validating resolver that answers unknown routes, and errors that any route may raise, with problems.

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
            # Powertools' own route for unknown paths, or a route without a description, which nobody may call.
            raise ProblemError(problems.NO_SUCH_PATH)
        scopes = described.scopes
        if scopes == PUBLIC:
            return
        if authorizer is None:
            raise TypeError("the function has no authorizer, and a route that needs one")
        # Ingest, which has no resolver, logs this when it accepts or rejects a request.
        app.context["access"] = authorizer().authorize(app.current_event.raw_event, scopes, logger)
        logger.info("allowed", opened_by=sorted(scopes))

    def authorized(_: APIGatewayRestResolver, following: Callable[[APIGatewayRestResolver], Any]) -> Any:  # noqa: ANN401 - whatever follows gives
        authorize()
        return following(app)

    @app.exception_handler(RequestValidationError)
    def _invalid(error: RequestValidationError) -> Response[Any]:
        # Powertools validates before any middleware. Only authorized callers may learn which parameters are expected.
        try:
            authorize()
        except Exception as refusal:  # noqa: BLE001 - as of any other request
            return failed(refusal)
        # A parameter's location starts with where it is (path, query), and with the name of its model.
        found = [entry | {"loc": entry["loc"][2:] or entry["loc"][1:]} for entry in error.errors()]
        return failed(invalid_request([*found, *_unknown(app)]))

    app.exception_handler([Exception])(failed)
    app.use([authorized, _refuse_unknown])
    return app


def access_of(app: APIGatewayRestResolver) -> Access:
    """The access of the current request."""
    found: Access = app.context["access"]
    return found


def _refuse_unknown(app: APIGatewayRestResolver, following: Callable[[APIGatewayRestResolver], Any]) -> Any:  # noqa: ANN401 - whatever follows gives
    """Reject parameters that the route doesn't declare: Powertools ignores them."""
    if unknown := _unknown(app):
        raise invalid_request(unknown)
    return following(app)


def _unknown(app: APIGatewayRestResolver) -> list[dict[str, Any]]:
    """Errors for the parameters in the query that its model doesn't declare."""
    models = [field.type_ for field in app.context["_route"].dependant.query_params]
    known = {field.alias or name for model in models for name, field in model.model_fields.items()}
    sent = app.current_event.query_string_parameters or {}
    return [unknown_parameter(name) for name in sent if models and name not in known]


def resolve(
    app: APIGatewayRestResolver, event: dict[str, Any], context: LambdaContext, cors_origin: str | None
) -> dict[str, Any]:
    """Answer a request; HEAD is answered like GET, without the body. See `gateway.finished`."""
    if event.get("httpMethod") != "HEAD":
        return gateway.finished(app.resolve(event, context), event, cors_origin)
    result = gateway.finished(app.resolve({**event, "httpMethod": "GET"}, context), event, cors_origin)
    return result | {"body": "", "isBase64Encoded": False}


def problem(app: APIGatewayRestResolver, problem_type: ProblemType) -> Response[Any]:
    """A problem's response; see `problems.problem`."""
    return converted(problems.problem(problem_type, app.current_event.raw_event))


def converted(ours: gateway.Response) -> Response[Any]:
    """Our response as one of Powertools."""
    body = ours.body
    found: Response[Any] = Response(
        status_code=ours.status.value,
        content_type=ours.content_type or None,
        body=base64.b64encode(body).decode() if isinstance(body, bytes) else body,
        headers=dict(ours.headers),
    )
    # Powertools would serialize bytes with a JSON media type as a value.
    found.base64_encoded = isinstance(body, bytes)
    return found
