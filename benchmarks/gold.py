"""Gold at five million measurements (docs/adr/0012): what is asked of it, and what it takes to keep it.

A Postgres of its own, with its durable defaults, filled by SQL: once with a week of ten sources, once with a year of
them.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

from pg8000.native import Connection

from benchmarks.gold_without import WITHOUT
from benchmarks.measuring import (
    MILLISECONDS,
    Clock,
    Entry,
    Goal,
    Series,
    Spent,
    alternate,
    entry,
    microseconds,
    timed,
)
from benchmarks.surroundings import Surroundings
from dropzone.adapters.database import Database, open_database
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.adapters.postgres_upkeep import PostgresGoldStore
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.outcomes import Measurement, ValidatedObject
from dropzone.queries.buckets import Granularity
from dropzone_local.postgres import Postgres
from dropzone_migrate.statements import SQL
from support.factories import raw_ids
from support.gold import Gold, Measurements, Window
from support.postgres import database_settings, running_postgres

EVENTS = int(os.environ.get("GOLD_EVENTS", "5000000"))
SOURCES = 10
TRIES = 15
WEEK = timedelta(days=7)
SPANS = {"week": WEEK, "year": timedelta(days=365)}
ENDS = datetime(2026, 7, 8, tzinfo=UTC)

_SOON = Goal("≤", 100)
_BEAT = timedelta(seconds=0.12)
_RANDOM = Random(1)  # noqa: S311 - no secret

_FILL = """
CREATE TEMPORARY TABLE event AS
SELECT number, at, 'sensor-' || number % {sources} AS source,
       uuidv7(at + interval '1 second' - clock_timestamp()) AS raw_id,
       20 + sin(number / 50000.0) + random() AS mean, random() AS std_dev, number % 100 = 7 AS is_bad
FROM (
    SELECT number, to_timestamp({begins} + number * {step} + random() * {step} / 10) AS at
    FROM generate_series(0, {events} - 1) AS number
) AS beat;
SET session_replication_role = replica;
INSERT INTO receipts (raw_id, items, settled_at) SELECT raw_id, 1, at + interval '3 seconds' FROM event;
INSERT INTO outcomes (
    raw_id, item, outcome, violations, measured_at, source, mean, std_dev, sample_count, min, max, ruleset
) SELECT raw_id, 0, 'processed', '[]', at, source, mean, std_dev, 10, mean - std_dev, mean + std_dev, 2
FROM event WHERE NOT is_bad;
INSERT INTO outcomes (raw_id, item, outcome, violations, source, ruleset)
SELECT raw_id, 0, 'rejected', '[{{"code": "data.empty", "field": "data", "message": "is empty"}}]', source, 2
FROM event WHERE is_bad;
INSERT INTO measurements (measured_at, source, mean, std_dev, sample_count, min, max, raw_id, item)
SELECT at, source, mean, std_dev, 10, mean - std_dev, mean + std_dev, raw_id, 0 FROM event WHERE NOT is_bad;
SET session_replication_role = origin;
DROP TABLE event;
VACUUM ANALYZE receipts;
VACUUM ANALYZE outcomes;
VACUUM ANALYZE measurements;
INSERT INTO gold.measured_stale SELECT gold.bucket_of(measured_at), count(*), '2000-01-01 00:00Z'
FROM measurements GROUP BY 1;
INSERT INTO gold.arrived_stale SELECT gold.bucket_of(uuid_extract_timestamp(raw_id)), count(*), '2000-01-01 00:00Z'
FROM receipts GROUP BY 1
"""

_FORGET = f"""
DELETE FROM measurements WHERE measured_at >= '{ENDS}';
DELETE FROM outcomes WHERE raw_id >= gold.earliest_raw_id('{ENDS + WEEK}');
DELETE FROM receipts WHERE raw_id >= gold.earliest_raw_id('{ENDS + WEEK}');
VACUUM measurements;
VACUUM outcomes;
VACUUM receipts;
DELETE FROM gold.measured_stale;
DELETE FROM gold.arrived_stale;
DELETE FROM gold.measured WHERE bucket_start >= '{ENDS}';
DELETE FROM gold.arrived WHERE bucket_start >= '{ENDS + WEEK}'
"""  # noqa: S608 - our own words

_PLAIN = """
SELECT count(*) FROM (
    SELECT date_bin('1 hour', measured_at, '2000-01-01T00:00Z'), source, count(*),
           sum(sample_count * mean) / sum(sample_count), sum(sample_count * (std_dev * std_dev + mean * mean)),
           min(min), max(max), min(measured_at), max(measured_at)
    FROM measurements
    WHERE measured_at >= TIMESTAMPTZ '2026-07-01T00:00Z' AND measured_at < TIMESTAMPTZ '2026-07-08T00:00Z'
    GROUP BY 1, 2
) AS hourly
"""


@dataclass(slots=True)
class Bench:
    """A filled database."""

    server: Postgres
    owner: Connection

    def open(self, role: str) -> Database:
        """Connect as one of the functions' roles."""
        return open_database(database_settings(self.server, database_user=role, call_seconds=300))

    def statements(self, sql: str) -> None:
        """Run statements one after the other."""
        for statement in filter(None, map(str.strip, sql.split(";"))):
            self.owner.run(statement)


def run(_: Surroundings) -> Iterator[Entry]:
    """Fill, ask, write."""
    for name, span in SPANS.items():
        with (
            tempfile.TemporaryDirectory() as directory,
            running_postgres(Path(directory)) as server,
            server.connect() as owner,
        ):
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                owner.run(f"ALTER SYSTEM RESET {setting}")
            owner.run("SELECT pg_reload_conf()")
            owner._usock.settimeout(None)  # noqa: SLF001 - filling takes minutes
            bench = Bench(server, owner)
            _fill(bench, span)
            _compute(bench)
            for found in (*_asking(bench), *_keeping(bench)):
                yield replace(found, name=f"gold, five million in a {name}, {found.name}")


def _fill(bench: Bench, span: timedelta) -> None:
    bench.statements(
        _FILL.format(
            begins=(ENDS - span).timestamp(), step=span.total_seconds() / EVENTS, sources=SOURCES, events=EVENTS
        )
    )


def _compute(bench: Bench) -> None:
    store = PostgresGoldStore(bench.open("dropzone_writer"))
    while store.refresh(500_000):
        pass
    bench.statements("ANALYZE gold.measured; ANALYZE gold.arrived")


def _asking(bench: Bench) -> Iterator[Entry]:
    gold = Gold(bench.open("dropzone_reader"))
    measurements = Measurements(bench.open("dropzone_reader"))
    plain = bench.open("dropzone_reader")

    def week(granularity: Granularity, source: str | None = None) -> Callable[[], object]:
        return lambda: gold.kpis(Window(granularity, ENDS - WEEK, ENDS, source), limit=10_000)

    yield _took("a plain view instead, a week by hour", lambda: plain.run(_PLAIN), tries=3)
    yield _took("a week by hour", week(Granularity.HOUR), _SOON)
    yield _took("a week by hour, one source", week(Granularity.HOUR, "sensor-3"), _SOON)
    yield _took("a week by day", week(Granularity.DAY))
    quality = Window(Granularity.HOUR, ENDS - WEEK, ENDS)
    yield _took("quality, a week by hour", lambda: gold.quality(quality, limit=10_000))
    hour = Window(Granularity.MINUTE, ENDS - timedelta(hours=1), ENDS)
    yield _took("an hour by minute", lambda: gold.kpis(hour, limit=10_000))
    for stale in (2, 8):
        bench.owner.run("DELETE FROM gold.measured_stale")
        bench.owner.run("DELETE FROM gold.arrived_stale")
        for table in ("measured", "arrived"):
            bench.owner.run(
                f"INSERT INTO gold.{table}_stale"  # noqa: S608 - our own names
                f" SELECT DISTINCT bucket_start, 1 FROM gold.{table}"
                " WHERE bucket_start < :ends ORDER BY bucket_start DESC LIMIT :stale",
                ends=ENDS,
                stale=stale,
            )
        yield _took(f"a week by hour, {stale} buckets stale", week(Granularity.HOUR))
    yield _took("a page of 1,000 measurements", lambda: measurements.page(limit=1_000))
    yield _took("a page of 1,000, one source", lambda: measurements.page(source="sensor-3", limit=1_000))


def _keeping(bench: Bench) -> Iterator[Entry]:
    """What marks add to a statement, and what it takes to compute what they name."""
    database = bench.open("dropzone_writer")
    silver, store = PostgresSilver(database, retry_after=timedelta(seconds=100)), PostgresGoldStore(database)
    bench.statements("DELETE FROM gold.measured_stale; DELETE FROM gold.arrived_stale")
    beats, processors = count(1), _processors(database)

    def written(objects: int, events: int, *, marked: bool) -> Spent:
        for table in ("measurements", "receipts"):
            bench.owner.run(f"ALTER TABLE {table} {'ENABLE' if marked else 'DISABLE'} TRIGGER USER")
        validated = [
            ValidatedObject(raw_id, tuple(_measured(ENDS + WEEK + next(beats) * _BEAT) for _ in range(events)))
            for raw_id in raw_ids(objects)
        ]
        return timed(lambda: silver.write_outcomes(validated), processors)

    for objects, events, goal in ((1_000, 1, 0.1), (1, 5_000, 0.15)):
        works = {name: partial(written, objects, events, marked=name == "marked") for name in ("marked", "bare")}
        taken = alternate(works, 2 * TRIES)
        scale, upsert = microseconds(objects * events), taken["bare"].wall
        label = f"{objects:,} objects of {events:,}"
        yield entry(f"an upsert that marks, {label}", scale, taken["marked"].wall, upsert)
        bench.statements(
            "UPDATE gold.measured_stale SET marked_at = '2000-01-01';"
            "UPDATE gold.arrived_stale SET marked_at = '2000-01-01'; ANALYZE measurements; ANALYZE outcomes"
        )
        # Those that were not marked lie in the same quarters, and are computed with them.
        computing, writes = timed(lambda: store.refresh(10**9), processors), 2 * (2 * TRIES + 1)
        ours, reference = scale.of(computing.wall / writes), scale.of(upsert.median)
        yield Entry(f"computing it, {label}", scale.unit, ours, reference, ours / reference, Goal("≤", goal))
        ours, reference = scale.of(computing.cpu / writes), scale.of(taken["bare"].cpu.median)
        yield Entry(f"computing it, by the processors, {label}", scale.unit, ours, reference, ours / reference)
        yield from _leaving_out(bench, database, label)
        # The next ones arrive in the same quarters of an hour.
        bench.statements(_FORGET)


def _processors(database: Database) -> Clock:
    """This process and the server's of its connection, to the nanosecond, as Linux has them."""
    ((pid,),) = database.run("SELECT pg_backend_pid()")
    schedule = Path(f"/proc/{pid}/schedstat")
    return lambda: int(schedule.read_text().split()[0]) / 1e9 + time.process_time()


def _leaving_out(bench: Bench, database: Database, label: str) -> Iterator[Entry]:
    """What each figure costs: what was just written computed again, with all figures and without one."""
    store, processors = PostgresGoldStore(database), _processors(database)

    def computed(statement: str) -> Spent:
        bench.owner.run(statement)
        for kind in ("measured", "arrived"):
            bench.owner.run(
                f"INSERT INTO gold.{kind}_stale"  # noqa: S608 - our own names
                f" SELECT DISTINCT bucket_start, 1, TIMESTAMPTZ '2000-01-01 00:00Z'"
                f" FROM gold.{kind} WHERE bucket_start >= :ends",
                ends=ENDS,
            )
        return timed(lambda: store.refresh(10**9), processors)

    every = (SQL / "gold_compute.sql").read_text()
    works = {name: partial(computed, every + without) for name, without in {"nothing": "", **WITHOUT}.items()}
    taken = alternate(works, TRIES)
    bench.owner.run(every)
    for name in WITHOUT:
        yield entry(
            f"computing it without {name}, by the processors, {label}",
            MILLISECONDS,
            taken[name].cpu,
            taken["nothing"].cpu,
        )


def _measured(at: datetime) -> Measurement:
    """A good event of any of the sources."""
    mean = _RANDOM.random()
    return Measurement(at, f"sensor-{_RANDOM.randrange(SOURCES)}", Aggregates(mean, mean, 10, 0.0, mean))


def _took(name: str, call: Callable[[], object], goal: Goal | None = None, tries: int = TRIES) -> Entry:
    call()
    return entry(name, MILLISECONDS, Series(tuple(timed(call).wall for _ in range(tries))), goal=goal)
