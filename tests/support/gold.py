"""Gold as it should be, worked out from silver's rows by exact fractions, one event after the other."""

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from dropzone.adapters.database import Database
from dropzone.api.problems import TOO_MUCH_ASKED, ProblemError
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.identifiers import received_at
from dropzone.queries.buckets import Granularity
from dropzone.queries.kpis import Kpi, KpisRequest, read_kpis
from dropzone.queries.measurements import (
    Measurement,
    MeasurementsOfInstantRequest,
    MeasurementsRequest,
    read_measurements,
)
from dropzone.queries.quality import QualityBucket, QualityRequest, read_quality
from dropzone.queries.ranges import Place, cursor_of
from support.postgres import SilverInPostgres

UNIT = Fraction(1, 2**53)
"""The largest relative error of one rounding."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which buckets are asked for."""

    granularity: Granularity
    since: datetime
    until: datetime
    source: str | None = None
    tz: str = "UTC"

    def parameters(self, after: Place | None, limit: int) -> dict[str, Any]:
        """As a request has them; the limit may be any."""
        return {
            "granularity": self.granularity,
            "since": self.since,
            "until": self.until,
            "source": self.source,
            "tz": self.tz,
            "cursor": None if after is None else cursor_of(*after),
            "limit": limit,
        }


@dataclass(frozen=True, slots=True)
class Gold:
    """Gold as the function Query reads it."""

    database: Database

    def kpis(
        self, window: Window, *, limit: int, expected_seconds: float | None = None, after: Place | None = None
    ) -> list[Kpi]:
        """A page of buckets."""
        asked = KpisRequest.model_construct(**window.parameters(after, limit), expected_seconds=expected_seconds)
        return read_kpis(self.database, asked, reads=None)[:limit]

    def quality(self, window: Window, *, limit: int, after: Place | None = None) -> list[QualityBucket]:
        """A page of buckets of arrivals."""
        return read_quality(
            self.database, QualityRequest.model_construct(**window.parameters(after, limit)), reads=None
        )[:limit]


@dataclass(frozen=True, slots=True)
class Measurements:
    """Silver as the function Query reads it."""

    database: Database
    reads: tuple[str, ...] | None = None
    """The sources to which the key is bound."""

    def page(
        self, *, limit: int, after: Place | None = None, newest_first: bool = True, **others: object
    ) -> list[Measurement]:
        """Those of a range."""
        order = "desc" if newest_first else "asc"
        asked: dict[str, Any] = {"since": None, "until": None, "source": None, "tz": "UTC", "order": order, **others}
        return self._read(MeasurementsRequest, asked, after, limit)

    def at(
        self, instant: datetime, *, limit: int, source: str | None = None, after: Place | None = None
    ) -> list[Measurement]:
        """Those of an instant."""
        return self._read(MeasurementsOfInstantRequest, {"source": source}, after, limit, instant)

    def _read(
        self,
        request: type[MeasurementsOfInstantRequest],
        asked: Mapping[str, Any],
        after: Place | None,
        limit: int,
        instant: datetime | None = None,
    ) -> list[Measurement]:
        cursor = None if after is None else cursor_of(*after)
        # There is one more, where there are more.
        return read_measurements(
            self.database, request.model_construct(**asked, cursor=cursor, limit=limit - 1), instant, reads=self.reads
        )


def place_of(row: Measurement) -> Place:
    return row["measured_at"], row["source"]


@dataclass(frozen=True, slots=True)
class Exact:
    """Mean and population deviation of groups of samples together; the second's square, which is a fraction."""

    samples: int
    mean: Fraction
    variance: Fraction

    @classmethod
    def of(cls, groups: Iterable[tuple[int, float, float]]) -> "Exact":
        """From the number, the mean and the deviation of each group."""
        parts = [(count, Fraction(mean), Fraction(std_dev)) for count, mean, std_dev in groups]
        total = sum(count for count, _, _ in parts)
        mean = sum((count * mean for count, mean, _ in parts), Fraction(0)) / total
        square = sum((count * (dev**2 + (m - mean) ** 2) for count, m, dev in parts), Fraction(0))
        return cls(total, mean, square / total)

    @classmethod
    def of_values(cls, values: Iterable[float]) -> "Exact":
        """From the samples themselves."""
        return cls.of((1, value, 0.0) for value in values)


def root(square: Fraction) -> float:
    """The square root of a fraction, right to the last place or so, however large or small."""
    if square == 0:
        return 0.0
    shift = (square.numerator.bit_length() - square.denominator.bit_length() - 120) // 2
    scaled = math.isqrt(int(square / Fraction(4) ** shift))
    value = Fraction(scaled) * Fraction(2) ** shift
    return float(min(value, Fraction(sys.float_info.max)))


LARGEST, SMALLEST = 1e154, 1e-146
"""Between them lie the means and deviations whose squares are normal binary64s; beyond them, gold has none."""


def assert_pooled(
    mean: float,
    std_dev: float | None,
    exact: Exact,
    means: Sequence[float],
    *,
    groups: int,
    inherent: Fraction = Fraction(0),
    parts: Iterable[Exact] = (),
) -> None:
    """Hold figures to the bound that docs/adr/0017 states.

    `inherent` is how far off the means that went in are, in units of the largest; `parts` are what was pooled first.
    """
    largest = max(abs(Fraction(m)) for m in means)
    spread = max(map(Fraction, means)) - min(map(Fraction, means))
    tiny = Fraction(1, 10**289)
    rounding = 8 * (groups + 2) * UNIT
    assert abs(Fraction(mean) - exact.mean) <= (2 * UNIT + inherent) * largest + rounding * spread + tiny
    if std_dev is None:
        deviations = [root(part.variance) for part in (exact, *parts) if part.variance > 0]
        assert largest > LARGEST or any(deviation < SMALLEST * 1.01 for deviation in deviations)
        return
    deviation = Fraction(root(exact.variance))
    assert (
        abs(Fraction(std_dev) - deviation) <= (2 * UNIT + inherent) * largest + rounding * (deviation + spread) + tiny
    )


def figures(aggregates: Aggregates) -> tuple[int, float, float]:
    """Number, mean and deviation."""
    return aggregates.sample_count, aggregates.mean, aggregates.std_dev


def by_quarter_hour(groups: Iterable[tuple[datetime, tuple[int, float, float]]]) -> list[Exact]:
    """What is pooled first: the groups of each bucket."""
    parts: dict[datetime, list[tuple[int, float, float]]] = {}
    for instant, group in groups:
        start = instant.replace(minute=instant.minute // 15 * 15, second=0, microsecond=0)
        parts.setdefault(start, []).append(group)
    return [Exact.of(part) for part in parts.values()]


def assert_right(tables: SilverInPostgres, kpis: Sequence[Kpi], starts: Sequence[datetime]) -> None:
    """Compare buckets with current silver; `starts` are those of the buckets, and the end of the last."""
    expected = _expected(tables, starts)
    assert {(kpi["start"], kpi["source"]) for kpi in kpis} == set(expected)
    for kpi in kpis:
        end, events, arrivals = expected[kpi["start"], kpi["source"]]
        assert kpi["end"] == end
        assert kpi["events"] == len(events)
        assert kpi["samples"] == sum(aggregates.sample_count for _, aggregates, _ in events)
        assert (kpi["mean"] is None) == (not events)
        if kpi["mean"] is not None:
            assert kpi["min"] == min(aggregates.minimum for _, aggregates, _ in events)
            assert kpi["max"] == max(aggregates.maximum for _, aggregates, _ in events)
            assert (kpi["first"], kpi["last"]) == (events[0][0], events[-1][0])
            assert_pooled(
                kpi["mean"],
                kpi["std_dev"],
                Exact.of(figures(aggregates) for _, aggregates, _ in events),
                [aggregates.mean for _, aggregates, _ in events],
                groups=len(events),
                parts=by_quarter_hour((instant, figures(aggregates)) for instant, aggregates, _ in events),
            )
        pauses = [pause for _, _, pause in events if pause is not None]
        assert kpi["gaps"]["longest_seconds"] == (max(pauses).total_seconds() if pauses else None)
        bound = kpi["gaps"]["longer_than_seconds"]
        assert kpi["gaps"]["count"] == (0 if bound is None else sum(pause.total_seconds() > bound for pause in pauses))
        assert (kpi["processed"], kpi["rejected"], kpi["flagged"]) == arrivals[:3]
        assert kpi["open"] == kpi["rejected"] - kpi["resolved"]
        assert (kpi["rejected_by_rule"], kpi["flagged_by_rule"]) == arrivals[3:5]
        latencies = arrivals[5]
        if latencies:
            assert kpi["latency_ms"]["mean"] is not None
            assert math.isclose(kpi["latency_ms"]["mean"], math.fsum(latencies) / len(latencies), abs_tol=1e-3)
            assert kpi["latency_ms"]["max"] is not None
            assert math.isclose(kpi["latency_ms"]["max"], max(latencies), abs_tol=1e-3)
        else:
            assert (kpi["latency_ms"]["mean"], kpi["latency_ms"]["max"]) == (None, None)


_Event = tuple[datetime, Aggregates, timedelta | None]
_Arrivals = tuple[int, int, int, dict[str, int], dict[str, int], list[float]]
_Bucket = tuple[datetime, list[_Event], _Arrivals]


def _expected(tables: SilverInPostgres, starts: Sequence[datetime]) -> Mapping[tuple[datetime, str], _Bucket]:
    found: dict[tuple[datetime, str], _Bucket] = {}

    def bucket(instant: datetime, source: str) -> _Bucket | None:
        for start, end in pairwise(starts):
            if start <= instant < end:
                return found.setdefault((start, source), (end, [], (0, 0, 0, {}, {}, [])))
        return None

    last: dict[str, datetime] = {}
    for (instant, source), row in sorted(tables.measurement_rows().items(), key=lambda item: item[0]):
        pause = instant - last[source] if source in last else None
        last[source] = instant
        if place := bucket(instant, source):
            place[1].append((instant, row.measurement.aggregates, pause))
    settled = dict(tables.query("SELECT raw_id, settled_at FROM receipts"))
    for (raw_id, _), outcome in tables.outcome_rows().items():
        key = received_at(raw_id), outcome.measurement.source if outcome.measurement else outcome.source
        if place := bucket(*key):
            end, events, (processed, rejected, flagged, rejected_by_rule, flagged_by_rule, latencies) = place
            is_good = outcome.measurement is not None
            by_rule = flagged_by_rule if is_good else rejected_by_rule
            for code in {violation.code.value for violation in outcome.violations}:
                by_rule[code] = by_rule.get(code, 0) + 1
            if settled.get(raw_id) is not None:
                latencies.append(max((settled[raw_id] - received_at(raw_id)).total_seconds() * 1000, 0.0))
            flagged += is_good and bool(outcome.violations)
            counts = (
                processed + is_good,
                rejected + (not is_good),
                flagged,
                rejected_by_rule,
                flagged_by_rule,
                latencies,
            )
            found[next(start for start in starts[::-1] if start <= key[0]), key[1]] = end, events, counts
    return found


@contextmanager
def too_much() -> Iterator[None]:
    """Expect that what is asked within is refused, since it is more than is computed at once."""
    with pytest.raises(ProblemError) as raised:
        yield
    assert raised.value.type is TOO_MUCH_ASKED
    assert [(each.field, each.code) for each in raised.value.violations] == [("from", "request.too_much")]
