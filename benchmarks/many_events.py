"""Objects of a thousand events, from notification to commit, beside validating and storing them alone."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from benchmarks.measuring import Entry, Goal, Work, alternate, entry, per_second, prepared
from benchmarks.process import succeed
from benchmarks.surroundings import Surroundings, environment, silence
from benchmarks.workloads import batches, fresh_bodies, raw_ids, sqs_event
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.domain.outcomes import ValidatedObject
from dropzone.domain.validate import validate
from dropzone.use_cases.objects import MAX_CHUNK_EVENTS
from support.lambda_context import Context

_OBJECTS, _EVENTS, _VALUES = 10, 1_000, 100
_GOAL = Goal("≥", 0.8)

Objects = Sequence[tuple[UUID, bytes]]


def run(surroundings: Surroundings) -> Iterator[Entry]:
    with environment(surroundings.variables()), silence(), surroundings.silver() as silver:
        taken = alternate({"ours": _from_the_queue(surroundings), "alone": _alone(silver)})
    surroundings.empty_tables()
    ours, alone, rate = taken["ours"], taken["alone"], per_second(_OBJECTS * _EVENTS)
    yield entry(f"{_EVENTS:,} events an object, beside validate and store", rate, ours.wall, alone.wall, _GOAL)


def _fresh_objects() -> Objects:
    """JSON arrays of events."""
    events = fresh_bodies(_OBJECTS * _EVENTS, _VALUES)
    bodies = [b"[" + b",".join(batch) + b"]" for batch in batches(events, _EVENTS)]
    return list(zip(raw_ids(_OBJECTS), bodies, strict=True))


def _from_the_queue(surroundings: Surroundings) -> Work:
    from dropzone_process.queue import handler  # noqa: PLC0415 - it reads variables

    def arrive() -> dict[str, Any]:
        objects = _fresh_objects()
        surroundings.stand_in.store(objects)
        return sqs_event([raw_id for raw_id, _ in objects], len(objects[0][1]))

    return prepared(arrive, lambda event: succeed(handler(event, Context())))


def _alone(silver: PostgresSilver) -> Work:
    def validate_then_store(objects: Objects) -> None:
        validated = [ValidatedObject(raw_id, validate(body)) for raw_id, body in objects]
        for batch in batches(validated, MAX_CHUNK_EVENTS // _EVENTS):
            assert len(silver.write_outcomes(batch)) == len(batch)  # noqa: S101

    return prepared(_fresh_objects, validate_then_store)
