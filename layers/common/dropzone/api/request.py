"""The parts of a request, as API Gateway hands it over."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from dropzone.domain.json_text import NotJsonError

Event = Mapping[str, Any]
"""A request, as API Gateway hands it over."""


def request_id(event: Event) -> str:
    """The id that API Gateway gave the request: the logs, the object and the problems have it."""
    return str((event.get("requestContext") or {}).get("requestId") or "")


def header(event: Event, name: str) -> str | None:
    """A header of a request, whatever the case of its name; lines of one name together."""
    lines = event.get("multiValueHeaders") or {key: [value] for key, value in (event.get("headers") or {}).items()}
    values = [value for key, found in lines.items() if key.lower() == name.lower() for value in found]
    return ", ".join(values) if values else None


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
