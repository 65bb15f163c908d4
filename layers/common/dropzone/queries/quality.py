"""`GET /quality`: the outcomes of what arrived, by buckets of time and source."""

from collections.abc import Sequence
from typing import Final, NotRequired, TypedDict

from pydantic import Field

from dropzone.adapters.database import Database
from dropzone.api.answers import Cursor, answer, closed
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

    latency_ms: QualityLatency


@answer(
    {
        "quality": [
            {
                **EXAMPLE_BUCKET,
                **EXAMPLE_ARRIVALS,
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

_CALL: Final = f"gold.quality({WINDOW}, CAST(:together AS boolean), {READABLE})"
_COLUMNS: Final = f"""
       {ARRIVALS}, latency_mean_ms AS "latency_ms.mean", latency_p50_ms AS "latency_ms.p50",
       latency_p95_ms AS "latency_ms.p95", latency_max_ms AS "latency_ms.max"
"""


def read_quality(database: Database, request: QualityRequest, *, reads: tuple[str, ...] | None) -> list[QualityBucket]:
    """See `read_buckets`."""
    return read_buckets(
        database,
        request,
        QualityBucket,
        call=_CALL,
        columns=_COLUMNS,
        kinds=frozenset({"arrived"}),
        reads=reads,
        together=request.together,
    )
