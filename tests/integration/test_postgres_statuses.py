"""What silver tells of objects, read by the role that only reads."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from dropzone.adapters.postgres_statuses import PostgresStatuses
from dropzone.domain.identifiers import earliest_raw_id
from dropzone.domain.outcomes import Code, Measurement, Rejection, ValidatedObject, Violation
from dropzone.domain.status import EventStatus, State
from dropzone.ports import MAX_ATTEMPTS
from support.factories import EXAMPLE_INSTANT, measurement, raw_ids
from support.postgres import SilverInPostgres


@pytest.fixture
def statuses(tables: SilverInPostgres) -> PostgresStatuses:
    return PostgresStatuses(tables.open(database_user="dropzone_reader"))


def rejected(raw_id: UUID, *codes: Code) -> ValidatedObject:
    return ValidatedObject(raw_id, (Rejection(tuple(Violation(code, "data", "is bad") for code in codes)),))


def test_an_object_that_silver_has_not_heard_of(statuses: PostgresStatuses) -> None:
    assert statuses.status(raw_ids(1)[0]) is None


@pytest.mark.parametrize(
    "instant", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)]
)
def test_processed_and_superseded(tables: SilverInPostgres, statuses: PostgresStatuses, instant: datetime) -> None:
    first, second = raw_ids(2)
    old, new = measurement(instant, mean=1.5), measurement(instant, mean=5e-324)
    tables.silver().write_outcomes([ValidatedObject(first, (old,)), ValidatedObject(second, (new,))])

    before, after = statuses.status(first), statuses.status(second)

    assert before is not None
    assert after is not None
    assert (before.state, before.items, before.events) == (
        State.SUPERSEDED,
        1,
        (EventStatus(0, State.SUPERSEDED, measurement=old, superseded_by=second),),
    )
    assert (after.state, after.events) == (State.PROCESSED, (EventStatus(0, State.PROCESSED, measurement=new),))


def test_rejected(tables: SilverInPostgres, statuses: PostgresStatuses) -> None:
    (raw_id,) = raw_ids(1)
    tables.silver().write_outcomes([rejected(raw_id, Code.DATA_EMPTY)])

    told = statuses.status(raw_id)

    assert told is not None
    assert told.state is State.REJECTED
    (event,) = told.events
    assert event.violations == ({"code": "data.empty", "field": "data", "message": "is bad"},)
    assert told.settled_at is not None


def test_tried_and_stuck(tables: SilverInPostgres, statuses: PostgresStatuses) -> None:
    (raw_id,) = raw_ids(1)
    silver = tables.silver()
    states = []
    for _ in range(MAX_ATTEMPTS):
        silver.record_attempts([raw_id], only_due=False)
        silver.record_errors({raw_id: "it killed its reader"})
        told = statuses.status(raw_id)
        assert told is not None
        assert told.last_error == "it killed its reader"
        states.append((told.state, told.attempts))

    assert states == [
        *((State.ACCEPTED, attempts) for attempts in range(1, MAX_ATTEMPTS)),
        (State.STUCK, MAX_ATTEMPTS),
    ]


def test_rejections_by_rule_and_time_the_last_arrival_first(
    tables: SilverInPostgres, statuses: PostgresStatuses
) -> None:
    # GIVEN events of an hour ago and of now
    old = raw_ids(3, timedelta(hours=1))
    new = raw_ids(3)
    validated = [rejected(raw_id, Code.DATA_EMPTY) for raw_id in (*old[:2], *new[:2])]
    validated += [rejected(old[2], Code.TIME_STAMP_NO_TIMEZONE, Code.DATA_NOT_NUMERIC)]
    validated += [ValidatedObject(new[2], (measurement(),))]
    tables.silver().write_outcomes(validated)

    def listed(code: Code | None = None, since: UUID | None = None, before: UUID | None = None) -> list[UUID]:
        found = statuses.rejections(code=code, since=since, before=before, limit=100)
        return [event.raw_id for event in found]

    half_an_hour_ago = earliest_raw_id(datetime.now(UTC) - timedelta(minutes=30))
    assert listed() == sorted([*old, *new[:2]], reverse=True)
    assert listed(Code.DATA_EMPTY) == sorted([*old[:2], *new[:2]], reverse=True)
    assert listed(Code.DATA_NOT_NUMERIC) == [old[2]]
    assert listed(since=half_an_hour_ago) == sorted(new[:2], reverse=True)
    assert listed(before=half_an_hour_ago) == sorted(old, reverse=True)
    assert listed(since=old[1], before=old[2]) == [old[1]]


def test_pages_of_rejections_go_on_within_an_object(tables: SilverInPostgres, statuses: PostgresStatuses) -> None:
    first, second = raw_ids(2)
    three = rejected(second, Code.DATA_EMPTY).outcomes * 3
    tables.silver().write_outcomes([rejected(first, Code.DATA_EMPTY), ValidatedObject(second, three)])
    everything = [(second, 0), (second, 1), (second, 2), (first, 0)]

    for size in range(1, 5):
        found: list[tuple[UUID, int]] = []
        while page := statuses.rejections(after=found[-1] if found else None, limit=size):
            found += [(event.raw_id, event.item) for event in page]
        assert found == everything


def test_rejections_of_a_source(tables: SilverInPostgres, statuses: PostgresStatuses) -> None:
    first, second = raw_ids(2)
    (reason,) = rejected(first, Code.DATA_EMPTY).outcomes
    assert isinstance(reason, Rejection)
    tables.silver().write_outcomes(
        [ValidatedObject(first, (reason,)), ValidatedObject(second, (reason._replace(source="hall 3"),))]
    )

    assert [event.raw_id for event in statuses.rejections(source="hall 3", limit=9)] == [second]
    assert [event.raw_id for event in statuses.rejections(source="", limit=9)] == [first]
    assert {event.source for event in statuses.rejections(limit=9)} == {"", "hall 3"}


def test_a_batch_is_told_by_counts_and_pages(tables: SilverInPostgres, statuses: PostgresStatuses) -> None:
    # GIVEN a batch of five: one stands, one gave way to another of the batch, one to a later object, two are bad
    batch, later = raw_ids(2)
    hours = [EXAMPLE_INSTANT + timedelta(hours=n) for n in range(2)]
    bad = rejected(batch, Code.DATA_EMPTY).outcomes[0]
    events = (measurement(hours[0], 1.0), bad, measurement(hours[0], 2.0), measurement(hours[1], 3.0), bad)
    tables.silver().write_outcomes(
        [ValidatedObject(batch, events), ValidatedObject(later, (measurement(hours[1], 4.0),))]
    )

    # WHEN it is asked for, in pages
    pages = [statuses.status(batch, after=after, limit=2) for after in (-1, 1, 3, 4)]

    # THEN each has the counts, and its part of the events
    assert {(page.state, page.items, tuple(page.counts.items())) for page in pages if page} == {
        (State.PROCESSED, 5, ((State.PROCESSED, 1), (State.SUPERSEDED, 2), (State.REJECTED, 2)))
    }
    assert [[(event.item, event.state, event.superseded_by) for event in page.events] for page in pages if page] == [
        [(0, State.SUPERSEDED, batch), (1, State.REJECTED, None)],
        [(2, State.PROCESSED, None), (3, State.SUPERSEDED, later)],
        [(4, State.REJECTED, None)],
        [],
    ]


@pytest.mark.parametrize(
    ("standing", "state"), [(True, State.PROCESSED), (False, State.SUPERSEDED), (None, State.REJECTED)]
)
def test_the_state_of_a_batch_is_that_of_its_best_event(
    tables: SilverInPostgres, statuses: PostgresStatuses, *, standing: bool | None, state: State
) -> None:
    batch, later = raw_ids(2)
    bad = rejected(batch, Code.DATA_EMPTY).outcomes[0]
    tables.silver().write_outcomes([ValidatedObject(batch, (bad, bad) if standing is None else (bad, measurement()))])
    if standing is False:
        tables.silver().write_outcomes([ValidatedObject(later, (measurement(),))])

    told = statuses.status(batch, limit=1)

    assert told is not None
    assert told.state is state


def test_a_part_of_a_batch_is_not_settled(tables: SilverInPostgres, statuses: PostgresStatuses) -> None:
    (batch,) = raw_ids(1)
    tables.silver().write_outcomes([ValidatedObject(batch, (measurement(),), is_whole=False)])

    told = statuses.status(batch)

    assert told is not None
    assert (told.state, told.items, told.settled_at) == (State.ACCEPTED, None, None)


def test_the_reader_sees_the_figures_as_they_were_written(tables: SilverInPostgres, statuses: PostgresStatuses) -> None:
    (raw_id,) = raw_ids(1)
    exact: Measurement = measurement(mean=0.1 + 0.2, std_dev=1.7976931348623157e308)
    tables.silver().write_outcomes([ValidatedObject(raw_id, (exact,))])

    told = statuses.status(raw_id)

    assert told is not None
    assert [event.measurement for event in told.events] == [exact]
