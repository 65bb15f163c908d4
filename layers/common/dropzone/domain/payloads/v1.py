"""Version 1: `time_stamp` (ISO 8601 with an offset) and `data` (numbers). Other fields are welcome and not read."""

from datetime import datetime
from typing import Any

from dropzone.domain.aggregates import aggregate
from dropzone.domain.envelope import DATA, TIME_STAMP, check_envelope
from dropzone.domain.instants import parse_instant
from dropzone.domain.outcomes import Measurement, Violation
from dropzone.domain.rules import check_data


def read(event: dict[str, Any]) -> Measurement | list[Violation]:
    """The measurement of a version 1 event, or every rule that it breaks."""
    time_stamp, data = event.get(TIME_STAMP), event.get(DATA)
    violations = check_envelope(event)
    instant = parse_instant(time_stamp) if type(time_stamp) is str else None
    values = check_data(data) if type(data) is list else None
    if type(instant) is datetime and type(values) is list:
        return Measurement(instant, "", aggregate(values))
    if type(instant) is Violation:
        violations.append(instant)
    if type(values) is tuple:
        violations.extend(values)
    return violations
