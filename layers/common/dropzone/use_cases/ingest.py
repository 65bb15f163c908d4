"""Take an event in: check its envelope, store its bytes as they came."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dropzone.domain.envelope import check_envelope
from dropzone.domain.identifiers import new_raw_id, received_at
from dropzone.domain.json_text import parse_json
from dropzone.domain.outcomes import Violation
from dropzone.ports import Bronze, BronzeUnavailableError, RawIdTakenError

_MAX_IDENTIFIERS = 5


class EnvelopeError(ValueError):
    """The payload is JSON, and no event."""

    def __init__(self, violations: list[Violation]) -> None:
        """Carry what is wrong with it."""
        super().__init__("the payload is no event")
        self.violations = violations


class BodyTooLargeError(ValueError):
    """The body is larger than the limit."""

    def __init__(self, size: int, limit: int) -> None:
        """Carry both, in bytes."""
        super().__init__(f"the body has {size} bytes, {limit} are allowed")
        self.size, self.limit = size, limit


@dataclass(frozen=True, slots=True)
class Accepted:
    """The obligation: the body stands in bronze under this identifier."""

    raw_id: UUID
    received_at: datetime


def ingest(body: bytes, *, content_type: str, correlation_id: str, limit: int, bronze: Bronze) -> Accepted:
    """Store an event; when this returns, its bytes are in bronze. When it raises, nothing was promised.

    Args:
        body: as received.
        content_type: kept with the object.
        correlation_id: kept with the object, and logged wherever it is processed.
        limit: the most bytes of a body.
        bronze: where it goes.

    Raises:
        BodyTooLargeError: over the limit.
        NotJsonError: not JSON.
        EnvelopeError: JSON, but no event.
        BronzeUnavailableError: it could not be stored.
    """
    if len(body) > limit:
        raise BodyTooLargeError(len(body), limit)
    if violations := check_envelope(parse_json(body)):
        raise EnvelopeError(violations)
    for _ in range(_MAX_IDENTIFIERS):
        raw_id = new_raw_id()
        try:
            bronze.put(raw_id, body, content_type=content_type, correlation_id=correlation_id)
        except RawIdTakenError:
            # The client's own retry after an answer that got lost, or an identifier that was used before. Which of
            # the two can't be told, so that the object which stands there may not be this one: store it under another.
            continue
        return Accepted(raw_id, received_at(raw_id))
    message = f"{_MAX_IDENTIFIERS} identifiers in a row were taken"
    raise BronzeUnavailableError(message)
