"""The outcomes of events in Postgres, for replays."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from dropzone.adapters.archived import archived_months
from dropzone.adapters.database import Database, Run
from dropzone.adapters.silver_statements import (
    COMPLETE,
    DAY,
    DECIDED,
    EVENTS,
    FIRST_PARTS,
    MEASURED,
    LockedDays,
    days_of,
    derive,
    event_parameters,
    json_text,
    object_parameters,
    outcome_of,
    uuid_array,
)
from dropzone.domain.contracts import BASIC, Contracts
from dropzone.domain.outcomes import Code, Outcome, ValidatedObject
from dropzone.ports import Decided, RowRefusedError

_PAGE = 1_000

# Items from `first_item` up to, but excluding, `end_item`, or to the end. With the bounds of all the objects, a
# statement is planned only for the months between them.
_PARTS: Final = """
unnest(CAST(:raw_ids AS uuid[]), CAST(:first_items AS integer[]), CAST(:end_items AS integer[]))
AS part (raw_id, first_item, end_item)
"""
_IN_PART: Final = """
outcomes.raw_id = part.raw_id AND item >= first_item AND (end_item IS NULL OR item < end_item)
AND outcomes.raw_id BETWEEN CAST(:first_raw_id AS uuid) AND CAST(:last_raw_id AS uuid)
"""

_OUTCOMES: Final = f"""
SELECT outcomes.raw_id, item - first_item, violations, corrects_raw_id, corrects_item, {MEASURED}
FROM {_PARTS} JOIN outcomes ON {_IN_PART} ORDER BY outcomes.raw_id, item
"""  # noqa: S608 - the columns are this project's own

# Times are text, which keeps them as Postgres has them. The keys of new outcomes come from their rows, below.
_REMOVE: Final = f"""
DELETE FROM outcomes USING {_PARTS} WHERE {_IN_PART}
RETURNING CAST(measured_at AS text), source, {DAY}
"""  # noqa: S608 - the columns are this project's own

# `settled_at` is kept, since latencies are measured by it; outcomes have the time of their last validation.
# Each part updates the receipt, since its trigger marks gold stale. Without `settled_at`, it is due for the sweep.
_COMPLETE_RECEIPT: Final = """
WITH OBJECTS
INSERT INTO receipts AS r (raw_id, items, settled_at, retry_at)
SELECT raw_id, items, CASE WHEN items IS NOT NULL THEN now() END,
       CASE WHEN items IS NULL THEN now() + interval '1 minute' END
FROM object ORDER BY raw_id
ON CONFLICT (raw_id) DO UPDATE
    SET items = coalesce(excluded.items, r.items), settled_at = coalesce(r.settled_at, excluded.settled_at),
        last_error = CASE WHEN excluded.items IS NULL THEN r.last_error END,
        tried_at = CASE WHEN excluded.items IS NULL THEN r.tried_at END,
        retry_at = CASE WHEN excluded.items IS NULL THEN r.retry_at END
"""
_COMPLETE_FIRST_PARTS: Final = _COMPLETE_RECEIPT.replace("OBJECTS", FIRST_PARTS)
_COMPLETE_LATER_PARTS: Final = _COMPLETE_RECEIPT.replace("OBJECTS", COMPLETE)

_RECORD: Final = f"""
INSERT INTO outcomes ({DECIDED}, ruleset)
SELECT {DECIDED}, CAST(:ruleset AS text)
FROM {EVENTS}
RETURNING CAST(measured_at AS text), source
"""  # noqa: S608 - the columns are this project's own

_IS_ARCHIVED: Final = """
SELECT EXISTS (
    SELECT FROM unnest(CAST(:raw_ids AS uuid[])) AS raw_id
    WHERE archive.is_archived(uuid_extract_timestamp(raw_id), 'arrived')
)
"""

_REJECTED_BY: Final = """
SELECT DISTINCT raw_id FROM outcomes
WHERE outcome = 'rejected' AND violations @> CAST(:pattern AS jsonb) AND raw_id > CAST(:after AS uuid)
  AND (CAST(:before AS uuid) IS NULL OR raw_id < CAST(:before AS uuid))
ORDER BY raw_id LIMIT CAST(:limit AS integer)
"""

# Object by object: this is rare, and an index of contracts would slow down every write. A page limits what is read.
_DECIDED_BY: Final = """
WITH page AS (
    SELECT raw_id FROM receipts
    WHERE raw_id > CAST(:after AS uuid) AND (CAST(:before AS uuid) IS NULL OR raw_id < CAST(:before AS uuid))
    ORDER BY raw_id LIMIT CAST(:limit AS integer)
)
SELECT raw_id, EXISTS (
    SELECT FROM outcomes
    WHERE outcomes.raw_id = page.raw_id AND starts_with(contract, :prefix) AND ruleset <> :ruleset
) FROM page ORDER BY raw_id
"""


class PostgresOutcomeStore:
    """See `OutcomeStore`. Not thread-safe."""

    def __init__(self, database: Database, contracts: Contracts = BASIC) -> None:
        self._database, self.contracts = database, contracts

    def outcomes(self, validated: Sequence[ValidatedObject]) -> dict[UUID, tuple[Outcome | None, ...]]:
        found: dict[UUID, list[Outcome | None]] = {}
        for raw_id, number, violations, *columns in self._database.run(_OUTCOMES, **_part_parameters(validated)):
            outcomes = found.setdefault(raw_id, [])
            outcomes += [None] * (number - len(outcomes))
            outcomes.append(outcome_of(violations, columns[:2], columns[2:]))
        return {raw_id: tuple(outcomes) for raw_id, outcomes in found.items()}

    def archived_months(self, since: datetime | None, until: datetime | None) -> list[str]:
        return archived_months(self._database, since, until, "arrived")

    def replace(self, validated: Sequence[ValidatedObject]) -> None:

        def work(run: Run) -> None:
            parts, objects = _part_parameters(validated), object_parameters(validated)
            rows = f"{_PARTS} JOIN outcomes ON {_IN_PART}"
            days = LockedDays(run, rows, parts, raw_ids=objects["raw_ids"], days=days_of(validated))
            # Once receipts have been read, their months can't be archived before the end of this transaction.
            ((is_archived,),) = run(_IS_ARCHIVED, raw_ids=parts["raw_ids"])
            if is_archived:
                raise RowRefusedError("its outcomes are archived: restore the month of its arrival first")
            # Before reading the outcomes: other writers of the same object lock its receipt first as well.
            is_later = any(part.first_item for part in validated)
            run(_COMPLETE_LATER_PARTS if is_later else _COMPLETE_FIRST_PARTS, **objects)
            removed = run(_REMOVE, **parts)
            days.check(removed)
            recorded = run(_RECORD, **event_parameters(validated), ruleset=self.contracts.ruleset)
            derive(run, removed + recorded)

        self._database.transact(work)

    def rejected_by(self, code: Code, *, after: UUID, before: UUID | None) -> list[UUID]:
        pattern = json_text([{"code": code}])
        rows = self._database.run(_REJECTED_BY, pattern=pattern, after=after, before=before, limit=_PAGE)
        return [raw_id for (raw_id,) in rows]

    def decided_by(self, contract: str, *, after: UUID, before: UUID | None) -> Decided:
        rows = self._database.run(
            _DECIDED_BY,
            prefix=f"{contract}@",
            ruleset=self.contracts.ruleset,
            after=after,
            before=before,
            limit=_PAGE,
        )
        return Decided([raw_id for raw_id, is_found in rows if is_found], rows[-1][0] if len(rows) == _PAGE else None)


def _part_parameters(validated: Sequence[ValidatedObject]) -> dict[str, str | None]:
    ends = ["NULL" if part.is_whole else str(part.items) for part in validated]
    raw_ids = [part.raw_id for part in validated]
    return {
        "first_raw_id": str(min(raw_ids)) if raw_ids else None,
        "last_raw_id": str(max(raw_ids)) if raw_ids else None,
        "raw_ids": uuid_array(raw_ids),
        "first_items": f"{{{','.join([str(part.first_item) for part in validated])}}}",
        "end_items": f"{{{','.join(ends)}}}",
    }
