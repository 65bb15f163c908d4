"""`GET /measurements`, in pages, and `GET /measurements/{measured_at}`, the measurements of one instant."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, TypedDict
from uuid import UUID

from pydantic import Field

from dropzone.adapters.archived import archived_months
from dropzone.adapters.database import Database
from dropzone.api.answers import (
    EXAMPLE_ARRIVAL,
    EXAMPLE_INSTANT,
    EXAMPLE_RAW_ID,
    EXAMPLE_WRITTEN,
    Archived,
    Arrival,
    Cursor,
    Flags,
    Item,
    SourceOfEvent,
    answer,
    closed,
)
from dropzone.api.pages import Listing
from dropzone.api.parameters import InstantOrDate, Request, SourceFilter
from dropzone.domain.patterns import as_like, is_pattern
from dropzone.queries.ranges import EXAMPLE_PLACE, PlaceCursor, ZoneOfDates, bounds, cursor_of, newest, place_of
from dropzone.queries.rows import read


class MeasurementsOfInstantRequest(Request):
    """The parameters of `GET /measurements/{measured_at}`."""

    source: SourceFilter | None = Field(
        default=None,
        description="Only this source; empty for events that name no source.",
        examples=["hall-1/thermometer"],
    )
    limit: int = Field(
        default=100, ge=1, le=1_000, description="The maximum number of measurements to return.", examples=[10]
    )
    cursor: PlaceCursor | None = None


class MeasurementsRequest(MeasurementsOfInstantRequest):
    """The parameters of `GET /measurements`."""

    since: InstantOrDate | None = Field(
        default=None,
        alias="from",
        description="Measured at or after this instant, or from the start of this day.",
        examples=["2019-05-01"],
    )
    until: InstantOrDate | None = Field(
        default=None,
        alias="to",
        description="Measured before this instant, or until the end of this day.",
        examples=["2019-05-01T12:00:00Z"],
    )
    tz: ZoneOfDates = "UTC"
    order: Literal["asc", "desc"] = Field(
        default="desc", description="The order, by instant and then source. `desc`: the newest first.", examples=["asc"]
    )


@closed
class Measurement(TypedDict):
    """The measurement of an instant and source, and the event that it is from."""

    measured_at: Annotated[datetime, Field(description="In UTC.")]
    source: SourceOfEvent
    mean: float
    std_dev: Annotated[float, Field(ge=0, description="The population standard deviation.")]
    sample_count: Annotated[int, Field(ge=1)]
    min: float
    max: float
    unit: SourceOfEvent
    tags: Mapping[str, str]
    flags: Flags
    raw_id: Annotated[UUID, Field(description="The object that the event arrived in.")]
    item: Item
    received_at: Arrival
    updated_at: Annotated[datetime, Field(description="When it was written to silver.")]


@answer(
    {
        "measurements": [
            {
                "measured_at": EXAMPLE_INSTANT,
                "source": "boiler-7",
                "mean": 1.0,
                "std_dev": 1.0,
                "sample_count": 2,
                "min": 0.0,
                "max": 2.0,
                "unit": "°C",
                "tags": {"site": "north"},
                "flags": [],
                "raw_id": EXAMPLE_RAW_ID,
                "item": 0,
                "received_at": EXAMPLE_ARRIVAL,
                "updated_at": EXAMPLE_WRITTEN,
            }
        ],
        "cursor": EXAMPLE_PLACE,
    }
)
class MeasurementsPage(TypedDict):
    """A page of measurements."""

    measurements: Sequence[Measurement]
    archived: NotRequired[Archived]
    cursor: NotRequired[Cursor]


LISTING = Listing(
    "measurements", MeasurementsPage, Measurement, lambda row: cursor_of(row["measured_at"], row["source"])
)

# For any range, order and source, this reads no more than a page, along one of two indexes. If patterns of sources
# limit it, it skips the rows of others.
_PAGE = """
SELECT measured_at, source, mean, std_dev, sample_count, min, max, unit, tags, flags, raw_id, item,
       to_char(uuid_extract_timestamp(raw_id), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS received_at, updated_at
FROM measurements
WHERE {conditions}
ORDER BY {columns} LIMIT CAST(:limit AS integer)
"""
# A page of each of these sources, along the index by source: skipping the rows of all others could read the whole range
# to find a page of a rare source. With an equality, or in order of time, Postgres could still choose the other index,
# since it estimates by the average number of rows of a source.
_PAGE_OF_SOURCES = """
SELECT page.* FROM unnest(CAST(:reads AS text[])) AS readable CROSS JOIN LATERAL ({page}) AS page
ORDER BY measured_at {order}, source {order} LIMIT CAST(:limit AS integer)
"""


def read_measurements(
    database: Database,
    request: MeasurementsOfInstantRequest,
    instant: datetime | None = None,
    *,
    reads: tuple[str, ...] | None,
) -> list[Measurement]:
    """The requested measurements, in the requested order; one more than the limit if there are more.

    They are those of `instant`, or if it is None, of the request's range. `reads` are patterns of the sources that may
    be read; None for all.

    Raises:
        InvalidRequestError: there is no such time zone.
    """
    since = until = None
    newest_first = False
    if isinstance(request, MeasurementsRequest):
        since, until = bounds(database, request)
        newest_first = request.order == "desc"
    after, after_source = place_of(request.cursor) or (None, None)
    beyond = "<" if newest_first else ">"
    names = _names(reads) if request.source is None else None

    def rows(since: datetime | None, until: datetime | None, limit: int) -> list[Measurement]:
        conditions: Mapping[str, tuple[str, Any]] = {
            "measured_at = CAST(:instant AS timestamptz)": ("instant", instant),
            "measured_at >= CAST(:since AS timestamptz)": ("since", since),
            "measured_at < CAST(:until AS timestamptz)": ("until", until),
            "source = CAST(:source AS text)": ("source", request.source),
            "source >= readable AND source <= readable": ("reads", names),
            "source LIKE ANY (CAST(:reads AS text[]))": ("reads", as_like(reads) if names is None else None),
            # The second condition implies the first one, which lets the index by source start there.
            f"measured_at {beyond}= CAST(:after AS timestamptz)": ("after", after),
            f"(measured_at, source) {beyond} (CAST(:after AS timestamptz), CAST(:after_source AS text))": (
                "after_source",
                after_source,
            ),
        }
        asked = {sql: parameter for sql, parameter in conditions.items() if parameter[1] is not None}
        order = "DESC" if newest_first else "ASC"
        columns = f"measured_at {order}, source {order}" if names is None else f"source {order}, measured_at {order}"
        page = _PAGE.format(conditions=" AND ".join(asked) or "true", columns=columns)
        return read(
            database,
            Measurement,
            page if names is None else _PAGE_OF_SOURCES.format(page=page, order=order),
            limit=limit,
            **dict(asked.values()),
        )

    if newest_first:
        return newest(rows, since, until, request.limit + 1, before=after)
    return rows(since, until, request.limit + 1)


def archived_of(database: Database, request: MeasurementsRequest) -> list[str]:
    """The archived months of the request's range; see `archived_months`."""
    return archived_months(database, *bounds(database, request), "measured")


def _names(reads: tuple[str, ...] | None) -> list[str] | None:
    """The sources that may be read, if each is named; None if all may, or if one is a pattern."""
    return None if reads is None or any(map(is_pattern, reads)) else list(dict.fromkeys(reads))
