"""The parameters of the routes that read gold and the measurements that stand."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from msgspec import Struct, field
from pydantic_core import PydanticCustomError
from pydantic_core import core_schema as core

from dropzone.domain.gold import Granularity, Place, Window
from dropzone.domain.payloads.v2 import MAX_SOURCE
from dropzone.parameters import INSTANT_OR_DATE, SOURCE, Parameter, one_of
from dropzone.problems import Broken, InvalidRequestError

MOST_ROWS = 5_000
"""Of an answer of buckets."""

_CURSOR = Parameter(
    core.str_schema(pattern=f"^-?[0-9]{{1,18}}\\.[^\\x00]{{0,{MAX_SOURCE}}}$"),
    "Where to go on, as an earlier answer's cursor says.",
)
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


_ZONE_NAME = core.no_info_after_validator_function(_may_be_zone, core.str_schema())

ZONE_OF_DATES = Parameter(_ZONE_NAME, "The time zone whose days are meant in from and to, by its IANA name.")
"""Where nothing else depends on it."""


class MeasurementsOfInstantRequest(Struct, frozen=True, kw_only=True):
    """What `GET /measurements/{measured_at}` takes in its query."""

    source: Annotated[str | None, Parameter(SOURCE, "Of this source; empty: of none.")] = None
    limit: Annotated[int, Parameter(core.int_schema(ge=1, le=1_000), "The most measurements.")] = 100
    cursor: Annotated[str | None, _CURSOR] = None

    @property
    def after(self) -> Place | None:
        """The place after which to go on."""
        return _place(self.cursor)


class MeasurementsRequest(MeasurementsOfInstantRequest, frozen=True, kw_only=True):
    """What `GET /measurements` takes in its query."""

    since: Annotated[
        str | None, Parameter(INSTANT_OR_DATE, "Measured at this instant or later, or from this day on.")
    ] = field(default=None, name="from")
    until: Annotated[
        str | None, Parameter(INSTANT_OR_DATE, "Measured before this instant, or up to this day, with all of it.")
    ] = field(default=None, name="to")
    tz: Annotated[str, ZONE_OF_DATES] = "UTC"
    order: Annotated[
        Literal["asc", "desc"],
        Parameter(core.literal_schema(["asc", "desc"]), "By instant, then source: the newest first."),
    ] = "desc"


class QualityRequest(Struct, frozen=True, kw_only=True):
    """What `GET /quality` takes in its query."""

    granularity: Annotated[Granularity, Parameter(one_of(Granularity), "How long a bucket is.")] = Granularity.HOUR
    since: Annotated[
        str | None,
        Parameter(
            INSTANT_OR_DATE,
            "From the bucket on that holds this instant, or the begin of this day. Without it 1 hour back (minute), "
            "1 day (quarter_hour), 7 days (hour), 30 days (day), 26 weeks (week), 365 days (month).",
        ),
    ] = field(default=None, name="from")
    until: Annotated[
        str | None,
        Parameter(
            INSTANT_OR_DATE,
            "To the bucket that holds the last moment before this instant, or of this day, whole; without it, to now.",
        ),
    ] = field(default=None, name="to")
    source: Annotated[
        str | None,
        Parameter(SOURCE, "Of this source; empty: of events that name none; without it, every source by itself."),
    ] = None
    tz: Annotated[
        str, Parameter(_ZONE_NAME, "The time zone whose clock buckets go by, and days of from and to; its IANA name.")
    ] = "UTC"
    limit: Annotated[int, Parameter(core.int_schema(ge=1, le=MOST_ROWS), "The most buckets.")] = MOST_ROWS
    cursor: Annotated[str | None, _CURSOR] = None

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
            raise InvalidRequestError([Broken("from", "request.range_empty", "is not before to")])
        window = Window(self.granularity, since, until, self.source, self.tz)
        if window.buckets > self.granularity.most_buckets:
            message = f"is more than {self.granularity.most_buckets} buckets of a {self.granularity} before to"
            raise InvalidRequestError([Broken("from", "request.range_too_long", message)])
        return window


class KpisRequest(QualityRequest, frozen=True, kw_only=True):
    """What `GET /kpis` takes in its query."""

    expected_seconds: Annotated[
        float | None,
        Parameter(
            core.float_schema(ge=1e-6, le=timedelta(days=366).total_seconds(), allow_inf_nan=False),
            "How long it should be from one event of a source to the next; inferred without it.",
        ),
    ] = None
