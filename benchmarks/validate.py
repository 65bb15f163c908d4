"""Bytes to outcome on one thread, beside the least that can do it."""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from pydantic_core import from_json

from benchmarks.measuring import Entry, Goal, Work, alternate, entry, per_second, repeated
from benchmarks.surroundings import Surroundings
from benchmarks.workloads import fresh_bodies
from dropzone.domain.outcomes import Measurement
from dropzone.domain.validate import validate

# Values of an event, and how many such events a run validates.
_SIZES = {10: 1_000, 100: 500, 1_000: 50, 100_000: 1}
_RUNS = 30
_COMMON = 100
_GOAL = Goal("≥", 0.65)

_NUMBERS = frozenset({int, float})


def run(_: Surroundings) -> Iterator[Entry]:
    for values, number in _SIZES.items():
        bodies = fresh_bodies(number, values)
        assert [least(body) for body in bodies] == [_figures(body) for body in bodies]  # noqa: S101
        taken = alternate({"ours": _on_each(validate, bodies), "least": _on_each(least, bodies)}, _RUNS)
        goal = _GOAL if values == _COMMON else None
        yield entry(
            f"validate, {values:,} floats", per_second(number), taken["ours"].cpu, taken["least"].cpu, goal, at=values
        )


def _on_each(validating: Callable[[bytes], object], bodies: Sequence[bytes]) -> Work:
    def all_of_them() -> None:
        for body in bodies:
            validating(body)

    return repeated(all_of_them)


Figures = tuple[datetime, float, float, int, float, float]


def least(body: bytes) -> Figures:
    """The figures of an event that is known to be good, but for the type of its numbers."""
    event = from_json(body)
    data = event["data"]
    if not _NUMBERS.issuperset(map(type, data)):
        raise TypeError
    count = len(data)
    mean = math.fsum(data) / count
    std_dev = math.dist(data, [mean] * count) / math.sqrt(count)
    return datetime.fromisoformat(event["time_stamp"]), mean, std_dev, count, min(data), max(data)


def _figures(body: bytes) -> Figures:
    (outcome,) = validate(body)
    assert isinstance(outcome, Measurement)  # noqa: S101 - all are good
    return outcome.measured_at, *outcome.aggregates
