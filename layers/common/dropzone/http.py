"""What the functions behind the API share, whatever routes a request: its parts, and how an answer goes."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger

from dropzone import problems
from dropzone.answers import Answer
from dropzone.compression import compressed, vary
from dropzone.domain.json_text import NotJsonError
from dropzone.observability import log_unexpected
from dropzone.ports import BronzeUnavailableError, SilverConflictError, SilverUnavailableError
from dropzone.problems import InvalidRequestError, problem

RETRY_AFTER_SECONDS = 5

_EXPOSED = "Content-Disposition, ETag, Idempotent-Replayed, Link, Location, Retry-After"

Event = Mapping[str, Any]
"""A request, as API Gateway hands it over."""


def request_id(event: Event) -> str:
    """The id that API Gateway gave the request: what the logs, the object and the problems know it by."""
    return str((event.get("requestContext") or {}).get("requestId") or "")


def body_bytes(event: Event) -> bytes:
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


def not_found(event: Event) -> Answer:
    """What a request for something else gets."""
    return problem(problems.NOT_FOUND, "There is no such path or method here.", request_id=request_id(event))


def failed(error: Exception, event: Event, logger: Logger) -> Answer:
    """What a request gets that met an error which any may meet, or one that nobody foresaw; our own are logged."""
    match error:
        case NotJsonError():
            return problem(problems.NOT_JSON, f"The body is not JSON: {error}.", request_id=request_id(event))
        case InvalidRequestError():
            return problem(
                problems.INVALID_REQUEST,
                "The parameters are not what this call takes: see what is wrong with each.",
                request_id=request_id(event),
                violations=error.broken,
            )
        case BronzeUnavailableError() | SilverUnavailableError() | SilverConflictError():
            logger.error("a part that the request needs is out of reach", error=type(error).__name__, reason=str(error))
            return problem(
                problems.UNAVAILABLE,
                "A part of the service is out of reach for the moment. It is safe to send the request again.",
                request_id=request_id(event),
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
    log_unexpected(logger, error)
    return problem(
        problems.INTERNAL_ERROR,
        "Something went wrong here. It is safe to send the request again; if it stays, report the request_id.",
        request_id=request_id(event),
    )


def proxy_result(answer: Answer, event: Event, cors_origin: str | None) -> dict[str, Any]:
    """An answer, as API Gateway takes it."""
    headers = {"Content-Type": [answer.content_type], **{name: [value] for name, value in answer.headers.items()}}
    result = {
        "statusCode": answer.status.value,
        "body": answer.body,
        "isBase64Encoded": False,
        "multiValueHeaders": headers,
    }
    return finished(result, event, cors_origin)


def finished(result: dict[str, Any], event: Event, cors_origin: str | None) -> dict[str, Any]:
    """What every result passes: compressed where the client accepts it, and readable by pages of the one origin."""
    result = compressed(result, header(event, "Accept-Encoding"))
    if cors_origin is None:
        return result
    headers = vary(result["multiValueHeaders"], "Origin") | {
        "Access-Control-Allow-Origin": [cors_origin],
        "Access-Control-Expose-Headers": [_EXPOSED],
    }
    return result | {"multiValueHeaders": headers}


def header(event: Event, name: str) -> str | None:
    """A header of a request, whatever the case of its name; lines of one name together."""
    lines = event.get("multiValueHeaders") or {key: [value] for key, value in (event.get("headers") or {}).items()}
    values = [value for key, found in lines.items() if key.lower() == name.lower() for value in found]
    return ", ".join(values) if values else None
