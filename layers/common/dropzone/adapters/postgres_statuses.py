"""Reads of silver, for those who ask; by a role that can do nothing else."""

import json
from typing import Final
from uuid import UUID

from dropzone.adapters.database import Database
from dropzone.adapters.rows import json_text
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.identifiers import received_at
from dropzone.domain.outcomes import Code, Measurement
from dropzone.domain.status import RejectedEvent, State, Status
from dropzone.ports import MAX_ATTEMPTS

_STATUS: Final = """
SELECT r.settled_at, r.attempts, r.last_error, o.outcome, CAST(o.violations AS text), o.measured_at, o.source,
       o.mean, o.std_dev, o.sample_count, o.min, o.max, m.raw_id, m.item = o.item
FROM receipts AS r
LEFT JOIN outcomes AS o ON o.raw_id = r.raw_id AND o.item = 0
LEFT JOIN measurements AS m ON m.measured_at = o.measured_at AND m.source = o.source
WHERE r.raw_id = CAST(:raw_id AS uuid)
"""


# Whole objects: a cursor names an object, and must not cut one in two.
_REJECTIONS: Final = """
SELECT raw_id, item, processed_at, ruleset, CAST(violations AS text) FROM outcomes
WHERE outcome = 'rejected'
  AND (CAST(:pattern AS jsonb) IS NULL OR violations @> CAST(:pattern AS jsonb))
  AND (CAST(:since AS uuid) IS NULL OR raw_id >= CAST(:since AS uuid))
  AND (CAST(:before AS uuid) IS NULL OR raw_id < CAST(:before AS uuid))
ORDER BY raw_id DESC FETCH FIRST CAST(:limit AS integer) ROWS WITH TIES
"""


class PostgresStatuses:
    """What silver knows of objects."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    def status(self, raw_id: UUID) -> Status | None:
        """See `Statuses.status`."""
        rows = self._database.run(_STATUS, raw_id=str(raw_id))
        if not rows:
            return None
        (settled_at, attempts, last_error, outcome, violations, measured_at, source, *figures, current, same_item) = (
            rows[0]
        )
        if settled_at is None:
            state = State.STUCK if attempts >= MAX_ATTEMPTS else State.ACCEPTED
            return Status(raw_id, state, received_at(raw_id), attempts=attempts, last_error=last_error)
        if outcome == "rejected":
            return Status(
                raw_id,
                State.REJECTED,
                received_at(raw_id),
                attempts=attempts,
                settled_at=settled_at,
                violations=tuple(json.loads(violations)),
            )
        stands = current == raw_id and same_item
        return Status(
            raw_id,
            State.PROCESSED if stands else State.SUPERSEDED,
            received_at(raw_id),
            attempts=attempts,
            settled_at=settled_at,
            measurement=Measurement(measured_at, source, Aggregates(*figures)),
            superseded_by=None if stands else current,
        )

    def rejections(
        self, *, code: Code | None, since: UUID | None, before: UUID | None, limit: int
    ) -> list[RejectedEvent]:
        """See `Statuses.rejections`; all of the last object's events, also beyond the limit."""
        rows = self._database.run(
            _REJECTIONS,
            pattern=None if code is None else json_text([{"code": code}]),
            since=None if since is None else str(since),
            before=None if before is None else str(before),
            limit=limit,
        )
        rows.sort(key=lambda row: (-row[0].int, row[1]))
        return [
            RejectedEvent(raw_id, item, received_at(raw_id), processed_at, ruleset, tuple(json.loads(violations)))
            for raw_id, item, processed_at, ruleset, violations in rows
        ]
