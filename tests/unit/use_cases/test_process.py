"""Batches of the queue: which messages are retried, and what one bad object does to the others."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import pytest

import dropzone.use_cases.objects
from dropzone.ports import (
    BronzeError,
    BronzeUnavailableError,
    ObjectMissingError,
    RowRefusedError,
    SilverConflictError,
    SilverUnavailableError,
)
from dropzone.use_cases.objects import MAX_CHUNK_OBJECTS, ProcessingResult
from dropzone.use_cases.process import CAUTIOUS_FROM_RECEIVE
from support.factories import EXAMPLE, EXAMPLE_INSTANT, NOT_NUMERIC, message, payload, raw_id
from support.fakes import ReaderDiedError
from support.world import Failing, Queue, World, refusing

MEBIBYTE = 1024 * 1024
LAST_RECEIVE = 5


def count_calls(world: World, method: str) -> list[list[UUID]]:
    """Take notes of the objects of each call of silver's method."""
    calls: list[list[UUID]] = []

    def note(called: str, raw_ids: Collection[UUID]) -> None:
        if called == method:
            calls.append(list(raw_ids))

    world.silver.before = note
    return calls


# ---- which messages are returned -------------------------------------------------------------------------------------


def test_process_counts_failed(world: World) -> None:
    good, bad = world.arrive(), world.arrive(NOT_NUMERIC)
    result = world.process(message(good), message(bad))
    assert (result.checked, result.processed, result.rejected) == (2, 1, 1)
    assert result.returned == []


def test_the_right_messages_go_back(world: World) -> None:
    # GIVEN good and bad objects, one that is gone, one that can't be read for the moment, one that was processed before
    good, bad, missing, throttled, old = (
        message(world.arrive()),
        message(world.arrive(NOT_NUMERIC)),
        message(raw_id()),
        message(world.arrive()),
        message(world.arrive()),
    )
    world.process(old)
    world.bronze.unreadable[throttled.objects[0].raw_id] = BronzeUnavailableError("SlowDown")

    # WHEN they come in one batch
    result = world.process(missing, good, throttled, bad, old)

    # THEN what a later attempt may change is returned, and nothing else
    assert result.returned == [missing.message_id, throttled.message_id]
    assert {failure.raw_id: failure.terminal for failure in result.errors} == {
        missing.objects[0].raw_id: True,
        throttled.objects[0].raw_id: False,
    }
    assert result.duplicates == 1
    assert world.completed == {entry.objects[0].raw_id for entry in (good, bad, old)}


def test_an_empty_batch_asks_nobody(world: World) -> None:
    calls = count_calls(world, "receipts")
    result = world.process(message())
    assert result.returned == []
    assert calls == world.bronze.reads == []


def test_an_object_named_twice_is_processed_once(world: World) -> None:
    identifier = world.arrive()
    result = world.process(message(identifier), message(identifier, identifier))
    assert result.checked == 1
    assert result.returned == []
    assert world.bronze.reads == [[identifier]]


def test_all_messages_that_name_an_unprocessed_object_are_returned(world: World) -> None:
    missing, good = raw_id(), world.arrive()
    first, second, third = message(missing), message(good, missing), message(good)
    assert world.process(first, second, third).returned == [first.message_id, second.message_id]
    assert world.completed == {good}


def test_processed_objects_are_not_read_again(world: World) -> None:
    identifier = world.arrive()
    world.process(message(identifier))
    result = world.process(message(identifier, receive_count=LAST_RECEIVE))
    assert world.bronze.reads == [[identifier]]
    assert (result.checked, result.duplicates, result.returned) == (0, 1, [])


def test_only_the_message_of_a_refused_row_is_returned(world: World) -> None:
    # GIVEN twenty objects, one of which has a row that the database refuses
    messages = [message(world.arrive()) for _ in range(20)]
    refused = messages[13].objects[0].raw_id

    world.silver.before = refusing(RowRefusedError("SQLSTATE 22003"), "write_outcomes", of=refused)

    # WHEN they come
    result = world.process(*messages)

    # THEN it alone is returned
    assert result.returned == [messages[13].message_id]
    assert len(world.completed) == 19


# ---- chunks and time -------------------------------------------------------------------------------------------------


def test_memory_is_bounded_by_the_notified_sizes(world: World) -> None:
    identifiers = [world.arrive() for _ in range(5)]
    world.process(*(message(identifier, size=15 * MEBIBYTE) for identifier in identifiers))
    assert world.bronze.reads == [identifiers[:2], identifiers[2:4], identifiers[4:]]


def test_a_transaction_holds_a_thousand_objects_at_most(world: World) -> None:
    identifiers = [world.arrive() for _ in range(MAX_CHUNK_OBJECTS + 1)]
    calls = count_calls(world, "write_outcomes")
    world.process(*map(message, identifiers))
    assert calls == [identifiers[:-1], identifiers[-1:]]


@pytest.mark.parametrize("receive_count", [1, CAUTIOUS_FROM_RECEIVE])
def test_with_little_time_left_the_rest_goes_back(world: World, receive_count: int) -> None:
    # GIVEN four chunks, and time for two
    messages = [message(world.arrive(), size=20 * MEBIBYTE, receive_count=receive_count) for _ in range(4)]
    world.clock.left = 11.0
    world.bronze.after = lambda _method, _raw_ids: world.clock.spend(5.0)

    # WHEN they come
    result = world.process(*messages)

    # THEN what is processed is processed, and the others are returned untouched
    assert result.deferred == [entry.objects[0].raw_id for entry in messages[2:]]
    assert result.returned == [entry.message_id for entry in messages[2:]]
    assert result.errors == []
    assert world.rows.receipt_rows().keys() == world.completed == {entry.objects[0].raw_id for entry in messages[:2]}


@pytest.mark.parametrize("receive_count", [1, CAUTIOUS_FROM_RECEIVE])
def test_a_chunk_that_outlasts_the_time_is_partly_written(
    world: World, monkeypatch: pytest.MonkeyPatch, receive_count: int
) -> None:
    # GIVEN a chunk of three batches, each of which takes four seconds to write, and time for less than two
    monkeypatch.setattr(dropzone.use_cases.objects, "MAX_CHUNK_EVENTS", 2)
    batch = b"[" + b",".join([EXAMPLE] * 2) + b"]"
    messages = [message(world.arrive(batch), receive_count=receive_count) for _ in range(3)]
    world.clock.left = 4.5
    world.silver.after = lambda method, _raw_ids: world.clock.spend(4.0 if method == "write_outcomes" else 0.0)

    result = world.process(*messages)

    # THEN the third is returned, and no attempt of it is counted
    last = messages[2].objects[0].raw_id
    assert result.deferred == [last]
    assert result.returned == [messages[2].message_id]
    assert world.completed == {entry.objects[0].raw_id for entry in messages[:2]}
    receipt = world.rows.receipts([last]).get(last)
    assert receipt is None or receipt.attempts == 0


def test_a_chunk_that_was_committed_stays_when_a_later_one_fails(world: World) -> None:
    # GIVEN two chunks, and a database that goes away between them
    first, second = (message(world.arrive(), size=20 * MEBIBYTE) for _ in range(2))

    world.silver.before = refusing(
        SilverUnavailableError("SQLSTATE 57P01"), "write_outcomes", of=second.objects[0].raw_id
    )

    # WHEN they come
    result = ProcessingResult()
    with pytest.raises(SilverUnavailableError):
        world.process(first, second, result=result)

    # THEN the first is processed and counted, and recognised when the batch comes again
    assert world.completed == {first.objects[0].raw_id}
    assert [entry.raw_id for entry in result.objects] == [first.objects[0].raw_id]
    world.silver.before = lambda _method, _raw_ids: None
    result = world.process(first, second)
    assert (result.checked, result.duplicates, result.returned) == (1, 1, [])


# ---- the database is away --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "receive_count"),
    [("receipts", 1), ("write_outcomes", 1), ("receipts", 3), ("record_attempts", 3), ("write_outcomes", 3)],
)
def test_an_unavailable_database_raises_the_batch_and_leaves_nothing_half_written(
    world: World, method: str, receive_count: int
) -> None:
    identifier = world.arrive()
    world.silver.before = Failing(method, SilverUnavailableError("down"))
    with pytest.raises(SilverUnavailableError, match="down"):
        world.process(message(identifier, receive_count=receive_count))
    assert world.rows.outcome_rows() == {}
    assert world.rows.measurement_rows() == {}
    assert world.completed == set()


@pytest.mark.parametrize("method", ["receipts", "record_attempts", "write_outcomes"])
def test_conflicts_are_tried_again_within_the_call(world: World, method: str) -> None:
    identifier = world.arrive()
    world.silver.before = failing = Failing(method, SilverConflictError("40P01"), times=2)
    world.process(message(identifier, receive_count=CAUTIOUS_FROM_RECEIVE))
    assert failing.times == 0
    assert world.completed == {identifier}


@pytest.mark.parametrize(
    ("method", "error"),
    [("release_attempts", BronzeUnavailableError("SlowDown")), ("record_errors", ObjectMissingError("gone"))],
)
def test_what_became_of_an_attempt_is_recorded_in_spite_of_conflicts(
    world: World, method: str, error: BronzeError
) -> None:
    identifier = world.arrive()
    world.bronze.unreadable[identifier] = error
    world.silver.before = failing = Failing(method, SilverConflictError("40P01"), times=2)

    world.process(message(identifier, receive_count=CAUTIOUS_FROM_RECEIVE))

    assert failing.times == 0
    assert str(error) in (world.rows.receipt_rows()[identifier].last_error or "")


def test_a_database_that_also_takes_no_release_raises_its_first_error(world: World) -> None:
    identifier = world.arrive()

    def fail(method: str, _raw_ids: Collection[UUID]) -> None:
        if method in {"write_outcomes", "release_attempts"}:
            raise SilverUnavailableError(method)

    world.silver.before = fail

    with pytest.raises(SilverUnavailableError, match="write_outcomes"):
        world.process(message(identifier, receive_count=CAUTIOUS_FROM_RECEIVE))


def test_conflicts_without_end_raise_the_batch(world: World) -> None:
    identifier = world.arrive()
    world.clock.left = 10.0
    world.silver.before = Failing("write_outcomes", SilverConflictError("40P01"), times=10_000)
    world.silver.before = _costing(world, world.silver.before, 3.0)
    with pytest.raises(SilverUnavailableError, match="40P01"):
        world.process(message(identifier))
    assert world.completed == set()


def _costing(world: World, hook: Failing, seconds: float) -> Failing:
    class Costing(Failing):
        def __call__(self, method: str, raw_ids: Collection[UUID]) -> None:
            world.clock.spend(seconds)
            hook(method, raw_ids)

    return Costing(hook.method, hook.error)


# ---- suspects --------------------------------------------------------------------------------------------------------


def test_at_the_first_receive_objects_share_a_chunk_without_attempts(world: World) -> None:
    identifiers = [world.arrive() for _ in range(5)]
    idempotency_store = count_calls(world, "record_attempts")
    world.process(*map(message, identifiers))
    assert idempotency_store == []
    assert world.bronze.reads == [identifiers]


def calls_of(world: World) -> list[tuple[str, *tuple[UUID, ...]]]:
    """Take notes of each call to bronze and silver, and of its objects."""
    calls: list[tuple[str, *tuple[UUID, ...]]] = []

    def note(method: str, raw_ids: Collection[UUID]) -> None:
        calls.append((method, *raw_ids))

    world.bronze.before = world.silver.before = note
    return calls


@pytest.mark.parametrize("receive_count", [CAUTIOUS_FROM_RECEIVE, 50])
def test_later_receives_record_attempts_and_share_a_chunk_while_none_was_tried(
    world: World, receive_count: int
) -> None:
    # Messages have many receives after an outage of the database, and nothing is wrong with their objects.
    identifiers = [world.arrive() for _ in range(5)]
    calls = calls_of(world)
    world.process(*(message(identifier, receive_count=receive_count) for identifier in identifiers))
    assert calls == [(method, *identifiers) for method in ("receipts", "record_attempts", "read", "write_outcomes")]
    assert world.completed == {*identifiers}


def test_those_that_were_tried_are_taken_one_at_a_time(world: World) -> None:
    identifiers = [world.arrive() for _ in range(5)]
    world.rows.record_attempts(identifiers, only_due=False)
    calls = calls_of(world)
    world.process(*(message(identifier, receive_count=3) for identifier in identifiers))
    methods = ("record_attempts", "written", "read", "write_outcomes")
    assert calls == [
        ("receipts", *identifiers),
        *((method, identifier) for identifier in identifiers for method in methods),
    ]


def test_objects_with_more_attempts_are_processed_later(world: World) -> None:
    tried, untried, fresh = world.arrive(), world.arrive(), world.arrive()
    world.rows.record_attempts([tried], only_due=False)
    world.process(message(tried, receive_count=3), message(untried, receive_count=3), message(fresh))
    assert world.bronze.reads == [[fresh], [untried], [tried]]


def test_those_that_were_tried_alone_wait_until_the_batch_holds_nothing_else(world: World) -> None:
    # GIVEN objects that were tried three times, twice, once and never
    thrice, twice, once, never = (world.arrive() for _ in range(4))
    for tried in ([thrice, twice, once], [thrice, twice], [thrice]):
        world.rows.record_attempts(tried, only_due=False)
    first, second, third, fourth = (message(entry, receive_count=3) for entry in (thrice, twice, once, never))

    # WHEN they come together
    result = world.process(first, second, third, fourth)

    # THEN those that were tried more than once are returned untouched
    assert world.completed == {once, never}
    assert result.returned == [first.message_id, second.message_id]
    assert result.poison == [twice, thrice]
    assert result.errors == []

    # AND on their own they are taken one a call, fewest attempts first
    result = world.process(first, second)
    assert world.completed == {once, never, twice}
    assert result.returned == [first.message_id]
    assert world.process(first).returned == []
    assert world.completed == {once, never, twice, thrice}


def test_a_message_that_is_done_keeps_those_that_were_tried_alone_waiting(world: World) -> None:
    # The queue would not know that it is done if its batch died.
    tried, done = world.arrive(), world.arrive()
    for _ in range(2):
        world.rows.record_attempts([tried], only_due=False)
    world.process(message(done))
    suspect = message(tried, receive_count=3)
    assert world.process(suspect, message(done, receive_count=3)).returned == [suspect.message_id]
    assert world.process(suspect, message(receive_count=1)).returned == [suspect.message_id]
    assert world.completed == {done}


def test_one_that_was_tried_is_taken_with_the_others_of_its_message(world: World) -> None:
    tried, fresh = world.arrive(), world.arrive()
    for _ in range(2):
        world.rows.record_attempts([tried], only_due=False)
    assert world.process(message(tried, fresh, receive_count=3)).returned == []
    assert world.bronze.reads == [[fresh], [tried]]


def test_at_the_first_receive_attempts_do_not_matter(world: World) -> None:
    # A sweep may have tried it, or the queue before a redrive.
    tried, fresh = world.arrive(), world.arrive()
    for _ in range(2):
        world.rows.record_attempts([tried], only_due=False)
    assert world.process(message(tried), message(fresh)).returned == []
    assert world.completed == {tried, fresh}


def test_the_highest_receive_count_of_an_object_counts(world: World) -> None:
    identifier = world.arrive()
    idempotency_store = count_calls(world, "record_attempts")
    world.process(message(identifier, receive_count=3), message(identifier, receive_count=1))
    assert idempotency_store == [[identifier]]


@pytest.mark.parametrize("position", [0, 25, 50])
@pytest.mark.parametrize("moment", ["read", "write_outcomes"])
def test_a_poison_ends_as_a_dead_letter_alone(world: World, position: int, moment: str) -> None:
    # GIVEN fifty good objects and one that kills whoever reads, or writes, it
    identifiers = [world.arrive(payload(f"2019-05-01T06:{n:02}:00Z")) for n in range(51)]
    poison = identifiers[position]

    world.bronze.before = world.silver.before = refusing(ReaderDiedError(), moment, of=poison)

    # WHEN the batch comes as often as the queue allows
    queue = Queue(world.bronze, world.silver, world.clock.time_left, max_receive_count=LAST_RECEIVE)
    queue.send(*identifiers)
    for _ in range(LAST_RECEIVE):
        queue.deliver()

    # THEN it alone is left, and ends as the only dead letter
    assert world.completed == {*identifiers} - {poison}
    assert [entry.objects[0].raw_id for entry in queue.waiting] == [poison]
    assert world.attempts(poison) == 3
    queue.drain()
    assert [entry.objects[0].raw_id for entry in queue.dead] == [poison]


def test_objects_beside_a_poison_one_are_processed_at_their_first_receive(world: World) -> None:
    # GIVEN a poison that has ended its call, in others' company
    poison, *fresh = (world.arrive() for _ in range(3))
    world.bronze.deadly = {poison}

    # WHEN it comes again and again, each time in one batch with a fresh object
    for receive_count, identifier in zip((2, 3), fresh, strict=True):
        with pytest.raises(ReaderDiedError):
            world.process(message(poison, receive_count=receive_count), message(identifier))

        # THEN that one was processed before the process died
        assert identifier in world.completed

    # AND later ones are done with at once
    later, suspect = world.arrive(), message(poison, receive_count=4)
    assert world.process(suspect, message(later)).returned == [suspect.message_id]
    assert world.completed == {*fresh, later}


@pytest.mark.parametrize(
    "error", [BronzeUnavailableError("SlowDown"), SilverUnavailableError("down"), SilverConflictError("40P01")]
)
def test_an_attempt_that_failed_for_another_reason_does_not_count(world: World, error: Exception) -> None:
    # GIVEN a suspect, and bronze or silver in trouble
    identifier = world.arrive()
    if isinstance(error, BronzeUnavailableError):
        world.bronze.unreadable[identifier] = error
    else:
        world.silver.before = Failing("write_outcomes", error, times=10_000)
    world.clock.left = 2.5

    # WHEN it is tried
    suspect = message(identifier, receive_count=3)
    try:
        returned = world.process(suspect).returned
    except SilverUnavailableError:
        returned = [suspect.message_id]

    # THEN it is returned, and the attempt doesn't count
    assert returned == [suspect.message_id]
    row = world.rows.receipt_rows()[identifier]
    assert (row.attempts, row.complete) == (0, False)
    assert str(error) in (row.last_error or "")


def test_an_attempt_on_a_missing_object_counts_and_is_reported(world: World) -> None:
    missing = raw_id()
    suspect = message(missing, receive_count=4)
    assert world.process(suspect).returned == [suspect.message_id]
    row = world.rows.receipt_rows()[missing]
    assert row.attempts == 1
    assert row.last_error is not None
    assert row.last_error.startswith("ObjectMissingError")


def test_stuck_objects_are_still_processed_from_the_queue(world: World) -> None:
    # After a redrive, when the cause was found.
    identifier = world.arrive()
    for _ in range(7):
        world.rows.record_attempts([identifier], only_due=False)
    assert world.process(message(identifier, receive_count=3)).returned == []
    assert world.completed == {identifier}


# ---- arrival order ---------------------------------------------------------------------------------------------------


def test_upsert_replaces_existing(world: World) -> None:
    # GIVEN three events of one instant, with different offsets
    first = world.arrive(payload("2019-05-01T06:00:00-04:00", [0, 2]), age=timedelta(seconds=3))
    second = world.arrive(payload("2019-05-01T10:00:00Z", [5]), age=timedelta(seconds=2))
    third = world.arrive(payload("2019-05-01T12:00:00+02", [7]), age=timedelta(seconds=1))

    # WHEN they are delivered late and out of order
    world.process(message(third), message(first))
    world.process(message(second))

    # THEN the last arrival is the measurement
    row = world.rows.measurement_rows()[EXAMPLE_INSTANT, ""]
    assert (row.raw_id, row.measurement.aggregates.mean) == (third, 7.0)


# ---- after an outage -------------------------------------------------------------------------------------------------


def test_after_an_outage_objects_are_processed_together(world: World) -> None:
    # GIVEN a hundred messages that came again and again while the database was away
    identifiers = [world.arrive() for _ in range(100)]
    queue = Queue(world.bronze, world.silver, world.clock.time_left, max_receive_count=60)
    queue.send(*identifiers)
    for method in ("receipts", "record_attempts", "write_outcomes", "receipts", "write_outcomes"):
        world.silver.before = Failing(method, SilverUnavailableError("down"), times=10_000)
        queue.deliver()
    assert world.completed == set()

    # WHEN it is back
    calls = count_calls(world, "write_outcomes")
    queue.deliver()

    # THEN they are processed in one transaction
    assert calls == [identifiers]
    assert queue.waiting == []


def test_poisons_among_what_an_outage_left_end_as_dead_letters_alone(world: World) -> None:
    # GIVEN messages that have been received ten times, two of which kill their reader
    identifiers = [world.arrive() for _ in range(100)]
    poisons = {identifiers[7], identifiers[70]}
    queue = Queue(world.bronze, world.silver, world.clock.time_left, max_receive_count=16)
    queue.send(*identifiers)
    world.silver.before = Failing("receipts", SilverUnavailableError("down"), times=10)
    for _ in range(10):
        queue.deliver()

    # WHEN the database is back
    world.bronze.deadly = poisons
    queue.drain()

    # THEN the others are processed
    assert {entry.objects[0].raw_id for entry in queue.dead} == poisons
    assert world.completed == {*identifiers} - poisons


def test_every_duplicate_of_a_batch_is_counted(world: World) -> None:
    first, second, third = world.arrive(), world.arrive(), world.arrive()
    world.process(message(first), message(second))
    result = ProcessingResult()

    world.process(message(first), message(second), message(third), result=result)

    assert (result.duplicates, result.checked) == (2, 1)
