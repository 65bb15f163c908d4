"""Time per event against the number of events of a batch."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from benchmarks.measuring import Entry, Goal, alternate, entry, microseconds
from benchmarks.process import processing
from benchmarks.surroundings import Surroundings, environment, silence

_BATCHES = (10, 100, 1_000, 10_000)
_LINEAR = Goal("≤", 1.1)
"""Against the batch of a tenth: one, and what runs differ by."""


def run(surroundings: Surroundings) -> Iterator[Entry]:
    """Measure."""
    with environment(surroundings.variables()), silence():
        taken = alternate({str(size): processing(surroundings, size) for size in _BATCHES})
    surroundings.empty_tables()
    lines = [
        entry(f"growth, batch of {size:,}", microseconds(size), taken[str(size)].wall, at=size) for size in _BATCHES
    ]
    yield lines[0]
    for smaller, line in pairwise(lines):
        yield replace(line, reference=smaller.ours, goal=_LINEAR)
