"""Judging again: what is read in which chunks, what is counted, where a call ends; the rows are tested on Postgres."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from uuid import UUID

import pytest

import dropzone.use_cases.replay
import dropzone.use_cases.settle
from dropzone.domain.changes import Change
from dropzone.domain.judge import judge
from dropzone.domain.outcomes import Code, JudgedObject, Outcome
from dropzone.ports import (
    BronzeUnavailableError,
    ListedObject,
    RowRefusedError,
    SilverConflictError,
    SilverError,
    SilverUnavailableError,
)
from dropzone.use_cases.replay import Arrived, Named, RejectedBy, ReplayReport, Selection, replay
from support.factories import EXAMPLE, NOT_NUMERIC, arrive, payload, raw_id, raw_ids
from support.fakes import HookedBronze, InMemoryBronze
from support.world import Clock

MIB = 1024 * 1024
EXAMPLE_OF_OLD_RULES = b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 4]}'


@dataclass
class NotedLedger:
    """A ledger that takes notes of its calls, in a dictionary, and can be made to fail."""

    of: dict[UUID, tuple[Outcome, ...]] = field(default_factory=dict)
    refused: set[UUID] = field(default_factory=set)
    failures: list[SilverError | None] = field(default_factory=list)
    """What the next calls raise, None for one that goes well."""
    calls: list[tuple[str, list[UUID]]] = field(default_factory=list)
    pages: list[list[UUID]] = field(default_factory=list)
    asked: list[tuple[Code, UUID, UUID | None]] = field(default_factory=list)
    after_replacing: Callable[[], None] = lambda: None

    def _called(self, method: str, identifiers: Collection[UUID]) -> None:
        self.calls.append((method, list(identifiers)))
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure

    def outcomes(self, raw_ids: Collection[UUID]) -> dict[UUID, tuple[Outcome, ...]]:
        self._called("outcomes", raw_ids)
        return {identifier: self.of[identifier] for identifier in raw_ids if identifier in self.of}

    def replace(self, judged: Sequence[JudgedObject]) -> None:
        self._called("replace", [entry.raw_id for entry in judged])
        if not self.refused.isdisjoint(entry.raw_id for entry in judged):
            raise RowRefusedError("SQLSTATE 22003")
        self.of.update({entry.raw_id: entry.outcomes for entry in judged})
        self.after_replacing()

    def rejected_by(self, code: Code, *, after: UUID, before: UUID | None) -> list[UUID]:
        self.asked.append((code, after, before))
        return self.pages.pop(0) if self.pages else []

    def replaced(self) -> list[list[UUID]]:
        return [identifiers for method, identifiers in self.calls if method == "replace"]


@dataclass
class Calls:
    """The use case between the two, with a clock that the test sets."""

    bronze: HookedBronze = field(default_factory=lambda: HookedBronze(InMemoryBronze()))
    ledger: NotedLedger = field(default_factory=NotedLedger)
    clock: Clock = field(default_factory=Clock)

    def __call__(
        self,
        selection: Selection | None = None,
        *,
        limit: int = 1_000,
        after: UUID | None = None,
        dry_run: bool = False,
        report: ReplayReport | None = None,
    ) -> ReplayReport:
        return replay(
            selection or Arrived(),
            bronze=self.bronze,
            ledger=self.ledger,
            limit=limit,
            after=after,
            dry_run=dry_run,
            remaining=self.clock.remaining,
            report=report,
        )

    def arrive(self, *bodies: bytes) -> list[UUID]:
        return sorted(arrive(self.bronze, body) for body in bodies)


@pytest.fixture
def call() -> Calls:
    return Calls()


@dataclass(frozen=True)
class Pages:
    """A selection of these pages, whatever the cursor."""

    of: list[list[ListedObject]]

    def pages(self, *_others: object) -> Iterator[Sequence[ListedObject]]:
        yield from self.of


def sized(identifiers: Sequence[UUID], size: int) -> list[ListedObject]:
    return [ListedObject(identifier, size) for identifier in identifiers]


# ---- counts ----------------------------------------------------------------------------------------------------------


def test_objects_are_counted_and_their_events_by_change(call: Calls) -> None:
    good, bad, new, fixed = call.arrive(EXAMPLE, NOT_NUMERIC, payload(), NOT_NUMERIC)
    call(Named((good, bad)))
    call.ledger.of[fixed] = judge(EXAMPLE_OF_OLD_RULES)

    report = call()

    # The third is new, and the fourth was processed under the rules of old.
    assert report.changes == Counter({Change.SAME: 2, Change.NEW: 1, Change.NOW_REJECTED: 1})
    assert (report.checked, report.processed, report.failed) == (4, 2, 2)
    assert set(call.ledger.of) == {good, bad, new, fixed}


def test_a_dry_run_counts_the_same_and_replaces_nothing(call: Calls) -> None:
    call.arrive(EXAMPLE, NOT_NUMERIC)
    foretold = call(dry_run=True)
    assert call.ledger.replaced() == []
    assert call.ledger.of == {}
    assert call() == foretold
    assert len(call.ledger.replaced()) == 1


def test_nothing_chosen_touches_nothing(call: Calls) -> None:
    assert call() == ReplayReport()
    assert call(Named(())) == ReplayReport()
    assert call(RejectedBy(Code.DATA_EMPTY)) == ReplayReport()
    assert (call.bronze.reads, call.ledger.calls) == ([], [])


# ---- chunks ----------------------------------------------------------------------------------------------------------


def test_chunks_are_bounded_by_size_and_number(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropzone.use_cases.replay, "ON_REQUEST_CHUNK_OBJECTS", 3)
    monkeypatch.setattr(dropzone.use_cases.settle, "MAX_CHUNK_BYTES", 10)
    ids = call.arrive(*[EXAMPLE] * 8)
    page = [*sized(ids[:4], 1), *sized(ids[4:6], 6), *sized(ids[6:], 20)]
    call(Pages([page]))
    assert call.bronze.reads == [ids[:3], [ids[3], ids[4]], [ids[5]], [ids[6]], [ids[7]]]
    assert call.ledger.replaced() == call.bronze.reads


@pytest.mark.parametrize("named", [True, False])
def test_of_objects_whose_size_is_not_known_eight_are_held_at_once(call: Calls, named: bool) -> None:  # noqa: FBT001
    """Eight of the largest that ingest takes in are 32 MiB."""
    ids = call.arrive(*[EXAMPLE] * 19)
    call.ledger.pages = [ids[:17], ids[17:]]
    call(Named(tuple(ids)) if named else RejectedBy(Code.DATA_EMPTY))
    bounds = [0, 8, 16, 19] if named else [0, 8, 16, 17, 19]
    assert call.bronze.reads == [ids[start:end] for start, end in pairwise(bounds)]
    assert dropzone.use_cases.settle.MAX_CHUNK_BYTES == 8 * 4 * MIB


def test_the_largest_identifier_of_a_page_begins_the_next(call: Calls) -> None:
    ids = call.arrive(*[EXAMPLE] * 5)
    call.ledger.pages = [ids[:2], ids[2:4], ids[4:]]
    call(RejectedBy(Code.DATA_EMPTY))
    assert call.ledger.asked == [
        (Code.DATA_EMPTY, after, None) for after in (UUID(int=0), ids[1], ids[3], ids[4])
    ]  # fmt: skip


def test_a_rule_is_asked_for_between_bounds(call: Calls) -> None:
    since, until = datetime.fromisoformat("2019-05-01T10:00:00Z"), datetime.fromisoformat("2019-05-01T10:00:00.001Z")
    call(RejectedBy(Code.DATA_EMPTY, since, until))
    first = UUID("016a72d6-2d00-7000-8000-000000000000")
    end = UUID("016a72d6-2d01-7000-8000-000000000000")
    assert call.ledger.asked == [(Code.DATA_EMPTY, UUID(int=first.int - 1), end)]


# ---- where a call ends -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 16 * MIB], ids=["unknown", "small", "large"])
@pytest.mark.parametrize("limit", range(1, 12))
def test_a_call_ends_at_its_limit_and_says_where_unless_nothing_is_left(call: Calls, limit: int, size: int) -> None:
    # GIVEN ten objects in pages of six and four, in chunks of eight, of all, or of two
    ids = call.arrive(*[EXAMPLE] * 10)

    report = call(Pages([sized(ids[:6], size), sized(ids[6:], size)]), limit=limit)

    assert [identifier for read in call.bronze.reads for identifier in read] == ids[:limit]
    assert report.checked == min(limit, 10)
    assert report.cursor == (ids[limit - 1] if limit < 10 else None)


def test_the_limit_counts_what_cannot_be_read_and_the_cursor_goes_past_it(call: Calls) -> None:
    ids = call.arrive(*[EXAMPLE] * 3)
    call.bronze.unreadable[ids[1]] = BronzeUnavailableError("SlowDown")
    report = call(limit=2)
    assert (report.checked, [failure.raw_id for failure in report.failures], report.cursor) == (1, [ids[1]], ids[1])


@pytest.mark.parametrize("chunks_in_time", range(5))
def test_no_chunk_begins_when_little_time_is_left(
    call: Calls, monkeypatch: pytest.MonkeyPatch, chunks_in_time: int
) -> None:
    monkeypatch.setattr(dropzone.use_cases.replay, "ON_REQUEST_CHUNK_OBJECTS", 2)
    ids = call.arrive(*[EXAMPLE] * 8)
    call.clock.left = 1.99 + 0.25 * chunks_in_time
    call.bronze.after = lambda _method, _identifiers: call.clock.spend(0.25)

    report = call()

    assert report.checked == 2 * chunks_in_time
    # After the last chunk nobody knows whether there are more.
    assert report.cursor == [UUID(int=0), ids[1], ids[3], ids[5], ids[7]][chunks_in_time]


def test_a_call_without_time_gives_its_own_cursor_back(call: Calls) -> None:
    ids = call.arrive(*[EXAMPLE] * 3)
    call.clock.left = 1.0
    assert call(after=ids[0]).cursor == ids[0]


def test_reads_and_pages_get_half_of_the_time_that_is_left(call: Calls) -> None:
    call.bronze = HookedBronze(InMemoryBronze(page_size=2))
    call.arrive(*[EXAMPLE] * 3)
    call.bronze.after = lambda _method, _identifiers: call.clock.spend(20.0)
    call()
    # A page, its read, the next one, its read, and the look whether there are more.
    assert call.bronze.seconds == [30.0, 30.0, 20.0, 20.0, 10.0]


# ---- what fails ------------------------------------------------------------------------------------------------------


def test_a_conflict_is_tried_again(call: Calls) -> None:
    ids = call.arrive(EXAMPLE)
    conflict = SilverConflictError("40P01")
    call.ledger.failures = [conflict, None, conflict, conflict]
    assert call().checked == 1
    assert [method for method, _ in call.ledger.calls] == ["outcomes"] * 2 + ["replace"] * 3
    assert set(call.ledger.of) == set(ids)


def test_a_conflict_that_outlives_the_call_is_the_infrastructures(call: Calls) -> None:
    call.arrive(EXAMPLE)
    call.ledger.failures = [SilverConflictError("40P01")]
    call.clock.left = 2.0
    with pytest.raises(SilverUnavailableError, match="40P01"):
        call()


def test_where_silver_goes_away_what_was_replaced_until_then_stays_so(
    call: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropzone.use_cases.replay, "ON_REQUEST_CHUNK_OBJECTS", 2)
    ids = call.arrive(*[EXAMPLE] * 6)

    def go_away(method: str, identifiers: Collection[UUID]) -> None:
        if method == "read" and ids[2] in identifiers:
            call.ledger.failures.append(SilverUnavailableError("57P01"))

    call.bronze.before = go_away
    report = call()

    # THEN the answer tells what was done, and where to go on
    assert set(call.ledger.of) == set(ids[:2])
    assert (report.checked, report.cursor) == (2, ids[1])

    # AND who goes on from there meets the error
    with pytest.raises(SilverUnavailableError):
        call(after=report.cursor)


def test_a_chunk_of_large_batches_ends_with_the_time_at_an_object(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN six batches of three events in one chunk, written four events at a time, each of which takes ten seconds
    monkeypatch.setattr(dropzone.use_cases.replay, "MAX_CHUNK_EVENTS", 4)
    ids = call.arrive(*[b"[" + b",".join([EXAMPLE] * 3) + b"]"] * 6)
    call.clock.left = 11.0
    call.ledger.after_replacing = lambda: call.clock.spend(10.0)

    report = call()

    assert [len(replaced) for replaced in call.ledger.replaced()] == [2]
    assert (report.checked, report.cursor) == (2, ids[1])

    # AND the next call goes on from there
    call.clock.left = 1_000.0
    assert call(after=report.cursor).cursor is None
    assert set(call.ledger.of) == set(ids)


@pytest.mark.parametrize("refused", [[0], [7], [3, 4], [0, 7], range(8)])
def test_a_refused_row_costs_its_object_alone(call: Calls, refused: Sequence[int]) -> None:
    ids = call.arrive(*[EXAMPLE] * 8)
    call.ledger.refused = {ids[number] for number in refused}

    report = call()

    assert [failure.raw_id for failure in report.failures] == [ids[number] for number in refused]
    assert all(failure.terminal and "22003" in failure.reason for failure in report.failures)
    assert set(call.ledger.of) == set(ids) - call.ledger.refused
    assert report.checked == 8 - len(refused)
    assert report.changes == Counter({Change.NEW: 8 - len(refused)})
    # By halves: one refused row of eight takes at most seven calls.
    assert len(call.ledger.replaced()) <= 15
    assert len(refused) != 1 or len(call.ledger.replaced()) == 7


def test_what_is_missing_fails_for_good_and_what_is_throttled_does_not(call: Calls) -> None:
    missing, throttled = raw_id(), call.arrive(EXAMPLE)[0]
    call.bronze.unreadable[throttled] = BronzeUnavailableError("SlowDown")
    report = call(Named((missing, throttled)))
    assert [(f.raw_id, f.terminal) for f in report.failures] == sorted([(missing, True), (throttled, False)])
    assert call.ledger.calls == []


def test_a_listing_that_fails_is_told(call: Calls) -> None:
    call.arrive(EXAMPLE)

    def throttle(_method: str, _identifiers: Collection[UUID]) -> None:
        raise BronzeUnavailableError("SlowDown")

    call.bronze.before = throttle
    with pytest.raises(BronzeUnavailableError):
        call()


# ---- selections ------------------------------------------------------------------------------------------------------


def test_the_listing_ends_with_the_first_that_is_too_young(call: Calls) -> None:
    inner = InMemoryBronze(page_size=2)
    call.bronze = HookedBronze(inner)
    seen: list[UUID] = []
    call.bronze.before = lambda method, page: seen.extend(page) if method == "list_after" else None
    ids = [UUID(f"016a72d6-2d0{n}-7000-8000-000000000000") for n in range(9)]
    for identifier in ids:
        call.bronze.put(identifier, EXAMPLE, content_type="application/json", correlation_id="")
    call(Arrived(until=datetime.fromisoformat("2019-05-01T10:00:00.003Z")))
    assert [identifier for read in call.bronze.reads for identifier in read] == ids[:3]
    assert seen == ids[:4]


def test_named_objects_come_in_order_of_arrival_each_once_after_the_cursor(call: Calls) -> None:
    ids = raw_ids(4)
    selection = Named((ids[2], ids[0], ids[2], ids[3], ids[1], ids[0]))
    pages = list(selection.pages(None, call.bronze, call.ledger, call.clock.remaining))
    assert [listed.raw_id for page in pages for listed in page] == ids
    pages = list(selection.pages(ids[1], call.bronze, call.ledger, call.clock.remaining))
    assert [listed.raw_id for page in pages for listed in page] == ids[2:]
    assert list(selection.pages(ids[3], call.bronze, call.ledger, call.clock.remaining)) == []
