"""What every version has had so far: `time_stamp` (ISO 8601 with an offset) and `data` (numbers)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dropzone.domain.aggregates import Aggregates
from dropzone.domain.envelope import DATA, TIME_STAMP, check_envelope
from dropzone.domain.instants import parse_instant
from dropzone.domain.outcomes import Violation
from dropzone.domain.payloads.version import Event
from dropzone.domain.rules import check_data

SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    TIME_STAMP: {
        "type": "string",
        "description": (
            "The instant, ISO 8601 with an offset: `YYYY-MM-DD`, then `T`, `t` or a space, `hh:mm`, optional `:ss` "
            "and a fraction, then `Z` or `±hh:mm`, `±hhmm`, `±hh`. Digits past the microsecond are cut."
        ),
    },
    DATA: {
        "type": "array",
        "description": "The samples: at least one; numbers alone, each within the range of binary64.",
    },
}
"""The JSON Schema of each field."""


def read_samples(event: Event) -> tuple[datetime, Aggregates] | list[Violation]:
    """The instant and the figures of an event's samples, or every rule that they break."""
    time_stamp, data = event.get(TIME_STAMP), event.get(DATA)
    instant = parse_instant(time_stamp) if type(time_stamp) is str else None
    figures = check_data(data) if type(data) is list else None
    if type(instant) is datetime and isinstance(figures, Aggregates):
        return instant, figures
    violations = check_envelope(event)
    if type(instant) is Violation:
        violations.append(instant)
    if figures is not None and not isinstance(figures, Aggregates):
        violations.extend(figures)
    return violations
