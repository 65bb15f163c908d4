"""The largest object that ingest takes, or a share of it, through calls of the shortest time: it ends all the same."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Self
from uuid import UUID

from dropzone.adapters.postgres_outcome_store import PostgresOutcomeStore
from dropzone.domain.body import NDJSON
from dropzone.domain.outcomes import Change
from dropzone.ports import Bronze, RawObject, TimeLeft
from dropzone.use_cases.objects import ProcessingResult
from dropzone.use_cases.process import process
from dropzone.use_cases.replay import Arrived, ReplayResult, replay
from dropzone.use_cases.sweep import sweep
from support.factories import arrive, message, raw_id
from support.fakes import Hook, HookedSilver, InMemoryBronze, ReaderDiedError
from support.packing import gzipped
from support.postgres import SilverInPostgres

if TYPE_CHECKING:
    from dropzone.domain.identifiers import Cursor

_MAX_BODY_BYTES = 4 * 1024 * 1024
_EVENTS = 100_000
_SLOWEST = [1e308, 9e307, 1e-99, 7e-311]
"""Values whose sum is beyond binary64, and as far apart as can be."""

_SHORTEST_CALL_SECONDS = 5.0
"""The minimum of ProcessTimeout."""

_INSTANT = datetime(2024, 1, 1, tzinfo=UTC)

NewCall = Callable[[], TimeLeft]
"""Begins a call of the shortest time."""


@dataclass(frozen=True)
class LargestObject:
    """As many events as an object can hold, of which as many as fit are of the slowest values; the rest is rejected."""

    events: int
    slow: int
    body: bytes

    @classmethod
    def make(cls, share: int = 1) -> Self:
        """Make it, or with `share` 8 an eighth of it, of the same kinds of events."""
        events, most = _EVENTS // share, _MAX_BODY_BYTES // share
        bad = b'{"time_stamp":"","data":[]}'
        values = ",".join(map(repr, _SLOWEST))
        size = len(cls._slow_event(0, values)) + 1
        slow = (most - events * (len(bad) + 1)) // (size - len(bad) - 1)
        lines = [cls._slow_event(number, values) for number in range(slow)] + [bad] * (events - slow)
        # Bad ones stand between the others, in every part.
        Random(0).shuffle(lines)  # noqa: S311 - no secret
        body = b"\n".join(lines)
        assert most - size <= len(body) <= most
        return cls(events, slow, body)

    @staticmethod
    def _slow_event(number: int, values: str) -> bytes:
        instant = _INSTANT + timedelta(seconds=number)
        return f'{{"time_stamp":"{instant:%Y-%m-%dT%H:%M:%SZ}","data":[{values}]}}'.encode()

    def arrive(self, bronze: Bronze) -> UUID:
        """Put it into bronze, packed as a client would."""
        identifier = raw_id(timedelta(minutes=30))
        packed = gzipped(self.body, 1)
        bronze.put(
            RawObject(identifier, packed, content_type=NDJSON, correlation_id="request", content_encoding="gzip")
        )
        return identifier


def shortest_call() -> TimeLeft:
    """A call that begins now."""
    ends = time.monotonic() + _SHORTEST_CALL_SECONDS
    return lambda: ends - time.monotonic()


def shortest_call_by_events(seconds_each: float = 0.0004) -> TimeLeft:
    """A call on a clock that goes on with each look at it, which is one for each event; so it is the same each time."""
    left = _SHORTEST_CALL_SECONDS

    def time_left() -> float:
        nonlocal left
        left -= seconds_each
        return left

    return time_left


def dying_when_late(time_left: TimeLeft) -> Hook:
    """End the process when the time of its call is over, as Lambda does."""

    def hook(_method: str, _raw_ids: Collection[UUID]) -> None:
        if time_left() < 0:
            raise ReaderDiedError

    return hook


def written(tables: SilverInPostgres, identifier: UUID) -> int:
    ((count,),) = tables.query("SELECT count(*) FROM outcomes WHERE raw_id = :raw_id", raw_id=identifier)
    return int(count)


def check_largest(tables: SilverInPostgres, identifier: UUID, largest: LargestObject) -> None:
    """Each event has its outcome, and the slow ones their figures."""
    ((rejected, processed, last),) = tables.query(
        "SELECT count(*) FILTER (WHERE outcome = 'rejected' AND jsonb_array_length(violations) = 2),"
        " count(*) FILTER (WHERE outcome = 'processed'), max(item) FROM outcomes WHERE raw_id = :raw_id",
        raw_id=identifier,
    )
    assert (rejected, processed, last) == (largest.events - largest.slow, largest.slow, largest.events - 1)
    figures = tables.query(
        "SELECT mean, std_dev, sample_count, min, max, count(*), count(DISTINCT measured_at) FROM measurements"
        " WHERE raw_id = :raw_id GROUP BY 1, 2, 3, 4, 5",
        raw_id=identifier,
    )
    mean, std_dev = statistics.mean(_SLOWEST), statistics.pstdev(_SLOWEST)
    assert figures == [[mean, std_dev, 4, 7e-311, 1e308, largest.slow, largest.slow]]
    assert tables.receipt_rows()[identifier].items == largest.events


def check_that_it_ends(tables: SilverInPostgres, largest: LargestObject, new_call: NewCall) -> int:
    """See that the queue and the sweep process it; in how many calls."""
    # GIVEN the object, and the shortest calls
    bronze = InMemoryBronze()
    identifier = largest.arrive(bronze)
    silver = HookedSilver(tables.silver())

    # WHEN the queue and the sweep take it in turns
    reached, result = [0], ProcessingResult()
    for number in range(60):
        time_left = new_call()
        silver.after = dying_when_late(time_left)
        if number % 2:
            tables.pass_time(timedelta(hours=1))
            result = sweep(
                bronze=bronze,
                silver=silver,
                limit=10_000,
                min_age=timedelta(0),
                after=None,
                retry_exhausted=False,
                time_left=time_left,
            )
        else:
            again = message(identifier, receive_count=number + 1)
            result = process([again], bronze=bronze, silver=silver, time_left=time_left)

        # THEN each call gets on, and none counts as an attempt
        reached.append(written(tables, identifier))
        assert result.errors == []
        assert reached[-1] > reached[-2]
        if result.checked:
            break
        assert tables.receipt_rows()[identifier].attempts == 0

    # AND in the end all of it is there
    check_largest(tables, identifier, largest)
    (completed,) = result.objects
    assert (completed.events, completed.rejected) == (largest.events, largest.events - largest.slow)
    return len(reached) - 1


def check_that_a_replay_ends(tables: SilverInPostgres, largest: LargestObject, new_call: NewCall) -> int:
    """See that replays answer in time, and get past it; in how many calls."""
    # GIVEN the object, whose outcomes are lost, another one behind it, and the shortest calls
    bronze = InMemoryBronze()
    identifier = largest.arrive(bronze)
    other = arrive(bronze)
    database = tables.open()

    # WHEN calls follow the cursor
    results: list[ReplayResult] = []
    after: Cursor | None = None
    while not results or after is not None:
        time_left = new_call()
        database.use_time_left(time_left)
        results.append(
            replay(
                Arrived(),
                bronze=bronze,
                outcome_store=PostgresOutcomeStore(database),
                limit=100,
                after=after,
                dry_run=False,
                time_left=time_left,
            )
        )
        after = results[-1].cursor

        # THEN each answers before its time is over, and makes progress, or finds that nothing is left
        assert time_left() > 0
        assert results[-1].changes or after is None
        assert len(results) < 60

    # AND in the end both are replayed, each counted once
    assert [len([result for result in results if result.errors]), sum(result.checked for result in results)] == [0, 2]
    assert sum(result.rejected for result in results) == 1
    assert sum((result.changes for result in results), Counter()) == {Change.NEW: largest.events + 1}
    check_largest(tables, identifier, largest)
    assert tables.receipt_rows()[other].complete
    return len(results)
