"""`GET /kpis`: statistics of silver by buckets of time and source."""

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
        description="The expected interval between two events of a source, in seconds. Default: inferred.",
        examples=[60.0],
    )


@closed
class Gaps(TypedDict):
    """Pauses between events that are longer than expected."""

    count: Annotated[int, Field(ge=0, description="The number of pauses that ended in the bucket and were too long.")]
    longest_seconds: Annotated[
        float | None,
        Field(description="The longest pause that ended in the bucket; null if no event came before."),
    ]
    expected_seconds: Annotated[
        float | None,
        Field(
            description=(
                "`expected_seconds` of the request, or the usual pause of the source in the range; null without pauses."
            )
        ),
    ]
    longer_than_seconds: Annotated[
        float | None,
        Field(
            description=(
                "Pauses above this are gaps: 1.5 times the expected pause, rounded up to the next quarter"
                " power of two, so that a single missing event is a gap."
            )
        ),
    ]


@closed
class KpiLatency(TypedDict):
    """Milliseconds from arrival to silver for the events received in the bucket; null if there are none."""

    mean: float | None
    max: float | None


class _Figures(Bucket):
    events: Annotated[
        int, Field(ge=0, description="The number of measurements in the bucket; if 0, the figures are null.")
    ]
    samples: Count
    mean: Annotated[float | None, Field(description="Over all samples.")]
    std_dev: Annotated[
        float | None,
        Field(
            description=(
                "The population standard deviation over all samples; null where its square is not a "
                "normal 64-bit float: a mean or deviation above 1e154, or a nonzero deviation below "
                "1e-146."
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
    """A page of KPIs."""

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
