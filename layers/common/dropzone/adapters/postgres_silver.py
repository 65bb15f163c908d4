"""Silver in Postgres: each call one statement, so that one round trip is one transaction (docs/adr/0004)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from dropzone.adapters.database import Database
from dropzone.adapters.rows import (
    EVENTS,
    MEASURED,
    OBJECTS,
    REPLACED,
    event_parameters,
    json_text,
    object_parameters,
    uuid_array,
)
from dropzone.domain.outcomes import RULESET, JudgedObject
from dropzone.ports import MAX_ATTEMPTS, Receipt

# The receipt is what concurrent calls meet at: the one that waited finds it settled, and writes nothing. A part of a
# batch that isn't its last takes the same lock, and settles nothing. What a call before wrote of an object, and then
# died, stands: the same bytes have the same outcomes, unless the rules have changed since, and then replay is for that.
_SETTLE: Final = f"""
WITH object AS (
    SELECT * FROM {OBJECTS}
), event AS (
    SELECT * FROM {EVENTS}
), taken AS (
    INSERT INTO receipts AS r (raw_id, items, settled_at, retry_at)
    SELECT raw_id, items, CASE WHEN items IS NOT NULL THEN now() END,
           CASE WHEN items IS NULL THEN now() + CAST(:pause AS interval) END
    FROM object ORDER BY raw_id
    ON CONFLICT (raw_id) DO UPDATE
        SET items = excluded.items, settled_at = excluded.settled_at,
            last_error = CASE WHEN excluded.items IS NULL THEN r.last_error END,
            retry_at = greatest(excluded.retry_at, CASE WHEN excluded.items IS NULL THEN r.retry_at END)
        WHERE r.settled_at IS NULL
    RETURNING r.raw_id
), recorded AS (
    INSERT INTO outcomes (raw_id, item, outcome, violations, {MEASURED}, ruleset)
    SELECT raw_id, item, outcome, violations, {MEASURED}, CAST(:ruleset AS integer)
    FROM event JOIN taken USING (raw_id)
    ON CONFLICT (raw_id, item) DO NOTHING
    RETURNING {MEASURED}, raw_id, item, outcome
), measured AS (
    INSERT INTO measurements AS m ({MEASURED}, raw_id, item)
    SELECT DISTINCT ON (measured_at, source) {MEASURED}, raw_id, item
    FROM recorded
    WHERE outcome = 'processed'
    ORDER BY measured_at, source, raw_id DESC, item DESC
    ON CONFLICT (measured_at, source) DO UPDATE SET {REPLACED}
        WHERE (m.raw_id, m.item) <= (excluded.raw_id, excluded.item)
)
SELECT raw_id FROM object EXCEPT SELECT raw_id FROM taken
"""  # noqa: S608 - the columns are this project's own

_RECEIPTS: Final = """
SELECT raw_id, settled_at IS NOT NULL, attempts FROM receipts WHERE raw_id = ANY (CAST(:raw_ids AS uuid[]))
"""

# The pause doubles with each attempt; the exponent is bounded, since the queue may try more often than a sweep.
_CLAIM: Final = """
INSERT INTO receipts AS r (raw_id, attempts, retry_at)
SELECT raw_id, 1, now() + CAST(:pause AS interval) FROM unnest(CAST(:raw_ids AS uuid[])) AS raw_id ORDER BY raw_id
ON CONFLICT (raw_id) DO UPDATE
    SET attempts = r.attempts + 1, retry_at = now() + CAST(:pause AS interval) * 2 ^ least(r.attempts, 10)
    WHERE r.settled_at IS NULL
      AND (NOT CAST(:only_due AS boolean) OR (r.attempts < CAST(:max_attempts AS integer) AND r.retry_at <= now()))
RETURNING raw_id
"""

_GIVE_BACK: Final = """
UPDATE receipts
SET attempts = greatest(attempts - 1, 0), last_error = reason, retry_at = now() + CAST(:pause AS interval)
FROM json_to_recordset(CAST(:reasons AS json)) AS given (raw_id uuid, reason text)
WHERE receipts.raw_id = given.raw_id AND settled_at IS NULL
"""

_EXPLAIN: Final = """
UPDATE receipts SET last_error = reason
FROM json_to_recordset(CAST(:reasons AS json)) AS given (raw_id uuid, reason text)
WHERE receipts.raw_id = given.raw_id AND settled_at IS NULL
"""

_DUE: Final = """
SELECT raw_id FROM receipts
WHERE settled_at IS NULL AND attempts < CAST(:max_attempts AS integer) AND retry_at <= now()
ORDER BY attempts, raw_id LIMIT CAST(:limit AS integer)
"""

_STUCK: Final = """
SELECT count(*) FROM receipts WHERE settled_at IS NULL AND attempts >= CAST(:max_attempts AS integer)
"""

_ADVANCE: Final = """
UPDATE sweep SET watermark = CAST(:raw_id AS uuid) WHERE watermark < CAST(:raw_id AS uuid)
"""


class PostgresSilver:
    """Receipts, outcomes and measurements in one database. Not for two threads at once."""

    def __init__(self, database: Database, *, retry_after: timedelta) -> None:
        """Take the database, and the pause after an object's first try; it doubles with each further one."""
        self._database, self._pause = database, f"{retry_after.total_seconds()} seconds"

    def receipts(self, raw_ids: Collection[UUID]) -> dict[UUID, Receipt]:
        """See `Silver.receipts`."""
        rows = self._database.run(_RECEIPTS, raw_ids=uuid_array(raw_ids))
        return {raw_id: Receipt(settled, attempts) for raw_id, settled, attempts in rows}

    def settle(self, judged: Sequence[JudgedObject]) -> set[UUID]:
        """See `Silver.settle`."""
        passed_over = self._database.run_prepared(
            _SETTLE,
            **object_parameters(judged),
            **event_parameters(judged),
            ruleset=RULESET,
            pause=self._pause,
        )
        return {one.raw_id for one in judged}.difference(raw_id for (raw_id,) in passed_over)

    def claim(self, raw_ids: Collection[UUID], *, only_due: bool) -> set[UUID]:
        """See `Silver.claim`."""
        rows = self._database.run(
            _CLAIM, raw_ids=uuid_array(raw_ids), pause=self._pause, only_due=only_due, max_attempts=MAX_ATTEMPTS
        )
        return {raw_id for (raw_id,) in rows}

    def give_back(self, reasons: Mapping[UUID, str]) -> None:
        """See `Silver.give_back`."""
        self._database.run(_GIVE_BACK, reasons=_reasons(reasons), pause=self._pause)

    def explain(self, reasons: Mapping[UUID, str]) -> None:
        """See `Silver.explain`."""
        self._database.run(_EXPLAIN, reasons=_reasons(reasons))

    def due(self, limit: int) -> list[UUID]:
        """See `Silver.due`."""
        return [raw_id for (raw_id,) in self._database.run(_DUE, limit=limit, max_attempts=MAX_ATTEMPTS)]

    def stuck(self) -> int:
        """See `Silver.stuck`."""
        ((count,),) = self._database.run(_STUCK, max_attempts=MAX_ATTEMPTS)
        return int(count)

    def watermark(self) -> UUID:
        """See `Silver.watermark`."""
        ((raw_id,),) = self._database.run("SELECT watermark FROM sweep")
        return UUID(str(raw_id))

    def advance_watermark(self, raw_id: UUID) -> None:
        """See `Silver.advance_watermark`."""
        self._database.run(_ADVANCE, raw_id=str(raw_id))


def _reasons(reasons: Mapping[UUID, str]) -> str:
    return json_text([{"raw_id": raw_id, "reason": reason} for raw_id, reason in reasons.items()])
