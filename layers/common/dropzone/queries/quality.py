"""`GET /quality`: the outcomes of what arrived, by buckets of time and source."""

from collections.abc import Sequence
from typing import Annotated, Final, NotRequired, TypedDict

from pydantic import Field

from dropzone.adapters.database import Database
from dropzone.api.answers import Count, Cursor, answer, closed
from dropzone.api.pages import Listing
from dropzone.queries.buckets import (
    ARRIVALS,
    EXAMPLE_ARRIVALS,
    EXAMPLE_BUCKET,
    WINDOW,
    Arrivals,
    Bucket,
    BucketsRequest,
    Granularity,
    cursor_after,
    read_buckets,
)


class QualityRequest(BucketsRequest):
    """What `GET /quality` takes in its query."""

    together: bool = Field(
        default=False,
        description="All sources together, a row for each bucket, whose source is empty.",
        examples=["true"],
    )


@closed
class QualityLatency(TypedDict):
    """Milliseconds from arrival to silver; percentiles are within 10 %, or a millisecond."""

    mean: float | None
    p50: float | None
    p95: float | None
    max: float | None


@closed
class QualityBucket(Bucket, Arrivals):
    """The outcomes of a source's arrivals in a bucket of time."""

    resolved: Annotated[Count, Field(description="Rejected events that a processed one corrects, whenever it arrived.")]
    open: Annotated[Count, Field(description="Rejected events that no processed one corrects.")]
    latency_ms: QualityLatency


@answer(
    {
        "quality": [
            {
                **EXAMPLE_BUCKET,
                **EXAMPLE_ARRIVALS,
                "resolved": 0,
                "open": 1,
                "latency_ms": {"mean": 812.4, "p50": 938.7, "p95": 1327.6, "max": 1493.0},
            }
        ],
        "granularity": "hour",
        "tz": "UTC",
    }
)
class QualityPage(TypedDict):
    """A page of outcomes by bucket."""

    quality: Sequence[QualityBucket]
    granularity: Granularity
    tz: str
    cursor: NotRequired[Cursor]


LISTING = Listing("quality", QualityPage, QualityBucket, cursor_after)

_CALL: Final = f"""(
    SELECT quality.*, coalesce(fixed.resolved, 0) AS resolved
    FROM gold.quality({WINDOW}, CAST(:together AS boolean)) AS quality LEFT JOIN (
        SELECT bucket_start, CASE WHEN CAST(:together AS boolean) THEN '' ELSE source END AS source,
               CAST(sum(resolved) AS bigint) AS resolved
        FROM gold.resolved({WINDOW}) GROUP BY 1, 2
    ) AS fixed USING (bucket_start, source)
)"""  # noqa: S608 - our own words

_COLUMNS: Final = f"""
       {ARRIVALS}, latency_mean_ms AS "latency_ms.mean", latency_p50_ms AS "latency_ms.p50",
       latency_p95_ms AS "latency_ms.p95", latency_max_ms AS "latency_ms.max", resolved, rejected - resolved AS open
"""


def read_quality(database: Database, request: QualityRequest) -> list[QualityBucket]:
    """See `read_buckets`."""
    return read_buckets(
        database,
        request,
        QualityBucket,
        call=_CALL,
        columns=_COLUMNS,
        kinds=frozenset({"arrived"}),
        together=request.together,
    )
