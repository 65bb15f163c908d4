"""Replays: what is read in which chunks, what is counted, where a call ends; the rows are tested on Postgres."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from uuid import UUID

import pytest

import dropzone.use_cases.objects
import dropzone.use_cases.replay
from dropzone.domain.body import NDJSON
from dropzone.domain.contracts import BASIC, Contracts
from dropzone.domain.identifiers import Cursor, Position
from dropzone.domain.outcomes import Change, Code, Outcome, ValidatedObject
from dropzone.domain.validate import Contents, validate
from dropzone.ports import (
    BronzeUnavailableError,
    Decided,
    ListedObject,
    RawObject,
    RowRefusedError,
    SilverConflictError,
    SilverError,
    SilverUnavailableError,
)
from dropzone.use_cases.replay import Arrived, DecidedBy, Named, RejectedBy, ReplayResult, Selection, replay
from support.factories import EXAMPLE, NOT_NUMERIC, arrive, payload, raw_id
from support.fakes import HookedBronze, InMemoryBronze
from support.world import Clock

MIB = 1024 * 1024
EXAMPLE_OF_OLD_RULES = b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 4]}'


@dataclass
class NotedOutcomeStore:
    """A outcome_store that takes notes of its calls, in a dictionary, and can be made to fail."""

    contracts: Contracts = BASIC
    of: dict[UUID, tuple[Outcome | None, ...]] = field(default_factory=dict)
    parts: list[tuple[UUID, int, int, bool]] = field(default_factory=list)
    """What was replaced: of each object the items from one up to another, and whether the last one is among them."""
    refused: set[UUID] = field(default_factory=set)
    decided: list[Decided] = field(default_factory=list)
    """What is found, page by page."""
    after_deciding: Callable[[], object] = lambda: None
    decided_asked: list[tuple[str, UUID, UUID | None]] = field(default_factory=list)
    errors: list[SilverError | None] = field(default_factory=list)
    """What the next calls raise, None for one that goes well."""
    calls: list[tuple[str, list[UUID]]] = field(default_factory=list)
    pages: list[list[UUID]] = field(default_factory=list)
    asked: list[tuple[Code, UUID, UUID | None]] = field(default_factory=list)
    after_replacing: Callable[[], None] = lambda: None

    def _called(self, method: str, identifiers: Collection[UUID]) -> None:
        self.calls.append((method, list(identifiers)))
        failure = self.errors.pop(0) if self.errors else None
        if failure is not None:
            raise failure

    def outcomes(self, validated: Sequence[ValidatedObject]) -> dict[UUID, tuple[Outcome | None, ...]]:
        self._called("outcomes", [entry.raw_id for entry in validated])
        return {
            part.raw_id: self.of[part.raw_id][part.first_item : None if part.is_whole else part.items]
            for part in validated
            if part.raw_id in self.of
        }

    def replace(self, validated: Sequence[ValidatedObject]) -> None:
        self._called("replace", [entry.raw_id for entry in validated])
        if not self.refused.isdisjoint(entry.raw_id for entry in validated):
            raise RowRefusedError("SQLSTATE 22003")
        for part in validated:
            self.parts.append((part.raw_id, part.first_item, part.items, part.is_whole))
            old = self.of.get(part.raw_id, ())
            rest = () if part.is_whole else old[part.items :]
            self.of[part.raw_id] = (*old[: part.first_item], *part.outcomes, *rest)
        self.after_replacing()

    def archived_months(self, since: datetime | None, until: datetime | None) -> list[str]:
        raise NotImplementedError(since, until)

    def rejected_by(self, code: Code, *, after: UUID, before: UUID | None) -> list[UUID]:
        self.asked.append((code, after, before))
        return self.pages.pop(0) if self.pages else []

    def decided_by(self, contract: str, *, after: UUID, before: UUID | None) -> Decided:
        self.decided_asked.append((contract, after, before))
        self.after_deciding()
        return self.decided.pop(0) if self.decided else Decided([], None)

    def replaced(self) -> list[list[UUID]]:
        return [identifiers for method, identifiers in self.calls if method == "replace"]


@dataclass
class Calls:
    """The use case between the two, with a clock that the test sets."""

    bronze: HookedBronze = field(default_factory=lambda: HookedBronze(InMemoryBronze()))
    outcome_store: NotedOutcomeStore = field(default_factory=NotedOutcomeStore)
    clock: Clock = field(default_factory=Clock)

    def __call__(
        self,
        selection: Selection | None = None,
        *,
        limit: int = 1_000,
        after: Cursor | None = None,
        dry_run: bool = False,
        result: ReplayResult | None = None,
    ) -> ReplayResult:
        return replay(
            selection or Arrived(),
            bronze=self.bronze,
            outcome_store=self.outcome_store,
            limit=limit,
            after=after,
            dry_run=dry_run,
            time_left=self.clock.time_left,
            result=result,
        )

    def arrive(self, *bodies: bytes) -> list[UUID]:
        return sorted(arrive(self.bronze, body) for body in bodies)


@pytest.fixture
def call() -> Calls:
    return Calls()


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[list[ListedObject]]:
    """The pages of the listing, whatever the cursor."""
    pages: list[list[ListedObject]] = []
    monkeypatch.setattr(dropzone.use_cases.replay, "listed_between", lambda *_: iter(pages))
    return pages


def sized(identifiers: Sequence[UUID], size: int) -> list[ListedObject]:
    return [ListedObject(identifier, size) for identifier in identifiers]


# ---- counts ----------------------------------------------------------------------------------------------------------


def test_objects_are_counted_and_their_events_by_change(call: Calls) -> None:
    good, bad, new, fixed = call.arrive(EXAMPLE, NOT_NUMERIC, payload(), NOT_NUMERIC)
    call(Named((good, bad)))
    call.outcome_store.of[fixed] = validate(EXAMPLE_OF_OLD_RULES)

    result = call()

    # The third is new, and the fourth was processed under the rules of old.
    assert result.changes == Counter({Change.SAME: 2, Change.NEW: 1, Change.NOW_REJECTED: 1})
    assert (result.checked, result.processed, result.rejected) == (4, 2, 2)
    assert set(call.outcome_store.of) == {good, bad, new, fixed}


def test_a_dry_run_counts_the_same_and_replaces_nothing(call: Calls) -> None:
    call.arrive(EXAMPLE, NOT_NUMERIC)
    foretold = call(dry_run=True)
    assert call.outcome_store.replaced() == []
    assert call.outcome_store.of == {}
    assert call() == foretold
    assert len(call.outcome_store.replaced()) == 1


def test_nothing_chosen_touches_nothing(call: Calls) -> None:
    assert call() == ReplayResult()
    assert call(Named(())) == ReplayResult()
    assert call(RejectedBy(Code.DATA_EMPTY)) == ReplayResult()
    assert (call.bronze.reads, call.outcome_store.calls) == ([], [])


# ---- chunks ----------------------------------------------------------------------------------------------------------


def test_chunks_are_bounded_by_size_and_number(
    call: Calls, listed: list[list[ListedObject]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropzone.use_cases.replay, "ON_REQUEST_CHUNK_OBJECTS", 3)
    monkeypatch.setattr(dropzone.use_cases.objects, "MAX_CHUNK_BYTES", 10)
    ids = call.arrive(*[EXAMPLE] * 8)
    listed.append([*sized(ids[:4], 1), *sized(ids[4:6], 6), *sized(ids[6:], 20)])
    call()
    assert call.bronze.reads == [ids[:3], [ids[3], ids[4]], [ids[5]], [ids[6]], [ids[7]]]
    assert call.outcome_store.replaced() == call.bronze.reads


@pytest.mark.parametrize("named", [True, False])
def test_of_objects_whose_size_is_not_known_eight_are_held_at_once(call: Calls, named: bool) -> None:
    """Eight of the largest that ingest accepts are 32 MiB."""
    ids = call.arrive(*[EXAMPLE] * 19)
    call.outcome_store.pages = [ids[:17], ids[17:]]
    call(Named(tuple(ids)) if named else RejectedBy(Code.DATA_EMPTY))
    bounds = [0, 8, 16, 19] if named else [0, 8, 16, 17, 19]
    assert call.bronze.reads == [ids[start:end] for start, end in pairwise(bounds)]
    assert dropzone.use_cases.objects.MAX_CHUNK_BYTES == 8 * 4 * MIB


def test_the_largest_identifier_of_a_page_begins_the_next(call: Calls) -> None:
    ids = call.arrive(*[EXAMPLE] * 5)
    call.outcome_store.pages = [ids[:2], ids[2:4], ids[4:]]
    call(RejectedBy(Code.DATA_EMPTY))
    assert call.outcome_store.asked == [
        (Code.DATA_EMPTY, after, None) for after in (UUID(int=0), ids[1], ids[3], ids[4])
    ]  # fmt: skip


def test_a_rule_is_asked_for_between_bounds(call: Calls) -> None:
    since, until = datetime.fromisoformat("2019-05-01T10:00:00Z"), datetime.fromisoformat("2019-05-01T10:00:00.001Z")
    call(RejectedBy(Code.DATA_EMPTY, since, until))
    first = UUID("016a72d6-2d00-7000-8000-000000000000")
    end = UUID("016a72d6-2d01-7000-8000-000000000000")
    assert call.outcome_store.asked == [(Code.DATA_EMPTY, UUID(int=first.int - 1), end)]


def test_what_a_contract_decided_is_looked_for_page_by_page(call: Calls) -> None:
    # GIVEN a page with nothing of the contract before, between and behind those with something
    ids = call.arrive(*[EXAMPLE] * 10)
    call.outcome_store.decided = [
        Decided([], ids[1]),
        Decided(ids[2:4], ids[3]),
        Decided([], ids[5]),
        Decided([ids[6]], ids[7]),
        Decided([], None),
    ]
    since = datetime.fromisoformat("2019-05-01T10:00:00Z")

    result = call(DecidedBy("hall", since))

    assert call.bronze.reads == [ids[2:4], [ids[6]]]
    assert (result.checked, result.cursor) == (3, None)
    begin = UUID(int=UUID("016a72d6-2d00-7000-8000-000000000000").int - 1)
    assert call.outcome_store.decided_asked == [
        ("hall", after, None) for after in (begin, ids[1], ids[3], ids[5], ids[7])
    ]


def test_a_call_that_found_nothing_of_a_contract_in_its_time_leads_on(call: Calls) -> None:
    ids = call.arrive(*[EXAMPLE] * 3)
    call.outcome_store.decided = [Decided([], ids[0]), Decided([], ids[1])]
    call.clock.left = 5.0
    call.outcome_store.after_deciding = lambda: call.clock.spend(2.0)

    result = call(DecidedBy("hall"))

    assert (result.checked, call.bronze.reads) == (0, [])
    assert result.cursor == ids[1]


# ---- where a call ends -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 16 * MIB], ids=["unknown", "small", "large"])
@pytest.mark.parametrize("limit", range(1, 12))
def test_a_call_ends_at_its_limit_and_says_where_unless_nothing_is_left(
    call: Calls, listed: list[list[ListedObject]], limit: int, size: int
) -> None:
    # GIVEN ten objects in pages of six and four, in chunks of eight, of all, or of two
    ids = call.arrive(*[EXAMPLE] * 10)

    listed += [sized(ids[:6], size), sized(ids[6:], size)]
    result = call(limit=limit)

    assert [identifier for read in call.bronze.reads for identifier in read] == ids[:limit]
    assert result.checked == min(limit, 10)
    assert result.cursor == (ids[limit - 1] if limit < 10 else None)


def test_the_limit_counts_what_cannot_be_read_and_the_cursor_goes_past_it(call: Calls) -> None:
    ids = call.arrive(*[EXAMPLE] * 3)
    call.bronze.unreadable[ids[1]] = BronzeUnavailableError("SlowDown")
    result = call(limit=2)
    assert (result.checked, [failure.raw_id for failure in result.errors], result.cursor) == (1, [ids[1]], ids[1])


@pytest.mark.parametrize("chunks_in_time", range(5))
def test_no_chunk_begins_when_little_time_is_left(
    call: Calls, monkeypatch: pytest.MonkeyPatch, chunks_in_time: int
) -> None:
    monkeypatch.setattr(dropzone.use_cases.replay, "ON_REQUEST_CHUNK_OBJECTS", 2)
    ids = call.arrive(*[EXAMPLE] * 8)
    call.clock.left = 1.99 + 0.25 * chunks_in_time
    call.bronze.after = lambda _method, _identifiers: call.clock.spend(0.25)

    result = call()

    assert result.checked == 2 * chunks_in_time
    # After the last chunk nobody knows whether there are more.
    assert result.cursor == [UUID(int=0), ids[1], ids[3], ids[5], ids[7]][chunks_in_time]


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
    call.outcome_store.errors = [conflict, None, conflict, conflict]
    assert call().checked == 1
    assert [method for method, _ in call.outcome_store.calls] == ["outcomes"] * 2 + ["replace"] * 3
    assert set(call.outcome_store.of) == set(ids)


def test_a_conflict_that_outlives_the_call_is_the_infrastructures(call: Calls) -> None:
    call.arrive(EXAMPLE)
    call.outcome_store.errors = [SilverConflictError("40P01")]
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
            call.outcome_store.errors.append(SilverUnavailableError("57P01"))

    call.bronze.before = go_away
    result = call()

    # THEN the answer tells what was done, and where to go on
    assert set(call.outcome_store.of) == set(ids[:2])
    assert (result.checked, result.cursor) == (2, ids[1])

    # AND who goes on from there meets the error
    with pytest.raises(SilverUnavailableError):
        call(after=result.cursor)


def test_a_chunk_of_large_batches_ends_with_the_time_at_an_object(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN six batches of three events in one chunk, written six events at a time, each of which takes ten seconds
    monkeypatch.setattr(dropzone.use_cases.objects, "MAX_CHUNK_EVENTS", 6)
    ids = call.arrive(*[b"[" + b",".join([EXAMPLE] * 3) + b"]"] * 6)
    call.clock.left = 11.0
    call.outcome_store.after_replacing = lambda: call.clock.spend(10.0)

    result = call()

    assert [len(replaced) for replaced in call.outcome_store.replaced()] == [2]
    assert (result.checked, result.cursor) == (2, ids[1])

    # AND the next call goes on from there
    call.clock.left = 1_000.0
    assert call(after=result.cursor).cursor is None
    assert set(call.outcome_store.of) == set(ids)


def test_objects_that_take_long_to_validate_end_with_the_time(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN six objects in one chunk, each of which takes two seconds to validate
    ids = call.arrive(*[EXAMPLE] * 6)

    class Slow(Contents):
        def outcomes(self, first: int = 0, end: int | None = None) -> Iterator[Outcome]:
            call.clock.spend(2.0)
            return super().outcomes(first, end)

    monkeypatch.setattr(dropzone.use_cases.objects, "Contents", Slow)
    call.clock.left = 6.5

    # THEN those are written that were validated by then
    result = call()
    assert (result.checked, result.cursor) == (3, ids[2])


# ---- long objects ----------------------------------------------------------------------------------------------------


def batch(*events: bytes) -> bytes:
    return b"[" + b",".join(events) + b"]"


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropzone.use_cases.objects, "MAX_CHUNK_EVENTS", 4)


@pytest.mark.usefixtures("small_parts")
def test_a_long_object_is_replaced_part_by_part_and_counted_once(call: Calls) -> None:
    # GIVEN a batch of ten events between two single ones, which had eleven, and one that was never validated
    first, long, last = call.arrive(EXAMPLE, batch(*[EXAMPLE] * 5, NOT_NUMERIC, *[EXAMPLE] * 4), EXAMPLE)
    (good,) = validate(EXAMPLE)
    call.outcome_store.of[long] = (good, None, *[good] * 9)

    result = call()

    assert call.outcome_store.parts == [
        (first, 0, 1, True),
        (long, 0, 4, False),
        (long, 4, 8, False),
        (long, 8, 10, True),
        (last, 0, 1, True),
    ]
    assert (result.checked, result.rejected, result.cursor) == (3, 1, None)
    assert result.changes == Counter({Change.SAME: 8, Change.NEW: 3, Change.NOW_REJECTED: 1, Change.GONE: 1})


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.usefixtures("small_parts")
def test_the_time_may_end_within_an_object(call: Calls, dry_run: bool) -> None:
    # GIVEN a batch of ten events, the second of them bad, and calls that have time for a part
    first, long, last = call.arrive(EXAMPLE, batch(EXAMPLE, NOT_NUMERIC, *[EXAMPLE] * 8), EXAMPLE)

    outcomes_of = call.outcome_store.outcomes

    def slowly(validated: Sequence[ValidatedObject]) -> dict[UUID, tuple[Outcome | None, ...]]:
        call.clock.spend(10.0)
        return outcomes_of(validated)

    call.outcome_store.outcomes = slowly  # type: ignore[method-assign]

    # WHEN calls follow the cursor
    results: list[ReplayResult] = []
    after: Cursor | None = None
    while not results or after is not None:
        call.clock.left = 11.0
        results.append(call(after=after, dry_run=dry_run))
        after = results[-1].cursor

    # THEN it leads through the batch, and each object is counted once, with what became of its first events
    assert [result.cursor for result in results] == [
        first, Position(long, 4, has_rejected=True), Position(long, 8, has_rejected=True), long, last, None
    ]  # fmt: skip
    assert [(result.checked, result.rejected) for result in results] == [(1, 0), (0, 0), (0, 0), (1, 1), (1, 0), (0, 0)]
    assert sum((result.changes for result in results), Counter()) == Counter({Change.NEW: 12})
    assert call.outcome_store.parts == ([] if dry_run else [
        (first, 0, 1, True), (long, 0, 4, False), (long, 4, 8, False), (long, 8, 10, True), (last, 0, 1, True)
    ])  # fmt: skip


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.usefixtures("small_parts")
def test_an_object_that_no_further_part_of_fits_in_ends_the_call(call: Calls, others: int) -> None:
    # GIVEN a batch of ten events, perhaps another object behind it, and time left after a part, but not for another
    long = call.arrive(batch(*[EXAMPLE] * 10), *[EXAMPLE] * others)[0]
    call.outcome_store.after_replacing = lambda: call.clock.spend(10.0)
    call.clock.left = 15.0

    # THEN the rest of it comes first in the next call
    assert call().cursor == Position(long, 4)
    assert call.outcome_store.parts == [(long, 0, 4, False)]


@pytest.mark.usefixtures("small_parts")
def test_a_cursor_within_an_object_that_is_short_by_now_goes_on_there(call: Calls) -> None:
    (short,) = call.arrive(batch(*[EXAMPLE] * 3))
    call(after=Position(short, 2))
    assert call.outcome_store.parts == [(short, 2, 3, True)]


def test_few_events_in_many_bytes_are_replayed_alone(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropzone.use_cases.objects, "LONG_BYTES", 2 * len(EXAMPLE))
    ids = call.arrive(EXAMPLE, batch(*[EXAMPLE] * 2), EXAMPLE)
    call()
    assert call.outcome_store.replaced() == [[identifier] for identifier in ids]


def test_an_object_is_replayed_by_its_media_type(call: Calls) -> None:
    identifier = raw_id()
    call.bronze.put(RawObject(identifier, EXAMPLE + b"\n" + NOT_NUMERIC, content_type=NDJSON, correlation_id=""))
    assert call().changes == Counter({Change.NEW: 2})
    assert call.outcome_store.of[identifier] == validate(EXAMPLE) + validate(NOT_NUMERIC)


@pytest.mark.usefixtures("small_parts")
def test_a_cursor_within_an_object_goes_on_also_where_the_selection_has_it_no_more(call: Calls) -> None:
    long, other = call.arrive(batch(*[EXAMPLE] * 6), EXAMPLE)
    call.outcome_store.pages = [[other]]
    result = call(RejectedBy(Code.DATA_EMPTY), after=Position(long, 4))
    assert call.outcome_store.parts == [(long, 4, 6, True), (other, 0, 1, True)]
    assert call.outcome_store.asked[0] == (Code.DATA_EMPTY, long, None)
    assert (result.checked, result.rejected) == (2, 0)


@pytest.mark.usefixtures("small_parts")
def test_the_limit_counts_an_object_that_an_earlier_call_began(call: Calls) -> None:
    long, other = call.arrive(batch(*[EXAMPLE] * 6), EXAMPLE)
    result = call(after=Position(long, 4), limit=1)
    assert (result.checked, result.cursor) == (1, long)
    assert call.outcome_store.parts == [(long, 4, 6, True)]
    assert call(after=result.cursor, limit=1).checked == 1
    assert call.outcome_store.parts[-1] == (other, 0, 1, True)
    assert call(after=Position(long, 4), limit=2).checked == 2


@pytest.mark.usefixtures("small_parts")
def test_a_cursor_after_an_objects_last_event_replays_nothing(call: Calls) -> None:
    (long,) = call.arrive(batch(*[EXAMPLE] * 6))
    assert call(after=Position(long, 99)).checked == 1
    assert call.outcome_store.parts == [(long, 6, 6, True)]


@pytest.mark.usefixtures("small_parts")
def test_what_cannot_be_read_within_a_call_is_passed(call: Calls) -> None:
    long, other = call.arrive(batch(*[EXAMPLE] * 6), EXAMPLE)
    call.bronze.unreadable[long] = BronzeUnavailableError("SlowDown")
    result = call(after=Position(long, 4))
    assert (result.checked, [failure.raw_id for failure in result.errors]) == (1, [long])
    assert call.outcome_store.parts == [(other, 0, 1, True)]


@pytest.mark.parametrize("refused", [[0], [7], [3, 4], [0, 7], range(8)])
def test_a_refused_row_costs_its_object_alone(call: Calls, refused: Sequence[int]) -> None:
    ids = call.arrive(*[EXAMPLE] * 8)
    call.outcome_store.refused = {ids[number] for number in refused}

    result = call()

    assert [failure.raw_id for failure in result.errors] == [ids[number] for number in refused]
    assert all(failure.terminal and "22003" in failure.reason for failure in result.errors)
    assert set(call.outcome_store.of) == set(ids) - call.outcome_store.refused
    assert result.checked == 8 - len(refused)
    assert result.changes == Counter({Change.NEW: 8 - len(refused)})
    # By halves: one refused row of eight takes at most seven calls.
    assert len(call.outcome_store.replaced()) <= 15
    assert len(refused) != 1 or len(call.outcome_store.replaced()) == 7


def test_what_is_missing_fails_for_good_and_what_is_throttled_does_not(call: Calls) -> None:
    missing, throttled = raw_id(), call.arrive(EXAMPLE)[0]
    call.bronze.unreadable[throttled] = BronzeUnavailableError("SlowDown")
    result = call(Named((missing, throttled)))
    assert [(f.raw_id, f.terminal) for f in result.errors] == sorted([(missing, True), (throttled, False)])
    assert call.outcome_store.calls == []


def test_a_failed_listing_is_reported(call: Calls) -> None:
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
        call.bronze.put(RawObject(identifier, EXAMPLE, content_type="application/json", correlation_id=""))
    call(Arrived(until=datetime.fromisoformat("2019-05-01T10:00:00.003Z")))
    assert [identifier for read in call.bronze.reads for identifier in read] == ids[:3]
    assert seen == ids[:4]


@pytest.mark.parametrize("since", [None, datetime.fromisoformat("2019-05-01T10:00Z")])
def test_a_cursor_may_lie_anywhere(call: Calls, since: datetime | None) -> None:
    ids = call.arrive(*[EXAMPLE] * 4)
    for cursor, rest in [
        (UUID(int=0), ids),
        (UUID(int=ids[1].int - 1), ids[1:]),
        (ids[1], ids[2:]),
        (ids[3], []),
        (UUID(int=2**128 - 1), []),
    ]:
        call.bronze.reads.clear()
        call(Arrived(since), after=cursor)
        assert [identifier for read in call.bronze.reads for identifier in read] == rest


def test_named_objects_come_in_order_of_arrival_each_once_after_the_cursor(call: Calls) -> None:
    ids = call.arrive(*[EXAMPLE] * 4)
    for cursor, rest in [(None, ids), (ids[1], ids[2:]), (ids[3], [])]:
        call.bronze.reads.clear()
        call(Named((ids[2], ids[0], ids[2], ids[3], ids[1], ids[0])), after=cursor)
        assert [identifier for read in call.bronze.reads for identifier in read] == rest
