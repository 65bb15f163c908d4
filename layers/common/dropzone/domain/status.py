"""Where an object is on its way from bronze to silver, as its sender is told."""

from dataclasses import dataclass
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
    """Its measurement stands in silver."""
    SUPERSEDED = "superseded"
    """It was processed, and a later event for the same instant and source stands in silver."""
    REJECTED = "rejected"
    """It breaks rules of data quality."""
    STUCK = "stuck"
    """It was tried as often as it may be, and can't be settled as it is."""


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """An event that broke rules, as the record of it says."""

    raw_id: UUID
    item: int
    received_at: datetime
    processed_at: datetime
    ruleset: int
    violations: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Status:
    """What has become of an object, and of its event."""

    raw_id: UUID
    state: State
    received_at: datetime
    attempts: int = 0
    """Tries that did not settle it; 0 once it is settled at the first."""
    last_error: str | None = None
    settled_at: datetime | None = None
    measurement: Measurement | None = None
    superseded_by: UUID | None = None
    violations: tuple[dict[str, Any], ...] = ()
