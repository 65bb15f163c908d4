"""What a call did to objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from dropzone.domain.outcomes import Code


@dataclass(frozen=True, slots=True)
class Settled:
    """An object that a call settled."""

    raw_id: UUID
    correlation_id: str
    codes: Mapping[Code, int]
    """How many of its events each rule rejected; empty for an object without a bad event."""
    latency: timedelta
    """From arrival to silver."""
    events: int = 1
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class ObjectError:
    """An object that could not be settled: it goes back to where it came from."""

    raw_id: UUID
    reason: str
    terminal: bool
    """Whether another try is unlikely to go better."""


@dataclass(slots=True)
class ProcessingResult:
    """What a call did: `checked = processed + failed` counts the objects that it settled."""

    settled: list[Settled] = field(default_factory=list)
    errors: list[ObjectError] = field(default_factory=list)
    duplicates: int = 0
    """Objects that were settled before, or by another call at the same time."""

    @property
    def checked(self) -> int:
        """Objects that this call settled."""
        return len(self.settled)

    @property
    def rejected(self) -> int:
        """Of these, the ones with a rejected event."""
        return sum(1 for entry in self.settled if entry.codes)

    @property
    def processed(self) -> int:
        """Of these, the ones without."""
        return self.checked - self.rejected
