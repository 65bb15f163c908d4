"""Broken rules of a payload: the envelope that every event has, and the table from pydantic's errors to our codes."""

import math
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from dropzone.domain.body import NotJsonError
from dropzone.domain.outcomes import MAX_VIOLATIONS, Code, Violation

ROOT = "$"
"""The field of a violation that concerns the whole payload."""

CLIENT_REJECTED = "client_rejected"
"""The field of an element that reports lines without an event."""

_CODES: dict[tuple[str, str], Code] = {
    (ROOT, "model_type"): Code.NOT_OBJECT,
    ("time_stamp", "string_type"): Code.TIME_STAMP_NOT_STRING,
    ("data", "list_type"): Code.DATA_NOT_ARRAY,
    ("data", "too_short"): Code.DATA_EMPTY,
}
"""By field and pydantic's error type. Our validators raise the code itself as the type."""

_CODES_OF_FIELDS = {
    "source": Code.SOURCE_INVALID,
    "unit": Code.UNIT_INVALID,
    "tags": Code.TAGS_INVALID,
    "corrects": Code.CORRECTS_INVALID,
}
"""Fields with one code for all errors."""

_MESSAGES = {
    "missing": "is missing",
    "model_type": "is not a JSON object",
    "string_type": "is not a string",
    "string_too_short": "is empty",
    "string_too_long": "is longer than {max_length} characters",
    "string_pattern_mismatch": "holds control characters",
    "list_type": "is not an array",
    "dict_type": "is not an object",
    "int_type": "is not an integer",
    "greater_than_equal": "is below {ge}",
    "less_than_equal": "is above {le}",
    "too_short": "is empty: at least one number is needed",
    "too_long": "has {actual_length} entries: at most {max_length} are accepted",
}
"""By pydantic's error type, whose own messages name Python's types; placeholders are filled from its context."""

_NOT_RAW_ID = {("raw_id", "string_pattern_mismatch"): "is not a UUIDv7"}

_NUMBERS = frozenset({int, float})
_WORDS = {bool: "a boolean", str: "a string", type(None): "null", list: "an array", dict: "an object"}


class Envelope(BaseModel):
    """The shape that every version has. Ingest checks nothing else."""

    model_config = ConfigDict(strict=True)

    time_stamp: str
    data: list[Any]


def has_envelope(payload: object) -> bool:
    """Whether the payload may be an event of some version."""
    try:
        Envelope.model_validate(payload)
    except ValidationError:
        return False
    return True


class ClientRejectionEnvelope(BaseModel):
    """What ingest checks of lines that the client could not make an event of: that it names them."""

    model_config = ConfigDict(strict=True, defer_build=True)

    client_rejected: dict[str, Any]


def is_client_rejection(payload: object) -> bool:
    """Whether the payload reports lines that the client could not make an event of."""
    if type(payload) is not dict or CLIENT_REJECTED not in payload or "time_stamp" in payload:
        return False
    try:
        ClientRejectionEnvelope.model_validate(payload)
    except ValidationError:
        return False
    return True


def envelope_violations(payload: object) -> list[Violation]:
    """What the payload, a JSON value or why there is none, lacks of the envelope."""
    if isinstance(payload, NotJsonError):
        return [Violation(Code.NOT_JSON, ROOT, f"is not JSON: {payload}")]
    try:
        Envelope.model_validate(payload)
    except ValidationError as error:
        return violations_in(error, payload)
    return []


def violations_in(error: ValidationError, payload: Any) -> list[Violation]:  # noqa: ANN401 - what JSON held
    """The rules that a payload breaks, at most `MAX_VIOLATIONS`, each code once for a field."""
    found: dict[tuple[Code, str], Violation] = {}
    for reported in error.errors(include_url=False, include_input=False):
        for violation in _translate(reported, payload):
            found.setdefault((violation.code, violation.field), violation)
    return [*found.values()][:MAX_VIOLATIONS]


def _translate(reported: ErrorDetails, payload: Any) -> Iterator[Violation]:  # noqa: ANN401 - what JSON held
    field, *below = map(str, reported["loc"] or (ROOT,))
    kind = reported["type"]
    if kind in Code:
        yield Violation(Code(kind), field, reported["msg"])
    elif field == "data" and below:
        yield from _bad_samples(payload["data"])
    else:
        is_missing = kind == "missing" and not below
        code = Code.MISSING_FIELD if is_missing else _CODES_OF_FIELDS.get(field) or _CODES[field, kind]
        message = _MESSAGES[kind].format_map(reported.get("ctx", {}))
        if field == "corrects" and below:
            # Its names are our own.
            message = f"names no event: its {below[0]} {_NOT_RAW_ID.get((below[0], kind), message)}"
        elif below:
            message = f"has a {'name' if below[-1] == '[key]' else 'value'} that {message}"
        yield Violation(code, field, message)


def _bad_samples(data: list[Any]) -> Iterator[Violation]:
    """The first sample that is no number, and the first that is not finite; pydantic reports only one of them."""
    odd = next((index for index, value in enumerate(data) if type(value) not in _NUMBERS), None)
    if odd is not None:
        message = f"holds {_WORDS[type(data[odd])]} at index {odd}: only numbers count"
        yield Violation(Code.DATA_NOT_NUMERIC, "data", message, odd)
    infinite = next((index for index, value in enumerate(data) if type(value) in _NUMBERS and not _fits(value)), None)
    if infinite is not None:
        message = f"holds a number beyond the range of binary64 at index {infinite}"
        yield Violation(Code.DATA_NOT_FINITE, "data", message, infinite)


def _fits(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
