"""What only the real tables can show: values, atomicity, and calls at the same time."""

import math
import struct
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pg8000.native import Connection

from dropzone.adapters.contracts import deployed_contracts
from dropzone.adapters.database import Database, connector
from dropzone.adapters.postgres_silver import PostgresSilver, open_silver
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.outcomes import RULESET, Measurement, Rejection, ValidatedObject
from dropzone.domain.validate import validate
from dropzone.ports import Receipt, RowRefusedError, SilverConflictError, SilverUnavailableError
from dropzone.settings import WriterSettings
from dropzone.use_cases.objects import with_retries
from support.background import in_background
from support.examples import examples
from support.factories import EXAMPLE_INSTANT, measurement, raw_id, raw_ids, rejection, shuffled, validated
from support.postgres import RETRY_AFTER, SilverInPostgres, database_settings
from support.traces import assert_no_trace

MOST = sys.float_info.max
SMALLEST = math.ulp(0.0)


def bits(value: float) -> bytes:
    return struct.pack(">d", value)


def stored_bits(measurement: Measurement) -> list[bytes]:
    return [bits(value) for value in measurement.aggregates]


# ---- values ----------------------------------------------------------------------------------------------------------


@settings(max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=100, max_size=200))
@example([SMALLEST, -SMALLEST, sys.float_info.min, sys.float_info.min - SMALLEST, 1e-320, -2.5e-310])
@example([MOST, -MOST, math.nextafter(MOST, 0), -0.0, 0.0, 0.1, 1 / 3, 2 / 3, 5e-5, 1e16, 123456789012345680.0])
def test_any_figure_comes_back_bit_for_bit(tables: SilverInPostgres, figures: list[float]) -> None:
    tables.clear()
    identifier = raw_id()
    outcomes = [
        Measurement(
            EXAMPLE_INSTANT + timedelta(microseconds=n), "", Aggregates(value, abs(value), 2**31 - 1, value, value)
        )
        for n, value in enumerate(figures)
    ]
    tables.silver().write_outcomes([ValidatedObject(identifier, tuple(outcomes))])
    expected = [stored_bits(entry) for entry in outcomes]
    rows, measurements = tables.outcome_rows(), tables.measurement_rows()
    stored = [rows[identifier, item].measurement for item in range(len(figures))]
    assert [stored_bits(entry) for entry in stored if entry] == expected
    assert [stored_bits(measurements[entry.measured_at, ""].measurement) for entry in outcomes] == expected


@pytest.mark.parametrize(
    "instant",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        datetime(1582, 10, 10, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2019, 5, 1, 10, 0, 0, 123_456, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
)
def test_instants_come_back_to_the_microsecond(tables: SilverInPostgres, instant: datetime) -> None:
    tables.silver().write_outcomes([validated(raw_id(), measurement(instant))])
    assert list(tables.measurement_rows()) == [(instant, "")]
    ((text,),) = tables.query("SELECT to_char(measured_at, 'YYYY-MM-DD HH24:MI:SS.US') FROM measurements")
    assert text == f"{instant:%Y-%m-%d %H:%M:%S.%f}".rjust(26, "0")


def test_violations_are_stored_as_they_were_found(tables: SilverInPostgres) -> None:
    # GIVEN an object whose excerpt holds what JSON, SQL and the driver could trip over
    body = rb"""{"time_stamp": "'; DROP \u0000 :x $1 \ud83d\ude00 \\", "data": [1, null]}"""
    outcomes = validate(body)
    tables.silver().write_outcomes([ValidatedObject(raw_id(), outcomes)])
    (row,) = tables.outcome_rows().values()
    (verdict,) = outcomes
    assert isinstance(verdict, Rejection)
    assert row.violations == verdict.violations
    assert len(row.violations) == 2


def test_outcomes_name_the_ruleset_and_the_moment(tables: SilverInPostgres) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    tables.silver().write_outcomes([validated(raw_id(), rejection())])
    ((ruleset, processed_at, settled_at),) = tables.query(
        "SELECT ruleset, processed_at, settled_at FROM outcomes JOIN receipts USING (raw_id)"
    )
    assert ruleset == RULESET
    assert before < processed_at == settled_at < before + timedelta(minutes=1)


# ---- a row that is refused -------------------------------------------------------------------------------------------

TELLTALE = "do-not-quote-me"


def _figures(mean: object = 1.0, std_dev: object = 0.0, sample_count: int = 1) -> Measurement:
    return Measurement(EXAMPLE_INSTANT, TELLTALE, Aggregates(mean, std_dev, sample_count, 1.0, 1.0))  # type: ignore[arg-type]


REFUSED = {
    "out of an integer's range": ("22003", [_figures(sample_count=271_828_182_845)]),
    "no number": ("23514", [_figures(math.nan)]),
    "not finite": ("23514", [_figures(1.0, math.inf)]),
    "no text": ("22P05", [_figures(271_828_182_845)._replace(source=f"{TELLTALE}\0")]),
    "missing": ("23514", [_figures(271_828_182_845, None)]),
}


@pytest.mark.parametrize(("state", "outcomes"), REFUSED.values(), ids=list(REFUSED))
def test_a_refused_row_leaves_nothing_of_its_call(
    tables: SilverInPostgres, state: str, outcomes: list[Measurement]
) -> None:
    # GIVEN a chunk in which one row is refused
    silver = tables.silver()
    good, bad = raw_ids(2)

    # WHEN it is processed
    with pytest.raises(RowRefusedError) as raised:
        silver.write_outcomes([validated(good), validated(bad, measurement(EXAMPLE_INSTANT + timedelta(1)), *outcomes)])

    # THEN nothing was written, and the error names the state and quotes nothing of the row
    assert tables.receipt_rows() == {}
    assert tables.outcome_rows() == {}
    assert tables.measurement_rows() == {}
    assert state in str(raised.value)
    logged = "".join(traceback.format_exception(raised.value))
    assert_no_trace(logged, TELLTALE, "271828182845")
    assert raised.value.__cause__ is None

    # AND the connection goes on
    assert silver.write_outcomes([validated(good)]) == {good}


def test_a_refusal_says_where(tables: SilverInPostgres) -> None:
    with pytest.raises(RowRefusedError, match=r"SQLSTATE 23514 outcomes_\w+ outcomes_figures"):
        tables.silver().write_outcomes([validated(raw_id(), _figures(std_dev=None), _figures())])


# ---- at the same time ------------------------------------------------------------------------------------------------


def test_one_of_two_concurrent_writes_of_an_object_wins(tables: SilverInPostgres) -> None:
    # GIVEN two calls that meet at the receipt: one has written it, and waits at a lock; the other waits for the first
    (identifier,) = raw_ids(1)
    first, second = tables.silver(), tables.silver()
    tables.hold(EXAMPLE_INSTANT)
    one = in_background(lambda: first.write_outcomes([validated(identifier, measurement(mean=1.0))]))
    tables.await_waiting(1)
    two = in_background(lambda: second.write_outcomes([validated(identifier, measurement(mean=2.0))]))
    tables.await_waiting(2)

    # WHEN the lock goes
    tables.query("ROLLBACK")

    # THEN the first has completed it, and the second nothing
    assert one.result(60) == {identifier}
    assert two.result(60) == set()
    assert len(tables.outcome_rows()) == 1
    assert tables.measurement_rows()[EXAMPLE_INSTANT, ""].measurement.aggregates.mean == 1.0


def test_an_earlier_arrival_that_waited_does_not_win(tables: SilverInPostgres) -> None:
    # GIVEN two objects of one instant; the earlier one's call waits while the later one is written
    early, late = raw_ids(2)
    tables.hold(EXAMPLE_INSTANT)
    tables.query("UPDATE measurements SET raw_id = :late", late=late)
    waiting = in_background(lambda: tables.silver().write_outcomes([validated(early, measurement(mean=1.0))]))
    tables.await_waiting(1)

    # WHEN the later one commits
    tables.query("COMMIT")

    # THEN it stays
    assert waiting.result(60) == {early}
    assert tables.measurement_rows()[EXAMPLE_INSTANT, ""].raw_id == late


def test_a_deadlock_is_a_conflict_and_leaves_nothing(tables: SilverInPostgres) -> None:
    # GIVEN a session that holds the second object, and a call that holds the first and waits for the second
    first, second = raw_ids(2)
    silver = tables.silver()
    silver.record_attempts([first, second], only_due=False)
    tables.query("SET deadlock_timeout = '30s'")
    tables.query("BEGIN")
    tables.query("SELECT FROM receipts WHERE raw_id = :second FOR UPDATE", second=second)
    waiting = in_background(lambda: silver.write_outcomes([validated(first), validated(second)]))
    tables.await_waiting(1)

    # WHEN the session asks for the first
    tables.query("SELECT FROM receipts WHERE raw_id = :first FOR UPDATE", first=first)

    # THEN the call gets an error that says so, and can be repeated
    with pytest.raises(SilverConflictError, match="40P01"):
        waiting.result(60)
    assert tables.outcome_rows() == {}
    tables.query("COMMIT")
    assert silver.write_outcomes([validated(first), validated(second)]) == {first, second}


def test_receipts_are_locked_in_order_so_that_writes_never_deadlock(tables: SilverInPostgres) -> None:
    # GIVEN a session that holds the first of two objects
    first, second = raw_ids(2)
    silver = tables.silver()
    silver.record_attempts([first, second], only_due=False)
    tables.query("BEGIN")
    tables.query("SELECT FROM receipts WHERE raw_id = :first FOR UPDATE", first=first)

    # WHEN both are processed, the second named first
    waiting = in_background(lambda: silver.write_outcomes([validated(second), validated(first)]))
    tables.await_waiting(1)

    # THEN the call waits without holding the second
    tables.query("SELECT FROM receipts WHERE raw_id = :second FOR UPDATE NOWAIT", second=second)
    tables.query("COMMIT")
    assert waiting.result(60) == {first, second}


def test_writes_in_opposite_orders_lose_nothing(tables: SilverInPostgres) -> None:
    # GIVEN a thousand objects at 40 instants, and four workers that each get all of them in another order
    workers = 4
    arrived = [
        validated(identifier, measurement(EXAMPLE_INSTANT + timedelta(hours=n % 40), mean=float(n)))
        for n, identifier in enumerate(raw_ids(1_000))
    ]
    barrier = threading.Barrier(workers)

    def work(number: int) -> int:
        silver, mine = tables.silver(), shuffled(arrived, number)
        barrier.wait()
        return sum(
            len(with_retries(lambda chunk=mine[start : start + 50]: silver.write_outcomes(chunk), lambda: 60.0))  # type: ignore[misc]
            for start in range(0, len(mine), 50)
        )

    # WHEN they work at once
    with ThreadPoolExecutor(workers) as threads:
        completed = list(threads.map(work, range(workers)))

    # THEN each object was processed by one of them, and the last arrival of each instant is the measurement
    assert sum(completed) == len(arrived)
    assert len(tables.outcome_rows()) == len(arrived)
    stand = {row.measurement.measured_at: row.measurement.aggregates.mean for row in tables.measurement_rows().values()}
    assert stand == {EXAMPLE_INSTANT + timedelta(hours=hour): float(960 + hour) for hour in range(40)}


def test_concurrent_attempts_split_the_objects(tables: SilverInPostgres) -> None:
    workers, identifiers = 4, raw_ids(300)
    barrier = threading.Barrier(workers)

    def work(number: int) -> set[object]:
        silver, mine = tables.silver(), shuffled(identifiers, number)
        barrier.wait()
        return {*silver.record_attempts(mine, only_due=True)}

    with ThreadPoolExecutor(workers) as threads:
        got = list(threads.map(work, range(workers)))
    assert sum(map(len, got)) == len(identifiers)
    assert set().union(*got) == set(identifiers)
    assert {row.attempts for row in tables.receipt_rows().values()} == {1}


def test_a_lock_held_for_long_ends_the_call_in_time(tables: SilverInPostgres) -> None:
    # GIVEN a table that someone locks, and a function of three seconds
    silver = tables.open(call_seconds=3)
    tables.query("BEGIN")
    tables.query("LOCK TABLE receipts")

    # THEN the statement ends in time
    with pytest.raises(SilverUnavailableError, match="57014"):
        silver.run("SELECT FROM receipts")
    tables.query("ROLLBACK")


# ---- attempts and a database that goes away --------------------------------------------------------------------------


def test_an_attempt_is_released_once_the_database_is_back(tables: SilverInPostgres) -> None:
    # GIVEN attempts on two objects, and a database that can't be reached any more
    first, second = raw_ids(2)
    reachable, connect = True, connector(database_settings(tables.server), Connection)

    def connect_if_reachable(seconds: float) -> Connection:
        if not reachable:
            raise ConnectionRefusedError
        return connect(seconds)

    database = Database(connect_if_reachable, lambda: 10.0)
    silver = PostgresSilver(database, retry_after=RETRY_AFTER)
    silver.record_attempts([first, second], only_due=False)
    reachable = False
    database.close()

    # WHEN they are released
    with pytest.raises(SilverUnavailableError):
        silver.release_attempts({first: "it was away", second: "it was away"})
    with pytest.raises(SilverUnavailableError):
        silver.receipts([first])

    # THEN it is done with the next call that reaches the database, and done once
    reachable = True
    for _ in range(2):
        assert silver.receipts([first, second]) == dict.fromkeys([first, second], Receipt(complete=False, attempts=0))
    assert {row.last_error for row in tables.receipt_rows().values()} == {"it was away"}
    silver.record_attempts([first], only_due=False)
    assert silver.receipts([first]) == {first: Receipt(complete=False, attempts=1)}
    database.close()


@pytest.mark.parametrize(
    ("began", "attempts"),
    [("pg_postmaster_start_time() - interval '1 second'", 2), ("pg_postmaster_start_time()", 3), ("NULL", 3)],
    ids=["before the server", "after the server", "ended"],
)
def test_an_attempt_that_may_have_ended_with_the_server_does_not_count(
    tables: SilverInPostgres, began: str, attempts: int
) -> None:
    identifier = raw_id()
    silver = tables.silver()
    for _ in range(2):
        silver.record_attempts([identifier], only_due=False)
    tables.query(f"UPDATE receipts SET tried_at = {began}")  # noqa: S608 - the test's own
    silver.record_attempts([identifier], only_due=False)
    assert silver.receipts([identifier]) == {identifier: Receipt(complete=False, attempts=attempts)}


@pytest.mark.parametrize("end", ["completed", "failed", "released"])
def test_an_attempt_that_reported_its_end_is_closed(tables: SilverInPostgres, end: str) -> None:
    identifier = raw_id()
    silver = tables.silver()
    silver.record_attempts([identifier], only_due=False)
    assert tables.query("SELECT tried_at IS NULL FROM receipts") == [[False]]
    if end == "completed":
        silver.write_outcomes([validated(identifier)])
    elif end == "failed":
        silver.record_errors({identifier: "it can't be completed"})
    else:
        silver.release_attempts({identifier: "it was away"})
    assert tables.query("SELECT tried_at IS NULL FROM receipts") == [[True]]


def test_a_discard_waits_for_whoever_measures(tables: SilverInPostgres) -> None:
    # GIVEN an object with an outcome of other rules, and a call that is measuring the same instant
    earlier, identifier, arriving = raw_ids(3)
    tables.silver().write_outcomes([validated(earlier, measurement(mean=1.0))])
    tables.silver().write_outcomes([ValidatedObject(identifier, (measurement(mean=2.0),), is_whole=False)])
    tables.outdate(identifier, range(1))
    later = EXAMPLE_INSTANT + timedelta(hours=1)
    tables.hold(later)
    measured = in_background(
        lambda: tables.silver().write_outcomes([validated(arriving, measurement(mean=3.0), measurement(later))])
    )
    tables.await_waiting(1)

    # WHEN that outcome is discarded meanwhile
    discarded = in_background(lambda: tables.silver().discard_outdated(identifier, 10))
    tables.await_waiting(2)
    tables.query("ROLLBACK")

    # THEN the event that was being measured is the measurement
    assert measured.result(60) == {arriving}
    assert discarded.result(60) == 1
    assert tables.measurement_rows()[EXAMPLE_INSTANT, ""].raw_id == arriving


def test_a_discard_removes_nothing_before_it_has_its_object(tables: SilverInPostgres) -> None:
    # GIVEN an object with an outcome of other rules, of which another call has the receipt
    identifier = raw_id()
    tables.silver().write_outcomes([ValidatedObject(identifier, (measurement(),), is_whole=False)])
    tables.outdate(identifier, range(1))
    tables.query("BEGIN")
    tables.query("SELECT FROM receipts FOR UPDATE")

    # WHEN that outcome is discarded, it waits for the receipt, and has not begun to write
    discarded = in_background(lambda: tables.silver().discard_outdated(identifier, 10))
    tables.await_waiting(1)
    writing = tables.query(
        "SELECT FROM pg_locks WHERE relation = CAST('outcomes' AS regclass) AND mode = 'RowExclusiveLock'"
    )
    tables.query("ROLLBACK")

    assert writing == []
    assert discarded.result(60) == 1


def test_a_last_part_counts_the_events_before_it_after_a_discard(tables: SilverInPostgres) -> None:
    # GIVEN an object of two parts, of which the first has outcomes of other rules on a day of its own
    identifier, other_day = raw_id(), EXAMPLE_INSTANT + timedelta(days=1)
    first = ValidatedObject(identifier, (measurement(mean=1.0),), is_whole=False)
    tables.silver().write_outcomes([first])
    tables.outdate(identifier, range(1))

    # WHEN they are being discarded while the last part is written
    tables.query("BEGIN")
    tables.query("SELECT FROM measurements FOR UPDATE")
    discarded = in_background(lambda: tables.silver().discard_outdated(identifier, 10))
    tables.await_waiting(1)
    last = ValidatedObject(identifier, (measurement(other_day),), first_item=1)
    written = in_background(lambda: tables.silver().write_outcomes([last]))
    tables.await_waiting(2)
    tables.query("ROLLBACK")

    # THEN the object isn't complete
    assert discarded.result(60) == 1
    assert written.result(60) == set()
    assert tables.receipt_rows()[identifier].items is None


def test_silver_is_opened_with_the_pause_of_the_settings_and_the_deployed_contracts(tables: SilverInPostgres) -> None:
    stated = database_settings(tables.server).model_dump() | {"bronze_bucket": "bronze", "sweep_retry_seconds": 7}
    silver = open_silver(WriterSettings.of(stated), tables.open())

    silver.record_attempts(raw_ids(1), only_due=False)

    assert tables.query("SELECT retry_at - tried_at FROM receipts") == [[timedelta(seconds=7)]]
    assert silver.contracts is deployed_contracts()
