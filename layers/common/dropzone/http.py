"""What the functions behind the API share: the resolver with its problems, and a request's bytes."""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic_core import to_json

from dropzone import problems
from dropzone.domain.json_text import NotJsonError
from dropzone.observability import log_unexpected
from dropzone.ports import BronzeUnavailableError, SilverConflictError, SilverUnavailableError
from dropzone.problems import InvalidRequestError, problem

RETRY_AFTER_SECONDS = 5


def make_app(logger: Logger) -> APIGatewayRestResolver:
    """A resolver that answers what no route foresaw, and the errors that any route may meet, with problems."""
    app = APIGatewayRestResolver()

    @app.not_found
    def _not_found(_: NotFoundError) -> Response[Any]:
        return problem(problems.NOT_FOUND, "There is no such path or method here.", request_id=request_id(app))

    @app.exception_handler(NotJsonError)
    def _not_json(error: NotJsonError) -> Response[Any]:
        return problem(problems.NOT_JSON, f"The body is not JSON: {error}.", request_id=request_id(app))

    @app.exception_handler(InvalidRequestError)
    def _invalid_request(error: InvalidRequestError) -> Response[Any]:
        return problem(
            problems.INVALID_REQUEST,
            "The parameters are not what this call takes: see what is wrong with each.",
            request_id=request_id(app),
            violations=error.broken,
        )

    @app.exception_handler([BronzeUnavailableError, SilverUnavailableError, SilverConflictError])
    def _unavailable(error: Exception) -> Response[Any]:
        logger.error("a part that the request needs is out of reach", error=type(error).__name__, reason=str(error))
        return problem(
            problems.UNAVAILABLE,
            "A part of the service is out of reach for the moment. It is safe to send the request again.",
            request_id=request_id(app),
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )

    @app.exception_handler(Exception)
    def _unexpected(error: Exception) -> Response[Any]:
        log_unexpected(logger, error)
        return problem(
            problems.INTERNAL_ERROR,
            "Something went wrong here. It is safe to send the request again; if it stays, report the request_id.",
            request_id=request_id(app),
        )

    return app


def resolve(
    app: APIGatewayRestResolver, event: dict[str, Any], context: LambdaContext, cors_origin: str | None
) -> dict[str, Any]:
    """Answer a request; pages of one origin may read the answer, where there is such an origin."""
    result = app.resolve(event, context)
    if cors_origin is not None:
        headers = result["multiValueHeaders"]
        headers |= {
            "Access-Control-Allow-Origin": [cors_origin],
            "Access-Control-Expose-Headers": [
                "Content-Disposition, ETag, Idempotent-Replayed, Link, Location, Retry-After"
            ],
            "Vary": [", ".join([*headers.get("Vary", []), "Origin"])],
        }
    return result


def request_id(app: APIGatewayRestResolver) -> str:
    """The id that API Gateway gave the request: what the logs, the object and the problems know it by."""
    context = app.current_event.get("requestContext") or {}
    return str(context.get("requestId") or "")


def answer(status: HTTPStatus, body: object, headers: Mapping[str, str] | None = None) -> Response[Any]:
    """An answer in JSON."""
    return Response(
        status_code=status.value,
        content_type="application/json",
        body=to_json(body).decode(),
        headers=dict(headers or {}),
    )


def milliseconds(instant: datetime) -> str:
    """An instant in UTC, RFC 3339, to the millisecond, which is what an identifier knows of its arrival."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def body_bytes(event: Mapping[str, Any]) -> bytes:
    """The bytes of a request's body, as the client sent them.

    API Gateway hands every body over in base64, since every media type counts as binary there; other callers, such as
    a test event of the console, may hand over text.

    Raises:
        NotJsonError: the event says base64, and it is not.
    """
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        # A lone surrogate of the event's own JSON stays what it is: no UTF-8, for the parser to refuse.
        return str(body).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        message = "the event's body is not base64"
        raise NotJsonError(message) from error
