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
    mean float8, std_dev float8, sample_count integer, min float8, max float8
"""
"""The columns of `events_json`, for `json_to_recordset`."""


def objects_json(judged: Sequence[JudgedObject]) -> str:
    """Objects, with the number of their events."""
    return json_text([{"raw_id": entry.raw_id, "items": len(entry.outcomes)} for entry in judged])


def events_json(judged: Sequence[JudgedObject]) -> str:
    """The events of objects, a row of `outcomes` each."""
    return json_text(
        [_event(entry.raw_id, item, outcome) for entry in judged for item, outcome in enumerate(entry.outcomes)]
    )


def outcome_of(violations: list[dict[str, Any]], figures: Sequence[Any]) -> Outcome:
    """The outcome that a row of `outcomes` holds: its violations, and measured_at, source, mean, …, max."""
    if violations:
        return Rejection(tuple(Violation(**{**entry, "code": Code(entry["code"])}) for entry in violations))
    measured_at, source, *aggregates = figures
    return Measurement(measured_at, source, Aggregates(*aggregates))


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
        }
    return {
        "raw_id": raw_id,
        "item": item,
        "outcome": "rejected",
        "violations": [
            {key: value for key, value in asdict(violation).items() if value is not None}
            for violation in outcome.violations
        ],
    }
