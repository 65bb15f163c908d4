"""The function Replay, from a state machine's calls to the rows of a real Postgres; bronze is in memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from dropzone.adapters.postgres_fleet_store import PostgresFleetStore
from dropzone.adapters.postgres_outcome_store import PostgresOutcomeStore
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.domain.contracts import BASIC, Contracts
from dropzone.domain.identifiers import earliest_raw_id
from dropzone.ports import BronzeUnavailableError, ObjectMissingError, RangeProgress, RawObject, SilverConflictError
from dropzone.use_cases import fleet as use_cases_of_fleet
from dropzone.use_cases.fleet import NoSuchReplayError, delete_old
from dropzone.use_cases.process import process
from dropzone_process import fleet
from support.factories import BUCKET, message, payload
from support.fakes import HookedBronze, InMemoryBronze, ReaderDiedError
from support.lambda_context import Context
from support.postgres import SilverInPostgres, writer_environment

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
OBJECTS = 30


@dataclass(slots=True)
class Function:
    """The function in its environment, and objects in bronze, a minute apart."""

    bronze: HookedBronze
    tables: SilverInPostgres
    raw_ids: list[UUID]
    context: Context

    def __call__(self, action: str, **event: object) -> dict[str, Any]:
        return fleet.handler({"action": action, **event}, self.context)

    def begin(self, **event: object) -> str:
        return str(self("begin", since=BEGAN.isoformat(), **event)["replay_id"])

    def planned(self, objects: int = 10, **event: object) -> str:
        replay_id = self.begin(**event)
        assert self("plan", replay_id=replay_id, range_objects=objects)["is_planned"]
        return replay_id

    def run_all(self, replay_id: str) -> list[str]:
        """As the state machine does."""
        ranges = self("pending", replay_id=replay_id)["ranges"]
        return [self("run", replay_id=replay_id, number=number)["state"] for number in ranges]

    def outdate(self) -> None:
        """Let all outcomes be those of other rules, with figures that are wrong."""
        self.tables.query("UPDATE outcomes SET ruleset = 'old', mean = -1")
        self.tables.query("UPDATE measurements SET mean = -1")

    def wrong(self) -> int:
        ((number,),) = self.tables.query("SELECT count(*) FROM measurements WHERE mean = -1")
        return int(number)


@pytest.fixture
def function(tables: SilverInPostgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    for name, value in {
        "BRONZE_BUCKET": BUCKET,
        "AWS_REGION": "eu-central-1",
        **writer_environment(tables.server),
        "CALL_SECONDS": "900",
        "REPLAY_CONCURRENCY": "2",
        "SWEEP_RETRY_SECONDS": "60",
    }.items():
        monkeypatch.setenv(name, value)
    bronze = HookedBronze(InMemoryBronze(page_size=7))
    database, silver = tables.open(), tables.silver()
    monkeypatch.setattr(fleet, "bronze", lambda: bronze)
    monkeypatch.setattr(fleet, "database", lambda: database)
    monkeypatch.setattr(fleet, "silver", lambda: silver)
    monkeypatch.setattr(fleet, "outcome_store", lambda: PostgresOutcomeStore(database))
    monkeypatch.setattr(fleet, "fleet_store", lambda: PostgresFleetStore(database))
    monkeypatch.setattr(use_cases_of_fleet, "_ROUND_OBJECTS", 4)
    fleet.settings.cache_clear()
    raw_ids = []
    for number in range(OBJECTS):
        arrived = BEGAN + number * timedelta(minutes=1)
        raw_ids.append(UUID(int=earliest_raw_id(arrived).int + number))
        body = payload(time_stamp=arrived.isoformat(), data=[number])
        bronze.inner.put(RawObject(raw_ids[-1], body, content_type="application/json", correlation_id=""))
    process([message(raw_id) for raw_id in raw_ids], bronze=bronze, silver=silver, time_left=lambda: 60.0)
    yield Function(bronze, tables, raw_ids, Context())
    tables.query("DELETE FROM replays")
    fleet.settings.cache_clear()


def test_ranges_together_replay_everything_once(function: Function) -> None:
    function.outdate()
    replay_id = function.planned()

    planned = function("report", replay_id=replay_id)
    assert (planned["state"], planned["ranges"], planned["objects"], planned["checked"]) == ("unfinished", 3, 30, 0)
    assert function.run_all(replay_id) == ["done"] * 3

    assert function("report", replay_id=replay_id) == {
        "replay_id": replay_id,
        "state": "done",
        "concurrency": 2,
        "ranges": 3,
        "done": 3,
        "objects": OBJECTS,
        "checked": OBJECTS,
        "rejected": 0,
        "unread": 0,
        "changes": {"other_figures": OBJECTS},
    }
    assert function.wrong() == 0
    assert function("pending", replay_id=replay_id)["ranges"] == []


def test_objects_without_a_receipt_are_replayed_as_well(function: Function, tables: SilverInPostgres) -> None:
    for raw_id in function.raw_ids[::3]:
        for table in ("measurements", "outcomes", "receipts"):
            tables.query(f"DELETE FROM {table} WHERE raw_id = :raw_id", raw_id=raw_id)  # noqa: S608 - one of these
    replay_id = function.planned()
    function.run_all(replay_id)
    assert function("report", replay_id=replay_id)["changes"] == {"new": 10, "same": 20}
    assert len(tables.receipt_rows()) == OBJECTS


def test_a_call_that_ends_in_the_middle_goes_on_behind_what_it_recorded(function: Function) -> None:
    # GIVEN a bucket that fails while the second round of a range is read
    function.outdate()
    replay_id = function.planned(objects=20)
    reads = 0

    def fail(method: str, _raw_ids: object) -> None:
        nonlocal reads
        reads += method == "read"
        if reads > 1:
            raise BronzeUnavailableError

    function.bronze.before = fail
    with pytest.raises(BronzeUnavailableError):
        function("run", replay_id=replay_id, number=0)
    assert function("report", replay_id=replay_id)["checked"] == 4

    # WHEN the next call goes on
    function.bronze.before = lambda _method, _raw_ids: None
    function.bronze.reads.clear()
    assert function.run_all(replay_id) == ["done"] * 2

    # THEN no object is read twice, nor counted twice
    assert sorted(raw_id for chunk in function.bronze.reads for raw_id in chunk) == function.raw_ids[4:]
    assert function("report", replay_id=replay_id)["checked"] == OBJECTS
    assert function.wrong() == 0


def test_a_call_without_time_leaves_the_rest_to_the_next(function: Function) -> None:
    function.outdate()
    replay_id = function.planned(objects=20)
    function.context = Context(seconds_left=3.9)
    assert function("run", replay_id=replay_id, number=0)["state"] == "unfinished"
    assert function.wrong() == OBJECTS

    function.context = Context(seconds_left=1.9)
    planned = function("plan", replay_id=function.begin(dry_run=True))
    assert (planned["is_planned"], planned["ranges"]) == (False, 0)

    # Just enough time for a round.
    function.context = Context(seconds_left=4)
    function("run", replay_id=replay_id, number=0)
    assert function.wrong() == OBJECTS - 20


def conflicting_once[**P, T](call: Callable[P, T]) -> Callable[P, T]:
    """What meets another transaction the first time."""
    conflicts = [SilverConflictError("40001")]

    def attempt(*args: P.args, **names: P.kwargs) -> T:
        if conflicts:
            raise conflicts.pop()
        return call(*args, **names)

    return attempt


def test_what_conflicts_with_another_transaction_is_tried_again(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = {
        PostgresFleetStore: ("begin", "advance", "delete_old"),
        PostgresSilver: ("watermark", "advance_watermark"),
    }
    for kind, names in methods.items():
        for name in names:
            monkeypatch.setattr(kind, name, conflicting_once(getattr(kind, name)))

    replay_id = function("begin_sweep")["replay_id"]
    function("plan", replay_id=replay_id)
    assert function.run_all(replay_id) == ["done"]
    assert function("report", replay_id=replay_id)["state"] == "done"
    assert delete_old(store=fleet.fleet_store(), time_left=lambda: 60.0) == 0
    monkeypatch.setattr(PostgresFleetStore, "begin", conflicting_once(PostgresFleetStore.begin))
    assert function.begin() != replay_id


def test_objects_that_cannot_be_read_are_counted_and_named(
    function: Function, caplog: pytest.LogCaptureFixture
) -> None:
    gone = (function.raw_ids[0], function.raw_ids[9])
    function.bronze.unreadable |= dict.fromkeys(gone, ObjectMissingError("gone"))
    replay_id = function.planned()

    assert function("run", replay_id=replay_id, number=0)["state"] == "done"

    report = function("report", replay_id=replay_id)
    assert (report["checked"], report["unread"]) == (8, 2)
    [record] = [record for record in caplog.records if "can't be replayed" in record.message]
    assert [entry["raw_id"] for entry in record.__dict__["objects"]] == list(map(str, gone))


def test_as_many_ranges_are_pending_as_a_state_machine_takes(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use_cases_of_fleet, "MAX_PENDING", 2)

    assert function("pending", replay_id=function.planned())["ranges"] == [0, 1]


def test_objects_of_one_millisecond_stay_together(function: Function) -> None:
    together = [UUID(int=earliest_raw_id(BEGAN).int + number) for number in (100, 101)]
    for raw_id in together:
        body = payload(time_stamp=BEGAN.isoformat(), data=[1])
        function.bronze.inner.put(RawObject(raw_id, body, content_type="application/json", correlation_id=""))
    process([message(each) for each in together], bronze=function.bronze, silver=fleet.silver(), time_left=lambda: 60.0)

    replay_id = function.begin(until=(BEGAN + timedelta(minutes=2)).isoformat())
    assert function("plan", replay_id=replay_id, range_objects=1)["ranges"] == 2

    function("run", replay_id=replay_id, number=0)
    assert function("report", replay_id=replay_id)["checked"] == 3


def test_who_begins_the_same_again_goes_on_with_it(function: Function) -> None:
    replay_id = function.planned()
    function("run", replay_id=replay_id, number=1)

    assert function.begin() == replay_id
    assert function("pending", replay_id=replay_id)["ranges"] == [0, 2]

    # Another selection is another replay, and so is one that was finished.
    until = (BEGAN + timedelta(hours=1)).isoformat()
    others: list[dict[str, object]] = [{"until": until}, {"dry_run": True}, {"contract": "default"}]
    assert len({replay_id, *(function.begin(**other) for other in others)}) == 4
    function.run_all(replay_id)
    function("report", replay_id=replay_id)
    assert function.begin() != replay_id


def test_a_pause_ends_calls_soon_and_beginning_goes_on(function: Function) -> None:
    # GIVEN a range whose first round is through when the replay is paused
    function.outdate()
    replay_id = function.planned(objects=20)

    def pause(method: str, _raw_ids: object) -> None:
        if method == "read":
            function("pause", replay_id=replay_id)

    function.bronze.after = pause
    assert function("run", replay_id=replay_id, number=0)["state"] == "paused"

    assert function.wrong() == OBJECTS - 4
    assert function("pending", replay_id=replay_id)["ranges"] == []
    assert function("report", replay_id=replay_id)["state"] == "paused"
    function.bronze.after = lambda _method, _raw_ids: None
    assert function.begin() == replay_id
    assert function.run_all(replay_id) == ["done"] * 2
    assert function.wrong() == 0


def test_under_other_rules_than_it_began_by_a_replay_does_not_go_on(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay_id = function.planned()
    rules = Contracts([*BASIC], "other rules")
    monkeypatch.setattr(fleet, "outcome_store", lambda: PostgresOutcomeStore(fleet.database(), rules))

    assert function("run", replay_id=replay_id, number=0)["state"] == "outdated"
    assert function("pending", replay_id=replay_id)["ranges"] == []
    assert function("report", replay_id=replay_id)["state"] == "outdated"
    assert function.begin() != replay_id


def test_a_dry_run_changes_nothing(function: Function) -> None:
    function.outdate()
    replay_id = function.planned(dry_run=True)
    function.run_all(replay_id)
    assert function("report", replay_id=replay_id)["changes"] == {"other_figures": OBJECTS}
    assert function.wrong() == OBJECTS


def test_only_what_a_contract_decided_under_other_rules_is_replayed(function: Function) -> None:
    function.outdate()
    function.tables.query(
        "UPDATE outcomes SET contract = 'hall@1.0.0' WHERE raw_id < :raw_id", raw_id=function.raw_ids[12]
    )
    replay_id = function.planned(contract="hall")

    # Each range has its own objects alone.
    for number, checked in ((2, 0), (0, 10), (1, 12)):
        assert function("run", replay_id=replay_id, number=number)["state"] == "done"
        assert function("report", replay_id=replay_id)["checked"] == checked
    assert function.wrong() == OBJECTS - 12


def test_of_two_calls_at_a_range_the_later_one_counts_nothing(function: Function) -> None:
    replay_id = function.planned(objects=20)
    other: list[Callable[[], object]] = [lambda: function("run", replay_id=replay_id, number=0)]

    def overtake(method: str, _raw_ids: object) -> None:
        if method == "read" and other:
            other.pop()()

    function.bronze.after = overtake
    assert function("run", replay_id=replay_id, number=0)["state"] == "unfinished"
    assert function("report", replay_id=replay_id)["checked"] == 20


def test_progress_behind_a_cursor_that_has_moved_counts_nothing(function: Function) -> None:
    replay_id = function.planned(objects=20)
    progress = RangeProgress(None, function.raw_ids[3], is_done=False, checked=4, rejected=0, unread=0, changes={})
    store = fleet.fleet_store()

    assert [store.advance(UUID(replay_id), 0, progress) for _ in range(2)] == [True, False]
    assert function("report", replay_id=replay_id)["checked"] == 4


def test_ranges_that_are_planned_twice_exist_once(function: Function) -> None:
    replay_id = function.begin()
    store = fleet.fleet_store()
    until = BEGAN + timedelta(minutes=5)
    for _ in range(2):
        store.add_range(UUID(replay_id), BEGAN, until)
    assert function("report", replay_id=replay_id)["ranges"] == 1
    # What isn't planned yet isn't done.
    function.run_all(replay_id)
    assert function("report", replay_id=replay_id)["state"] == "unfinished"


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"action": "stop"}, ValidationError),
        ({"action": "begin", "since": "2026-03-01T00:00:00"}, ValidationError),
        ({"action": "report", "replay_id": str(UUID(int=1))}, NoSuchReplayError),
        ({"action": "run", "replay_id": str(UUID(int=1)), "number": 0}, NoSuchReplayError),
    ],
)
def test_what_it_does_not_know_is_refused(function: Function, event: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        fleet.handler(event, function.context)


def lose(function: Function, raw_ids: Sequence[UUID]) -> None:
    """Let no function have seen these objects."""
    for raw_id in raw_ids:
        for table in ("measurements", "outcomes", "receipts"):
            function.tables.query(f"DELETE FROM {table} WHERE raw_id = :raw_id", raw_id=raw_id)  # noqa: S608 - of these


def test_a_sweep_by_fleet_processes_what_has_no_receipt_and_raises_the_watermark(function: Function) -> None:
    lose(function, function.raw_ids[3::2])
    before = function.tables.outcome_rows()
    function.bronze.reads.clear()
    replay_id = function("begin_sweep")["replay_id"]
    # What arrives later is none of its objects.
    later = UUID(int=earliest_raw_id(datetime.now(UTC) + timedelta(minutes=1)).int)
    function.bronze.inner.put(RawObject(later, b"{}", content_type="application/json", correlation_id=""))

    planned = function("plan", replay_id=replay_id, range_objects=10)
    assert planned["is_planned"]
    assert (planned["ranges"], planned["objects"], planned["checked"]) == (3, OBJECTS, 0)
    assert function.run_all(replay_id) == ["done"] * 3

    # THEN each of them is processed, and no other was read
    lost = function.raw_ids[3::2]
    assert sorted(raw_id for chunk in function.bronze.reads for raw_id in chunk) == lost
    report = function("report", replay_id=replay_id)
    assert (report["state"], report["checked"], report["changes"]) == ("done", OBJECTS, {"new": len(lost)})
    assert len(function.tables.outcome_rows()) == len(before) + len(lost) == OBJECTS

    # AND the scheduled sweep begins behind them
    watermark = fleet.silver().watermark()
    assert function.raw_ids[-1] < watermark < earliest_raw_id(datetime.now(UTC) - timedelta(minutes=14))
    # Another one has nothing to go through.
    again = function("begin_sweep")["replay_id"]
    assert function("plan", replay_id=again)["objects"] == 0


def test_a_sweep_by_fleet_goes_on_behind_what_it_recorded_and_moves_the_watermark_at_its_end(
    function: Function,
) -> None:
    lose(function, function.raw_ids)
    replay_id = function("begin_sweep")["replay_id"]
    function("plan", replay_id=replay_id, range_objects=20)

    def pause(method: str, _raw_ids: object) -> None:
        if method == "read":
            function("pause", replay_id=replay_id)

    function.bronze.after = pause
    assert function("run", replay_id=replay_id, number=0)["state"] == "paused"
    assert function("report", replay_id=replay_id)["checked"] == 4
    assert fleet.silver().watermark() == UUID(int=0)

    function.bronze.after = lambda _method, _raw_ids: None
    assert function("begin_sweep")["replay_id"] == replay_id
    assert function.run_all(replay_id) == ["done"] * 2
    assert function("report", replay_id=replay_id)["changes"] == {"new": OBJECTS}
    assert fleet.silver().watermark() > function.raw_ids[-1]


def test_what_cannot_be_processed_is_left_to_the_scheduled_sweep(function: Function) -> None:
    lose(function, function.raw_ids[:3])
    poison, gone = function.raw_ids[:2]
    function.bronze.deadly.add(poison)
    function.bronze.unreadable[gone] = ObjectMissingError("gone")
    replay_id = function("begin_sweep")["replay_id"]
    function("plan", replay_id=replay_id)
    # A call that dies, and Step Functions' retry of it.
    with pytest.raises(ReaderDiedError):
        function("run", replay_id=replay_id, number=0)

    assert function.run_all(replay_id) == ["done"]
    report = function("report", replay_id=replay_id)
    assert (report["state"], report["checked"]) == ("done", OBJECTS)
    assert len(function.tables.receipt_rows()) == OBJECTS


def test_what_has_not_got_further_for_long_is_deleted(function: Function) -> None:
    abandoned, recent = function.planned(), function("begin_sweep")["replay_id"]
    function.tables.query("UPDATE replays SET active_at = now() - interval '91 days'")
    function("plan", replay_id=recent)

    assert delete_old(store=fleet.fleet_store(), time_left=lambda: 60.0) == 1

    assert function.tables.query("SELECT replay_id FROM replays") == [[UUID(recent)]]
    assert function.tables.query("SELECT DISTINCT replay_id FROM replay_ranges") == [[UUID(recent)]]
    assert abandoned != recent


def test_a_replay_is_active_while_it_gets_further(function: Function) -> None:
    replay_id = function.planned()

    def is_active_after(action: str, **event: object) -> bool:
        function.tables.query("UPDATE replays SET active_at = now() - interval '8 days'")
        function(action, **event)
        [[is_active]] = function.tables.query("SELECT active_at > now() - interval '1 day' FROM replays")
        return bool(is_active)

    assert not is_active_after("report", replay_id=replay_id)
    assert is_active_after("run", replay_id=replay_id, number=0)
    assert is_active_after("begin", since=BEGAN.isoformat())


@pytest.mark.parametrize("contract", [None, "basic"])
def test_a_range_whose_month_was_archived_meanwhile_is_not_done(function: Function, contract: str | None) -> None:
    replay_id = function.planned(contract=contract)

    def archive(month: str) -> None:
        columns = "(kind, month, state, file_minutes, archived_at)"
        values = "('arrived', CAST(:month AS date), 'archived', 44640, now())"
        function.tables.query(f"INSERT INTO archive.months {columns} VALUES {values}", month=month)  # noqa: S608 - our own words

    archive("2026-03-01")
    assert function.run_all(replay_id) == ["archived"] * 3
    report = function("report", replay_id=replay_id)
    assert (report["state"], report["done"], report["checked"]) == ("unfinished", 0, 0)

    # Once it is back, the same ranges go on, whatever is archived before and after them.
    function.tables.query("DELETE FROM archive.months")
    archive("2026-02-01")
    archive("2100-01-01")
    assert function.run_all(replay_id) == ["done"] * 3


def test_a_month_is_asked_back_for_some_days(function: Function) -> None:
    function.tables.query(
        "INSERT INTO archive.months (kind, month, state, file_minutes, archived_at)"
        " VALUES ('arrived', '2026-05-01', 'archived', 44640, now())"
    )

    assert function("restore", month="2026-05", days=3) == {"is_archived": True}
    assert function("restore", month="2026-04", days=1) == {"is_archived": False}
    # Asked again, it stays as long as was asked last.
    assert function("restore", month="2026-05", days=2) == {"is_archived": True}

    asked = (
        "SELECT to_char(month, 'YYYY-MM'), round(extract(epoch FROM until - now()) / 86400) FROM archive.requested"
        " ORDER BY 1"
    )
    assert function.tables.query(asked) == [["2026-04", 1], ["2026-05", 2]]
    assert function.tables.query("SELECT DISTINCT kind, to_char(month, 'YYYY-MM') FROM archive.changes") == [
        ["arrived", "2026-05"]
    ]
    for wrong in ({"month": "2026-13", "days": 1}, {"month": "2026-05", "days": 0}, {"month": "2026-05", "days": 367}):
        with pytest.raises(ValidationError):
            function("restore", **wrong)
