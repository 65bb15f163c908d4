"""Which months are in files, and no longer in silver (docs/adr/0029)."""

from datetime import datetime
from typing import Final

from dropzone.adapters.database import Database
from dropzone.ports import MonthKind

_ARCHIVED: Final = """
SELECT DISTINCT to_char(month, 'YYYY-MM') FROM archive.months
WHERE kind = ANY (CAST(:kinds AS text[])) AND state <> 'writing'
  AND archive.end_of(month) > CAST(:since AS timestamptz) AND archive.start_of(month) < CAST(:until AS timestamptz)
ORDER BY 1
"""


def archived_months(database: Database, since: datetime | None, until: datetime | None, *kinds: MonthKind) -> list[str]:
    """The archived months of a range, such as `2019-05`. To be asked after silver: a month may go meanwhile.

    Raises:
        SilverUnavailableError: the database is out of reach.
    """
    parameters = {"since": since or "-infinity", "until": until or "infinity", "kinds": list(kinds)}
    return [month for (month,) in database.run(_ARCHIVED, **parameters)]
