"""The function Process, from the queue's messages to the commit, beside boto3 doing nothing but reading the objects."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from benchmarks.measuring import Entry, Goal, Work, alternate, entries, per_second, prepared
from benchmarks.read import OBJECTS, VALUES, reading_with_boto3
from benchmarks.surroundings import Surroundings, environment, silence
from benchmarks.workloads import fresh_bodies, raw_ids, sqs_event
from support.lambda_context import Context

_GOAL = Goal("≥", 6)
_RUNS = 7


def run(surroundings: Surroundings) -> Iterator[Entry]:
    with environment(surroundings.variables()), silence(), reading_with_boto3(surroundings) as boto3_reads:
        reading = prepared(lambda: _arrive(surroundings, OBJECTS)[0], boto3_reads)
        taken = alternate({"ours": processing(surroundings), "boto3": reading}, _RUNS)
    surroundings.empty_tables()
    yield from entries("process, beside boto3 reading", per_second(OBJECTS, "objects"), taken, _GOAL)


def processing(surroundings: Surroundings, objects: int = OBJECTS) -> Work:
    """The function's work on objects that have just arrived. In its environment."""
    from dropzone_process.queue import handler  # noqa: PLC0415 - it reads variables

    return prepared(
        lambda: sqs_event(*_arrive(surroundings, objects)), lambda event: succeed(handler(event, Context()))
    )


def _arrive(surroundings: Surroundings, objects: int) -> tuple[Sequence[UUID], int]:
    """New objects in bronze, and the size of each."""
    arrived, bodies = raw_ids(objects), fresh_bodies(objects, VALUES)
    surroundings.stand_in.store(zip(arrived, bodies, strict=True))
    return arrived, len(bodies[0])


def succeed(answer: object) -> None:
    """Assert that no message is returned."""
    assert answer == {"batchItemFailures": []}, answer  # noqa: S101
