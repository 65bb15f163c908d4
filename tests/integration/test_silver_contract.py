"""What every silver does: the fake of the use cases' tests, and Postgres."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations
from typing import Protocol
from uuid import UUID

import pytest

from dropzone.domain.outcomes import Code, Outcome, Rejection, ValidatedObject
from dropzone.ports import MAX_ATTEMPTS, OPEN_ATTEMPT, Receipt, Silver, Written
from support.factories import EXAMPLE_INSTANT, flagged, measurement, raw_id, raw_ids, rejection, validated
from support.fakes import InMemorySilver
from support.postgres import RETRY_AFTER, SilverInPostgres
from support.rows import MeasurementRow, OutcomeRow, ReceiptRow, Tables

MOMENT = timedelta(seconds=5)
"""Longer than any call takes, much shorter than a pause."""


class Subject(Tables, Protocol):
    """The tables behind a silver, and their clock."""

    def pass_time(self, duration: timedelta) -> None: ...

    def outdate(self, raw_id: UUID, items: range) -> None: ...


@pytest.fixture(params=["in memory", "Postgres"])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Silver, Subject]]:
    if request.param == "in memory":
        fake = InMemorySilver(retry_after=RETRY_AFTER)
        yield fake, fake
    else:
        tables: SilverInPostgres = request.getfixturevalue("tables")
        yield tables.silver(), tables


@pytest.fixture
def silver(both: tuple[Silver, Subject]) -> Silver:
    return both[0]


@pytest.fixture
def subject(both: tuple[Silver, Subject]) -> Subject:
    return both[1]


def measured(subject: Subject) -> MeasurementRow:
    """The only measurement there is."""
    (row,) = subject.measurement_rows().values()
    return row


# ---- write outcomes --------------------------------------------------------------------------------------------------


def test_write_outcomes_writes_receipts_outcomes_and_measurements(silver: Silver, subject: Subject) -> None:
    # GIVEN a good object, a bad one, and one with a good event and two bad ones
    good, bad, mixed = raw_ids(3)
    second, third = measurement(EXAMPLE_INSTANT + timedelta(hours=1)), rejection(Code.DATA_EMPTY, None)

    # WHEN they are processed
    completed = silver.write_outcomes(
        [validated(good), validated(bad, rejection()), validated(mixed, rejection(), second, third)],
    )

    # THEN each has its receipt, each event its outcome, each good event its measurement
    assert completed == {good, bad, mixed}
    assert subject.receipt_rows() == {
        good: ReceiptRow(complete=True, items=1, attempts=0, last_error=None),
        bad: ReceiptRow(complete=True, items=1, attempts=0, last_error=None),
        mixed: ReceiptRow(complete=True, items=3, attempts=0, last_error=None),
    }
    assert subject.outcome_rows() == {
        (good, 0): OutcomeRow(measurement(), ()),
        (bad, 0): OutcomeRow(None, rejection().violations),
        (mixed, 0): OutcomeRow(None, rejection().violations),
        (mixed, 1): OutcomeRow(second, ()),
        (mixed, 2): OutcomeRow(None, third.violations),
    }
    assert subject.measurement_rows() == {
        (EXAMPLE_INSTANT, ""): MeasurementRow(measurement(), good, 0),
        (second.measured_at, ""): MeasurementRow(second, mixed, 1),
    }


def test_write_outcomes_of_nothing_does_nothing(silver: Silver, subject: Subject) -> None:
    assert silver.write_outcomes([]) == set()
    assert subject.receipt_rows() == {}


def test_write_outcomes_leaves_processed_objects_and_returns_the_others(silver: Silver, subject: Subject) -> None:
    # GIVEN a completed object
    old, new = raw_ids(2)
    silver.write_outcomes([validated(old, measurement(mean=1.0))])

    # WHEN it comes again, with another verdict, beside a new one at another instant
    later = measurement(EXAMPLE_INSTANT + timedelta(hours=1))
    completed = silver.write_outcomes([validated(old, measurement(mean=7.0), rejection()), validated(new, later)])

    # THEN only the new one was processed
    assert completed == {new}
    assert subject.receipt_rows()[old].items == 1
    assert subject.outcome_rows() == {
        (old, 0): OutcomeRow(measurement(mean=1.0), ()),
        (new, 0): OutcomeRow(later, ()),
    }
    assert subject.measurement_rows()[EXAMPLE_INSTANT, ""].measurement.aggregates.mean == 1.0


def test_write_outcomes_ends_the_attempts_on_an_object(silver: Silver, subject: Subject) -> None:
    # GIVEN an object that was tried in vain
    identifier = raw_id()
    silver.record_attempts([identifier], only_due=False)
    silver.record_errors({identifier: "it failed"})

    # WHEN it is processed
    assert silver.write_outcomes([validated(identifier)]) == {identifier}

    # THEN no error is left, the attempt is remembered, and it is never due again
    assert subject.receipt_rows() == {identifier: ReceiptRow(complete=True, items=1, attempts=1, last_error=None)}
    subject.pass_time(100 * RETRY_AFTER)
    assert silver.due_for_retry(10, exhausted=False) == []
    assert silver.receipts([identifier]) == {identifier: Receipt(complete=True, attempts=1)}


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("calls", ["one call", "a call each"])
def test_last_arrival_wins_whatever_the_delivery_order(
    silver: Silver, subject: Subject, order: tuple[int, ...], calls: str
) -> None:
    # GIVEN three events of one instant, in the order of their arrival
    arrived = [validated(identifier, measurement(mean=float(n))) for n, identifier in enumerate(raw_ids(3))]

    # WHEN they are delivered in any order
    delivered = [arrived[index] for index in order]
    if calls == "one call":
        silver.write_outcomes(delivered)
    else:
        for entry in delivered:
            silver.write_outcomes([entry])

    # THEN the last that arrived is there
    assert measured(subject) == MeasurementRow(measurement(mean=2.0), arrived[-1].raw_id, 0)
    assert len(subject.outcome_rows()) == 3


def test_of_one_object_the_last_item_wins(silver: Silver, subject: Subject) -> None:
    entry = validated(raw_id(), measurement(mean=1.0), measurement(mean=3.0), measurement(mean=2.0), rejection())
    silver.write_outcomes([entry])
    assert measured(subject) == MeasurementRow(measurement(mean=2.0), entry.raw_id, 2)


def test_arrival_counts_before_item(silver: Silver, subject: Subject) -> None:
    first, last = raw_ids(2)
    silver.write_outcomes([validated(last, measurement(mean=5.0))])
    silver.write_outcomes([validated(first, measurement(mean=1.0), measurement(mean=2.0))])
    assert measured(subject) == MeasurementRow(measurement(mean=5.0), last, 0)


def test_upsert_replaces_existing_figures_all_together(silver: Silver, subject: Subject) -> None:
    first, last = raw_ids(2)
    silver.write_outcomes([validated(first, measurement(mean=1.0, std_dev=1.0))])
    silver.write_outcomes([validated(last, measurement(mean=-8.0, std_dev=0.5))])
    assert measured(subject) == MeasurementRow(measurement(mean=-8.0, std_dev=0.5), last, 0)


def test_instants_are_equal_whatever_their_offset(silver: Silver, subject: Subject) -> None:
    # GIVEN one instant, written with three offsets
    instants = [
        EXAMPLE_INSTANT.astimezone(zone)
        for zone in (UTC, timezone(timedelta(hours=-4)), timezone(timedelta(hours=5, minutes=45)))
    ]

    # WHEN two come in one call and one in another
    entries: list[ValidatedObject] = [
        validated(identifier, measurement(instant, mean=float(n)))
        for n, (identifier, instant) in enumerate(zip(raw_ids(3), instants, strict=True))
    ]
    silver.write_outcomes(entries[:2])
    silver.write_outcomes(entries[2:])

    # THEN they share one row
    assert measured(subject).measurement == measurement(mean=2.0)


def test_sources_have_rows_of_their_own(silver: Silver, subject: Subject) -> None:
    silver.write_outcomes([validated(raw_id(), measurement(source="a")), validated(raw_id(), measurement(source="b"))])
    assert set(subject.measurement_rows()) == {(EXAMPLE_INSTANT, "a"), (EXAMPLE_INSTANT, "b")}


def test_instants_a_microsecond_apart_are_two(silver: Silver, subject: Subject) -> None:
    instant = datetime(2026, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC)
    silver.write_outcomes([validated(raw_id(), measurement(instant), measurement(instant + timedelta(microseconds=1)))])
    assert len(subject.measurement_rows()) == 2


# ---- parts -----------------------------------------------------------------------------------------------------------


def later(number: int) -> datetime:
    """An instant of its own."""
    return EXAMPLE_INSTANT + timedelta(minutes=number)


def part(identifier: UUID, first: int, *outcomes: Outcome, is_whole: bool = False) -> ValidatedObject:
    return ValidatedObject(identifier, outcomes, first, is_whole=is_whole)


def test_only_the_last_part_completes_an_object(silver: Silver, subject: Subject) -> None:
    identifier = raw_id()
    assert silver.write_outcomes([part(identifier, 0, measurement(later(0)), rejection())]) == set()
    assert silver.receipts([identifier]) == {identifier: Receipt(complete=False, attempts=0)}
    assert silver.write_outcomes([part(identifier, 2, measurement(later(2)), is_whole=True)]) == {identifier}
    assert subject.receipt_rows()[identifier].items == 3
    assert sorted(subject.outcome_rows()) == [(identifier, item) for item in range(3)]


def test_a_last_part_completes_nothing_before_all_others_are_written(silver: Silver, subject: Subject) -> None:
    # GIVEN the first and the third of four events
    identifier = raw_id()
    silver.write_outcomes([part(identifier, 0, measurement(later(0)))])
    silver.write_outcomes([part(identifier, 2, measurement(later(2)))])

    # WHEN the last one comes
    assert silver.write_outcomes([part(identifier, 3, measurement(later(3)), is_whole=True)]) == set()

    # THEN the object is not completed, also not by an end without events, until the second has come
    assert silver.write_outcomes([part(identifier, 4, is_whole=True)]) == set()
    assert not subject.receipt_rows()[identifier].complete
    silver.write_outcomes([part(identifier, 1, rejection())])
    assert silver.write_outcomes([part(identifier, 4, is_whole=True)]) == {identifier}
    assert subject.receipt_rows()[identifier].items == 4


def test_of_one_object_the_last_event_of_an_instant_is_kept_whichever_part_comes_last(
    silver: Silver, subject: Subject
) -> None:
    # GIVEN the second of two events of one instant, with another object's before it
    earlier, identifier = raw_ids(2)
    silver.write_outcomes([validated(earlier, measurement(later(0), mean=1.0))])
    silver.write_outcomes([part(identifier, 1, measurement(later(0), mean=3.0))])

    # WHEN the first comes after it
    silver.write_outcomes([part(identifier, 0, measurement(later(0), mean=2.0))])

    # THEN the second is the measurement still
    [row] = subject.measurement_rows().values()
    assert (row.raw_id, row.item, row.measurement.aggregates.mean) == (identifier, 1, 3.0)


def test_the_written_events_of_incomplete_objects_are_reported(silver: Silver) -> None:
    completed, begun, gaps, attempted, unknown = raw_ids(5)
    silver.write_outcomes([validated(completed), part(begun, 0, measurement(later(1)), measurement(later(2)))])
    silver.write_outcomes([part(gaps, 0, measurement(later(3)), rejection(), rejection(Code.DATA_EMPTY, None))])
    two = Rejection((*rejection().violations, *rejection(Code.TIME_STAMP_NO_TIMEZONE).violations))
    silver.write_outcomes([part(gaps, 4, two)])
    warned = flagged(measurement(later(5)), Code.VALUE_SENTINEL, Code.DATA_EMPTY)
    silver.write_outcomes([part(gaps, 5, warned), part(begun, 2, flagged(measurement(later(6)), Code.VALUE_SENTINEL))])
    silver.record_attempts([attempted], only_due=False)
    assert silver.written([completed, begun, gaps, attempted, unknown]) == {
        begun: Written((range(3),), flagged=1),
        gaps: Written(
            (range(3), range(4, 6)),
            rejected=3,
            codes={Code.DATA_NOT_NUMERIC: 2, Code.DATA_EMPTY: 1, Code.TIME_STAMP_NO_TIMEZONE: 1},
            flagged=1,
        ),
    }
    assert silver.written([]) == {}


def test_outcomes_of_other_rules_are_counted_at_any_item(silver: Silver, subject: Subject) -> None:
    identifier = raw_id()
    silver.write_outcomes([part(identifier, 0, *(measurement(later(n)) for n in range(6)))])
    for items in (range(1, 3), range(4, 5)):
        subject.outdate(identifier, items)

    assert silver.written([identifier]) == {
        identifier: Written((range(1), range(3, 4), range(5, 6)), outdated=3),
    }


def test_what_was_written_under_other_rules_is_discarded_and_what_was_before_it_returns(
    silver: Silver, subject: Subject
) -> None:
    # GIVEN an object of which five events are written, three of them under the rules of before, and an earlier one of
    # the same instants
    earlier, identifier, completed = raw_ids(3)
    silver.write_outcomes([validated(earlier, *(measurement(later(n), mean=1.0) for n in range(3)))])
    silver.write_outcomes([part(identifier, 0, *(measurement(later(n), mean=2.0) for n in range(5)))])
    silver.write_outcomes([validated(completed, *(measurement(later(n)) for n in range(7, 9)))])
    subject.outdate(identifier, range(3))
    subject.outdate(completed, range(2))
    assert silver.written([identifier]) == {identifier: Written((range(3, 5),), outdated=3)}

    # WHEN these are discarded, two at a time
    assert [silver.discard_outdated(identifier, 2) for _ in range(3)] == [2, 1, 0]
    assert silver.discard_outdated(completed, 2) == 0

    # THEN the others stay, and the measurements of the earlier one are there again
    assert silver.written([identifier]) == {identifier: Written((range(3, 5),))}
    assert sorted(item for owner, item in subject.outcome_rows() if owner == identifier) == [3, 4]
    current = {key[0]: row.raw_id for key, row in subject.measurement_rows().items()}
    assert current == {
        **{later(n): earlier for n in range(3)},
        **{later(n): identifier for n in range(3, 5)},
        **{later(n): completed for n in range(7, 9)},
    }


# ---- receipts and attempts -------------------------------------------------------------------------------------------


def test_receipts_are_those_of_the_objects_asked_for(silver: Silver) -> None:
    completed, attempted, unknown, other = raw_ids(4)
    silver.write_outcomes([validated(completed), validated(other)])
    silver.record_attempts([attempted], only_due=False)
    assert silver.receipts([completed, attempted, unknown]) == {
        completed: Receipt(complete=True, attempts=0),
        attempted: Receipt(complete=False, attempts=1),
    }
    assert silver.receipts([]) == {}


@pytest.mark.parametrize("only_due", [True, False])
def test_a_first_attempt_is_recorded(silver: Silver, subject: Subject, *, only_due: bool) -> None:
    identifiers = set(raw_ids(3))
    assert silver.record_attempts(identifiers, only_due=only_due) == identifiers
    row = ReceiptRow(complete=False, items=None, attempts=1, last_error=OPEN_ATTEMPT)
    assert subject.receipt_rows() == dict.fromkeys(identifiers, row)
    assert silver.record_attempts([], only_due=only_due) == set()


@pytest.mark.parametrize("only_due", [True, False])
def test_attempts_on_processed_objects_are_not_recorded(silver: Silver, subject: Subject, *, only_due: bool) -> None:
    completed, fresh = raw_ids(2)
    silver.write_outcomes([validated(completed)])
    assert silver.record_attempts([completed, fresh], only_due=only_due) == {fresh}
    assert subject.receipt_rows()[completed].attempts == 0


def test_of_two_sweeps_one_gets_the_object_until_it_is_due_again(silver: Silver, subject: Subject) -> None:
    # GIVEN a attempted object
    identifier = raw_id()
    silver.record_attempts([identifier], only_due=True)

    # THEN nobody gets it before its time
    assert silver.record_attempts([identifier], only_due=True) == set()
    subject.pass_time(RETRY_AFTER - MOMENT)
    assert silver.record_attempts([identifier], only_due=True) == set()
    assert silver.due_for_retry(10, exhausted=False) == []
    assert subject.receipt_rows()[identifier].attempts == 1

    # AND one does afterwards
    subject.pass_time(MOMENT)
    assert silver.due_for_retry(10, exhausted=False) == [identifier]
    assert silver.record_attempts([identifier], only_due=True) == {identifier}
    assert silver.record_attempts([identifier], only_due=True) == set()
    assert subject.receipt_rows()[identifier].attempts == 2


def test_an_attempt_of_the_queue_waits_for_no_time(silver: Silver, subject: Subject) -> None:
    identifier = raw_id()
    for attempts in range(1, 20):
        assert silver.record_attempts([identifier], only_due=False) == {identifier}
        assert subject.receipt_rows()[identifier].attempts == attempts


def test_pauses_double(silver: Silver, subject: Subject) -> None:
    identifier = raw_id()
    for attempt in range(1, MAX_ATTEMPTS):
        assert silver.record_attempts([identifier], only_due=True) == {identifier}
        subject.pass_time(RETRY_AFTER * 2 ** (attempt - 1) - MOMENT)
        assert silver.due_for_retry(10, exhausted=False) == []
        subject.pass_time(MOMENT)
        assert silver.due_for_retry(10, exhausted=False) == [identifier]


def test_a_part_does_not_bring_the_next_try_forward(silver: Silver, subject: Subject) -> None:
    # GIVEN an object whose third try wrote a part
    identifier = raw_id()
    for _ in range(3):
        silver.record_attempts([identifier], only_due=False)
    silver.write_outcomes([ValidatedObject(identifier, (measurement(),), 0, is_whole=False)])

    # THEN it waits as long as after any third try
    subject.pass_time(4 * RETRY_AFTER - MOMENT)
    assert silver.due_for_retry(10, exhausted=False) == []
    subject.pass_time(MOMENT)
    assert silver.due_for_retry(10, exhausted=False) == [identifier]


def test_exhausted_objects_are_retried_hourly_and_after_a_day_daily(silver: Silver, subject: Subject) -> None:
    # GIVEN an object that was tried five times
    identifier = raw_id()
    for _ in range(MAX_ATTEMPTS - 1):
        silver.record_attempts([identifier], only_due=True)
        subject.pass_time(RETRY_AFTER * 2**MAX_ATTEMPTS)

    # WHEN attempts follow, each as soon as it is due
    def hours_to_the_next_attempt() -> int:
        assert silver.record_attempts([identifier], only_due=True) == {identifier}
        for hours in range(1, 25):
            subject.pass_time(timedelta(hours=1) - MOMENT)
            if hours == 1:
                assert silver.due_for_retry(10, exhausted=True) == []
            subject.pass_time(MOMENT)
            if silver.due_for_retry(10, exhausted=True):
                return hours
        return 0

    pauses = [hours_to_the_next_attempt() for _ in range(26)]

    # THEN they are an hour apart for a day, and then a day, and only those who ask for exhausted objects get them
    assert pauses == [1] * 24 + [24, 24]
    assert silver.due_for_retry(10, exhausted=False) == []
    assert silver.write_outcomes([validated(identifier)]) == {identifier}
    assert silver.due_for_retry(10, exhausted=True) == []


# ---- release attempts, record errors, due for retry ------------------------------------------------------------------


def test_a_released_attempt_does_not_count_and_pauses_once(silver: Silver, subject: Subject) -> None:
    # GIVEN an object tried for the second time
    identifier, completed, unknown = raw_ids(3)
    silver.write_outcomes([validated(completed)])
    silver.record_attempts([identifier], only_due=False)
    silver.record_attempts([identifier], only_due=False)

    # WHEN its attempt is released
    silver.release_attempts({identifier: "bronze was away", completed: "no", unknown: "no"})

    # THEN that try doesn't count, and the next is due after the first pause
    assert subject.receipt_rows() == {
        identifier: ReceiptRow(complete=False, items=None, attempts=1, last_error="bronze was away"),
        completed: ReceiptRow(complete=True, items=1, attempts=0, last_error=None),
    }
    subject.pass_time(RETRY_AFTER - MOMENT)
    assert silver.due_for_retry(10, exhausted=False) == []
    subject.pass_time(MOMENT)
    assert silver.due_for_retry(10, exhausted=False) == [identifier]


def test_releases_never_count_below_zero(silver: Silver, subject: Subject) -> None:
    identifier = raw_id()
    silver.record_attempts([identifier], only_due=False)
    silver.release_attempts({identifier: "once"})
    silver.release_attempts({identifier: "twice"})
    assert subject.receipt_rows()[identifier] == ReceiptRow(complete=False, items=None, attempts=0, last_error="twice")
    subject.pass_time(RETRY_AFTER)
    assert silver.due_for_retry(10, exhausted=False) == [identifier]


def test_an_attempt_may_be_released_to_be_made_now(silver: Silver, subject: Subject) -> None:
    identifier = raw_id()
    silver.record_attempts([identifier], only_due=False)
    silver.release_attempts({identifier: "no time was left"}, retry_now=True)
    assert silver.due_for_retry(10, exhausted=False) == [identifier]
    assert silver.record_attempts([identifier], only_due=True) == {identifier}
    assert subject.receipt_rows()[identifier].attempts == 1


def test_record_errors_changes_unprocessed_objects_only(silver: Silver, subject: Subject) -> None:
    attempted, other, completed, unknown = raw_ids(4)
    silver.record_attempts([attempted, other], only_due=False)
    silver.write_outcomes([validated(completed)])
    reason = 'ObjectMissingError: it\'s "gone" \\ {é}'
    silver.record_errors({attempted: reason, completed: "no", unknown: "no"})
    assert subject.receipt_rows() == {
        attempted: ReceiptRow(complete=False, items=None, attempts=1, last_error=reason),
        other: ReceiptRow(complete=False, items=None, attempts=1, last_error=OPEN_ATTEMPT),
        completed: ReceiptRow(complete=True, items=1, attempts=0, last_error=None),
    }
    silver.record_errors({})
    silver.release_attempts({})


def test_due_objects_come_fewest_attempts_first_then_in_order_of_arrival(silver: Silver, subject: Subject) -> None:
    # GIVEN objects with one to four attempts, and some that are not to be tried
    first, second, third, fourth, completed, waiting = raw_ids(6)
    for attempted in ([first, second, third, fourth, completed], [first, third], [first, third], [third]):
        silver.record_attempts(attempted, only_due=False)
    silver.write_outcomes([validated(completed)])
    subject.pass_time(RETRY_AFTER * 2**MAX_ATTEMPTS)
    silver.record_attempts([waiting], only_due=False)

    # THEN they come in this order, up to the limit
    assert silver.due_for_retry(10, exhausted=False) == [second, fourth, first, third]
    assert silver.due_for_retry(3, exhausted=False) == [second, fourth, first]


# ---- the watermark ---------------------------------------------------------------------------------------------------


def test_watermark_begins_before_every_object_and_never_sinks(silver: Silver) -> None:
    lower, higher = raw_ids(2)
    assert silver.watermark() == UUID(int=0)
    silver.advance_watermark(higher)
    silver.advance_watermark(lower)
    assert silver.watermark() == higher
    silver.advance_watermark(higher)
    assert silver.watermark() == higher


def test_the_backlog_is_what_was_tried_and_of_it_what_was_tried_too_often(silver: Silver) -> None:
    waiting, stuck, completed = raw_ids(3)
    for _ in range(MAX_ATTEMPTS):
        silver.record_attempts([stuck, completed], only_due=False)
    silver.record_attempts([waiting], only_due=False)
    assert silver.backlog() == (3, 2)

    silver.write_outcomes([validated(completed, measurement())])

    assert silver.backlog() == (2, 1)
