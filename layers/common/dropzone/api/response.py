"""Responses, independent of the router."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from pydantic_core import to_json

from dropzone.api.compression import compressed, vary
from dropzone.api.request import Event, header

_EXPOSED = "Content-Disposition, Dropzone-Archived, ETag, Idempotent-Replayed, Link, Location, Retry-After"


@dataclass(frozen=True, slots=True)
class Response:
    """Status, body and headers."""

    status: HTTPStatus
    content_type: str
    body: str | bytes
    """Bytes go through Lambda in base64, as they are."""
    headers: Mapping[str, str]


def json_response(status: HTTPStatus, body: object, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, "application/json", to_json(body).decode(), headers or {})


def milliseconds(instant: datetime) -> str:
    """An instant in UTC, RFC 3339, to the millisecond, which is the resolution of a raw_id."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def proxy_result(response: Response, event: Event, cors_origin: str | None) -> dict[str, Any]:
    """A response in API Gateway's form."""
    headers = {"Content-Type": [response.content_type], **{name: [value] for name, value in response.headers.items()}}
    result = {
        "statusCode": response.status.value,
        "body": response.body,
        "isBase64Encoded": False,
        "multiValueHeaders": headers,
    }
    return finished(result, event, cors_origin)


def finished(result: dict[str, Any], event: Event, cors_origin: str | None) -> dict[str, Any]:
    """A result, compressed if the client accepts it, with the CORS headers of `cors_origin`."""
    result = compressed(result, header(event, "Accept-Encoding"))
    if cors_origin is None:
        return result
    headers = vary(result["multiValueHeaders"], "Origin") | {
        "Access-Control-Allow-Origin": [cors_origin],
        "Access-Control-Expose-Headers": [_EXPOSED],
    }
    return result | {"multiValueHeaders": headers}
