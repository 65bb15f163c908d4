"""Rejected events that a later one corrects: resolved as long as the correction is processed, whatever the order."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from dropzone.adapters.postgres_outcome_store import PostgresOutcomeStore
from dropzone.domain.body import JSON
from dropzone.domain.contracts import BASIC, Contracts
from dropzone.domain.identifiers import earliest_raw_id
from dropzone.domain.outcomes import Change
from dropzone.ports import RawObject
from dropzone.queries.buckets import Arrivals
from dropzone.queries.kpis import KpisRequest, read_kpis
from dropzone.queries.quality import QualityRequest, read_quality
from dropzone.queries.rejections import RejectionsRequest, read_rejections
from dropzone.queries.sources import SourcesRequest, read_sources
from dropzone.queries.status import StatusRequest, read_status
from dropzone.use_cases.process import process
from dropzone.use_cases.replay import Arrived, ReplayResult, replay
from support.contracts import contract
from support.factories import READER, message
from support.fakes import InMemoryBronze
from support.postgres import SilverInPostgres

GOOD = {"time_stamp": "2019-05-01T06:00:00Z", "data": [0, 2], "source": "hall-3"}
BAD = {**GOOD, "data": []}
WARM_ONLY = Contracts(
    [contract(), contract("hall", {"rule": "minimum", "limit": 10, "id": "cold"}, sources=("hall-3",))], "warm"
)
"""Rejects GOOD."""


class Corrections:
    """Objects of the same minute, of which the later ones correct others; processed in any order."""

    def __init__(self, tables: SilverInPostgres, minute: int = 0) -> None:
        self.tables, self.bronze, self.raw_ids = tables, InMemoryBronze(), list[UUID]()
        self.at = datetime(2026, 3, 4, 12, minute, tzinfo=UTC)
        self.silver = tables.silver()
        self.reader = tables.open(database_user="dropzone_reader")

    def arrive(self, *events: dict[str, Any]) -> UUID:
        raw_id = earliest_raw_id(self.at.replace(microsecond=1_000 * len(self.raw_ids)))
        self.bronze.put(RawObject(raw_id, json.dumps(events).encode(), content_type=JSON, correlation_id=""))
        self.raw_ids.append(raw_id)
        return raw_id

    def sender(self, raw_id: UUID) -> str | None:
        return "" if raw_id in self.raw_ids else None

    def process(self, raw_ids: Sequence[UUID]) -> None:
        for raw_id in raw_ids:
            assert not process(
                [message(raw_id)], bronze=self.bronze, silver=self.silver, time_left=lambda: 60.0
            ).returned

    def replay(self, contracts: Contracts) -> ReplayResult:
        return replay(
            Arrived(),
            bronze=self.bronze,
            outcome_store=PostgresOutcomeStore(self.tables.open(), contracts),
            limit=1_000,
            after=None,
            dry_run=False,
            time_left=lambda: 60.0,
        )

    def rejections(self, resolved: str, **asked: str) -> list[tuple[UUID, int, tuple[UUID, int] | None]]:
        """Which events are rejected, and by which each is resolved; the first arrival first."""
        query = {"from": self.at.isoformat(), "resolved": resolved, **asked}
        page = read_rejections(self.reader, RejectionsRequest.from_query(query), reads=None)
        return sorted(
            (
                UUID(str(each["raw_id"])),
                each["item"],
                None if (by := each["resolved_by"]) is None else (UUID(str(by["raw_id"])), by["item"]),
            )
            for each in page["rejections"]
        )

    def quality(self) -> tuple[int, int, int]:
        """How many are rejected, resolved, open: `/kpis` and `/quality` agree."""
        query = {"granularity": "minute", "from": self.at.isoformat(), "to": self.at.replace(second=59).isoformat()}
        (bucket,) = read_quality(self.reader, QualityRequest.from_query(query), reads=None)
        kpis = read_kpis(self.reader, KpisRequest.from_query(query), reads=None)
        (kpi,) = [kpi for kpi in kpis if kpi["received"]]
        assert all(kpi[name] == bucket[name] for name in Arrivals.__annotations__)  # type: ignore[literal-required]
        assert bucket["open_share"] == bucket["open"] / bucket["received"]
        return bucket["rejected"], bucket["resolved"], bucket["open"]


def corrects(raw_id: UUID, item: int = 0) -> dict[str, object]:
    return {"corrects": {"raw_id": str(raw_id), "item": item}}


def test_the_rejection_that_a_processed_event_names_is_resolved(tables: SilverInPostgres) -> None:
    # GIVEN a batch of which two events are rejected, and a correction of the second
    scene = Corrections(tables)
    batch = scene.arrive(BAD, GOOD, BAD)
    fix = scene.arrive(GOOD, {**GOOD, **corrects(batch, 2)})

    # WHEN both are processed
    scene.process(scene.raw_ids)

    # THEN it is kept, and not among the open ones
    assert scene.rejections("false") == [(batch, 0, None)]
    assert scene.rejections("true") == [(batch, 2, (fix, 1))]
    assert scene.rejections("all") == [(batch, 0, None), (batch, 2, (fix, 1))]
    assert scene.rejections("false", limit="1") == [(batch, 0, None)]
    assert scene.quality() == (2, 1, 1)
    status = read_status(scene.reader, scene, batch, StatusRequest(limit=10, cursor=-1), access=READER, gzip=False)
    assert [event.get("resolved_by") for event in status["events"]] == [None, None, {"raw_id": str(fix), "item": 1}]


@pytest.mark.parametrize("number", range(24))
def test_any_order_and_duplicates_resolve_the_same(tables: SilverInPostgres, number: int) -> None:
    # GIVEN a rejection, a correction of it that is rejected as well, and two of that
    scene = Corrections(tables)
    first = scene.arrive(BAD)
    failed = scene.arrive({**BAD, **corrects(first)})
    scene.arrive({**GOOD, **corrects(failed)})
    again = scene.arrive({**GOOD, **corrects(failed)})
    order = [*permutations(scene.raw_ids)][number]

    # WHEN they are processed in some order, some of them twice
    scene.process([*order, order[0], order[2]])

    # THEN the last correction counts, also by way of one that was rejected
    assert scene.rejections("all") == [(first, 0, (again, 0)), (failed, 0, (again, 0))]
    assert scene.rejections("false") == []
    assert scene.quality() == (2, 2, 0)


def test_a_rejected_correction_resolves_nothing(tables: SilverInPostgres) -> None:
    scene = Corrections(tables)
    first = scene.arrive(BAD)
    failed = scene.arrive({**BAD, **corrects(first)})
    scene.process(scene.raw_ids)

    assert scene.rejections("false") == [(first, 0, None), (failed, 0, None)]
    assert scene.quality() == (2, 0, 2)


def test_a_correction_of_what_is_not_rejected_changes_nothing(tables: SilverInPostgres) -> None:
    scene = Corrections(tables)
    good = scene.arrive(GOOD)
    scene.arrive({**GOOD, **corrects(good)}, {**GOOD, **corrects(good, 7)}, BAD)
    scene.process(scene.raw_ids)

    assert scene.rejections("true") == []
    assert scene.quality() == (1, 0, 1)


def test_a_replay_that_rejects_the_correction_opens_what_it_resolved(tables: SilverInPostgres) -> None:
    # GIVEN a resolved rejection
    scene = Corrections(tables)
    first = scene.arrive(BAD)
    fix = scene.arrive({**GOOD, **corrects(first)})
    scene.process(scene.raw_ids)
    resolved = scene.rejections("all")
    assert resolved == [(first, 0, (fix, 0))]

    # WHEN the correction is rejected by other rules
    scene.replay(WARM_ONLY)

    # THEN it is open again
    assert scene.rejections("false") == [(first, 0, None), (fix, 0, None)]
    assert scene.quality() == (2, 0, 2)

    # AND as before under the rules of before, after which a replay finds nothing to change
    scene.replay(BASIC)
    assert scene.rejections("all") == resolved
    assert scene.quality() == (1, 1, 0)
    assert scene.replay(BASIC).changes == {Change.SAME: 2}


@pytest.mark.parametrize(
    ("rejected", "source", "resolves"),
    [("hall-3", "hall-3", True), ("hall-3", "hall-4", False), ("hall-3", "Hall-3", False), ("", "hall-4", True)],
)
def test_event_of_another_source_resolves_nothing(
    tables: SilverInPostgres, rejected: str, source: str, *, resolves: bool
) -> None:
    # Who may write some sources alone would otherwise make others' rejections disappear.
    world = Corrections(tables)
    bad = world.arrive({**BAD, "source": rejected})
    fix = world.arrive({**GOOD, "source": source, "corrects": {"raw_id": str(bad), "item": 0}})
    world.process([bad, fix])

    assert world.rejections("true") == ([(bad, 0, (fix, 0))] if resolves else [])


@pytest.mark.parametrize("between", [{"source": "hall-4"}, {"source": 7}], ids=["another source", "no source"])
def test_event_of_another_source_resolves_nothing_by_way_of_a_rejected_one(
    tables: SilverInPostgres, between: dict[str, object]
) -> None:
    world = Corrections(tables)
    bad = world.arrive(BAD)
    failed = world.arrive({**BAD, **between, "corrects": {"raw_id": str(bad), "item": 0}})
    fix = world.arrive({**GOOD, "source": "hall-4", "corrects": {"raw_id": str(failed), "item": 0}})
    world.process([bad, failed, fix])

    assert (bad, 0) not in [entry[:2] for entry in world.rejections("true")]

    world.process([world.arrive({**GOOD, "corrects": {"raw_id": str(failed), "item": 0}})])
    assert (bad, 0) in [entry[:2] for entry in world.rejections("true")]


def test_fifty_corrections_in_a_row_are_followed(tables: SilverInPostgres) -> None:
    # GIVEN a rejection, fifty corrections that were rejected, each of the one before, and one that is processed
    scene = Corrections(tables)
    first = failed = scene.arrive(BAD)
    for _ in range(50):
        failed = scene.arrive({**BAD, **corrects(failed)})
    scene.arrive({**GOOD, **corrects(failed)})

    scene.process(scene.raw_ids)

    # THEN the first is too far away
    assert scene.rejections("false") == [(first, 0, None)]
    assert scene.quality() == (51, 50, 1)


def test_what_resolves_a_rejection_is_looked_for_where_one_is_corrected(tables: SilverInPostgres) -> None:
    # GIVEN many rejections of which one is corrected, and statistics of before
    tables.query("ANALYZE outcomes")
    scene = Corrections(tables)
    batch = scene.arrive(*[BAD] * 300)
    scene.arrive({**GOOD, **corrects(batch)})
    scene.process(scene.raw_ids)

    # WHEN those that are resolved are counted
    scene.reader.run("BEGIN")
    assert scene.quality() == (300, 1, 299)
    read_sources(scene.reader, SourcesRequest(), reads=None)
    ((lookups,),) = scene.reader.run(
        "SELECT sum(idx_scan) FROM pg_stat_xact_user_tables WHERE schemaname = 'parts' AND relname LIKE 'outcomes%'"
    )
    scene.reader.run("ROLLBACK")

    # THEN no index was asked for each of them
    assert 0 < lookups < 300


def test_a_source_says_what_of_its_last_day_is_open(tables: SilverInPostgres) -> None:
    scene = Corrections(tables)
    scene.at = datetime.now(UTC) - timedelta(minutes=2)
    batch = scene.arrive(BAD, BAD)
    scene.arrive({**GOOD, **corrects(batch)})
    scene.process(scene.raw_ids)

    (source,) = read_sources(scene.reader, SourcesRequest(prefix="hall-3"), reads=None)

    assert source["last_day"] == {
        "received": 3,
        "rejected": 2,
        "resolved": 1,
        "open": 1,
        "rejected_share": 2 / 3,
        "open_share": 1 / 3,
    }
