"""What a body holds: one event, or many, as lines (NDJSON) or in a JSON array."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dropzone.domain.json_text import NotJsonError, parse_json

JSON = "application/json"
NDJSON = "application/x-ndjson"

_JSON_TYPE = re.compile(r"application/(?:[a-z0-9!#$&^_.-]{1,100}\+)?json", re.ASCII)
_NDJSON_TYPES = frozenset({NDJSON, "application/ndjson", "application/jsonl", "application/x-jsonlines"})

_BLANK = b" \t\r"


def is_json(media_type: str) -> bool:
    """Whether the media type (in lower case, without parameters) is JSON, or one of its `+json` kinds."""
    return _JSON_TYPE.fullmatch(media_type) is not None


def is_ndjson(media_type: str) -> bool:
    """Whether the media type (in lower case, without parameters) is one of those that NDJSON goes by."""
    return media_type in _NDJSON_TYPES


def lines(body: bytes) -> Iterator[bytes]:
    """The lines of an NDJSON body that hold something. Each is an event's text, whatever is in it."""
    return (line for line in body.split(b"\n") if line.strip(_BLANK))


def texts_or_values(body: bytes, media_type: str) -> tuple[Sequence[Any], Callable[[Any], Any]]:
    """What an unpacked body holds, one of something for each event, and what makes a payload of it.

    A payload is a value of JSON, or the `NotJsonError` that its text leads to. A line that isn't JSON leaves the other
    lines as they are; a JSON text that isn't is one event that isn't. Lines are parsed only when they are needed.
    """
    if is_ndjson(media_type):
        return list(lines(body)), _parsed
    payload = _parsed(body)
    return payload if type(payload) is list else (payload,), lambda value: value


def _parsed(text: bytes) -> Any:  # noqa: ANN401 - JSON holds any of JSON's types
    try:
        return parse_json(text)
    except NotJsonError as error:
        return error
