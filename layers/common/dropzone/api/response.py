"""Responses, independent of the router, and compressed for clients that accept it (RFC 9110, section 12.5.3).

Not by API Gateway: its compression would unpack requests as well, and bodies are stored as they were sent.
"""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from pydantic_core import to_json

from dropzone.api.request import Event, header, preferences

MIN_BYTES = 1_024
"""A smaller body fits into one packet as it is."""

_LEVEL = 5
"""Within 2 % of the default's size, in three quarters of its time."""

_GZIP = zlib.MAX_WBITS | 16

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


class Compressor:
    """Measures rows sent as gzip, in base64 as Lambda's answers have it."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(_LEVEL, wbits=_GZIP)
        self._bytes = 0

    def size_with(self, row: str) -> int:
        """The size with one more row, less what the compressor still holds back: 100 kB at most."""
        self._bytes += len(self._stream.compress(row.encode()))
        return self._bytes * 4 // 3


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether a client accepts gzip, and doesn't prefer its absence."""
    weights = {each.name: each.weight for each in preferences(accept_encoding or "")}
    gzip = max((weights[name] for name in ("gzip", "x-gzip") if name in weights), default=weights.get("*", 0.0))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def compressed(result: dict[str, Any], accept_encoding: str | None) -> dict[str, Any]:
    """A result for API Gateway, with its body compressed where the client accepts that and it is worth it.

    Bodies in base64 are stored bytes, and stay as they are. ETags must be weak, since one covers both forms.
    """
    if result["isBase64Encoded"]:
        return result
    headers = vary(result["multiValueHeaders"], "Accept-Encoding")
    body = str(result.get("body") or "").encode()
    if len(body) < MIN_BYTES or not accepts_gzip(accept_encoding):
        return result | {"multiValueHeaders": headers}
    return result | {
        "body": base64.b64encode(zlib.compress(body, _LEVEL, wbits=_GZIP)).decode(),
        "isBase64Encoded": True,
        "multiValueHeaders": headers | {"Content-Encoding": ["gzip"]},
    }


def vary(headers: Mapping[str, list[str]], name: str) -> dict[str, list[str]]:
    """Headers with `name` added to Vary."""
    return {**headers, "Vary": [", ".join([*headers.get("Vary", []), name])]}
