"""The parts of a request, as API Gateway hands it over."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, NamedTuple

from dropzone.domain.body import NotJsonError

Event = Mapping[str, Any]
"""A request, as API Gateway hands it over."""


def gateway_context(event: Event) -> Mapping[str, Any]:
    """What API Gateway says of the request; empty for a test event of the console."""
    return event.get("requestContext") or {}


def request_id(event: Event) -> str:
    """API Gateway's id of the request, which is in the logs, the object's metadata and problems."""
    return str(gateway_context(event).get("requestId") or "")


def header(event: Event, name: str) -> str | None:
    """A header of a request, by its name in any case; repeated ones joined."""
    lines = event.get("multiValueHeaders") or {key: [value] for key, value in (event.get("headers") or {}).items()}
    values = [value for key, found in lines.items() if key.lower() == name.lower() for value in found]
    return ", ".join(values) if values else None


class Preference(NamedTuple):
    """An entry of Accept or Accept-Encoding."""

    name: str
    parameters: Mapping[str, str]
    weight: float
    """1 without a weight; 0 with one that is no number."""


def preferences(header: str) -> list[Preference]:
    """The entries of such a header (RFC 9110, section 12.4), in lower case."""
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
        NotJsonError: the event says base64, and it is not.
    """
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        # A lone surrogate in the event's JSON becomes invalid UTF-8, which the parser refuses.
        return str(body).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotJsonError("the event's body is not base64") from error
