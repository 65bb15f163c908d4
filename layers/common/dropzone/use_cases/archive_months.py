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
    in files stay there whatever `silver_months` is: so many whole months stay in silver, and with 0 all of them. A
    month that fails is among the errors, and holds no other up. A step is begun if it may take twice as long as the
    longest before.

    Raises:
        SilverUnavailableError, SilverConflictError: the next run goes on.
    """
    run = _Run(store, files, time_left)
    if not store.begin_run():
        run.result.is_beside_another = True
        return run.result
    try:
        run.through(silver_months)
    finally:
        with suppress(SilverError):
            store.end_run()
    return run.result


class _Run:
    def __init__(self, store: ArchiveStore, files: ArchiveFiles, time_left: TimeLeft) -> None:
        self.result = ArchiveResult()
        self._store, self._files, self._time_left = store, files, time_left
        self._longest, self._looked_at = 0.0, time.monotonic()

    def through(self, silver_months: int) -> None:
        store = self._store
        self._each(store.changed(), self._reinstate)
        kinds = _KINDS if silver_months else ()
        for kind in kinds:
            self._each(store.closed(kind, silver_months), self._archive)
        self._do(store.surplus(), store.remove_surplus)
        closed = sum(len(store.closed(kind, silver_months)) for kind in kinds)
        self.result.waiting = len(store.changed()) + closed

    def _each(self, months: Iterable[ArchivedMonth], work: Callable[[ArchivedMonth], None]) -> None:
        for month in months:
            try:
                work(month)
            except (BronzeError, FileDiffersError, SilverError) as error:
                self.result.errors[month] = error
                # Its connection may be another, which is not this run's yet.
                if not self._store.begin_run(_HANDOVER_SECONDS):
                    raise

    def _reinstate(self, month: ArchivedMonth) -> None:
        if self._do(self._store.away(month), partial(self._store.reinstate, month, files=self._files)):
            self._store.reopen(month)
            self.result.reinstated.append(month)

    def _archive(self, month: ArchivedMonth) -> None:
        self._store.begin(month)
        if not self._do(self._store.unwritten(month), partial(self._write, month)):
            return
        match self._store.finish(month):
            case "archived":
                self.result.archived.append(month)
            case "changed":
                self.result.changed.append(month)

    def _write(self, month: ArchivedMonth, part: ArchivePart) -> None:
        self.result.rows += self._store.write(month, part, self._files)

    def _do(self, parts: Sequence[ArchivePart], work: Callable[[ArchivePart], Iterator[None] | None]) -> bool:
        """Do the work for each part, step by step; False if the time ended before the last."""
        # Before each part, and between its steps.
        return all(self._has_time() and all(self._has_time() for _ in work(part) or ()) for part in parts)

    def _has_time(self) -> bool:
        """Whether the time is enough for another step."""
        looked_at, self._looked_at = self._looked_at, time.monotonic()
        self._longest = max(self._longest, self._looked_at - looked_at)
        return self._time_left() >= 2 * self._longest + _RESERVE_SECONDS
