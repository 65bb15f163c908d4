"""The connection: how errors are distinguished, and how it reconnects."""

import socket
import time
import traceback
from typing import Any

import pytest
from pg8000.native import Connection

from dropzone.adapters.database import Database, Run, StatementTimeoutError, connector
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.ports import RowRefusedError, SilverConflictError, SilverError, SilverUnavailableError, TimeLeft
from dropzone_local.ports import find_free
from support.background import in_background
from support.factories import EXAMPLE_INSTANT, raw_id, validated
from support.postgres import PASSWORD, RETRY_AFTER, SilverInPostgres, database_settings


def fail_with(database: Database, state: str, message: str = "made up") -> None:
    # A DO block takes no parameters.
    database.run(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = '{message}'; END $$")


def backend(database: Database) -> int:
    ((pid,),) = database.run("SELECT pg_backend_pid()")
    return int(pid)


def test_database_connection_works(tables: SilverInPostgres) -> None:
    ((user, zone, name),) = tables.open(aws_lambda_function_name="dropzone-process").run(
        "SELECT current_user, current_setting('TimeZone'), current_setting('application_name')"
    )
    assert (user, zone, name) == ("dropzone_writer", "UTC", "dropzone-process")


def test_instants_are_in_utc_whatever_the_servers_zone(tables: SilverInPostgres) -> None:
    tables.query("ALTER ROLE dropzone_writer SET TimeZone = 'Asia/Kathmandu'")
    try:
        assert tables.open().run("SELECT '2019-05-01 10:00Z'::timestamptz::text") == [["2019-05-01 10:00:00+00"]]
    finally:
        tables.query("ALTER ROLE dropzone_writer RESET TimeZone")


def test_what_is_sent_leaves_at_once_and_a_silent_server_is_probed(tables: SilverInPostgres) -> None:
    # The last bytes of a statement would wait for the server's acknowledgement otherwise: 40 ms, each time.
    connection = connector(database_settings(tables.server), Connection)(5)
    try:
        assert connection._usock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert connection._usock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    finally:
        connection.close()


def test_nothing_is_connected_before_it_is_needed(tables: SilverInPostgres) -> None:
    database = tables.open()
    assert database._connection is None
    database.close()


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("40P01", SilverConflictError),
        ("40001", SilverConflictError),
        ("22003", RowRefusedError),
        ("22P02", RowRefusedError),
        ("23502", RowRefusedError),
        ("23505", RowRefusedError),
        ("23514", RowRefusedError),
        ("40002", SilverUnavailableError),
        ("08006", SilverUnavailableError),
        ("25006", SilverUnavailableError),
        ("28000", SilverUnavailableError),
        ("3D000", SilverUnavailableError),
        ("42501", SilverUnavailableError),
        ("42P01", SilverUnavailableError),
        ("53100", SilverUnavailableError),
        ("53300", SilverUnavailableError),
        ("57014", StatementTimeoutError),
        ("57P01", SilverUnavailableError),
        ("58030", SilverUnavailableError),
        ("XX000", SilverUnavailableError),
        ("XX001", SilverUnavailableError),
        ("ZZ999", SilverUnavailableError),
    ],
)
def test_states_are_distinguished(tables: SilverInPostgres, state: str, kind: type[SilverError]) -> None:
    database = tables.open()
    with pytest.raises(SilverError, match=state) as raised:
        fail_with(database, state)
    assert isinstance(raised.value, kind)
    assert isinstance(raised.value, StatementTimeoutError) is (state == "57014")
    # And the next call works, whatever it was.
    assert database.run("SELECT 1") == [[1]]


def test_a_refusal_does_not_repeat_the_servers_message(tables: SilverInPostgres) -> None:
    with pytest.raises(RowRefusedError) as raised:
        fail_with(tables.open(), "22003", "value 42.195 is out of range")
    assert "42.195" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"database_password": "wrong"}, "28P01"),
        ({"database_user": "nobody-known"}, "28P01"),
        ({"database_name": "not_there"}, "3D000"),
    ],
)
def test_a_refused_connection_is_the_infrastructures(
    tables: SilverInPostgres, changes: dict[str, Any], says: str
) -> None:
    database = tables.open(**changes)
    for _ in range(2):
        with pytest.raises(SilverUnavailableError, match=says) as raised:
            database.run("SELECT 1")
        assert PASSWORD not in str(raised.value)
        assert "wrong" not in str(raised.value)


def test_a_server_that_is_away_is_the_infrastructures(tables: SilverInPostgres) -> None:
    with pytest.raises(SilverUnavailableError, match="refused"):
        tables.open(database_port=find_free()).run("SELECT 1")


def test_a_server_that_accepts_and_keeps_silent_is_given_up(tables: SilverInPostgres) -> None:
    # GIVEN a port that takes connections and never answers
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database = tables.open(database_port=silent.getsockname()[1], call_seconds=1)

        # THEN the call ends, long before a network would give up
        began = time.monotonic()
        with pytest.raises(SilverUnavailableError, match="timed out"):
            database.run("SELECT 1")
        assert time.monotonic() - began < 20


# ---- time ------------------------------------------------------------------------------------------------------------


def left(seconds: float) -> TimeLeft:
    """What is left of a call that begins now."""
    ends = time.monotonic() + seconds
    return lambda: ends - time.monotonic()


def limit_of(database: Database) -> float:
    """The seconds after which the server ends a statement of this connection."""
    ((milliseconds,),) = database.run("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'")
    return int(milliseconds) / 1000


@pytest.mark.parametrize(("seconds", "timeout"), [(3.0, 1.0), (60.0, 3.0)])
def test_a_connection_is_waited_for_a_third_of_the_time_and_three_seconds_at_most(
    tables: SilverInPostgres, monkeypatch: pytest.MonkeyPatch, seconds: float, timeout: float
) -> None:
    asked: list[float] = []

    def silent(_address: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(timeout)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", silent)
    with pytest.raises(TimeoutError):
        connector(database_settings(tables.server), Connection)(seconds)
    assert asked == [timeout]


def test_a_statement_gets_two_fifths_of_the_functions_time(tables: SilverInPostgres) -> None:
    database = tables.open(call_seconds=3)
    assert limit_of(database) == 1.2
    with pytest.raises(SilverUnavailableError, match="57014"):
        database.run("SELECT pg_sleep(60)")


@pytest.mark.parametrize("is_connected", [True, False])
def test_a_statement_gets_two_fifths_of_the_time_that_is_left(tables: SilverInPostgres, *, is_connected: bool) -> None:
    # GIVEN a function of a minute, whose call has ten seconds left
    database = tables.open(call_seconds=60)
    if is_connected:
        database.run("SELECT 1")
    database.use_time_left(lambda: 10.0)

    # THEN a statement gets its share of these, and the next one of what is left then
    assert limit_of(database) == 4.0
    database.use_time_left(lambda: 6.0)
    assert limit_of(database) == 2.4


def test_the_servers_limit_follows_the_calls_and_is_not_set_at_each_statement(
    tables: SilverInPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a call that goes by
    database = tables.open()
    ran: list[str] = []
    run = Connection.run

    def note(connection: Connection, sql: str, **parameters: object) -> object:
        ran.append(sql)
        return run(connection, sql, **parameters)

    monkeypatch.setattr(Connection, "run", note)
    seconds = [60.0]
    database.use_time_left(lambda: seconds[0])

    # WHEN statements run all the while
    limits = []
    for tenths in range(600, 9, -1):
        seconds[0] = tenths / 10
        limits.append((limit_of(database), seconds[0]))

    # THEN each could wait twice within the time, and few were there to set the limit
    assert all(0.299 < limit / time_left < 0.451 for limit, time_left in limits)
    assert sum(sql.startswith("SET") for sql in ran) < 50

    # AND a new call has all of its time
    seconds[0] = 60.0
    assert limit_of(database) == 24.0


def test_a_network_that_falls_silent_ends_the_statement_in_time(tables: SilverInPostgres) -> None:
    # GIVEN a server that doesn't end statements by itself
    database, made = connected(tables)
    database.use_time_left(lambda: 1.0)
    limit_of(database)
    database.run("SET statement_timeout = 0")
    # For the first try, to connect again, and for the second.
    database.use_time_left(iter([1.0, 20.0, 3.0]).__next__)

    # WHEN nothing comes from it THEN that ends, also what was tried on another connection
    with pytest.raises(SilverUnavailableError, match="57014"):
        database.run("SELECT pg_sleep(60)")
    assert len(made) == 2


def test_without_time_nothing_is_sent(tables: SilverInPostgres) -> None:
    database, made = connected(tables)
    database.use_time_left(lambda: 0.05)
    with pytest.raises(SilverUnavailableError, match="no time"):
        database.run("INSERT INTO receipts (raw_id) VALUES (gen_random_uuid())")
    assert tables.receipt_rows() == {}
    database.close()
    with pytest.raises(SilverUnavailableError, match="no time"):
        database.run("SELECT 1")
    assert len(made) == 1


def test_a_transaction_ends_in_time_as_a_whole(tables: SilverInPostgres) -> None:
    database = tables.open()
    database.run("SELECT 1")
    database.use_time_left(left(1.0))

    def work(run: Run) -> None:
        for _ in range(10):
            run("SELECT pg_sleep(0.2)")

    with pytest.raises(SilverUnavailableError):
        database.transact(work)


# ---- what errors tell ------------------------------------------------------------------------------------------------


# The frames of a traceback show the lines of a test: values that must not be logged are here.
QUOTING = (
    "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = 'message', DETAIL = 'telltale',"
    " HINT = 'telltale', TABLE = 'outcomes', COLUMN = 'mean', CONSTRAINT = 'odd'; END $$"
)


def refused(tables: SilverInPostgres, state: str) -> str:
    """What is raised, and logged, for an error with this state."""
    with pytest.raises(SilverError) as raised:
        tables.open().run(QUOTING.format(state=state))
    assert "telltale" not in "".join(traceback.format_exception(raised.value))
    return str(raised.value)


@pytest.mark.parametrize("state", ["22003", "23514", "ZZ999", "P0001", "38000", "40002"])
def test_a_message_that_may_quote_a_row_is_not_repeated(tables: SilverInPostgres, state: str) -> None:
    assert refused(tables, state) == f"SQLSTATE {state} outcomes mean odd"


@pytest.mark.parametrize("state", ["08006", "25006", "28000", "3D000", "42501", "53100", "57014", "58030"])
def test_a_message_of_the_infrastructure_is_reported_without_its_details(tables: SilverInPostgres, state: str) -> None:
    assert refused(tables, state) == f"SQLSTATE {state} outcomes mean odd: message"


@pytest.mark.parametrize("state", ["XX000", "XX001"])
def test_an_internal_error_is_reported_by_the_function_that_raised_it(tables: SilverInPostgres, state: str) -> None:
    assert refused(tables, state) == f"SQLSTATE {state} outcomes mean odd in exec_stmt_raise"
    with pytest.raises(SilverUnavailableError, match=r"^SQLSTATE XX000 in check_float8_array$"):
        tables.open().run("SELECT float8_combine('{1}', '{1}')")


# ---- a connection that breaks ----------------------------------------------------------------------------------------


def counted(tables: SilverInPostgres) -> tuple[Database, list[Connection]]:
    """A database that remembers the connections it made."""
    made: list[Connection] = []
    connect = connector(database_settings(tables.server), Connection)

    def connect_and_count(seconds: float) -> Connection:
        made.append(connect(seconds))
        return made[-1]

    database = Database(connect_and_count, lambda: 20.0)
    tables.opened.append(database)
    return database, made


def connected(tables: SilverInPostgres) -> tuple[Database, list[Connection]]:
    """The same, with its first connection made."""
    database, made = counted(tables)
    database.run("SELECT 1")
    return database, made


def test_a_connection_cut_between_calls_is_rebuilt_within_the_next(tables: SilverInPostgres) -> None:
    # GIVEN a connection that was used, and is cut
    database, made = counted(tables)
    silver = PostgresSilver(database, retry_after=RETRY_AFTER)
    first, second = raw_id(), raw_id()
    silver.write_outcomes([validated(first)])
    tables.query("SELECT pg_terminate_backend(:pid, 50000)", pid=backend(database))

    # WHEN the next call comes
    assert silver.write_outcomes([validated(second)]) == {second}

    # THEN it was made again once, and both objects are processed
    assert len(made) == 2
    assert set(tables.receipt_rows()) == {first, second}


def test_a_connection_cut_during_a_call_is_rebuilt_within_it(tables: SilverInPostgres) -> None:
    # GIVEN a call that waits for a lock
    database, made = counted(tables)
    silver = PostgresSilver(database, retry_after=RETRY_AFTER)
    pid, identifier = backend(database), raw_id()
    tables.hold(EXAMPLE_INSTANT)
    completed = in_background(lambda: silver.write_outcomes([validated(identifier)]))
    tables.await_waiting(1)

    # WHEN its connection is cut, and the lock goes
    tables.query("SELECT pg_terminate_backend(:pid, 50000)", pid=pid)
    tables.query("ROLLBACK")

    # THEN it was done on another one
    assert completed.result(60) == {identifier}
    assert len(made) == 2
    assert len(tables.outcome_rows()) == 1


def test_a_connection_is_rebuilt_once_within_a_call_and_no_more(tables: SilverInPostgres) -> None:
    # GIVEN a statement that ends its own connection
    database, made = counted(tables)
    database.run("SELECT 1")

    # WHEN it runs
    with pytest.raises(SilverUnavailableError):
        database.run("SELECT pg_terminate_backend(pg_backend_pid())")

    # THEN it was tried on two connections, and the next call has one of its own
    assert len(made) == 2
    assert database.run("SELECT 1") == [[1]]
    assert len(made) == 3


def test_a_first_connection_is_not_tried_twice(tables: SilverInPostgres) -> None:
    database, made = counted(tables)
    with pytest.raises(SilverUnavailableError):
        database.run("SELECT pg_terminate_backend(pg_backend_pid())")
    assert len(made) == 1


def test_a_restart_of_the_server_between_calls_is_not_noticed(tables: SilverInPostgres) -> None:
    database, made = counted(tables)
    pid = backend(database)
    tables.server.restart()
    assert backend(database) != pid
    assert len(made) == 2


def test_a_server_that_stays_away_is_unavailable_and_welcome_back(tables: SilverInPostgres) -> None:
    database, _ = counted(tables)
    database.run("SELECT 1")
    tables.server.stop()
    try:
        for _ in range(2):
            with pytest.raises(SilverUnavailableError):
                database.run("SELECT 1")
    finally:
        tables.server.start()
    assert database.run("SELECT 1") == [[1]]


def test_a_primary_that_was_demoted_is_left_for_the_new_one(tables: SilverInPostgres) -> None:
    # GIVEN a connection to a server that has become read-only, as after a failover
    database, made = counted(tables)
    database.run("SET default_transaction_read_only = on")
    identifier = raw_id()

    # WHEN something is written
    completed = PostgresSilver(database, retry_after=RETRY_AFTER).write_outcomes([validated(identifier)])

    # THEN it was on a new connection, which the name now leads elsewhere
    assert completed == {identifier}
    assert len(made) == 2


def test_a_prepared_statement_is_read_once_for_each_connection(tables: SilverInPostgres) -> None:
    database, made = connected(tables)
    for number in (1, 2):
        assert database.run_prepared("SELECT CAST(:number AS integer)", number=number) == [[number]]
    assert database.run("SELECT count(*) FROM pg_prepared_statements") == [[1]]
    assert len(made) == 1


def test_a_server_that_forgot_a_prepared_statement_gets_it_again(tables: SilverInPostgres) -> None:
    # GIVEN a prepared statement that is gone, as behind a pool that resets its connections
    database, made = connected(tables)
    silver = PostgresSilver(database, retry_after=RETRY_AFTER)
    silver.write_outcomes([validated(raw_id())])
    database.run("DEALLOCATE ALL")

    # WHEN it is run again
    identifier = raw_id()
    assert silver.write_outcomes([validated(identifier)]) == {identifier}

    # THEN it was on a new connection
    assert len(made) == 2


def test_what_the_server_can_not_do_costs_no_connection(tables: SilverInPostgres) -> None:
    database, made = connected(tables)
    with pytest.raises(SilverUnavailableError):
        fail_with(database, "0A000")
    assert database.run("SELECT 1") == [[1]]
    assert len(made) == 1


def test_a_prepared_statement_outlives_a_change_of_what_it_reads(tables: SilverInPostgres) -> None:
    # GIVEN a prepared statement, and a migration that gives a column another type
    database, made = connected(tables)
    tables.query("CREATE TABLE changing AS SELECT 1 AS number")
    try:
        tables.query("GRANT SELECT ON changing TO dropzone_writer")
        statement = "SELECT number FROM changing WHERE CAST(:all AS boolean)"
        assert database.run_prepared(statement, all=True) == [[1]]
        tables.query("ALTER TABLE changing ALTER number TYPE text")

        # WHEN it is run again
        answer = database.run_prepared(statement, all=True)
    finally:
        tables.query("DROP TABLE changing")

    # THEN the plan of before is not in the way
    assert answer == [["1"]]
    assert len(made) == 2


def test_closing_a_broken_connection_is_quiet(tables: SilverInPostgres) -> None:
    database = tables.open()
    tables.query("SELECT pg_terminate_backend(:pid, 50000)", pid=backend(database))
    database.close()
    database.close()
    assert database.run("SELECT 1") == [[1]]
