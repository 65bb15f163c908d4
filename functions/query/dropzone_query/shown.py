"""How the state of an object and of its events is told, and what stands in silver and gold."""

from typing import Any

from pydantic_core import to_json

from dropzone.api.response import milliseconds
from dropzone.domain.gold import Arrivals, Kpi, Quality, Standing
from dropzone.domain.identifiers import received_at
from dropzone.domain.outcomes import Measurement
from dropzone.domain.status import EventStatus, Status
from dropzone.queries.sources import Source
from dropzone_query.pages import fitting

STANDING_COLUMNS = (
    "measured_at",
    "source",
    "mean",
    "std_dev",
    "sample_count",
    "min",
    "max",
    "unit",
    "tags",
    "raw_id",
    "item",
    "received_at",
    "updated_at",
)
"""What `shown_standing` tells, in its order, as CSV has it."""

_ARRIVAL_COLUMNS = ("received", "processed", "rejected", "rejected_share", "rejected_by_rule")

KPI_COLUMNS = (
    *("start", "end", "source", "events", "samples", "mean", "std_dev", "min", "max", "first", "last"),
    *("gaps.count", "gaps.longest_seconds", "gaps.expected_seconds", "gaps.longer_than_seconds"),
    *_ARRIVAL_COLUMNS,
    *("latency_ms.mean", "latency_ms.max"),
)
"""What `shown_kpi` tells, in its order, as CSV has it."""

QUALITY_COLUMNS = (
    *("start", "end", "source"),
    *_ARRIVAL_COLUMNS,
    *("latency_ms.mean", "latency_ms.p50", "latency_ms.p95", "latency_ms.max"),
)
"""What `shown_quality` tells, in its order, as CSV has it."""

SOURCE_COLUMNS = (
    *("source", "state", "first_measured_at", "last_measured_at", "last_received_at", "usual_interval_seconds"),
    *("last_day.received", "last_day.rejected", "last_day.rejected_share"),
)
"""What `shown_source` tells, in its order, as CSV has it."""


def shown(found: Status, *, gzip: bool) -> dict[str, object]:
    """What there is to tell of an object: of a single event all of it, of several their counts and a page of them."""
    told: dict[str, object] = {
        "raw_id": found.raw_id,
        "status": found.state,
        "received_at": milliseconds(found.received_at),
    }
    if found.settled_at is None:
        told["attempts"] = found.attempts
        if found.last_error is not None:
            told["last_error"] = found.last_error
        return told
    told |= {"settled_at": found.settled_at, "items": found.items}
    if found.items == 1:
        return told | (_event(found.events[0]) if found.events else {})
    events = [_item(event) for event in found.events]
    events = events[: len(fitting((to_json(event).decode() for event in events), gzip=gzip))]
    told |= {"counts": found.counts, "events": events}
    if events and found.items is not None and (last := found.events[len(events) - 1].item) < found.items - 1:
        told["cursor"] = last
    return told


def _item(event: EventStatus) -> dict[str, object]:
    return {"item": event.item, "status": event.state, **_event(event)}


def _event(event: EventStatus) -> dict[str, object]:
    """What there is to tell of an event in its state."""
    told: dict[str, object] = {}
    if event.measurement is not None:
        told |= _figures(event.measurement)
    if event.superseded_by is not None:
        told["superseded_by"] = event.superseded_by
    if event.violations:
        told["violations"] = event.violations
    return told


def _figures(measurement: Measurement) -> dict[str, object]:
    """A measurement, by the names that silver's columns have."""
    mean, std_dev, sample_count, minimum, maximum = measurement.aggregates
    return {
        "measured_at": measurement.measured_at,
        "source": measurement.source,
        "mean": mean,
        "std_dev": std_dev,
        "sample_count": sample_count,
        "min": minimum,
        "max": maximum,
        "unit": measurement.unit,
        "tags": measurement.tags,
    }


def shown_standing(standing: Standing) -> dict[str, Any]:
    """A measurement that stands, and the event that it came from."""
    return {
        **_figures(standing.measurement),
        "raw_id": standing.raw_id,
        "item": standing.item,
        "received_at": milliseconds(received_at(standing.raw_id)),
        "updated_at": standing.updated_at,
    }


def shown_kpi(kpi: Kpi) -> dict[str, Any]:
    """A bucket's figures; those of no event are null."""
    pooled, gaps, latency = kpi.pooled, kpi.gaps, kpi.arrivals.latency
    return {
        "start": kpi.start,
        "end": kpi.end,
        "source": kpi.source,
        "events": kpi.events,
        "samples": kpi.samples,
        "mean": pooled and pooled.mean,
        "std_dev": pooled and pooled.std_dev,
        "min": pooled and pooled.minimum,
        "max": pooled and pooled.maximum,
        "first": pooled and pooled.first,
        "last": pooled and pooled.last,
        "gaps": {
            "count": gaps.number,
            "longest_seconds": gaps.longest_seconds,
            "expected_seconds": gaps.expected_seconds,
            "longer_than_seconds": gaps.longer_than_seconds,
        },
        **_arrivals(kpi.arrivals),
        "latency_ms": {"mean": latency.mean, "max": latency.longest},
    }


def shown_quality(quality: Quality) -> dict[str, Any]:
    """What became of a bucket's arrivals."""
    latency = quality.arrivals.latency
    return {
        "start": quality.start,
        "end": quality.end,
        "source": quality.source,
        **_arrivals(quality.arrivals),
        "latency_ms": {"mean": latency.mean, "p50": latency.p50, "p95": latency.p95, "max": latency.longest},
    }


def _arrivals(arrivals: Arrivals) -> dict[str, Any]:
    return {
        "received": arrivals.received,
        "processed": arrivals.processed,
        "rejected": arrivals.rejected,
        "rejected_share": arrivals.rejected_share,
        "rejected_by_rule": arrivals.by_rule,
    }


def shown_source(source: Source) -> dict[str, Any]:
    """A source, and what arrived of it in the last day."""
    return {
        **source._asdict(),
        "last_received_at": source.last_received_at and milliseconds(source.last_received_at),
        "last_day": source.last_day._asdict(),
    }
