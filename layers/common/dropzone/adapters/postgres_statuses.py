"""Reads of silver, for those who ask; by a role that can do nothing else."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from dropzone.adapters.database import Database
from dropzone.adapters.rows import json_text, outcome_of
from dropzone.domain.identifiers import received_at
from dropzone.domain.outcomes import Code, Rejection
from dropzone.domain.status import EventStatus, RejectedEvent, State, Status, state_of_all
from dropzone.ports import MAX_ATTEMPTS

_RECEIPT: Final = "SELECT settled_at, attempts, last_error, items FROM receipts WHERE raw_id = CAST(:raw_id AS uuid)"

_EVENTS: Final = """
SELECT o.item, m.raw_id, m.item = o.item, o.violations, o.measured_at, o.source, o.mean, o.std_dev, o.sample_count,
       o.min, o.max, o.unit, o.tags
FROM outcomes AS o LEFT JOIN measurements AS m ON m.measured_at = o.measured_at AND m.source = o.source
WHERE o.raw_id = CAST(:raw_id AS uuid) AND o.item > CAST(:after AS integer)
ORDER BY o.item LIMIT CAST(:limit AS integer)
"""

_COUNTS: Final = """
SELECT count(*) FILTER (WHERE m.raw_id = o.raw_id AND m.item = o.item),
       count(*) FILTER (WHERE o.outcome = 'processed'),
       count(*)
FROM outcomes AS o LEFT JOIN measurements AS m ON m.measured_at = o.measured_at AND m.source = o.source
WHERE o.raw_id = CAST(:raw_id AS uuid)
"""

_REJECTIONS: Final = """
SELECT raw_id, item, processed_at, ruleset, coalesce(source, ''), violations FROM outcomes
WHERE outcome = 'rejected'
  AND (CAST(:pattern AS jsonb) IS NULL OR violations @> CAST(:pattern AS jsonb))
  AND (CAST(:source AS text) IS NULL OR coalesce(source, '') = :source)
  AND (CAST(:since AS uuid) IS NULL OR raw_id >= CAST(:since AS uuid))
  AND (CAST(:before AS uuid) IS NULL OR raw_id < CAST(:before AS uuid))
  AND (CAST(:after AS uuid) IS NULL OR raw_id <= CAST(:after AS uuid))
  AND (CAST(:after AS uuid) IS NULL OR raw_id < CAST(:after AS uuid) OR item > CAST(:after_item AS integer))
ORDER BY raw_id DESC, item LIMIT CAST(:limit AS integer)
"""


class PostgresStatuses:
    """What silver knows of objects."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    def status(self, raw_id: UUID, *, after: int = -1, limit: int = 1) -> Status | None:
        """See `Statuses.status`."""
        rows = self._database.run(_RECEIPT, raw_id=str(raw_id))
        if not rows:
            return None
        ((settled_at, attempts, last_error, items),) = rows
        if settled_at is None:
            state = State.STUCK if attempts >= MAX_ATTEMPTS else State.ACCEPTED
            return Status(raw_id, state, received_at(raw_id), attempts=attempts, last_error=last_error)
        found = self._database.run(_EVENTS, raw_id=str(raw_id), after=after, limit=limit)
        events = tuple(_event(raw_id, row) for row in found)
        counts = {events[0].state: 1} if items == 1 and events else self._counts(raw_id)
        return Status(
            raw_id,
            state_of_all(counts),
            received_at(raw_id),
            attempts=attempts,
            settled_at=settled_at,
            items=items,
            counts=counts,
            events=events,
        )

    def _counts(self, raw_id: UUID) -> dict[State, int]:
        ((standing, processed, total),) = self._database.run(_COUNTS, raw_id=str(raw_id))
        return {
            State.PROCESSED: standing,
            State.SUPERSEDED: processed - standing,
            State.REJECTED: total - processed,
        }

    def rejections(
        self,
        *,
        code: Code | None = None,
        source: str | None = None,
        since: UUID | None = None,
        before: UUID | None = None,
        after: tuple[UUID, int] | None = None,
        limit: int,
    ) -> list[RejectedEvent]:
        """See `Statuses.rejections`."""
        rows = self._database.run(
            _REJECTIONS,
            pattern=None if code is None else json_text([{"code": code}]),
            source=source,
            since=None if since is None else str(since),
            before=None if before is None else str(before),
            after=None if after is None else str(after[0]),
            after_item=None if after is None else after[1],
            limit=limit,
        )
        return [
            RejectedEvent(raw_id, item, received_at(raw_id), processed_at, ruleset, source, tuple(violations))
            for raw_id, item, processed_at, ruleset, source, violations in rows
        ]


def _event(raw_id: UUID, row: Sequence[Any]) -> EventStatus:
    """The event that a row of `_EVENTS` tells of."""
    item, standing, same_item, violations, *figures = row
    outcome = outcome_of(violations, figures)
    if isinstance(outcome, Rejection):
        return EventStatus(item, State.REJECTED, violations=tuple(violations))
    stands = standing == raw_id and same_item
    return EventStatus(
        item,
        State.PROCESSED if stands else State.SUPERSEDED,
        measurement=outcome,
        superseded_by=None if stands else standing,
    )
