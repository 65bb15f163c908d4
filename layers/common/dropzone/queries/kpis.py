"""`GET /kpis`: the figures of silver by buckets of time and source."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, NotRequired, TypedDict

from pydantic import Field

from dropzone.adapters.database import Database
from dropzone.api.answers import EXAMPLE_INSTANT, Archived, Count, Cursor, answer, closed
from dropzone.api.pages import Listing
from dropzone.queries.buckets import (
    ARRIVALS,
    EXAMPLE_ARRIVALS,
    EXAMPLE_BUCKET,
    READABLE,
    WINDOW,
    Arrivals,
    Bucket,
    BucketsRequest,
    Granularity,
    cursor_after,
    read_buckets,
)


class KpisRequest(BucketsRequest):
    """The parameters of `GET /kpis`."""

    expected_seconds: float | None = Field(
        default=None,
        ge=1e-6,
        le=timedelta(days=366).total_seconds(),
        allow_inf_nan=False,
        description="How long it should be from one event of a source to the next; inferred without it.",
        examples=[60.0],
    )


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


class _Figures(Bucket):
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
class Kpi(_Figures, Arrivals):
    """The figures of a source in a bucket of time."""

    latency_ms: KpiLatency


@answer(
    {
        "kpis": [
            {
                **EXAMPLE_BUCKET,
                "events": 60,
                "samples": 120,
                "mean": 1.25,
                "std_dev": 0.75,
                "min": 0.0,
                "max": 2.5,
                "first": EXAMPLE_INSTANT,
                "last": "2019-05-01T10:59:00Z",
                "gaps": {
                    "count": 0,
                    "longest_seconds": 60.0,
                    "expected_seconds": 60.0,
                    "longer_than_seconds": 90.50966799187808,
                },
                **EXAMPLE_ARRIVALS,
                "latency_ms": {"mean": 812.4, "max": 1493.0},
            }
        ],
        "granularity": "hour",
        "tz": "UTC",
    }
)
class KpisPage(TypedDict):
    """A page of figures."""

    kpis: Sequence[Kpi]
    granularity: Granularity
    tz: str
    archived: NotRequired[Archived]
    cursor: NotRequired[Cursor]


LISTING = Listing("kpis", KpisPage, Kpi, cursor_after)

_CALL: Final = f"""(
    gold.kpis({WINDOW}, CAST(:expected AS double precision), {READABLE}) AS measured
    FULL JOIN gold.quality({WINDOW}, {READABLE}) AS arrived USING (bucket_start, bucket_end, source)
)"""
_COLUMNS: Final = f"""
       coalesce(events, 0) AS events, coalesce(sample_count, 0) AS samples, mean, std_dev, min, max,
       first_measured_at AS first, last_measured_at AS last,
       coalesce(gaps, 0) AS "gaps.count", longest_pause_seconds AS "gaps.longest_seconds",
       expected_pause_seconds AS "gaps.expected_seconds", gap_limit_seconds AS "gaps.longer_than_seconds",
       {ARRIVALS}, latency_mean_ms AS "latency_ms.mean", latency_max_ms AS "latency_ms.max"
"""


def read_kpis(database: Database, request: KpisRequest, *, reads: tuple[str, ...] | None) -> list[Kpi]:
    """See `read_buckets`."""
    kinds = frozenset({"measured", "arrived"})
    return read_buckets(
        database,
        request,
        Kpi,
        call=_CALL,
        columns=_COLUMNS,
        kinds=kinds,
        reads=reads,
        expected=request.expected_seconds,
    )
