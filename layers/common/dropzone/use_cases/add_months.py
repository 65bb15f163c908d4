"""Make the months of silver's tables, before events of them arrive. Rows of other months are in the default."""

from typing import get_args

from dropzone.ports import Months, PartitionStore, SilverTable, TimeLeft
from dropzone.use_cases.objects import RESERVE_SECONDS


def add_months(store: PartitionStore, *, time_left: TimeLeft) -> Months:
    """Make what months the tables need, until none is left to make or time is short; returns how many.

    Raises:
        SilverUnavailableError, SilverConflictError: what was made until then stays.
    """
    made = missing = 0
    for table in get_args(SilverTable):
        while time_left() >= RESERVE_SECONDS:
            months = store.add_months(table)
            made += months.made
            if months.made == 0 or months.missing:
                missing += months.missing
                break
    return Months(made, missing)
