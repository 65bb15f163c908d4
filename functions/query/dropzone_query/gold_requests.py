"""The parameters of the routes that read gold and the measurements that stand."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from dropzone.api.parameters import ZONE_EXPECTED, InstantOrDate, Request, SourceFilter, ZoneName
from dropzone.api.problems import FieldError, InvalidRequestError
from dropzone.domain.gold import Granularity, Place, Window
from dropzone.domain.payloads.v2 import MAX_SOURCE

MOST_ROWS = 5_000
"""Of an answer of buckets."""

_Cursor = Annotated[
    str,
    Field(
        pattern=f"^-?[0-9]{{1,18}}\\.[^\\x00]{{0,{MAX_SOURCE}}}$",
        description="Where to go on, as an earlier answer's cursor says.",
    ),
]
ZoneOfDates = Annotated[
    ZoneName, Field(description="The time zone whose days are meant in from and to, by its IANA name.")
]
"""Where nothing else depends on it."""

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def cursor_of(place: Place) -> str:
    """A place, as the cursor that leads behind it: microseconds since 1970, and the source."""
    instant, source = place
    return f"{(instant - _EPOCH) // _MICROSECOND}.{source}"


def _place(cursor: str | None) -> Place | None:
    """The place that a cursor names; the nearest one that can be, where it lies outside the years 1 to 9999."""
    if cursor is None:
        return None
    microseconds, _, source = cursor.partition(".")
    since_first = int(microseconds) * _MICROSECOND - (_FIRST - _EPOCH)
    return _FIRST + min(max(since_first, timedelta(0)), _LAST - _FIRST), source


def no_such_zone() -> InvalidRequestError:
    """What is wrong with a time zone that the database doesn't know."""
    return InvalidRequestError([FieldError("tz", "request.time_zone", ZONE_EXPECTED)])


class MeasurementsOfInstantRequest(Request):
    """What `GET /measurements/{measured_at}` takes in its query."""

    source: SourceFilter | None = Field(default=None, description="Of this source; empty: of none.")
    limit: int = Field(default=100, ge=1, le=1_000, description="The most measurements.")
    cursor: _Cursor | None = None

    @property
    def after(self) -> Place | None:
        """The place after which to go on."""
        return _place(self.cursor)


class MeasurementsRequest(MeasurementsOfInstantRequest):
    """What `GET /measurements` takes in its query."""

    since: InstantOrDate | None = Field(
        default=None, alias="from", description="Measured at this instant or later, or from this day on."
    )
    until: InstantOrDate | None = Field(
        default=None, alias="to", description="Measured before this instant, or up to this day, with all of it."
    )
    tz: ZoneOfDates = "UTC"
    order: Literal["asc", "desc"] = Field(default="desc", description="By instant, then source: the newest first.")


class QualityRequest(Request):
    """What `GET /quality` takes in its query."""

    granularity: Granularity = Field(default=Granularity.HOUR, description="How long a bucket is.")
    since: InstantOrDate | None = Field(
        default=None,
        alias="from",
        description=(
            "From the bucket on that holds this instant, or the begin of this day. Without it 1 hour back (minute), "
            "1 day (quarter_hour), 7 days (hour), 30 days (day), 26 weeks (week), 365 days (month)."
        ),
    )
    until: InstantOrDate | None = Field(
        default=None,
        alias="to",
        description=(
            "To the bucket that holds the last moment before this instant, or of this day, whole; without it, to now."
        ),
    )
    source: SourceFilter | None = Field(
        default=None,
        description="Of this source; empty: of events that name none; without it, every source by itself.",
    )
    tz: ZoneName = Field(
        default="UTC", description="The time zone whose clock buckets go by, and days of from and to; its IANA name."
    )
    limit: int = Field(default=MOST_ROWS, ge=1, le=MOST_ROWS, description="The most buckets.")
    cursor: _Cursor | None = None

    @property
    def after(self) -> Place | None:
        """The place after which to go on."""
        return _place(self.cursor)

    def window(self, since: datetime | None, until: datetime) -> Window:
        """The buckets that are asked for, from one instant to before another.

        Raises:
            InvalidRequestError: the range is empty, or holds more buckets than one call may ask for.
        """
        if since is None:
            since = max(until, _FIRST + self.granularity.usual_range) - self.granularity.usual_range
        if since >= until:
            raise InvalidRequestError([FieldError("from", "request.range_empty", "is not before to")])
        window = Window(self.granularity, since, until, self.source, self.tz)
        if window.buckets > self.granularity.most_buckets:
            message = f"is more than {self.granularity.most_buckets} buckets of a {self.granularity} before to"
            raise InvalidRequestError([FieldError("from", "request.range_too_long", message)])
        return window


class KpisRequest(QualityRequest):
    """What `GET /kpis` takes in its query."""

    expected_seconds: float | None = Field(
        default=None,
        ge=1e-6,
        le=timedelta(days=366).total_seconds(),
        allow_inf_nan=False,
        description="How long it should be from one event of a source to the next; inferred without it.",
    )
