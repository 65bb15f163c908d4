"""Objects with more events than one statement takes."""

from collections.abc import Collection
from uuid import UUID

import pytest

from dropzone.domain.batches import NDJSON
from dropzone.domain.outcomes import Code, JudgedObject
from dropzone.ports import RowRefusedError, SilverUnavailableError
from dropzone.use_cases import writing
from dropzone.use_cases.settle import settle
from dropzone.use_cases.tally import Tally
from support.factories import NOT_NUMERIC, payload, raw_id
from support.fakes import InMemorySilver
from support.world import Failing, World

MOST = 10


@pytest.fixture(autouse=True)
def _small_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MAX_CHUNK_EVENTS", MOST)


@pytest.fixture
def statements(world: World, monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[UUID, int, int, bool]]]:
    """Every call of `settle`: for each object its first item, the number of its events, and whether it is whole."""
    calls: list[list[tuple[UUID, int, int, bool]]] = []
    settle_rows = InMemorySilver.settle

    def noted(silver: InMemorySilver, judged: list[JudgedObject]) -> set[UUID]:
        calls.append([(entry.raw_id, entry.first_item, len(entry.outcomes), entry.is_whole) for entry in judged])
        return settle_rows(silver, judged)

    monkeypatch.setattr(InMemorySilver, "settle", noted)
    assert isinstance(world.rows, InMemorySilver)
    return calls


def arrive(world: World, events: int, bad: Collection[int] = ()) -> UUID:
    """A batch arrives; its events are seconds apart, and those of these items break a rule."""
    identifier = raw_id()
    lines = [NOT_NUMERIC if n in bad else payload(f"2019-05-01T06:{n // 60:02}:{n % 60:02}Z") for n in range(events)]
    world.objects.put(identifier, b"\n".join(lines), content_type=NDJSON, correlation_id="request-1")
    return identifier


def settle_all(world: World, *identifiers: UUID) -> Tally:
    tally = Tally()
    settle(identifiers, tally, bronze=world.bronze, silver=world.silver, remaining=world.clock.remaining)
    return tally


def items(world: World, identifier: UUID) -> list[int]:
    return sorted(item for owner, item in world.rows.outcome_rows() if owner == identifier)


Statements = list[list[tuple[UUID, int, int, bool]]]


def test_a_batch_is_written_part_by_part_and_settled_by_its_last(world: World, statements: Statements) -> None:
    big = arrive(world, 25, bad={3, 24})

    tally = settle_all(world, big)

    assert statements == [[(big, 0, 10, False)], [(big, 10, 10, False)], [(big, 20, 5, True)]]
    assert items(world, big) == list(range(25))
    (settled,) = tally.settled
    assert (settled.events, settled.rejected, settled.codes) == (25, 2, {Code.DATA_NOT_NUMERIC: 2})
    assert (tally.checked, tally.processed, tally.failed) == (1, 0, 1)
    assert world.rows.receipt_rows()[big].items == 25


@pytest.mark.parametrize("events", [1, 9, 10, 11, 20, 21])
def test_any_number_of_events_is_whole(world: World, statements: Statements, events: int) -> None:
    big = arrive(world, events)
    settle_all(world, big)
    assert items(world, big) == list(range(events))
    assert [entry[3] for statement in statements for entry in statement].count(True) == 1
    assert all(sum(entry[2] for entry in statement) <= MOST for statement in statements)


def test_small_objects_share_a_statement_with_the_ends_of_large_ones(world: World, statements: Statements) -> None:
    first, large, last = arrive(world, 4), arrive(world, 12), arrive(world, 3)

    settle_all(world, first, large, last)

    assert statements == [[(first, 0, 4, True), (large, 0, 6, False)], [(large, 6, 6, True), (last, 0, 3, True)]]
    assert world.settled == {first, large, last}


def test_what_ends_in_the_middle_goes_on_where_it_comes_again(world: World) -> None:
    # GIVEN a batch whose second statement meets a database that is gone
    big = arrive(world, 25)
    calls = 0

    def fail(method: str, _raw_ids: Collection[UUID]) -> None:
        nonlocal calls
        calls += method == "settle"
        if calls == 2:
            message = "gone"
            raise SilverUnavailableError(message)

    world.silver.before = fail
    with pytest.raises(SilverUnavailableError):
        settle_all(world, big)
    assert items(world, big) == list(range(10))
    assert world.settled == set()

    # WHEN it comes again
    tally = settle_all(world, big)

    # THEN it is settled, once and whole
    assert items(world, big) == list(range(25))
    assert world.settled == {big}
    assert [entry.events for entry in tally.settled] == [25]


def test_a_part_waits_for_another_try_that_the_sweep_finds(world: World) -> None:
    # GIVEN a batch of which a part was written, and whose message is lost
    big = arrive(world, 25)
    world.silver.after = Failing("settle", SilverUnavailableError("gone"))
    with pytest.raises(SilverUnavailableError):
        settle_all(world, big)
    assert world.rows.due_for_retry(10, exhausted=False) == []

    # WHEN the pause is over
    world.rows.pass_time(2 * world.rows._pause)

    # THEN the sweep finds it by its receipt
    assert world.rows.due_for_retry(10, exhausted=False) == [big]
    world.sweep()
    assert world.settled == {big}


@pytest.mark.parametrize("refused", [{0}, {9}, {10}, {24}, {3, 17}, set(range(25))])
def test_a_refused_row_leaves_the_other_events_in_silver_and_the_object_unsettled(
    world: World, monkeypatch: pytest.MonkeyPatch, refused: set[int]
) -> None:
    # GIVEN a batch with rows that the database refuses, among other objects
    before, big, after = arrive(world, 3), arrive(world, 25), arrive(world, 3)
    settle_rows = InMemorySilver.settle

    def refuse(silver: InMemorySilver, judged: list[JudgedObject]) -> set[UUID]:
        for entry in judged:
            if entry.raw_id == big and not refused.isdisjoint(range(entry.first_item, entry.items)):
                message = "SQLSTATE 23514 outcomes"
                raise RowRefusedError(message)
        return settle_rows(silver, judged)

    monkeypatch.setattr(InMemorySilver, "settle", refuse)

    # WHEN they are settled
    tally = settle_all(world, before, big, after)

    # THEN it alone goes back, once, and its other events stand
    assert [(failure.raw_id, failure.terminal) for failure in tally.failures] == [(big, True)]
    assert world.settled == {before, after}
    assert items(world, big) == [n for n in range(25) if n not in refused]


def test_another_call_that_settles_the_same_batch_makes_it_a_duplicate(world: World) -> None:
    big = arrive(world, 25)
    settle_all(world, big)
    tally = settle_all(world, big)
    assert (tally.checked, tally.duplicates) == (0, 1)
