"""The sweep: what it finds, how far it gets, and where the next one begins."""

from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from dropzone.domain.identifiers import received_at
from dropzone.ports import (
    MAX_ATTEMPTS,
    OPEN_ATTEMPT,
    BronzeUnavailableError,
    RowRefusedError,
    SilverConflictError,
    SilverUnavailableError,
)
from dropzone.use_cases.objects import ProcessingResult
from dropzone.use_cases.sweep import WATERMARK_LAG
from support.factories import NOT_NUMERIC, message, raw_id
from support.fakes import InMemorySilver, ReaderDiedError
from support.world import Failing, World, refusing

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def arrive_many(world: World, count: int, youngest: timedelta = timedelta(0)) -> list[UUID]:
    """Let objects arrive, a second apart, in order."""
    return [world.arrive(age=youngest + SECOND * (count - number)) for number in range(count)]


def reads(world: World) -> list[UUID]:
    return [identifier for read in world.bronze.reads for identifier in read]


# ---- what is found ---------------------------------------------------------------------------------------------------


def test_a_sweep_processes_objects_without_a_receipt_in_order_of_arrival(world: World) -> None:
    # GIVEN objects, one of which the queue completed
    first, by_queue, bad, last = (
        world.arrive(age=4 * SECOND),
        world.arrive(age=3 * SECOND),
        world.arrive(NOT_NUMERIC, age=2 * SECOND),
        world.arrive(age=SECOND),
    )
    world.process(message(by_queue))
    world.bronze.reads.clear()

    # WHEN the sweep comes
    result = world.sweep()

    # THEN it completes the others, and counts them
    assert world.bronze.reads == [[first, bad, last]]
    assert (result.checked, result.processed, result.rejected) == (3, 2, 1)
    assert result.cursor is None
    assert world.completed == {first, by_queue, bad, last}


def test_a_sweep_of_nothing_finds_nothing(world: World) -> None:
    result = world.sweep()
    assert (result.checked, result.cursor) == (0, None)
    assert world.rows.watermark() == UUID(int=0)


def test_young_objects_are_left_to_the_queue(world: World) -> None:
    old, young = world.arrive(age=10 * SECOND), world.arrive(age=5 * SECOND)
    assert world.sweep(min_age=8 * SECOND).checked == 1
    assert world.completed == {old}
    assert world.sweep(min_age=timedelta(0)).checked == 1
    assert world.completed == {old, young}


def test_an_object_of_a_clock_that_runs_ahead_is_taken_by_request(world: World) -> None:
    ahead = world.arrive(age=-HOUR)
    assert world.sweep(min_age=SECOND).checked == 0
    assert world.sweep().checked == 1
    assert world.completed == {ahead}


# ---- limit and cursor ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page_size", [1, 3, 4, 7, 1_000])
@pytest.mark.parametrize("limit", [1, 3, 4, 10])
def test_the_cursor_leads_to_the_end_and_each_object_is_taken_once(world: World, limit: int, page_size: int) -> None:
    # GIVEN twelve objects, some of which are processed, in pages of any size
    world.objects.page_size = page_size
    identifiers = arrive_many(world, 12)
    before = {identifiers[n] for n in (0, 4, 5, 11)}
    world.process(*map(message, before))
    world.bronze.reads.clear()

    # WHEN the cursor is followed to the end
    cursor, calls, counted = None, 0, 0
    while True:
        result = world.sweep(limit=limit, after=cursor)
        calls, counted = calls + 1, counted + result.checked
        assert result.checked <= limit
        if result.cursor is None:
            break
        assert result.checked == limit
        assert cursor is None or result.cursor > cursor
        cursor = result.cursor

    # THEN all were taken, each once
    assert counted == 8
    assert reads(world) == [entry for entry in identifiers if entry not in before]
    assert world.completed == {*identifiers}
    assert calls == -(-8 // limit)


def test_without_a_cursor_calls_go_on_where_the_last_ended(world: World) -> None:
    identifiers = arrive_many(world, 10)
    counts = [world.sweep(limit=4).checked for _ in range(4)]
    assert counts == [4, 4, 2, 0]
    assert reads(world) == identifiers


def test_a_cursor_begins_behind_its_object(world: World) -> None:
    first, second, third = arrive_many(world, 3)
    assert world.sweep(after=second).checked == 1
    assert world.completed == {third}
    assert world.sweep(after=third).checked == 0
    assert first not in world.completed


def test_a_limit_larger_than_a_chunk_is_reached_in_chunks(world: World) -> None:
    identifiers = arrive_many(world, 1_300)
    result = world.sweep(limit=1_050)
    assert [len(read) for read in world.bronze.reads] == [100] * 10 + [50]
    assert result.cursor == identifiers[1_049]
    assert result.checked == 1_050


# ---- time ------------------------------------------------------------------------------------------------------------


def test_a_sweep_ends_with_its_time_and_says_how_far_it_got(world: World) -> None:
    # GIVEN pages of two, each of which costs ten seconds, and time for two of them
    world.objects.page_size = 2
    identifiers = arrive_many(world, 7, youngest=HOUR)
    world.bronze.after = lambda _method, _raw_ids: world.clock.spend(10.0)
    world.clock.left = 21.0

    # WHEN it comes
    result = world.sweep()

    # THEN it ends in time, and the cursor and the watermark stand where it got to
    assert world.completed == set(identifiers[:4])
    assert result.cursor == identifiers[3]
    assert world.rows.watermark() == identifiers[3]
    assert world.clock.left > 0


def test_reads_and_pages_get_half_of_the_time_that_is_left(world: World) -> None:
    world.objects.page_size = 2
    arrive_many(world, 3)
    world.bronze.after = lambda _method, _raw_ids: world.clock.spend(20.0)
    world.sweep()
    # A page, its read, the next one, its read, and the look whether there are more.
    assert world.bronze.seconds == [30.0, 30.0, 20.0, 20.0, 10.0]


def test_a_sweep_without_any_time_does_nothing_and_says_where_it_began(world: World) -> None:
    arrive_many(world, 3, youngest=HOUR)
    world.clock.left = 1.0
    result = world.sweep()
    assert result.cursor == UUID(int=0)
    assert world.completed == set()
    assert world.rows.watermark() == UUID(int=0)


def test_retries_end_with_the_time(world: World) -> None:
    identifiers = arrive_many(world, 4)
    world.rows.record_attempts(identifiers, only_due=False)
    world.rows.pass_time(HOUR)
    world.bronze.after = lambda _method, _raw_ids: world.clock.spend(10.0)
    world.clock.left = 21.0
    assert world.sweep().checked == 2
    assert world.completed == set(identifiers[:2])
    assert world.attempts(identifiers[2]) == 1


# ---- the watermark ---------------------------------------------------------------------------------------------------


def test_the_watermark_stays_fifteen_minutes_behind_the_present(world: World) -> None:
    # GIVEN old objects and young ones
    old = arrive_many(world, 5, youngest=HOUR)
    young = arrive_many(world, 5)

    # WHEN all are processed
    world.sweep()

    # THEN the watermark has passed the old ones, and is as far behind as it should be
    assert world.completed == {*old, *young}
    watermark = world.rows.watermark()
    assert old[-1] < watermark < young[0]
    behind = datetime.now(UTC) - received_at(watermark)
    assert timedelta(minutes=15) <= behind < timedelta(minutes=16)


def test_the_watermark_stops_where_the_limit_did(world: World) -> None:
    old = arrive_many(world, 5, youngest=HOUR)
    world.sweep(limit=3)
    assert world.rows.watermark() == old[2]


def test_the_watermark_stops_below_what_min_age_left(world: World) -> None:
    old = arrive_many(world, 2, youngest=3 * HOUR)
    arrive_many(world, 2, youngest=HOUR)
    world.sweep(min_age=2 * HOUR)
    assert world.rows.watermark() == old[-1]


def test_the_watermark_passes_objects_that_the_queue_processed(world: World) -> None:
    identifiers = arrive_many(world, 5, youngest=HOUR)
    world.process(*map(message, identifiers))
    assert world.sweep().checked == 0
    assert world.rows.watermark() == identifiers[-1]


def test_a_sweep_from_a_cursor_leaves_the_watermark(world: World) -> None:
    # What lies before the cursor was not looked at.
    old = arrive_many(world, 4, youngest=HOUR)
    world.sweep(after=old[1])
    assert world.rows.watermark() == UUID(int=0)
    assert world.completed == set(old[2:])


def test_nothing_is_listed_below_the_watermark(world: World) -> None:
    arrive_many(world, 4, youngest=HOUR)
    world.sweep()
    world.sweep()
    assert world.bronze.listed_after == [UUID(int=0), world.rows.watermark()]


def test_a_put_that_is_late_by_less_than_the_lag_is_found(world: World) -> None:
    # GIVEN a sweep that has passed the present
    arrive_many(world, 3, youngest=HOUR)
    world.arrive()
    world.sweep()

    # WHEN an object comes whose identifier was made fourteen minutes ago
    late = world.arrive(age=WATERMARK_LAG - 60 * SECOND)

    # THEN the next sweep finds it
    assert world.sweep().checked == 1
    assert late in world.completed


def test_the_watermark_passes_over_objects_with_receipts_only(world: World) -> None:
    """Each object at or below the watermark has a receipt, whatever goes wrong, so that nothing is lost there."""
    identifiers = arrive_many(world, 30, youngest=HOUR)
    world.objects.page_size = 4
    world.bronze.unreadable = {identifiers[n]: BronzeUnavailableError("SlowDown") for n in (2, 9)}
    world.bronze.deadly = {identifiers[17]}
    for limit in (5, 3, 30, 30, 30):
        with suppress(ReaderDiedError):
            world.sweep(limit=limit)
        watermark, receipts = world.rows.watermark(), world.rows.receipt_rows()
        assert all(entry in receipts for entry in identifiers if entry <= watermark)
        world.rows.pass_time(HOUR)
    assert world.rows.watermark() == identifiers[-1]


def test_a_database_that_goes_away_keeps_the_watermark(world: World) -> None:
    arrive_many(world, 3, youngest=HOUR)
    world.silver.before = Failing("write_outcomes", SilverUnavailableError("down"))
    with pytest.raises(SilverUnavailableError):
        world.sweep()
    assert world.rows.watermark() == UUID(int=0)


def test_objects_processed_before_the_database_failed_are_counted(world: World) -> None:
    # GIVEN pages of two, and a database that goes away at the second
    world.objects.page_size = 2
    identifiers = arrive_many(world, 4)

    world.silver.before = refusing(SilverUnavailableError("down"), "write_outcomes", of=identifiers[2])

    # WHEN a sweep is handed a result
    result = ProcessingResult()
    with pytest.raises(SilverUnavailableError):
        world.sweep(result=result)

    # THEN it has the first page
    assert [entry.raw_id for entry in result.objects] == identifiers[:2]


def test_a_bucket_that_cannot_be_listed_is_raised_and_keeps_the_watermark(world: World) -> None:
    world.objects.page_size = 2
    identifiers = arrive_many(world, 6, youngest=HOUR)

    world.bronze.before = refusing(BronzeUnavailableError("SlowDown"), "list_after", of=identifiers[4])
    with pytest.raises(BronzeUnavailableError):
        world.sweep()
    assert world.completed == set(identifiers[:4])
    assert world.rows.watermark() == UUID(int=0)


# ---- other tries -----------------------------------------------------------------------------------------------------


def test_those_that_were_tried_before_come_last_and_alone(world: World) -> None:
    # GIVEN objects that a sweep died at, some twice
    twice, once = arrive_many(world, 3)[:2], arrive_many(world, 2)
    world.rows.record_attempts([*twice, *once], only_due=False)
    world.rows.record_attempts(twice, only_due=False)
    world.rows.pass_time(HOUR)
    fresh = [identifier for identifier in world.objects.objects if identifier not in {*twice, *once}]
    fresh += arrive_many(world, 2)

    # WHEN the sweep comes
    world.sweep()

    # THEN the fresh ones come together, then the others one at a time, fewest attempts first
    assert world.bronze.reads == [sorted(fresh), *([entry] for entry in [*sorted(once), *sorted(twice)])]


def test_those_that_are_not_due_are_left(world: World) -> None:
    (identifier,) = arrive_many(world, 1)
    world.rows.record_attempts([identifier], only_due=False)
    assert world.sweep().checked == 0
    world.rows.pass_time(timedelta(minutes=1))
    assert world.sweep().checked == 1


def test_a_backlog_leaves_other_tries_a_share_of_the_limit(world: World) -> None:
    # GIVEN objects that are due for another try, and more fresh ones than a sweep may take
    tried = arrive_many(world, 30)
    world.rows.record_attempts(tried, only_due=False)
    world.rows.pass_time(HOUR)
    fresh = arrive_many(world, 1_000)

    # WHEN one comes
    result = world.sweep(limit=100)

    # THEN a fifth of it was for those that were due
    assert world.completed == {*fresh[:80], *tried[:20]}
    assert result.cursor == fresh[79]


def test_a_backlog_leaves_other_tries_a_share_of_the_time(world: World) -> None:
    # GIVEN the same, pages of ten that cost five seconds each, and time for a few of them
    tried = arrive_many(world, 5)
    world.rows.record_attempts(tried, only_due=False)
    world.rows.pass_time(HOUR)
    fresh = arrive_many(world, 1_000)
    world.objects.page_size = 10

    def cost(_method: str, raw_ids: Collection[UUID]) -> None:
        world.clock.spend(0.5 * len(raw_ids))

    world.bronze.after = cost
    world.clock.left = 50.0

    # WHEN a sweep comes
    world.sweep()

    # THEN it kept time for those that were due, and the fresh ones got the rest
    assert {*tried} <= world.completed
    assert len(world.completed & {*fresh}) >= 70
    assert world.clock.left > 0


def test_fresh_objects_get_all_of_a_sweep_while_nothing_is_due(world: World) -> None:
    tried = arrive_many(world, 30)
    world.rows.record_attempts(tried, only_due=False)
    fresh = arrive_many(world, 200)
    world.sweep(limit=100)
    assert world.completed == {*fresh[:100]}


def test_no_more_are_asked_for_than_may_be_tried(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []
    due_for_retry = InMemorySilver.due_for_retry

    def noted(silver: InMemorySilver, limit: int, *, exhausted: bool) -> list[UUID]:
        limits.append(limit)
        return due_for_retry(silver, limit, exhausted=exhausted)

    monkeypatch.setattr(InMemorySilver, "due_for_retry", noted)
    world.sweep(limit=7)
    assert limits == [7]


def test_other_tries_count_for_the_limit(world: World) -> None:
    tried = arrive_many(world, 5)
    world.rows.record_attempts(tried, only_due=False)
    world.rows.pass_time(HOUR)
    arrive_many(world, 2)
    result = world.sweep(limit=4)
    assert result.checked == 4
    assert result.cursor is None
    assert world.sweep(limit=2).checked == 2
    assert world.sweep(limit=2).checked == 1


def test_a_poison_is_exhausted_after_five_attempts_and_keeps_nothing_from_the_others(world: World) -> None:
    # GIVEN fifty objects, one of which kills whoever reads it
    identifiers = arrive_many(world, 50)
    poison = identifiers[20]
    world.bronze.deadly = {poison}

    # WHEN sweeps come for as long as it takes
    deaths = 0
    for _ in range(12):
        try:
            world.sweep()
        except ReaderDiedError:
            deaths += 1
        world.rows.pass_time(24 * HOUR)

    # THEN all others are processed, and it was left alone after five attempts
    assert world.completed == {*identifiers} - {poison}
    assert deaths == world.attempts(poison) == 5
    assert world.rows.receipt_rows()[poison].last_error == OPEN_ATTEMPT


def test_the_schedule_retries_exhausted_objects_after_all_others(world: World) -> None:
    # GIVEN an exhausted object that kills its reader, one of which the cause has gone, and one tried once
    fixed, poison, tried = arrive_many(world, 3)
    for _ in range(MAX_ATTEMPTS):
        world.rows.record_attempts([poison, fixed], only_due=False)
    world.rows.record_attempts([tried], only_due=False)
    world.bronze.deadly = {poison}
    world.rows.pass_time(HOUR)
    fresh = world.arrive()

    # WHEN the schedule's sweep comes
    with pytest.raises(ReaderDiedError):
        world.sweep(retry_exhausted=True)

    # THEN what is fresh comes first, then what was tried less, and the poison is tried an hour later at the earliest
    assert [read for read in world.bronze.reads if read] == [[fresh], [tried], [fixed], [poison]]
    assert world.completed == {fresh, tried, fixed}
    world.sweep(retry_exhausted=True)
    assert [read for read in world.bronze.reads[4:] if read] == []


def test_a_death_costs_the_others_one_try_at_most(world: World) -> None:
    identifiers = arrive_many(world, 10)
    world.bronze.deadly = {identifiers[4]}
    with pytest.raises(ReaderDiedError):
        world.sweep()
    world.rows.pass_time(HOUR)
    with pytest.raises(ReaderDiedError):
        world.sweep()
    world.rows.pass_time(HOUR)
    with pytest.raises(ReaderDiedError):
        world.sweep()
    assert world.completed == {*identifiers} - {identifiers[4]}
    assert {world.attempts(entry) for entry in identifiers if entry != identifiers[4]} == {2}


def test_a_refused_row_ends_as_stuck_with_its_reason(world: World) -> None:
    good, refused = arrive_many(world, 2)

    world.silver.before = refusing(RowRefusedError("SQLSTATE 23514 outcomes"), "write_outcomes", of=refused)
    errors = 0
    for _ in range(8):
        errors += len(world.sweep().errors)
        world.rows.pass_time(24 * HOUR)
    assert errors == 5
    row = world.rows.receipt_rows()[refused]
    assert row.attempts == 5
    assert row.last_error == "RowRefusedError: SQLSTATE 23514 outcomes"
    assert world.completed == {good}


def test_failures_of_the_infrastructure_never_make_an_object_stuck(world: World) -> None:
    # GIVEN an object that can't be read for a long time, and a database that comes and goes
    (identifier,) = arrive_many(world, 1)
    world.bronze.unreadable[identifier] = BronzeUnavailableError("SlowDown")
    for _ in range(3 * MAX_ATTEMPTS):
        assert len(world.sweep().errors) == 1
        assert world.attempts(identifier) == 0
        world.rows.pass_time(HOUR)
    world.bronze.unreadable.clear()
    world.silver.before = Failing("write_outcomes", SilverUnavailableError("down"), times=3 * MAX_ATTEMPTS)
    for _ in range(3 * MAX_ATTEMPTS):
        with pytest.raises(SilverUnavailableError):
            world.sweep()
        assert world.attempts(identifier) == 0
        world.rows.pass_time(HOUR)

    # WHEN both are back
    assert world.sweep().checked == 1

    # THEN it is processed
    assert world.completed == {identifier}


# ---- two at once -----------------------------------------------------------------------------------------------------


def test_two_sweeps_at_once_split_the_work(world: World) -> None:
    # GIVEN a sweep during which another one comes
    identifiers = arrive_many(world, 30)
    world.objects.page_size = 5
    other = World(objects=world.objects, rows=world.rows)
    others: list[int] = []

    def interrupt(method: str, raw_ids: Collection[UUID]) -> None:
        if method == "record_attempts" and identifiers[10] in raw_ids and not others:
            others.append(other.sweep(limit=12).checked)

    world.silver.before = interrupt

    # WHEN both are through
    mine = world.sweep().checked

    # THEN each object was read and completed by one of them
    assert sorted([*reads(world), *reads(other)]) == identifiers
    assert (mine, others) == (18, [12])
    assert world.completed == {*identifiers}


def test_a_sweep_leaves_what_another_one_is_reading(world: World) -> None:
    # GIVEN a sweep that has recorded attempts on a page and reads it, when another one comes
    identifiers = arrive_many(world, 9)
    world.objects.page_size = 3
    other = World(objects=world.objects, rows=world.rows)

    def interrupt(method: str, raw_ids: Collection[UUID]) -> None:
        if method == "read" and identifiers[3] in raw_ids:
            other.sweep()

    world.bronze.before = interrupt

    # WHEN both are through
    world.sweep()

    # THEN the other one took the pages behind, and not this one
    assert other.bronze.reads == [identifiers[6:]]
    assert reads(world) == identifiers[:6]
    assert world.completed == {*identifiers}


def test_of_two_sweeps_that_saw_the_same_page_one_takes_an_object(world: World) -> None:
    # GIVEN a sweep that looked for receipts before another one recorded attempts on some of the page
    identifiers = arrive_many(world, 4)

    def interrupt(method: str, raw_ids: Collection[UUID]) -> None:
        if method == "record_attempts" and identifiers[0] in raw_ids:
            world.rows.record_attempts(identifiers[:2], only_due=True)

    world.silver.before = interrupt

    # WHEN it idempotency_store all of it
    result = world.sweep()

    # THEN it gets the rest
    assert reads(world) == identifiers[2:]
    assert result.checked == 2
    assert world.attempts(identifiers[0]) == 1


def test_of_two_sweeps_that_found_the_same_object_due_one_tries_it(world: World) -> None:
    # GIVEN objects that are due for another try, one of which another sweep takes first
    taken, free = arrive_many(world, 2)
    world.rows.record_attempts([taken, free], only_due=False)
    world.rows.pass_time(HOUR)

    def interrupt(method: str, raw_ids: Collection[UUID]) -> None:
        if method == "record_attempts" and taken in raw_ids:
            world.rows.record_attempts([taken], only_due=True)

    world.silver.before = interrupt

    # WHEN a sweep comes
    world.sweep()

    # THEN it tries the other one alone
    assert reads(world) == [free]
    assert world.attempts(taken) == 2


def test_an_object_that_the_queue_processes_meanwhile_is_not_counted(world: World) -> None:
    first, second = arrive_many(world, 2)
    other = World(objects=world.objects, rows=world.rows)

    def interrupt(method: str, _raw_ids: Collection[UUID]) -> None:
        if method == "write_outcomes":
            world.silver.before = lambda _method, _raw_ids: None
            other.process(message(first))

    world.silver.before = interrupt
    result = world.sweep()
    assert (result.checked, result.duplicates) == (1, 1)
    assert world.completed == {first, second}


def test_an_object_that_is_gone_by_the_time_it_is_read_is_explained(world: World) -> None:
    (identifier,) = arrive_many(world, 1)
    world.bronze.before = lambda method, _raw_ids: world.objects.objects.clear() if method == "read" else None
    result = world.sweep()
    assert [failure.terminal for failure in result.errors] == [True]
    assert (world.rows.receipt_rows()[identifier].last_error or "").startswith("ObjectMissingError")


def test_unknown_identifiers_never_matter(world: World) -> None:
    world.rows.record_attempts([raw_id()], only_due=False)
    world.rows.pass_time(HOUR)
    assert len(world.sweep().errors) == 1


@pytest.mark.parametrize("method", ["watermark", "due_for_retry", "receipts", "advance_watermark"])
def test_conflict_of_any_question_is_tried_again(world: World, method: str) -> None:
    old = world.arrive(age=timedelta(hours=1))
    failing = Failing(method, SilverConflictError("40001"))
    world.silver.before = failing

    assert world.sweep().processed == 1

    assert failing.times == 0
    assert world.rows.watermark() == old
