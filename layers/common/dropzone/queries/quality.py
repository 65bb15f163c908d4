"""`GET /quality`: the outcomes of received events, by buckets of time and source."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, NotRequired, TypedDict

from pydantic import Field

from dropzone.adapters.database import Database
from dropzone.api.answers import Archived, Cursor, answer, closed
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
        description="Return one row per bucket for all sources together; its source is empty.",
        examples=["true"],
    )


@closed
class QualityLatency(TypedDict):
    """Milliseconds from arrival to silver. Percentiles are accurate to 10 % or one millisecond."""

    mean: float | None
    p50: float | None
    p95: float | None
    max: float | None


@closed
class RuleCount(TypedDict):
    """The number of events that broke a rule."""

    code: str
    contract: Annotated[
        str | None, Field(description="The data contract that the rule belongs to; null for a basic rule.")
    ]
    rule: Annotated[str | None, Field(description="The identifier of the rule in its contract; null for a basic rule.")]
    severity: Annotated[
        Literal["error", "warning"],
        Field(description="`error`: the events were rejected. `warning`: they were flagged."),
    ]
    events: Annotated[int, Field(ge=1)]


@closed
class QualityBucket(Bucket, Arrivals):
    """The outcomes of what arrived from a source in a bucket of time."""

    rules: Annotated[
        Sequence[RuleCount],
        Field(
            description=(
                "The rules that events broke, the most frequent first, at most 100. An event that breaks "
                "two rules counts for both."
            )
        ),
    ]
    latency_ms: QualityLatency


@answer(
    {
        "quality": [
            {
                **EXAMPLE_BUCKET,
                **EXAMPLE_ARRIVALS,
                "rules": [
                    {
                        "code": "time_stamp.ahead",
                        "contract": "default",
                        "rule": "clock-ahead",
                        "severity": "warning",
                        "events": 2,
                    },
                    {"code": "data.empty", "contract": None, "rule": None, "severity": "error", "events": 1},
                ],
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
    archived: NotRequired[Archived]
    cursor: NotRequired[Cursor]


LISTING = Listing("quality", QualityPage, QualityBucket, cursor_after)

_CALL: Final = f"gold.quality({WINDOW}, CAST(:together AS boolean), {READABLE})"
_COLUMNS: Final = f"""
       {ARRIVALS}, latency_mean_ms AS "latency_ms.mean", latency_p50_ms AS "latency_ms.p50",
       latency_p95_ms AS "latency_ms.p95", latency_max_ms AS "latency_ms.max", rules
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
