"""What is expected of sources over time, compared with silver as the schedule does."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dropzone.adapters.postgres_upkeep import PostgresExpectationStore
from dropzone.domain.contracts import Contracts
from dropzone.domain.expectations import EXPECTATIONS, Expectation, Expectations
from dropzone.domain.identifiers import new_raw_id
from dropzone.domain.notifications import CHANGES, Channel
from dropzone.domain.outcomes import Code, Measurement, Outcome, Rejection, ValidatedObject, Violation
from dropzone.ports import BronzeUnavailableError, Standing
from dropzone.queries.sources import SourcesRequest, SourceSummary, read_sources
from dropzone.use_cases.upkeep import check_expectations, hand_over
from support.contracts import contract, contracts
from support.factories import measurement
from support.postgres import SilverInPostgres

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

Check = Callable[..., Mapping[Expectation, Standing]]
Sources = Callable[[], dict[str, SourceSummary]]


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def check(tables: SilverInPostgres) -> Check:
    """Does what the schedule does, with the expectations of a contract for all sources that begin with `a`."""
    for table in ("measured", "arrived", "measured_stale", "arrived_stale", "source", "expectation", "notification"):
        tables.query(f"DELETE FROM gold.{table}")  # noqa: S608 - our own names
    deployed = contracts(contract(), contract("a", sources=("a*",)))

    def run(of: Contracts = deployed, **expected: float) -> Mapping[Expectation, Standing]:
        tables.query("SELECT gold.refresh(1000000, interval '0')")
        stated = EXPECTATIONS.dump_json(
            tuple(Expectations(id=each.id, version="1", **(expected if each.id == "a" else {})) for each in of)
        )
        store = PostgresExpectationStore(tables.opened[0] if tables.opened else tables.open(), stated.decode())
        return check_expectations(store, of, time_left=lambda: 60.0)

    return run


@pytest.fixture
def sources(tables: SilverInPostgres) -> Sources:
    tables.silver()
    database = tables.open(database_user="dropzone_reader")
    return lambda: {each["source"]: each for each in read_sources(database, SourcesRequest(), reads=None)}


def store(tables: SilverInPostgres, *outcomes: Outcome, at: datetime | None = None) -> None:
    raw_id = new_raw_id(int((at or datetime.now(UTC)).timestamp() * 1000) * 1_000_000)
    tables.silver(reuse=True).write_outcomes([ValidatedObject(raw_id, outcomes)])


def every(interval: timedelta, last: datetime, source: str, *values: float) -> list[Measurement]:
    """Measurements with these values, the last one first."""
    return [measurement(last - number * interval, value, 0.0, source) for number, value in enumerate(values)]


def changes(tables: SilverInPostgres) -> list[dict[str, Any]]:
    """What was written since the last call, by source and expectation."""
    found = [change for (batch,) in tables.query("DELETE FROM gold.notification RETURNING changes") for change in batch]
    return sorted(found, key=lambda change: (change["source"], change["expectation"]))


def named(found: list[dict[str, Any]]) -> list[tuple[str, str, bool]]:
    return [(change["source"], change["expectation"], change["is_broken"]) for change in found]


def rejection(source: str) -> Rejection:
    return Rejection((Violation(Code.DATA_EMPTY, "data", "is empty"),), source)


def test_the_frequency_of_the_contract_decides_in_place_of_the_usual_interval(
    tables: SilverInPostgres, check: Check, sources: Sources, now: datetime
) -> None:
    # GIVEN sources that measured each minute until five minutes ago, and one each second until ten seconds ago
    for source in ("a", "b"):
        store(tables, *every(MINUTE, now - 5 * MINUTE, source, 1.0, 2.0, 3.0))
    store(tables, *every(SECOND, now - 10 * SECOND, "a/fast", 1.0, 2.0, 3.0))

    check(interval_seconds=3_600.0)

    # THEN those of the contract are on time
    found = sources()
    assert {name: (each["state"], each["contract"]) for name, each in found.items()} == {
        "a": ("ok", "a@1"),
        "a/fast": ("ok", "a@1"),
        "b": ("silent", "default@1"),
    }
    assert [found[name]["expected_interval_seconds"] for name in ("a", "b")] == [3_600, 60]
    assert found["a"]["usual_interval_seconds"] == 60
    # AND a contract may expect more than an event a minute
    check(interval_seconds=1.0)
    assert {name: each["state"] for name, each in sources().items()} == {
        "a": "silent",
        "a/fast": "silent",
        "b": "silent",
    }


def test_silence_and_return_are_reported_once_each(tables: SilverInPostgres, check: Check, now: datetime) -> None:
    # GIVEN a source on time, and one that was silent before anybody asked
    store(tables, *every(HOUR, now - 30 * MINUTE, "a", 1.0, 2.0), *every(HOUR, now - 9 * DAY, "a/old", 1.0, 2.0))
    standing = check(interval_seconds=3_600.0)
    assert standing[Expectation.SILENT] == Standing(broken=1, changed=0)
    assert changes(tables) == []

    # WHEN it is silent, twice looked at
    assert check(interval_seconds=300.0)[Expectation.SILENT] == Standing(broken=2, changed=1)
    assert check(interval_seconds=300.0)[Expectation.SILENT] == Standing(broken=2, changed=0)

    # THEN it is reported once, with what was found
    [change] = changes(tables)
    assert named([change]) == [("a", "silent", True)]
    assert change["contract"] == "a@1"
    assert datetime.fromisoformat(change["since"]) == now - 30 * MINUTE
    assert change["observed"] == pytest.approx(1_800, abs=60)
    assert change["expected"] == 300

    # WHEN it sends something old, by which it is late, and then something new
    store(tables, measurement(now - 10 * MINUTE, 3.0, source="a"))
    assert check(interval_seconds=300.0)[Expectation.SILENT].changed == 0
    store(tables, measurement(now, 4.0, source="a"))
    check(interval_seconds=300.0)
    check(interval_seconds=300.0)

    # THEN it has returned once
    assert named(changes(tables)) == [("a", "silent", False)]


def test_silence_is_reported_by_the_usual_interval_where_no_contract_says_it(
    tables: SilverInPostgres, check: Check, now: datetime
) -> None:
    store(tables, *every(HOUR, now - 30 * MINUTE, "b", 1.0, 2.0, 3.0), measurement(now - DAY, 1.0, source="once"))
    check()
    tables.query("UPDATE measurements SET measured_at = measured_at - interval '3 hours'")

    check()

    assert named(changes(tables)) == [("b", "silent", True)]


def test_a_value_that_stays_the_same_is_stuck_until_it_changes(
    tables: SilverInPostgres, check: Check, sources: Sources, now: datetime
) -> None:
    # GIVEN values of four hours: the same for two of them; another an hour ago; and the same with noise within an event
    quarter = 15 * MINUTE
    store(tables, *every(quarter, now, "a/stuck", *[7.0] * 9, 6.0, *[7.0] * 6))
    store(tables, *every(quarter, now, "a/fine", *[7.0] * 4, 6.0, *[7.0] * 11))
    noisy = [
        each._replace(aggregates=each.aggregates._replace(minimum=6.0))
        for each in every(quarter, now, "a/noisy", *[7.0] * 16)
    ]
    store(tables, *noisy, *every(quarter, now, "b", *[7.0] * 16))

    standing = check(unchanged_seconds=7_200.0)

    assert standing[Expectation.STUCK] == Standing(broken=1, changed=1)
    [change] = changes(tables)
    assert (change["source"], change["expectation"]) == ("a/stuck", "stuck")
    assert change["observed"] == 7_200
    found = sources()
    assert found["a/stuck"]["broken_expectations"] == ["stuck"]
    assert found["a/stuck"]["stuck_since"] == now - 2 * HOUR
    assert {name for name, each in found.items() if each["stuck_since"]} == {"a/stuck"}

    # WHEN it began before the buckets that are looked at, that is kept
    tables.query("UPDATE gold.expectation SET stuck_since = stuck_since - interval '3 hours' WHERE source = 'a/stuck'")
    check(unchanged_seconds=7_200.0)
    assert sources()["a/stuck"]["stuck_since"] == now - 5 * HOUR

    # WHEN the value changes
    store(tables, measurement(now - SECOND, 7.5, source="a/stuck"))
    check(unchanged_seconds=7_200.0)
    assert named(changes(tables)) == [("a/stuck", "stuck", False)]
    assert sources()["a/stuck"]["stuck_since"] is None


def test_shares_and_latencies_beyond_the_limit(
    tables: SilverInPostgres, check: Check, sources: Sources, now: datetime
) -> None:
    # GIVEN a source of whose day a fifth was rejected, and one that sends a batch once an hour
    store(tables, *every(MINUTE, now, "a", *range(8)), rejection("a"), rejection("a"))
    store(tables, *every(20 * MINUTE, now - 20 * MINUTE, "a/late", 1.0, 2.0, 3.0))
    # and one that rejections were all of, and one that was rejected two days ago
    store(tables, rejection("b"))
    store(tables, *every(MINUTE, now, "a/old", 1.0, 2.0))
    store(tables, *[rejection("a/old")] * 9, at=now - 2 * DAY)

    check(rejected_share=0.2, latency_seconds=2_460.0)
    assert changes(tables) == []

    check(rejected_share=0.19, latency_seconds=2_300.0)
    first, second = changes(tables)
    assert named([first, second]) == [("a", "rejected_share", True), ("a/late", "latency", True)]
    assert (first["observed"], first["expected"]) == (0.2, 0.19)
    assert second["observed"] == pytest.approx(2_400, abs=30)
    assert sources()["a"]["broken_expectations"] == ["rejected_share"]

    # WHEN a contract expects it no more, it is no longer broken
    check()
    assert named(changes(tables)) == [("a", "rejected_share", False), ("a/late", "latency", False)]


def test_a_source_has_the_contract_it_was_sent_to_by_name(
    tables: SilverInPostgres, check: Check, sources: Sources, now: datetime
) -> None:
    # GIVEN a contract without sources, to which events are sent by name; all are old enough to be looked at again
    deployed = contracts(contract(), contract("a", sources=("a*",)), contract("named"))
    measured = every(MINUTE, now, "a", 1.0, 2.0)
    store(tables, *(each._replace(contract="named@0.9") for each in measured), at=now - 3 * HOUR)
    store(tables, *every(MINUTE, now, "a/b", 1.0, 2.0), at=now - 3 * HOUR)

    check(deployed)
    assert {name: each["contract"] for name, each in sources().items()} == {"a": "named@1", "a/b": "a@1"}

    # WHEN an hour later it is sent without a name
    store(tables, *measured)
    check(deployed)
    assert sources()["a"]["contract"] == "named@1"
    tables.query("UPDATE gold.expectation SET assigned_at = now() - interval '61 minutes'")
    check(deployed)
    assert sources()["a"]["contract"] == "a@1"

    # WHEN the contract is gone
    check(Contracts([contract()], "other"))
    assert {each["contract"] for each in sources().values()} == {"default@1"}


def test_a_flood_of_changes_is_written_in_batches(tables: SilverInPostgres, check: Check, now: datetime) -> None:
    store(tables, *(measurement(now, 1.0, source=f"a{number}") for number in range(1_201)))
    check(interval_seconds=3_600.0)
    assert tables.query("SELECT FROM gold.notification") == []
    tables.query("UPDATE measurements SET measured_at = measured_at - interval '3 hours'")

    standing = check(interval_seconds=3_600.0)

    assert standing[Expectation.SILENT] == Standing(broken=1_201, changed=1_201)
    sizes = tables.query("SELECT jsonb_array_length(changes) FROM gold.notification ORDER BY 1")
    assert sizes == [[201], [500], [500]]


def test_a_source_that_is_erased_is_forgotten(tables: SilverInPostgres, check: Check, now: datetime) -> None:
    store(tables, measurement(now, 1.0, source="a"))
    check()
    tables.clear()

    assert check()[Expectation.SILENT] == Standing(0, 0)
    assert tables.query("SELECT FROM gold.expectation") == []


def test_checks_at_the_same_time_are_one(tables: SilverInPostgres, check: Check, now: datetime) -> None:
    store(tables, measurement(now, 1.0, source="a"))
    tables.query("BEGIN")
    tables.query("SELECT pg_advisory_xact_lock(7308333)")
    try:
        assert check() == {}
    finally:
        tables.query("ROLLBACK")


def test_the_reader_can_neither_check_nor_write(tables: SilverInPostgres) -> None:
    rights = tables.query(
        "SELECT role, has_function_privilege(role, 'gold.check_expectations()', 'EXECUTE')"
        " FROM unnest(ARRAY['dropzone_reader', 'dropzone_analyst', 'dropzone_writer']) AS role"
    )
    assert rights == [["dropzone_reader", False], ["dropzone_analyst", False], ["dropzone_writer", True]]


@dataclass(slots=True)
class Memory:
    """Notifications that are kept here; a write may fail."""

    kept: dict[tuple[Channel, str], list[dict[str, Any]]] = field(default_factory=dict)
    fails: Channel | None = None

    def put(self, channel: Channel, batch_id: str, changes: bytes) -> None:
        if channel is self.fails:
            raise BronzeUnavailableError
        self.kept.setdefault((channel, batch_id), json.loads(changes))

    def read(self, channel: Channel, batch_id: str) -> bytes:
        return json.dumps(self.kept[channel, batch_id]).encode()


def test_changes_are_handed_over_until_each_channel_has_them(
    tables: SilverInPostgres, check: Check, now: datetime
) -> None:
    # GIVEN two sources that fall silent, and a webhook's batch that can't be written
    store(tables, *every(HOUR, now, "a/1", 1.0, 2.0), *every(HOUR, now, "a/2", 1.0, 2.0))
    check(interval_seconds=3_600.0)
    tables.query("UPDATE measurements SET measured_at = measured_at - interval '3 hours'")
    check(interval_seconds=3_600.0)
    outbox, memory = PostgresExpectationStore(tables.opened[0], "[]"), Memory(fails=Channel.WEBHOOK)
    channels = [Channel.EVENTS, Channel.WEBHOOK]
    with pytest.raises(BronzeUnavailableError):
        hand_over(outbox, memory, channels, time_left=lambda: 60.0)
    assert [channel for channel, _ in memory.kept] == [Channel.EVENTS]
    tables.query("UPDATE gold.notification SET created_at = now() - interval '90 minutes'")
    assert outbox.unsent_seconds() == pytest.approx(5_400, abs=60)

    # WHEN the next run tries again
    memory.fails = None
    assert hand_over(outbox, memory, channels, time_left=lambda: 60.0) == 1
    assert hand_over(outbox, memory, channels, time_left=lambda: 60.0) == 0
    assert outbox.unsent_seconds() == 0

    # THEN both have it, under one name, as deliveries read it
    assert {channel for channel, _ in memory.kept} == {*channels}
    [batch_id] = {batch_id for _, batch_id in memory.kept}
    changes = CHANGES.validate_json(memory.read(Channel.WEBHOOK, batch_id))
    assert [(change.id, change.source) for change in changes] == [(f"{batch_id}/1", "a/1"), (f"{batch_id}/2", "a/2")]
    assert changes[0].text.startswith("a/1 is silent: no event for 3 hours")


def test_nothing_is_handed_over_without_time(tables: SilverInPostgres, check: Check) -> None:
    check()
    tables.query(
        """INSERT INTO gold.notification (changes, created_at)
        VALUES ('[{"source": "b"}]', now()), ('[{"source": "a"}]', now() - interval '1 hour')"""
    )

    outbox = PostgresExpectationStore(tables.opened[0], "[]")
    found = [[json.loads(changes)[0]["source"] for _, changes in outbox.unsent(limit)] for limit in (1, 9)]
    assert found == [["a"], ["a", "b"]]
    assert hand_over(outbox, Memory(), [Channel.EVENTS], time_left=lambda: 1.0) == 0
    assert hand_over(outbox, Memory(), [Channel.EVENTS], time_left=lambda: 2.0) == 2
    assert check_expectations(outbox, contracts(), time_left=lambda: 1.0) == {}
