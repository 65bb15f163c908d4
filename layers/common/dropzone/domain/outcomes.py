"""Outcomes of events (a measurement or a rejection), and the translation of pydantic's errors to violations."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from dropzone.domain.aggregates import Aggregates
from dropzone.domain.body import NotJsonError

RULESET = "6"
"""The version of the basic rules. Raise it when a change to them may change outcomes, their messages included."""

MAX_VIOLATIONS = 10
"""The maximum number of violations in an outcome."""

ROOT = "$"
"""The field of a violation that concerns the whole payload."""

CLIENT_REJECTED = "client_rejected"
"""The field of an element that reports lines without an event."""


class Code(StrEnum):
    """Why an event was rejected. Codes are stable: clients, metrics and queries may rely on them (docs/errors.md)."""

    NOT_GZIP = "payload.not_gzip"
    TOO_LARGE = "payload.too_large"
    NOT_JSON = "payload.not_json"
    EMPTY_BATCH = "payload.empty_batch"
    NOT_OBJECT = "payload.not_object"
    MISSING_FIELD = "payload.missing_field"
    UNSUPPORTED_VERSION = "payload.unsupported_version"
    TIME_STAMP_NOT_STRING = "time_stamp.not_string"
    TIME_STAMP_NOT_ISO8601 = "time_stamp.not_iso8601"
    TIME_STAMP_NO_TIMEZONE = "time_stamp.no_timezone"
    TIME_STAMP_OUT_OF_RANGE = "time_stamp.out_of_range"
    DATA_NOT_ARRAY = "data.not_array"
    DATA_EMPTY = "data.empty"
    DATA_NOT_NUMERIC = "data.not_numeric"
    DATA_NOT_FINITE = "data.not_finite"
    SOURCE_INVALID = "source.invalid"
    UNIT_INVALID = "unit.invalid"
    TAGS_INVALID = "tags.invalid"
    CORRECTS_INVALID = "corrects.invalid"
    CLIENT_REJECTED = "client.rejected"
    # Contracts:
    VALUE_BELOW_MINIMUM = "value.below_minimum"
    VALUE_ABOVE_MAXIMUM = "value.above_maximum"
    VALUE_SENTINEL = "value.sentinel"
    VALUE_SPREAD = "value.spread"
    SAMPLES_TOO_FEW = "samples.too_few"
    SAMPLES_TOO_MANY = "samples.too_many"
    UNIT_UNEXPECTED = "unit.unexpected"
    TAGS_MISSING = "tags.missing"
    SOURCE_UNEXPECTED = "source.unexpected"
    TIME_STAMP_AHEAD = "time_stamp.ahead"
    TIME_STAMP_TOO_OLD = "time_stamp.too_old"
    # Mappings:
    UNKNOWN_CONTRACT = "payload.unknown_contract"
    MAPPING_FAILED = "payload.mapping_failed"
    TIME_STAMP_NOT_EPOCH = "time_stamp.not_epoch"
    # Keys:
    SOURCE_NOT_ALLOWED = "source.not_allowed"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule. The message holds at most a short, escaped excerpt of the payload."""

    code: Code
    field: str
    message: str
    index: int | None = None
    """The index of the first offending sample, if the field is `data`."""
    rule: str | None = None
    """The identifier of the contract's rule; None for a basic rule."""


NO_TAGS: Mapping[str, str] = {}


class EventId(NamedTuple):
    """Identifies an event by its object and its position in it, counted from 0."""

    raw_id: UUID
    item: int


class Measurement(NamedTuple):
    """A valid event, in the canonical form of every payload version."""

    measured_at: datetime
    """In UTC, to the microsecond."""
    source: str
    """Empty if the event names none."""
    aggregates: Aggregates
    unit: str = ""
    """The unit of the samples; empty if the event names none."""
    tags: Mapping[str, str] = NO_TAGS
    flags: tuple[Violation, ...] = ()
    """The rules of severity `warning` that it breaks, at most `MAX_VIOLATIONS`."""
    contract: str = ""
    """The contract that it was validated by, as `id@version`."""
    corrects: EventId | None = None
    """The rejected event that it replaces."""


class Rejection(NamedTuple):
    """An event that broke rules: 1 to `MAX_VIOLATIONS` violations."""

    violations: tuple[Violation, ...]
    source: str = ""
    """Empty if it could not be read."""
    contract: str = ""
    """The contract that it was validated by, as `id@version`."""
    corrects: EventId | None = None
    """The rejected event that it was meant to replace."""


Outcome = Measurement | Rejection


class ValidatedObject(NamedTuple):
    """A raw object with the outcomes of all or some of its events, in order."""

    raw_id: UUID
    outcomes: tuple[Outcome, ...]
    first_item: int = 0
    """The item (from 0) of the first of these outcomes."""
    is_whole: bool = True
    """Whether they include the object's last item, which completes the object."""

    @property
    def items(self) -> int:
        """The number of items up to the last of these outcomes."""
        return self.first_item + len(self.outcomes)


def excerpt(value: str, limit: int = 40) -> str:
    """The first characters of a client's text, quoted and escaped to printable ASCII, for use in a message."""
    return ascii(value[:limit]) + ("..." if len(value) > limit else "")


class Change(StrEnum):
    """How a replay changes the outcome of an event."""

    SAME = "same"
    NEW = "new"
    """It had none."""
    NOW_PROCESSED = "now_processed"
    """It was rejected."""
    NOW_REJECTED = "now_rejected"
    """It was processed."""
    OTHER_FIGURES = "other_figures"
    OTHER_FLAGS = "other_flags"
    """The same figures, with other warnings."""
    OTHER_REASONS = "other_reasons"
    GONE = "gone"
    """The event is not found under the current rules."""


def compare(before: Sequence[Outcome | None], after: Sequence[Outcome]) -> list[Change]:
    """The change of each event of an object, or of a part of it, in order. None means that there was no outcome."""
    changes = [_change(old, new) for old, new in zip(before, after, strict=False)]
    changes += [Change.NEW] * (len(after) - len(before))
    changes += [Change.GONE] * (len(before) - len(after))
    return changes


def _change(before: Outcome | None, after: Outcome) -> Change:
    if before is None:
        return Change.NEW
    # Another version of a contract with the same outcome is not a change.
    if before._replace(contract="") == after._replace(contract=""):
        return Change.SAME
    if isinstance(before, Measurement):
        if not isinstance(after, Measurement):
            return Change.NOW_REJECTED
        has_same_figures = before._replace(flags=(), contract="") == after._replace(flags=(), contract="")
        return Change.OTHER_FLAGS if has_same_figures else Change.OTHER_FIGURES
    return Change.NOW_PROCESSED if isinstance(after, Measurement) else Change.OTHER_REASONS


_CODES: dict[tuple[str, str], Code] = {
    (ROOT, "model_type"): Code.NOT_OBJECT,
    ("time_stamp", "string_type"): Code.TIME_STAMP_NOT_STRING,
    ("data", "list_type"): Code.DATA_NOT_ARRAY,
    ("data", "too_short"): Code.DATA_EMPTY,
}
"""Codes by field and pydantic's error type. Our own validators raise the code as the type."""

_CODES_OF_FIELDS = {
    "source": Code.SOURCE_INVALID,
    "unit": Code.UNIT_INVALID,
    "tags": Code.TAGS_INVALID,
    "corrects": Code.CORRECTS_INVALID,
}
"""The code of each field that has the same one for all errors."""

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
"""Messages by pydantic's error type (its own ones name Python types); placeholders are filled from its context."""

_NOT_RAW_ID = {("raw_id", "string_pattern_mismatch"): "is not a UUIDv7"}

_NUMBERS = frozenset({int, float})
_WORDS = {bool: "a boolean", str: "a string", type(None): "null", list: "an array", dict: "an object"}


class Envelope(BaseModel):
    """The fields that every version has. Ingest checks nothing else."""

    model_config = ConfigDict(strict=True)

    time_stamp: str
    data: list[Any]


def has_envelope(payload: object) -> bool:
    """Whether the payload may be an event of some version."""
    return _has_shape(payload, Envelope)


def _has_shape(payload: object, shape: type[BaseModel]) -> bool:
    try:
        shape.model_validate(payload)
    except ValidationError:
        return False
    return True


class ClientRejectionEnvelope(BaseModel):
    """The envelope of a `ClientRejection`, which is all that ingest checks of it."""

    model_config = ConfigDict(strict=True, defer_build=True)

    client_rejected: dict[str, Any]


def is_client_rejection(payload: object) -> bool:
    """Whether the payload reports lines from which the client could not build an event."""
    if type(payload) is not dict or CLIENT_REJECTED not in payload or "time_stamp" in payload:
        return False
    return _has_shape(payload, ClientRejectionEnvelope)


def envelope_violations(payload: object) -> list[Violation]:
    """What is wrong with the envelope of a payload: a JSON value, or a `NotJsonError`."""
    if isinstance(payload, NotJsonError):
        return [Violation(Code.NOT_JSON, ROOT, f"is not JSON: {payload}")]
    try:
        Envelope.model_validate(payload)
    except ValidationError as error:
        return violations_in(error, payload)
    return []


def violations_in(error: ValidationError, payload: Any) -> list[Violation]:  # noqa: ANN401 - what JSON held
    """The rules that a payload breaks: each code once per field, and at most `MAX_VIOLATIONS`."""
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
            # The field names below are our own, so the message may quote them.
            message = f"names no event: its {below[0]} {_NOT_RAW_ID.get((below[0], kind), message)}"
        elif below:
            message = f"has a {'name' if below[-1] == '[key]' else 'value'} that {message}"
        yield Violation(code, field, message)


def _bad_samples(data: list[Any]) -> Iterator[Violation]:
    """The first sample that is not a number, and the first that is not finite; pydantic reports only one of the two."""
    odd = next((index for index, value in enumerate(data) if type(value) not in _NUMBERS), None)
    if odd is not None:
        message = f"holds {_WORDS[type(data[odd])]} at index {odd}: only numbers are allowed"
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
