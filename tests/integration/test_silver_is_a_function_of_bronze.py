"""Any order, duplication, batching, crash and replay of the same objects gives the same rows."""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropzone.domain.outcomes import Code
from dropzone.ports import (
    Bronze,
    BronzeUnavailableError,
    RawObject,
    Silver,
    SilverConflictError,
    SilverUnavailableError,
)
from dropzone.use_cases.process import process
from dropzone.use_cases.sweep import sweep
from support.examples import examples
from support.factories import EXAMPLE_INSTANT, message, payload, raw_ids
from support.fakes import HookedBronze, HookedSilver, InMemoryBronze, InMemorySilver, ReaderDiedError
from support.postgres import SilverInPostgres
from support.rows import Tables

# ---- events, each with what is to be expected of it ------------------------------------------------------------------

# A few instants, each in several forms, so that events meet.
INSTANTS = {
    EXAMPLE_INSTANT: ["2019-05-01T06:00:00-04:00", "2019-05-01T10:00:00Z", "2019-05-01 12:00+02"],
    EXAMPLE_INSTANT + timedelta(microseconds=1): ["2019-05-01T10:00:00.000001Z", "2019-05-01t10:00:00,0000019z"],
    datetime(1, 1, 1, tzinfo=UTC): ["0001-01-01T00:00:00Z", "0001-01-01T14:00:00+1400"],
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC): ["9999-12-31T23:59:59Z", "9999-12-31T18:59:59-05:00"],
}

# Data with figures worked out by hand: mean, deviation, count, minimum, maximum.
DATA: dict[tuple[float, ...], tuple[float, float, int, float, float]] = {
    (0, 2): (1.0, 1.0, 2, 0.0, 2.0),
    (5,): (5.0, 0.0, 1, 5.0, 5.0),
    (2, 4, 4, 4, 5, 5, 7, 9): (5.0, 2.0, 8, 2.0, 9.0),
    (1e308, 1e308): (1e308, 0.0, 2, 1e308, 1e308),
    (-0.5, 0.5): (0.0, 0.5, 2, -0.5, 0.5),
}

BAD: dict[bytes, tuple[Code, ...]] = {
    payload("2019-05-01T06:00:00"): (Code.TIME_STAMP_NO_TIMEZONE,),
    payload(data=[0, "2"]): (Code.DATA_NOT_NUMERIC,),
    payload("yesterday", []): (Code.TIME_STAMP_NOT_ISO8601, Code.DATA_EMPTY),
    b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [1e400]}': (Code.DATA_NOT_FINITE,),
    b"not json": (Code.NOT_JSON,),
    b"[]": (Code.EMPTY_BATCH,),
    b"5": (Code.NOT_OBJECT,),
}


class Event(NamedTuple):
    """A body, and what silver has to make of it."""

    body: bytes
    instant: datetime | None = None
    figures: tuple[float, float, int, float, float] | None = None
    codes: tuple[Code, ...] = ()


@st.composite
def good_events(draw: st.DrawFn) -> Event:
    instant = draw(st.sampled_from(list(INSTANTS)))
    data = draw(st.sampled_from(list(DATA)))
    return Event(payload(draw(st.sampled_from(INSTANTS[instant])), data), instant, DATA[data])


def bad_events() -> st.SearchStrategy[Event]:
    return st.sampled_from([Event(body, codes=codes) for body, codes in BAD.items()])


# ---- what happens to them --------------------------------------------------------------------------------------------

FAULTS: list[tuple[str, BaseException]] = [
    ("before", SilverUnavailableError("57P01")),
    ("before", SilverConflictError("40P01")),
    ("before", ReaderDiedError()),
    ("after", SilverUnavailableError("the answer was lost")),
    ("after", SilverConflictError("reported although it was done")),
    ("after", ReaderDiedError()),
]


class Step(NamedTuple):
    """A batch of messages, or a sweep, in which something may go wrong."""

    deliveries: list[tuple[int, int]]
    """Objects, by their number, with the receive count of their message; none for a sweep."""
    limit: int
    fault: tuple[str, BaseException] | None
    at_call: int
    throttled: int


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Event], list[Step]]:
    events = draw(st.lists(good_events() | bad_events(), min_size=1, max_size=12))
    numbers = st.integers(0, len(events) - 1)
    step = st.builds(
        Step,
        deliveries=st.lists(st.tuples(numbers, st.sampled_from([1, 1, 2, 3, 4])), max_size=8),
        limit=st.integers(1, 6),
        fault=st.none() | st.sampled_from(FAULTS),
        at_call=st.integers(0, 6),
        throttled=numbers,
    )
    return events, draw(st.lists(step, max_size=8))


@dataclass
class Trouble:
    """One fault, at one of the calls of a step."""

    step: Step
    calls: int = field(default=0)

    def before(self, _method: str, _raw_ids: Collection[UUID]) -> None:
        self._strike("before")
        self.calls += 1

    def after(self, _method: str, _raw_ids: Collection[UUID]) -> None:
        self.calls -= 1
        self._strike("after")
        self.calls += 1

    def _strike(self, when: str) -> None:
        if self.step.fault is not None and self.step.fault[0] == when and self.calls == self.step.at_call:
            self.calls += 1
            raise self.step.fault[1]


def live_through(
    events: list[Event], steps: list[Step], silver: Silver, pass_time: Callable[[timedelta], None]
) -> dict[UUID, Event]:
    """Let the events arrive, be delivered as the steps say, and then, without trouble, until all is completed."""
    bronze = InMemoryBronze(page_size=3)
    arrived = dict(zip(raw_ids(len(events), age=timedelta(hours=1)), events, strict=True))
    for raw_id, event in arrived.items():
        bronze.put(RawObject(raw_id, event.body, content_type="application/json", correlation_id=""))
    order = list(arrived)
    for step in steps:
        trouble = Trouble(step)
        shaken = HookedBronze(bronze, unreadable={order[step.throttled]: BronzeUnavailableError("SlowDown")})
        with suppress(SilverUnavailableError, ReaderDiedError):
            _take(step, order, shaken, HookedSilver(silver, trouble.before, trouble.after))
        pass_time(timedelta(hours=1))
    process([message(raw_id) for raw_id in reversed(order)], bronze=bronze, silver=silver, time_left=lambda: 60.0)
    return arrived


def _take(step: Step, order: list[UUID], bronze: Bronze, silver: Silver) -> None:
    if step.deliveries:
        batch = [message(order[number], receive_count=receives) for number, receives in step.deliveries]
        process(batch, bronze=bronze, silver=silver, time_left=lambda: 60.0)
    else:
        sweep(
            bronze=bronze,
            silver=silver,
            limit=step.limit,
            min_age=timedelta(0),
            after=None,
            retry_exhausted=False,
            time_left=lambda: 60.0,
        )


def check(arrived: dict[UUID, Event], tables: Tables) -> None:
    """Compare silver with what the events alone say, worked out without any of the code under test."""
    # Accepted and rejected make the input.
    outcomes = tables.outcome_rows()
    assert {raw_id for raw_id, _ in outcomes} == set(arrived)
    assert len(outcomes) == len(arrived)
    for (raw_id, item), row in outcomes.items():
        event = arrived[raw_id]
        assert item == 0
        assert tuple(violation.code for violation in row.violations) == event.codes
        assert (row.measurement is None) == (event.figures is None)
        assert row.measurement is None or (row.measurement.measured_at, row.measurement.aggregates) == (
            event.instant,
            event.figures,
        )
    assert all(receipt.complete and receipt.items == 1 for receipt in tables.receipt_rows().values())
    assert set(tables.receipt_rows()) == set(arrived)

    # Of each instant the last arrival is the measurement.
    expected = {event.instant: (raw_id, event.figures) for raw_id, event in sorted(arrived.items()) if event.figures}
    assert {
        instant: (row.raw_id, tuple(row.measurement.aggregates))
        for (instant, source), row in tables.measurement_rows().items()
        if source == ""
    } == expected


@settings(max_examples=examples(120))
@given(histories())
def test_in_memory_silver_is_a_function_of_bronze(history: tuple[list[Event], list[Step]]) -> None:
    silver = InMemorySilver()
    check(live_through(*history, silver, silver.pass_time), silver)


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories())
def test_silver_in_postgres_is_a_function_of_bronze(
    tables: SilverInPostgres, history: tuple[list[Event], list[Step]]
) -> None:
    tables.clear()
    silver = tables.silver(reuse=True)
    check(live_through(*history, silver, tables.pass_time), tables)
