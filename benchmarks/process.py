"""The function Process, from the queue's messages to the commit, beside boto3 doing nothing but reading the objects."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from benchmarks.measuring import Entry, Goal, Spent, Work, alternate, entry, per_second, timed
from benchmarks.read import OBJECTS, VALUES, Reading, reading_with_boto3
from benchmarks.surroundings import Surroundings, environment, silence
from benchmarks.workloads import fresh_bodies, raw_ids, sqs_event
from support.lambda_context import Context

_GOAL = Goal("≥", 6)
_RUNS = 7


def run(surroundings: Surroundings) -> Iterator[Entry]:
    """Measure."""
    with environment(surroundings.variables()), silence(), reading_with_boto3(surroundings) as boto3_reads:
        taken = alternate({"ours": processing(surroundings), "boto3": _reading(surroundings, boto3_reads)}, _RUNS)
    surroundings.empty_tables()
    ours, boto3s, rate = taken["ours"], taken["boto3"], per_second(OBJECTS, "objects")
    yield entry("process, beside boto3 reading", rate, ours.wall, boto3s.wall, _GOAL)
    yield entry("process, beside boto3 reading, by CPU", rate, ours.cpu, boto3s.cpu, _GOAL)


def processing(surroundings: Surroundings, objects: int = OBJECTS) -> Work:
    """The function's work on objects that have just arrived. In its environment."""
    from dropzone_process.queue import handler  # noqa: PLC0415 - it reads variables

    def work() -> Spent:
        arrived, size = _arrive(surroundings, objects)
        event = sqs_event(arrived, size)
        return timed(lambda: succeed(handler(event, Context())))

    return work


def _reading(surroundings: Surroundings, read: Reading) -> Work:
    def work() -> Spent:
        arrived, _ = _arrive(surroundings, OBJECTS)
        return timed(lambda: read(arrived))

    return work


def _arrive(surroundings: Surroundings, objects: int) -> tuple[Sequence[UUID], int]:
    """New objects in bronze, and the size of each."""
    arrived, bodies = raw_ids(objects), fresh_bodies(objects, VALUES)
    surroundings.stand_in.store(zip(arrived, bodies, strict=True))
    return arrived, len(bodies[0])


def succeed(answer: object) -> None:
    """Assert that no message is returned."""
    assert answer == {"batchItemFailures": []}, answer  # noqa: S101
