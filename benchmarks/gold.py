"""Gold at five million measurements (docs/adr/0012): what is asked of it, and what it takes to keep it.

In databases of its own, filled by SQL: one with a week of ten sources, one with a year of them.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from random import Random

from pg8000.native import Connection

from benchmarks.filling import STORE_EVENTS, refresh_gold
from benchmarks.gold_without import WITHOUT
from benchmarks.measuring import MILLISECONDS, Entry, Goal, Series, Spent, alternate, entry, microseconds, timed
from benchmarks.surroundings import Surroundings, clock_of, run_all
from dropzone.adapters.database import Database
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.adapters.postgres_upkeep import PostgresGoldStore
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.outcomes import Measurement, ValidatedObject
from dropzone.queries.buckets import Granularity
from dropzone_migrate.statements import SQL
from support.factories import raw_ids
from support.gold import Gold, Measurements, Window

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
{store_events}
SET session_replication_role = origin;
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
    """A filled database, and its connections."""

    owner: Connection
    reader: Database
    writer: Database

    def statements(self, sql: str) -> None:
        run_all(self.owner, sql)


def run(surroundings: Surroundings) -> Iterator[Entry]:
    for name, span in SPANS.items():
        database = surroundings.new_database(name)
        with (
            surroundings.connect(database) as owner,
            surroundings.open("dropzone_reader", database) as reader,
            surroundings.open("dropzone_writer", database) as writer,
        ):
            bench = Bench(owner, reader, writer)
            _fill(bench, span)
            refresh_gold(owner)
            bench.statements("ANALYZE gold.measured; ANALYZE gold.arrived")
            for found in (*_asking(bench), *_keeping(bench)):
                yield replace(found, name=f"gold, five million in a {name}, {found.name}")
        with surroundings.connect("postgres") as owner:
            owner.run(f"DROP DATABASE {database}")


def _fill(bench: Bench, span: timedelta) -> None:
    begins, step = (ENDS - span).timestamp(), span.total_seconds() / EVENTS
    bench.statements(_FILL.format(begins=begins, step=step, sources=SOURCES, events=EVENTS, store_events=STORE_EVENTS))


def _asking(bench: Bench) -> Iterator[Entry]:
    gold, measurements = Gold(bench.reader), Measurements(bench.reader)

    def week(granularity: Granularity, source: str | None = None) -> Callable[[], object]:
        return lambda: gold.kpis(Window(granularity, ENDS - WEEK, ENDS, source), limit=10_000)

    yield _took("a plain view instead, a week by hour", lambda: bench.reader.run(_PLAIN), tries=3)
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
    silver, store = PostgresSilver(bench.writer, retry_after=timedelta(seconds=100)), PostgresGoldStore(bench.writer)
    bench.statements("DELETE FROM gold.measured_stale; DELETE FROM gold.arrived_stale")
    beats, processors = count(1), clock_of(bench.writer)

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
        yield from _leaving_out(bench, label)
        # The next ones arrive in the same quarters of an hour.
        bench.statements(_FORGET)


def _leaving_out(bench: Bench, label: str) -> Iterator[Entry]:
    """What each figure costs: what was just written computed again, with all figures and without one."""
    store, processors = PostgresGoldStore(bench.writer), clock_of(bench.writer)

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
    return entry(name, MILLISECONDS, Series.of(call, tries), goal=goal)
