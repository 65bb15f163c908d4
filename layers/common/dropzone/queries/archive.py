"""Which months of measurements are in files, and no longer in silver (docs/adr/0029)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field

from dropzone.adapters.database import Database

Archived = Annotated[
    Sequence[str],
    Field(
        description=(
            "Months of UTC in the range whose measurements are archived, and so are not listed, but for what arrived "
            "since; absent without any."
        ),
        examples=[["2019-04", "2019-05"]],
    ),
]

_ARCHIVED: Final = """
SELECT to_char(month, 'YYYY-MM') FROM archive.months
WHERE state <> 'writing' AND archive.start_of(CAST(month + interval '1 month' AS date)) > CAST(:since AS timestamptz)
  AND archive.start_of(month) < CAST(:until AS timestamptz)
ORDER BY month
"""


def archived_months(database: Database, since: datetime | None, until: datetime | None) -> list[str]:
    """The archived months of a range, such as `2019-05`. To be asked after silver: a month may go meanwhile.

    Raises:
        SilverUnavailableError: the database is out of reach.
    """
    parameters = {"since": since or "-infinity", "until": until or "infinity"}
    return [month for (month,) in database.run(_ARCHIVED, **parameters)]
