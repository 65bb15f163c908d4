"""Move closed months of silver to files, and reinstate those that have changed (docs/adr/0029)."""

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
"""The time that Postgres may take to notice that a connection, and so the run's lock, has ended."""

_KINDS: tuple[MonthKind, ...] = ("measured", "arrived")
"""In this order: once a month of measurements is archived, its outcomes no longer need to stay."""


@dataclass(slots=True)
class ArchiveResult:
    """The result of a run."""

    archived: list[ArchivedMonth] = field(default_factory=list)
    reinstated: list[ArchivedMonth] = field(default_factory=list)
    changed: list[ArchivedMonth] = field(default_factory=list)
    """Months that changed while they were being written; they start again."""
    rows: int = 0
    """The number of rows written to files."""
    errors: dict[ArchivedMonth, Exception] = field(default_factory=dict)
    """Why a month could not be archived or reinstated; it does not affect other months."""
    waiting: int = 0
    """The number of months left to archive or reinstate."""
    is_beside_another: bool = False
    """Whether another run was active, so that this one did nothing."""


def archive_months(
    silver_months: int, *, store: ArchiveStore, files: ArchiveFiles, time_left: TimeLeft
) -> ArchiveResult:
    """Reinstate months that have changed, then archive closed ones, oldest first, as far as time allows.

    `silver_months` is the number of whole months to keep in silver; 0 keeps all. Months already in files stay there in
    any case. A run continues where an earlier one ended: archiving proceeds by file, reinstating by some thousands of
    a file's rows. A month that fails is reported in `errors`, and doesn't block others. A step is started only if there
    is time for twice as long as the longest step so far.

    Raises:
        SilverUnavailableError, SilverConflictError: the next run continues.
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
                # There may be a new connection by now, which doesn't have the run's lock yet.
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
        """Do the work for each part, step by step; False if time ran out before the last."""
        # The time is checked before each part, and between its steps.
        return all(self._has_time() and all(self._has_time() for _ in work(part) or ()) for part in parts)

    def _has_time(self) -> bool:
        """Whether there is enough time for another step."""
        looked_at, self._looked_at = self._looked_at, time.monotonic()
        self._longest = max(self._longest, self._looked_at - looked_at)
        return self._time_left() >= 2 * self._longest + _RESERVE_SECONDS
