"""Where an object is on its way from bronze to silver, as its sender is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from dropzone.domain.outcomes import Measurement


class State(StrEnum):
    """What has become of an object."""

    ACCEPTED = "accepted"
    """In bronze, not settled yet."""
    PROCESSED = "processed"
    """Its measurement stands in silver; of several events, that of one at least."""
    SUPERSEDED = "superseded"
    """It was processed, and a later event for the same instant and source stands in silver."""
    REJECTED = "rejected"
    """It breaks rules of data quality; of several events, each does."""
    STUCK = "stuck"
    """Its attempts are exhausted: it is retried rarely, and somebody should look at its last error."""


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """An event that broke rules, as the record of it says."""

    raw_id: UUID
    item: int
    received_at: datetime
    processed_at: datetime
    ruleset: int
    source: str
    violations: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class EventStatus:
    """What has become of one event of a settled object: processed, superseded or rejected."""

    item: int
    state: State
    measurement: Measurement | None = None
    superseded_by: UUID | None = None
    violations: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """What has become of an object, and of its events."""

    raw_id: UUID
    state: State
    received_at: datetime
    attempts: int = 0
    """Tries that did not settle it; 0 once it is settled at the first."""
    last_error: str | None = None
    settled_at: datetime | None = None
    items: int | None = None
    """How many events a settled object holds."""
    counts: Mapping[State, int] = field(default_factory=dict)
    """How many of them are in each state, where it holds several."""
    events: tuple[EventStatus, ...] = ()
    """A page of them, in the order of their items."""


def state_of_all(counts: Mapping[State, int]) -> State:
    """The state of a settled object: processed where an event of it stands, rejected where all of them are."""
    if counts.get(State.PROCESSED):
        return State.PROCESSED
    return State.SUPERSEDED if counts.get(State.SUPERSEDED) else State.REJECTED
