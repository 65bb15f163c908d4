"""Move closed months of measurements to files, and bring back those that have changed (docs/adr/0029)."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import partial

from dropzone.ports import ArchiveFiles, ArchiveStore, TimeLeft

_RESERVE_SECONDS = 30.0


@dataclass(slots=True)
class ArchiveResult:
    """What a run came to."""

    archived: list[date] = field(default_factory=list)
    reinstated: list[date] = field(default_factory=list)
    changed: list[date] = field(default_factory=list)
    """Months that changed while they were written: they begin again."""
    events: int = 0
    """Written to files."""
    waiting: int = 0
    """Months that are left to archive or to reinstate."""


def archive_months(
    silver_months: int, *, store: ArchiveStore, files: ArchiveFiles, time_left: TimeLeft
) -> ArchiveResult:
    """Reinstate months that have changed, then archive those that are closed, oldest first, as far as the time goes.

    A run goes on where an earlier one ended, a day at a time. Months in files stay there whatever `silver_months` is.

    Args:
        silver_months: whole months that stay in silver; 0: all of them.
        store: the table.
        files: the files.
        time_left: seconds that are left. A day is begun if it may take twice as long as the longest before.

    Raises:
        FileDiffersError, BronzeUnavailableError, SilverUnavailableError, SilverConflictError: the next run goes on.
    """
    result, pace = ArchiveResult(), _Pace(time_left)
    for month in store.changed():
        if pace.run(store.days_to_reinstate(month), partial(store.reinstate, month)):
            store.reopen(month)
            result.reinstated.append(month)
    for month in store.closed(silver_months) if silver_months else ():
        _archive(month, store, files, pace, result)
    result.waiting = len(store.changed()) + (len(store.closed(silver_months)) if silver_months else 0)
    return result


def _archive(month: date, store: ArchiveStore, files: ArchiveFiles, pace: "_Pace", result: ArchiveResult) -> None:
    def write(day: date) -> None:
        result.events += store.write(month, day, files) or 0

    store.begin(month)
    if not pace.run(store.days_to_write(month), write) or store.days_to_write(month):
        return
    match store.finish(month):
        case "archived":
            result.archived.append(month)
        case "changed":
            result.changed.append(month)


class _Pace:
    """Whether the time is enough for another day."""

    def __init__(self, time_left: TimeLeft) -> None:
        self._time_left, self._longest = time_left, 0.0

    def run(self, days: list[date], work: Callable[[date], None]) -> bool:
        """Do the work for each day; False if the time ended before the last."""
        for day in days:
            if self._time_left() < 2 * self._longest + _RESERVE_SECONDS:
                return False
            began = time.monotonic()
            work(day)
            self._longest = max(self._longest, time.monotonic() - began)
        return True
