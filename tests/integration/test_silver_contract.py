"""What every silver does: the fake of the use cases' tests, and Postgres."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations
from typing import Protocol
from uuid import UUID

import pytest

from dropzone.domain.outcomes import Code, JudgedObject
from dropzone.ports import MAX_ATTEMPTS, Receipt, Silver
from support.factories import EXAMPLE_INSTANT, judged, measurement, raw_id, raw_ids, rejection
from support.fakes import InMemorySilver
from support.postgres import RETRY_AFTER, SilverInPostgres
from support.rows import MeasurementRow, OutcomeRow, ReceiptRow, Tables

MOMENT = timedelta(seconds=5)
"""Longer than any call takes, much shorter than a pause."""


class Subject(Tables, Protocol):
    """The tables behind a silver, and their clock."""

    def pass_time(self, duration: timedelta) -> None: ...


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


# ---- settle ----------------------------------------------------------------------------------------------------------


def test_settle_writes_receipts_outcomes_and_measurements(silver: Silver, subject: Subject) -> None:
    # GIVEN a good object, a bad one, and one with a good event and two bad ones
    good, bad, mixed = raw_ids(3)
    second, third = measurement(EXAMPLE_INSTANT + timedelta(hours=1)), rejection(Code.DATA_EMPTY, None)

    # WHEN they are settled
    settled = silver.settle(
        [judged(good), judged(bad, rejection()), judged(mixed, rejection(), second, third)],
    )

    # THEN each has its receipt, each event its outcome, each good event its measurement
    assert settled == {good, bad, mixed}
    assert subject.receipt_rows() == {
        good: ReceiptRow(settled=True, items=1, attempts=0, last_error=None),
        bad: ReceiptRow(settled=True, items=1, attempts=0, last_error=None),
        mixed: ReceiptRow(settled=True, items=3, attempts=0, last_error=None),
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


def test_settle_of_nothing_does_nothing(silver: Silver, subject: Subject) -> None:
    assert silver.settle([]) == set()
    assert subject.receipt_rows() == {}


def test_settle_leaves_settled_objects_as_they_are_and_returns_the_others(silver: Silver, subject: Subject) -> None:
    # GIVEN a settled object
    old, new = raw_ids(2)
    silver.settle([judged(old, measurement(mean=1.0))])

    # WHEN it comes again, with another verdict, beside a new one at another instant
    later = measurement(EXAMPLE_INSTANT + timedelta(hours=1))
    settled = silver.settle([judged(old, measurement(mean=7.0), rejection()), judged(new, later)])

    # THEN only the new one was settled
    assert settled == {new}
    assert subject.receipt_rows()[old].items == 1
    assert subject.outcome_rows() == {
        (old, 0): OutcomeRow(measurement(mean=1.0), ()),
        (new, 0): OutcomeRow(later, ()),
    }
    assert subject.measurement_rows()[EXAMPLE_INSTANT, ""].measurement.aggregates.mean == 1.0


def test_settle_ends_the_tries_of_a_claimed_object(silver: Silver, subject: Subject) -> None:
    # GIVEN an object that was tried in vain
    identifier = raw_id()
    silver.claim([identifier], only_due=False)
    silver.explain({identifier: "it failed"})

    # WHEN it is settled
    assert silver.settle([judged(identifier)]) == {identifier}

    # THEN no error is left, the attempt is remembered, and it is never due again
    assert subject.receipt_rows() == {identifier: ReceiptRow(settled=True, items=1, attempts=1, last_error=None)}
    subject.pass_time(100 * RETRY_AFTER)
    assert silver.due(10) == []
    assert silver.receipts([identifier]) == {identifier: Receipt(settled=True, attempts=1)}


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("calls", ["one call", "a call each"])
def test_last_arrival_wins_whatever_the_delivery_order(
    silver: Silver, subject: Subject, order: tuple[int, ...], calls: str
) -> None:
    # GIVEN three events of one instant, in the order of their arrival
    arrived = [judged(identifier, measurement(mean=float(n))) for n, identifier in enumerate(raw_ids(3))]

    # WHEN they are delivered in any order
    delivered = [arrived[index] for index in order]
    if calls == "one call":
        silver.settle(delivered)
    else:
        for entry in delivered:
            silver.settle([entry])

    # THEN the last that arrived stands there
    assert measured(subject) == MeasurementRow(measurement(mean=2.0), arrived[-1].raw_id, 0)
    assert len(subject.outcome_rows()) == 3


def test_of_one_object_the_last_item_wins(silver: Silver, subject: Subject) -> None:
    entry = judged(raw_id(), measurement(mean=1.0), measurement(mean=3.0), measurement(mean=2.0), rejection())
    silver.settle([entry])
    assert measured(subject) == MeasurementRow(measurement(mean=2.0), entry.raw_id, 2)


def test_arrival_counts_before_item(silver: Silver, subject: Subject) -> None:
    first, last = raw_ids(2)
    silver.settle([judged(last, measurement(mean=5.0))])
    silver.settle([judged(first, measurement(mean=1.0), measurement(mean=2.0))])
    assert measured(subject) == MeasurementRow(measurement(mean=5.0), last, 0)


def test_upsert_replaces_existing_figures_all_together(silver: Silver, subject: Subject) -> None:
    first, last = raw_ids(2)
    silver.settle([judged(first, measurement(mean=1.0, std_dev=1.0))])
    silver.settle([judged(last, measurement(mean=-8.0, std_dev=0.5))])
    assert measured(subject) == MeasurementRow(measurement(mean=-8.0, std_dev=0.5), last, 0)


def test_instants_are_equal_whatever_their_offset(silver: Silver, subject: Subject) -> None:
    # GIVEN one instant, written with three offsets
    instants = [
        EXAMPLE_INSTANT.astimezone(zone)
        for zone in (UTC, timezone(timedelta(hours=-4)), timezone(timedelta(hours=5, minutes=45)))
    ]

    # WHEN two come in one call and one in another
    entries: list[JudgedObject] = [
        judged(identifier, measurement(instant, mean=float(n)))
        for n, (identifier, instant) in enumerate(zip(raw_ids(3), instants, strict=True))
    ]
    silver.settle(entries[:2])
    silver.settle(entries[2:])

    # THEN they share one row
    assert measured(subject).measurement == measurement(mean=2.0)


def test_sources_have_rows_of_their_own(silver: Silver, subject: Subject) -> None:
    silver.settle([judged(raw_id(), measurement(source="a")), judged(raw_id(), measurement(source="b"))])
    assert set(subject.measurement_rows()) == {(EXAMPLE_INSTANT, "a"), (EXAMPLE_INSTANT, "b")}


def test_instants_a_microsecond_apart_are_two(silver: Silver, subject: Subject) -> None:
    instant = datetime(2026, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC)
    silver.settle([judged(raw_id(), measurement(instant), measurement(instant + timedelta(microseconds=1)))])
    assert len(subject.measurement_rows()) == 2


# ---- receipts and claims ---------------------------------------------------------------------------------------------


def test_receipts_are_those_of_the_objects_asked_for(silver: Silver) -> None:
    settled, claimed, unknown, other = raw_ids(4)
    silver.settle([judged(settled), judged(other)])
    silver.claim([claimed], only_due=False)
    assert silver.receipts([settled, claimed, unknown]) == {
        settled: Receipt(settled=True, attempts=0),
        claimed: Receipt(settled=False, attempts=1),
    }
    assert silver.receipts([]) == {}


@pytest.mark.parametrize("only_due", [True, False])
def test_claim_records_a_first_attempt(silver: Silver, subject: Subject, *, only_due: bool) -> None:
    identifiers = set(raw_ids(3))
    assert silver.claim(identifiers, only_due=only_due) == identifiers
    row = ReceiptRow(settled=False, items=None, attempts=1, last_error=None)
    assert subject.receipt_rows() == dict.fromkeys(identifiers, row)
    assert silver.claim([], only_due=only_due) == set()


@pytest.mark.parametrize("only_due", [True, False])
def test_claim_leaves_settled_objects_out(silver: Silver, subject: Subject, *, only_due: bool) -> None:
    settled, fresh = raw_ids(2)
    silver.settle([judged(settled)])
    assert silver.claim([settled, fresh], only_due=only_due) == {fresh}
    assert subject.receipt_rows()[settled].attempts == 0


def test_of_two_claims_one_gets_the_object_until_it_is_due_again(silver: Silver, subject: Subject) -> None:
    # GIVEN a claimed object
    identifier = raw_id()
    silver.claim([identifier], only_due=True)

    # THEN nobody gets it before its time
    assert silver.claim([identifier], only_due=True) == set()
    subject.pass_time(RETRY_AFTER - MOMENT)
    assert silver.claim([identifier], only_due=True) == set()
    assert silver.due(10) == []
    assert subject.receipt_rows()[identifier].attempts == 1

    # AND one does afterwards
    subject.pass_time(MOMENT)
    assert silver.due(10) == [identifier]
    assert silver.claim([identifier], only_due=True) == {identifier}
    assert silver.claim([identifier], only_due=True) == set()
    assert subject.receipt_rows()[identifier].attempts == 2


def test_claim_of_the_queue_waits_for_no_time(silver: Silver, subject: Subject) -> None:
    identifier = raw_id()
    for attempts in range(1, 20):
        assert silver.claim([identifier], only_due=False) == {identifier}
        assert subject.receipt_rows()[identifier].attempts == attempts


def test_pauses_double(silver: Silver, subject: Subject) -> None:
    identifier = raw_id()
    for attempt in range(1, MAX_ATTEMPTS):
        assert silver.claim([identifier], only_due=True) == {identifier}
        subject.pass_time(RETRY_AFTER * 2 ** (attempt - 1) - MOMENT)
        assert silver.due(10) == []
        subject.pass_time(MOMENT)
        assert silver.due(10) == [identifier]


def test_after_five_attempts_an_object_is_stuck(silver: Silver, subject: Subject) -> None:
    # GIVEN an object that was tried five times
    identifier = raw_id()
    for _ in range(MAX_ATTEMPTS):
        assert silver.claim([identifier], only_due=True) == {identifier}
        subject.pass_time(RETRY_AFTER * 2**MAX_ATTEMPTS)

    # THEN no sweep gets it any more, and the queue, after a redrive, still does
    assert silver.due(10) == []
    assert silver.claim([identifier], only_due=True) == set()
    assert subject.receipt_rows()[identifier].attempts == MAX_ATTEMPTS
    assert silver.claim([identifier], only_due=False) == {identifier}
    assert silver.settle([judged(identifier)]) == {identifier}


# ---- give back, explain, due -----------------------------------------------------------------------------------------


def test_give_back_takes_the_attempt_back_and_pauses_once(silver: Silver, subject: Subject) -> None:
    # GIVEN an object tried for the second time
    identifier, settled, unknown = raw_ids(3)
    silver.settle([judged(settled)])
    silver.claim([identifier], only_due=False)
    silver.claim([identifier], only_due=False)

    # WHEN its claim is given back
    silver.give_back({identifier: "bronze was away", settled: "no", unknown: "no"})

    # THEN that try doesn't count, and the next is due after the first pause
    assert subject.receipt_rows() == {
        identifier: ReceiptRow(settled=False, items=None, attempts=1, last_error="bronze was away"),
        settled: ReceiptRow(settled=True, items=1, attempts=0, last_error=None),
    }
    subject.pass_time(RETRY_AFTER - MOMENT)
    assert silver.due(10) == []
    subject.pass_time(MOMENT)
    assert silver.due(10) == [identifier]


def test_give_back_never_counts_below_zero(silver: Silver, subject: Subject) -> None:
    identifier = raw_id()
    silver.claim([identifier], only_due=False)
    silver.give_back({identifier: "once"})
    silver.give_back({identifier: "twice"})
    assert subject.receipt_rows()[identifier] == ReceiptRow(settled=False, items=None, attempts=0, last_error="twice")
    subject.pass_time(RETRY_AFTER)
    assert silver.due(10) == [identifier]


def test_explain_notes_why_on_unsettled_objects_alone(silver: Silver, subject: Subject) -> None:
    claimed, other, settled, unknown = raw_ids(4)
    silver.claim([claimed, other], only_due=False)
    silver.settle([judged(settled)])
    reason = 'ObjectMissingError: it\'s "gone" \\ {é}'
    silver.explain({claimed: reason, settled: "no", unknown: "no"})
    assert subject.receipt_rows() == {
        claimed: ReceiptRow(settled=False, items=None, attempts=1, last_error=reason),
        other: ReceiptRow(settled=False, items=None, attempts=1, last_error=None),
        settled: ReceiptRow(settled=True, items=1, attempts=0, last_error=None),
    }
    silver.explain({})
    silver.give_back({})


def test_due_gives_fewest_attempts_first_then_in_order_of_arrival(silver: Silver, subject: Subject) -> None:
    # GIVEN objects with one to four attempts, and some that are not to be tried
    first, second, third, fourth, settled, waiting = raw_ids(6)
    for claimed in ([first, second, third, fourth, settled], [first, third], [first, third], [third]):
        silver.claim(claimed, only_due=False)
    silver.settle([judged(settled)])
    subject.pass_time(RETRY_AFTER * 2**MAX_ATTEMPTS)
    silver.claim([waiting], only_due=False)

    # THEN they come in this order, up to the limit
    assert silver.due(10) == [second, fourth, first, third]
    assert silver.due(3) == [second, fourth, first]


# ---- the watermark ---------------------------------------------------------------------------------------------------


def test_watermark_begins_before_every_object_and_never_sinks(silver: Silver) -> None:
    lower, higher = raw_ids(2)
    assert silver.watermark() == UUID(int=0)
    silver.advance_watermark(higher)
    silver.advance_watermark(lower)
    assert silver.watermark() == higher
    silver.advance_watermark(higher)
    assert silver.watermark() == higher


def test_stuck_counts_what_was_tried_too_often(silver: Silver) -> None:
    waiting, stuck, settled = raw_ids(3)
    for _ in range(MAX_ATTEMPTS):
        silver.claim([stuck, settled], only_due=False)
    silver.claim([waiting], only_due=False)
    assert silver.stuck() == 2

    silver.settle([judged(settled, measurement())])

    assert silver.stuck() == 1
