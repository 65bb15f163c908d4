"""Shared parts of `/kpis` and `/quality`: parameters, limits, and reading buckets of time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Annotated, Any, Final, TypedDict

from pydantic import Field

from dropzone.adapters.archived import archived_months
from dropzone.adapters.database import Database, StatementTimeoutError
from dropzone.api import problems
from dropzone.api.answers import EXAMPLE_INSTANT, Count, Share, SourceOfBucket
from dropzone.api.parameters import InstantOrDate, Request, SourceFilter, ZoneName
from dropzone.api.problems import FieldError, InvalidRequestError, ProblemError
from dropzone.domain.patterns import as_like
from dropzone.ports import MonthKind
from dropzone.queries.ranges import FIRST, LAST, PlaceCursor, bounds, cursor_of, place_of
from dropzone.queries.rows import read

MAX_ROWS = 5_000
"""The maximum number of rows in an answer."""

MAX_PARTS = 1_000_000
"""The maximum number of 15-minute buckets that one call pools, over all sources: some seconds of work."""

MAX_EVENTS = 2_000_000
"""The maximum number of events that one call reads from silver (by second or minute, or if gold is stale): seconds."""


class Granularity(StrEnum):
    """The length of a bucket. Hours, days, weeks (from Monday) and months follow the clock of the time zone."""

    SECOND = "second"
    MINUTE = "minute"
    QUARTER_HOUR = "quarter_hour"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def width(self) -> timedelta:
        """The length of a bucket; approximate for months."""
        return _WIDTHS[self][0]

    @property
    def max_buckets(self) -> int:
        """The maximum length of a range in buckets. Seconds and minutes are read from silver, the others from gold."""
        return _WIDTHS[self][1]

    @property
    def default_range(self) -> timedelta:
        """The length of the range if a request has no `from`."""
        return _WIDTHS[self][2]


_WIDTHS: Final = {
    Granularity.SECOND: (timedelta(seconds=1), 1_500, timedelta(minutes=5)),
    Granularity.MINUTE: (timedelta(minutes=1), 1_500, timedelta(hours=1)),
    Granularity.QUARTER_HOUR: (timedelta(minutes=15), 3_000, timedelta(days=1)),
    Granularity.HOUR: (timedelta(hours=1), 2_300, timedelta(days=7)),
    Granularity.DAY: (timedelta(days=1), 1_200, timedelta(days=30)),
    Granularity.WEEK: (timedelta(days=7), 600, timedelta(days=182)),
    Granularity.MONTH: (timedelta(days=30), 300, timedelta(days=365)),
}


*_first, _last = (f"{kind.max_buckets:,} of `{kind}`" for kind in Granularity)
_GRANULARITY: Final = f"The length of a bucket. A range may have at most {', '.join(_first)} or {_last}."


class BucketsRequest(Request):
    """The parameters of both."""

    granularity: Granularity = Field(default=Granularity.HOUR, description=_GRANULARITY, examples=["day"])
    since: InstantOrDate | None = Field(
        default=None,
        alias="from",
        description=(
            "The start of the range: the bucket that holds this instant, or the start of this day. Default: 5 minutes "
            "before its end (second), 1 hour (minute), 1 day (quarter_hour), 7 days (hour), 30 days (day), 26 weeks "
            "(week), 365 days (month)."
        ),
        examples=["2019-05-01"],
    )
    until: InstantOrDate | None = Field(
        default=None,
        alias="to",
        description=(
            "The end of the range: the bucket that holds the last moment before this instant, or of this "
            "day. Default: now."
        ),
        examples=["2019-05-02T12:00:00Z"],
    )
    source: SourceFilter | None = Field(
        default=None,
        description="Only this source; empty for events that name no source. Default: each source separately.",
        examples=["hall-1/thermometer"],
    )
    tz: ZoneName = Field(
        default="UTC",
        description="The time zone of the buckets, and of dates in `from` and `to`: an IANA name.",
        examples=["Europe/Berlin"],
    )
    limit: int = Field(
        default=MAX_ROWS, ge=1, le=MAX_ROWS, description="The maximum number of buckets to return.", examples=[10]
    )
    cursor: PlaceCursor | None = None


class Bucket(TypedDict):
    """A source in a bucket of time."""

    start: Annotated[datetime, Field(description="The start, with the offset of `tz`.")]
    end: Annotated[datetime, Field(description="The end, exclusive, with the offset of `tz`.")]
    source: SourceOfBucket


ByRule = Mapping[str, Annotated[int, Field(ge=1)]]


class Arrivals(TypedDict):
    """What became of the events that arrived in a bucket."""

    received: Annotated[int, Field(ge=0, description="Events received in the bucket that have an outcome.")]
    processed: Count
    rejected: Annotated[int, Field(ge=0, description="Rejected events, resolved or open.")]
    resolved: Annotated[
        Count, Field(description="Rejected events that a processed event corrects, whenever it arrived.")
    ]
    open: Annotated[Count, Field(description="Rejected events that no processed event corrects.")]
    rejected_share: Share
    open_share: Share
    flagged: Annotated[int, Field(ge=0, description="Processed events with a warning from their data contract.")]
    rejected_by_rule: Annotated[
        ByRule,
        Field(
            description=(
                "Rejected events by the code of the rule that they break; an event that breaks two rules "
                "counts for both."
            )
        ),
    ]
    flagged_by_rule: Annotated[
        ByRule,
        Field(
            description=(
                "Flagged events by the code of the rule that they break; an event that breaks two rules counts "
                "for both."
            )
        ),
    ]


EXAMPLE_BUCKET: Final = {"start": EXAMPLE_INSTANT, "end": "2019-05-01T11:00:00Z", "source": "boiler-7"}
EXAMPLE_ARRIVALS: Final = {
    "received": 61,
    "processed": 60,
    "rejected": 1,
    "resolved": 0,
    "open": 1,
    "rejected_share": 0.01639344262295082,
    "open_share": 0.01639344262295082,
    "flagged": 2,
    "rejected_by_rule": {"data.empty": 1},
    "flagged_by_rule": {"time_stamp.ahead": 2},
}

ARRIVALS: Final = """
       coalesce(processed + rejected, 0) AS received, coalesce(processed, 0) AS processed,
       coalesce(rejected, 0) AS rejected, coalesce(resolved, 0) AS resolved, coalesce(rejected - resolved, 0) AS open,
       CAST(rejected AS double precision) / (processed + rejected) AS rejected_share,
       CAST(rejected - resolved AS double precision) / (processed + rejected) AS open_share,
       coalesce(flagged, 0) AS flagged, coalesce(rejected_by_rule, '{}') AS rejected_by_rule,
       coalesce(flagged_by_rule, '{}') AS flagged_by_rule
"""
"""The columns of `Arrivals` from gold.quality, or from a join with it: zero or null where nothing arrived."""

WINDOW: Final = (
    "CAST(:granularity AS gold.granularity), CAST(:since AS timestamptz), CAST(:until AS timestamptz), "
    "CAST(:source AS text), CAST(:tz AS text)"
)
"""The arguments of gold's functions."""

READABLE: Final = "readable => CAST(:reads AS text[])"
"""Their last argument: patterns of the sources that may be read."""

_COST: Final = f"""
SELECT coalesce(bool_or(parts > CAST(:most_parts AS bigint) OR events > CAST(:most_events AS bigint)), false)
FROM unnest(CAST(:kinds AS text[])) AS kind, gold.cost(kind, {WINDOW}, CAST(:most_parts AS bigint) + 1, {READABLE})
"""  # noqa: S608 - our own words

# A bucket may start before or end after the range of Python's datetime.
_ROWS: Final = f"""
SELECT bucket.*, {{offset_of_start}} AS start_offset, {{offset_of_end}} AS end_offset
FROM (
    SELECT greatest(bucket_start, '{FIRST.isoformat()}') AS "start", least(bucket_end, '{LAST.isoformat()}') AS "end",
           source, {{columns}}
    FROM {{call}} AS kept
) AS bucket
WHERE CAST(:after AS timestamptz) IS NULL
   OR ("start", source) > (CAST(:after AS timestamptz), CAST(:after_source AS text))
ORDER BY "start", source LIMIT CAST(:limit AS integer)
"""  # noqa: S608 - our own words

_OFFSETS: Final = {
    f"offset_of_{bound}": f"""extract(epoch FROM "{bound}" AT TIME ZONE :tz - "{bound}" AT TIME ZONE 'UTC')"""
    for bound in ("start", "end")
}


def read_buckets[B: Bucket](
    database: Database,
    request: BucketsRequest,
    answer: type[B],
    *,
    call: str,
    columns: str,
    kinds: frozenset[str],
    reads: tuple[str, ...] | None,
    **others: object,
) -> list[B]:
    """The buckets of the requested range, ordered by start and source; one more than the limit if there are more.

    `call` is a function of gold with `WINDOW` and the parameters in `others`; `columns` are the answer's columns other
    than a `Bucket`'s. `kinds` (measured, arrived) are the kinds of buckets whose cost gold estimates. `reads` are
    patterns of the sources that may be read; None for all.

    Raises:
        InvalidRequestError: the range is empty, or has more buckets than one call may request.
        ProblemError: computing it would exceed the limits of one call.
    """
    window = _window(database, request) | {"reads": as_like(reads)}
    ((is_too_much,),) = database.run(_COST, **window, kinds=sorted(kinds), most_parts=MAX_PARTS, most_events=MAX_EVENTS)
    if is_too_much:
        raise _too_much()
    after, after_source = place_of(request.cursor) or (None, None)
    try:
        rows = read(
            database,
            answer,
            _ROWS.format(call=call, columns=columns, **_OFFSETS),
            also=["start_offset", "end_offset"],
            **window,
            after=after,
            after_source=after_source,
            limit=request.limit + 1,
            **others,
        )
    except StatementTimeoutError as error:
        # There was more to read than gold had estimated.
        raise _too_much() from error
    return [_with_local_bounds(row) for row in rows]


def range_of(database: Database, request: BucketsRequest) -> tuple[datetime, datetime]:
    """The start and the exclusive end of the range, with defaults if the request doesn't give them; see `bounds`."""
    since, until = bounds(database, request)
    if until is None:
        until = datetime.now(UTC)
    if since is None:
        since = max(until, FIRST + request.granularity.default_range) - request.granularity.default_range
    return since, until


def archived_of(database: Database, request: BucketsRequest, *kinds: MonthKind) -> list[str]:
    """The archived months of the request's range if it is read from silver; gold has all months."""
    if request.granularity not in {Granularity.SECOND, Granularity.MINUTE}:
        return []
    return archived_months(database, *range_of(database, request), *kinds)


def _window(database: Database, request: BucketsRequest) -> dict[str, object]:
    since, until = range_of(database, request)
    granularity = request.granularity
    if since >= until:
        raise InvalidRequestError([FieldError("from", "request.range_empty", "is not before to")])
    if (until - since) // granularity.width + 2 > granularity.max_buckets:
        message = f"is more than {granularity.max_buckets} buckets of a {granularity} before to"
        raise InvalidRequestError([FieldError("from", "request.range_too_long", message)])
    return {
        "granularity": granularity.value,
        "since": since,
        "until": until,
        "source": request.source,
        "tz": request.tz,
    }


def _too_much() -> ProblemError:
    too_much = FieldError("from", "request.too_much", "is too far before to, for what lies between them")
    return ProblemError(problems.TOO_MUCH_ASKED, violations=[too_much])


def _with_local_bounds[B: Bucket](row: B) -> B:
    """The row with its bounds in the local time of their zone, and without the columns of their offsets."""
    others: dict[str, Any] = dict(row)
    row["start"] = _local(row["start"], others["start_offset"])
    row["end"] = _local(row["end"], others["end_offset"])
    del row["start_offset"], row["end_offset"]  # type: ignore[typeddict-item] # beside the answer's fields
    return row


def _local(instant: datetime, offset_seconds: float) -> datetime:
    """The instant in the local time of its zone; the offset is rounded to minutes, as RFC 3339 requires."""
    if not offset_seconds:
        return instant
    try:
        return instant.astimezone(timezone(timedelta(minutes=round(offset_seconds / 60))))
    except OverflowError:
        # The local time would be in year 0 or 10000.
        return instant


def cursor_after(bucket: Bucket) -> str:
    """The cursor to continue after a bucket."""
    return cursor_of(bucket["start"], bucket["source"])


def others_of(request: BucketsRequest) -> dict[str, str]:
    return {"granularity": request.granularity, "tz": request.tz}
