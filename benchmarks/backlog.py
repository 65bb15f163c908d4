"""Reads of gold under a backlog, what it takes to work through one, and the last page beside the first.

In a database of its own: 50,000 events in as many quarter-hours, 50,000 in 500, and ten sources in the last two hours.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from pg8000.native import Connection

from benchmarks.filling import STORE_EVENTS, refresh_gold
from benchmarks.measuring import MILLISECONDS, Entry, Goal, Spent, alternate, entry, repeated, timed
from benchmarks.surroundings import Surroundings, run_all
from dropzone.queries.buckets import Granularity
from dropzone.queries.measurements import Measurement
from dropzone.queries.ranges import Place
from support.gold import Gold, Measurements, Window, place_of

BUCKETS = 50_000
RUNS = 15
ENDS = datetime(2026, 7, 8, tzinfo=UTC)
QUARTER_HOUR = timedelta(minutes=15)
LAST_HOURS = timedelta(hours=2)
# By source: the first instant, the seconds from one event to the next, and how many.
SOURCES = {
    "sparse": (ENDS - timedelta(days=1) - BUCKETS * QUARTER_HOUR, 900, BUCKETS),
    "dense": (ENDS - timedelta(days=700), 9, BUCKETS),
    **{f"now-{number}": (ENDS - LAST_HOURS, 6, 1_200) for number in range(10)},
}
_OUTSIDE, _INSIDE, _SETS, _PAGES = Goal("≤", 2), Goal("≤", 5), Goal("≤", 10), Goal("≤", 2)

_FILL = """
CREATE TEMPORARY TABLE event AS
SELECT at, uuidv7(at + interval '1 second' - clock_timestamp()) AS raw_id, CAST(:source AS text) AS source,
       1 AS mean, 1 AS std_dev, false AS is_bad
FROM (
    SELECT CAST(:first AS timestamptz) + number * CAST(:step AS interval) AS at
    FROM generate_series(0, CAST(:events AS integer) - 1) AS number
) AS beat;
"""
_MARK = """
INSERT INTO gold.{kind}_stale SELECT bucket_start, 1, '2000-01-01 00:00Z' FROM gold.{kind} WHERE source = :source
"""


def run(surroundings: Surroundings) -> Iterator[Entry]:
    database = surroundings.new_database("backlog")
    with surroundings.connect(database) as owner, surroundings.open("dropzone_reader", database) as reader:
        for source, (first, seconds, events) in SOURCES.items():
            step = timedelta(seconds=seconds)
            run_all(owner, _FILL + STORE_EVENTS, first=first, step=step, events=events, source=source)
        run_all(owner, "VACUUM ANALYZE receipts; VACUUM ANALYZE outcomes; VACUUM ANALYZE measurements")
        refresh_gold(owner)
        gold, measurements = Gold(reader), Measurements(reader)
        for found in (*_reading(owner, gold), *_refreshing(owner), *_paging(owner, measurements, gold)):
            yield replace(found, name=f"backlog, {found.name}")


def _mark(owner: Connection, source: str | None) -> None:
    """Have all that holds this source stale, and nothing else."""
    for kind in ("measured", "arrived"):
        owner.run(f"TRUNCATE gold.{kind}_stale")
        if source is not None:
            owner.run(_MARK.format(kind=kind), source=source)
        owner.run(f"ANALYZE gold.{kind}_stale")


def _reading(owner: Connection, gold: Gold) -> Iterator[Entry]:
    def beside(name: str, call: Callable[[], object], goal: Goal, runs: int) -> Entry:
        def work(source: str | None) -> Spent:
            _mark(owner, source)
            return timed(call)

        taken = alternate({"stale": partial(work, "sparse"), "none": partial(work, None)}, runs)
        return entry(name, MILLISECONDS, taken["stale"].wall, taken["none"].wall, goal)

    for granularity in (Granularity.MINUTE, Granularity.HOUR, Granularity.DAY):
        last = Window(granularity, ENDS - LAST_HOURS, ENDS)
        for name, read in (("kpis", gold.kpis), ("quality", gold.quality)):
            label = f"{name} of two hours by {granularity}, {BUCKETS:,} stale before them"
            yield beside(label, partial(read, last, limit=5_000), _OUTSIDE, RUNS)
    first, _, _ = SOURCES["sparse"]
    every = Window(Granularity.DAY, first, ENDS)
    for name, read in (("kpis", gold.kpis), ("quality", gold.quality)):
        label = f"{name} by day of all the time, {BUCKETS:,} stale in it"
        yield beside(label, partial(read, every, limit=5_000), _INSIDE, 5)


def _refreshing(owner: Connection) -> Iterator[Entry]:
    def work(source: str) -> Spent:
        _mark(owner, source)
        return timed(partial(refresh_gold, owner))

    taken = alternate({source: partial(work, source) for source in ("sparse", "dense")}, 5)
    yield entry(
        f"refreshing {BUCKETS:,} sparse buckets, beside 500 dense ones of as many events",
        MILLISECONDS,
        taken["sparse"].wall,
        taken["dense"].wall,
        _SETS,
    )


def _paging(owner: Connection, measurements: Measurements, gold: Gold) -> Iterator[Entry]:
    """The last page beside the first, of each read with a cursor; stale and not."""
    first, _, _ = SOURCES["sparse"]
    for stale in ("sparse", None):
        _mark(owner, stale)
        state = "stale" if stale else "computed"
        for source in (None, "sparse", "dense"):
            for newest_first in (True, False):
                read = partial(measurements.page, source=source, newest_first=newest_first, limit=1_000)
                label = f"{source or 'every source'}, {'newest' if newest_first else 'oldest'} first, {state}"
                yield _pages(f"the last page of measurements, {label}", read, _last_place(read))
        kpis = partial(gold.kpis, Window(Granularity.DAY, first, ENDS), limit=200)
        after = kpis(limit=5_000)[-201]
        yield _pages(f"the last page of kpis, {state}", kpis, (after["start"], after["source"]))


def _last_place(read: Callable[..., list[Measurement]]) -> Place:
    """After which the last page begins, reached as a loader does."""
    places: list[Place] = []
    after: Place | None = None
    while page := read(after=after):
        after = place_of(page[-1])
        places.append(after)
    return places[-2]


def _pages(name: str, read: Callable[..., object], last: Place) -> Entry:
    works = {"last": repeated(partial(read, after=last)), "first": repeated(partial(read, after=None))}
    taken = alternate(works, RUNS)
    return entry(name, MILLISECONDS, taken["last"].wall, taken["first"].wall, _PAGES)
