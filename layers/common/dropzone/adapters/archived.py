"""The archived months: those in files, and no longer in silver (docs/adr/0029).

Each call raises SilverUnavailableError if the database can't be reached.
"""

from datetime import date, datetime
from typing import Final
from uuid import UUID

from dropzone.adapters.database import Database
from dropzone.domain.identifiers import received_at
from dropzone.ports import MonthKind

_ARCHIVED: Final = """
SELECT DISTINCT to_char(month, 'YYYY-MM') FROM archive.months
WHERE kind = ANY (CAST(:kinds AS text[])) AND state <> 'writing'
  AND archive.end_of(month) > CAST(:since AS timestamptz) AND archive.start_of(month) < CAST(:until AS timestamptz)
ORDER BY 1
"""

_ARCHIVED_AT: Final = """
SELECT archived_at FROM archive.months
WHERE kind = 'arrived' AND state <> 'writing' AND month = archive.month_of(CAST(:received_at AS timestamptz))
"""


def archived_months(database: Database, since: datetime | None, until: datetime | None, *kinds: MonthKind) -> list[str]:
    """The archived months of a range, such as `2019-05`. Call it after reading silver: a month may go in between."""
    parameters = {"since": since or "-infinity", "until": until or "infinity", "kinds": list(kinds)}
    return [month for (month,) in database.run(_ARCHIVED, **parameters)]


def request_month(database: Database, month: date, days: int) -> bool:
    """Request the next run of Archive to restore a month of arrival for some days; returns whether it is archived."""
    sql = "SELECT archive.request(CAST(:month AS date), CAST(:days AS integer))"
    ((is_archived,),) = database.run(sql, month=month, days=days)
    return bool(is_archived)


def archived_at(database: Database, raw_id: UUID) -> datetime | None:
    """When the outcomes of an object were archived; None if they are in silver, or don't exist."""
    found = database.run(_ARCHIVED_AT, received_at=received_at(raw_id))
    return found[0][0] if found else None
