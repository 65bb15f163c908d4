"""Makes the months of silver's tables; the schema's own function does the work."""

from typing import Final

from dropzone.adapters.database import Database
from dropzone.ports import Months, SilverTable

_ADD_MONTHS: Final = "SELECT made, missing FROM parts.add_months(CAST(:relation AS text))"


class PostgresPartitionStore:
    """See `PartitionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_months(self, table: SilverTable) -> Months:
        ((made, missing),) = self._database.run(_ADD_MONTHS, relation=table)
        return Months(made, missing)
