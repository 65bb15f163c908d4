"""Contracts, from bytes to rows: the rows in Postgres under a contract, and under the next one."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropzone.adapters import postgres_outcome_store
from dropzone.adapters.postgres_outcome_store import PostgresOutcomeStore
from dropzone.domain.body import JSON
from dropzone.domain.contracts import Contract, Contracts
from dropzone.domain.identifiers import earliest_raw_id
from dropzone.domain.outcomes import Change
from dropzone.ports import RawObject
from dropzone.use_cases.process import process
from dropzone.use_cases.replay import Arrived, DecidedBy, ReplayResult, Selection, replay
from support.contracts import ARRIVED, EVENT, contract
from support.examples import examples
from support.factories import message
from support.fakes import InMemoryBronze
from support.postgres import SilverInPostgres

NIL = UUID(int=0)
COLD: Mapping[str, Any] = {"rule": "minimum", "limit": 20, "id": "cold"}
HOT: Mapping[str, Any] = {"rule": "maximum", "limit": 30, "id": "hot", "severity": "warning"}


def of(ruleset: str, *rules: Mapping[str, Any]) -> Contracts:
    hall: Contract = contract("hall", *rules, sources=("hall-3/*",))
    return Contracts([contract(), hall], ruleset)


class Stage:
    """Objects that arrive in turn, and are processed and replayed by contracts."""

    def __init__(self, tables: SilverInPostgres) -> None:
        self.tables, self.bronze = tables, InMemoryBronze()
        self._number = 0

    def arrive(self, *events: Mapping[str, Any]) -> UUID:
        self._number += 1
        raw_id = earliest_raw_id(ARRIVED + timedelta(milliseconds=self._number))
        body = json.dumps([{**EVENT, **event} for event in events]).encode()
        self.bronze.put(RawObject(raw_id, body, content_type=JSON, correlation_id=""))
        return raw_id

    def process(self, raw_id: UUID, contracts: Contracts) -> None:
        silver = self.tables.silver(reuse=True, contracts=contracts)
        assert not process([message(raw_id)], bronze=self.bronze, silver=silver, time_left=lambda: 60.0).returned

    def replay(
        self, contracts: Contracts, *, dry_run: bool = False, selection: Selection | None = None
    ) -> ReplayResult:
        return replay(
            selection or Arrived(),
            bronze=self.bronze,
            outcome_store=PostgresOutcomeStore(self.tables.open(), contracts),
            limit=1_000,
            after=None,
            dry_run=dry_run,
            time_left=lambda: 60.0,
        )

    def outcomes(self) -> list[list[Any]]:
        return self.tables.query("SELECT outcome, contract, ruleset, violations FROM outcomes ORDER BY raw_id, item")

    def measurements(self) -> list[list[Any]]:
        return self.tables.query("SELECT source, mean, flags FROM measurements ORDER BY measured_at, source")


@pytest.fixture
def stage(tables: SilverInPostgres) -> Stage:
    return Stage(tables)


def at(minute: int) -> dict[str, datetime | str]:
    return {"time_stamp": (ARRIVED + timedelta(minutes=minute)).isoformat()}


def test_rows_name_contract_ruleset_and_flags(stage: Stage) -> None:
    contracts = of("first", COLD, HOT)
    stage.process(
        stage.arrive(
            {"data": [25], **at(0)}, {"data": [35], **at(1)}, {"data": [5], **at(2)}, {"source": "x", **at(3)}
        ),
        contracts,
    )

    rows = stage.outcomes()
    assert [row[:3] for row in rows] == [
        ["processed", "hall@1", "first"],
        ["processed", "hall@1", "first"],
        ["rejected", "hall@1", "first"],
        ["processed", "default@1", "first"],
    ]
    assert [[(entry["code"], entry["rule"]) for entry in row[3]] for row in rows] == [
        [],
        [("value.above_maximum", "hot")],
        [("value.below_minimum", "cold")],
        [],
    ]
    assert stage.measurements() == [
        ["hall-3/thermometer-7", 25.0, []],
        ["hall-3/thermometer-7", 35.0, ["value.above_maximum"]],
        ["x", 21.0, []],
    ]


def test_a_replay_under_another_contract_changes_what_it_decides(stage: Stage) -> None:
    # GIVEN events that were validated by one contract
    events = [{"data": [25], **at(0)}, {"data": [35], **at(1)}, {"data": [5], **at(2)}, {"data": [15], **at(3)}]
    stage.process(stage.arrive(*events), of("first", COLD, HOT))
    under_the_first = stage.outcomes(), stage.measurements()

    # WHEN another one would let some of the cold in, and flags nothing
    other = of("second", {**COLD, "limit": 10})
    tried = stage.replay(other, dry_run=True)

    # THEN a dry run says so, and changes nothing
    changes = {Change.SAME: 1, Change.OTHER_FLAGS: 1, Change.OTHER_REASONS: 1, Change.NOW_PROCESSED: 1}
    assert dict(tried.changes) == changes
    assert (stage.outcomes(), stage.measurements()) == under_the_first

    # AND a replay does it
    assert dict(stage.replay(other).changes) == changes
    assert [row[:3] for row in stage.outcomes()] == [
        ["processed", "hall@1", "second"],
        ["processed", "hall@1", "second"],
        ["rejected", "hall@1", "second"],
        ["processed", "hall@1", "second"],
    ]
    assert [row[1:] for row in stage.measurements()] == [[25.0, []], [35.0, []], [15.0, []]]

    # AND one under the first contract gives the first rows back
    stage.replay(of("first", COLD, HOT))
    assert (stage.outcomes(), stage.measurements()) == under_the_first


def test_a_rejected_correction_brings_the_flagged_measurement_back(stage: Stage) -> None:
    contracts = of("first", HOT)
    stage.process(stage.arrive({"data": [35]}), contracts)
    stage.process(stage.arrive({"data": [5]}), contracts)
    assert stage.measurements() == [["hall-3/thermometer-7", 5.0, []]]

    stage.replay(of("second", COLD, HOT))
    assert stage.measurements() == [["hall-3/thermometer-7", 35.0, ["value.above_maximum"]]]


@pytest.mark.parametrize("ruleset", ["first", "second"])
def test_parts_of_an_object_are_never_of_two_rulesets(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, ruleset: str
) -> None:
    # GIVEN an object of which a call wrote a part by one contract, and died
    monkeypatch.setattr("dropzone.use_cases.objects.MAX_CHUNK_EVENTS", 2)
    raw_id = stage.arrive(*({"data": [15], **at(minute)} for minute in range(5)))
    silver = stage.tables.silver(reuse=True, contracts=of("first", COLD))
    calls = iter([60.0] * 12)
    process([message(raw_id)], bronze=stage.bronze, silver=silver, time_left=lambda: next(calls, 1.0))
    written = len(stage.outcomes())
    assert 0 < written < 5

    # WHEN the next one goes on, by the same or by another contract
    rules = [COLD] if ruleset == "first" else [{**COLD, "limit": 10}]
    stage.process(raw_id, of(ruleset, *rules))

    # THEN all of it is of that one
    outcome = "rejected" if ruleset == "first" else "processed"
    assert [row[:3] for row in stage.outcomes()] == [[outcome, "hall@1", ruleset]] * 5
    assert len(stage.measurements()) == (0 if ruleset == "first" else 5)


def test_what_an_older_version_of_a_contract_decided_is_replayed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN objects of a hall and of others, in pages of three, some decided by the new rules already
    monkeypatch.setattr(postgres_outcome_store, "_PAGE", 3)
    first, second = of("first"), of("second", COLD)
    other, hall, mixed, later = (
        stage.arrive({"source": "elsewhere", "data": [1], **at(1)}),
        stage.arrive({"data": [1], **at(2)}),
        stage.arrive({"source": "hall-4", "data": [1], **at(3)}, {"data": [1], **at(4)}),
        stage.arrive({"data": [1], **at(5)}),
    )
    for raw_id in (other, hall, mixed):
        stage.process(raw_id, first)
    stage.process(later, second)
    store = PostgresOutcomeStore(stage.tables.open(), second)

    def found(name: str, after: UUID = NIL, before: UUID | None = None) -> list[UUID]:
        raw_ids: list[UUID] = []
        reached: UUID | None = after
        while reached is not None:
            page = store.decided_by(name, after=reached, before=before)
            assert page.reached != reached
            raw_ids += page.raw_ids
            reached = page.reached
        return raw_ids

    assert found("hall") == [hall, mixed]
    assert found("hall", after=hall) == [mixed]
    assert found("hall", before=mixed) == [hall]
    assert found("default") == [other, mixed]
    assert found("hal") == []

    # WHEN what the hall's contract decided is replayed
    predicted = stage.replay(second, dry_run=True, selection=DecidedBy("hall"))
    assert found("hall") == [hall, mixed]
    result = stage.replay(second, selection=DecidedBy("hall"))

    # THEN those are, and nothing of it is left
    assert result == predicted
    assert result.checked == 2
    assert result.changes[Change.NOW_REJECTED] >= 1
    assert found("hall") == []
    assert stage.replay(second, selection=DecidedBy("hall")).checked == 0
    assert found("default") == [other]


# ---- the contracts alone decide --------------------------------------------------------------------------------------

RULES: list[Mapping[str, Any]] = [
    COLD,
    HOT,
    {"rule": "units", "allowed": ["°C"], "id": "unit", "severity": "warning"},
    {"rule": "samples", "minimum": 2, "id": "samples"},
]
EVENTS = st.fixed_dictionaries(
    {
        "data": st.lists(st.sampled_from([5, 15, 25, 35]), min_size=1, max_size=3),
        "time_stamp": st.sampled_from([at(minute)["time_stamp"] for minute in range(3)]),
        "source": st.sampled_from(["hall-3/a", "hall-3/b", "elsewhere"]),
        "unit": st.sampled_from(["°C", "K"]),
    }
)
CONTRACTS = st.lists(st.sampled_from(RULES), max_size=4, unique_by=lambda rule: str(rule["id"]))


@settings(max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(EVENTS, min_size=1, max_size=4), min_size=1, max_size=5),
    CONTRACTS,
    CONTRACTS,
    st.randoms(use_true_random=False),
)
def test_order_batching_and_replays_leave_what_the_contracts_decide(
    tables: SilverInPostgres,
    objects: list[list[Mapping[str, Any]]],
    first: list[Mapping[str, Any]],
    second: list[Mapping[str, Any]],
    shuffle: Random,
) -> None:
    def rows(stage: Stage) -> tuple[list[list[Any]], list[list[Any]]]:
        return stage.outcomes(), stage.measurements()

    def processed(*rules: Mapping[str, Any], ruleset: str) -> tuple[Stage, tuple[list[list[Any]], list[list[Any]]]]:
        """The rows of objects that are processed in any order, some of them twice."""
        tables.clear()
        stage = Stage(tables)
        raw_ids = [stage.arrive(*events) for events in objects]
        for raw_id in shuffle.sample([*raw_ids, *raw_ids], 2 * len(raw_ids)):
            stage.process(raw_id, of(ruleset, *rules))
        return stage, rows(stage)

    _, by_second = processed(*second, ruleset="second")
    stage, by_first = processed(*first, ruleset="first")

    stage.replay(of("second", *second))
    assert rows(stage) == by_second
    stage.replay(of("first", *first))
    assert rows(stage) == by_first
