"""Refreshes gold; the schema's own functions do the work."""

from typing import Final

from dropzone.adapters.database import Database

_REFRESH: Final = "SELECT gold.refresh(CAST(:max_events AS bigint))"

# A bucket that was never computed is stale since the beginning of time.
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
