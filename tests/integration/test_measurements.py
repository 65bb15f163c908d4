"""Pages of measurements, read by the role that only reads."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.api.gateway import milliseconds
from dropzone.domain.aggregates import Aggregates, aggregate
from dropzone.domain.identifiers import received_at
from dropzone.domain.outcomes import Measurement, ValidatedObject
from dropzone.queries import measurements as query
from dropzone.queries.ranges import Place
from support.examples import examples
from support.factories import measurement, raw_ids
from support.gold import Measurements, place_of
from support.postgres import SilverInPostgres

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SOURCES = ["", "a", "b", "ü", "z'"]


def measured(row: query.Measurement) -> Measurement:
    aggregates = Aggregates(row["mean"], row["std_dev"], row["sample_count"], row["min"], row["max"])
    return Measurement(row["measured_at"], row["source"], aggregates, row["unit"], row["tags"])


@pytest.fixture
def measurements(tables: SilverInPostgres) -> Measurements:
    tables.query("DELETE FROM gold.measured")
    tables.query("DELETE FROM gold.measured_stale")
    return Measurements(tables.open(database_user="dropzone_reader"))


@pytest.fixture
def silver(tables: SilverInPostgres) -> PostgresSilver:
    return tables.silver()


def process_objects(silver: PostgresSilver, *places: Place) -> None:
    (raw_id,) = raw_ids(1)
    silver.write_outcomes(
        [ValidatedObject(raw_id, tuple(measurement(at, 1.0, source=source) for at, source in places))]
    )


def refresh(tables: SilverInPostgres) -> None:
    tables.query("SELECT gold.refresh(1000000, interval '0')")


def pages(
    measurements: Measurements, limit: int, *, source: str | None = None, newest_first: bool = True
) -> Iterator[list[query.Measurement]]:
    after: Place | None = None
    while page := measurements.page(source=source, newest_first=newest_first, after=after, limit=limit):
        yield page
        after = place_of(page[-1])


PLACES = st.lists(
    st.tuples(st.integers(-200, 200).map(lambda minute: NOON + 7 * minute * MINUTE), st.sampled_from(SOURCES)),
    max_size=40,
    unique=True,
)


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    PLACES,
    PLACES,
    st.none() | st.sampled_from([*SOURCES, "nobody"]),
    st.booleans(),
    st.integers(1, 7),
    st.tuples(st.integers(-1500, 1500), st.integers(-1500, 1500)),
)
def test_pages_hold_every_measurement_once_and_in_order(  # noqa: PLR0913, PLR0917 - what there is to choose
    tables: SilverInPostgres,
    silver: PostgresSilver,
    measurements: Measurements,
    computed: list[Place],
    fresh: list[Place],
    source: str | None,
    newest_first: bool,
    limit: int,
    bounds: tuple[int, int],
) -> None:
    tables.clear()
    process_objects(silver, *computed)
    refresh(tables)
    process_objects(silver, *fresh)
    since, until = (NOON + bound * MINUTE for bound in bounds)
    found: list[Place] = []
    while page := measurements.page(
        since=since,
        until=until,
        source=source,
        after=found[-1] if found else None,
        newest_first=newest_first,
        limit=limit,
    ):
        assert len(page) <= limit
        found += [place_of(current) for current in page]

    expected = {place for place in {*computed, *fresh} if since <= place[0] < until and source in {None, place[1]}}
    assert found == sorted(expected, reverse=newest_first)


@pytest.mark.parametrize("source", [None, "a"])
@pytest.mark.parametrize("newest_first", [True, False])
def test_pages_are_stable_while_rows_arrive(
    tables: SilverInPostgres, silver: PostgresSilver, measurements: Measurements, source: str | None, newest_first: bool
) -> None:
    # GIVEN fifty measurements
    random = Random(3)  # noqa: S311 - no secret
    first = [(NOON + random.randrange(5000) * MINUTE, source or random.choice("abc")) for _ in range(50)]
    process_objects(silver, *first)

    # WHEN others arrive on both sides of each page, and one that was there is overwritten
    found: list[Place] = []
    for page in pages(measurements, 7, source=source, newest_first=newest_first):
        found += [place_of(current) for current in page]
        process_objects(
            silver, (NOON + random.randrange(5000) * MINUTE + timedelta(seconds=1), source or "b"), first[0]
        )
        refresh(tables)

    # THEN none of the first is skipped, and none at all is seen twice
    assert set(first) <= set(found)
    assert len(found) == len(set(found))
    assert found == sorted(found, reverse=newest_first)


def test_a_measurement_with_all_that_is_known_of_it(silver: PostgresSilver, measurements: Measurements) -> None:
    (raw_id,) = raw_ids(1)
    whole = measurement(NOON, mean=0.1 + 0.2, std_dev=5e-324, source="a")._replace(unit="°C", tags={"k": "v"})
    before = datetime.now(UTC) - timedelta(seconds=60)
    silver.write_outcomes([ValidatedObject(raw_id, (measurement(NOON - MINUTE), whole))])

    for found in (measurements.page(source="a", limit=9), measurements.at(NOON, limit=9)):
        [current] = found
        assert measured(current) == whole
        assert (str(current["raw_id"]), current["item"]) == (str(raw_id), 1)
        assert current["received_at"] == milliseconds(received_at(raw_id))
        assert before < current["updated_at"] < datetime.now(UTC) + timedelta(seconds=60)


@pytest.mark.parametrize("value", [2.0, -1e300, 1.7976931348623157e308, 5e-324, 0.1, 1e22, 123456789.123456789])
def test_figures_come_back_as_they_went(silver: PostgresSilver, measurements: Measurements, value: float) -> None:
    outcome = Measurement(NOON, "a", aggregate([value]))
    silver.write_outcomes([ValidatedObject(raw_ids(1)[0], (outcome,))])

    (current,) = measurements.page(limit=2)

    assert measured(current) == outcome
    assert [type(figure) for figure in measured(current).aggregates] == [float, float, int, float, float]


def test_the_measurements_of_an_instant(silver: PostgresSilver, measurements: Measurements) -> None:
    process_objects(silver, *((NOON, source) for source in SOURCES), (NOON + timedelta(microseconds=1), "a"))

    def at(source: str | None = None, after: Place | None = None, limit: int = 99) -> list[str]:
        found = measurements.at(NOON, source=source, after=after, limit=limit)
        assert {current["measured_at"] for current in found} <= {NOON}
        return [current["source"] for current in found]

    assert at() == sorted(SOURCES)
    assert at(limit=2) + at(after=(NOON, sorted(SOURCES)[1])) == sorted(SOURCES)
    assert at("") == [""]
    assert at("nobody") == []
    assert measurements.at(NOON - MINUTE, limit=1) == []


@pytest.mark.parametrize("instant", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_time(silver: PostgresSilver, measurements: Measurements, instant: datetime) -> None:
    process_objects(silver, (instant, "a"))

    assert [place_of(current) for current in measurements.at(instant, limit=1)] == [(instant, "a")]
    assert [place_of(current) for current in measurements.page(limit=1)] == [(instant, "a")]
    assert [place_of(current) for current in measurements.page(source="a", since=instant, limit=1)] == [(instant, "a")]
    assert measurements.page(source="a", after=(instant, "a"), limit=1) == []


def touched(tables: SilverInPostgres) -> int:
    """The blocks that have been read of measurements and their indexes. Of other tables, autovacuum reads some."""
    ((blocks,),) = tables.query(
        "SELECT sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit) FROM pg_statio_user_tables"
        " WHERE relname LIKE 'measurements%'"
    )
    return int(blocks)


def test_no_page_reads_more_than_it_needs(tables: SilverInPostgres, measurements: Measurements) -> None:
    """Neither the first nor one near the end, in both orders, also of a source that measures seldom among others.

    Nor one of a key that is bound to such a source.
    """
    tables.query(
        "INSERT INTO measurements (measured_at, source, mean, std_dev, sample_count, min, max, raw_id, item)"
        " SELECT CAST(:noon AS timestamptz) + number * interval '1 second',"
        " CASE WHEN number % 10000 = 0 THEN 'rare' ELSE 'often' END,"
        " 0, 0, 1, 0, 0, uuidv7(), 0 FROM generate_series(1, 100000) AS number",
        noon=NOON,
    )
    # Tests before this one left dead rows.
    tables.query("VACUUM (ANALYZE) measurements")

    bound = replace(measurements, reads=("rare", "none"))

    def read(source: str | None, after: Place | None, *, newest_first: bool) -> int:
        asked = {"source": source} if source != "bound" else {}
        tables.query("SELECT pg_stat_force_next_flush()")
        before = touched(tables)
        who = bound if source == "bound" else measurements
        assert len(who.page(**asked, newest_first=newest_first, after=after, limit=2)) == 2
        measurements.database.run("SELECT pg_stat_force_next_flush()")
        measurements.database.run("SELECT 1")
        return touched(tables) - before

    costs = {
        (source, newest_first, second): read(
            source,
            None
            if second is None
            else (NOON + timedelta(seconds=second), "often" if source is None else source.replace("bound", "rare")),
            newest_first=newest_first,
        )
        for source in (None, "rare", "often", "bound")
        for newest_first in (True, False)
        for second in (None, 30_000, 70_000)
    }

    # THEN each reads the blocks of its rows, and of one way down an index: of one for each source that is bound to; and
    # the newest of all, where the last month has none, of one more
    ways = {key: 2 if key[0] == "bound" or key[1:] == (True, None) else 1 for key in costs}
    assert max(blocks / ways[key] for key, blocks in costs.items()) < 20, costs


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("source", [None, "source-7"])
def test_a_loader_that_follows_cursors_reaches_the_end(
    tables: SilverInPostgres,
    measurements: Measurements,
    source: str | None,
    *,
    newest_first: bool,
) -> None:
    """Through 80,000 rows of a hundred sources a minute, or the eight hundred of one of them; gold knows none yet."""
    tables.query(
        "INSERT INTO measurements (measured_at, source, mean, std_dev, sample_count, min, max, raw_id, item)"
        " SELECT CAST(:noon AS timestamptz) + number / 100 * interval '1 minute', 'source-' || number % 100,"
        " 0, 0, 1, 0, 0, uuidv7(), 0 FROM generate_series(0, 79999) AS number",
        noon=NOON,
    )

    limit = 1_000 if source is None else 10
    found = [
        place_of(place)
        for page in pages(measurements, limit, source=source, newest_first=newest_first)
        for place in page
    ]

    assert len(found) == len(set(found)) == (80_000 if source is None else 800)
