"""Chunks, retries, and a row that is refused."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from dropzone.domain.body import JSON
from dropzone.domain.contracts import DEFAULT
from dropzone.domain.outcomes import Code
from dropzone.ports import (
    BronzeUnavailableError,
    ListedObject,
    RawObject,
    RowRefusedError,
    SilverConflictError,
    SilverUnavailableError,
)
from dropzone.use_cases.objects import (
    MAX_CHUNK_BYTES,
    MAX_CHUNK_OBJECTS,
    RESERVE_SECONDS,
    ProcessingResult,
    Processor,
    chunks,
    with_retries,
)
from support.contracts import contract, contracts
from support.factories import NOT_NUMERIC, WITHOUT_OFFSET, payload, raw_ids
from support.fakes import InMemorySilver
from support.world import Clock, Failing, World

MEBIBYTE = 1024 * 1024


# ---- chunks ----------------------------------------------------------------------------------------------------------


def sizes(*mebibytes: int) -> list[list[int]]:
    listed = [ListedObject(identifier, 0) for identifier in raw_ids(len(mebibytes))]
    objects = [entry._replace(size=size * MEBIBYTE) for entry, size in zip(listed, mebibytes, strict=True)]
    cut = list(chunks(objects))
    assert [entry for chunk in cut for entry in chunk] == objects
    return [[entry.size // MEBIBYTE for entry in chunk] for chunk in cut]


def test_chunks_are_cut_by_size() -> None:
    assert sizes() == []
    assert sizes(16, 16) == [[16, 16]]
    assert sizes(16, 16, 1) == [[16, 16], [1]]
    assert sizes(40, 40, 1) == [[40], [40], [1]]
    assert sizes(1, 40, 1) == [[1], [40], [1]]


def test_a_byte_over_the_bound_begins_a_chunk() -> None:
    first, second = raw_ids(2)
    assert len(list(chunks([ListedObject(first, 1), ListedObject(second, MAX_CHUNK_BYTES - 1)]))) == 1
    assert len(list(chunks([ListedObject(first, 1), ListedObject(second, MAX_CHUNK_BYTES)]))) == 2


def test_every_chunk_may_be_as_large_as_the_bound() -> None:
    largest, first, second = raw_ids(3)
    sizes = [(largest, MAX_CHUNK_BYTES), (first, 1), (second, MAX_CHUNK_BYTES - 1)]
    cut = chunks(ListedObject(identifier, size) for identifier, size in sizes)
    assert [[entry.raw_id for entry in chunk] for chunk in cut] == [[largest], [first, second]]


def test_chunks_are_cut_by_number() -> None:
    cut = chunks(ListedObject(identifier, 1) for identifier in raw_ids(2 * MAX_CHUNK_OBJECTS + 1))
    assert [len(chunk) for chunk in cut] == [MAX_CHUNK_OBJECTS, MAX_CHUNK_OBJECTS, 1]


# ---- what is tallied -------------------------------------------------------------------------------------------------


def test_a_result_counts_objects_and_says_why_they_failed(world: World) -> None:
    # GIVEN a good object, two bad ones, and one that was processed before
    old = world.arrive(age=timedelta(seconds=30))
    world.process_objects(old)
    good = world.arrive(age=timedelta(seconds=20))
    zoneless, both = world.arrive(WITHOUT_OFFSET), world.arrive(payload("2019-05-01T06:00:00", ["2"]))

    # WHEN they are processed
    result = world.process_objects(old, good, zoneless, both)

    # THEN the counts are the seed's
    assert (result.checked, result.processed, result.rejected, result.duplicates) == (3, 1, 2, 1)
    assert {entry.raw_id: entry.codes for entry in result.objects} == {
        good: {},
        zoneless: {Code.TIME_STAMP_NO_TIMEZONE: 1},
        both: {Code.TIME_STAMP_NO_TIMEZONE: 1, Code.DATA_NOT_NUMERIC: 1},
    }
    (latency,) = (entry.latency for entry in result.objects if entry.raw_id == good)
    assert timedelta(seconds=20) <= latency < timedelta(minutes=1)


# ---- a row that is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refused", [{0}, {41}, {99}, {3, 50, 51}, set(range(100)), set()])
def test_refused_rows_are_found_by_halving(world: World, refused: set[int]) -> None:
    # GIVEN a hundred objects, some of which have a row that is refused
    identifiers = [world.arrive(NOT_NUMERIC if n == 7 else payload()) for n in range(100)]
    bad = {identifiers[n] for n in refused}
    calls: list[int] = []

    def refuse(method: str, raw_ids: Collection[UUID]) -> None:
        if method == "write_outcomes":
            calls.append(len(raw_ids))
            if not bad.isdisjoint(raw_ids):
                raise RowRefusedError("SQLSTATE 23514 outcomes")

    world.silver.before = refuse

    # WHEN they are processed
    result = world.process_objects(*identifiers)

    # THEN those alone fail, for good, and all others are processed
    assert {failure.raw_id for failure in result.errors} == bad
    assert all(failure.terminal and "23514" in failure.reason for failure in result.errors)
    assert world.completed == {*identifiers} - bad
    assert len(result.objects) == 100 - len(bad)
    assert len(calls) <= 1 + 2 * 7 * max(len(bad), 1)


# ---- conflicts -------------------------------------------------------------------------------------------------------


def test_a_conflict_is_tried_again_after_a_pause_with_jitter() -> None:
    # GIVEN a call that conflicts twelve times
    failing, pauses = Failing("call", SilverConflictError("40P01"), times=12), list[float]()

    def call() -> str:
        failing("call", [])
        return "done"

    # WHEN it is made
    assert with_retries(call, lambda: 60.0, pauses.append) == "done"

    # THEN the pauses vary, grow, and stay short
    assert len(pauses) == len(set(pauses)) == 12
    assert all(0 <= pause <= min(0.05 * 2**n, 1.0) for n, pause in enumerate(pauses))


def test_conflicts_last_until_little_time_is_left() -> None:
    # GIVEN a call that always conflicts, and ten seconds
    failing, clock = Failing("call", SilverConflictError("40P01"), times=10_000), Clock(10.0)

    # WHEN it is made
    with pytest.raises(SilverUnavailableError, match="40P01") as raised:
        with_retries(lambda: failing("call", []), clock.time_left, clock.spend)

    # THEN it was tried until little was left, and not beyond
    assert RESERVE_SECONDS <= clock.left < RESERVE_SECONDS + 1.0
    assert failing.times < 10_000 - 8
    assert isinstance(raised.value.__cause__, SilverConflictError)


def test_nothing_but_a_conflict_is_tried_again() -> None:
    failing = Failing("call", SilverUnavailableError("down"), times=2)
    with pytest.raises(SilverUnavailableError, match="down"):
        with_retries(lambda: failing("call", []), lambda: 60.0)
    assert failing.times == 1


def test_a_lost_answer_of_the_database_loses_and_doubles_nothing(world: World) -> None:
    # GIVEN a call whose commit is answered by a broken connection
    identifiers = [world.arrive() for _ in range(2)]
    world.silver.after = Failing("write_outcomes", SilverUnavailableError("broken pipe"))
    with pytest.raises(SilverUnavailableError):
        world.process_objects(*identifiers)

    # WHEN the objects come again
    result = world.process_objects(*identifiers)

    # THEN they are recognised
    assert (result.checked, result.duplicates) == (0, 2)
    assert world.completed == set(identifiers)


def test_all_that_was_said_of_an_object_decides_its_outcomes(world: World) -> None:
    # GIVEN objects that were sent to a contract, by a key that may write to one hall, and later than a rule allows
    line = contract("line", {"rule": "minimum", "limit": 10})
    fresh = contract(DEFAULT, {"rule": "behind", "limit": "P1D"})
    world.silver.inner = world.rows = InMemorySilver(contracts=contracts(line, fresh))
    of_line, of_another, late = raw_ids(3)
    now = datetime.now(UTC).isoformat()
    body = payload(now, [2], schema_version=2, source="hall-4")
    for identifier, sent, others in (
        (of_line, body, {"contract": "line"}),
        (of_another, body, {"writes": ("hall-3",)}),
        (late, payload("2001-01-01T00:00:00Z", [2]), {}),
    ):
        world.objects.put(RawObject(identifier, sent, content_type=JSON, correlation_id=f"of {identifier}", **others))

    # WHEN they are processed
    result = world.process_objects(of_line, of_another, late)

    # THEN each breaks its rule, and is counted under the identifier of its request
    assert {entry.raw_id: list(entry.codes) for entry in result.objects} == {
        of_line: [Code.VALUE_BELOW_MINIMUM],
        of_another: [Code.SOURCE_NOT_ALLOWED],
        late: [Code.TIME_STAMP_TOO_OLD],
    }
    assert all(entry.correlation_id == f"of {entry.raw_id}" for entry in result.objects)


# ---- time ------------------------------------------------------------------------------------------------------------


def test_reading_gets_half_of_the_time_and_objects_read_by_then_are_processed(world: World) -> None:
    # GIVEN two objects, of which one is not read in time
    quick, slow = world.arrive(), world.arrive()
    world.clock.left = 50.0
    world.bronze.unreadable[slow] = BronzeUnavailableError("S3 took longer than there is time")

    # WHEN they are processed
    result = world.process_objects(quick, slow)

    # THEN half of the time was for reading, and the one that was read is processed
    assert world.bronze.seconds == [25.0]
    assert world.completed == {quick}
    assert [(failure.raw_id, failure.terminal) for failure in result.errors] == [(slow, False)]


def test_what_is_deferred_adds_to_what_was(world: World) -> None:
    earlier, first, second, third = raw_ids(4)
    for identifier in (first, second, third):
        world.objects.put(RawObject(identifier, payload(), content_type=JSON, correlation_id=""))
    result = ProcessingResult(deferred=[earlier])
    world.bronze.after = lambda _method, _raw_ids: world.clock.spend(world.clock.left)

    Processor(world.bronze, world.silver, world.clock.time_left, result).process([first, second, third])

    assert result.deferred == [earlier, second, third]
