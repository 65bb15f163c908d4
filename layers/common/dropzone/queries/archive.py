"""Which months are in files, and no longer in silver (docs/adr/0029)."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from dropzone.adapters.database import Database
from dropzone.domain.identifiers import received_at

Archived = Annotated[
    Sequence[str],
    Field(
        description=(
            "Months of UTC in the range that are archived, and so are not listed, but for what has changed since; "
            "absent without any."
        ),
        examples=[["2019-04", "2019-05"]],
    ),
]

_ARCHIVED_AT: Final = """
SELECT archived_at FROM archive.months
WHERE kind = 'arrived' AND state <> 'writing' AND month = archive.month_of(CAST(:received_at AS timestamptz))
"""


def request_month(database: Database, month: date, days: int) -> bool:
    """Have a month of arrival brought back by the next run of Archive, and kept for some days; whether it is archived.

    Raises:
        SilverUnavailableError: the database is out of reach.
    """
    sql = "SELECT archive.request(CAST(:month AS date), CAST(:days AS integer))"
    ((is_archived,),) = database.run(sql, month=month, days=days)
    return bool(is_archived)


def archived_at(database: Database, raw_id: UUID) -> datetime | None:
    """When the outcomes of an object were archived; None if they are in silver, or nowhere.

    Raises:
        SilverUnavailableError: the database is out of reach.
    """
    found = database.run(_ARCHIVED_AT, received_at=received_at(raw_id))
    return found[0][0] if found else None
