"""`GET /sources`: the sources, their first and last measurements, and which are late or silent."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, NotRequired, TypedDict

from pydantic import Field

from dropzone.adapters.database import Database
from dropzone.api.answers import (
    EXAMPLE_ARRIVAL,
    EXAMPLE_INSTANT,
    Count,
    Cursor,
    MillisecondText,
    Share,
    SourceOfBucket,
    answer,
    closed,
)
from dropzone.api.pages import Listing
from dropzone.api.parameters import Request, SourceFilter
from dropzone.domain.expectations import Expectation
from dropzone.domain.patterns import as_like
from dropzone.domain.payloads import MAX_SOURCE
from dropzone.queries.rows import read


class SourceState(StrEnum):
    """The state of a source, by its expected interval."""

    OK = "ok"
    LATE = "late"
    """One event is missing: there was none for more than one and a half times the expected interval."""
    SILENT = "silent"
    """Two events are missing (two and a half times the interval), or nothing has been measured up to now."""
    UNNAMED = "unnamed"
    """Not a source that could be late: all rejected events whose source could not be read. Its name is empty."""


class SourcesRequest(Request):
    """The parameters of `GET /sources`."""

    prefix: SourceFilter = Field(default="", description="Only sources whose names start with this.", examples=["hall"])
    state: SourceState | None = Field(default=None, description="Only sources in this state.", examples=["silent"])
    trend: bool = Field(
        default=False, description="Include the hourly means of each source's last 24 hours.", examples=["true"]
    )
    limit: int = Field(
        default=100, ge=1, le=1_000, description="The maximum number of sources to return.", examples=[10]
    )
    cursor: str | None = Field(
        default=None,
        pattern=f"^\\.[^\\x00]{{0,{MAX_SOURCE}}}$",
        description="The cursor of the previous page.",
        examples=[".boiler-7"],
    )


@closed
class LastDay(TypedDict):
    """What arrived in the last 24 hours, in whole 15-minute buckets."""

    received: Annotated[int, Field(ge=0, description="Events received that have an outcome.")]
    rejected: Annotated[int, Field(ge=0, description="Rejected events, resolved or open.")]
    resolved: Annotated[
        Count, Field(description="Rejected events that a processed event corrects, whenever it arrived.")
    ]
    open: Annotated[Count, Field(description="Rejected events that no processed event corrects.")]
    rejected_share: Share
    open_share: Share


@closed
class SourceSummary(TypedDict):
    """A source as of now: measurements dated in the future don't count yet."""

    source: SourceOfBucket
    state: Annotated[
        SourceState,
        Field(description="`unnamed`: all rejected events whose source could not be read, under an empty name."),
    ]
    first_measured_at: datetime | None
    last_measured_at: Annotated[datetime | None, Field(description="Null if nothing was measured until now.")]
    last_mean: Annotated[float | None, Field(description="The mean of its last measurement.")]
    unit: Annotated[str | None, Field(description="The unit of its last measurement; may be empty.")]
    last_received_at: Annotated[
        MillisecondText | None, Field(description="When its last event was received, processed or rejected.")
    ]
    usual_interval_seconds: Annotated[
        float | None,
        Field(description="The median of its last twenty pauses; null if it has measured only once or not at all."),
    ]
    expected_interval_seconds: Annotated[
        float,
        Field(description="The interval that decides `state`: its contract's frequency, or its usual interval."),
    ]
    usual_latency_seconds: Annotated[
        float | None, Field(description="The median time from measurement to arrival over the last twenty.")
    ]
    contract: Annotated[
        str | None,
        Field(
            description="The contract that states its expectations, as `id@version`; null until the next scheduled run."
        ),
    ]
    broken_expectations: Annotated[
        Sequence[Expectation],
        Field(description="As of the last scheduled run. Every change is sent as a notification."),
    ]
    stuck_since: Annotated[
        datetime | None,
        Field(
            description="All samples have been the same at least since then; null if that is no longer than expected."
        ),
    ]
    last_day: LastDay
    trend: Annotated[
        Sequence[float | None] | None,
        Field(
            description=(
                "The hourly means of the last 24 hours (UTC), the current hour last; null for an hour "
                "without measurements. Null without `trend=true`."
            )
        ),
    ]


@answer(
    {
        "sources": [
            {
                "source": "boiler-7",
                "state": "ok",
                "first_measured_at": EXAMPLE_INSTANT,
                "last_measured_at": "2026-11-24T16:44:00Z",
                "last_mean": 21.5,
                "unit": "°C",
                "last_received_at": EXAMPLE_ARRIVAL,
                "usual_interval_seconds": 60.0,
                "expected_interval_seconds": 60.0,
                "usual_latency_seconds": 1.5,
                "contract": "default@1.0.0",
                "broken_expectations": [],
                "stuck_since": None,
                "last_day": {
                    "received": 1440,
                    "rejected": 36,
                    "resolved": 18,
                    "open": 18,
                    "rejected_share": 0.025,
                    "open_share": 0.0125,
                },
                "trend": None,
            }
        ],
        "cursor": ".boiler-7",
    }
)
class SourcesPage(TypedDict):
    """A page of sources, ordered by name."""

    sources: Sequence[SourceSummary]
    cursor: NotRequired[Cursor]


LISTING = Listing("sources", SourcesPage, SourceSummary, lambda source: f".{source['source']}")

_SOURCES: Final = """
WITH page AS MATERIALIZED (
    SELECT *
    FROM gold.sources(CAST(:prefix AS text), CAST(:state AS text), CAST(:after AS text), CAST(:limit AS bigint),
                      CAST(:reads AS text[]))
)
SELECT source, state, first_measured_at, last_measured_at, mean AS last_mean, unit,
       to_char(last_arrived_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS last_received_at, usual_interval_seconds,
       expected_interval_seconds, usual_latency_seconds, contract, broken AS broken_expectations, stuck_since,
       events_of_last_day AS "last_day.received", rejected_of_last_day AS "last_day.rejected",
       coalesce(resolved, 0) AS "last_day.resolved", rejected_of_last_day - coalesce(resolved, 0) AS "last_day.open",
       CAST(rejected_of_last_day AS double precision) / nullif(events_of_last_day, 0) AS "last_day.rejected_share",
       CAST(rejected_of_last_day - coalesce(resolved, 0) AS double precision) / nullif(events_of_last_day, 0)
           AS "last_day.open_share", {trend} AS trend
FROM page {trends} LEFT JOIN gold.resolved_of_sources(
    gold.bucket_of(now() - interval '1 day') + interval '15 minutes', now() + interval '1 day'
) AS fixed USING (source) LEFT JOIN LATERAL (
    SELECT mean, unit FROM measurements AS m
    WHERE m.measured_at = page.last_measured_at AND m.source = page.source OFFSET 0
) AS last ON true
ORDER BY source
"""

# The statement has the trend only if it is requested: planning it could involve every month.
_NO_TREND: Final = {"trend": "CAST(NULL AS json)", "trends": ""}
_TREND: Final = {
    "trend": """(
           SELECT json_agg(mean_of_hours_ago -> CAST(ago AS text) ORDER BY ago DESC) FROM generate_series(0, 23) AS ago
       )""",
    "trends": """LEFT JOIN (
    SELECT source, json_object_agg(
               CAST(date_part('epoch', date_trunc('hour', now(), 'UTC') - bucket_start) AS integer) / 3600, mean
           ) AS mean_of_hours_ago
    FROM gold.kpis_hourly
    WHERE source = ANY (ARRAY(SELECT source FROM page))
      AND bucket_start BETWEEN date_trunc('hour', now(), 'UTC') - interval '23 hours' AND now()
    GROUP BY 1
) AS hour USING (source)""",
}


def read_sources(database: Database, request: SourcesRequest, *, reads: tuple[str, ...] | None) -> list[SourceSummary]:
    """The requested sources, ordered by name; one more than the limit if there are more."""
    return read(
        database,
        SourceSummary,
        _SOURCES.format_map(_TREND if request.trend else _NO_TREND),
        prefix=request.prefix,
        reads=as_like(reads),
        state=request.state,
        after=request.cursor and request.cursor[1:],
        limit=request.limit + 1,
    )
