"""Powertools' resolver, with the answers that all functions share.

Ingest does without: to import the event handler takes nearly as long as the rest of its start (docs/adr/0013).
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropzone import answers, http, problems
from dropzone.answers import Answer
from dropzone.problems import Broken, Kind


def make_app(logger: Logger) -> APIGatewayRestResolver:
    """A resolver that answers what no route foresaw, and the errors that any route may meet, with problems."""
    app = APIGatewayRestResolver()

    @app.not_found
    def _not_found(_: NotFoundError) -> Response[Any]:
        return _response(http.not_found(app.current_event.raw_event))

    @app.exception_handler([Exception])
    def _failed(error: Exception) -> Response[Any]:
        return _response(http.failed(error, app.current_event.raw_event, logger))

    return app


def resolve(
    app: APIGatewayRestResolver, event: dict[str, Any], context: LambdaContext, cors_origin: str | None
) -> dict[str, Any]:
    """Answer a request; see `http.finished`."""
    return http.finished(app.resolve(event, context), event, cors_origin)


def answer(status: HTTPStatus, body: object) -> Response[Any]:
    """An answer in JSON."""
    return _response(answers.answer(status, body))


def problem(kind: Kind, detail: str, *, request_id: str, violations: Iterable[Broken] = ()) -> Response[Any]:
    """A problem's answer; see `problems.problem`."""
    return _response(problems.problem(kind, detail, request_id=request_id, violations=violations))


def request_id(app: APIGatewayRestResolver) -> str:
    """The id that API Gateway gave the request that the resolver is at."""
    return http.request_id(app.current_event.raw_event)


def _response(answer: Answer) -> Response[Any]:
    return Response(
        status_code=answer.status.value,
        content_type=answer.content_type,
        body=answer.body,
        headers=dict(answer.headers),
    )
