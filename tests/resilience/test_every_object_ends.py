"""Objects at the limits of what ingest takes, and a database that dies: every object ends all the same."""

from collections.abc import Collection, Iterator
from uuid import UUID

import pytest

from dropzone.adapters.database import Database, open_database
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.ports import MAX_ATTEMPTS, OPEN_ATTEMPT, Silver, SilverUnavailableError
from dropzone.use_cases.process import CAUTIOUS_FROM_RECEIVE, process
from dropzone_local.postgres import Postgres
from resilience.largest import LargestObject, check_that_a_replay_ends, check_that_it_ends, shortest_call_by_events
from support.factories import arrive, message
from support.fakes import HookedBronze, InMemoryBronze
from support.postgres import RETRY_AFTER, SilverInPostgres, database_settings, running_postgres

# ---- objects at the limit --------------------------------------------------------------------------------------------

EIGHTH = 8
"""`make soak` has the whole, by the clock on the wall."""


def test_the_largest_object_ends_in_calls_of_the_shortest_time(tables: SilverInPostgres) -> None:
    assert check_that_it_ends(tables, LargestObject.make(EIGHTH), shortest_call_by_events) >= 3


def test_a_replay_of_the_largest_object_answers_in_time_and_ends(tables: SilverInPostgres) -> None:
    assert check_that_a_replay_ends(tables, LargestObject.make(EIGHTH), shortest_call_by_events) >= 3


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
def test_an_object_is_not_to_blame_for_a_database_that_dies(mortal_postgres: Postgres, survives: bool) -> None:
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
