"""The parameters of the routes that read gold and the measurements that stand."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from dropzone.domain.gold import Granularity, Place, Window
from dropzone.domain.labels import MAX_SOURCE
from dropzone.parameters import NO_NUL, Instant, instant
from dropzone.problems import Broken, InvalidRequestError

MOST_ROWS = 5_000
"""Of an answer of buckets."""

_CURSOR = f"^-?[0-9]{{1,18}}\\.[^\\x00]{{0,{MAX_SOURCE}}}$"
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_NO_ZONE: Final = "time_zone"
_ZONE_EXPECTED: Final = "Input should be the IANA name of a time zone, such as Europe/Berlin"
_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,30}(?:/[A-Za-z0-9_+-]{1,30}){0,2}", re.ASCII)
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
    return InvalidRequestError([Broken("tz", f"request.{_NO_ZONE}", _ZONE_EXPECTED)])


def _may_be_zone(name: str) -> str:
    if not _ZONE.fullmatch(name):
        raise PydanticCustomError(_NO_ZONE, _ZONE_EXPECTED)
    return name


Zone = Annotated[str, AfterValidator(_may_be_zone)]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class MeasurementsOfInstantRequest(_Request):
    """What `GET /measurements/{measured_at}` takes in its query."""

    source: str | None = Field(
        default=None, max_length=MAX_SOURCE, pattern=NO_NUL, description="Of this source; empty: of none."
    )
    limit: int = Field(default=100, ge=1, le=1_000, description="The most measurements.")
    cursor: str | None = Field(
        default=None, pattern=_CURSOR, description="Where to go on, as an earlier answer's cursor says."
    )

    @property
    def after(self) -> Place | None:
        """The place after which to go on."""
        return _place(self.cursor)


class MeasurementsRequest(MeasurementsOfInstantRequest):
    """What `GET /measurements` takes in its query."""

    since: Instant | None = Field(default=None, alias="from", description="Measured at this instant or later.")
    until: Instant | None = Field(default=None, alias="to", description="Measured before this instant.")
    order: Literal["asc", "desc"] = Field(default="desc", description="By instant, then source: the newest first.")


class QualityRequest(_Request):
    """What `GET /quality` takes in its query."""

    granularity: Granularity = Field(default=Granularity.HOUR, description="How long a bucket is.")
    since: Instant | None = Field(
        default=None,
        alias="from",
        description=(
            "From the bucket on that holds this instant. Without it 1 hour back (minute), 1 day (quarter_hour), "
            "7 days (hour), 30 days (day)."
        ),
    )
    until: Instant | None = Field(
        default=None,
        alias="to",
        description="To the bucket that holds the last moment before this instant, whole; without it, to now.",
    )
    source: str | None = Field(
        default=None,
        max_length=MAX_SOURCE,
        pattern=NO_NUL,
        description="Of this source; empty: of events that name none; without it, every source by itself.",
    )
    tz: Zone = Field(default="UTC", description="The time zone whose days are meant, by its IANA name.")
    limit: int = Field(default=MOST_ROWS, ge=1, le=MOST_ROWS, description="The most buckets.")
    cursor: str | None = Field(
        default=None, pattern=_CURSOR, description="Where to go on, as an earlier answer's cursor says."
    )

    @property
    def after(self) -> Place | None:
        """The place after which to go on."""
        return _place(self.cursor)

    def window(self, now: datetime) -> Window:
        """The buckets that are asked for.

        Raises:
            InvalidRequestError: the range is empty, or holds more buckets than one call may ask for.
        """
        until = instant(self.until) or now
        since = instant(self.since)
        if since is None:
            since = max(until, _FIRST + self.granularity.usual_range) - self.granularity.usual_range
        if since >= until:
            raise InvalidRequestError([Broken("from", "request.range_empty", "is not before to")])
        window = Window(self.granularity, since, until, self.source, self.tz)
        if window.buckets > self.granularity.most_buckets:
            message = f"is more than {self.granularity.most_buckets} buckets of a {self.granularity} before to"
            raise InvalidRequestError([Broken("from", "request.range_too_long", message)])
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
