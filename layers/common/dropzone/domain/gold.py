"""Gold: the figures of silver by buckets of time, and what became of what arrived in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from dropzone.domain.outcomes import Measurement

Place = tuple[datetime, str]
"""Where something stands in an order by instant and source."""


class Granularity(StrEnum):
    """How long a bucket is. Hours, days, weeks (from Monday) and months are those of a time zone's clock."""

    MINUTE = "minute"
    QUARTER_HOUR = "quarter_hour"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def width(self) -> timedelta:
        """About how long."""
        return _WIDTHS[self]

    @property
    def most_buckets(self) -> int:
        """How many buckets one call may ask for: a minute is computed from silver itself, the others are at hand."""
        return _MOST[self]

    @property
    def usual_range(self) -> timedelta:
        """What is looked back to, where nothing else is asked for."""
        return _RANGES[self]


_WIDTHS = {
    Granularity.MINUTE: timedelta(minutes=1),
    Granularity.QUARTER_HOUR: timedelta(minutes=15),
    Granularity.HOUR: timedelta(hours=1),
    Granularity.DAY: timedelta(days=1),
    Granularity.WEEK: timedelta(days=7),
    Granularity.MONTH: timedelta(days=30),
}
_MOST = {
    Granularity.MINUTE: 1_500,
    Granularity.QUARTER_HOUR: 3_000,
    Granularity.HOUR: 2_300,
    Granularity.DAY: 1_200,
    Granularity.WEEK: 600,
    Granularity.MONTH: 300,
}
_RANGES = {
    Granularity.MINUTE: timedelta(hours=1),
    Granularity.QUARTER_HOUR: timedelta(days=1),
    Granularity.HOUR: timedelta(days=7),
    Granularity.DAY: timedelta(days=30),
    Granularity.WEEK: timedelta(days=182),
    Granularity.MONTH: timedelta(days=365),
}


@dataclass(frozen=True, slots=True)
class Window:
    """Which buckets are asked for: those that hold what is from one instant to before another."""

    granularity: Granularity
    since: datetime
    until: datetime
    source: str | None = None
    """One source alone; '' is that of events that name none. Every source by itself, where it is None."""
    tz: str = "UTC"
    """By its IANA name: whose clock hours, days, weeks and months go by."""

    @property
    def buckets(self) -> int:
        """How many at most."""
        return (self.until - self.since) // self.granularity.width + 2


class Gaps(NamedTuple):
    """Pauses between a source's events that are longer than they should be. Each counts where it ended."""

    number: int
    longest_seconds: float | None
    """Of all pauses that ended in the bucket; None where no event was before."""
    expected_seconds: float | None
    """Given, or the usual pause of the source in the range; None where it has had none."""
    longer_than_seconds: float | None
    """What makes a pause a gap: one and a half times what is expected, up to the next quarter power of two."""


class Latency(NamedTuple):
    """Milliseconds from arrival to silver; None where nothing of the bucket is settled."""

    mean: float | None
    longest: float | None
    p50: float | None = None
    p95: float | None = None
    """Percentiles are within 10 %, or a millisecond."""


class Arrivals(NamedTuple):
    """What became of the events that arrived in a bucket."""

    processed: int
    rejected: int
    by_rule: Mapping[str, int]
    """Rejected events by the rules that they break; one that breaks two counts for both."""
    latency: Latency

    @property
    def received(self) -> int:
        """Those with an outcome."""
        return self.processed + self.rejected

    @property
    def rejected_share(self) -> float | None:
        """Of those with an outcome; None where there are none."""
        return self.rejected / self.received if self.received else None


class Pooled(NamedTuple):
    """The figures of a bucket's measurements, as if all their samples were one event's."""

    mean: float
    std_dev: float | None
    """The population's; None where binary64 can't hold its square (docs/analysts.md)."""
    minimum: float
    maximum: float
    first: datetime
    last: datetime


class Kpi(NamedTuple):
    """A source in a bucket: what it measured then, and what became of what arrived of it then."""

    start: datetime
    end: datetime
    source: str
    events: int
    samples: int
    pooled: Pooled | None
    """None where there are no events."""
    gaps: Gaps
    arrivals: Arrivals


class Quality(NamedTuple):
    """What became of what arrived of a source in a bucket."""

    start: datetime
    end: datetime
    source: str
    arrivals: Arrivals


@dataclass(frozen=True, slots=True)
class Standing:
    """A measurement that stands in silver, and the event that it came from."""

    measurement: Measurement
    raw_id: UUID
    item: int
    updated_at: datetime

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.measurement.measured_at, self.measurement.source
