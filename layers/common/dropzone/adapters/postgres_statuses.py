"""Reads of silver, for those who ask; by a role that can do nothing else."""

import json
from typing import Final
from uuid import UUID

from dropzone.adapters.database import Database
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.identifiers import received_at
from dropzone.domain.outcomes import Measurement
from dropzone.domain.status import State, Status
from dropzone.ports import MAX_ATTEMPTS

_STATUS: Final = """
SELECT r.settled_at, r.attempts, r.last_error, o.outcome, CAST(o.violations AS text), o.measured_at, o.source,
       o.mean, o.std_dev, o.sample_count, o.min, o.max, m.raw_id, m.item = o.item
FROM receipts AS r
LEFT JOIN outcomes AS o ON o.raw_id = r.raw_id AND o.item = 0
LEFT JOIN measurements AS m ON m.measured_at = o.measured_at AND m.source = o.source
WHERE r.raw_id = CAST(:raw_id AS uuid)
"""


class PostgresStatuses:
    """What silver knows of an object."""

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
