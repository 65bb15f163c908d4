"""Powertools' resolver, with the responses that all functions share.

Ingest doesn't use it: importing the event handler takes nearly as long as the rest of its start (docs/adr/0013).
"""

import base64
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropzone.api import problems, response
from dropzone.api.problems import FieldError, ProblemType


def make_app(logger: Logger) -> APIGatewayRestResolver:
    """A resolver that answers unknown routes, and the errors that any route may meet, with problems."""
    app = APIGatewayRestResolver()

    @app.not_found
    def _not_found(_: NotFoundError) -> Response[Any]:
        return problem(app, problems.NO_SUCH_PATH)

    @app.exception_handler([Exception])
    def _failed(error: Exception) -> Response[Any]:
        return converted(problems.problem_of(error, app.current_event.raw_event, logger))

    return app


def resolve(
    app: APIGatewayRestResolver, event: dict[str, Any], context: LambdaContext, cors_origin: str | None
) -> dict[str, Any]:
    """Answer a request; see `response.finished`."""
    return response.finished(app.resolve(event, context), event, cors_origin)


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
