"""Replays and sweeps by fleet in Postgres: their ranges and progress."""

from datetime import datetime
from typing import Final
from uuid import UUID

from dropzone.adapters.database import Database, Row
from dropzone.adapters.silver_statements import json_text
from dropzone.domain.identifiers import earliest_raw_id, new_raw_id, parse_cursor
from dropzone.ports import FleetRange, FleetReplay, FleetReport, RangeProgress, Wanted

# For the same objects and rules, an unfinished replay is continued, so that nothing is done twice. Without `until`, a
# replay ends at the time when it was started.
_BEGIN: Final = """
WITH wanted AS (
    SELECT CAST(:since AS timestamptz) AS since, CAST(:until AS timestamptz) AS until,
           CAST(:contract AS text) AS contract, CAST(:dry_run AS boolean) AS dry_run, CAST(:ruleset AS text) AS ruleset,
           CAST(:is_sweep AS boolean) AS is_sweep
), known AS (
    UPDATE replays AS r SET is_paused = false, active_at = now() FROM wanted
    WHERE r.since = wanted.since AND (r.is_open AND wanted.until IS NULL OR NOT r.is_open AND r.until = wanted.until)
      AND r.contract IS NOT DISTINCT FROM wanted.contract AND r.dry_run = wanted.dry_run
      AND r.ruleset = wanted.ruleset AND r.is_sweep = wanted.is_sweep AND r.finished_at IS NULL
    RETURNING r.replay_id
), new AS (
    INSERT INTO replays (replay_id, since, until, is_open, contract, dry_run, ruleset, is_sweep, planned_until)
    SELECT CAST(:replay_id AS uuid), since, coalesce(until, now()), until IS NULL, contract, dry_run, ruleset, is_sweep,
           since
    FROM wanted WHERE NOT EXISTS (SELECT FROM known)
    RETURNING replay_id
)
SELECT replay_id FROM known UNION ALL SELECT replay_id FROM new LIMIT 1
"""

_REPLAY: Final = """
SELECT since, until, contract, dry_run, ruleset, planned_until, is_paused, is_sweep FROM replays
WHERE replay_id = CAST(:replay_id AS uuid)
"""

# Uses only the index of receipts. Objects without a receipt are in the ranges as well, but not counted.
_FIRST_BEYOND: Final = """
SELECT raw_id FROM receipts WHERE raw_id >= CAST(:since AS uuid) AND raw_id < CAST(:until AS uuid)
ORDER BY raw_id OFFSET CAST(:objects AS integer) LIMIT 1
"""
_COUNT: Final = "SELECT count(*) FROM receipts WHERE raw_id >= CAST(:since AS uuid) AND raw_id < CAST(:until AS uuid)"

# Of two concurrent planners, one adds the range, and the other nothing.
_ADD: Final = """
WITH planned AS (
    UPDATE replays SET planned_until = CAST(:until AS timestamptz), active_at = now()
    WHERE replay_id = CAST(:replay_id AS uuid) AND planned_until = CAST(:since AS timestamptz)
    RETURNING replay_id
)
INSERT INTO replay_ranges (replay_id, number, since, until, objects)
SELECT replay_id, (SELECT count(*) FROM replay_ranges AS r WHERE r.replay_id = planned.replay_id),
       CAST(:since AS timestamptz), CAST(:until AS timestamptz), CAST(:objects AS integer)
FROM planned
"""

_PENDING: Final = """
SELECT number FROM replay_ranges WHERE replay_id = CAST(:replay_id AS uuid) AND NOT is_done
ORDER BY number LIMIT CAST(:limit AS integer)
"""

_RANGE: Final = """
SELECT since, until, cursor, is_done FROM replay_ranges
WHERE replay_id = CAST(:replay_id AS uuid) AND number = CAST(:number AS integer)
"""

# If a retry causes two calls to work on one range, the one that is behind changes nothing: its objects are counted
# already. Calls for other ranges wait for the replay's row only once an hour.
_ADVANCE: Final = """
WITH active AS (
    UPDATE replays SET active_at = now()
    WHERE replay_id = CAST(:replay_id AS uuid) AND active_at < now() - interval '1 hour'
)
UPDATE replay_ranges AS r
SET cursor = CAST(:cursor AS text), is_done = CAST(:is_done AS boolean), checked = checked + CAST(:checked AS bigint),
    rejected = rejected + CAST(:rejected AS bigint), unread = unread + CAST(:unread AS bigint),
    changes = (
        SELECT coalesce(jsonb_object_agg(key, events), '{}') FROM (
            SELECT key, sum(CAST(value AS bigint)) AS events FROM (
                SELECT * FROM jsonb_each_text(r.changes)
                UNION ALL SELECT * FROM jsonb_each_text(CAST(:changes AS jsonb))
            ) AS counted GROUP BY key
        ) AS added
    )
WHERE replay_id = CAST(:replay_id AS uuid) AND number = CAST(:number AS integer) AND NOT is_done
  AND cursor IS NOT DISTINCT FROM CAST(:before AS text)
RETURNING number
"""

_FINISH: Final = """
UPDATE replays SET finished_at = coalesce(finished_at, now())
WHERE replay_id = CAST(:replay_id AS uuid) AND planned_until >= until AND NOT EXISTS (
    SELECT FROM replay_ranges AS r WHERE r.replay_id = replays.replay_id AND NOT is_done
)
"""

_REPORT: Final = """
SELECT count(*), count(*) FILTER (WHERE is_done), coalesce(sum(objects), 0), coalesce(sum(checked), 0),
       coalesce(sum(rejected), 0), coalesce(sum(unread), 0), (
           SELECT coalesce(jsonb_object_agg(key, events), '{}') FROM (
               SELECT key, sum(CAST(value AS bigint)) AS events
               FROM replay_ranges AS r CROSS JOIN LATERAL jsonb_each_text(r.changes)
               WHERE r.replay_id = CAST(:replay_id AS uuid) GROUP BY key
           ) AS added
       )
FROM replay_ranges WHERE replay_id = CAST(:replay_id AS uuid)
"""

# Its ranges are deleted with it.
_DELETE_OLD: Final = "DELETE FROM replays WHERE active_at < CAST(:before AS timestamptz) RETURNING replay_id"


class PostgresFleetStore:
    """See `FleetStore`. Not thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, wanted: Wanted, ruleset: str) -> UUID:
        begun: UUID
        ((begun,),) = self._run(_BEGIN, new_raw_id(), ruleset=ruleset, **wanted._asdict())
        return begun

    def replay(self, replay_id: UUID) -> FleetReplay | None:
        rows = self._run(_REPLAY, replay_id)
        return FleetReplay(*rows[0]) if rows else None

    def first_beyond(self, since: datetime, until: datetime, objects: int) -> UUID | None:
        rows = self._database.run(_FIRST_BEYOND, objects=objects, **_bounds(since, until))
        return rows[0][0] if rows else None

    def add_range(self, replay_id: UUID, since: datetime, until: datetime, objects: int | None = None) -> None:
        if objects is None:
            ((objects,),) = self._database.run(_COUNT, **_bounds(since, until))
        self._run(_ADD, replay_id, since=since, until=until, objects=objects)

    def pending(self, replay_id: UUID, limit: int) -> list[int]:
        return [number for (number,) in self._run(_PENDING, replay_id, limit=limit)]

    def range(self, replay_id: UUID, number: int) -> FleetRange | None:
        rows = self._run(_RANGE, replay_id, number=number)
        if not rows:
            return None
        since, until, cursor, is_done = rows[0]
        return FleetRange(since, until, None if cursor is None else parse_cursor(cursor), is_done)

    def advance(self, replay_id: UUID, number: int, progress: RangeProgress) -> bool:
        as_text = {
            "before": progress.before and str(progress.before),
            "cursor": progress.cursor and str(progress.cursor),
            "changes": json_text(progress.changes),
        }
        return bool(self._run(_ADVANCE, replay_id, number=number, **progress._asdict() | as_text))

    def report(self, replay_id: UUID) -> FleetReport:
        self._run(_FINISH, replay_id)
        (row,) = self._run(_REPORT, replay_id)
        *sums, changes = row
        ranges, done, objects, checked, rejected, unread = map(int, sums)
        return FleetReport(ranges, done, objects, checked, rejected, unread, changes)

    def pause(self, replay_id: UUID) -> None:
        self._run("UPDATE replays SET is_paused = true WHERE replay_id = CAST(:replay_id AS uuid)", replay_id)

    def delete_old(self, before: datetime) -> int:
        return len(self._database.run(_DELETE_OLD, before=before))

    def _run(self, sql: str, replay_id: UUID, **parameters: object) -> list[Row]:
        return self._database.run(sql, replay_id=replay_id, **parameters)


def _bounds(since: datetime, until: datetime) -> dict[str, UUID]:
    return {"since": earliest_raw_id(since), "until": earliest_raw_id(until)}
