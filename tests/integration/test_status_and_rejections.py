"""The statuses of objects in silver, read by the role that only reads."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from dropzone.adapters.database import Database
from dropzone.api import problems
from dropzone.api.gateway import milliseconds
from dropzone.api.problems import ProblemError
from dropzone.domain.identifiers import earliest_raw_id, new_raw_id, received_at
from dropzone.domain.outcomes import Code, Measurement, Rejection, ValidatedObject, Violation
from dropzone.ports import MAX_ATTEMPTS
from dropzone.queries.measurements import MeasurementsRequest, read_measurements
from dropzone.queries.rejections import RejectionsPage, RejectionsRequest, read_rejections
from dropzone.queries.status import ObjectStatus, State, StatusRequest, read_status
from support.factories import EXAMPLE_INSTANT, READER, measurement, raw_ids
from support.postgres import SilverInPostgres, months_opened


@dataclass(slots=True)
class Statuses:
    """Silver as the function Query reads it, beside a bronze that has these objects, or all."""

    database: Database
    there: set[UUID] | None = None

    def sender(self, raw_id: UUID) -> str | None:
        return "" if self.there is None or raw_id in self.there else None

    def status(self, raw_id: UUID, after: int = -1, limit: int = 100) -> ObjectStatus:
        request = StatusRequest(cursor=after, limit=limit)
        return read_status(self.database, self, raw_id, request, access=READER, gzip=False)

    def rejections(self, limit: int = 100, cursor: str | None = None, **asked: object) -> RejectionsPage:
        request: dict[str, Any] = {"code": None, "source": None, "since": None, "until": None, "tz": "UTC", **asked}
        return read_rejections(
            self.database, RejectionsRequest.model_construct(**request, limit=limit, cursor=cursor), reads=None
        )


@pytest.fixture
def statuses(tables: SilverInPostgres) -> Statuses:
    return Statuses(tables.open(database_user="dropzone_reader"))


def rejected(raw_id: UUID, *codes: Code) -> ValidatedObject:
    return ValidatedObject(raw_id, (Rejection(tuple(Violation(code, "data", "is bad") for code in codes)),))


def figures(of: Measurement) -> dict[str, object]:
    """The fields of a measurement in a status."""
    mean, std_dev, sample_count, minimum, maximum = of.aggregates
    return {
        "measured_at": of.measured_at,
        "source": of.source,
        "mean": mean,
        "std_dev": std_dev,
        "sample_count": sample_count,
        "min": minimum,
        "max": maximum,
        "unit": of.unit,
        "tags": of.tags,
    }


def test_object_is_accepted_while_bronze_has_it(statuses: Statuses) -> None:
    (raw_id,) = raw_ids(1)
    accepted = {"raw_id": raw_id, "status": "accepted", "received_at": milliseconds(received_at(raw_id))}

    assert statuses.status(raw_id) == accepted

    statuses.there = set()
    with pytest.raises(ProblemError) as raised:
        statuses.status(raw_id)
    assert raised.value.type is problems.NO_SUCH_OBJECT


@pytest.mark.parametrize("attempts", [1, MAX_ATTEMPTS])
def test_object_that_was_tried_and_is_gone_is_not_found(
    tables: SilverInPostgres, statuses: Statuses, attempts: int
) -> None:
    (raw_id,) = raw_ids(1)
    for _ in range(attempts):
        tables.silver().record_attempts([raw_id], only_due=False)

    statuses.there = set()

    with pytest.raises(ProblemError) as raised:
        statuses.status(raw_id)
    assert raised.value.type is problems.OBJECT_GONE


@pytest.mark.parametrize(
    "instant", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)]
)
def test_processed_and_superseded(tables: SilverInPostgres, statuses: Statuses, instant: datetime) -> None:
    first, second = raw_ids(2)
    old = measurement(instant, mean=1.5)._replace(unit="°C", tags={"k": "v"})
    new = measurement(instant, mean=5e-324)
    tables.silver().write_outcomes([ValidatedObject(first, (old,)), ValidatedObject(second, (new,))])
    # Whatever has happened to the objects since.
    statuses.there = set()

    before, after = statuses.status(first), statuses.status(second)

    assert before == {
        "raw_id": first,
        "status": "superseded",
        "received_at": milliseconds(received_at(first)),
        "settled_at": before["settled_at"],
        "items": 1,
        **figures(old),
        "superseded_by": str(second),
    }
    assert after == {
        "raw_id": second,
        "status": "processed",
        "received_at": milliseconds(received_at(second)),
        "settled_at": after["settled_at"],
        "items": 1,
        **figures(new),
    }
    # Of a single event, there is no page to go on with.
    assert statuses.status(second, after=0).keys() == {"raw_id", "status", "received_at", "settled_at", "items"}


def test_rejected(tables: SilverInPostgres, statuses: Statuses) -> None:
    (raw_id,) = raw_ids(1)
    tables.silver().write_outcomes([rejected(raw_id, Code.DATA_EMPTY)])

    status = statuses.status(raw_id)

    assert status["status"] == "rejected"
    assert status["violations"] == [{"code": "data.empty", "field": "data", "message": "is bad"}]
    assert status.keys() == {"raw_id", "status", "received_at", "settled_at", "items", "violations"}


def test_a_status_opens_the_months_of_its_events_alone(tables: SilverInPostgres, statuses: Statuses) -> None:
    (raw_id,) = raw_ids(1)
    month = datetime.now(UTC)
    tables.silver().write_outcomes([ValidatedObject(raw_id, (measurement(month),))])

    opened = months_opened(statuses.database, lambda: statuses.status(raw_id))

    assert opened == [f"{table}_{month:%Y_%m}" for table in ("measurements", "outcomes", "receipts")]


def test_the_newest_are_read_without_the_months_before(tables_in_months: SilverInPostgres, statuses: Statuses) -> None:
    now, old = datetime.now(UTC), datetime(2019, 5, 2, tzinfo=UTC)
    for table in ("outcomes", "measurements"):
        tables_in_months.query("SELECT parts.add_month(:table, '2019-05-01')", table=table)
    for at, raw_id in ((old, earliest_raw_id(old)), (now, new_raw_id()), (now - timedelta(seconds=1), new_raw_id())):
        outcomes = (measurement(at), *rejected(raw_id, Code.DATA_EMPTY).outcomes)
        tables_in_months.silver().write_outcomes([ValidatedObject(raw_id, outcomes)])
    # One more is looked for, to know whether there are more.
    enough, more = MeasurementsRequest(limit=1), MeasurementsRequest(limit=2)

    assert "measurements_2019_05" not in months_opened(
        statuses.database, lambda: read_measurements(statuses.database, enough, reads=None)
    )
    assert "measurements_2019_05" in months_opened(
        statuses.database, lambda: read_measurements(statuses.database, more, reads=None)
    )
    assert "outcomes_2019_05" not in months_opened(statuses.database, lambda: statuses.rejections(1, resolved="all"))
    assert "outcomes_2019_05" in months_opened(statuses.database, lambda: statuses.rejections(2, resolved="all"))
    assert len(statuses.rejections(3, resolved="all")["rejections"]) == 3


def test_tried_and_stuck(tables: SilverInPostgres, statuses: Statuses) -> None:
    (raw_id,) = raw_ids(1)
    silver = tables.silver()
    states = []
    for _ in range(MAX_ATTEMPTS):
        silver.record_attempts([raw_id], only_due=False)
        silver.record_errors({raw_id: "its process died"})
        status = statuses.status(raw_id)
        assert status["last_error"] == "its process died"
        states.append((status["status"], status["attempts"]))

    assert states == [*(("accepted", attempts) for attempts in range(1, MAX_ATTEMPTS)), ("stuck", MAX_ATTEMPTS)]


def test_rejections_by_rule_and_time_the_last_arrival_first(tables: SilverInPostgres, statuses: Statuses) -> None:
    # GIVEN events of an hour ago and of now
    old = raw_ids(3, timedelta(hours=1))
    new = raw_ids(3)
    validated = [rejected(raw_id, Code.DATA_EMPTY) for raw_id in (*old[:2], *new[:2])]
    validated += [rejected(old[2], Code.TIME_STAMP_NO_TIMEZONE, Code.DATA_NOT_NUMERIC)]
    validated += [ValidatedObject(new[2], (measurement(),))]
    tables.silver().write_outcomes(validated)

    def listed(code: Code | None = None, since: datetime | None = None, until: datetime | None = None) -> list[str]:
        found = statuses.rejections(code=code, since=since, until=until)["rejections"]
        for event in found:
            assert event["received_at"] == milliseconds(received_at(UUID(str(event["raw_id"]))))
        return [str(event["raw_id"]) for event in found]

    half_an_hour_ago = datetime.now(UTC) - timedelta(minutes=30)
    assert listed() == texts(*old, *new[:2])
    assert listed(Code.DATA_EMPTY) == texts(*old[:2], *new[:2])
    assert listed(Code.DATA_NOT_NUMERIC) == texts(old[2])
    assert listed(since=half_an_hour_ago) == texts(*new[:2])
    assert listed(until=half_an_hour_ago) == texts(*old)
    assert listed(since=received_at(old[1]), until=received_at(old[1])) == []


def texts(*raw_ids: UUID) -> list[str]:
    """The last first."""
    return sorted(map(str, raw_ids), reverse=True)


def test_pages_of_rejections_go_on_within_an_object(tables: SilverInPostgres, statuses: Statuses) -> None:
    first, second = raw_ids(2)
    three = rejected(second, Code.DATA_EMPTY).outcomes * 3
    tables.silver().write_outcomes([rejected(first, Code.DATA_EMPTY), ValidatedObject(second, three)])
    everything = [(str(second), 0), (str(second), 1), (str(second), 2), (str(first), 0)]

    for size in range(1, 5):
        found: list[tuple[str, int]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = statuses.rejections(size, cursor or None)
            found += [(str(event["raw_id"]), event["item"]) for event in page["rejections"]]
            cursor = page.get("cursor")
        assert found == everything


def test_rejections_of_a_source(tables: SilverInPostgres, statuses: Statuses) -> None:
    first, second = raw_ids(2)
    (reason,) = rejected(first, Code.DATA_EMPTY).outcomes
    assert isinstance(reason, Rejection)
    tables.silver().write_outcomes(
        [ValidatedObject(first, (reason,)), ValidatedObject(second, (reason._replace(source="hall 3"),))]
    )

    (of_hall,), (of_none,) = (statuses.rejections(source=name)["rejections"] for name in ("hall 3", ""))
    assert [str(event["raw_id"]) for event in (of_hall, of_none)] == [str(second), str(first)]
    assert {event["source"] for event in statuses.rejections()["rejections"]} == {"", "hall 3"}


def test_a_batch_is_reported_by_counts_and_pages(tables: SilverInPostgres, statuses: Statuses) -> None:
    # GIVEN a batch of five: one is current, one superseded within the batch, one by a later object, two are bad
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
    counts = {"processed": 1, "superseded": 2, "rejected": 2}
    assert all((page["status"], page["items"], page["counts"]) == ("processed", 5, counts) for page in pages)
    assert [
        [(event["item"], event["status"], event.get("superseded_by")) for event in page["events"]] for page in pages
    ] == [
        [(0, "superseded", str(batch)), (1, "rejected", None)],
        [(2, "processed", None), (3, "superseded", str(later))],
        [(4, "rejected", None)],
        [],
    ]
    assert [page.get("cursor") for page in pages] == [1, 3, None, None]
    assert pages[0]["events"][1] == {
        "item": 1,
        "status": "rejected",
        "violations": [{"code": "data.empty", "field": "data", "message": "is bad"}],
    }


@pytest.mark.parametrize(
    ("current", "state"), [(True, State.PROCESSED), (False, State.SUPERSEDED), (None, State.REJECTED)]
)
def test_the_state_of_a_batch_is_that_of_its_best_event(
    tables: SilverInPostgres, statuses: Statuses, *, current: bool | None, state: State
) -> None:
    batch, later = raw_ids(2)
    bad = rejected(batch, Code.DATA_EMPTY).outcomes[0]
    tables.silver().write_outcomes([ValidatedObject(batch, (bad, bad) if current is None else (bad, measurement()))])
    if current is False:
        tables.silver().write_outcomes([ValidatedObject(later, (measurement(),))])

    assert statuses.status(batch, limit=1)["status"] == state


def test_a_part_of_a_batch_is_not_complete(tables: SilverInPostgres, statuses: Statuses) -> None:
    (batch,) = raw_ids(1)
    tables.silver().write_outcomes([ValidatedObject(batch, (measurement(),), is_whole=False)])

    status = statuses.status(batch)

    assert status == {
        "raw_id": batch,
        "status": "accepted",
        "received_at": milliseconds(received_at(batch)),
        "attempts": 0,
    }


def test_the_reader_sees_the_figures_as_they_were_written(tables: SilverInPostgres, statuses: Statuses) -> None:
    (raw_id,) = raw_ids(1)
    exact: Measurement = measurement(mean=0.1 + 0.2, std_dev=1.7976931348623157e308)
    tables.silver().write_outcomes([ValidatedObject(raw_id, (exact,))])

    status = statuses.status(raw_id)

    assert status.items() >= figures(exact).items()


def test_contract_and_warnings_are_reported(tables: SilverInPostgres, statuses: Statuses) -> None:
    # GIVEN an event that its contract warns of, and one that it rejects
    (raw_id,) = raw_ids(1)
    warning = Violation(Code.TIME_STAMP_AHEAD, "time_stamp", "is 2 hours ahead", rule="clock-ahead")
    error = Violation(Code.VALUE_SENTINEL, "data", "holds -200.0 at index 1", 1, "no-reading")
    flagged = measurement()._replace(flags=(warning,), contract="hall@2")
    rejected = Rejection((error,), "s", "hall@2")
    tables.silver().write_outcomes([ValidatedObject(raw_id, (flagged, rejected))])

    # THEN the status of each says so, and the list of rejections
    first, second = statuses.status(raw_id)["events"]
    warned = {"field": "time_stamp", "code": "time_stamp.ahead", "message": "is 2 hours ahead", "rule": "clock-ahead"}
    broken = {"field": "data", "code": "value.sentinel", "message": "holds -200.0 at index 1", "index": 1}
    assert (first["status"], first["contract"], first["warnings"]) == ("processed", "hall@2", [warned])
    assert "violations" not in first
    assert (second["status"], second["contract"]) == ("rejected", "hall@2")
    assert second["violations"] == [{**broken, "rule": "no-reading"}]
    assert "warnings" not in second
    [listed] = statuses.rejections()["rejections"]
    assert (listed["item"], listed["contract"]) == (1, "hall@2")

    # AND the measurement has the code
    assert tables.query("SELECT flags FROM measurements") == [[["time_stamp.ahead"]]]
