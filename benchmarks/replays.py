"""A live writer beside replays, and one replay beside four at once, each in a process of its own.

The waits of the writer are separated by cause: the kernel counts how long a process was ready and had no processor
(`/proc/PID/schedstat`, Linux's alone). What is left is work, locks and the disk. Dry runs are the control: they need
processors as well, and neither lock nor write. In a stack, replays read and validate on Lambda's processors, and the
database has its own: so there are also replays whose clients take what nobody else wants of the processors.
"""

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import batched
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from benchmarks.measuring import Clock, Entry, Goal
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
from dropzone.ports import ListedObject, TimeLeft
from dropzone.settings import DatabaseSettings
from dropzone.use_cases.objects import ON_REQUEST_CHUNK_OBJECTS
from dropzone.use_cases.replay import Arrived, replay
from support.postgres import database_settings

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

_AT_ONCE = 4
_OBJECTS = 2_000
"""Of each replay, which begins again at their end. Those of a day, as a year's replay goes through it."""

_TURNS = 3
_SECONDS = 5.0
_LIVE, _PAUSE = 10, 0.02
"""The live writer's events in a statement, and the seconds between two."""

_HAS_ROOM = (os.cpu_count() or 1) >= _AT_ONCE
"""Whether each replay can have a processor. If not, the writer waits for one, whatever replays lock."""

_SLOWED, _SPED = Goal("≤", 3), Goal("≥", 2.5 if _HAS_ROOM else 1.5)

_LEAST_URGENT = 19


class _Bronze(S3Bronze):
    """Lists objects with sizes. The stand-in has none."""

    listed: Sequence[UUID] = ()

    def list_after(self, raw_id: UUID, *, timeout: TimeLeft) -> Iterator[list[ListedObject]]:  # noqa: ARG002
        yield [ListedObject(each, 200) for each in self.listed]


class _Beside(NamedTuple):
    """What runs beside the live writer."""

    replays: int
    dry_run: bool = False
    yields: bool = False
    """Whether the replays' clients let others have the processors first."""

    def __str__(self) -> str:
        name = f"{self.replays} {'dry run' if self.dry_run else 'replay'}{'s' if self.replays > 1 else ''}"
        return f"{name} whose clients yield" if self.yields else name


_NONE, _ONE, _MOST = _Beside(0), _Beside(1), _Beside(_AT_ONCE)
_KINDS = (_NONE, _ONE, _Beside(2), _MOST, _Beside(_AT_ONCE, yields=True), _Beside(_AT_ONCE, dry_run=True))


class _Turn(NamedTuple):
    live: float
    """The 95th percentile of the live writer's statements, in seconds."""
    undelayed: float
    """The same, without the time that it and its server process waited for a processor."""
    rate: float
    """Objects a second that the replays did together."""


def run(surroundings: Surroundings) -> Iterator[Entry]:
    with surroundings.silver() as silver:
        days = [_arrive(surroundings, silver, day) for day in range(_AT_ONCE)]
        delays = _delays(surroundings)
        _turn(surroundings, silver, days, _ONE, delays)
        turns = {kind: list[_Turn]() for kind in _KINDS}
        for _ in range(_TURNS):
            for kind, taken in turns.items():
                taken.append(_turn(surroundings, silver, days, kind, delays))
    surroundings.empty_tables()
    for kind, taken in turns.items():
        if kind != _NONE:
            name, goal = f"live writer's p95 beside {kind}", _SLOWED if kind == _MOST else None
            by_clock, without_waits = (goal, None) if _HAS_ROOM else (None, goal)
            yield _entry(name, [turn.live for turn in taken], [turn.live for turn in turns[_NONE]], by_clock)
            name = f"{name}, without its waits for a processor"
            alone = [turn.undelayed for turn in turns[_NONE]]
            yield _entry(name, [turn.undelayed for turn in taken], alone, without_waits)
    one, several = (median(turn.rate for turn in turns[kind]) for kind in (_ONE, _MOST))
    yield Entry(f"{_AT_ONCE} replays at once, beside one", "objects/s", several, one, several / one, _SPED, _TURNS)


def _entry(name: str, beside: Sequence[float], alone: Sequence[float], goal: Goal | None = None) -> Entry:
    ours, reference = median(beside), median(alone)
    return Entry(name, "ms", ours * 1e3, reference * 1e3, ours / reference, goal, _TURNS)


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


def _turn(
    surroundings: Surroundings, silver: PostgresSilver, days: Sequence[Sequence[UUID]], beside: _Beside, delays: Clock
) -> _Turn:
    """Write for some seconds while a replay goes through each of so many days again and again."""
    context = multiprocessing.get_context("spawn")
    ready, begun, stop = context.Semaphore(0), context.Event(), context.Event()
    chosen = days[: beside.replays]
    done = [context.Value("l", 0) for _ in chosen]
    world = (database_settings(surroundings.postgres), surroundings.stand_in.endpoint, beside)
    running = [
        context.Process(target=_replay, args=(*world, day, ready, begun, stop, count))
        for day, count in zip(chosen, done, strict=True)
    ]
    for process in running:
        process.start()
    for _ in running:
        ready.acquire()
    begun.set()
    start = time.perf_counter()
    latencies, undelayed = [], []
    while time.perf_counter() - start < _SECONDS:
        batch = fresh(fresh_instants(_LIVE))
        delayed, before = delays(), time.perf_counter()
        silver.write_outcomes(batch)
        latencies.append(time.perf_counter() - before)
        undelayed.append(max(latencies[-1] - (delays() - delayed), 0))
        time.sleep(max(_PAUSE - latencies[-1], 0))
    rate = sum(count.value for count in done) / (time.perf_counter() - start)
    stop.set()
    for process in running:
        process.join()
        assert process.exitcode == 0  # noqa: S101 - a replay that failed measures nothing
    return _Turn(quantiles(latencies, n=20)[-1], quantiles(undelayed, n=20)[-1], rate)


def _delays(surroundings: Surroundings) -> Clock:
    """For how long this process and the live writer's on the server were ready and had no processor, in seconds."""
    with surroundings.connect() as connection:
        rows = connection.run("SELECT pid FROM pg_stat_activity WHERE usename = 'dropzone_writer'") or []
    files = [Path(f"/proc/{pid}/schedstat") for (pid,) in [["self"], *rows]]
    return lambda: sum(int(file.read_text(encoding="ascii").split()[1]) for file in files) / 1e9


def _replay(
    settings: DatabaseSettings,
    endpoint: str,
    beside: _Beside,
    raw_ids: Sequence[UUID],
    ready: Semaphore,
    begun: Event,
    stop: Event,
    done: "Synchronized[int]",
) -> None:
    """Replay until asked to stop; counts the objects."""
    if beside.yields:
        os.nice(_LEAST_URGENT)
    os.environ |= CREDENTIALS
    bronze = _Bronze(BUCKET, region=REGION, endpoint=endpoint)
    database = open_database(settings)
    outcome_store = PostgresOutcomeStore(database)
    outcome_store.outcomes([])
    ready.release()
    begun.wait()
    while not stop.is_set():
        for some in batched(raw_ids, ON_REQUEST_CHUNK_OBJECTS, strict=False):
            if stop.is_set():
                break
            bronze.listed = some
            result = replay(
                Arrived(),
                bronze=bronze,
                outcome_store=outcome_store,
                limit=len(some),
                after=None,
                dry_run=beside.dry_run,
                time_left=lambda: 60.0,
            )
            assert result.checked == len(some)  # noqa: S101
            done.value += result.checked
    database.close()
