"""Gold at five million measurements (docs/adr/0012): `PYTHONPATH=tests python -m benchmarks.gold`, half an hour.

A Postgres of its own, with its durable defaults, filled by SQL: once with a week of ten sources (dense), once with a
year of them (sparse). Prints milliseconds of the wall for what is asked, and microseconds of the wall and of the
server's processor an event for what is written; the least and the median of several tries, since the machine is shared.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from pg8000.native import Connection

from dropzone.adapters.database import Database, open_database
from dropzone.adapters.postgres_gold import PostgresGold
from dropzone.adapters.postgres_gold_keeper import PostgresGoldKeeper
from dropzone.adapters.postgres_measurements import PostgresMeasurements
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.gold import Granularity, Window
from dropzone.domain.outcomes import JudgedObject, Measurement
from dropzone_local.postgres import Postgres
from dropzone_migrate.migrations import migrate
from support.factories import raw_ids
from support.postgres import database_settings, migrate_settings, running_postgres

EVENTS = int(os.environ.get("GOLD_EVENTS", "5000000"))
SOURCES = 10
TRIES = 15
WEEK = timedelta(days=7)
SPANS = {"dense": WEEK, "sparse": timedelta(days=365)}
ENDS = datetime(2026, 7, 8, tzinfo=UTC)

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
INSERT INTO gold.measured_stale SELECT DISTINCT gold.quarter_of(measured_at), TIMESTAMPTZ '2000-01-01 00:00Z'
FROM measurements;
INSERT INTO gold.arrived_stale SELECT DISTINCT gold.quarter_of(uuid_extract_timestamp(raw_id)),
    TIMESTAMPTZ '2000-01-01 00:00Z' FROM receipts
"""

_PLAIN = """
SELECT count(*) FROM (
    SELECT date_bin('1 hour', measured_at, '2000-01-01T00:00Z'), source, count(*),
           gold.pool(sample_count, mean, std_dev), min(min), max(max), min(measured_at), max(measured_at)
    FROM measurements
    WHERE measured_at >= TIMESTAMPTZ '2026-07-01T00:00Z' AND measured_at < TIMESTAMPTZ '2026-07-08T00:00Z'
    GROUP BY 1, 2
) AS hourly
"""
_NAIVE = _PLAIN.replace("gold.pool(sample_count, mean, std_dev)", "sum(sample_count * mean) / sum(sample_count)")


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


def main() -> int:
    """Fill, ask, write, print."""
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
            migrate(migrate_settings(server))
            bench = Bench(server, owner)
            _fill(bench, span)
            for label, figures in chain(_computing(bench), _asking(bench), _writing(bench)):
                sys.stdout.write(f"{name:8} {label:58} {figures}\n")
                sys.stdout.flush()
    return 0


def _fill(bench: Bench, span: timedelta) -> None:
    bench.statements(
        _FILL.format(
            begins=(ENDS - span).timestamp(), step=span.total_seconds() / EVENTS, sources=SOURCES, events=EVENTS
        )
    )


def _computing(bench: Bench) -> Iterator[tuple[str, str]]:
    keeper = PostgresGoldKeeper(bench.open("dropzone_writer"))
    began, parts = time.perf_counter(), 0
    while done := keeper.refresh(500):
        parts += done
    yield "computing all of gold once", f"{time.perf_counter() - began:.1f} s, {parts} quarters"
    bench.statements("ANALYZE gold.measured; ANALYZE gold.arrived; ANALYZE gold.rejected")
    sizes = bench.owner.run(
        "SELECT pg_size_pretty(sum(pg_total_relation_size(c.oid)) FILTER (WHERE relnamespace = 'gold'::regnamespace)),"
        " pg_size_pretty(sum(pg_total_relation_size(c.oid)) FILTER (WHERE relnamespace <> 'gold'::regnamespace))"
        " FROM pg_class AS c WHERE relkind = 'r' AND relnamespace IN ('gold'::regnamespace, 'public'::regnamespace)"
    )
    yield "gold, and silver", f"{sizes[0][0]}, {sizes[0][1]}"


def _asking(bench: Bench) -> Iterator[tuple[str, str]]:
    gold = PostgresGold(bench.open("dropzone_reader"))
    measurements = PostgresMeasurements(bench.open("dropzone_reader"))
    plain = bench.open("dropzone_reader")

    def week(granularity: Granularity, source: str | None = None) -> Callable[[], object]:
        return lambda: gold.kpis(Window(granularity, ENDS - WEEK, ENDS, source), limit=10_000)

    yield "plain view: a week by hour, sums alone", _milliseconds(lambda: plain.run(_NAIVE), 3)
    yield "plain view: a week by hour, pooled", _milliseconds(lambda: plain.run(_PLAIN), 3)
    yield "gold: a week by hour", _milliseconds(week(Granularity.HOUR))
    yield "gold: a week by hour, one source", _milliseconds(week(Granularity.HOUR, "sensor-3"))
    yield "gold: a week by day", _milliseconds(week(Granularity.DAY))
    quality = Window(Granularity.HOUR, ENDS - WEEK, ENDS)
    yield "gold: quality, a week by hour", _milliseconds(lambda: gold.quality(quality, limit=10_000))
    hour = Window(Granularity.MINUTE, ENDS - timedelta(hours=1), ENDS)
    yield "gold: an hour by minute", _milliseconds(lambda: gold.kpis(hour, limit=10_000))
    view = "SELECT count(mean) FROM gold.kpis_hourly WHERE starts_at >= '2026-07-01T00:00Z'"
    yield "gold.kpis_hourly: a week", _milliseconds(lambda: plain.run(view))
    for stale in (2, 8):
        bench.owner.run("DELETE FROM gold.measured_stale")
        bench.owner.run("DELETE FROM gold.arrived_stale")
        for table in ("measured", "arrived"):
            bench.owner.run(
                f"INSERT INTO gold.{table}_stale SELECT DISTINCT quarter FROM gold.{table}"  # noqa: S608 - our own names
                " WHERE quarter < :ends ORDER BY quarter DESC LIMIT :stale",
                ends=ENDS,
                stale=stale,
            )
        yield f"gold: a week by hour, {stale} quarters stale", _milliseconds(week(Granularity.HOUR))
    yield "measurements: a page of 1,000", _milliseconds(lambda: measurements.page(limit=1_000))
    yield (
        "measurements: a page of 1,000, one source",
        _milliseconds(lambda: measurements.page(source="sensor-3", limit=1_000)),
    )


def _writing(bench: Bench) -> Iterator[tuple[str, str]]:
    database = bench.open("dropzone_writer")
    silver, keeper = PostgresSilver(database, retry_after=timedelta(seconds=100)), PostgresGoldKeeper(database)
    ((pid,),) = database.run("SELECT pg_backend_pid()")
    random = Random(1)  # noqa: S311 - no secret
    at = datetime(2030, 1, 1, tzinfo=UTC)
    for objects, events in ((1_000, 1), (1, 5_000)):
        spent: dict[str, list[tuple[float, float]]] = {"upsert": [], "upsert with marks": []}
        marked = 0
        for number in range(4 * TRIES):
            is_marked = bool(number % 2)
            bench.owner.run(f"ALTER TABLE measurements {'ENABLE' if is_marked else 'DISABLE'} TRIGGER USER")
            bench.owner.run(f"ALTER TABLE receipts {'ENABLE' if is_marked else 'DISABLE'} TRIGGER USER")
            judged = []
            for raw_id in raw_ids(objects):
                outcomes = []
                for _ in range(events):
                    at += timedelta(seconds=0.12)
                    mean = random.random()
                    aggregates = Aggregates(mean, mean, 10, 0.0, mean)
                    outcomes.append(Measurement(at, f"sensor-{random.randrange(SOURCES)}", aggregates))
                judged.append(JudgedObject(raw_id, tuple(outcomes)))
            took = _spent(pid, partial(silver.settle, judged))
            spent["upsert with marks" if is_marked else "upsert"].append(took)
            marked += is_marked * objects * events
        bench.statements(
            "UPDATE gold.measured_stale SET marked_at = '2000-01-01';"
            "UPDATE gold.arrived_stale SET marked_at = '2000-01-01';"
            "DELETE FROM gold.measured_stale WHERE quarter < '2029-01-01'; ANALYZE measurements; ANALYZE outcomes"
        )
        computed = _spent(pid, lambda: keeper.refresh(100_000))
        # Those that were not marked lie in the same quarters, and are computed with them.
        both = 2 * marked
        for label, pairs in spent.items():
            walls, cpus = ([pair[which] / (objects * events) * 1e6 for pair in pairs] for which in (0, 1))
            yield (
                f"{label}, {objects} objects of {events}",
                f"wall {min(walls):.1f} ({median(walls):.1f}), processor {min(cpus):.1f} ({median(cpus):.1f}) µs/event",
            )
        yield (
            f"computing what they touched, {objects} objects of {events}",
            f"wall {computed[0] / both * 1e6:.2f}, processor {computed[1] / both * 1e6:.2f} µs/event",
        )


def _milliseconds(call: Callable[[], Any], tries: int = TRIES) -> str:
    walls = []
    for _ in range(tries):
        began = time.perf_counter()
        call()
        walls.append((time.perf_counter() - began) * 1e3)
    return f"{min(walls):.1f} ({median(walls):.1f}) ms"


def _spent(pid: int, call: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of the wall, and of the processor in the server's process."""
    wall, cpu = time.perf_counter(), _processor(pid)
    call()
    return time.perf_counter() - wall, _processor(pid) - cpu


def _processor(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


if __name__ == "__main__":
    sys.exit(main())
