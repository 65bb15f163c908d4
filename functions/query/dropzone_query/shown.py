"""How the state of an object and of its events is told."""

from dropzone.domain.outcomes import Measurement
from dropzone.domain.status import EventStatus, Status
from dropzone.http import milliseconds


def shown(found: Status) -> dict[str, object]:
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
    told |= {"counts": found.counts, "events": [_item(event) for event in found.events]}
    if found.events and found.items is not None and found.events[-1].item < found.items - 1:
        told["cursor"] = found.events[-1].item
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
