"""The rows of silver, in one form for the fake and for the real tables, so that tests can compare them."""

from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from dropzone.domain.outcomes import Measurement, Violation


class OutcomeRow(NamedTuple):
    """An outcome: a measurement, maybe with warnings, or violations."""

    measurement: Measurement | None
    violations: tuple[Violation, ...]
    source: str = ""


class MeasurementRow(NamedTuple):
    """A measurement, and the event that it came from."""

    measurement: Measurement
    raw_id: UUID
    item: int


class ReceiptRow(NamedTuple):
    """A receipt, without its instants."""

    complete: bool
    items: int | None
    attempts: int
    last_error: str | None


Key = tuple[datetime, str]


class Tables(Protocol):
    """Silver's tables, to look at."""

    def receipt_rows(self) -> dict[UUID, ReceiptRow]: ...

    def outcome_rows(self) -> dict[tuple[UUID, int], OutcomeRow]: ...

    def measurement_rows(self) -> dict[Key, MeasurementRow]: ...
