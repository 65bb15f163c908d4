"""Objects at the limits of what ingest takes, and a database that dies: every object ends all the same."""

import statistics
import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Self
from uuid import UUID

import pytest

from dropzone.adapters.database import Database, open_database
from dropzone.adapters.postgres_outcome_store import PostgresOutcomeStore
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.domain.body import NDJSON
from dropzone.domain.outcomes import Change
from dropzone.ports import MAX_ATTEMPTS, OPEN_ATTEMPT, Bronze, RawObject, Silver, SilverUnavailableError, TimeLeft
from dropzone.use_cases.objects import ProcessingResult
from dropzone.use_cases.process import CAUTIOUS_FROM_RECEIVE, process
from dropzone.use_cases.replay import Arrived, ReplayResult, replay
from dropzone.use_cases.sweep import sweep
from dropzone_local.postgres import Postgres
from support.factories import arrive, message, raw_id
from support.fakes import Hook, HookedBronze, HookedSilver, InMemoryBronze, ReaderDiedError
from support.packing import gzipped
from support.postgres import RETRY_AFTER, SilverInPostgres, database_settings, running_postgres

if TYPE_CHECKING:
    from dropzone.domain.identifiers import Cursor

MAX_BODY_BYTES = 4 * 1024 * 1024
EVENTS = 100_000
SLOWEST = [1e308, 9e307, 1e-99, 7e-311]
"""Values whose sum is beyond binary64, and as far apart as can be."""

SHORTEST_CALL_SECONDS = 5.0
"""The minimum of ProcessTimeout."""

INSTANT = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class LargestObject:
    """As many events as an object can hold, of which as many as fit are of the slowest values; the rest is rejected."""

    slow: int
    body: bytes

    @classmethod
    def make(cls) -> Self:
        bad = b'{"time_stamp":"","data":[]}'
        values = ",".join(map(repr, SLOWEST))
        size = len(cls._slow_event(0, values)) + 1
        slow = (MAX_BODY_BYTES - EVENTS * (len(bad) + 1)) // (size - len(bad) - 1)
        lines = [cls._slow_event(number, values) for number in range(slow)] + [bad] * (EVENTS - slow)
        # Bad ones stand between the others, in every part.
        Random(0).shuffle(lines)  # noqa: S311 - no secret
        body = b"\n".join(lines)
        assert MAX_BODY_BYTES - size <= len(body) <= MAX_BODY_BYTES
        return cls(slow, body)

    @staticmethod
    def _slow_event(number: int, values: str) -> bytes:
        instant = INSTANT + timedelta(seconds=number)
        return f'{{"time_stamp":"{instant:%Y-%m-%dT%H:%M:%SZ}","data":[{values}]}}'.encode()

    def arrive(self, bronze: Bronze) -> UUID:
        """Put it into bronze, packed as a client would."""
        identifier = raw_id(timedelta(minutes=30))
        packed = gzipped(self.body, 1)
        bronze.put(
            RawObject(identifier, packed, content_type=NDJSON, correlation_id="request", content_encoding="gzip")
        )
        return identifier


def call_of(seconds: float) -> TimeLeft:
    """The time that is left in a call that begins now."""
    ends = time.monotonic() + seconds
    return lambda: ends - time.monotonic()


def dying_when_late(time_left: TimeLeft) -> Hook:
    """End the process when the time of its call is over, as Lambda does."""

    def hook(_method: str, _raw_ids: Collection[UUID]) -> None:
        if time_left() < 0:
            raise ReaderDiedError

    return hook


def written(tables: SilverInPostgres, identifier: UUID) -> int:
    ((count,),) = tables.query("SELECT count(*) FROM outcomes WHERE raw_id = :raw_id", raw_id=identifier)
    return int(count)


def check_largest(tables: SilverInPostgres, identifier: UUID, largest: LargestObject) -> None:
    """Each event has its outcome, and the slow ones their figures."""
    ((rejected, processed, last),) = tables.query(
        "SELECT count(*) FILTER (WHERE outcome = 'rejected' AND jsonb_array_length(violations) = 2),"
        " count(*) FILTER (WHERE outcome = 'processed'), max(item) FROM outcomes WHERE raw_id = :raw_id",
        raw_id=identifier,
    )
    assert (rejected, processed, last) == (EVENTS - largest.slow, largest.slow, EVENTS - 1)
    figures = tables.query(
        "SELECT mean, std_dev, sample_count, min, max, count(*), count(DISTINCT measured_at) FROM measurements"
        " WHERE raw_id = :raw_id GROUP BY 1, 2, 3, 4, 5",
        raw_id=identifier,
    )
    mean, std_dev = statistics.mean(SLOWEST), statistics.pstdev(SLOWEST)
    assert figures == [[mean, std_dev, 4, 7e-311, 1e308, largest.slow, largest.slow]]
    assert tables.receipt_rows()[identifier].items == EVENTS


# ---- objects at the limit --------------------------------------------------------------------------------------------


def test_the_largest_object_ends_in_calls_of_the_shortest_time(tables: SilverInPostgres) -> None:
    # GIVEN the largest object there is, and the shortest calls
    bronze, largest = InMemoryBronze(), LargestObject.make()
    identifier = largest.arrive(bronze)
    silver = HookedSilver(tables.silver())

    # WHEN the queue and the sweep take it in turns
    reached, result = [0], ProcessingResult()
    for number in range(60):
        time_left = call_of(SHORTEST_CALL_SECONDS)
        silver.after = dying_when_late(time_left)
        if number % 2:
            tables.pass_time(timedelta(hours=1))
            result = sweep(
                bronze=bronze,
                silver=silver,
                limit=10_000,
                min_age=timedelta(0),
                after=None,
                retry_exhausted=False,
                time_left=time_left,
            )
        else:
            again = message(identifier, receive_count=number + 1)
            result = process([again], bronze=bronze, silver=silver, time_left=time_left)

        # THEN each call gets on, and none counts as an attempt
        reached.append(written(tables, identifier))
        assert result.errors == []
        assert reached[-1] > reached[-2]
        if result.checked:
            break
        assert tables.receipt_rows()[identifier].attempts == 0

    # AND in the end all of it is there
    check_largest(tables, identifier, largest)
    (completed,) = result.objects
    assert (completed.events, completed.rejected) == (EVENTS, EVENTS - largest.slow)


def test_a_replay_of_the_largest_object_answers_in_time_and_ends(tables: SilverInPostgres) -> None:
    # GIVEN the largest object there is, whose outcomes are lost, another one behind it, and calls of the shortest time
    bronze, largest = InMemoryBronze(), LargestObject.make()
    identifier = largest.arrive(bronze)
    other = arrive(bronze)
    database = tables.open()

    # WHEN calls follow the cursor
    results: list[ReplayResult] = []
    after: Cursor | None = None
    while not results or after is not None:
        time_left = call_of(SHORTEST_CALL_SECONDS)
        database.use_time_left(time_left)
        results.append(
            replay(
                Arrived(),
                bronze=bronze,
                outcome_store=PostgresOutcomeStore(database),
                limit=100,
                after=after,
                dry_run=False,
                time_left=time_left,
            )
        )
        after = results[-1].cursor

        # THEN each answers before its time is over, and makes progress, or finds that nothing is left
        assert time_left() > 0
        assert results[-1].changes or after is None
        assert len(results) < 60

    # AND in the end both are replayed, each counted once
    assert [len([result for result in results if result.errors]), sum(result.checked for result in results)] == [0, 2]
    assert sum(result.rejected for result in results) == 1
    assert sum((result.changes for result in results), Counter()) == {Change.NEW: EVENTS + 1}
    check_largest(tables, identifier, largest)
    assert tables.receipt_rows()[other].complete


# ---- a database that dies --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mortal_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server that a test may kill."""
    with running_postgres(tmp_path_factory.mktemp("mortal")) as server:
        with server.connect() as connection:
            # What was committed stays, also when the server is killed.
            for statement in ("ALTER SYSTEM RESET synchronous_commit", "SELECT pg_reload_conf()", "CHECKPOINT"):
                connection.run(statement)
        yield server


def row_of(server: Postgres, raw_id: UUID) -> tuple[int, str]:
    """The attempts on an incomplete object, and its last error."""
    with server.connect() as connection:
        ((attempts, last_error),) = connection.run(
            "SELECT attempts, last_error FROM receipts WHERE raw_id = :raw_id AND settled_at IS NULL", raw_id=raw_id
        )
    return attempts, last_error


@pytest.mark.parametrize("survives", [True, False], ids=["a process that lives on", "a new process each time"])
def test_an_object_is_not_to_blame_for_a_database_that_dies(mortal_postgres: Postgres, survives: bool) -> None:  # noqa: FBT001
    # GIVEN an object during each of whose attempts Postgres dies
    bronze = HookedBronze(InMemoryBronze())
    identifier = arrive(bronze)

    def die(method: str, _raw_ids: Collection[UUID]) -> None:
        if method == "read":
            mortal_postgres.kill()

    bronze.before = die
    databases: list[Database] = []

    def new_silver() -> Silver:
        databases.append(open_database(database_settings(mortal_postgres)))
        return PostgresSilver(databases[-1], retry_after=RETRY_AFTER)

    silver = new_silver()

    def attempt(silver: Silver) -> list[str]:
        again = message(identifier, receive_count=CAUTIOUS_FROM_RECEIVE)
        return process([again], bronze=bronze, silver=silver, time_left=lambda: 20.0).returned

    # WHEN it is tried more often than it may be
    for number in range(MAX_ATTEMPTS + 1):
        with pytest.raises(SilverUnavailableError):
            attempt(silver if survives else new_silver())
        mortal_postgres.start()

        # THEN no more than the attempt that has not reported its end counts, and the error says what happened
        attempts, last_error = row_of(mortal_postgres, identifier)
        assert attempts == 1, f"after {number + 1} deaths"
        assert last_error.startswith(("SilverUnavailableError: ", OPEN_ATTEMPT))

    # AND once the database lives, it is processed
    bronze.before = lambda _method, _raw_ids: None
    assert attempt(silver if survives else new_silver()) == []
    assert is_complete(mortal_postgres, identifier)
    for database in databases:
        database.close()


def is_complete(server: Postgres, raw_id: UUID) -> bool:
    """Whether the object is completed."""
    with server.connect() as connection:
        return bool(connection.run("SELECT FROM receipts WHERE raw_id = :raw_id AND items = 1", raw_id=raw_id))
