"""What becomes of an event: processed, with its measurement, or rejected, with every reason found."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from dropzone.domain.aggregates import Aggregates

RULESET = 1
"""The version of the quality rules that outcomes are recorded with: raised when a rule judges differently."""

MAX_VIOLATIONS = 10
"""The most violations that an outcome carries."""


class Code(StrEnum):
    """Why an event is rejected. Stable: clients, metrics and queries rely on them (docs/errors.md)."""

    NOT_JSON = "payload.not_json"
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


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule. The message holds at most a short, escaped excerpt of the payload."""

    code: Code
    field: str
    message: str
    index: int | None = None
    """For data: where the first offender stands, from 0."""


class Measurement(NamedTuple):
    """A clean event: its instant in UTC (microseconds), its source ('' where it names none), its figures."""

    measured_at: datetime
    source: str
    aggregates: Aggregates


class Rejection(NamedTuple):
    """An event that broke rules; at least one violation, at most `MAX_VIOLATIONS`."""

    violations: tuple[Violation, ...]


Outcome = Measurement | Rejection


class JudgedObject(NamedTuple):
    """A raw object with the outcome of each of its events, in the order of their items (from 0)."""

    raw_id: UUID
    outcomes: tuple[Outcome, ...]


def excerpt(value: str, limit: int = 40) -> str:
    """The first characters of a client's text, quoted and escaped to printable ASCII, for use in a message."""
    return ascii(value[:limit]) + ("..." if len(value) > limit else "")
