"""Replacing outcomes in the real tables: values, calls at the same time, and what breaks in the middle."""

import math
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from dropzone.adapters import postgres_outcome_store
from dropzone.adapters.database import ConnectionBrokenError, Database
from dropzone.adapters.postgres_outcome_store import PostgresOutcomeStore
from dropzone.adapters.silver_statements import DAY, days_of
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.identifiers import received_at
from dropzone.domain.outcomes import RULESET, Code, EventId, Measurement, Outcome, Rejection, ValidatedObject
from dropzone.domain.validate import validate
from dropzone.ports import RowRefusedError, SilverConflictError, SilverUnavailableError
from dropzone.use_cases.objects import with_retries
from dropzone_local.polling import wait_until
from support.background import in_background
from support.factories import EXAMPLE_INSTANT, measurement, raw_id, raw_ids, rejection, shuffled, validated
from support.postgres import SilverInPostgres, months_opened

LATER = EXAMPLE_INSTANT + timedelta(hours=1)
KEY, LATER_KEY = (EXAMPLE_INSTANT, ""), (LATER, "")


def outcome_store(tables: SilverInPostgres, *, used: bool = True) -> PostgresOutcomeStore:
    """Another outcome_store, with a connection of its own, which was used before unless asked otherwise."""
    database = tables.open()
    if used:
        database.run("SELECT 1")
    return PostgresOutcomeStore(database)


def everything(tables: SilverInPostgres) -> list[Any]:
    """All rows, with their times."""
    return [
        sorted(tables.query(f"SELECT CAST(to_jsonb(t) AS text) FROM {table} AS t"))  # noqa: S608 - one of these
        for table in ("receipts", "outcomes", "measurements")
    ]


# ---- values ----------------------------------------------------------------------------------------------------------


def test_a_day_s_lock_has_the_same_number_for_outcomes_and_for_rows(tables: SilverInPostgres) -> None:
    instants = [
        datetime(1970, 1, 1, 12, tzinfo=UTC) + timedelta(days=day) for day in (-719_000, -1, 0, 1, 63, 64, 20_000)
    ]

    sql = f"SELECT {DAY} FROM unnest(CAST(:instants AS timestamptz[])) AS measured_at"  # noqa: S608 - our own
    of_rows = tables.query(sql, instants=instants)

    assert [days_of([validated(None, measurement(instant))]) for instant in instants] == [
        f"{{{day}}}" for (day,) in of_rows
    ]
    assert [day for (day,) in of_rows[1:]] == [63, 0, 1, 63, 0, 32]


def test_outcomes_are_read_as_they_were_written(tables: SilverInPostgres) -> None:
    # GIVEN objects of every kind, one of them without an event, one that nobody completed
    body = rb"""{"time_stamp": "'; DROP \u0000 :x $1 \ud83d\ude00 \\", "data": [1, null, 1e999]}"""
    figures = Aggregates(math.ulp(0.0), sys.float_info.max, 2**31 - 1, -0.0, 1 / 3)
    several: tuple[Outcome, ...] = (
        *validate(body),
        *(measurement(mean=float(number)) for number in range(12)),
        Measurement(LATER + timedelta(microseconds=1), "a\"'\\\nü", figures),
        Rejection((*rejection(index=0).violations, *rejection(Code.DATA_EMPTY, None).violations)),
        measurement()._replace(source="hall", corrects=EventId(raw_id(), 3)),
        rejection()._replace(source="hall", corrects=EventId(raw_id(), 0)),
    )
    first, second, empty, unknown = raw_ids(4)
    of_tables = outcome_store(tables)
    tables.silver().write_outcomes([ValidatedObject(first, several), validated(second), ValidatedObject(empty, ())])

    # THEN their outcomes are these, in order, to the bit
    found = of_tables.outcomes([validated(entry) for entry in (unknown, second, first, empty)])
    assert found == {first: several, second: (measurement(),)}
    stored = found[first][13]
    assert isinstance(stored, Measurement)
    assert [struct.pack(">d", value) for value in stored.aggregates] == [struct.pack(">d", value) for value in figures]
    assert type(stored.aggregates.sample_count) is int
    assert of_tables.outcomes([]) == {}


def test_outcomes_are_looked_for_in_their_months_alone(tables: SilverInPostgres) -> None:
    objects = [ValidatedObject(identifier, (measurement(),)) for identifier in raw_ids(2)]
    database = tables.open()

    opened = months_opened(database, lambda: PostgresOutcomeStore(database).outcomes(objects))

    assert opened == [f"outcomes_{received_at(objects[0].raw_id):%Y_%m}"]


def test_replaced_figures_are_stored_bit_for_bit(tables: SilverInPostgres) -> None:
    identifier = raw_id()
    figures = Aggregates(math.ulp(0.0), sys.float_info.max, 2**31 - 1, -0.0, 1 / 3)
    outcome_store(tables).replace([ValidatedObject(identifier, (Measurement(EXAMPLE_INSTANT, "", figures),))])
    (row,) = tables.measurement_rows().values()
    assert [struct.pack(">d", n) for n in row.measurement.aggregates] == [struct.pack(">d", n) for n in figures]


def test_nothing_to_replace_is_fine(tables: SilverInPostgres) -> None:
    outcome_store(tables).replace([])
    assert everything(tables) == [[], [], []]


def test_a_replacement_touches_no_other_object_and_no_other_key(tables: SilverInPostgres) -> None:
    # GIVEN objects in three keys
    first, second, third = raw_ids(3)
    tables.silver().write_outcomes(
        [validated(first, measurement(mean=1.0)), validated(second, measurement(LATER), rejection())]
    )
    tables.silver().write_outcomes([validated(third, measurement(source="other"))])
    before = everything(tables)

    # WHEN the first is replaced
    outcome_store(tables).replace([validated(first, rejection())])

    # THEN every other row is as it was, with its times
    after = everything(tables)
    for old, new in zip(before, after, strict=True):
        assert [row for row in old if str(first) not in row[0]] == [row for row in new if str(first) not in row[0]]
    assert KEY not in tables.measurement_rows()


def test_a_replaced_row_has_its_time(tables: SilverInPostgres) -> None:
    identifier, left = raw_ids(2)
    tables.silver().write_outcomes([validated(identifier), validated(left, measurement(LATER))])
    age = "SET {} = TIMESTAMPTZ '2020-01-01 00:00Z'"
    for table, column in (("receipts", "settled_at"), ("outcomes", "processed_at"), ("measurements", "updated_at")):
        tables.query(f"UPDATE {table} {age.format(column)}")

    outcome_store(tables).replace([validated(identifier)])

    # The time of the first processing, from which latencies are computed, stays.
    sql = (
        "SELECT raw_id, extract(year FROM settled_at) = 2020, extract(year FROM processed_at) > 2020,"
        " extract(year FROM updated_at) > 2020 FROM receipts JOIN outcomes USING (raw_id) JOIN measurements"
        " USING (raw_id)"
    )
    assert {row[0]: row[1:] for row in tables.query(sql)} == {
        identifier: [True, True, True],
        left: [True, False, False],
    }
    assert tables.query("SELECT DISTINCT ruleset FROM outcomes") == [[RULESET]]


# ---- parts -----------------------------------------------------------------------------------------------------------


def minute(number: int) -> datetime:
    """An instant of its own."""
    return EXAMPLE_INSTANT + timedelta(minutes=number)


def figures(tables: SilverInPostgres, event: UUID) -> dict[int, float]:
    """Of each item of an object that was processed its mean."""
    return {
        item: row.measurement.aggregates.mean
        for (owner, item), row in sorted(tables.outcome_rows().items())
        if owner == event and row.measurement is not None
    }


def test_a_part_replaces_its_items_alone(tables: SilverInPostgres) -> None:
    # GIVEN an object of four events, and an earlier one of the same instants
    earlier, event = raw_ids(2)
    tables.silver().write_outcomes([validated(earlier, *(measurement(minute(n), mean=1.0) for n in range(4)))])
    tables.silver().write_outcomes([validated(event, *(measurement(minute(n), mean=2.0) for n in range(4)))])

    # WHEN a part of it is replaced, whose second event is rejected now, and whose first has another instant
    of_tables = outcome_store(tables)
    part = ValidatedObject(event, (measurement(minute(9), mean=3.0), rejection()), 1, is_whole=False)
    assert of_tables.outcomes([part]) == {event: tuple(measurement(minute(n), mean=2.0) for n in (1, 2))}
    of_tables.replace([part])

    # THEN its other events are as they were, what was before it returns, and the object stays completed
    assert figures(tables, event) == {0: 2.0, 1: 3.0, 3: 2.0}
    current = {key[0]: row.raw_id for key, row in tables.measurement_rows().items()}
    assert current == {minute(0): event, minute(1): earlier, minute(2): earlier, minute(3): event, minute(9): event}
    assert tables.receipt_rows()[event].items == 4


def test_a_last_part_removes_what_is_behind_it(tables: SilverInPostgres) -> None:
    event = raw_id()
    tables.silver().write_outcomes([validated(event, *(measurement(minute(n)) for n in range(5)))])
    of_tables = outcome_store(tables)
    part = ValidatedObject(event, (measurement(minute(2), mean=7.0),), 2)
    assert len(of_tables.outcomes([part])[event]) == 3
    of_tables.replace([part])
    assert sorted(item for _, item in tables.outcome_rows()) == [0, 1, 2]
    assert sorted(key[0] for key in tables.measurement_rows()) == [minute(n) for n in range(3)]
    assert tables.receipt_rows()[event].items == 3


def test_a_last_part_completes_an_object_whose_other_events_have_outcomes(tables: SilverInPostgres) -> None:
    event, silver, of_tables = raw_id(), tables.silver(), outcome_store(tables)
    of_tables.replace([ValidatedObject(event, (measurement(minute(2)),), 2)])
    assert not tables.receipt_rows()[event].complete
    of_tables.replace([ValidatedObject(event, (measurement(minute(0)),), 0, is_whole=False)])
    assert of_tables.outcomes([validated(event)]) == {event: (measurement(minute(0)), None, measurement(minute(2)))}
    of_tables.replace([ValidatedObject(event, (rejection(),), 1, is_whole=False)])
    assert not tables.receipt_rows()[event].complete

    # What is left in the middle the sweep goes on with.
    tables.pass_time(timedelta(minutes=1))
    assert silver.due_for_retry(10, exhausted=False) == [event]
    of_tables.replace([ValidatedObject(event, (measurement(minute(2)),), 2)])
    assert tables.receipt_rows()[event].items == 3
    assert silver.due_for_retry(10, exhausted=False) == []


def test_gold_learns_of_each_part(tables: SilverInPostgres) -> None:
    event = raw_id()
    tables.silver().write_outcomes([validated(event, *(measurement(minute(n)) for n in range(3)))])
    tables.query("DELETE FROM gold.arrived_stale")
    outcome_store(tables).replace([ValidatedObject(event, (rejection(),), 1, is_whole=False)])
    assert tables.query("SELECT count(*) FROM gold.arrived_stale") == [[1]]


def test_the_greatest_event_of_a_call_wins_in_any_order(tables: SilverInPostgres) -> None:
    identifiers = raw_ids(5)
    entries = [validated(identifier, measurement(mean=float(n))) for n, identifier in enumerate(identifiers)]
    for seed in range(5):
        outcome_store(tables).replace(shuffled(entries, seed))
        assert tables.measurement_rows()[KEY].raw_id == identifiers[4]


# ---- which objects a rule rejected -----------------------------------------------------------------------------------


def test_what_a_rule_rejected_comes_in_pages_in_order_of_arrival(
    tables: SilverInPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_outcome_store, "_PAGE", 3)
    identifiers = raw_ids(7)
    both = Rejection((*rejection(Code.DATA_EMPTY).violations, *rejection().violations))
    outcomes: list[tuple[Outcome, ...]] = [
        (rejection(),),
        (both, both),
        (measurement(), rejection()),
        (rejection(Code.DATA_EMPTY),),
        (rejection(), rejection()),
        (measurement(),),
        (rejection(),),
    ]
    entries = [ValidatedObject(*entry) for entry in zip(identifiers, outcomes, strict=True)]
    tables.silver().write_outcomes(shuffled(entries, 1))
    of_tables = outcome_store(tables)

    def rejected(code: Code, after: UUID, before: UUID | None = None) -> list[int]:
        return [identifiers.index(raw_id) for raw_id in of_tables.rejected_by(code, after=after, before=before)]

    assert rejected(Code.DATA_NOT_NUMERIC, UUID(int=0)) == [0, 1, 2]
    assert rejected(Code.DATA_NOT_NUMERIC, identifiers[2]) == [4, 6]
    assert rejected(Code.DATA_NOT_NUMERIC, UUID(int=identifiers[2].int - 1)) == [2, 4, 6]
    # Both bounds are left out.
    assert rejected(Code.DATA_NOT_NUMERIC, identifiers[2], identifiers[6]) == [4]
    assert rejected(Code.DATA_NOT_NUMERIC, identifiers[2], UUID(int=identifiers[6].int + 1)) == [4, 6]
    assert rejected(Code.DATA_EMPTY, UUID(int=0)) == [1, 3]
    assert rejected(Code.DATA_EMPTY, identifiers[3]) == []
    assert rejected(Code.NOT_JSON, UUID(int=0)) == []


# ---- at the same time ------------------------------------------------------------------------------------------------


@contextmanager
def receipt_held(tables: SilverInPostgres, identifier: UUID) -> Iterator[None]:
    """Hold the receipt of an object: a replacement waits there, its days locked, nothing else done."""
    tables.query("BEGIN")
    tables.query("SELECT FROM receipts WHERE raw_id = :raw_id FOR UPDATE", raw_id=identifier)
    try:
        yield
    finally:
        tables.query("COMMIT")


@contextmanager
def row_held(tables: SilverInPostgres, instant: datetime) -> Iterator[None]:
    """Hold the measurement of an instant: a replacement waits there, its outcomes recorded and the keys' best found."""
    tables.query("BEGIN")
    tables.query("SELECT FROM measurements WHERE measured_at = :instant FOR UPDATE", instant=instant)
    try:
        yield
    finally:
        tables.query("COMMIT")


@pytest.mark.parametrize("place", [0, 2], ids=["earlier", "later"])
@pytest.mark.parametrize("where", [receipt_held, row_held])
def test_an_event_written_during_a_replacement_is_not_lost(
    tables: SilverInPostgres, where: Callable[..., Any], place: int
) -> None:
    # GIVEN an event that is alone in its key, and one in a later key
    identifiers = raw_ids(3)
    event, arriving = identifiers[1], identifiers[place]
    other = raw_id()
    tables.silver().write_outcomes([validated(event, measurement(mean=1.0)), validated(other, measurement(LATER))])

    # WHEN the first is rejected, and before that is through, another event of its key is processed
    with where(tables, event if where is receipt_held else LATER):
        entries = [validated(event, rejection()), validated(other, measurement(LATER, mean=5.0))]
        replaced = in_background(lambda: outcome_store(tables).replace(entries))
        tables.await_waiting(1)
        completed = in_background(lambda: tables.silver().write_outcomes([validated(arriving, measurement(mean=3.0))]))
        # It waits as well, or is done.
        wait_until(lambda: completed.done() or waiting(tables) == 2 or None, seconds=60, every=0.01)

    # THEN both are done: the new event is the measurement
    replaced.result(60)
    assert completed.result(60) == {arriving}
    assert {key: row.raw_id for key, row in tables.measurement_rows().items()} == {KEY: arriving, LATER_KEY: other}
    assert tables.outcome_rows()[event, 0].measurement is None


def waiting(tables: SilverInPostgres) -> int:
    return len(tables.query("SELECT FROM pg_locks WHERE NOT granted"))


@pytest.mark.parametrize("place", [0, 1, 2], ids=["before both", "between", "after both"])
def test_a_replacement_sees_what_a_concurrent_write_wrote(tables: SilverInPostgres, place: int) -> None:
    # GIVEN two events of one instant, and a third's statement that has written the key and waits at a later one
    identifiers = raw_ids(3)
    arriving = identifiers.pop(place)
    early, late = identifiers
    tables.silver().write_outcomes([validated(early, measurement(mean=1.0)), validated(late, measurement(mean=2.0))])
    tables.hold(LATER)
    completed = in_background(
        lambda: tables.silver().write_outcomes([validated(arriving, measurement(mean=3.0), measurement(LATER))])
    )
    tables.await_waiting(1)

    # WHEN the later of the two is rejected meanwhile
    replaced = in_background(lambda: outcome_store(tables).replace([validated(late, rejection())]))
    tables.await_waiting(2)
    tables.query("ROLLBACK")

    # THEN the greatest of what is left is the measurement
    assert completed.result(60) == {arriving}
    replaced.result(60)
    assert tables.measurement_rows()[KEY].raw_id == max(early, arriving)
    assert tables.measurement_rows()[LATER_KEY].raw_id == arriving


def test_a_replacement_of_all_events_ends_the_attempt(tables: SilverInPostgres) -> None:
    identifier = raw_id()
    tables.silver().record_attempts([identifier], only_due=False)

    outcome_store(tables).replace([validated(identifier)])

    assert tables.query("SELECT attempts, last_error, tried_at, retry_at FROM receipts") == [[1, None, None, None]]


def test_an_object_replaced_during_its_first_write_has_the_replacement(tables: SilverInPostgres) -> None:
    # GIVEN a statement that has written the object's receipt and outcome, and waits
    identifier = raw_id()
    tables.hold(EXAMPLE_INSTANT)
    completed = in_background(lambda: tables.silver().write_outcomes([validated(identifier, measurement(mean=1.0))]))
    tables.await_waiting(1)

    # WHEN it is replaced meanwhile
    replaced = in_background(
        lambda: outcome_store(tables).replace([validated(identifier, measurement(LATER), rejection())])
    )
    tables.await_waiting(2)
    tables.query("ROLLBACK")

    # THEN both are done, one after the other
    assert completed.result(60) == {identifier}
    replaced.result(60)
    assert set(tables.outcome_rows()) == {(identifier, 0), (identifier, 1)}
    assert list(tables.measurement_rows()) == [LATER_KEY]
    assert tables.receipt_rows()[identifier].items == 2


def test_an_object_written_during_its_replacement_has_the_replacement(tables: SilverInPostgres) -> None:
    # GIVEN an object with an attempt, and a replacement of it that waits at its receipt
    identifier = raw_id()
    tables.silver().record_attempts([identifier], only_due=False)
    with receipt_held(tables, identifier):
        replaced = in_background(
            lambda: outcome_store(tables).replace([validated(identifier, measurement(LATER, mean=2.0))])
        )
        tables.await_waiting(1)

        # WHEN it is processed meanwhile
        completed = in_background(
            lambda: tables.silver().write_outcomes([validated(identifier, measurement(mean=1.0))])
        )
        tables.await_waiting(2)

    # THEN it finds it completed
    replaced.result(60)
    assert completed.result(60) == set()
    assert {key: row.measurement.aggregates.mean for key, row in tables.measurement_rows().items()} == {LATER_KEY: 2.0}
    assert len(tables.outcome_rows()) == 1


def test_a_later_part_waits_for_the_days_of_a_replacement_before_it_locks_its_receipt(tables: SilverInPostgres) -> None:
    # GIVEN a replacement that has locked the day, and waits for the receipt of the first of its two objects
    event, growing = raw_ids(2)
    tables.silver().write_outcomes([validated(event), ValidatedObject(growing, (measurement(),), is_whole=False)])
    with receipt_held(tables, event):
        entries = [validated(event, rejection()), ValidatedObject(growing, (rejection(),), is_whole=False)]
        replaced = in_background(lambda: outcome_store(tables).replace(entries))
        tables.await_waiting(1)

        # WHEN the second object's next part is written
        part = ValidatedObject(growing, (measurement(mean=3.0),), first_item=1)
        completed = in_background(lambda: tables.silver().write_outcomes([part]))
        tables.await_waiting(2)

    # THEN neither waits for what the other holds
    replaced.result(60)
    assert completed.result(60) == {growing}
    assert tables.measurement_rows()[KEY].raw_id == growing


def test_two_replacements_of_an_object_come_one_after_the_other(tables: SilverInPostgres) -> None:
    identifier, before = raw_id(), raw_id(timedelta(1))
    tables.silver().write_outcomes(
        [validated(identifier, measurement(mean=1.0)), validated(before, measurement(mean=0.5))]
    )
    with receipt_held(tables, identifier):
        one = in_background(
            lambda: outcome_store(tables).replace([validated(identifier, measurement(LATER), measurement())])
        )
        tables.await_waiting(1)
        two = in_background(
            lambda: outcome_store(tables).replace([validated(identifier, measurement(LATER, mean=7.0))])
        )
        tables.await_waiting(2)
    one.result(60)
    two.result(60)
    assert tables.outcome_rows()[identifier, 0].measurement == measurement(LATER, mean=7.0)
    assert {key: row.raw_id for key, row in tables.measurement_rows().items()} == {KEY: before, LATER_KEY: identifier}
    assert set(tables.outcome_rows()) == {(identifier, 0), (before, 0)}


def test_two_replacements_that_share_a_key_lose_nothing(tables: SilverInPostgres) -> None:
    # GIVEN three events of an instant, and one of a later one
    first, second, third, other = raw_ids(4)
    entries = [validated(raw_id, measurement(mean=float(n))) for n, raw_id in enumerate((first, second, third))]
    tables.silver().write_outcomes([*entries, validated(other, measurement(LATER))])

    # WHEN the third is rejected, and before that is through, the second
    with row_held(tables, LATER):
        rejected = [validated(third, rejection()), validated(other, measurement(LATER, mean=5.0))]
        one = in_background(lambda: outcome_store(tables).replace(rejected))
        tables.await_waiting(1)
        two = in_background(lambda: outcome_store(tables).replace([validated(second, rejection())]))
        tables.await_waiting(2)

    # THEN the first is the measurement
    one.result(60)
    two.result(60)
    assert tables.measurement_rows()[KEY].raw_id == first


def test_recording_and_releasing_attempts_do_not_wait_for_a_replacement(tables: SilverInPostgres) -> None:
    """They write no measurements: the sweep's records go on while one is open."""
    event, other = raw_ids(2)
    tables.silver().write_outcomes([validated(event)])
    with receipt_held(tables, event):
        replaced = in_background(lambda: outcome_store(tables).replace([validated(event, rejection())]))
        tables.await_waiting(1)
        silver = tables.silver()
        assert silver.record_attempts([other], only_due=True) == {other}
        silver.release_attempts({other: "throttled"})
        assert silver.receipts([other])[other].attempts == 0
        # And who reads sees everything as it was.
        assert outcome_store(tables).outcomes([validated(event)]) == {event: (measurement(),)}
    replaced.result(60)


def test_an_event_of_another_day_is_written_during_a_replacement(tables: SilverInPostgres) -> None:
    event, arriving = raw_ids(2)
    tables.silver().write_outcomes([validated(event)])
    with row_held(tables, EXAMPLE_INSTANT):
        replaced = in_background(lambda: outcome_store(tables).replace([validated(event, measurement(mean=2.0))]))
        tables.await_waiting(1)
        entry = validated(arriving, measurement(EXAMPLE_INSTANT + timedelta(days=1)))
        assert tables.silver().write_outcomes([entry]) == {arriving}
        assert not replaced.done()
    replaced.result(60)


def test_an_object_replaced_during_its_first_write_on_another_day_has_the_replacement(tables: SilverInPostgres) -> None:
    # GIVEN a statement that has written the object's receipt and outcome, and waits
    identifier, moved = raw_id(), EXAMPLE_INSTANT + timedelta(days=1)
    tables.hold(EXAMPLE_INSTANT)
    completed = in_background(lambda: tables.silver().write_outcomes([validated(identifier, measurement(mean=1.0))]))
    tables.await_waiting(1)

    # WHEN other rules replace it meanwhile, which share no day with what they can't see yet
    store = outcome_store(tables)
    replaced = in_background(
        lambda: with_retries(lambda: store.replace([validated(identifier, measurement(moved))]), lambda: 60.0)
    )
    tables.await_waiting(2)
    tables.query("ROLLBACK")

    # THEN nothing of the old rules is left
    assert completed.result(60) == {identifier}
    replaced.result(60)
    assert list(tables.measurement_rows()) == [(moved, "")]
    assert set(tables.outcome_rows()) == {(identifier, 0)}


def test_a_replacement_of_what_moved_to_another_day_meanwhile_is_a_conflict(tables: SilverInPostgres) -> None:
    # GIVEN an event that is being moved to the next day, where there is one already
    event, there = raw_ids(2)
    second, third = (EXAMPLE_INSTANT + timedelta(days=days) for days in (1, 2))
    tables.silver().write_outcomes([validated(event), validated(there, measurement(second))])
    with row_held(tables, second):
        one = in_background(lambda: outcome_store(tables).replace([validated(event, measurement(second))]))
        tables.await_waiting(1)

        # WHEN another replacement looks for it where it was, and moves it to the day after
        two = in_background(lambda: outcome_store(tables).replace([validated(event, measurement(third))]))
        tables.await_waiting(2)
    one.result(60)

    # THEN it has not locked the day where it finds it, and changes nothing
    with pytest.raises(SilverConflictError):
        two.result(60)
    outcome_store(tables).replace([validated(event, measurement(third))])
    assert set(tables.measurement_rows()) == {(second, ""), (third, "")}


def test_instants_of_any_number_of_days_take_a_bounded_number_of_locks(tables: SilverInPostgres) -> None:
    # GIVEN an event on each of some thousand days, and one before it on the last of them
    before, event = raw_ids(2)
    days = [EXAMPLE_INSTANT + timedelta(days=number) for number in range(-22_000, 0, 11)]
    entry = ValidatedObject(event, tuple(measurement(day) for day in days))
    tables.silver().write_outcomes([validated(before, measurement(days[-1]))])

    # WHEN it is written, and replaced
    works: list[Callable[[], object]] = [
        lambda: tables.silver().write_outcomes([entry]),
        lambda: outcome_store(tables).replace([entry]),
    ]
    held = []
    for work in works:
        with row_held(tables, days[-1]):
            writing = in_background(work)
            tables.await_waiting(1)
            held += tables.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7308333")
        writing.result(60)

    # THEN it has no more locks than a server has room for
    assert held == [[64], [64]]
    assert len(tables.measurement_rows()) == len(days)


def test_concurrent_replacements_and_writes_neither_deadlock_nor_lose(tables: SilverInPostgres) -> None:
    # GIVEN objects at a few instants of several days, half of them completed by old rules that made other keys of them
    step = timedelta(hours=9)
    identifiers = raw_ids(200)
    old = {raw_id: validated(raw_id, measurement(EXAMPLE_INSTANT + n % 7 * step, mean=-1.0))
           for n, raw_id in enumerate(identifiers)}  # fmt: skip
    new = {
        raw_id: validated(raw_id, rejection())
        if n % 5 == 0
        else validated(raw_id, measurement(EXAMPLE_INSTANT + n % 11 * step, mean=float(n)))
        for n, raw_id in enumerate(identifiers)
    }
    tables.silver().write_outcomes([old[raw_id] for raw_id in identifiers[::2]])
    barrier = threading.Barrier(4)

    def replace(number: int) -> None:
        of_tables, mine = outcome_store(tables), shuffled(identifiers[::2], number)
        barrier.wait()
        for start in range(0, len(mine), 20):
            chunk = [new[raw_id] for raw_id in mine[start : start + 20]]
            with_retries(lambda chunk=chunk: of_tables.replace(chunk), lambda: 60.0)  # type: ignore[misc]

    def write(number: int) -> None:
        silver = tables.silver()
        mine = shuffled(identifiers, number)
        barrier.wait()
        for start in range(0, len(mine), 20):
            chunk = [new[raw_id] for raw_id in mine[start : start + 20]]
            with_retries(lambda chunk=chunk: silver.write_outcomes(chunk), lambda: 60.0)  # type: ignore[misc]

    # WHEN two replays and two writers run at once, each in another order
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    tables.query("SELECT pg_stat_force_next_flush()")
    before = tables.query(deadlocks)
    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(work, n) for n, work in enumerate((replace, replace, write, write))]
        for future in running:
            future.result(120)

    # THEN nobody waited in a circle, and the rows are those of the new rules
    tables.query("SELECT pg_stat_force_next_flush()")
    assert tables.query(deadlocks) == before
    stand = {row.measurement.measured_at: row.measurement.aggregates.mean for row in tables.measurement_rows().values()}
    assert stand == {
        EXAMPLE_INSTANT + place * step: float(max(n for n in range(place, 200, 11) if n % 5)) for place in range(11)
    }
    assert len(tables.outcome_rows()) == 200


# ---- what breaks -----------------------------------------------------------------------------------------------------

REFUSED = {
    "22003": Measurement(EXAMPLE_INSTANT, "", Aggregates(1.0, 0.0, 2**40, 1.0, 1.0)),
    "22P05": Measurement(EXAMPLE_INSTANT, "\0", Aggregates(1.0, 0.0, 1, 1.0, 1.0)),
    "23514": Measurement(EXAMPLE_INSTANT, "", Aggregates(1.0, None, 1, 1.0, 1.0)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("state", REFUSED)
def test_a_refused_row_leaves_everything_as_it_was(tables: SilverInPostgres, state: str) -> None:
    good, bad = raw_ids(2)
    tables.silver().write_outcomes([validated(good), validated(bad, measurement(LATER))])
    before = everything(tables)
    of_tables = outcome_store(tables)

    with pytest.raises(RowRefusedError, match=state) as raised:
        of_tables.replace([validated(good, rejection()), validated(bad, rejection(), REFUSED[state])])

    assert everything(tables) == before
    assert raised.value.__cause__ is None
    # And the lock is not held on: others go on at once, and so does the outcome_store.
    tables.query("BEGIN")
    tables.query("SET LOCAL lock_timeout = '2s'")  # for autovacuum, which gives way
    tables.query("LOCK TABLE measurements")
    tables.query("COMMIT")
    of_tables.replace([validated(good, rejection())])
    assert list(tables.measurement_rows()) == [LATER_KEY]


def cut(tables: SilverInPostgres) -> None:
    """Cut the connection of the one who waits."""
    ((pid,),) = tables.query("SELECT pid FROM pg_locks WHERE NOT granted")
    tables.query("SELECT pg_terminate_backend(:pid, 50000)", pid=pid)


def refusal(call: Callable[[], object]) -> str:
    """Why silver can't be used. Without the error, whose frames would keep the broken socket for the collector."""
    try:
        call()
    except SilverUnavailableError as error:
        return str(error)
    return ""


def test_a_connection_cut_in_the_middle_is_rebuilt_and_all_is_done_once_more(tables: SilverInPostgres) -> None:
    # GIVEN a replacement that has removed what was there, and waits
    event, before = raw_id(), raw_id(timedelta(1))
    tables.silver().write_outcomes([validated(before, measurement(mean=1.0)), validated(event, measurement(mean=2.0))])
    with receipt_held(tables, event):
        replaced = in_background(
            lambda: outcome_store(tables).replace([validated(event, rejection(), measurement(LATER))])
        )
        tables.await_waiting(1)

        # WHEN its connection is cut
        cut(tables)
        tables.await_waiting(1)

    # THEN it is done on another one
    replaced.result(60)
    assert {key: row.raw_id for key, row in tables.measurement_rows().items()} == {KEY: before, LATER_KEY: event}
    assert set(tables.outcome_rows()) == {(before, 0), (event, 0), (event, 1)}


@pytest.mark.parametrize("used", [True, False])
def test_where_the_new_connection_is_cut_as_well_nothing_is_done(tables: SilverInPostgres, used: bool) -> None:
    event = raw_id()
    tables.silver().write_outcomes([validated(event)])
    before = everything(tables)
    of_tables = outcome_store(tables, used=used)
    with receipt_held(tables, event):
        reason = in_background(lambda: refusal(lambda: of_tables.replace([validated(event, rejection())])))
        for _ in range(2 if used else 1):
            tables.await_waiting(1)
            cut(tables)
        assert reason.result(60)
    assert everything(tables) == before

    # And the next call works.
    of_tables.replace([validated(event, rejection())])
    assert tables.measurement_rows() == {}


def test_a_lost_answer_to_the_commit_is_made_good_by_doing_it_again(
    tables: SilverInPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    event, database = raw_id(), tables.open()
    tables.silver().write_outcomes([validated(event)])
    database.run("SELECT 1")
    attempt = Database._attempt
    lost: list[str] = []

    def lose_one(self: Database, sql: str, parameters: dict[str, object]) -> list[Any]:
        rows = attempt(self, sql, parameters)
        if sql == "COMMIT" and not lost:
            lost.append(sql)
            self.close()
            raise ConnectionBrokenError("the answer was lost")
        return rows

    monkeypatch.setattr(Database, "_attempt", lose_one)
    PostgresOutcomeStore(database).replace([validated(event, measurement(LATER), rejection())])

    assert lost
    assert set(tables.outcome_rows()) == {(event, 0), (event, 1)}
    assert list(tables.measurement_rows()) == [LATER_KEY]


def test_who_waits_too_long_for_the_lock_gives_up_and_has_done_nothing(tables: SilverInPostgres) -> None:
    event, database = raw_id(), tables.open(call_seconds=3)
    tables.silver().write_outcomes([validated(event)])
    before = everything(tables)
    with row_held(tables, EXAMPLE_INSTANT), pytest.raises(SilverUnavailableError, match="57014"):
        PostgresOutcomeStore(database).replace([validated(event, rejection())])
    assert everything(tables) == before


def test_who_may_only_read_replaces_nothing(tables: SilverInPostgres) -> None:
    event = raw_id()
    tables.silver().write_outcomes([validated(event), validated(raw_id(), rejection())])
    before = everything(tables)
    reader = PostgresOutcomeStore(tables.open(database_user="dropzone_reader"))

    with pytest.raises(SilverUnavailableError, match="42501"):
        reader.replace([validated(event, rejection())])

    assert everything(tables) == before
    assert reader.outcomes([validated(event)]) == {event: (measurement(),)}
    assert len(reader.rejected_by(Code.DATA_NOT_NUMERIC, after=UUID(int=0), before=None)) == 1
