"""A live writer beside replays, and one replay beside four at once, each in a process of its own."""

import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import batched
from multiprocessing.synchronize import Event, Semaphore
from statistics import median, quantiles
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from benchmarks.measuring import Entry, Goal
from benchmarks.store import fresh
from benchmarks.surroundings import CREDENTIALS, REGION, Surroundings
from benchmarks.workloads import BUCKET, FIRST_INSTANT, body, floats, fresh_instants
from dropzone.adapters.database import open_database
from dropzone.adapters.postgres_outcome_store import PostgresOutcomeStore
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.adapters.s3 import S3Bronze
from dropzone.domain.identifiers import new_raw_id
from dropzone.domain.outcomes import ValidatedObject
from dropzone.domain.validate import validate
from dropzone.ports import ListedObject
from dropzone.settings import DatabaseSettings
from dropzone.use_cases.objects import ON_REQUEST_CHUNK_OBJECTS
from dropzone.use_cases.replay import replay

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

_AT_ONCE = 4
_OBJECTS = 2_000
"""Of each replay, which begins again at their end. Those of a day, as a year's replay goes through it."""

_TURNS = 3
_SECONDS = 5.0
_LIVE, _PAUSE = 10, 0.02
"""The live writer's events in a statement, and the seconds between two."""

_SLOWED, _SPED = Goal("≤", 3), Goal("≥", 1.5 if (os.cpu_count() or 1) < _AT_ONCE else 2.5)


class _Listed(NamedTuple):
    """Objects whose sizes are known, as those of a listing. The stand-in has none."""

    raw_ids: Sequence[UUID]

    def pages(self, *_: object) -> Iterator[Sequence[ListedObject]]:
        yield [ListedObject(raw_id, 200) for raw_id in self.raw_ids]


class _Turn(NamedTuple):
    live: float
    """The 95th percentile of the live writer's statements, in seconds."""
    rate: float
    """Objects a second that the replays did together."""


def run(surroundings: Surroundings) -> Iterator[Entry]:
    """Measure."""
    with surroundings.silver() as silver:
        days = [_arrive(surroundings, silver, day) for day in range(_AT_ONCE)]
        _turn(surroundings, silver, days[:1])
        turns = {number: list[_Turn]() for number in (0, 1, _AT_ONCE)}
        for _ in range(_TURNS):
            for number, taken in turns.items():
                taken.append(_turn(surroundings, silver, days[:number]))
    surroundings.empty_tables()
    alone = median(turn.live for turn in turns[0])
    for number in (1, _AT_ONCE):
        p95, goal = median(turn.live for turn in turns[number]), _SLOWED if number == _AT_ONCE else None
        name = f"live writer's p95 beside {number} replay{'s' if number > 1 else ''}"
        yield Entry(name, "ms", p95 * 1e3, alone * 1e3, p95 / alone, goal, _TURNS)
    one, several = (median(turn.rate for turn in turns[number]) for number in (1, _AT_ONCE))
    yield Entry(f"{_AT_ONCE} replays at once, beside one", "objects/s", several, one, several / one, _SPED, _TURNS)


def _arrive(surroundings: Surroundings, silver: PostgresSilver, day: int) -> Sequence[UUID]:
    """Objects of one event each that arrived at the time that they were measured, of one day, processed."""
    instants = [
        FIRST_INSTANT + timedelta(days=-1000 + day, seconds=number * 86_400 // _OBJECTS) for number in range(_OBJECTS)
    ]
    raw_ids = [new_raw_id(int(instant.timestamp() * 1e9)) for instant in instants]
    bodies = [body(instant, floats(10)) for instant in instants]
    surroundings.stand_in.store(zip(raw_ids, bodies, strict=True))
    silver.write_outcomes(
        [ValidatedObject(raw_id, tuple(validate(each))) for raw_id, each in zip(raw_ids, bodies, strict=True)]
    )
    return raw_ids


def _turn(surroundings: Surroundings, silver: PostgresSilver, days: Sequence[Sequence[UUID]]) -> _Turn:
    """Write for some seconds while a replay goes through each of these days again and again."""
    context = multiprocessing.get_context("spawn")
    ready, begun, stop = context.Semaphore(0), context.Event(), context.Event()
    done = [context.Value("l", 0) for _ in days]
    settings = surroundings.database_settings()
    running = [
        context.Process(target=_replay, args=(settings, surroundings.stand_in.endpoint, day, ready, begun, stop, count))
        for day, count in zip(days, done, strict=True)
    ]
    for process in running:
        process.start()
    for _ in running:
        ready.acquire()
    begun.set()
    start = time.perf_counter()
    latencies = []
    while time.perf_counter() - start < _SECONDS:
        batch = fresh(fresh_instants(_LIVE))
        before = time.perf_counter()
        silver.write_outcomes(batch)
        latencies.append(time.perf_counter() - before)
        time.sleep(max(_PAUSE - latencies[-1], 0))
    rate = sum(count.value for count in done) / (time.perf_counter() - start)
    stop.set()
    for process in running:
        process.join()
        assert process.exitcode == 0  # noqa: S101 - a replay that failed measures nothing
    return _Turn(quantiles(latencies, n=20)[-1], rate)


def _replay(
    settings: Mapping[str, object],
    endpoint: str,
    raw_ids: Sequence[UUID],
    ready: Semaphore,
    begun: Event,
    stop: Event,
    done: "Synchronized[int]",
) -> None:
    """Replay until asked to stop; counts the objects."""
    os.environ |= CREDENTIALS
    bronze = S3Bronze(BUCKET, region=REGION, endpoint=endpoint)
    database = open_database(DatabaseSettings.of(settings))
    outcome_store = PostgresOutcomeStore(database)
    outcome_store.outcomes([])
    ready.release()
    begun.wait()
    while not stop.is_set():
        for some in batched(raw_ids, ON_REQUEST_CHUNK_OBJECTS, strict=False):
            if stop.is_set():
                break
            result = replay(
                _Listed(some),
                bronze=bronze,
                outcome_store=outcome_store,
                limit=len(some),
                after=None,
                dry_run=False,
                time_left=lambda: 60.0,
            )
            assert result.checked == len(some)  # noqa: S101
            done.value += result.checked
    database.close()
