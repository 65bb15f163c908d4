"""Reads of gold hold under any backlog, and the schedule works through one."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from dropzone.adapters.database import Database
from dropzone.adapters.postgres_upkeep import PostgresGoldStore
from dropzone.domain.outcomes import ValidatedObject
from dropzone.queries.buckets import Granularity
from dropzone.use_cases.upkeep import refresh_gold
from support.factories import measurement, raw_ids
from support.gold import Gold, Window, too_much
from support.postgres import SilverInPostgres

QUARTER_HOUR, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
BY = [Granularity.MINUTE, Granularity.HOUR, Granularity.DAY]


@pytest.fixture(params=["a file of history", "one request"])
def backlog(tables: SilverInPostgres, request: pytest.FixtureRequest) -> Iterator[int]:
    """What is stale after 20,000 rows of seven months in batches, or 45,000 events of as many quarter-hours at once."""
    tables.clear()
    # Some devices report for the first time: nothing of theirs is before the range.
    devices = tuple(measurement(NOW - timedelta(minutes=i), source=f"new/{i}") for i in range(6))
    tables.silver(reuse=True).write_outcomes([ValidatedObject(raw_ids(1)[0], devices)])
    events, batch = (20_000, 1_000) if request.param == "a file of history" else (45_000, 45_000)
    starts = [NOW - (number + 20) * QUARTER_HOUR for number in range(events)]
    for first in range(0, events, batch):
        outcomes = tuple(measurement(start, source="history") for start in starts[first : first + batch])
        tables.silver(reuse=True).write_outcomes([ValidatedObject(raw_ids(1)[0], outcomes)])
    for database in tables.opened:
        flush(database)
    # As autovacuum does within a minute, at a moment that a test can't foresee: the planner knows how large they are.
    tables.query("ANALYZE measurements, gold.measured, gold.measured_stale")
    yield events
    tables.clear()


def scanned(tables: SilverInPostgres) -> int:
    """The rows of what was measured that have been fetched by way of indexes, or read one after the other.

    Not of what arrived: all of the backlog did so just now.
    """
    tables.query("SELECT pg_stat_force_next_flush()")
    ((rows,),) = tables.query(
        "SELECT sum(coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0)) FROM pg_stat_user_tables"
        " WHERE relname IN ('measurements', 'measured', 'measured_stale')"
    )
    return int(rows)


def test_the_last_hours_don_t_read_what_is_stale_before_them(tables: SilverInPostgres, backlog: int) -> None:
    reader = tables.open(database_user="dropzone_reader")
    gold = Gold(reader)

    for granularity in BY:
        window = Window(granularity, NOW - 2 * HOUR, NOW + HOUR)
        before = scanned(tables)
        kpis = gold.kpis(window, limit=5_000)
        flush(reader)

        assert {kpi["source"] for kpi in kpis} >= {f"new/{i}" for i in range(6)}
        # Of a day, what is stale in it counts.
        assert scanned(tables) - before < backlog / 10


def within(seconds: float) -> Callable[[], float]:
    ends = time.monotonic() + seconds
    return lambda: ends - time.monotonic()


def flush(database: Database) -> None:
    """Let the session's statistics be seen."""
    database.run("SELECT pg_stat_force_next_flush()")
    database.run("SELECT 1")


def test_all_that_is_stale_can_be_read_and_the_schedule_works_through_it(
    tables: SilverInPostgres, backlog: int
) -> None:
    gold = Gold(tables.open(database_user="dropzone_reader"))
    check_all(gold, backlog)

    tables.query("UPDATE gold.measured_stale SET marked_at = now() - interval '1 hour'")
    tables.query("UPDATE gold.arrived_stale SET marked_at = now() - interval '1 hour'")
    store = PostgresGoldStore(tables.open())
    # WHEN the schedule has run twice
    for _ in range(2):
        refresh_gold(store, time_left=within(120))

    assert tables.query("SELECT FROM gold.measured_stale UNION ALL SELECT FROM gold.arrived_stale") == []
    check_all(gold, backlog)


def check_all(gold: Gold, backlog: int) -> None:
    """Each event of the backlog is in a bucket of when it was measured, and of when it arrived."""
    window = Window(Granularity.DAY, NOW - backlog * QUARTER_HOUR - DAY, NOW, "history")
    kpis = gold.kpis(window, limit=5_000)

    assert sum(kpi["events"] for kpi in kpis) == backlog
    arrived = gold.quality(Window(Granularity.DAY, NOW - DAY, NOW + DAY), limit=99)
    assert sum(quality["processed"] for quality in arrived) == backlog + 6


def test_marks_of_more_than_can_be_read_in_time_are_refused(tables: SilverInPostgres) -> None:
    tables.clear()
    tables.query("INSERT INTO gold.measured_stale VALUES (:now, 3000000)", now=NOW)
    gold = Gold(tables.open(database_user="dropzone_reader"))

    with too_much():
        gold.kpis(Window(Granularity.HOUR, NOW, NOW + HOUR), limit=9)
    assert gold.kpis(Window(Granularity.HOUR, NOW - 2 * HOUR, NOW), limit=9) == []
    tables.clear()
