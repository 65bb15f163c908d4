"""`GET /sources` equals what current silver gives, whatever gold has kept, and whatever clocks say."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from statistics import median_low
from uuid import UUID

import pytest

from dropzone.api.gateway import milliseconds
from dropzone.domain.identifiers import new_raw_id, received_at
from dropzone.domain.outcomes import Code, Measurement, Outcome, Rejection, ValidatedObject, Violation
from dropzone.queries.sources import LISTING, SourcesRequest, SourceState, SourceSummary, read_sources
from dropzone_local.polling import wait_until
from support.factories import measurement
from support.postgres import SilverInPostgres

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
REJECTED = Rejection((Violation(Code.DATA_EMPTY, "data", "is empty"),), "a")

Read = Callable[..., list[SourceSummary]]
Refresh = Callable[[], None]


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def read(tables: SilverInPostgres) -> Read:
    for table in ("measured", "arrived", "measured_stale", "arrived_stale", "source", "expectation"):
        tables.query(f"DELETE FROM gold.{table}")  # noqa: S608 - our own names
    tables.silver()  # the first connection, which `store` reuses
    database = tables.open(database_user="dropzone_reader")
    return lambda **asked: read_sources(database, SourcesRequest(**asked), reads=None)


@pytest.fixture(params=[False, True], ids=["stale", "kept"])
def refreshed(tables: SilverInPostgres, request: pytest.FixtureRequest) -> Refresh:
    """What happens after events were stored: nothing yet, or a refresh."""
    return (lambda: refresh(tables)) if request.param else lambda: None


def refresh(tables: SilverInPostgres) -> None:
    tables.query("SELECT gold.refresh(1000000, interval '0')")


def store(tables: SilverInPostgres, *outcomes: Outcome, at: datetime | None = None) -> UUID:
    """Store an object that arrived at an instant: now, where none is given."""
    arrived = at or datetime.now(UTC)
    raw_id = new_raw_id(int(arrived.timestamp() * 1000) * 1_000_000)
    tables.silver(reuse=True).write_outcomes([ValidatedObject(raw_id, outcomes)])
    return raw_id


def every(interval: timedelta, last: datetime, source: str, count: int = 5) -> list[Measurement]:
    return [measurement(last - number * interval, 1.0, source=source) for number in range(count)]


def states(found: list[SourceSummary]) -> dict[str, str]:
    return {each["source"]: each["state"] for each in found}


def test_a_source_with_all_that_is_known_of_it(
    tables: SilverInPostgres, read: Read, refreshed: Refresh, now: datetime
) -> None:
    store(tables, *every(MINUTE, now - HOUR, "a", 3), REJECTED, at=now - HOUR)
    store(tables, *every(MINUTE, now - MINUTE, "a", 5))
    last = store(tables, REJECTED)
    store(tables, REJECTED._replace(source=""), at=now - 3 * DAY)
    refreshed()

    nameless, source = read()

    assert source == {
        "source": "a",
        "state": "ok",
        "first_measured_at": now - HOUR - 2 * MINUTE,
        "last_measured_at": now - MINUTE,
        "last_mean": 1.0,
        "unit": "",
        "last_received_at": milliseconds(received_at(last)),
        "usual_interval_seconds": 60.0,
        "expected_interval_seconds": 60.0,
        "usual_latency_seconds": pytest.approx(120.0, abs=5.0),
        "contract": None,
        "broken_expectations": [],
        "stuck_since": None,
        "last_day": {"received": 10, "rejected": 2, "resolved": 0, "open": 2, "rejected_share": 0.2, "open_share": 0.2},
        "trend": None,
    }
    assert nameless["last_mean"] is None
    assert nameless["unit"] is None
    assert (nameless["source"], nameless["state"], nameless["first_measured_at"], nameless["last_measured_at"]) == (
        "",
        SourceState.UNNAMED,
        None,
        None,
    )
    assert nameless["last_day"] == {
        **dict.fromkeys(("received", "rejected", "resolved", "open"), 0),
        "rejected_share": None,
        "open_share": None,
    }


def test_the_trend_is_the_means_of_the_last_24_hours(
    tables: SilverInPostgres, read: Read, refreshed: Refresh, now: datetime
) -> None:
    hour = now.replace(minute=0, second=0, microsecond=0)
    measured = {24: 9.0, 23: 1.0, 2: 2.0, 0: 4.0}
    for ago, mean in measured.items():
        store(tables, measurement(hour - ago * HOUR, mean, source="a"))
    store(tables, measurement(hour - 2 * HOUR + MINUTE, 4.0, source="a"), measurement(hour - 2 * DAY, 1.0, source="b"))
    store(tables, measurement(now + HOUR, 7.0, source="a"))
    refreshed()

    trends = {source["source"]: source["trend"] for source in read(trend=True)}

    assert trends == {"a": [1.0, *[None] * 20, 3.0, None, 4.0], "b": [None] * 24}


def test_late_is_one_event_silent_are_two(
    tables: SilverInPostgres, read: Read, refreshed: Refresh, now: datetime
) -> None:
    for interval, name in ((MINUTE, "minutely"), (HOUR, "hourly"), (DAY, "daily"), (MINUTE / 60, "each second")):
        usual = max(interval, MINUTE)
        for quiet, state in ((1.4, "ok"), (1.6, "late"), (2.4, "late"), (2.6, "silent")):
            store(tables, *every(interval, now - quiet * usual, f"{name} {quiet} {state}"))
    store(tables, measurement(now - DAY, 1.0, source="once ok"), measurement(now - 3 * DAY, 1.0, source="once silent"))
    # What could not be read has no source that could be late; what was rejected for its data has.
    bad = Violation(Code.DATA_EMPTY, "data", "is empty")
    store(tables, Rejection((bad,)), Rejection((bad,), "rejected silent"))
    refreshed()

    found = states(read())

    assert found == {"": "unnamed", **{name: name.rpartition(" ")[2] for name in found if name}}
    assert len(found) == 20
    for state in SourceState:
        assert states(read(state=state)) == {name: each for name, each in found.items() if each == state}


def test_a_clock_that_is_ahead_neither_hides_silence_nor_is_the_latest(
    tables: SilverInPostgres, read: Read, refreshed: Refresh, now: datetime
) -> None:
    # GIVEN a device whose clock was once in 2106; and two an hour ahead, one of which has stopped
    far = datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)
    store(tables, *every(HOUR, now - 3 * HOUR, "once"), measurement(far, 1.0, source="once"))
    for minute in range(-90, 0):
        sources = ["alive", "stopped"] if minute < -30 else ["alive"]
        at = now + minute * MINUTE
        store(tables, *(measurement(at + HOUR, 1.0, source=source) for source in sources), at=at)
    store(tables, *(measurement(far, 1.0, source=source) for source in ("only", "")))
    refreshed()

    found = {each["source"]: each for each in read()}

    assert {name: each["state"] for name, each in found.items()} == {
        "once": "silent",
        "alive": "ok",
        "stopped": "silent",
        "only": "silent",
        # It has measured, if without a name.
        "": "silent",
    }
    assert found["once"]["last_measured_at"] == now - 3 * HOUR
    assert found["once"]["usual_interval_seconds"] == 3600
    assert found["only"]["first_measured_at"] is found["only"]["last_measured_at"] is None
    assert found["alive"]["last_measured_at"] is not None
    assert now <= found["alive"]["last_measured_at"] <= datetime.now(UTC)


@pytest.mark.parametrize(("minutes", "usual"), [(21, MINUTE), (20, MINUTE), (8, 7 * DAY)])
def test_the_last_twenty_pauses_are_of_as_many_months_as_it_takes(
    tables: SilverInPostgres, read: Read, refreshed: Refresh, now: datetime, minutes: int, usual: timedelta
) -> None:
    # GIVEN a source that measured weekly, for half a year, and then by the minute
    weekly = every(7 * DAY, now - 7 * DAY, "a", 26)
    store(tables, *weekly, *every(MINUTE, now, "a", minutes))
    refreshed()

    # THEN its usual pause is the median of twenty
    [source] = read()
    assert source["usual_interval_seconds"] == pytest.approx(usual.total_seconds())
    assert source["last_measured_at"] == now


def test_what_was_ahead_counts_once_it_is_now(
    tables: SilverInPostgres, read: Read, refreshed: Refresh, now: datetime
) -> None:
    store(tables, measurement(now - MINUTE, 1.0, source="a"), measurement(now + timedelta(seconds=1), 1.0, source="a"))
    refreshed()

    assert wait_until(lambda: read()[0]["last_measured_at"] == now + timedelta(seconds=1) or None, seconds=60)


@pytest.mark.parametrize("removed", ["last", "only in its quarter", "all"])
def test_what_a_replay_removes_is_gone(
    tables: SilverInPostgres, read: Read, refreshed: Refresh, now: datetime, removed: str
) -> None:
    # GIVEN events of two hours, which gold has kept
    times = [now - 2 * HOUR, now - 2 * HOUR + 5 * MINUTE, now - HOUR, now - HOUR + MINUTE]
    store(tables, *(measurement(at, 1.0, source="a") for at in times), REJECTED)
    refresh(tables)
    assert read()[0]["last_measured_at"] == times[-1]

    # WHEN some are removed
    left = {"last": times[:3], "only in its quarter": times[:2], "all": []}[removed]
    tables.query("DELETE FROM measurements WHERE measured_at > :last", last=left[-1] if left else times[0] - DAY)
    refreshed()

    # THEN what is left is reported, before the next refresh and after it
    (source,) = read()
    assert source["last_measured_at"] == (left[-1] if left else None)
    assert source["first_measured_at"] == (left[0] if left else None)
    assert (source["state"] == SourceState.SILENT) == (removed == "all" or source["usual_interval_seconds"] == 300)


def test_late_and_overwritten_events(tables: SilverInPostgres, read: Read, refreshed: Refresh, now: datetime) -> None:
    store(tables, *every(MINUTE, now - HOUR, "a"))
    refresh(tables)
    store(tables, measurement(now - 3 * DAY, 2.0, source="a"), measurement(now - HOUR, 3.0, source="a"))
    refreshed()

    (source,) = read()

    assert (source["first_measured_at"], source["last_measured_at"]) == (now - 3 * DAY, now - HOUR)
    assert source["last_day"]["received"] == 7


def test_pages_hold_every_source_once_in_order(tables: SilverInPostgres, read: Read, now: datetime) -> None:
    random = Random(4)  # noqa: S311 - no secret
    names = [f"{random.choice(['hall', 'HALL', 'ü', '%', ''])}{number}" for number in range(40)] + [""]
    for number, name in enumerate(names):
        store(tables, *every(MINUTE, now - number * MINUTE, name, 2))
        if number == 20:
            refresh(tables)
    whole = [each["source"] for each in read(limit=1000)]
    assert sorted(whole) == sorted(names)

    for asked in ({}, {"prefix": "hall"}, {"state": SourceState.SILENT}, {"prefix": "%", "state": SourceState.SILENT}):
        expected = [each["source"] for each in read(limit=1000, **asked)]
        assert [name for name in whole if name in expected] == expected
        if prefix := asked.get("prefix"):
            assert set(expected) <= {name for name in names if name.startswith(str(prefix))}
        paged, cursor = [], None
        while True:
            page = read(limit=3, cursor=cursor, **asked)
            paged += [each["source"] for each in page[:3]]
            if len(page) <= 3:
                break
            cursor = LISTING.cursor(page[2])
        assert paged == expected


def test_any_history_is_answered_from_silver(tables: SilverInPostgres, read: Read, now: datetime) -> None:
    random = Random(5)  # noqa: S311 - no secret
    for _ in range(60):
        act = random.random()
        if act < 0.2:
            refresh(tables)
        elif act < 0.35:
            tables.query(
                "DELETE FROM measurements WHERE source = :source AND measured_at > :since",
                source=random.choice("abc"),
                since=now - random.random() * 5 * HOUR,
            )
        else:
            places = {(now - random.randint(-60, 300) * MINUTE, random.choice("abc")) for _ in range(3)}
            store(tables, *(measurement(at, 1.0, source=source) for at, source in places), REJECTED)
        for source in read():
            stored = [at for at, name in tables.measurement_rows() if name == source["source"] and at <= now]
            assert source["last_measured_at"] == max(stored, default=None)
            assert source["first_measured_at"] == min(stored, default=None)
    refresh(tables)
    for source in read():
        stored = sorted(at for at, name in tables.measurement_rows() if name == source["source"] and at <= now)
        pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(stored[-21:])]
        assert source["usual_interval_seconds"] == (median_low(pauses) if pauses else None)
        assert source["expected_interval_seconds"] == (max(median_low(pauses), 60) if pauses else 86_400)
    rows = tables.query(
        "SELECT coalesce(source, ''), count(*), count(*) FILTER (WHERE outcome = 'rejected'),"
        " max(uuid_extract_timestamp(raw_id)) FROM outcomes GROUP BY 1 ORDER BY 1"
    )
    assert [
        [
            each["source"],
            each["last_day"]["received"],
            each["last_day"]["rejected"],
            datetime.fromisoformat(each["last_received_at"] or ""),
        ]
        for each in read()
    ] == rows
