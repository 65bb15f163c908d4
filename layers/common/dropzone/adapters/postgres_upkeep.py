"""Scheduled maintenance of months, gold, and expectations of sources, by functions of the schema."""

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic_core import to_json

from dropzone.adapters.contracts import compiled_expectations
from dropzone.adapters.database import Database
from dropzone.domain.expectations import Expectation
from dropzone.ports import Months, SilverTable, Standing

_ADD_MONTHS: Final = "SELECT made, missing FROM parts.add_months(CAST(:relation AS text))"


class PostgresPartitionStore:
    """See `PartitionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_months(self, table: SilverTable) -> Months:
        ((made, missing),) = self._database.run(_ADD_MONTHS, relation=table)
        return Months(made, missing)


_REFRESH: Final = "SELECT gold.refresh(CAST(:max_events AS bigint))"

# A bucket that was never computed has been stale since -infinity.
_STALE_SECONDS: Final = """
SELECT extract(epoch FROM now() - greatest(coalesce(min(marked_at), now()), now() - interval '1 day'))
FROM (SELECT marked_at FROM gold.measured_stale UNION ALL SELECT marked_at FROM gold.arrived_stale) AS stale
"""


class PostgresGoldStore:
    """See `GoldStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def stale_seconds(self) -> float:
        ((seconds,),) = self._database.run(_STALE_SECONDS)
        return float(seconds)

    def refresh(self, max_events: int) -> int:
        ((buckets,),) = self._database.run(_REFRESH, max_events=max_events)
        return int(buckets)


_DEPLOY: Final = "SELECT gold.deploy_contracts(CAST(:contracts AS jsonb))"
_UNASSIGNED: Final = """
SELECT source, decided_by FROM gold.unassigned(CAST(:ruleset AS text), CAST(:limit AS bigint))
"""
_ASSIGN: Final = "SELECT gold.assign(CAST(:ruleset AS text), CAST(:sources AS jsonb))"
_CHECK: Final = "SELECT expectation, broken, changed FROM gold.check_expectations()"
# Changes are identified by their batch and their position in it.
_UNSENT: Final = """
SELECT CAST(id AS text), CAST((
    SELECT jsonb_agg(change || jsonb_build_object('id', id || '/' || place) ORDER BY place)
    FROM jsonb_array_elements(changes) WITH ORDINALITY AS entry (change, place)
) AS text)
FROM gold.notification ORDER BY created_at, id LIMIT CAST(:limit AS integer)
"""
_UNSENT_SECONDS: Final = "SELECT coalesce(date_part('epoch', now() - min(created_at)), 0) FROM gold.notification"
_SENT: Final = "DELETE FROM gold.notification WHERE id = CAST(:id AS uuid)"


class PostgresExpectationStore:
    """See `ExpectationStore`."""

    def __init__(self, database: Database, expectations: str | None = None) -> None:
        self._database = database
        self._expectations = compiled_expectations() if expectations is None else expectations

    def deploy(self) -> None:
        self._database.run(_DEPLOY, contracts=self._expectations)

    def unassigned(self, ruleset: str, limit: int) -> Sequence[tuple[str, str]]:
        found = self._database.run(_UNASSIGNED, ruleset=ruleset, limit=limit)
        return [(str(source), str(decided_by)) for source, decided_by in found]

    def assign(self, ruleset: str, contracts: Mapping[str, str]) -> None:
        rows = [{"source": source, "contract": contract} for source, contract in contracts.items()]
        self._database.run(_ASSIGN, ruleset=ruleset, sources=to_json(rows).decode())

    def check(self) -> Mapping[Expectation, Standing]:
        return {Expectation(name): Standing(broken, changed) for name, broken, changed in self._database.run(_CHECK)}

    def unsent(self, limit: int) -> Sequence[tuple[str, bytes]]:
        found = self._database.run(_UNSENT, limit=limit)
        return [(str(batch_id), str(changes).encode()) for batch_id, changes in found]

    def sent(self, batch_id: str) -> None:
        self._database.run(_SENT, id=batch_id)

    def unsent_seconds(self) -> float:
        ((seconds,),) = self._database.run(_UNSENT_SECONDS)
        return float(seconds)
