"""Silver in Postgres: each call is one statement, so that one round trip is one transaction (docs/adr/0004)."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from dropzone.adapters.contracts import deployed_contracts
from dropzone.adapters.database import Database, Row, Run
from dropzone.adapters.silver_statements import (
    COMPLETE,
    DAY,
    DECIDED,
    EVENTS,
    FIRST_PARTS,
    FLAGS,
    MEASURED,
    REPLACED,
    SHARED,
    LockedDays,
    days_of,
    derive,
    event_parameters,
    json_text,
    object_parameters,
    share_days,
    uuid_array,
)
from dropzone.domain.contracts import BASIC, Contracts
from dropzone.domain.outcomes import Code, ValidatedObject
from dropzone.ports import HOURLY_ATTEMPTS, MAX_ATTEMPTS, OPEN_ATTEMPT, Backlog, Receipt, Written
from dropzone.settings import WriterSettings

# Concurrent calls lock the receipt: the one that waited finds `settled_at` set, and writes nothing. A part that isn't
# the last takes the same lock, but doesn't set `settled_at`; nor does the last one if an earlier event has no outcome.
# Rows of an earlier call that died are kept: the same bytes have the same outcomes. Outcomes under other rules were
# discarded before. The join ensures that the days are locked before the first row is written.
_WRITE: Final = f"""
WITH {SHARED}, OBJECTS, event AS (
    SELECT * FROM {EVENTS}
), taken AS (
    INSERT INTO receipts AS r (raw_id, items, settled_at, retry_at)
    SELECT raw_id, items, CASE WHEN items IS NOT NULL THEN now() END,
           CASE WHEN items IS NULL THEN now() + CAST(:pause AS interval) END
    FROM object CROSS JOIN (SELECT count(*) FROM locked) AS days ORDER BY raw_id
    ON CONFLICT (raw_id) DO UPDATE
        SET items = excluded.items, settled_at = excluded.settled_at,
            last_error = CASE WHEN excluded.items IS NULL THEN r.last_error END,
            tried_at = CASE WHEN excluded.items IS NULL THEN r.tried_at END,
            retry_at = greatest(excluded.retry_at, CASE WHEN excluded.items IS NULL THEN r.retry_at END)
        WHERE r.settled_at IS NULL
    RETURNING r.raw_id, r.items
), recorded AS (
    INSERT INTO outcomes ({DECIDED}, ruleset)
    SELECT {DECIDED}, CAST(:ruleset AS text)
    FROM event JOIN taken USING (raw_id)
    ON CONFLICT (raw_id, item) DO NOTHING
    RETURNING {MEASURED}, raw_id, item, outcome, violations
), measured AS (
    INSERT INTO measurements AS m ({MEASURED}, flags, raw_id, item)
    SELECT DISTINCT ON (measured_at, source) {MEASURED}, {FLAGS}, raw_id, item
    FROM recorded
    WHERE outcome = 'processed'
    ORDER BY measured_at, source, raw_id DESC, item DESC
    ON CONFLICT (measured_at, source) DO UPDATE SET {REPLACED}
        WHERE (m.raw_id, m.item) <= (excluded.raw_id, excluded.item)
)
SELECT raw_id FROM object EXCEPT SELECT raw_id FROM taken WHERE items IS NOT NULL
"""  # noqa: S608 - the columns are this project's own
_WRITE_FIRST_PARTS: Final = _WRITE.replace("OBJECTS", FIRST_PARTS)
_WRITE_LATER_PARTS: Final = _WRITE.replace("OBJECTS", COMPLETE)

# In an archived month, all objects are processed (archive.closed).
_RECEIPTS: Final = """
SELECT raw_id, settled_at IS NOT NULL, attempts FROM receipts WHERE raw_id = ANY (CAST(:raw_ids AS uuid[]))
UNION ALL
SELECT raw_id, true, 0 FROM unnest(CAST(:raw_ids AS uuid[])) AS raw_id
WHERE archive.is_archived(uuid_extract_timestamp(raw_id), 'arrived')
"""

# Consecutive items have the same difference to their row number.
_RUNS: Final = """
SELECT raw_id, is_current, min(item), max(item) + 1 FROM (
    SELECT raw_id, item, is_current,
           item - row_number() OVER (PARTITION BY raw_id, is_current ORDER BY item) AS run
    FROM (
        SELECT raw_id, item, ruleset = CAST(:ruleset AS text) AS is_current
        FROM outcomes JOIN receipts USING (raw_id)
        WHERE outcomes.raw_id = ANY (CAST(:raw_ids AS uuid[])) AND receipts.raw_id = ANY (CAST(:raw_ids AS uuid[]))
          AND settled_at IS NULL
    ) AS own
) AS numbered
GROUP BY raw_id, is_current, run ORDER BY raw_id, min(item)
"""

# Rejected and flagged events by rule; NULL counts all of them.
_BROKEN: Final = """
SELECT raw_id, code, count(*) FILTER (WHERE outcome = 'rejected'), count(*) FILTER (WHERE outcome = 'processed')
FROM outcomes CROSS JOIN LATERAL (
    SELECT violation ->> 'code' FROM jsonb_array_elements(violations) AS violation UNION SELECT NULL
) AS broken (code)
WHERE raw_id = ANY (CAST(:raw_ids AS uuid[])) AND violations <> '[]' AND ruleset = CAST(:ruleset AS text)
GROUP BY raw_id, code
"""

_OUTDATED: Final = """(
    SELECT raw_id, item, measured_at FROM outcomes JOIN receipts AS r USING (raw_id)
    WHERE raw_id = CAST(:raw_id AS uuid) AND ruleset <> CAST(:ruleset AS text) AND r.settled_at IS NULL
    ORDER BY item LIMIT CAST(:limit AS integer)
) AS outdated"""

_DISCARD: Final = f"""
DELETE FROM outcomes USING {_OUTDATED}
WHERE outcomes.raw_id = outdated.raw_id AND outcomes.item = outdated.item
RETURNING CAST(outcomes.measured_at AS text), source, {DAY.replace("measured_at", "outcomes.measured_at")}
"""  # noqa: S608 - the expressions are this project's own

# Updating the receipt marks gold stale.
_TOUCH: Final = "UPDATE receipts SET items = items WHERE raw_id = CAST(:raw_id AS uuid)"

# An attempt without a reported end that started before the server did may have been ended by the server's restart.
_COUNTED: Final = "r.attempts + CASE WHEN r.tried_at < pg_postmaster_start_time() THEN 0 ELSE 1 END"

_RECORD_ATTEMPTS: Final = f"""
INSERT INTO receipts AS r (raw_id, attempts, tried_at, last_error, retry_at)
SELECT raw_id, 1, now(), CAST(:open AS text), now() + CAST(:pause AS interval)
FROM unnest(CAST(:raw_ids AS uuid[])) AS raw_id ORDER BY raw_id
ON CONFLICT (raw_id) DO UPDATE
    SET attempts = {_COUNTED}, tried_at = excluded.tried_at, last_error = excluded.last_error,
        retry_at = now() + CASE
            WHEN {_COUNTED} < CAST(:max_attempts AS integer) THEN CAST(:pause AS interval) * 2 ^ ({_COUNTED} - 1)
            WHEN {_COUNTED} < CAST(:max_attempts AS integer) + CAST(:hourly AS integer) THEN interval '1 hour'
            ELSE interval '1 day' END
    WHERE r.settled_at IS NULL AND (NOT CAST(:only_due AS boolean) OR r.retry_at <= now())
RETURNING raw_id
"""  # noqa: S608 - the expression is this project's own

_RELEASE_ATTEMPTS: Final = """
UPDATE receipts
SET attempts = greatest(attempts - 1, 0), last_error = reason, tried_at = NULL,
    retry_at = now() + CASE WHEN retry_now THEN interval '0' ELSE CAST(:pause AS interval) END
FROM json_to_recordset(CAST(:attempts AS json)) AS released (raw_id uuid, reason text, retry_now boolean)
WHERE receipts.raw_id = released.raw_id AND settled_at IS NULL
"""

_RECORD_ERRORS: Final = """
UPDATE receipts SET last_error = reason, tried_at = NULL
FROM json_to_recordset(CAST(:reasons AS json)) AS given (raw_id uuid, reason text)
WHERE receipts.raw_id = given.raw_id AND settled_at IS NULL
"""

_DUE_FOR_RETRY: Final = """
SELECT raw_id FROM receipts
WHERE settled_at IS NULL AND retry_at <= now()
  AND (CAST(:exhausted AS boolean) OR attempts < CAST(:max_attempts AS integer))
ORDER BY attempts, raw_id LIMIT CAST(:limit AS integer)
"""

_BACKLOG: Final = """
SELECT count(*), count(*) FILTER (WHERE attempts >= CAST(:max_attempts AS integer)) FROM receipts
WHERE settled_at IS NULL
"""

_ADVANCE: Final = """
UPDATE sweep SET watermark = CAST(:raw_id AS uuid) WHERE watermark < CAST(:raw_id AS uuid)
"""


def open_silver(settings: WriterSettings, database: Database) -> "PostgresSilver":
    """Silver with these settings, which validates by the deployed contracts."""
    retry_after = timedelta(seconds=settings.sweep_retry_seconds)
    return PostgresSilver(database, retry_after=retry_after, contracts=deployed_contracts())


class PostgresSilver:
    """See `Silver`. Not thread-safe."""

    def __init__(self, database: Database, *, retry_after: timedelta, contracts: Contracts = BASIC) -> None:
        """`retry_after` is the pause after an object's first attempt; it doubles with each further one."""
        self._database, self._pause = database, f"{retry_after.total_seconds()} seconds"
        self.contracts = contracts
        self._to_release: dict[UUID, dict[str, object]] = {}

    def receipts(self, raw_ids: Collection[UUID]) -> dict[UUID, Receipt]:
        rows = self._run(_RECEIPTS, raw_ids=uuid_array(raw_ids))
        return {raw_id: Receipt(complete, attempts) for raw_id, complete, attempts in rows}

    def write_outcomes(self, validated: Sequence[ValidatedObject]) -> set[UUID]:
        parameters = {
            **object_parameters(validated),
            **event_parameters(validated),
            "days": days_of(validated),
            "ruleset": self.contracts.ruleset,
            "pause": self._pause,
        }
        if any(one.first_item for one in validated):
            # A separate statement: whether all earlier events have outcomes is checked after the wait.
            def work(run: Run) -> list[Row]:
                share_days(run, days=parameters["days"], raw_ids=parameters["raw_ids"])
                return run(_WRITE_LATER_PARTS, **parameters)

            incomplete = self._database.transact(work)
        else:
            incomplete = self._database.run_prepared(_WRITE_FIRST_PARTS, **parameters)
        return {one.raw_id for one in validated}.difference(raw_id for (raw_id,) in incomplete)

    def written(self, raw_ids: Collection[UUID]) -> dict[UUID, Written]:
        runs: dict[UUID, list[range]] = {}
        outdated: Counter[UUID] = Counter()
        for raw_id, is_current, first, end in self._run(
            _RUNS, raw_ids=uuid_array(raw_ids), ruleset=self.contracts.ruleset
        ):
            kept = runs.setdefault(raw_id, [])
            if is_current:
                kept.append(range(first, end))
            else:
                outdated[raw_id] += end - first
        broken: dict[UUID, dict[str | None, tuple[int, int]]] = {}
        if runs:
            for raw_id, code, *events in self._run(_BROKEN, raw_ids=uuid_array(runs), ruleset=self.contracts.ruleset):
                broken.setdefault(raw_id, {})[code] = events[0], events[1]
        return {raw_id: _written(items, broken.get(raw_id, {}), outdated[raw_id]) for raw_id, items in runs.items()}

    def discard_outdated(self, raw_id: UUID, limit: int) -> int:

        def work(run: Run) -> int:
            outdated = {"raw_id": str(raw_id), "ruleset": self.contracts.ruleset, "limit": limit}
            days = LockedDays(run, _OUTDATED, outdated, raw_ids=uuid_array([raw_id]))
            touched = run(_DISCARD, **outdated)
            days.check(touched)
            run(_TOUCH, raw_id=str(raw_id))
            derive(run, touched)
            return len(touched)

        return self._database.transact(work)

    def record_attempts(self, raw_ids: Collection[UUID], *, only_due: bool) -> set[UUID]:
        rows = self._run(
            _RECORD_ATTEMPTS,
            raw_ids=uuid_array(raw_ids),
            open=OPEN_ATTEMPT,
            pause=self._pause,
            only_due=only_due,
            max_attempts=MAX_ATTEMPTS,
            hourly=HOURLY_ATTEMPTS,
        )
        return {raw_id for (raw_id,) in rows}

    def release_attempts(self, reasons: Mapping[UUID, str], *, retry_now: bool = False) -> None:
        for raw_id, reason in reasons.items():
            self._to_release[raw_id] = {"raw_id": raw_id, "reason": reason, "retry_now": retry_now}
        self._release()

    def _release(self) -> None:
        """Release the attempts that are still to be released, also from earlier calls."""
        if self._to_release:
            attempts = json_text(list(self._to_release.values()))
            self._database.run(_RELEASE_ATTEMPTS, attempts=attempts, pause=self._pause)
            self._to_release.clear()

    def record_errors(self, reasons: Mapping[UUID, str]) -> None:
        given = json_text([{"raw_id": raw_id, "reason": reason} for raw_id, reason in reasons.items()])
        self._run(_RECORD_ERRORS, reasons=given)

    def due_for_retry(self, limit: int, *, exhausted: bool) -> list[UUID]:
        rows = self._run(_DUE_FOR_RETRY, limit=limit, exhausted=exhausted, max_attempts=MAX_ATTEMPTS)
        return [raw_id for (raw_id,) in rows]

    def backlog(self) -> Backlog:
        ((waiting, exhausted),) = self._run(_BACKLOG, max_attempts=MAX_ATTEMPTS)
        return Backlog(int(waiting), int(exhausted))

    def watermark(self) -> UUID:
        ((raw_id,),) = self._run("SELECT watermark FROM sweep")
        return UUID(str(raw_id))

    def advance_watermark(self, raw_id: UUID) -> None:
        self._run(_ADVANCE, raw_id=str(raw_id))

    def _run(self, sql: str, **parameters: object) -> list[Row]:
        self._release()
        return self._database.run(sql, **parameters)


def _written(items: Sequence[range], broken: Mapping[str | None, tuple[int, int]], outdated: int) -> Written:
    codes = {Code(code): rejected for code, (rejected, _) in broken.items() if code is not None and rejected}
    rejected, flagged = broken.get(None, (0, 0))
    return Written(tuple(items), rejected, codes, flagged, outdated)
