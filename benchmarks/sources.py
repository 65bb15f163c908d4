"""`GET /sources` and the check of expectations, at ten thousand sources that measure every five minutes.

Gold is as far behind as it is at work.
A Postgres of its own, with its durable defaults, filled by SQL. One source in a hundred has fallen silent.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from pg8000.native import Connection

from benchmarks.measuring import MILLISECONDS, Entry, Goal, Series, Work, alternate, entry, timed
from benchmarks.surroundings import Surroundings
from dropzone.adapters.database import Database, open_database
from dropzone.adapters.postgres_upkeep import PostgresExpectationStore
from dropzone.domain.contracts import BASIC, DEFAULT
from dropzone.domain.expectations import EXPECTATIONS, Expectations
from dropzone.queries.measurements import MeasurementsRequest, read_measurements
from dropzone.queries.sources import SourcesRequest, SourceState, read_sources
from dropzone.use_cases.upkeep import check_expectations
from support.postgres import database_settings, running_postgres

SOURCES = 10_000
TRIES = 30

_SOON = Goal("≤", 50)

_FILL = f"""
CREATE TEMPORARY TABLE event AS
SELECT *, uuidv7(at + interval '1 second' - clock_timestamp()) AS raw_id FROM (
    SELECT 'hall-' || number % 50 || '/sensor-' || number AS source,
           now() - interval '3 hours' + beat * interval '5 minutes' - random() * interval '5 minutes' AS at,
           (number + beat) % 100 = 7 AS is_bad
    FROM generate_series(1, {SOURCES}) AS number, generate_series(0, 36) AS beat
    WHERE number % 100 <> 0 OR beat < 20
) AS beat ORDER BY at;
INSERT INTO receipts (raw_id, items, settled_at) SELECT raw_id, 1, at + interval '3 seconds' FROM event;
INSERT INTO outcomes (
    raw_id, item, outcome, violations, measured_at, source, mean, std_dev, sample_count, min, max, ruleset
) SELECT raw_id, 0, 'processed', '[]', at, source, 20, 1, 10, 19, 21, 2 FROM event WHERE NOT is_bad;
INSERT INTO outcomes (raw_id, item, outcome, violations, source, ruleset)
SELECT raw_id, 0, 'rejected', '[{{"code": "data.empty", "field": "data", "message": "is empty"}}]', source, 2
FROM event WHERE is_bad;
INSERT INTO measurements (measured_at, source, mean, std_dev, sample_count, min, max, raw_id, item)
SELECT at, source, 20, 1, 10, 19, 21, raw_id, 0 FROM event WHERE NOT is_bad;
DROP TABLE event
"""  # noqa: S608 - our own words

# What has come since the last refresh: the triggers mark it.
_LATELY = """
UPDATE measurements SET updated_at = now() WHERE measured_at > now() - interval '17 minutes';
UPDATE receipts SET attempts = 0 WHERE uuid_extract_timestamp(raw_id) > now() - interval '17 minutes';
VACUUM ANALYZE
"""


def run(_: Surroundings) -> Iterator[Entry]:
    """Fill, and ask."""
    with (
        tempfile.TemporaryDirectory() as directory,
        running_postgres(Path(directory)) as server,
        server.connect() as owner,
    ):
        owner._usock.settimeout(None)  # noqa: SLF001 - filling takes a minute
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            owner.run(f"ALTER SYSTEM RESET {setting}")
        owner.run("SELECT pg_reload_conf()")
        _run(owner, _FILL)
        while owner.run("SELECT gold.refresh(1000000, interval '0')") != [[0]]:
            pass
        _run(owner, _LATELY)
        database = open_database(database_settings(server, database_user="dropzone_reader", call_seconds=300))
        asked = {
            "the first hundred": SourcesRequest(),
            "a hundred that are silent": SourcesRequest(state=SourceState.SILENT),
            "those of a hall that are late": SourcesRequest(prefix="hall-7/", state=SourceState.LATE),
            "the last hundred": SourcesRequest(cursor=".hall-9/sensor-8"),
        }
        for name, request in asked.items():
            yield from _took(f"sources, of ten thousand, {name}", database, request)
        yield from _bound(database)
        yield from _checked(open_database(database_settings(server, call_seconds=300)))


def _bound(database: Database) -> Iterator[Entry]:
    """A page of measurements of keys that are bound to sources, beside one of all sources."""

    def page(*reads: str) -> Work:
        return lambda: timed(lambda: read_measurements(database, MeasurementsRequest(), reads=reads or None))

    taken = alternate(
        {
            "all": page(),
            "one": page("hall-7/sensor-57"),
            "ten": page(*(f"hall-{number}/sensor-{number}" for number in range(1, 11))),
            "pattern": page("hall-7/*"),
        },
        TRIES,
    )
    for name, bound in (
        ("to one source", "one"),
        ("to ten sources", "ten"),
        ("to a hall of 200 by a pattern", "pattern"),
    ):
        yield entry(
            f"a page of measurements, bound {name}, beside all",
            MILLISECONDS,
            taken[bound].wall,
            taken["all"].wall,
            Goal("≤", 3),
        )


def _checked(database: Database) -> Iterator[Entry]:
    """What the schedule does, with every kind of expectation of every source."""
    stated = Expectations(
        id=DEFAULT,
        version="1",
        interval_seconds=600,
        latency_seconds=3_600,
        unchanged_seconds=7_200,
        rejected_share=0.5,
    )
    store = PostgresExpectationStore(database, EXPECTATIONS.dump_json((stated,)).decode())

    def check() -> None:
        check_expectations(store, BASIC, time_left=lambda: 300.0)

    yield entry("expectations of ten thousand sources, the first time", MILLISECONDS, Series((timed(check).wall,)))
    taken = Series(tuple(timed(check).wall for _ in range(TRIES)))
    yield entry("expectations of ten thousand sources, each time", MILLISECONDS, taken)


def _run(owner: Connection, statements: str) -> None:
    for statement in filter(None, map(str.strip, statements.split(";"))):
        owner.run(statement)


def _took(name: str, database: Database, request: SourcesRequest) -> Iterator[Entry]:
    """The wall's time, which other processes lengthen, and the processors' of the server and of this process."""
    ((pid,),) = database.run("SELECT pg_backend_pid()")
    server = psutil.Process(pid)

    def processors() -> float:
        spent = server.cpu_times()
        return spent.user + spent.system + time.process_time()

    read_sources(database, request, reads=None)
    before = processors()
    taken = Series(tuple(timed(lambda: read_sources(database, request, reads=None)).wall for _ in range(TRIES)))
    by_processors = (processors() - before) / TRIES
    yield entry(name, MILLISECONDS, taken, goal=_SOON)
    yield Entry(f"{name}, by the processors", MILLISECONDS.unit, MILLISECONDS.of(by_processors), goal=_SOON, runs=TRIES)
