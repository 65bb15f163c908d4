"""Time per event against the number of events of a batch."""

from collections.abc import Iterator
from itertools import pairwise

from benchmarks.measuring import Entry, Goal, alternate, entry, microseconds
from benchmarks.process import processing
from benchmarks.surroundings import Surroundings, environment, silence

_BATCHES = (10, 100, 1_000, 10_000)
_LINEAR = Goal("≤", 1.1)
"""Against the batch of a tenth: one, and what runs differ by."""


def run(surroundings: Surroundings) -> Iterator[Entry]:
    with environment(surroundings.variables()), silence():
        taken = alternate({str(size): processing(surroundings, size) for size in _BATCHES})
    surroundings.empty_tables()
    smallest, *_ = _BATCHES
    yield entry(f"growth, batch of {smallest:,}", microseconds(smallest), taken[str(smallest)].wall, at=smallest)
    for smaller, size in pairwise(_BATCHES):
        yield entry(
            f"growth, batch of {size:,}",
            microseconds(size),
            taken[str(size)].wall,
            taken[str(smaller)].wall,
            _LINEAR,
            scale_of_reference=microseconds(smaller),
            at=size,
        )
