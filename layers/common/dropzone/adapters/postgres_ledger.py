"""Judging again, in Postgres."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from dropzone.adapters.database import Database, Run
from dropzone.adapters.derivation import ALONE, derive
from dropzone.adapters.rows import (
    EVENTS,
    MEASURED,
    OBJECTS,
    event_parameters,
    json_text,
    object_parameters,
    outcome_of,
    uuid_array,
)
from dropzone.domain.outcomes import RULESET, Code, JudgedObject, Outcome

_PAGE = 1_000

_OUTCOMES: Final = f"""
SELECT raw_id, violations, {MEASURED}
FROM outcomes WHERE raw_id = ANY (CAST(:raw_ids AS uuid[])) ORDER BY raw_id, item
"""  # noqa: S608 - the columns are this project's own

# Times as text, which keeps each as Postgres has it. The keys of the new outcomes come from their rows, below.
_REMOVE: Final = """
DELETE FROM outcomes WHERE raw_id = ANY (CAST(:raw_ids AS uuid[]))
RETURNING CAST(measured_at AS text), source
"""

# When an object was settled first stays: latencies are told by it. When it was judged last is told by its outcomes.
_RECORD: Final = f"""
WITH settled AS (
    INSERT INTO receipts AS r (raw_id, items, settled_at) SELECT raw_id, items, now() FROM {OBJECTS} ORDER BY raw_id
    ON CONFLICT (raw_id) DO UPDATE
        SET items = excluded.items, settled_at = coalesce(r.settled_at, excluded.settled_at), last_error = NULL,
            retry_at = NULL
)
INSERT INTO outcomes (raw_id, item, outcome, violations, {MEASURED}, ruleset)
SELECT raw_id, item, outcome, violations, {MEASURED}, CAST(:ruleset AS integer)
FROM {EVENTS}
RETURNING CAST(measured_at AS text), source
"""  # noqa: S608 - the columns are this project's own

_REJECTED_BY: Final = """
SELECT DISTINCT raw_id FROM outcomes
WHERE outcome = 'rejected' AND violations @> CAST(:pattern AS jsonb) AND raw_id > CAST(:after AS uuid)
  AND (CAST(:before AS uuid) IS NULL OR raw_id < CAST(:before AS uuid))
ORDER BY raw_id LIMIT CAST(:limit AS integer)
"""


class PostgresLedger:
    """The outcomes of events. Not for two threads at once."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    def outcomes(self, raw_ids: Collection[UUID]) -> dict[UUID, tuple[Outcome, ...]]:
        """See `Ledger.outcomes`."""
        found: dict[UUID, list[Outcome]] = {}
        for raw_id, violations, *figures in self._database.run(_OUTCOMES, raw_ids=uuid_array(raw_ids)):
            found.setdefault(raw_id, []).append(outcome_of(violations, figures))
        return {raw_id: tuple(outcomes) for raw_id, outcomes in found.items()}

    def replace(self, judged: Sequence[JudgedObject]) -> None:
        """See `Ledger.replace`."""

        def work(run: Run) -> None:
            run(ALONE)
            touched = run(_REMOVE, raw_ids=uuid_array(entry.raw_id for entry in judged))
            touched += run(_RECORD, **object_parameters(judged), **event_parameters(judged), ruleset=RULESET)
            derive(run, touched)

        self._database.transact(work)

    def rejected_by(self, code: Code, *, after: UUID, before: UUID | None) -> list[UUID]:
        """See `Ledger.rejected_by`."""
        rows = self._database.run(
            _REJECTED_BY,
            pattern=json_text([{"code": code}]),
            after=str(after),
            before=None if before is None else str(before),
            limit=_PAGE,
        )
        return [raw_id for (raw_id,) in rows]
