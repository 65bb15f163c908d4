"""A run of the archive: what it does in which order, and how far it goes in the time that there is."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from dropzone.ports import (
    ArchivedMonth,
    ArchiveFiles,
    ArchivePart,
    BronzeUnavailableError,
    FileDiffersError,
    MonthKind,
    SilverConflictError,
    SilverUnavailableError,
    WrittenFile,
)
from dropzone.use_cases import archive_months as use_case
from dropzone.use_cases.archive_months import ArchiveResult, archive_months

if TYPE_CHECKING:
    from dropzone.ports import ArchiveStore

MARCH, APRIL, MAY = (ArchivedMonth("measured", date(2026, month, 1)) for month in (3, 4, 5))
OF_ARRIVAL = ArchivedMonth("arrived", date(2026, 4, 1))
BEGINS_AT = datetime(2026, 4, 1, tzinfo=UTC)
PARTS = [
    ArchivePart("outcomes", at, at + timedelta(days=1)) for at in (BEGINS_AT + timedelta(days=n) for n in range(12))
]


class NoFiles:
    """The store here neither reads nor writes any."""

    def write(self, part: ArchivePart, rows: Iterator[str]) -> WrittenFile:
        raise NotImplementedError

    def read(self, part: ArchivePart, sha256: str, after: int = 0) -> Iterator[str]:
        raise NotImplementedError


FILES = NoFiles()


@dataclass(slots=True)
class Store:
    """Tables that note what is asked of them."""

    changes: list[ArchivedMonth] = field(default_factory=list)
    months: dict[MonthKind, list[ArchivedMonth]] = field(default_factory=dict)
    parts: list[ArchivePart] = field(default_factory=lambda: PARTS[:2])
    ends: dict[ArchivedMonth, str] = field(default_factory=dict)
    kept: int = 3
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    seconds: float = 0
    """What a file takes, or a step of one that comes back."""
    steps: int = 1
    clock: float = 0
    others: list[bool] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    """For how long a run was tried to be begun, each time."""
    """Whether another run is in progress, each time that one begins; later none is."""
    broken: dict[ArchivedMonth, Exception] = field(default_factory=dict)

    def begin_run(self, timeout: float = 0.0) -> bool:
        self.timeouts.append(timeout)
        return not (self.others and self.others.pop(0))

    def end_run(self) -> None:
        self.calls.append(("end_run",))
        if self.broken:
            raise SilverUnavailableError

    def changed(self) -> list[ArchivedMonth]:
        return self.changes

    def away(self, month: ArchivedMonth) -> list[ArchivePart]:
        assert month in self.changes
        return self.parts

    def reinstate(self, month: ArchivedMonth, part: ArchivePart, files: ArchiveFiles) -> Iterator[None]:
        assert files is FILES
        for _ in range(self.steps):
            self._work("reinstate", month, part)
            yield

    def reopen(self, month: ArchivedMonth) -> None:
        self.calls.append(("reopen", month))

    def closed(self, kind: MonthKind, kept: int) -> list[ArchivedMonth]:
        assert kept == self.kept
        return self.months.get(kind, [])

    def begin(self, month: ArchivedMonth) -> None:
        self.calls.append(("begin", month))

    def unwritten(self, month: ArchivedMonth) -> list[ArchivePart]:
        assert self.calls[-1] == ("begin", month)
        return self.parts

    def write(self, month: ArchivedMonth, part: ArchivePart, files: ArchiveFiles) -> int:
        assert files is FILES
        self._work("write", month, part)
        return 10

    def finish(self, month: ArchivedMonth) -> str:
        self.calls.append(("finish", month))
        return self.ends[month]

    def surplus(self) -> list[ArchivePart]:
        return PARTS[4:5]

    def remove_surplus(self, part: ArchivePart) -> None:
        self.calls.append(("remove", part))

    def _work(self, name: str, month: ArchivedMonth, part: ArchivePart) -> None:
        if month in self.broken:
            raise self.broken[month]
        self.calls.append((name, month, part))
        self.clock += self.seconds


def run(store: Store, seconds: float = 900) -> ArchiveResult:
    of: ArchiveStore = store
    return archive_months(store.kept, store=of, files=FILES, time_left=lambda: seconds - store.clock)


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> Store:
    """A month to archive, of twelve files."""
    store = Store(months={"measured": [MAY]}, parts=PARTS, ends={MAY: "archived"})
    monkeypatch.setattr(use_case, "time", SimpleNamespace(monotonic=lambda: store.clock))
    return store


def test_months_come_back_before_others_go() -> None:
    store = Store(
        [MARCH],
        {"measured": [APRIL, MAY], "arrived": [OF_ARRIVAL]},
        ends={APRIL: "archived", MAY: "early", OF_ARRIVAL: "changed"},
    )

    result = run(store)

    one, other = PARTS[:2]
    assert store.calls == [
        *(("reinstate", MARCH, one), ("reinstate", MARCH, other), ("reopen", MARCH)),
        *(("begin", APRIL), ("write", APRIL, one), ("write", APRIL, other), ("finish", APRIL)),
        *(("begin", MAY), ("write", MAY, one), ("write", MAY, other), ("finish", MAY)),
        *(("begin", OF_ARRIVAL), ("write", OF_ARRIVAL, one), ("write", OF_ARRIVAL, other), ("finish", OF_ARRIVAL)),
        *(("remove", PARTS[4]), ("end_run",)),
    ]
    # What still waits is asked of the tables again.
    assert result == ArchiveResult([APRIL], [MARCH], [OF_ARRIVAL], rows=60, waiting=4)


def test_without_months_to_keep_only_what_changed_comes_back() -> None:
    store = Store([MARCH], {"measured": [APRIL]}, parts=[], kept=0)

    assert run(store) == ArchiveResult(reinstated=[MARCH], waiting=1)
    assert store.calls == [("reopen", MARCH), ("remove", PARTS[4]), ("end_run",)]


def test_a_run_beside_another_does_nothing() -> None:
    store = Store([MARCH], others=[True])

    assert run(store) == ArchiveResult(is_beside_another=True)
    assert store.calls == []


@pytest.mark.parametrize(
    "error", [BronzeUnavailableError("gone"), FileDiffersError("damaged"), SilverConflictError("changed meanwhile")]
)
def test_a_month_that_fails_holds_no_other_up(error: Exception) -> None:
    store = Store([MARCH], {"measured": [APRIL, MAY]}, ends={MAY: "archived"}, broken={MARCH: error, APRIL: error})

    result = run(store)

    # The run is taken again at once, or as soon as Postgres has let it go with the connection that failed.
    first, *again = store.timeouts
    assert (first, len(again)) == (0, 2)
    assert all(timeout > 1 for timeout in again)
    # A failing end of the run hides nothing.
    assert store.calls[-1] == ("end_run",)
    assert result == ArchiveResult([MAY], rows=20, errors={MARCH: error, APRIL: error}, waiting=3)


def test_a_run_that_lost_its_turn_to_another_ends() -> None:
    store = Store([MARCH], {"measured": [APRIL]}, others=[False, True], broken={MARCH: BronzeUnavailableError("gone")})

    with pytest.raises(BronzeUnavailableError, match="gone"):
        run(store)
    assert store.calls == [("end_run",)]


@pytest.mark.parametrize(("seconds", "files"), [(29.9, 0), (30, 12)])
def test_a_first_file_needs_half_a_minute(clocked: Store, seconds: float, files: int) -> None:
    assert run(clocked, seconds).rows == 10 * files


@pytest.mark.parametrize(("seconds", "files"), [(929.9, 7), (930, 8), (1_330, 12)])
def test_a_file_is_begun_if_it_may_take_twice_as_long(clocked: Store, seconds: float, files: int) -> None:
    clocked.seconds = 100

    result = run(clocked, seconds)

    assert result.rows == 10 * files
    assert result.archived == ([MAY] if files == len(PARTS) else [])


def test_a_month_that_is_not_back_as_a_whole_stays_away(clocked: Store) -> None:
    clocked.seconds, clocked.changes, clocked.months = 100, [MARCH], {}

    assert run(clocked, 500) == ArchiveResult(waiting=1)
    assert ("reopen", MARCH) not in clocked.calls


def test_a_file_that_takes_longer_than_a_call_is_left_between_two_steps(clocked: Store) -> None:
    clocked.seconds, clocked.changes, clocked.steps, clocked.months = 100, [MARCH, APRIL], 99, {}

    # The second month is not begun either: its first step may take as long.
    assert run(clocked, 900) == ArchiveResult(waiting=2)
    assert clocked.calls == [*[("reinstate", MARCH, PARTS[0])] * 7, ("end_run",)]
