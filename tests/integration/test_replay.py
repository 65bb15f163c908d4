"""Replays, on the real tables: silver then is what it would be, had these rules always been."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched, count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dropzone.use_cases.objects
import dropzone.use_cases.replay
from dropzone.adapters.postgres_outcome_store import PostgresOutcomeStore
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.body import JSON
from dropzone.domain.contracts import BASIC, Contracts
from dropzone.domain.identifiers import Cursor, earliest_raw_id
from dropzone.domain.outcomes import RULESET, Change, Code, Measurement, Outcome, Rejection, ValidatedObject
from dropzone.domain.validate import Contents, validate
from dropzone.ports import BronzeUnavailableError, RawObject
from dropzone.use_cases.process import process
from dropzone.use_cases.replay import Arrived, Named, RejectedBy, ReplayResult, Selection, replay
from support.examples import examples
from support.factories import (
    EXAMPLE,
    EXAMPLE_INSTANT,
    NOT_NUMERIC,
    WITHOUT_OFFSET,
    measurement,
    message,
    payload,
    raw_ids,
    rejection,
)
from support.fakes import HookedBronze, InMemoryBronze
from support.postgres import SilverInPostgres
from support.rows import OutcomeRow
from support.world import Clock

LATER = EXAMPLE_INSTANT + timedelta(hours=1)
KEY, LATER_KEY = (EXAMPLE_INSTANT, ""), (LATER, "")
MILLISECOND = timedelta(milliseconds=1)


@dataclass
class Scene:
    """Objects in bronze, today's rules for them, and the real tables."""

    tables: SilverInPostgres
    objects: InMemoryBronze = field(default_factory=lambda: InMemoryBronze(page_size=3))
    rules: dict[bytes, tuple[Outcome, ...]] = field(default_factory=dict)
    """The outcomes of these bytes; the real rules validate all others."""
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.bronze = HookedBronze(self.objects)
        self.silver = self.tables.silver(reuse=True)
        self.outcome_store = PostgresOutcomeStore(self.tables.opened[0])
        self._numbers = count()

    def validate(self, body: bytes) -> tuple[Outcome, ...]:
        return self.rules[body] if body in self.rules else validate(body)

    def put(self, raw_id: UUID, body: bytes) -> UUID:
        self.objects.put(RawObject(raw_id, body, content_type="application/json", correlation_id=""))
        return raw_id

    def arrive(self, *outcomes: Outcome, at: UUID | None = None, completed: bool = True) -> UUID:
        """Let an object arrive that is validated so, after the others, and be completed."""
        number = next(self._numbers)
        raw_id = at or UUID(int=earliest_raw_id(EXAMPLE_INSTANT + number * timedelta(seconds=1)).int + number)
        body = f"object {number}".encode()
        self.rules[body] = outcomes
        self.put(raw_id, body)
        if completed:
            self.write_outcomes(raw_id)
        return raw_id

    def change(self, raw_id: UUID, *outcomes: Outcome) -> None:
        """Let the rules decide so about an object from now on."""
        self.rules[self.objects.objects[raw_id].body] = outcomes

    def write_outcomes(self, *identifiers: UUID) -> None:
        messages = [message(raw_id) for raw_id in identifiers]
        assert not process(messages, bronze=self.bronze, silver=self.silver, time_left=lambda: 60.0).returned

    def replay(
        self,
        selection: Selection | None = None,
        *,
        limit: int = 1_000,
        after: Cursor | None = None,
        dry_run: bool = False,
    ) -> ReplayResult:
        return replay(
            selection or Arrived(),
            bronze=self.bronze,
            outcome_store=self.outcome_store,
            limit=limit,
            after=after,
            dry_run=dry_run,
            time_left=self.clock.time_left,
        )

    def changes(self, selection: Selection | None = None) -> dict[Change, int]:
        """Replay, after a dry run that has to count the same, and to change nothing."""
        before = rows(self.tables, times=True)
        predicted = self.replay(selection, dry_run=True)
        assert rows(self.tables, times=True) == before
        result = self.replay(selection)
        assert predicted == result
        assert result.cursor is None
        return {change: number for change, number in result.changes.items() if number}

    def mean(self, key: tuple[datetime, str] = KEY) -> float:
        return self.tables.measurement_rows()[key].measurement.aggregates.mean

    def reads(self) -> list[UUID]:
        """What was read since the last time that this was asked."""
        read = [raw_id for chunk in self.bronze.reads for raw_id in chunk]
        self.bronze.reads.clear()
        return read


@pytest.fixture
def scene(tables: SilverInPostgres, monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = Scene(tables)
    validate_by(scene.validate, monkeypatch)
    return scene


def validate_by(validate: Callable[[bytes], tuple[Outcome, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    class Validated(Contents):
        def __init__(self, body: bytes, _content_type: str = JSON, **_arrival: object) -> None:
            self.size, self._outcomes = len(body), validate(body)

        def __len__(self) -> int:
            return len(self._outcomes)

        def outcomes(self, first: int = 0, end: int | None = None) -> Iterator[Outcome]:
            return iter(self._outcomes[first:end])

    monkeypatch.setattr(dropzone.use_cases.objects, "Contents", Validated)


def rows(tables: SilverInPostgres, *, times: bool = False) -> dict[str, list[Any]]:
    """Every row, without the times of writing unless they are asked for."""
    written = {"receipts": "settled_at", "outcomes": "processed_at", "measurements": "updated_at"}
    return {
        table: sorted(
            tables.query(f"SELECT CAST(to_jsonb(t) - '{'' if times else column}' AS text) FROM {table} AS t")  # noqa: S608
        )
        for table, column in written.items()
    }


# ---- under the same rules --------------------------------------------------------------------------------------------


def test_replay_under_the_same_rules_changes_nothing(scene: Scene) -> None:
    # GIVEN events of every kind, completed by the real rules
    bodies = [EXAMPLE, NOT_NUMERIC, payload("2019-05-01T10:00:00Z", [7]), b"no json", WITHOUT_OFFSET, payload(data=[])]
    arrived = [scene.put(raw_id, body) for raw_id, body in zip(raw_ids(len(bodies)), bodies, strict=True)]
    scene.write_outcomes(*arrived)
    before, written = rows(scene.tables), rows(scene.tables, times=True)

    # WHEN they are validated again, twice
    for _ in range(2):
        result = scene.replay()
        assert result.changes == Counter({Change.SAME: 6})
        assert (result.checked, result.processed, result.rejected, result.cursor) == (6, 2, 4, None)

    # THEN the rows are the same but for the times of writing
    assert rows(scene.tables) == before
    assert rows(scene.tables, times=True) != written


def test_unprocessed_objects_are_processed(scene: Scene) -> None:
    good, bad = scene.arrive(measurement(), completed=False), scene.arrive(rejection(), completed=False)

    assert scene.changes() == {Change.NEW: 2}

    assert {raw_id: (row.complete, row.items) for raw_id, row in scene.tables.receipt_rows().items()} == {
        good: (True, 1),
        bad: (True, 1),
    }
    assert list(scene.tables.measurement_rows()) == [KEY]
    # And neither the queue nor the sweep does it again.
    before = rows(scene.tables, times=True)
    scene.write_outcomes(good, bad)
    assert rows(scene.tables, times=True) == before


def test_stuck_objects_are_processed_and_keep_their_attempts(scene: Scene) -> None:
    stuck = scene.arrive(measurement(), completed=False)
    for _ in range(5):
        scene.silver.record_attempts([stuck], only_due=False)
    scene.silver.record_errors({stuck: "out of memory"})

    assert scene.changes() == {Change.NEW: 1}

    assert scene.tables.receipt_rows()[stuck] == (True, 1, 5, None)
    assert scene.tables.query("SELECT retry_at FROM receipts") == [[None]]


def test_outcomes_name_the_ruleset_that_validated_them(scene: Scene) -> None:
    validated, left = scene.arrive(measurement()), scene.arrive(measurement(LATER))
    scene.outcome_store.contracts = Contracts([*BASIC], "43")

    scene.replay(Named((validated,)))

    assert dict(scene.tables.query("SELECT raw_id, ruleset FROM outcomes")) == {validated: "43", left: RULESET}


# ---- under rules that decide differently -----------------------------------------------------------------------------


def test_where_an_event_is_now_rejected_the_one_before_it_returns(scene: Scene) -> None:
    # GIVEN four events of one instant, of which the third was rejected
    first = scene.arrive(measurement(mean=1.0))
    second = scene.arrive(measurement(mean=2.0))
    scene.arrive(rejection())
    last = scene.arrive(measurement(mean=4.0))
    scene.change(last, rejection(Code.DATA_EMPTY, None))

    # WHEN the last is rejected, the second takes its place; then the first; then nothing
    assert scene.changes() == {Change.NOW_REJECTED: 1, Change.SAME: 3}
    row = scene.tables.measurement_rows()[KEY]
    assert (row.raw_id, row.item, row.measurement) == (second, 0, measurement(mean=2.0))

    scene.change(second, rejection())
    assert scene.changes(Named((second,))) == {Change.NOW_REJECTED: 1}
    assert scene.tables.measurement_rows()[KEY].raw_id == first

    scene.change(first, rejection())
    assert scene.changes(Named((first,))) == {Change.NOW_REJECTED: 1}
    assert scene.tables.measurement_rows() == {}
    assert scene.tables.outcome_rows()[last, 0] == OutcomeRow(None, rejection(Code.DATA_EMPTY, None).violations)
    ((nothing,),) = scene.tables.query("SELECT bool_and(measured_at IS NULL AND mean IS NULL) FROM outcomes")
    assert nothing


def test_a_changed_instant_derives_both_keys_again(scene: Scene) -> None:
    # GIVEN two events at each of two instants
    scene.arrive(measurement(mean=1.0))
    scene.arrive(measurement(LATER, mean=2.0))
    moving = scene.arrive(measurement(mean=3.0))

    # WHEN the last moves from one to the other
    scene.change(moving, measurement(LATER, mean=3.0))
    assert scene.changes(Named((moving,))) == {Change.OTHER_FIGURES: 1}

    # THEN the one before it returns where it was, and it stays where it is
    assert (scene.mean(KEY), scene.mean(LATER_KEY)) == (1.0, 3.0)

    # AND where it moves to an instant of its own, nothing of it stays behind
    alone = LATER + timedelta(microseconds=1)
    scene.change(moving, measurement(alone, mean=3.0))
    scene.replay(Named((moving,)))
    assert {key: row.measurement.aggregates.mean for key, row in scene.tables.measurement_rows().items()} == {
        KEY: 1.0,
        LATER_KEY: 2.0,
        (alone, ""): 3.0,
    }


def test_a_source_is_part_of_the_key(scene: Scene) -> None:
    other = scene.arrive(measurement(mean=1.0, source="b\"'\\ü"))
    moving = scene.arrive(measurement(mean=2.0))
    scene.change(moving, measurement(mean=2.0, source="a"))

    assert scene.changes(Named((moving,))) == {Change.OTHER_FIGURES: 1}
    assert {source: row.raw_id for (_, source), row in scene.tables.measurement_rows().items()} == {
        "b\"'\\ü": other,
        "a": moving,
    }
    scene.change(other, rejection())
    scene.replay(Named((other,)))
    assert list(scene.tables.measurement_rows()) == [(EXAMPLE_INSTANT, "a")]


@pytest.mark.parametrize(
    "instant",
    [
        datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        datetime(1582, 10, 10, tzinfo=UTC),
        datetime(2019, 2, 3, 4, 5, 6, 123_456, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
)
def test_the_row_of_any_instant_goes_and_returns(scene: Scene, instant: datetime) -> None:
    event = scene.arrive(measurement(instant))
    scene.tables.query("ALTER ROLE dropzone_writer SET DateStyle = 'German'")
    try:
        scene.tables.opened[0].close()
        scene.change(event, rejection())
        scene.replay()
        assert scene.tables.measurement_rows() == {}
        scene.change(event, measurement(instant))
        scene.replay()
    finally:
        scene.tables.query("ALTER ROLE dropzone_writer RESET DateStyle")
        scene.tables.opened[0].close()
    assert list(scene.tables.measurement_rows()) == [(instant, "")]
    assert scene.changes() == {Change.SAME: 1}


def test_an_object_may_have_fewer_events(scene: Scene) -> None:
    # GIVEN an object whose last event is before that of another object
    other = scene.arrive(measurement(LATER, mean=9.0))
    event = scene.arrive(measurement(mean=1.0), measurement(mean=2.0), measurement(LATER, mean=3.0))
    assert (scene.mean(KEY), scene.mean(LATER_KEY)) == (2.0, 3.0)

    # WHEN it has one event less, then two, then none
    scene.change(event, measurement(mean=1.0), measurement(mean=2.0))
    assert scene.changes() == {Change.SAME: 3, Change.GONE: 1}
    assert (scene.mean(KEY), scene.tables.measurement_rows()[LATER_KEY].raw_id) == (2.0, other)
    assert scene.tables.receipt_rows()[event].items == 2

    scene.change(event, measurement(mean=1.0))
    assert scene.changes() == {Change.SAME: 2, Change.GONE: 1}
    assert scene.mean(KEY) == 1.0

    scene.change(event)
    assert scene.changes() == {Change.SAME: 1, Change.GONE: 1}
    assert list(scene.tables.measurement_rows()) == [LATER_KEY]
    assert (scene.tables.receipt_rows()[event].complete, scene.tables.receipt_rows()[event].items) == (True, 0)


# ---- any sets of rules -----------------------------------------------------------------------------------------------

Rules = Sequence[tuple[Outcome, ...]]
"""What the objects are validated to be, by their numbers."""

_OUTCOME = st.builds(
    measurement,
    st.sampled_from([EXAMPLE_INSTANT, LATER]),
    st.sampled_from([1.0, 2.0, -0.5]),
    source=st.sampled_from(["", "a"]),
) | st.sampled_from([rejection(), rejection(Code.DATA_EMPTY, None)])


@st.composite
def histories(draw: st.DrawFn) -> tuple[Rules, Rules, list[int], int, list[list[int]] | int]:
    """Old rules, new rules, the order that some are completed in, by batches of a size, and how they are replayed."""
    objects = draw(st.integers(1, 7))
    rules = st.lists(st.lists(_OUTCOME, max_size=3).map(tuple), min_size=objects, max_size=objects)
    order = draw(st.permutations(range(objects)))
    replayed = draw(st.permutations(range(objects)))
    size = draw(st.integers(1, objects))
    parts: list[list[int]] | int = size
    if draw(st.booleans()):
        parts = [list(part) for part in batched(replayed, size, strict=False)]
    return (
        draw(rules),
        draw(rules),
        order[: draw(st.integers(0, objects))],
        draw(st.integers(1, objects)),
        parts,
    )


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories())
def test_replay_gives_what_the_new_rules_give_from_the_start(
    tables: SilverInPostgres, history: tuple[Rules, Rules, list[int], int, list[list[int]] | int]
) -> None:
    old, new, completed, size, replayed = history
    with pytest.MonkeyPatch.context() as monkeypatch:
        # GIVEN objects, some of them completed under the old rules, in some order and in some batches
        tables.clear()
        scene = Scene(tables)
        validate_by(scene.validate, monkeypatch)
        arrived = [scene.arrive(*outcomes, completed=False) for outcomes in old]
        for batch in batched(completed, size, strict=False):
            scene.write_outcomes(*(arrived[number] for number in batch))

        # WHEN all are replayed under the new ones: by name in some order, or by pages
        for raw_id, outcomes in zip(arrived, new, strict=True):
            scene.change(raw_id, *outcomes)
        before = rows(tables, times=True)
        predicted = scene.replay(dry_run=True).changes
        assert rows(tables, times=True) == before
        found = go_through(scene, arrived, replayed)

        # THEN the changes are those of the rules, as a dry run has said, and the rows those of the new rules alone
        expected: Counter[str] = Counter()
        for number, outcomes in enumerate(new):
            expected += kinds(old[number] if number in completed else (), outcomes)
        assert found == expected == predicted
        after = rows(tables)
        tables.clear()
        scene.write_outcomes(*arrived)
        assert after == rows(tables)


@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories())
def test_a_replay_that_stops_anywhere_leaves_measurements_right_and_may_go_on(
    tables: SilverInPostgres, history: tuple[Rules, Rules, list[int], int, list[list[int]] | int]
) -> None:
    old, new, completed, *_ = history
    with pytest.MonkeyPatch.context() as monkeypatch:
        # GIVEN objects whose events are written one by one, and calls that have time for one
        monkeypatch.setattr(dropzone.use_cases.objects, "MAX_CHUNK_EVENTS", 1)
        tables.clear()
        scene = Scene(tables)
        validate_by(scene.validate, monkeypatch)
        arrived = [scene.arrive(*outcomes, completed=False) for outcomes in old]
        scene.write_outcomes(*(arrived[number] for number in completed))
        for raw_id, outcomes in zip(arrived, new, strict=True):
            scene.change(raw_id, *outcomes)
        replace = scene.outcome_store.replace

        def slowly(validated: Sequence[ValidatedObject]) -> None:
            replace(validated)
            scene.clock.spend(10.0)

        monkeypatch.setattr(scene.outcome_store, "replace", slowly)

        # WHEN calls follow the cursor
        results: list[ReplayResult] = []
        after: Cursor | None = None
        while not results or after is not None:
            scene.clock.left = 11.0
            results.append(scene.replay(after=after))
            after = results[-1].cursor

            # THEN after each of them every measurement is that of the greatest outcome
            assert current(tables) == greatest(tables)

        # AND in the end each object is counted once, and the rows are those of the new rules alone
        assert sum(result.checked for result in results) == len(new)
        assert sum(result.rejected for result in results) == sum(any(map(is_rejection, outcomes)) for outcomes in new)
        replayed = rows(tables)
        tables.clear()
        scene.write_outcomes(*arrived)
        assert replayed == rows(tables)


def is_rejection(outcome: Outcome) -> bool:
    return isinstance(outcome, Rejection)


def current(tables: SilverInPostgres) -> dict[tuple[datetime, str], tuple[UUID, int]]:
    return {key: (row.raw_id, row.item) for key, row in tables.measurement_rows().items()}


def greatest(tables: SilverInPostgres) -> dict[tuple[datetime, str], tuple[UUID, int]]:
    """Of each instant and source the last event that was processed."""
    return {
        (row.measurement.measured_at, row.measurement.source): key
        for key, row in sorted(tables.outcome_rows().items())
        if row.measurement is not None
    }


def go_through(scene: Scene, arrived: list[UUID], replayed: list[list[int]] | int) -> Counter[str]:
    found: Counter[str] = Counter()
    if isinstance(replayed, int):
        cursor = None
        for _ in range(len(arrived) + 1):
            result = scene.replay(limit=replayed, after=cursor)
            found.update({change.value: number for change, number in result.changes.items()})
            cursor = result.cursor
            if cursor is None:
                return found
        pytest.fail("the cursor leads nowhere")
    for part in replayed:
        result = scene.replay(Named(tuple(arrived[number] for number in part)))
        found.update({change.value: number for change, number in result.changes.items()})
    return found


def kinds(before: tuple[Outcome, ...], after: tuple[Outcome, ...]) -> Counter[str]:
    """What changes, said in another way than the code under test says it."""
    found: Counter[str] = Counter()
    for item in range(max(len(before), len(after))):
        old, new = before[item : item + 1], after[item : item + 1]
        names = [[type(outcome) for outcome in side] for side in (old, new)]
        if old == new:
            found["same"] += 1
        elif not old or not new:
            found["gone" if old else "new"] += 1
        elif names == [[Measurement], [Measurement]]:
            found["other_figures"] += 1
        elif names == [[Rejection], [Rejection]]:
            found["other_reasons"] += 1
        else:
            found["now_processed" if names[1] == [Measurement] else "now_rejected"] += 1
    return found


# ---- which ones ------------------------------------------------------------------------------------------------------


def at(instant: datetime, *, last: bool = False) -> UUID:
    """The first or the last identifier of a millisecond."""
    first = earliest_raw_id(instant).int
    return UUID(int=first + (0xFFF << 64) + (1 << 62) - 1 if last else first)


@dataclass
class Days:
    """Objects at the edges of milliseconds around an hour, the even ones rejected for no numbers, others for others."""

    scene: Scene
    identifiers: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        for instant in (EXAMPLE_INSTANT, LATER):
            for shift in (-MILLISECOND, timedelta(0), MILLISECOND):
                for last in (False, True):
                    code = Code.DATA_EMPTY if last else Code.DATA_NOT_NUMERIC
                    identifier = at(instant + shift, last=last)
                    self.identifiers.append(self.scene.arrive(rejection(code), at=identifier))
        self.scene.reads()


TIMES = [
    (None, None, range(12)),
    # From the millisecond's first on; to the one before the millisecond's first.
    (EXAMPLE_INSTANT, None, range(2, 12)),
    (EXAMPLE_INSTANT + MILLISECOND, None, range(4, 12)),
    (None, EXAMPLE_INSTANT, range(2)),
    (None, EXAMPLE_INSTANT + MILLISECOND, range(4)),
    (EXAMPLE_INSTANT, LATER, range(2, 8)),
    (EXAMPLE_INSTANT, EXAMPLE_INSTANT + MILLISECOND, range(2, 4)),
    (EXAMPLE_INSTANT, EXAMPLE_INSTANT, range(0)),
    (LATER, EXAMPLE_INSTANT, range(0)),
    (LATER + 2 * MILLISECOND, None, range(0)),
    (None, EXAMPLE_INSTANT - MILLISECOND, range(0)),
    # Before identifiers begin, and in another zone.
    (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), range(12)),
    (datetime(1969, 12, 31, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), range(0)),
    (datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC), range(0)),
    (
        datetime.fromisoformat("2019-05-01T06:00:00-04:00"),
        datetime.fromisoformat("2019-05-01T13:00:00+02"),
        range(2, 8),
    ),
]


@pytest.mark.parametrize(("since", "until", "expected"), TIMES)
def test_objects_are_chosen_by_arrival_from_inclusive_to_exclusive(
    scene: Scene, since: datetime | None, until: datetime | None, expected: range
) -> None:
    days = Days(scene)
    chosen = [days.identifiers[number] for number in expected]

    result = scene.replay(Arrived(since, until))
    assert scene.reads() == chosen
    assert result.checked == len(chosen)

    # And of these the ones that a rule rejected.
    scene.replay(RejectedBy(Code.DATA_NOT_NUMERIC, since, until))
    assert scene.reads() == [days.identifiers[number] for number in expected if number % 2 == 0]
    scene.replay(RejectedBy(Code.DATA_EMPTY, since, until))
    assert scene.reads() == [days.identifiers[number] for number in expected if number % 2 == 1]


def test_by_rule_only_the_objects_that_it_rejected_are_replayed(scene: Scene) -> None:
    # GIVEN an object that the rule rejected as one of two, one with a second event that it rejected, and others
    both = Rejection(rejection(Code.TIME_STAMP_NO_TIMEZONE, None).violations + rejection(Code.DATA_EMPTY).violations)
    one = scene.arrive(both)
    scene.arrive(rejection(Code.TIME_STAMP_NO_TIMEZONE, None))
    second = scene.arrive(measurement(), rejection(Code.DATA_EMPTY), rejection(Code.DATA_EMPTY))
    scene.arrive(measurement(mean=5.0, source="other"))
    incomplete = scene.arrive(rejection(Code.DATA_EMPTY), completed=False)
    for raw_id in (one, second):
        scene.change(raw_id, measurement(LATER))
    scene.reads()

    # WHEN what the rule rejected is validated again
    result = scene.replay(RejectedBy(Code.DATA_EMPTY))

    # THEN it is those two, each once, and what was never completed isn't among them
    assert scene.reads() == [one, second]
    assert result.changes == Counter({Change.NOW_PROCESSED: 1, Change.OTHER_FIGURES: 1, Change.GONE: 2})
    assert incomplete not in scene.tables.receipt_rows()
    assert scene.tables.measurement_rows()[LATER_KEY].raw_id == second

    # AND there is nothing more that it rejected
    assert scene.replay(RejectedBy(Code.DATA_EMPTY)).checked == 0
    assert scene.replay(RejectedBy(Code.NOT_JSON)).checked == 0


# ---- what can't be validated again ------------------------------------------------------------------------------


def test_outcomes_of_what_cannot_be_read_stay_and_the_others_are_replaced(scene: Scene) -> None:
    # GIVEN events now validated differently, of which one is gone and one can't be read for the moment
    arrived = [scene.arrive(measurement(EXAMPLE_INSTANT + n * MILLISECOND)) for n in range(4)]
    for raw_id in arrived:
        scene.change(raw_id, rejection())
    gone, throttled = arrived[1], arrived[2]
    del scene.objects.objects[gone]
    scene.bronze.unreadable[throttled] = BronzeUnavailableError("SlowDown")

    # WHEN all are replayed (the listing doesn't have what is gone)
    result = scene.replay(Named(tuple(arrived)))

    # THEN those two are as they were
    assert [(failure.raw_id, failure.terminal) for failure in result.errors] == [(gone, True), (throttled, False)]
    assert result.changes == Counter({Change.NOW_REJECTED: 2})
    assert (result.checked, result.rejected, result.processed) == (2, 2, 0)
    assert {row.raw_id for row in scene.tables.measurement_rows().values()} == {gone, throttled}
    assert {raw_id for (raw_id, _), row in scene.tables.outcome_rows().items() if row.measurement} == {gone, throttled}


@pytest.mark.parametrize("refused", [[0], [4], [8], [2, 3], [0, 8], list(range(9))])
def test_an_object_with_a_refused_row_stays_as_it_was_and_the_others_are_replaced(
    scene: Scene, refused: list[int]
) -> None:
    # GIVEN nine objects that are validated to have two events now, of which some hold what no row can
    arrived = [scene.arrive(measurement(mean=float(n), source=str(n))) for n in range(9)]
    too_many = Measurement(LATER, "refused", Aggregates(0.0, 0.0, 2**31, 0.0, 0.0))
    for number, raw_id in enumerate(arrived):
        scene.change(raw_id, rejection(), too_many if number in refused else measurement(LATER, source=str(number)))
    before = scene.tables.receipt_rows()

    # WHEN they are replayed
    result = scene.replay()

    # THEN of these everything is as it was, and they are counted as such
    good = [raw_id for number, raw_id in enumerate(arrived) if number not in refused]
    assert [failure.raw_id for failure in result.errors] == [arrived[number] for number in refused]
    assert all(f.terminal and f.reason.startswith("RowRefusedError: SQLSTATE 22003") for f in result.errors)
    assert (result.checked, result.rejected, result.cursor) == (len(good), len(good), None)
    assert result.changes == Counter({Change.NOW_REJECTED: len(good), Change.NEW: len(good)})
    receipts, outcomes = scene.tables.receipt_rows(), scene.tables.outcome_rows()
    expected = {}
    for number, raw_id in enumerate(arrived):
        if number in refused:
            assert receipts[raw_id] == before[raw_id]
            assert outcomes[raw_id, 0].measurement == measurement(mean=float(number), source=str(number))
            expected[EXAMPLE_INSTANT, str(number)] = raw_id
        else:
            assert outcomes[raw_id, 0] == OutcomeRow(None, rejection().violations)
            expected[LATER, str(number)] = raw_id
    assert {key: row.raw_id for key, row in scene.tables.measurement_rows().items()} == expected
    assert len(outcomes) == 9 + len(good)
