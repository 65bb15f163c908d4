"""Move closed months of silver to files, and bring back those that have changed (docs/adr/0029)."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from dropzone.ports import (
    ArchivedMonth,
    ArchiveFiles,
    ArchivePart,
    ArchiveStore,
    BronzeError,
    FileDiffersError,
    MonthKind,
    SilverError,
    TimeLeft,
)

_RESERVE_SECONDS = 30.0

_HANDOVER_SECONDS = 5.0
"""How long Postgres may take to notice that a connection has ended, whose lock the run had."""

_KINDS: tuple[MonthKind, ...] = ("measured", "arrived")
"""In this order: outcomes of a month of measurements that is archived need not stay."""


@dataclass(slots=True)
class ArchiveResult:
    """What a run came to."""

    archived: list[ArchivedMonth] = field(default_factory=list)
    reinstated: list[ArchivedMonth] = field(default_factory=list)
    changed: list[ArchivedMonth] = field(default_factory=list)
    """Months that changed while they were written: they begin again."""
    rows: int = 0
    """Written to files."""
    errors: dict[ArchivedMonth, Exception] = field(default_factory=dict)
    """Why a month could be neither archived nor reinstated; others were."""
    waiting: int = 0
    """Months that are left to archive or to reinstate."""
    is_beside_another: bool = False
    """Whether another run was at work, so that this one did nothing."""


def archive_months(
    silver_months: int, *, store: ArchiveStore, files: ArchiveFiles, time_left: TimeLeft
) -> ArchiveResult:
    """Reinstate months that have changed, then archive those that are closed, oldest first, as far as the time goes.

    A run goes on where an earlier one ended: a file at a time, and on the way back some thousands of its rows. Months
    in files stay there whatever `silver_months` is. A month that fails is among the errors, and holds no other up.

    Args:
        silver_months: whole months that stay in silver; 0: all of them.
        store: the tables.
        files: the files.
        time_left: seconds that are left. A step is begun if it may take twice as long as the longest before.

    Raises:
        SilverUnavailableError, SilverConflictError: the next run goes on.
    """
    result, pace = ArchiveResult(), _Pace(time_left)
    if not store.begin_run():
        result.is_beside_another = True
        return result
    try:
        _run(silver_months, store, files, pace, result)
    finally:
        with suppress(SilverError):
            store.end_run()
    return result


def _run(silver_months: int, store: ArchiveStore, files: ArchiveFiles, pace: "_Pace", result: ArchiveResult) -> None:
    def reinstate(month: ArchivedMonth) -> None:
        if pace.run(store.away(month), partial(store.reinstate, month, files=files)):
            store.reopen(month)
            result.reinstated.append(month)

    def archive(month: ArchivedMonth) -> None:
        store.begin(month)
        if not pace.run(store.unwritten(month), write_of(month)):
            return
        match store.finish(month):
            case "archived":
                result.archived.append(month)
            case "changed":
                result.changed.append(month)

    def write_of(month: ArchivedMonth) -> Callable[[ArchivePart], None]:
        def write(part: ArchivePart) -> None:
            result.rows += store.write(month, part, files)

        return write

    _each(store.changed(), reinstate, store, result)
    kinds = _KINDS if silver_months else ()
    for kind in kinds:
        _each(store.closed(kind, silver_months), archive, store, result)
    pace.run(store.surplus(), store.remove_surplus)
    result.waiting = len(store.changed()) + sum(len(store.closed(kind, silver_months)) for kind in kinds)


def _each(
    months: Iterable[ArchivedMonth],
    work: Callable[[ArchivedMonth], None],
    store: ArchiveStore,
    result: ArchiveResult,
) -> None:
    for month in months:
        try:
            work(month)
        except (BronzeError, FileDiffersError, SilverError) as error:
            result.errors[month] = error
            # Its connection may be another, which is not this run's yet.
            if not store.begin_run(_HANDOVER_SECONDS):
                raise


class _Pace:
    """Whether the time is enough for another step."""

    def __init__(self, time_left: TimeLeft) -> None:
        self._time_left, self._longest, self._looked_at = time_left, 0.0, time.monotonic()

    def run(self, parts: Sequence[ArchivePart], work: Callable[[ArchivePart], Iterator[None] | None]) -> bool:
        """Do the work for each part, step by step; False if the time ended before the last."""
        # Before each part, and between its steps.
        return all(self._is_enough() and all(self._is_enough() for _ in work(part) or ()) for part in parts)

    def _is_enough(self) -> bool:
        looked_at, self._looked_at = self._looked_at, time.monotonic()
        self._longest = max(self._longest, self._looked_at - looked_at)
        return self._time_left() >= 2 * self._longest + _RESERVE_SECONDS
