"""From what was read to what is answered."""

from typing import TYPE_CHECKING, cast

from pydantic_core import to_json

from dropzone.api.response import milliseconds
from dropzone.domain.gold import Kpi, Quality, Standing
from dropzone.domain.identifiers import received_at
from dropzone.domain.status import EventStatus, RejectedEvent, State, Status
from dropzone.queries.sources import Source
from dropzone_query import answers
from dropzone_query.pages import fitting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dropzone.api.answers import Violation


def shown_status(found: Status, *, gzip: bool) -> answers.Status:
    """An object's status; of several events the page that fits."""
    status: answers.Status = {
        "raw_id": found.raw_id,
        "status": found.state,
        "received_at": milliseconds(found.received_at),
    }
    if found.settled_at is None or found.items is None:
        status["attempts"] = found.attempts
        if found.last_error is not None:
            status["last_error"] = found.last_error
        return status
    status["settled_at"] = found.settled_at
    status["items"] = found.items
    if found.items == 1:
        if found.events:
            _add_outcome(status, found.events[0])
        return status
    events = [_event(event) for event in found.events]
    events = events[: len(fitting((to_json(event).decode() for event in events), gzip=gzip))]
    status["counts"] = {
        "processed": found.counts.get(State.PROCESSED, 0),
        "superseded": found.counts.get(State.SUPERSEDED, 0),
        "rejected": found.counts.get(State.REJECTED, 0),
    }
    status["events"] = events
    if events and (last := events[-1]["item"]) < found.items - 1:
        status["cursor"] = last
    return status


def _event(event: EventStatus) -> answers.EventStatus:
    shown: answers.EventStatus = {"item": event.item, "status": event.state}  # type: ignore[typeddict-item]  # one that an event with an outcome has
    _add_outcome(shown, event)
    return shown


def _add_outcome(shown: answers.Status | answers.EventStatus, event: EventStatus) -> None:
    """What is known of an event in its state."""
    if event.measurement is not None:
        shown["measured_at"], shown["source"] = event.measurement.measured_at, event.measurement.source
        shown["mean"], shown["std_dev"], shown["sample_count"], shown["min"], shown["max"] = (
            event.measurement.aggregates
        )
        shown["unit"], shown["tags"] = event.measurement.unit, event.measurement.tags
    if event.superseded_by is not None:
        shown["superseded_by"] = event.superseded_by
    if event.violations:
        shown["violations"] = cast("Sequence[Violation]", event.violations)


def shown_rejection(event: RejectedEvent) -> answers.Rejection:
    """A rejected event, with its reasons."""
    return {
        "raw_id": event.raw_id,
        "item": event.item,
        "received_at": milliseconds(event.received_at),
        "processed_at": event.processed_at,
        "ruleset": event.ruleset,
        "source": event.source,
        "violations": cast("Sequence[Violation]", event.violations),
    }


def shown_measurement(standing: Standing) -> answers.Measurement:
    """A measurement, and the event that it came from."""
    mean, std_dev, sample_count, minimum, maximum = standing.measurement.aggregates
    return {
        "measured_at": standing.measurement.measured_at,
        "source": standing.measurement.source,
        "mean": mean,
        "std_dev": std_dev,
        "sample_count": sample_count,
        "min": minimum,
        "max": maximum,
        "unit": standing.measurement.unit,
        "tags": standing.measurement.tags,
        "raw_id": standing.raw_id,
        "item": standing.item,
        "received_at": milliseconds(received_at(standing.raw_id)),
        "updated_at": standing.updated_at,
    }


def shown_kpi(kpi: Kpi) -> answers.Kpi:
    """A bucket's figures; those of no event are null."""
    pooled, gaps, arrivals = kpi.pooled, kpi.gaps, kpi.arrivals
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
        "received": arrivals.received,
        "processed": arrivals.processed,
        "rejected": arrivals.rejected,
        "rejected_share": arrivals.rejected_share,
        "rejected_by_rule": arrivals.by_rule,
        "latency_ms": {"mean": arrivals.latency.mean, "max": arrivals.latency.longest},
    }


def shown_quality(quality: Quality) -> answers.QualityBucket:
    """The outcomes of a bucket's arrivals."""
    arrivals, latency = quality.arrivals, quality.arrivals.latency
    return {
        "start": quality.start,
        "end": quality.end,
        "source": quality.source,
        "received": arrivals.received,
        "processed": arrivals.processed,
        "rejected": arrivals.rejected,
        "rejected_share": arrivals.rejected_share,
        "rejected_by_rule": arrivals.by_rule,
        "latency_ms": {"mean": latency.mean, "p50": latency.p50, "p95": latency.p95, "max": latency.longest},
    }


def shown_source(source: Source) -> answers.SourceRow:
    """A source, and what arrived of it in the last day."""
    received, rejected, share = source.last_day
    return {
        "source": source.source,
        "state": source.state,
        "first_measured_at": source.first_measured_at,
        "last_measured_at": source.last_measured_at,
        "last_received_at": None if source.last_received_at is None else milliseconds(source.last_received_at),
        "usual_interval_seconds": source.usual_interval_seconds,
        "last_day": {"received": received, "rejected": rejected, "rejected_share": share},
    }
