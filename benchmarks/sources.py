"""`GET /sources` and the check of expectations, at ten thousand sources that measure every five minutes.

Gold is as far behind as it is at work. One source in a hundred has fallen silent.
"""

from collections.abc import Iterator
from functools import partial

from benchmarks.filling import STORE_EVENTS, refresh_gold
from benchmarks.measuring import MILLISECONDS, Entry, Goal, Runs, Series, Work, alternate, entry, repeated, timed
from benchmarks.surroundings import Surroundings, clock_of, run_all
from dropzone.adapters.database import Database
from dropzone.adapters.postgres_upkeep import PostgresExpectationStore
from dropzone.domain.contracts import BASIC, DEFAULT
from dropzone.domain.expectations import EXPECTATIONS, Expectations
from dropzone.queries.measurements import MeasurementsRequest, read_measurements
from dropzone.queries.sources import SourcesRequest, SourceState, read_sources
from dropzone.use_cases.upkeep import check_expectations

SOURCES = 10_000
TRIES = 30

_SOON = Goal("≤", 50)

_FILL = """
CREATE TEMPORARY TABLE event AS
SELECT *, uuidv7(at + interval '1 second' - clock_timestamp()) AS raw_id FROM (
    SELECT 'hall-' || number % 50 || '/sensor-' || number AS source,
           now() - interval '3 hours' + beat * interval '5 minutes' - random() * interval '5 minutes' AS at,
           20 AS mean, 1 AS std_dev, (number + beat) % 100 = 7 AS is_bad
    FROM generate_series(1, CAST(:sources AS integer)) AS number, generate_series(0, 36) AS beat
    WHERE number % 100 <> 0 OR beat < 20
) AS beat ORDER BY at;
"""

# What has come since the last refresh: the triggers mark it.
_LATELY = """
UPDATE measurements SET updated_at = now() WHERE measured_at > now() - interval '17 minutes';
UPDATE receipts SET attempts = 0 WHERE uuid_extract_timestamp(raw_id) > now() - interval '17 minutes';
VACUUM ANALYZE
"""


def run(surroundings: Surroundings) -> Iterator[Entry]:
    name = surroundings.new_database("sources")
    with (
        surroundings.connect(name) as owner,
        surroundings.open("dropzone_reader", name) as database,
        surroundings.open("dropzone_writer", name) as writer,
    ):
        run_all(owner, _FILL + STORE_EVENTS, sources=SOURCES)
        refresh_gold(owner)
        run_all(owner, _LATELY)
        asked = {
            "the first hundred": SourcesRequest(),
            "a hundred that are silent": SourcesRequest(state=SourceState.SILENT),
            "those of a hall that are late": SourcesRequest(prefix="hall-7/", state=SourceState.LATE),
            "the last hundred": SourcesRequest(cursor=".hall-9/sensor-8"),
        }
        for what, request in asked.items():
            yield from _took(f"sources, of ten thousand, {what}", database, request)
        yield from _bound(database)
        yield from _checked(writer)


def _bound(database: Database) -> Iterator[Entry]:
    """A page of measurements of keys that are bound to sources, beside one of all sources."""

    def page(*reads: str) -> Work:
        return repeated(lambda: read_measurements(database, MeasurementsRequest(), reads=reads or None))

    taken = alternate(
        {
            "all": page(),
            "one source": page("hall-7/sensor-57"),
            "ten sources": page(*(f"hall-{number}/sensor-{number}" for number in range(1, 11))),
            "a hall of 200 by a pattern": page("hall-7/*"),
        },
        TRIES,
    )
    for bound, runs in taken.items():
        if bound != "all":
            name = f"a page of measurements, bound to {bound}, beside all"
            yield entry(name, MILLISECONDS, runs.wall, taken["all"].wall, Goal("≤", 3))


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
    yield entry("expectations of ten thousand sources, each time", MILLISECONDS, Series.of(check, TRIES))


def _took(name: str, database: Database, request: SourcesRequest) -> Iterator[Entry]:
    """The wall's time, which other processes lengthen, and the processors' of the server and of this process."""
    read = partial(read_sources, database, request, reads=None)
    read()
    clock = clock_of(database)
    taken = Runs.of([timed(read, clock) for _ in range(TRIES)])
    yield entry(name, MILLISECONDS, taken.wall, goal=_SOON)
    yield entry(f"{name}, by the processors", MILLISECONDS, taken.cpu, goal=_SOON)
