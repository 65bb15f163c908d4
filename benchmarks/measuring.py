"""Runs that alternate, their medians, and the goals that they are held against."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Literal, NamedTuple

RUNS = 5
"""Of each contestant, unless a benchmark says otherwise; one more before them warms up and doesn't count."""


class Spent(NamedTuple):
    """The seconds of a piece of work."""

    wall: float
    """By the clock on the wall."""
    cpu: float
    """Of processors: all threads of this process, and not the servers that it talks to, unless it says so."""


Clock = Callable[[], float]

Work = Callable[[], Spent]
"""Does a contestant's work once; tells what it took, without what it needed to prepare."""


def timed(work: Callable[[], object], cpu: Clock = time.process_time) -> Spent:
    """Do some work, and tell what it took."""
    cpu_before, wall_before = cpu(), time.perf_counter()
    work()
    wall = time.perf_counter() - wall_before
    return Spent(wall, cpu() - cpu_before)


def repeated(call: Callable[[], object], times: int = 1, cpu: Clock = time.process_time) -> Work:
    """The work of doing something so many times."""

    def calls() -> None:
        for _ in range(times):
            call()

    return lambda: timed(calls, cpu)


def prepared[T](prepare: Callable[[], T], use: Callable[[T], object], cpu: Clock = time.process_time) -> Work:
    """The work of using what is made for each run, without the time to make it."""

    def work() -> Spent:
        made = prepare()
        return timed(lambda: use(made), cpu)

    return work


@dataclass(frozen=True, slots=True)
class Series:
    """The seconds of a contestant's runs, by one clock."""

    seconds: tuple[float, ...]

    @classmethod
    def of(cls, call: Callable[[], object], runs: int) -> "Series":
        """What some runs take by the wall's clock."""
        return cls(tuple(timed(call).wall for _ in range(runs)))

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def spread(self) -> float:
        """From their first to their third quartile, as a part of the median."""
        first, _, third = quantiles(self.seconds, method="inclusive")
        return (third - first) / self.median


@dataclass(frozen=True, slots=True)
class Runs:
    wall: Series
    cpu: Series

    @classmethod
    def of(cls, spent: list[Spent]) -> "Runs":
        return cls(Series(tuple(run.wall for run in spent)), Series(tuple(run.cpu for run in spent)))


def alternate(contestants: Mapping[str, Work], runs: int = RUNS) -> dict[str, Runs]:
    """Let each do its work once in turn, `runs` times over, so that what disturbs one disturbs the other."""
    spent: dict[str, list[Spent]] = {name: [] for name in contestants}
    for work in contestants.values():
        work()
    gc.collect()
    gc.freeze()  # what is there already is no run's garbage
    for _ in range(runs):
        for name, work in contestants.items():
            gc.collect()
            spent[name].append(work())
    gc.unfreeze()
    return {name: Runs.of(runs_of_one) for name, runs_of_one in spent.items()}


@dataclass(frozen=True, slots=True)
class Goal:
    sign: Literal["≥", "≤"]
    value: float

    def holds(self, figure: float) -> bool:
        return figure >= self.value if self.sign == "≥" else figure <= self.value

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the results."""

    name: str
    unit: str
    ours: float
    reference: float | None = None
    ratio: float | None = None
    """Ours, as a multiple of the reference: the median of the turns' own ratios. Processors may change their pace every
    few seconds, for both of a turn, and then the quotient of two medians is one of different paces."""
    goal: Goal | None = None
    """Of the ratio; of ours itself where there is no reference."""
    runs: int = 1
    spread: float = 0.0
    """From the first to the third quartile of our runs, as a part of their median."""
    at: float | None = None
    """Its place on the axis of its plot: a size or a number of events."""

    @property
    def holds(self) -> bool | None:
        """Whether the goal holds; None where there is none."""
        return None if self.goal is None else self.goal.holds(self.ours if self.ratio is None else self.ratio)


class Scale(NamedTuple):
    """What the seconds of a run are shown as."""

    unit: str
    of: Callable[[float], float]


def per_second(count: int, what: str = "events") -> Scale:
    """How many a second, of a run that did `count`."""
    return Scale(f"{what}/s", lambda seconds: count / seconds)


def microseconds(count: int, unit: str = "µs/event") -> Scale:
    """How long for one, of a run that did `count`."""
    return Scale(unit, lambda seconds: seconds / count * 1e6)


MILLISECONDS = Scale("ms", lambda seconds: seconds * 1e3)


def entry(
    name: str,
    scale: Scale,
    ours: Series,
    reference: Series | None = None,
    goal: Goal | None = None,
    *,
    scale_of_reference: Scale | None = None,
    at: float | None = None,
) -> Entry:
    """The line for the runs of two contestants, or of ours alone."""
    theirs = ratio = None
    if reference is not None:
        their_scale = scale_of_reference or scale
        theirs = their_scale.of(reference.median)
        turns = zip(ours.seconds, reference.seconds, strict=True)
        ratio = median(scale.of(mine) / their_scale.of(other) for mine, other in turns)
    return Entry(name, scale.unit, scale.of(ours.median), theirs, ratio, goal, len(ours.seconds), ours.spread, at)


def entries(
    name: str,
    scale: Scale,
    taken: Mapping[str, Runs],
    goal: Goal | None = None,
    *,
    at: float | None = None,
    by_cpu: str = "by CPU",
) -> Iterator[Entry]:
    """The lines for `ours` and one other contestant, by the wall's clock, and by the processors'."""
    ours, (reference,) = taken["ours"], [runs for other, runs in taken.items() if other != "ours"]
    yield entry(name, scale, ours.wall, reference.wall, goal, at=at)
    yield entry(f"{name}, {by_cpu}", scale, ours.cpu, reference.cpu, goal)
