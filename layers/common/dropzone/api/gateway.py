"""Requests and responses in API Gateway's format.

Responses are compressed here for clients that accept it (RFC 9110, section 12.5.3). Not by API Gateway: it would also
decompress requests, but bodies are stored as they were sent.
"""

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple

from pydantic_core import to_json

from dropzone.domain.body import NotJsonError

MIN_BYTES = 1_024
"""The minimum size of a body to compress, in bytes: a smaller one fits into one packet anyway."""

_LEVEL = 5
"""The compression level: within 2 % of the default level's size, in three quarters of its time."""

_GZIP = zlib.MAX_WBITS | 16

_EXPOSED = "Content-Disposition, Dropzone-Archived, ETag, Idempotent-Replayed, Link, Location, Retry-After"

Event = Mapping[str, Any]
"""A request as API Gateway passes it to a function."""


def gateway_context(event: Event) -> Mapping[str, Any]:
    """API Gateway's context of the request; empty for a test event of the console."""
    return event.get("requestContext") or {}


def request_id(event: Event) -> str:
    """API Gateway's identifier of the request, which appears in logs, in the object's metadata, and in problems."""
    return str(gateway_context(event).get("requestId") or "")


def header(event: Event, name: str) -> str | None:
    """A header of a request, by its case-insensitive name; repeated ones are joined."""
    lines = event.get("multiValueHeaders") or {key: [value] for key, value in (event.get("headers") or {}).items()}
    values = [value for key, found in lines.items() if key.lower() == name.lower() for value in found]
    return ", ".join(values) if values else None


class Preference(NamedTuple):
    """An entry of Accept or Accept-Encoding."""

    name: str
    parameters: Mapping[str, str]
    weight: float
    """The value of `q`, from 0 to 1: 1 if there is none, and 0 if it is not a number."""


def preferences(header: str) -> list[Preference]:
    """The entries of Accept or Accept-Encoding (RFC 9110, section 12.4), in lower case."""
    found = []
    for entry in header.lower().split(","):
        name, *parts = (part.strip() for part in entry.split(";"))
        pairs = (part.partition("=") for part in parts)
        parameters = {key.strip(): value.strip().strip('"') for key, _, value in pairs}
        try:
            weight = min(max(float(parameters.pop("q", "1")), 0.0), 1.0)
        except ValueError:
            weight = 0.0
        found.append(Preference(name, parameters, weight))
    return found


def body_bytes(event: Event) -> bytes:
    """The bytes of a request's body, as the client sent them.

    API Gateway encodes every body in base64, since all media types are declared binary. Other callers, such as a test
    event of the console, may pass text.

    Raises:
        NotJsonError: the event is marked as base64, but the body isn't.
    """
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        # A lone surrogate in the event's JSON becomes invalid UTF-8, which the parser rejects.
        return str(body).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotJsonError("the event's body is not base64") from error


@dataclass(frozen=True, slots=True)
class Response:
    """Status, body and headers."""

    status: HTTPStatus
    content_type: str
    body: str | bytes
    """Text, or bytes, which are sent unchanged (through Lambda in base64)."""
    headers: Mapping[str, str]


def json_response(status: HTTPStatus, body: object, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, "application/json", to_json(body).decode(), headers or {})


def milliseconds(instant: datetime) -> str:
    """An instant in UTC as RFC 3339, to the millisecond, which is the resolution of a raw_id."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def proxy_result(response: Response, event: Event, cors_origin: str | None) -> dict[str, Any]:
    """A response in API Gateway's format; see `finished`."""
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
    """Measures the size of rows in gzip, and in base64 as in Lambda's responses."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(_LEVEL, wbits=_GZIP)
        self._bytes = 0

    def size_with(self, row: str) -> int:
        """The size with one more row, not counting what the compressor still buffers: at most 100 kB."""
        self._bytes += len(self._stream.compress(row.encode()))
        return self._bytes * 4 // 3


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether a client accepts gzip, and doesn't prefer an uncompressed response."""
    weights = {each.name: each.weight for each in preferences(accept_encoding or "")}
    gzip = max((weights[name] for name in ("gzip", "x-gzip") if name in weights), default=weights.get("*", 0.0))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def compressed(result: dict[str, Any], accept_encoding: str | None) -> dict[str, Any]:
    """A result for API Gateway, with its body compressed if the client accepts it and the body is large enough.

    Bodies in base64 are stored bytes, and left unchanged. ETags must be weak, since one covers both forms.
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
    """The headers with `name` added to Vary."""
    return {**headers, "Vary": [", ".join([*headers.get("Vary", []), name])]}
