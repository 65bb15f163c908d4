"""Gold, kept: who writes it needs none of the types of who reads it."""

from typing import Final

from dropzone.adapters.database import Database

_REFRESH: Final = "SELECT gold.refresh(CAST(:most AS integer))"


class PostgresGoldKeeper:
    """Stale quarters, computed anew by the schema's own function."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    def refresh(self, most: int) -> int:
        """See `GoldKeeper.refresh`."""
        ((parts,),) = self._database.run(_REFRESH, most=most)
        return int(parts)
