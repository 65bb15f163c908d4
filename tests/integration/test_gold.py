"""Gold equals what current silver gives: pooled figures, late events, overwrites, replays, writers at once, zones."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import partial
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pg8000.exceptions import DatabaseError

from dropzone.adapters.postgres_outcome_store import PostgresOutcomeStore
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.adapters.postgres_upkeep import PostgresGoldStore
from dropzone.api.parameters import ZONE_EXPECTED
from dropzone.api.problems import FieldError, InvalidRequestError
from dropzone.domain.aggregates import aggregate
from dropzone.domain.identifiers import new_raw_id
from dropzone.domain.outcomes import Code, Measurement, Outcome, Rejection, ValidatedObject, Violation
from dropzone.queries import buckets
from dropzone.queries.buckets import Granularity
from dropzone.queries.kpis import Kpi
from dropzone.queries.measurements import MeasurementsRequest
from dropzone.queries.quality import QualityBucket, QualityRequest, RuleCount, read_quality
from dropzone.queries.ranges import bounds
from support.background import in_background
from support.examples import examples
from support.factories import flagged, measurement, raw_ids
from support.gold import LARGEST, UNIT, Exact, Gold, Window, assert_pooled, assert_right, by_quarter_hour, too_much
from support.postgres import SilverInPostgres

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
ANY_LIMIT = 100_000


@pytest.fixture
def gold(tables: SilverInPostgres) -> Gold:
    """Gold as the function Query reads it; empty, as its silver is."""
    return Gold(tables.open(database_user="dropzone_reader"))


@pytest.fixture
def silver(tables: SilverInPostgres) -> PostgresSilver:
    """Silver as the function Process writes it."""
    return tables.silver()


def refresh(tables: SilverInPostgres) -> int:
    """Compute whatever is stale, however fresh it is."""
    ((parts,),) = tables.query("SELECT gold.refresh(1000000, interval '0')")
    return int(parts)


def hourly(gold: Gold, since: datetime, until: datetime, source: str | None = None) -> list[Kpi]:
    return gold.kpis(Window(Granularity.HOUR, since, until, source), limit=ANY_LIMIT)


def arrived(at: datetime, *outcomes: Outcome) -> ValidatedObject:
    """Validate an object that arrived at an instant."""
    return ValidatedObject(new_raw_id(int(at.timestamp() * 1000) * 1_000_000), outcomes)


def rejected(*codes: Code, source: str = "") -> Rejection:
    return Rejection(tuple(Violation(code, "data", "is bad") for code in codes), source)


def hours_around(instant: datetime, count: int) -> list[datetime]:
    start = instant.replace(minute=0, second=0, microsecond=0)
    return [start + number * HOUR for number in range(-count, count + 1)]


# ---- types -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_fresh", [False, True], ids=["stale", "computed"])
def test_whole_numbers_of_floats_are_floats(tables: SilverInPostgres, gold: Gold, is_fresh: bool) -> None:
    # GIVEN figures, pauses and latencies that are whole numbers, and an event that was rejected
    events = [Measurement(NOON + timedelta(seconds=second), "", aggregate([1.0, 3.0])) for second in (0, 60, 180)]
    tables.silver().write_outcomes([arrived(NOON, *events, rejected(Code.DATA_EMPTY))])
    tables.query("UPDATE receipts SET settled_at = uuid_extract_timestamp(raw_id) + interval '2 seconds'")
    if is_fresh:
        refresh(tables)

    (kpi,) = hourly(gold, NOON, NOON + HOUR)
    (quality,) = gold.quality(Window(Granularity.HOUR, NOON, NOON + HOUR), limit=ANY_LIMIT)

    assert kpi["mean"] is not None
    assert [repr(kpi[name]) for name in ("mean", "std_dev", "min", "max")] == ["2.0", "1.0", "1.0", "3.0"]
    assert [repr(kpi["gaps"]["count"]), repr(kpi["gaps"]["longest_seconds"])] == ["1", "120.0"]
    assert [type(value) for value in kpi["gaps"].values()] == [int, float, float, float]
    assert [repr(value) for value in kpi["latency_ms"].values()] == ["2000.0", "2000.0"]
    assert [type(value) for value in quality["latency_ms"].values()] == [float] * 4
    assert [type(value) for value in (kpi["events"], kpi["samples"], kpi["processed"])] == [int] * 3


# ---- pooled figures --------------------------------------------------------------------------------------------------


def groups(values: st.SearchStrategy[float]) -> st.SearchStrategy[list[tuple[int, float, float]]]:
    deviations = values.map(abs)
    return st.lists(st.tuples(st.integers(1, 10**6), values, deviations), min_size=1, max_size=12)


SENSORS = st.tuples(st.sampled_from([0.0, 1e7, -3e12, 1e-9]), st.floats(-1, 1)).map(lambda parts: parts[0] + parts[1])


POOLED = """
    min(near) + (gold.combine(gold.part(weight, m, d, near)))[2],
    gold.pooled_std_dev(gold.combine(gold.part(weight, m, d, near)))
"""


@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups(FINITE) | groups(SENSORS) | groups(st.floats(-1e-150, 1e-150)) | groups(st.just(1.5)))
def test_groups_pool_as_exact_fractions_do(
    tables: SilverInPostgres, given_groups: list[tuple[int, float, float]]
) -> None:
    rows = [{"n": count, "m": mean, "d": deviation} for count, mean, deviation in given_groups]

    ((samples, mean, std_dev),) = tables.query(
        f"SELECT CAST(sum(n) AS bigint), {POOLED} FROM ("  # noqa: S608 - our own words
        "   SELECT *, greatest(min(m) OVER (), least(max(m) OVER (), 0)) AS near,"
        "          n / sum(CAST(n AS float8)) OVER () AS weight"
        "   FROM json_to_recordset(CAST(:rows AS json)) AS r (n bigint, m float8, d float8)"
        ") AS part",
        rows=json.dumps(rows),
    )

    exact = Exact.of(given_groups)
    assert samples == exact.samples
    figures = [mean for _, mean, _ in given_groups] + [deviation for _, _, deviation in given_groups]
    assert_pooled(mean, std_dev, exact, figures, groups=len(given_groups))
    assert std_dev is not None or all(deviation == 0 for _, _, deviation in given_groups) or not is_usual(figures)


def is_usual(figures: Sequence[float]) -> bool:
    return all(figure == 0 or 1e-140 < abs(figure) < LARGEST for figure in figures)


RAW = st.lists(
    st.tuples(
        st.integers(0, 3 * 3600), st.sampled_from(["", "a", "b"]), st.lists(FINITE | SENSORS, min_size=1, max_size=6)
    ),
    min_size=1,
    max_size=25,
    unique_by=lambda event: event[:2],
)


@settings(max_examples=examples(80), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RAW, st.booleans())
def test_an_hour_s_figures_are_those_of_its_samples(
    tables: SilverInPostgres,
    silver: PostgresSilver,
    gold: Gold,
    raw: list[tuple[int, str, list[float]]],
    is_fresh: bool,
) -> None:
    tables.clear()
    events = [
        Measurement(NOON + timedelta(seconds=second), source, aggregate(values)) for second, source, values in raw
    ]
    silver.write_outcomes([ValidatedObject(raw_ids(1)[0], tuple(events))])
    if is_fresh:
        refresh(tables)

    kpis = hourly(gold, NOON, NOON + 4 * HOUR)

    assert len(kpis) == len({(second // 3600, source) for second, source, _ in raw})
    for kpi in kpis:
        of_it = [
            (NOON + timedelta(seconds=second), values)
            for second, source, values in raw
            if source == kpi["source"] and kpi["start"] <= NOON + timedelta(seconds=second) < kpi["end"]
        ]
        values = [value for _, values in of_it for value in values]
        assert (kpi["events"], kpi["samples"]) == (len(of_it), len(values))
        assert kpi["mean"] is not None
        assert (kpi["min"], kpi["max"]) == (min(values), max(values))
        # The means and deviations that stand in silver are right to 15 digits.
        exact = Exact.of_values(values)
        parts = by_quarter_hour((instant, (1, value, 0.0)) for instant, values in of_it for value in values)
        assert_pooled(kpi["mean"], kpi["std_dev"], exact, values, groups=len(values), inherent=8 * UNIT, parts=parts)


@pytest.mark.parametrize(
    ("pause", "rounded"),
    # Of an hour, the means of its buckets have been rounded.
    [(timedelta(milliseconds=1), 0.0), (timedelta(milliseconds=359), float(2 * UNIT * 10**9))],
    ids=["quarter", "hour"],
)
def test_a_large_offset_leaves_the_deviation_its_digits(
    tables: SilverInPostgres, gold: Gold, pause: timedelta, rounded: float
) -> None:
    # GIVEN ten thousand measurements of 1e9 and a thousandth, whose squares binary64 can't tell apart
    random = Random(8)  # noqa: S311 - no secret
    means = [1e9 + random.uniform(-1e-3, 1e-3) for _ in range(10_000)]
    outcomes = [measurement(NOON + number * pause, mean, 0.0) for number, mean in enumerate(means)]
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], tuple(outcomes))])

    (kpi,) = hourly(gold, NOON, NOON + HOUR)

    assert kpi["mean"] is not None
    assert kpi["std_dev"] is not None
    exact = Exact.of((2, mean, 0.0) for mean in means)
    deviation = math.sqrt(exact.variance)
    assert abs(Fraction(kpi["mean"]) - exact.mean) <= 2 * UNIT * 10**9
    assert abs(kpi["std_dev"] - deviation) < rounded + 1e-12 * deviation


@pytest.mark.parametrize("minutes", [1, 16], ids=["quarter", "hour"])
@pytest.mark.parametrize("third", [3.0, 0.0])
@pytest.mark.parametrize("value", [1.7976931348623157e308, -1e308, 5e-324, 1e-200, 0.0])
def test_what_squares_can_not_hold_has_a_mean_and_no_deviation(
    tables: SilverInPostgres, gold: Gold, value: float, third: float, minutes: int
) -> None:
    values = [value, value / 2, third]
    outcomes = [
        Measurement(NOON + timedelta(minutes=minutes * number), "", aggregate([value]))
        for number, value in enumerate(values)
    ]
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], tuple(outcomes))])

    live = hourly(gold, NOON, NOON + HOUR)
    refresh(tables)

    assert hourly(gold, NOON, NOON + HOUR) == live
    (kpi,) = live
    assert kpi["mean"] is not None
    assert_pooled(kpi["mean"], kpi["std_dev"], Exact.of_values(values), values, groups=3)
    is_reported = abs(value) <= LARGEST and (third == 3.0 or value == 0.0)
    assert (kpi["std_dev"] is not None) == is_reported


def test_what_never_changes_does_not_deviate(tables: SilverInPostgres, gold: Gold) -> None:
    outcomes = [measurement(NOON + timedelta(minutes=16 * number), 0.1, 0.0) for number in range(3)]
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], tuple(outcomes))])

    (kpi,) = hourly(gold, NOON, NOON + HOUR)

    assert kpi["mean"] is not None
    assert (kpi["mean"], kpi["std_dev"]) == (0.1, 0.0)


def test_where_nothing_was_measured_there_are_no_figures(tables: SilverInPostgres, gold: Gold) -> None:
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], (rejected(Code.DATA_EMPTY),))])

    for _ in range(2):
        now = datetime.now(UTC)
        (kpi,) = hourly(gold, now - HOUR, now + HOUR)
        assert (kpi["events"], kpi["samples"], kpi["rejected"], kpi["gaps"]["count"]) == (0, 0, 1, 0)
        assert [kpi["mean"], kpi["std_dev"], kpi["min"], kpi["max"], kpi["first"], kpi["last"]] == [None] * 6
        refresh(tables)


# ---- current silver --------------------------------------------------------------------------------------------------


def test_late_events_overwrites_and_replays_count_at_once(tables: SilverInPostgres, gold: Gold) -> None:
    """Also before anything is computed again, and after."""
    silver, outcome_store = tables.silver(), PostgresOutcomeStore(tables.open())
    now = datetime.now(UTC)
    starts = sorted({*hours_around(NOON, 3), *hours_around(now, 2)})

    def check() -> None:
        for _ in range(2):
            kpis = [
                *hourly(gold, NOON - 3 * HOUR, NOON + 3 * HOUR),
                *hourly(gold, now - 2 * HOUR, now + 2 * HOUR - timedelta(minutes=59)),
            ]
            assert_right(tables, kpis, starts)
            refresh(tables)

    first, second, third, fourth, fifth = raw_ids(5, age=timedelta(minutes=1))
    silver.write_outcomes([ValidatedObject(first, (measurement(NOON, 1.0), measurement(NOON + HOUR, 5.0, source="x")))])
    check()
    # an event that is late by two hours, and one that is rejected
    silver.write_outcomes(
        [ValidatedObject(third, (measurement(NOON - 2 * HOUR, 3.0), rejected(Code.DATA_EMPTY, source="x")))]
    )
    check()
    # two with warnings, and the one code among both outcomes
    warned = flagged(measurement(NOON + 2 * HOUR, 3.0), Code.VALUE_SENTINEL, Code.VALUE_SENTINEL, Code.UNIT_UNEXPECTED)
    warned_again = flagged(measurement(NOON, 1.0, source="x"), Code.VALUE_SENTINEL)
    silver.write_outcomes([ValidatedObject(fifth, (warned, warned_again, rejected(Code.VALUE_SENTINEL, source="x")))])
    check()
    # an overwrite, of the lowest and the highest that there was
    silver.write_outcomes(
        [ValidatedObject(fourth, (measurement(NOON, 2.0), measurement(NOON + HOUR, 2.0, source="x")))]
    )
    check()
    # an event that arrived before, and changes no measurement
    silver.write_outcomes([ValidatedObject(second, (measurement(NOON, 9.0),))])
    check()
    # validated again: the overwrite is rejected now, and what it had replaced returns
    outcome_store.replace(
        [ValidatedObject(fourth, (rejected(Code.DATA_EMPTY, Code.UNIT_INVALID), measurement(NOON, 4.0)))]
    )
    check()
    # validated again: a warning is gone, and another is a rejection
    outcome_store.replace(
        [ValidatedObject(fifth, (warned._replace(flags=()), rejected(Code.VALUE_SENTINEL, source="x")))]
    )
    check()
    # validated again: nothing is left of the object
    outcome_store.replace([ValidatedObject(first, (rejected(Code.DATA_EMPTY), rejected(Code.DATA_EMPTY)))])
    check()
    # erased by hand
    tables.query("DELETE FROM measurements WHERE source = ''")
    tables.query("DELETE FROM outcomes WHERE raw_id = :raw_id", raw_id=third)
    tables.query("DELETE FROM receipts WHERE raw_id = :raw_id", raw_id=third)
    check()
    # moved by hand
    silver.write_outcomes([ValidatedObject(raw_ids(1)[0], (measurement(NOON), measurement(NOON + HOUR, source="x")))])
    check()
    tables.query("UPDATE measurements SET mean = mean + 1, min = -100")
    check()
    tables.query("TRUNCATE receipts, outcomes, measurements")
    check()
    assert hourly(gold, NOON - 3 * HOUR, NOON + 3 * HOUR) == []


def test_latency_is_that_of_the_first_time(tables: SilverInPostgres, gold: Gold) -> None:
    # GIVEN an object that was processed a second after it arrived, yesterday
    yesterday = datetime.now(UTC) - DAY
    entry = arrived(yesterday, measurement(NOON))
    tables.silver().write_outcomes([entry])
    tables.query("UPDATE receipts SET settled_at = :at", at=yesterday + timedelta(seconds=1))

    # WHEN it is validated again today
    PostgresOutcomeStore(tables.open()).replace([entry])

    # THEN it still took a second
    (kpi,) = hourly(gold, yesterday, yesterday + timedelta(milliseconds=1))
    assert kpi["latency_ms"]["max"] is not None
    assert abs(kpi["latency_ms"]["max"] - 1000) < 2


def test_an_object_of_many_parts_has_its_latency_with_the_last(tables: SilverInPostgres, gold: Gold) -> None:
    (raw_id,) = raw_ids(1)
    silver = tables.silver()
    now = datetime.now(UTC)
    silver.write_outcomes([ValidatedObject(raw_id, (measurement(NOON),), is_whole=False)])
    refresh(tables)
    (kpi,) = hourly(gold, now - timedelta(seconds=30), now)
    assert (kpi["processed"], kpi["latency_ms"]["mean"]) == (1, None)

    silver.write_outcomes([ValidatedObject(raw_id, (measurement(NOON + HOUR),), first_item=1)])

    (kpi,) = hourly(gold, now - timedelta(seconds=30), now)
    assert kpi["processed"] == 2
    assert kpi["latency_ms"]["mean"] is not None


def test_what_is_written_to_is_computed_later_and_every_mark_goes(tables: SilverInPostgres, gold: Gold) -> None:
    store = PostgresGoldStore(tables.open())
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], (measurement(NOON),))])
    assert store.refresh(100) == 0

    tables.query("UPDATE gold.measured_stale SET marked_at = now() - interval '3 minutes'")
    tables.query("UPDATE gold.arrived_stale SET marked_at = now() - interval '3 minutes'")
    assert store.refresh(100) == 2

    assert tables.query("SELECT FROM gold.measured_stale UNION ALL SELECT FROM gold.arrived_stale") == []
    assert store.refresh(100) == 0
    assert len(hourly(gold, NOON, NOON + HOUR)) == 1


def test_what_is_written_to_without_an_end_is_computed_in_between(tables: SilverInPostgres, gold: Gold) -> None:
    del gold
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], (measurement(NOON),))])
    tables.query(
        "INSERT INTO gold.measured_stale SELECT bucket_start, 1, now() - interval '21 minutes' FROM gold.measured_stale"
    )

    assert PostgresGoldStore(tables.open()).refresh(100) == 1


# ---- at once ---------------------------------------------------------------------------------------------------------


def test_two_writers_of_one_hour_wait_for_nobody(tables: SilverInPostgres, gold: Gold) -> None:
    first, second = raw_ids(2)
    # GIVEN a writer of a quarter that has not committed
    tables.query("BEGIN")
    tables.query(
        "INSERT INTO measurements (measured_at, mean, std_dev, sample_count, min, max, raw_id, item)"
        " VALUES (:at, 1, 0, 1, 1, 1, :raw_id, 0)",
        at=NOON,
        raw_id=first,
    )
    # WHEN another writes the same quarter
    tables.silver().write_outcomes([ValidatedObject(second, (measurement(NOON + timedelta(seconds=1), 3.0),))])

    # THEN it was not held up, and each counts from its commit on
    assert [kpi["events"] for kpi in hourly(gold, NOON, NOON + HOUR)] == [1]
    tables.query("COMMIT")
    assert [kpi["events"] for kpi in hourly(gold, NOON, NOON + HOUR)] == [2]


def test_a_writer_that_commits_after_the_bucket_was_computed_counts(tables: SilverInPostgres, gold: Gold) -> None:
    first, second = raw_ids(2)
    tables.silver().write_outcomes([ValidatedObject(first, (measurement(NOON),))])
    tables.query("BEGIN")
    tables.query(
        "INSERT INTO measurements (measured_at, mean, std_dev, sample_count, min, max, raw_id, item)"
        " VALUES (:at, 1, 0, 1, 1, 1, :raw_id, 0)",
        at=NOON + timedelta(minutes=1),
        raw_id=second,
    )
    # WHEN the bucket is computed while a writer of it is at work
    with tables.server.connect() as other:
        other.run("SELECT gold.refresh(1000, interval '0')")
    assert [kpi["events"] for kpi in hourly(gold, NOON, NOON + HOUR)] == [1]
    tables.query("COMMIT")

    # THEN the bucket is stale again with its commit
    assert [kpi["events"] for kpi in hourly(gold, NOON, NOON + HOUR)] == [2]
    refresh(tables)
    assert [kpi["events"] for kpi in hourly(gold, NOON, NOON + HOUR)] == [2]


def test_a_writer_that_commits_while_the_bucket_is_computed_counts(tables: SilverInPostgres, gold: Gold) -> None:
    """Between the statement that takes the marks and the one that reads silver."""
    first, second = raw_ids(2)
    silver = tables.silver()
    silver.write_outcomes([ValidatedObject(first, (measurement(NOON),))])
    # GIVEN a computation that is held up behind taking the marks
    tables.query("BEGIN")
    tables.query("LOCK TABLE gold.measured IN ACCESS EXCLUSIVE MODE")
    with tables.server.connect() as other:
        computing = in_background(lambda: other.run("SELECT gold.refresh(1000, interval '0')"))
        tables.await_waiting(1)
        # WHEN a writer commits
        silver.write_outcomes([ValidatedObject(second, (measurement(NOON + timedelta(minutes=1)),))])
        tables.query("COMMIT")
        computing.result(60)

    # THEN it counts, whether it was seen or not
    assert [kpi["events"] for kpi in hourly(gold, NOON, NOON + HOUR)] == [2]
    refresh(tables)
    assert [kpi["events"] for kpi in hourly(gold, NOON, NOON + HOUR)] == [2]


def test_a_writer_that_commits_after_silver_was_read_counts(tables: SilverInPostgres, gold: Gold) -> None:
    """Between the statement that reads silver and the end of the computation."""
    first, second = raw_ids(2)
    silver = tables.silver()
    silver.write_outcomes([ValidatedObject(first, (measurement(NOON),))])
    # GIVEN a computation that has read silver, and waits to write what it found
    tables.query("BEGIN")
    tables.query(
        "INSERT INTO gold.measured SELECT :noon, '', 0, 0, 0, 0, 0, 0, :noon, :noon, NULL, NULL, '{}', '{}'", noon=NOON
    )
    with tables.server.connect() as other:
        computing = in_background(lambda: other.run("SELECT gold.refresh(1000, interval '0')"))
        tables.await_waiting(1)
        # WHEN a writer commits
        silver.write_outcomes([ValidatedObject(second, (measurement(NOON + timedelta(minutes=1)),))])
        tables.query("ROLLBACK")
        computing.result(60)

    # THEN the bucket is stale still
    assert [kpi["events"] for kpi in hourly(gold, NOON, NOON + HOUR)] == [2]
    refresh(tables)
    assert [kpi["events"] for kpi in hourly(gold, NOON, NOON + HOUR)] == [2]


def test_of_two_computations_at_once_one_does_nothing(tables: SilverInPostgres, gold: Gold) -> None:
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], (measurement(NOON),))])
    tables.query("BEGIN")
    assert refresh(tables) == 2
    with tables.server.connect() as other:
        assert other.run("SELECT gold.refresh(1000, interval '0')") == [[0]]
    # Whoever reads meanwhile takes the bucket from silver.
    assert [kpi["events"] for kpi in hourly(gold, NOON, NOON + HOUR)] == [1]
    tables.query("COMMIT")
    assert [kpi["events"] for kpi in hourly(gold, NOON, NOON + HOUR)] == [1]


def test_writers_replays_and_computations_at_once_end_in_what_silver_says(tables: SilverInPostgres, gold: Gold) -> None:
    ends = time.monotonic() + 4

    def written(silver_of: Callable[[Sequence[ValidatedObject]], object], seed: int) -> int:
        mine = Random(seed)  # noqa: S311
        count = 0
        while time.monotonic() < ends or count < 6:
            outcomes = tuple(
                measurement(NOON + timedelta(minutes=mine.randrange(90)), mine.uniform(-5, 5), source=mine.choice("ab"))
                for _ in range(5)
            )
            silver_of([ValidatedObject(raw_ids(1)[0], (*outcomes, rejected(Code.DATA_EMPTY, source="a")))])
            count += 1
        return count

    def computed() -> int:
        count = 0
        with tables.server.connect() as connection:
            while time.monotonic() < ends or not count:
                ((parts,),) = connection.run("SELECT gold.refresh(3, interval '0')")
                count += parts
        return count

    writers = [in_background(partial(written, tables.silver().write_outcomes, seed)) for seed in (1, 2)]
    outcome_store = PostgresOutcomeStore(tables.open())
    replayer = in_background(lambda: written(outcome_store.replace, 5))
    computer = in_background(computed)

    for future in (*writers, replayer, computer):
        assert future.result(60)

    now = datetime.now(UTC)
    starts = sorted({*hours_around(NOON, 3), *hours_around(now, 2)})
    for _ in range(2):
        kpis = [*hourly(gold, NOON - HOUR, NOON + 3 * HOUR), *hourly(gold, now - HOUR, now + timedelta(seconds=1))]
        assert_right(tables, kpis, starts)
        refresh(tables)


# ---- buckets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tz", "day"),
    [
        ("UTC", datetime(2026, 3, 4)),  # noqa: DTZ001 - a date of the zone
        ("Europe/Berlin", datetime(2026, 3, 29)),  # noqa: DTZ001 - 23 hours
        ("Europe/Berlin", datetime(2026, 10, 25)),  # noqa: DTZ001 - 25 hours
        ("Asia/Kolkata", datetime(2026, 3, 4)),  # noqa: DTZ001 - half an hour
        ("Asia/Kathmandu", datetime(2026, 3, 4)),  # noqa: DTZ001 - three quarters
        ("Australia/Lord_Howe", datetime(2026, 4, 5)),  # noqa: DTZ001 - half an hour more
        ("America/Havana", datetime(2026, 11, 1)),  # noqa: DTZ001 - midnight comes twice
        ("America/Sao_Paulo", datetime(2018, 11, 4)),  # noqa: DTZ001 - and never
        ("Pacific/Apia", datetime(2011, 12, 31)),  # noqa: DTZ001 - the day before never was
    ],
)
@pytest.mark.parametrize("is_fresh", [True, False])
def test_a_day_is_one_of_its_time_zone(
    tables: SilverInPostgres, gold: Gold, tz: str, day: datetime, is_fresh: bool
) -> None:
    # GIVEN an event every 15 minutes, and on both sides of each midnight
    zone = ZoneInfo(tz)
    middle = day.replace(hour=12, tzinfo=zone).astimezone(UTC)
    instants = [middle + number * timedelta(minutes=15) for number in range(-150, 150)]
    instants += [instant + timedelta(minutes=15, seconds=-1) for instant in instants]
    midnights = [(a + b) for a in instants for b in (timedelta(0),) if a.astimezone(zone).hour in (0, 23)]
    instants += [instant + timedelta(seconds=second) for instant in midnights for second in (29, 30, 31)]
    outcomes = tuple(measurement(instant, mean=1.0) for instant in sorted(set(instants)))
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], outcomes)])
    if is_fresh:
        refresh(tables)

    kpis = gold.kpis(Window(Granularity.DAY, middle - DAY, middle + DAY, "", tz), limit=ANY_LIMIT)

    # THEN each is counted on its local date, and the buckets' bounds are where the date changes
    dates = [(instant, instant.astimezone(zone).date()) for instant in sorted(set(instants))]
    counted = {date: sum(other == date for _, other in dates) for _, date in dates}
    for kpi in kpis:
        date = (kpi["end"] - timedelta(microseconds=1)).astimezone(zone).date()
        assert kpi["events"] == counted[date], date
        assert kpi["start"].astimezone(zone).date() == date
        assert (kpi["start"] - timedelta(microseconds=1)).astimezone(zone).date() < date
        assert kpi["end"].astimezone(zone).date() > date
        assert kpi["mean"] is not None
        of_it = [instant for instant, other in dates if other == date]
        assert (kpi["first"], kpi["last"]) == (min(of_it), max(of_it))
    assert len(kpis) >= 2


def starts(gold: Gold, granularity: Granularity, since: datetime, until: datetime, tz: str) -> list[str]:
    """The buckets' starts as they are answered, and the end of the last."""
    kpis = gold.kpis(Window(granularity, since, until, tz=tz), limit=ANY_LIMIT)
    return [kpi["start"].isoformat() for kpi in kpis] + [kpi["end"].isoformat() for kpi in kpis[-1:]]


@pytest.mark.parametrize(
    ("tz", "since", "expected"),
    [
        ("UTC", "2026-03-04T12:00Z", ["2026-03-04T12:00:00+00:00", "2026-03-04T13:00:00+00:00"]),
        ("Asia/Kolkata", "2026-03-04T12:00Z", ["2026-03-04T17:00:00+05:30", "2026-03-04T18:00:00+05:30"]),
        ("Asia/Kathmandu", "2026-03-04T12:00Z", ["2026-03-04T17:00:00+05:45", "2026-03-04T18:00:00+05:45"]),
        # The clock is put back by half an hour at two, to half past one: half an hour of its own.
        ("Australia/Lord_Howe", "2026-04-04T14:00Z", ["2026-04-05T01:00:00+11:00", "2026-04-05T01:30:00+10:30"]),
        ("Australia/Lord_Howe", "2026-04-04T15:00Z", ["2026-04-05T01:30:00+10:30", "2026-04-05T02:00:00+10:30"]),
        # And forward by as much at two: the third hour has half an hour.
        ("Australia/Lord_Howe", "2026-10-03T15:30Z", ["2026-10-04T02:30:00+11:00", "2026-10-04T03:00:00+11:00"]),
        # The third hour comes twice, and never.
        ("Europe/Berlin", "2026-10-25T00:00Z", ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]),
        ("Europe/Berlin", "2026-10-25T01:00Z", ["2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"]),
        ("Europe/Berlin", "2026-03-29T00:30Z", ["2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"]),
        # An offset of seconds: to 15 minutes.
        ("Africa/Monrovia", "1971-06-01T00:00Z", ["1971-05-31T23:00:00-00:44", "1971-06-01T00:00:00-00:44"]),
    ],
)
@pytest.mark.parametrize("is_fresh", [True, False])
def test_an_hour_is_one_of_the_local_clock(
    tables: SilverInPostgres, gold: Gold, tz: str, since: str, expected: list[str], is_fresh: bool
) -> None:
    # GIVEN an event each minute of three hours around
    at = datetime.fromisoformat(since)
    events = tuple(measurement(at + minute * timedelta(minutes=1)) for minute in range(-120, 180))
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], events)])
    if is_fresh:
        refresh(tables)

    (kpi,) = gold.kpis(Window(Granularity.HOUR, at, at + timedelta(minutes=1), tz=tz), limit=9)

    if tz == "Africa/Monrovia":
        assert abs(kpi["start"] - datetime.fromisoformat(expected[0])) <= timedelta(minutes=15)
    else:
        assert [kpi["start"].isoformat(), kpi["end"].isoformat()] == expected
    assert kpi["events"] == (kpi["end"] - kpi["start"]) // timedelta(minutes=1)
    around = gold.kpis(Window(Granularity.HOUR, at - HOUR, at + 2 * HOUR, tz=tz), limit=9)
    assert all(one["end"] == other["start"] for one, other in pairwise(around))


@pytest.mark.parametrize(
    ("granularity", "tz", "expected"),
    [
        (Granularity.WEEK, "UTC", ["2026-03-02T00:00:00+00:00", "2026-03-09T00:00:00+00:00"]),
        (Granularity.WEEK, "Asia/Kathmandu", ["2026-03-02T00:00:00+05:45", "2026-03-09T00:00:00+05:45"]),
        (Granularity.MONTH, "UTC", ["2026-03-01T00:00:00+00:00", "2026-04-01T00:00:00+00:00"]),
        (Granularity.MONTH, "Europe/Berlin", ["2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00"]),
        (Granularity.MONTH, "America/Havana", ["2026-03-01T00:00:00-05:00", "2026-04-01T00:00:00-04:00"]),
    ],
)
def test_weeks_begin_on_monday_and_months_on_their_first(
    tables: SilverInPostgres, gold: Gold, granularity: Granularity, tz: str, expected: list[str]
) -> None:
    # GIVEN an event at each end of the bucket, and one on each side of it
    start, end = map(datetime.fromisoformat, expected)
    just = timedelta(microseconds=1)
    events = tuple(measurement(instant, mean=1.0) for instant in (start - just, start, NOON, end - just, end))
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], events)])

    (kpi,) = gold.kpis(Window(granularity, NOON, NOON + HOUR, tz=tz), limit=9)

    assert [kpi["start"].isoformat(), kpi["end"].isoformat()] == expected
    assert kpi["events"] == 3
    assert starts(gold, granularity, start, end, tz) == expected


def test_a_query_that_is_not_over_in_time_is_too_much(tables: SilverInPostgres) -> None:
    # GIVEN a backlog that gold doesn't know the size of, and little time
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], (measurement(NOON),))])
    database = tables.open(database_user="dropzone_reader")
    gold = Gold(database)
    tables.query("BEGIN")
    tables.query("LOCK TABLE measurements IN ACCESS EXCLUSIVE MODE")

    # WHEN it is asked THEN the problem says to ask for less, and not that the database is down
    database.use_time_left(lambda: 1.0)
    with too_much():
        hourly(gold, NOON, NOON + HOUR)
    tables.query("ROLLBACK")
    database.use_time_left(lambda: 20.0)
    assert len(hourly(gold, NOON, NOON + HOUR)) == 1


def test_a_range_is_of_whole_buckets(tables: SilverInPostgres, gold: Gold) -> None:
    outcomes = tuple(measurement(NOON + timedelta(minutes=minute), mean=1.0) for minute in range(180))
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], outcomes)])

    def found(granularity: Granularity, since: datetime, until: datetime) -> list[tuple[datetime, int]]:
        return [(kpi["start"], kpi["events"]) for kpi in gold.kpis(Window(granularity, since, until), limit=ANY_LIMIT)]

    inside, just = NOON + timedelta(minutes=61, seconds=1), timedelta(microseconds=1)
    assert found(Granularity.HOUR, inside, inside + just) == [(NOON + HOUR, 60)]
    assert found(Granularity.HOUR, NOON, NOON + HOUR) == [(NOON, 60)]
    assert found(Granularity.HOUR, NOON, NOON + HOUR + just) == [(NOON, 60), (NOON + HOUR, 60)]
    assert found(Granularity.QUARTER_HOUR, inside, inside + just) == [(NOON + HOUR, 15)]
    assert found(Granularity.MINUTE, inside, inside + just) == [(NOON + timedelta(minutes=61), 1)]
    assert found(Granularity.DAY, inside, inside + just) == [(NOON.replace(hour=0), 180)]
    assert found(Granularity.HOUR, NOON - 5 * HOUR, NOON) == []
    assert len(found(Granularity.MINUTE, NOON, NOON + 3 * HOUR)) == 180
    assert found(Granularity.SECOND, inside - timedelta(seconds=1), inside) == [(NOON + timedelta(minutes=61), 1)]
    assert found(Granularity.SECOND, inside, inside + timedelta(seconds=58)) == []


@pytest.mark.parametrize("instant", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
@pytest.mark.parametrize("tz", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_the_ends_of_time(tables: SilverInPostgres, gold: Gold, instant: datetime, tz: str) -> None:
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], (measurement(instant),))])
    width = timedelta(microseconds=1)
    since, until = (instant, instant + width) if instant.year == 1 else (instant - width, instant)
    if instant.year != 1:
        since, until = instant - timedelta(seconds=1), instant

    for granularity in Granularity:
        (kpi,) = gold.kpis(Window(granularity, since, until, tz=tz), limit=ANY_LIMIT)

        assert kpi["mean"] is not None, granularity
        assert kpi["first"] == instant, granularity


def test_sources_are_apart_and_one_can_be_chosen(tables: SilverInPostgres, gold: Gold) -> None:
    names = ["", "a", "b", "ü", "a'b", "é" * 200]
    outcomes = tuple(measurement(NOON, mean=float(number), source=name) for number, name in enumerate(names))
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], (*outcomes, rejected(Code.DATA_EMPTY, source="ü")))])

    assert {kpi["source"] for kpi in hourly(gold, NOON, NOON + HOUR)} == set(names)
    for number, name in enumerate(names):
        (kpi,) = hourly(gold, NOON, NOON + HOUR, name)
        assert kpi["mean"] is not None
        assert (kpi["source"], kpi["mean"]) == (name, float(number))
    assert hourly(gold, NOON, NOON + HOUR, "nobody") == []
    now = datetime.now(UTC)
    window = Window(Granularity.HOUR, now - timedelta(minutes=1), now, "ü")
    assert sum(quality["rejected"] for quality in gold.quality(window, limit=9)) == 1


def test_pages_of_buckets_meet(tables: SilverInPostgres, gold: Gold) -> None:
    outcomes = tuple(measurement(NOON + hour * HOUR, source=source) for hour in range(5) for source in ("a", "b", "c"))
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], outcomes)])
    window = Window(Granularity.HOUR, NOON, NOON + 5 * HOUR)
    everything = gold.kpis(window, limit=ANY_LIMIT)

    paged: list[Kpi] = []
    while page := gold.kpis(window, limit=4, after=(paged[-1]["start"], paged[-1]["source"]) if paged else None):
        paged += page

    assert paged == everything
    assert len(paged) == 15


@pytest.mark.parametrize(
    ("tz", "day", "begins", "ends"),
    [
        ("UTC", date(2026, 3, 4), "2026-03-04T00:00Z", "2026-03-05T00:00Z"),
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-28T23:00Z", "2026-03-29T22:00Z"),
        ("Asia/Kathmandu", date(2026, 3, 4), "2026-03-03T18:15Z", "2026-03-04T18:15Z"),
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00Z", "2026-11-02T05:00Z"),
        ("Asia/Tokyo", date(1, 1, 1), "0001-01-01T00:00Z", "0001-01-01T14:41:01Z"),
        ("UTC", date(9999, 12, 31), "9999-12-31T00:00Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_when_a_day_begins_and_ends(gold: Gold, tz: str, day: date, begins: str, ends: str) -> None:
    request = MeasurementsRequest.from_query({"from": day.isoformat(), "to": day.isoformat(), "tz": tz})

    assert bounds(gold.database, request) == (datetime.fromisoformat(begins), datetime.fromisoformat(ends))


def test_time_zones_are_those_of_iana(gold: Gold) -> None:
    for name in ("UTC", "Europe/Berlin", "Asia/Kathmandu", "Etc/GMT+5", "America/Argentina/Buenos_Aires"):
        assert bounds(gold.database, MeasurementsRequest(tz=name)) == (None, None)
    for name in ("", "europe/berlin", "CEST", "+01:00", "Mars/Olympus", "UTC+3", "<A>-03:00"):
        with pytest.raises(InvalidRequestError) as raised:
            bounds(gold.database, MeasurementsRequest.model_construct(tz=name))
        assert raised.value.violations == [FieldError("tz", "request.time_zone", ZONE_EXPECTED)]


@pytest.mark.parametrize("bound", ["MAX_PARTS", "MAX_EVENTS"])
@pytest.mark.parametrize("is_of_arrivals", [True, False])
def test_too_much_is_refused_before_it_is_computed(
    tables: SilverInPostgres, gold: Gold, monkeypatch: pytest.MonkeyPatch, bound: str, is_of_arrivals: bool
) -> None:
    # GIVEN four sources, measured at noon and arrived weeks later, and a bound of three
    monkeypatch.setattr(buckets, bound, 3)
    later = NOON + timedelta(days=40)
    outcomes = [measurement(NOON, source=f"source {number}") for number in range(4)]
    tables.silver().write_outcomes([arrived(later, *outcomes)])
    refresh(tables)
    start = later if is_of_arrivals else NOON

    # Only what is computed from silver is bounded by its events.
    refusing = {Granularity.SECOND, Granularity.MINUTE, *(Granularity if bound == "MAX_PARTS" else ())}
    for granularity in Granularity:
        window = Window(granularity, start, start + timedelta(minutes=1))
        if granularity in refusing:
            with too_much():
                gold.kpis(window, limit=1)
        else:
            assert len(gold.kpis(window, limit=9)) == 4
        # Quality is of arrivals alone.
        if granularity in refusing and is_of_arrivals:
            with too_much():
                gold.quality(window, limit=1)
        else:
            assert len(gold.quality(window, limit=9)) == (4 if is_of_arrivals else 0)
        assert len(gold.kpis(replace(window, source="source 1"), limit=9)) == 1


# ---- gaps ------------------------------------------------------------------------------------------------------------


def beating(seconds: Sequence[float], source: str = "") -> tuple[Measurement, ...]:
    return tuple(measurement(NOON + timedelta(seconds=second), source=source) for second in seconds)


@pytest.mark.parametrize("is_fresh", [True, False])
def test_missing_events_are_gaps_by_what_is_usual(tables: SilverInPostgres, gold: Gold, is_fresh: bool) -> None:
    # GIVEN a source that measures each minute, and missed one, ten at a quarter's end, and an hour
    missed = {5, *range(40, 50), *range(70, 131)}
    minutes = [minute for minute in range(240) if minute not in missed]
    hourly_source = beating([hour * 3600 for hour in (0, 1, 2, 5)], "slow")
    tables.silver().write_outcomes(
        [ValidatedObject(raw_ids(1)[0], (*beating([60 * m for m in minutes], "fast"), *hourly_source))]
    )
    if is_fresh:
        refresh(tables)

    def gaps(source: str, expected: float | None = None) -> list[tuple[int, float | None, float | None]]:
        window = Window(Granularity.HOUR, NOON, NOON + 6 * HOUR, source)
        kpis = gold.kpis(window, expected_seconds=expected, limit=9)
        return [(kpi["gaps"]["count"], kpi["gaps"]["longest_seconds"], kpi["gaps"]["expected_seconds"]) for kpi in kpis]

    assert gaps("fast") == [(2, 660, 60), (0, 60, 60), (1, 62 * 60, 60), (0, 60, 60)]
    assert gaps("slow") == [(0, None, 3600), (0, 3600, 3600), (0, 3600, 3600), (1, 3 * 3600, 3600)]
    assert gaps("fast", 600) == [(0, 660, 600), (0, 60, 600), (1, 62 * 60, 600), (0, 60, 600)]
    assert [count for count, _, _ in gaps("fast", 10)] == [48, 10, 49, 60]


@pytest.mark.parametrize("interval", [0.04, 1.0, 45.0, 60.0, 64.0, 600.0, 1000.0, 7200.0])
def test_one_event_that_is_missing_is_a_gap_whatever_the_interval(
    tables: SilverInPostgres, gold: Gold, interval: float
) -> None:
    beats = [number * interval for number in range(40) if number != 20]
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], beating(beats))])
    window = Window(Granularity.DAY, NOON, NOON + timedelta(seconds=41 * interval))

    for expected in (None, interval):
        kpis = gold.kpis(window, expected_seconds=expected, limit=99)
        assert sum(kpi["gaps"]["count"] for kpi in kpis) == 1
        assert all(abs((kpi["gaps"]["expected_seconds"] or 0) / interval - 1) < 1e-6 for kpi in kpis)
        assert all(1.5 <= (kpi["gaps"]["longer_than_seconds"] or 0) / interval < 1.8 for kpi in kpis)


def test_the_pause_before_the_range_counts(tables: SilverInPostgres, gold: Gold) -> None:
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], beating([0, 86_400 * 3, 86_400 * 3 + 60]))])
    later = NOON + 3 * DAY

    for _ in range(2):
        (kpi,) = hourly(gold, later, later + HOUR)
        assert kpi["gaps"]["longest_seconds"] == 86_400 * 3
        (first, second) = gold.kpis(Window(Granularity.MINUTE, later, later + HOUR), limit=9)
        assert (first["gaps"]["longest_seconds"], second["gaps"]["longest_seconds"]) == (86_400 * 3, 60)
        refresh(tables)


@pytest.mark.parametrize("minutes", [3, 17, 14 * 60])
def test_the_event_before_is_found_behind_those_of_others(tables: SilverInPostgres, gold: Gold, minutes: int) -> None:
    """In the same bucket, in the one before, and many buckets back: fresh ones, stale ones, empty ones."""
    # GIVEN an event, others' events after it, some of its own that go again, and later ones in the same quarter
    at = NOON + timedelta(minutes=7)
    own = [at - timedelta(minutes=minutes), at, at + timedelta(minutes=1)]
    others = [at - timedelta(minutes=back) for back in range(1, minutes, 11)]
    gone = raw_ids(1)[0]
    tables.silver().write_outcomes(
        [
            ValidatedObject(raw_ids(1)[0], tuple(measurement(instant, source="own") for instant in own)),
            ValidatedObject(raw_ids(1)[0], tuple(measurement(instant, source="another") for instant in others)),
            ValidatedObject(gone, (measurement(at - timedelta(minutes=1), source="own"),)),
        ]
    )
    refresh(tables)
    PostgresOutcomeStore(tables.open()).replace([ValidatedObject(gone, (rejected(Code.DATA_EMPTY),))])

    # WHEN it is asked what was measured from then on THEN the pause is that of the source
    for _ in range(2):
        first, second = gold.kpis(Window(Granularity.MINUTE, at, at + HOUR, "own"), limit=9)
        assert (first["gaps"]["longest_seconds"], second["gaps"]["longest_seconds"]) == (minutes * 60, 60)
        refresh(tables)


# ---- arrivals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_fresh", [True, False])
def test_quality_is_by_arrival(tables: SilverInPostgres, gold: Gold, is_fresh: bool) -> None:
    # GIVEN a hundred objects that took 1 to 100 ms, and what was rejected, in an hour of last year
    at = datetime(2025, 7, 1, 10, 59, tzinfo=UTC)
    outcomes = [measurement(NOON + second * HOUR) for second in range(50)]
    outcomes[:20] = [flagged(outcome, Code.VALUE_SENTINEL, Code.VALUE_SENTINEL) for outcome in outcomes[:20]]
    outcomes[:5] = [flagged(outcome, Code.VALUE_SENTINEL, Code.UNIT_INVALID) for outcome in outcomes[:5]]
    good = [arrived(at + timedelta(seconds=second), outcome) for second, outcome in enumerate(outcomes)]
    bad = [
        arrived(at - timedelta(seconds=second), rejected(Code.DATA_EMPTY, Code.DATA_EMPTY, Code.UNIT_INVALID))
        for second in range(1, 51)
    ]
    tables.silver().write_outcomes([*good, *bad])
    for number, entry in enumerate([*good, *bad], 1):
        tables.query(
            "UPDATE receipts SET settled_at = uuid_extract_timestamp(raw_id) + :latency WHERE raw_id = :raw_id",
            latency=timedelta(milliseconds=number),
            raw_id=entry.raw_id,
        )
    if is_fresh:
        refresh(tables)

    (quality,) = gold.quality(Window(Granularity.HOUR, at, at + timedelta(minutes=1)), limit=9)

    assert quality["start"] == at.replace(minute=0)
    assert (quality["received"], quality["processed"], quality["rejected"]) == (100, 50, 50)
    assert quality["rejected_share"] == 0.5
    assert quality["rejected_by_rule"] == {"data.empty": 50, "unit.invalid": 50}
    assert (quality["flagged"], quality["flagged_by_rule"]) == (20, {"value.sentinel": 20, "unit.invalid": 5})
    latency = quality["latency_ms"]
    assert latency["mean"] == pytest.approx(50.5, abs=0.01)
    assert latency["p50"] == pytest.approx(50, rel=0.1)
    assert latency["p95"] == pytest.approx(95, rel=0.1)
    assert latency["max"] == pytest.approx(100, abs=0.01)
    minutes = gold.quality(Window(Granularity.MINUTE, at - timedelta(minutes=1), at + timedelta(minutes=1)), limit=9)
    assert [(entry["processed"], entry["rejected"], entry["flagged"]) for entry in minutes] == [(0, 50, 0), (50, 0, 20)]
    assert [entry["flagged_by_rule"] for entry in minutes] == [{}, {"value.sentinel": 20, "unit.invalid": 5}]
    per_hour = "SELECT received, processed, rejected, flagged FROM gold.quality_hourly WHERE bucket_start >= :at"
    assert tables.query(per_hour, at=at - HOUR) == [[100, 50, 50, 20]]
    by_rule = "SELECT code, rejected, flagged FROM gold.rules_daily WHERE bucket_start >= :at ORDER BY code, rejected"
    assert tables.query(by_rule, at=at - DAY) == [
        ["data.empty", 50, 0],
        ["unit.invalid", 0, 5],
        ["unit.invalid", 50, 0],
        ["value.sentinel", 0, 20],
    ]
    assert gold.quality(Window(Granularity.DAY, at + DAY, at + 2 * DAY), limit=9) == []


@pytest.mark.parametrize("is_fresh", [True, False])
def test_rules_by_how_often_they_are_broken(tables: SilverInPostgres, gold: Gold, is_fresh: bool) -> None:
    # GIVEN rules with one code in two contracts, in two versions of one, and as error and warning of one contract
    def broke(*rules: str) -> tuple[Violation, ...]:
        return tuple(Violation(Code.VALUE_SENTINEL, "data", "marks a missing value", rule=rule) for rule in rules)

    at = datetime(2025, 7, 1, 10, tzinfo=UTC)
    outcomes: list[Outcome] = [
        Rejection(broke("none"), "a", "halls@1"),
        Rejection(broke("none"), "a", "halls@2"),
        Rejection(broke("none", "odd"), "b", "halls@2"),
        Rejection(broke("none"), "b", "yards@1"),
        measurement(NOON)._replace(flags=broke("odd"), contract="yards@1"),
        measurement(NOON + HOUR)._replace(contract="yards@1"),
        rejected(Code.DATA_EMPTY, Code.DATA_EMPTY)._replace(contract="halls@1"),
    ]
    tables.silver().write_outcomes([arrived(at + timedelta(minutes=20 * n), one) for n, one in enumerate(outcomes)])
    if is_fresh:
        refresh(tables)
    window = Window(Granularity.DAY, at, at + HOUR).parameters(None, 9)

    (day,) = read_quality(gold.database, QualityRequest.model_construct(**window, together=True), reads=None)

    def count(rule: RuleCount) -> tuple[str, str | None, str | None, str, int]:
        return rule["code"], rule["contract"], rule["rule"], rule["severity"], rule["events"]

    assert [count(rule) for rule in day["rules"]] == [
        ("value.sentinel", "halls", "none", "error", 3),
        ("data.empty", None, None, "error", 1),
        ("value.sentinel", "halls", "odd", "error", 1),
        ("value.sentinel", "yards", "none", "error", 1),
        ("value.sentinel", "yards", "odd", "warning", 1),
    ]
    # AND an event that breaks two rules of a code counts once for the code
    assert day["rejected_by_rule"] == {"data.empty": 1, "value.sentinel": 4}
    assert day["flagged_by_rule"] == {"value.sentinel": 1}
    by_rule = (
        "SELECT contract, rule, sum(rejected), sum(flagged) FROM gold.rules_daily WHERE bucket_start >= :at"
        " AND code = 'value.sentinel' GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert tables.query(by_rule, at=at - DAY) == [
        ["halls", "none", 3, 0],
        ["halls", "odd", 1, 0],
        ["yards", "none", 1, 0],
        ["yards", "odd", 0, 1],
    ]


@pytest.mark.parametrize("is_fresh", [True, False])
def test_quality_of_all_sources_together(tables: SilverInPostgres, gold: Gold, is_fresh: bool) -> None:
    at = datetime(2025, 7, 1, 10, tzinfo=UTC)
    entries = [
        arrived(at, measurement(NOON, source="a"), rejected(Code.DATA_EMPTY, source="a")),
        arrived(at + timedelta(minutes=1), measurement(NOON, source="b"), rejected(Code.DATA_EMPTY, Code.UNIT_INVALID)),
        arrived(at + 2 * HOUR, measurement(NOON, source="c")),
    ]
    tables.silver().write_outcomes(entries)
    tables.query("UPDATE receipts SET settled_at = uuid_extract_timestamp(raw_id) + interval '8 ms'")
    if is_fresh:
        refresh(tables)
    window = Window(Granularity.HOUR, at, at + 3 * HOUR).parameters(None, 1)

    first, second = read_quality(gold.database, QualityRequest.model_construct(**window, together=True), reads=None)

    def counts(bucket: QualityBucket) -> tuple[int, int, int, int, int]:
        return bucket["received"], bucket["processed"], bucket["rejected"], bucket["resolved"], bucket["open"]

    assert (first["start"], first["source"], counts(first)) == (at, "", (4, 2, 2, 0, 2))
    assert first["rejected_by_rule"] == {"data.empty": 2, "unit.invalid": 1}
    about = pytest.approx(8, rel=0.1)
    assert first["latency_ms"] == {"mean": 8.0, "p50": about, "p95": about, "max": 8.0}
    assert (second["start"], counts(second)) == (at + 2 * HOUR, (1, 1, 0, 0, 0))


# ---- rights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["dropzone_reader", "dropzone_writer"])
@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM gold.measured",
        "INSERT INTO gold.measured_stale (bucket_start, events) VALUES (now(), 1)",
        "UPDATE gold.arrived SET rejected = 0",
        "CREATE TABLE gold.own (id integer)",
        "DROP VIEW gold.kpis_hourly",
        "ALTER TABLE measurements DISABLE TRIGGER ALL",
    ],
)
def test_nobody_but_the_owner_writes_gold(tables: SilverInPostgres, role: str, sql: str) -> None:
    with tables.server.connect() as connection:
        connection.run(f"SET ROLE {role}")
        with pytest.raises(DatabaseError) as raised:
            connection.run(sql)
    assert raised.value.args[0]["C"] == "42501"


def test_the_reader_cannot_refresh_gold(tables: SilverInPostgres) -> None:
    with tables.server.connect() as connection:
        connection.run("SET ROLE dropzone_reader")
        with pytest.raises(DatabaseError) as raised:
            connection.run("SELECT gold.refresh()")
    assert raised.value.args[0]["C"] == "42501"
