"""The advisory locks of days, between who writes a measurement and who derives it again (docs/adr/0022).

A measurement follows from the outcomes of its key, of which a transaction sees those that are committed. So whoever
replaces outcomes has the days of their instants alone, old and new ones, while all others share theirs. Days are locked
in ascending order, before any row, and rows of `receipts` before others: nobody waits in a circle.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from dropzone.adapters.database import Row, Run
from dropzone.domain.outcomes import Measurement, ValidatedObject
from dropzone.ports import SilverConflictError

_DAYS: Final = 64
"""Days that are so far apart share a lock: a transaction holds no more locks than a server has room for, whatever
instants a client makes up. (It has room for 64 of each connection that it allows.)"""

_CLASS: Final = 7308333
"""The first number of the locks, ours alone."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

DAY: Final = f"CAST(floor(extract(epoch FROM measured_at) / 86400) AS integer) & {_DAYS - 1}"
"""The lock's number for a row."""

SHARED: Final = f"""locked AS MATERIALIZED (
    SELECT pg_advisory_xact_lock_shared({_CLASS}, day) FROM unnest(CAST(:days AS integer[])) AS day
)"""  # noqa: S608 - the number is this project's own
"""A common table that locks `days` for a statement that reads it before it writes."""

_SHARE: Final = f"WITH {SHARED} SELECT FROM locked"

_LOCK: Final = f"""
WITH day AS (
    SELECT unnest(CAST(:days AS integer[])) AS day UNION SELECT {DAY} FROM {{rows}} WHERE measured_at IS NOT NULL
)
SELECT day, pg_advisory_xact_lock({_CLASS}, day) FROM (SELECT day FROM day ORDER BY day) AS ordered
"""  # noqa: S608 - the numbers are this project's own

# They are found again after the wait: a statement sees what was there when it began.
_RECEIPTS: Final = "SELECT FROM receipts WHERE raw_id = ANY (CAST(:raw_ids AS uuid[])) ORDER BY raw_id FOR UPDATE"


def days_of(validated: Iterable[ValidatedObject]) -> str:
    """The days of these outcomes, in ascending order, as the text of an integer[] parameter."""
    days = {
        (outcome.measured_at - _EPOCH).days & _DAYS - 1
        for one in validated
        for outcome in one.outcomes
        if isinstance(outcome, Measurement)
    }
    return f"{{{','.join(map(str, sorted(days)))}}}"


def share_days(run: Run, *, days: str, raw_ids: str) -> None:
    """Share days, and lock receipts, before a transaction's other statements."""
    run(_SHARE, days=days)
    run(_RECEIPTS, raw_ids=raw_ids)


class LockedDays:
    """The days that a transaction has alone."""

    def __init__(
        self, run: Run, rows: str, parameters: Mapping[str, object], *, raw_ids: str, days: str = "{}"
    ) -> None:
        """Lock `days`, and those of rows of `outcomes`, then the receipts of these objects.

        `rows` is a FROM item with these parameters. Has to come first in its transaction.
        """
        self._days = {day for day, _ in run(_LOCK.format(rows=rows), days=days, **parameters)}
        run(_RECEIPTS, raw_ids=raw_ids)

    def check(self, removed: Sequence[Row]) -> None:
        """Check that rows of `outcomes` which are removed now, with their days at the end, are of locked days.

        Raises:
            SilverConflictError: another transaction wrote some of them before this one had the lock of their receipt.
        """
        if not {day for *_, day in removed if day is not None} <= self._days:
            raise SilverConflictError("outcomes changed while their days were being locked")
