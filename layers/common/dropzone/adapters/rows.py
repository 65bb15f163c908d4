"""Between the domain's types and the rows of silver: each chunk of rows is one JSON parameter (docs/adr/0004)."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from dropzone.domain.aggregates import Aggregates
from dropzone.domain.outcomes import Code, JudgedObject, Measurement, Outcome, Rejection, Violation

EVENT_COLUMNS = """
    raw_id uuid, item integer, outcome text, violations jsonb, measured_at timestamptz, source text,
    mean float8, std_dev float8, sample_count integer, min float8, max float8, unit text, tags jsonb
"""
"""The columns of `events_json`, for `json_to_recordset`."""

MEASURED = "measured_at, source, mean, std_dev, sample_count, min, max, unit, tags"
"""What `outcomes` and `measurements` both tell of a measurement."""

REPLACED = """
    mean = excluded.mean, std_dev = excluded.std_dev, sample_count = excluded.sample_count, min = excluded.min,
    max = excluded.max, unit = excluded.unit, tags = excluded.tags, raw_id = excluded.raw_id, item = excluded.item,
    updated_at = now()
"""
"""How a later event takes the place of the measurement that stands."""


def objects_json(judged: Sequence[JudgedObject]) -> str:
    """Objects, with the number of their events where the last one is among them."""
    return json_text([{"raw_id": entry.raw_id, "items": entry.items if entry.is_whole else None} for entry in judged])


def events_json(judged: Sequence[JudgedObject]) -> str:
    """The events of objects, a row of `outcomes` each."""
    return json_text(
        [
            _event(entry.raw_id, item, outcome)
            for entry in judged
            for item, outcome in enumerate(entry.outcomes, entry.first_item)
        ]
    )


def outcome_of(violations: list[dict[str, Any]], figures: Sequence[Any]) -> Outcome:
    """The outcome that a row of `outcomes` holds: its violations, and the columns of `MEASURED`."""
    measured_at, source, *aggregates, unit, tags = figures
    if violations:
        reasons = tuple(Violation(**{**entry, "code": Code(entry["code"])}) for entry in violations)
        return Rejection(reasons, source or "")
    return Measurement(measured_at, source, Aggregates(*aggregates), unit, tags)


def json_text(value: object) -> str:
    """A value as the text of a JSON parameter."""
    return to_json(value).decode()


def uuid_array(raw_ids: Iterable[UUID]) -> str:
    """Identifiers as the text of a uuid[] parameter."""
    return "{" + ",".join(map(str, raw_ids)) + "}"


def _event(raw_id: UUID, item: int, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Measurement):
        mean, std_dev, sample_count, minimum, maximum = outcome.aggregates
        return {
            "raw_id": raw_id,
            "item": item,
            "outcome": "processed",
            "violations": [],
            "measured_at": outcome.measured_at,
            "source": outcome.source,
            "mean": mean,
            "std_dev": std_dev,
            "sample_count": sample_count,
            "min": minimum,
            "max": maximum,
            "unit": outcome.unit,
            "tags": outcome.tags,
        }
    return {
        "raw_id": raw_id,
        "item": item,
        "outcome": "rejected",
        "violations": [
            {key: value for key, value in asdict(violation).items() if value is not None}
            for violation in outcome.violations
        ],
        "source": outcome.source,
        "unit": "",
        "tags": {},
    }
