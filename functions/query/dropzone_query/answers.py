"""What the routes answer: a row of each list, and the lists."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, NotRequired, TypedDict, get_type_hints, is_typeddict
from uuid import UUID

from pydantic import Field

from dropzone.api.answers import Arrival, Count, RawId, Violation, closed
from dropzone.domain.gold import Granularity
from dropzone.domain.status import State
from dropzone.queries.sources import SourceState

Cursor = Annotated[str, Field(description="Where to go on: there if there is more.")]
Item = Annotated[int, Field(ge=0, description="Which event of its object, from 0.")]
Source = Annotated[str, Field(description="Empty where the event names none.")]
BucketSource = Annotated[str, Field(description="Empty where events name none, or none that could be read.")]
Share = Annotated[float | None, Field(description="Of those received; null where none was.")]
Violations = Annotated[
    Sequence[Violation], Field(description="Of a rejected event: every rule that it breaks, 10 at most.")
]
Final = Literal[State.PROCESSED, State.SUPERSEDED, State.REJECTED]
"""The states of an event with an outcome."""


@closed
class Measurement(TypedDict):
    """The measurement of an instant and a source, and the event that it came from."""

    measured_at: Annotated[datetime, Field(description="In UTC.")]
    source: Source
    mean: float
    std_dev: Annotated[float, Field(ge=0, description="The population's.")]
    sample_count: Annotated[int, Field(ge=1)]
    min: float
    max: float
    unit: Source
    tags: Mapping[str, str]
    raw_id: Annotated[UUID, Field(description="The object that the event came in.")]
    item: Item
    received_at: Arrival
    updated_at: Annotated[datetime, Field(description="When it was written to silver.")]


@closed
class Measurements(TypedDict):
    """A page of measurements."""

    measurements: Sequence[Measurement]
    cursor: NotRequired[Cursor]


class _Outcome(TypedDict, total=False):
    """What is known of an event, by its state."""

    measured_at: Annotated[datetime, Field(description="Of a processed event, as all that follows: in UTC.")]
    source: Source
    mean: float
    std_dev: Annotated[float, Field(ge=0, description="The population's.")]
    sample_count: Annotated[int, Field(ge=1)]
    min: float
    max: float
    unit: Source
    tags: Mapping[str, str]
    superseded_by: Annotated[UUID, Field(description="The object with the event that replaced it.")]
    violations: Violations


@closed
class EventStatus(_Outcome):
    """The status of one event of several."""

    item: Item
    status: Final


@closed
class EventCounts(TypedDict):
    """How many events are in each state."""

    processed: Count
    superseded: Count
    rejected: Count


@closed
class Status(_Outcome):
    """The status of an object: of a single event all of it, of several their counts and a page of them."""

    raw_id: RawId
    status: Annotated[
        State,
        Field(
            description=(
                "`accepted`: stored, not processed yet. `processed`: its measurement is in silver. `superseded`: it "
                "was processed, and a later event for the same instant and source replaced it. `rejected`: it breaks "
                "rules. `stuck`: five attempts failed, which `last_error` explains; it is retried hourly, then daily. "
                "Of several events: `processed` if one is in silver at least, `rejected` if all are."
            )
        ),
    ]
    received_at: Arrival
    settled_at: NotRequired[Annotated[datetime, Field(description="When its last event got its outcome.")]]
    items: NotRequired[Annotated[int, Field(ge=1, description="Of a settled object: how many events it holds.")]]
    counts: NotRequired[EventCounts]
    events: NotRequired[Annotated[Sequence[EventStatus], Field(description="Of several events: a page of them.")]]
    cursor: NotRequired[Annotated[int, Field(ge=0, description="Where to go on: there if there are more events.")]]
    attempts: NotRequired[Annotated[int, Field(ge=0, description="Attempts that failed.")]]
    last_error: NotRequired[Annotated[str, Field(description="Why the last one failed.")]]


@closed
class Rejection(TypedDict):
    """A rejected event, with its reasons."""

    raw_id: RawId
    item: Item
    received_at: Arrival
    processed_at: datetime
    ruleset: Annotated[int, Field(ge=1, description="The version of the rules that rejected it.")]
    source: Annotated[str, Field(description="Empty where the event names none that can be read.")]
    violations: Annotated[Sequence[Violation], Field(min_length=1)]


@closed
class Rejections(TypedDict):
    """A page of rejected events, the newest first."""

    rejections: Sequence[Rejection]
    cursor: NotRequired[Cursor]


class _Bucket(TypedDict):
    start: Annotated[datetime, Field(description="With the offset of `tz`.")]
    end: Annotated[datetime, Field(description="Not part of it. With the offset of `tz`.")]
    source: BucketSource


class _Arrivals(TypedDict):
    received: Annotated[int, Field(ge=0, description="Events that arrived in the bucket and have an outcome.")]
    processed: Count
    rejected: Count
    rejected_share: Share
    rejected_by_rule: Annotated[
        Mapping[str, Annotated[int, Field(ge=1)]],
        Field(
            description="Rejected events by the code of each rule that they break; one that breaks two counts for both."
        ),
    ]


@closed
class Gaps(TypedDict):
    """Pauses between events that are longer than expected."""

    count: Annotated[int, Field(ge=0, description="Pauses that ended in the bucket, and were too long.")]
    longest_seconds: Annotated[
        float | None,
        Field(description="The longest pause that ended in the bucket; null where no event was before."),
    ]
    expected_seconds: Annotated[
        float | None,
        Field(description="As asked for, or the source's usual pause in the range; null without pauses."),
    ]
    longer_than_seconds: Annotated[
        float | None,
        Field(
            description=(
                "What is too long: one and a half times what is expected, up to the next quarter power of two, so that "
                "a single missing event is a gap."
            )
        ),
    ]


@closed
class KpiLatency(TypedDict):
    """Milliseconds from arrival to silver, of what arrived in the bucket; null where nothing did."""

    mean: float | None
    max: float | None


@closed
class QualityLatency(TypedDict):
    """Milliseconds from arrival to silver; percentiles are within 10 %, or a millisecond."""

    mean: float | None
    p50: float | None
    p95: float | None
    max: float | None


class _Figures(_Bucket):
    events: Annotated[int, Field(ge=0, description="Measurements of the bucket; without any, the figures are null.")]
    samples: Count
    mean: Annotated[float | None, Field(description="Of all samples together.")]
    std_dev: Annotated[
        float | None,
        Field(
            description=(
                "The population's, of all samples together; null where its square is no normal binary64: a mean or "
                "deviation above 1e154, or a deviation below 1e-146 that is not zero."
            )
        ),
    ]
    min: float | None
    max: float | None
    first: datetime | None
    last: datetime | None
    gaps: Gaps


@closed
class Kpi(_Figures, _Arrivals):
    """The figures of a source in a bucket of time."""

    latency_ms: KpiLatency


@closed
class Kpis(TypedDict):
    """A page of figures."""

    kpis: Sequence[Kpi]
    granularity: Granularity
    tz: str
    cursor: NotRequired[Cursor]


@closed
class QualityBucket(_Bucket, _Arrivals):
    """The outcomes of a source's arrivals in a bucket of time."""

    latency_ms: QualityLatency


@closed
class Quality(TypedDict):
    """A page of outcomes by bucket."""

    quality: Sequence[QualityBucket]
    granularity: Granularity
    tz: str
    cursor: NotRequired[Cursor]


@closed
class LastDay(TypedDict):
    """The last 24 hours of arrival, by whole quarters of an hour."""

    received: Annotated[int, Field(ge=0, description="Events that arrived and have an outcome.")]
    rejected: Count
    rejected_share: Share


@closed
class SourceRow(TypedDict):
    """A source as of now."""

    source: BucketSource
    state: SourceState
    first_measured_at: datetime | None
    last_measured_at: Annotated[datetime | None, Field(description="Null where nothing was measured up to now.")]
    last_received_at: Annotated[
        str | None,
        Field(description="Also of events that were rejected.", json_schema_extra={"format": "date-time"}),
    ]
    usual_interval_seconds: Annotated[
        float | None, Field(description="The median of its last twenty pauses; null where it measured once at most.")
    ]
    last_day: LastDay


@closed
class Sources(TypedDict):
    """A page of sources, by name."""

    sources: Sequence[SourceRow]
    cursor: NotRequired[Cursor]


def columns_of(row: type) -> tuple[str, ...]:
    """The columns of a row's CSV: its fields in their order, those of an object by the way to them (`gaps.count`)."""
    return tuple(
        f"{name}.{inner}" if inner else name
        for name, kind in get_type_hints(row).items()
        for inner in (columns_of(kind) if is_typeddict(kind) else ("",))
    )
