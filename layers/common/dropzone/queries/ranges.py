"""Shared parts of parameters: days of a time zone, and positions in an order."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final, Protocol

from pydantic import Field

from dropzone.adapters.database import Database
from dropzone.api.parameters import ZONE_EXPECTED, ZoneName
from dropzone.api.problems import FieldError, InvalidRequestError
from dropzone.domain.payloads import MAX_SOURCE

Place = tuple[datetime, str]
"""A position in the order by instant and source."""

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

EXAMPLE_PLACE = "1556704800000000.boiler-7"
PlaceCursor = Annotated[
    str,
    Field(
        pattern=f"^-?[0-9]{{1,18}}\\.[^\\x00]{{0,{MAX_SOURCE}}}$",
        description="The cursor of the previous page.",
        examples=[EXAMPLE_PLACE],
    ),
]
"""A cursor of microseconds since 1970 and a source."""

ZoneOfDates = Annotated[
    ZoneName,
    Field(description="The time zone of the dates in `from` and `to`: an IANA name.", examples=["Europe/Berlin"]),
]
"""The parameter `tz` of requests in which it affects nothing else."""

_RECENT: Final = timedelta(days=31)

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)

_DAY: Final = f"""
SELECT greatest(gold.day_start(day, :tz), '{FIRST.isoformat()}'),
       least(gold.day_start(day + 1, :tz), '{LAST.isoformat()}')
FROM (SELECT CAST(:day AS date) AS day) AS asked
"""  # noqa: S608 - our own words

_ZONE: Final = "SELECT FROM pg_timezone_names WHERE name = :name"

_known_zones = {"UTC"}
"""Cached, since Postgres reads all of its zones to look up one."""


class Range(Protocol):
    """Parameters with a range."""

    @property
    def since(self) -> datetime | date | None: ...

    @property
    def until(self) -> datetime | date | None: ...

    @property
    def tz(self) -> str: ...


def bounds(database: Database, request: Range) -> tuple[datetime | None, datetime | None]:
    """The start and the exclusive end; a date without a time is the whole day in its time zone.

    Raises:
        InvalidRequestError: the database has no such time zone.
    """
    if request.tz not in _known_zones:
        if not database.run(_ZONE, name=request.tz):
            raise InvalidRequestError([FieldError("tz", "request.time_zone", ZONE_EXPECTED)])
        _known_zones.add(request.tz)
    since, until = request.since, request.until
    return (
        since if since is None or isinstance(since, datetime) else _day(database, since, request.tz)[0],
        until if until is None or isinstance(until, datetime) else _day(database, until, request.tz)[1],
    )


def _day(database: Database, day: date, tz: str) -> tuple[datetime, datetime]:
    """The start and end of a day in a time zone, limited to the years 1 to 9999 in UTC."""
    ((begins, ends),) = database.run(_DAY, day=day, tz=tz)
    return begins, ends


def newest[R](
    read: Callable[[datetime | None, datetime | None, int], list[R]],
    since: datetime | None,
    until: datetime | None,
    limit: int,
    *,
    before: datetime | None,
) -> list[R]:
    """The newest rows of a range, up to a limit: first those of its last month, then earlier ones if needed.

    A statement without a lower bound is planned for every existing month, and reads some rows of each: Postgres
    doesn't scan partitions in order if one of them is the default.

    `read` returns the rows from an instant on, before another, up to a limit; the newest first. The search for recent
    rows ends at `before` (default: now), or at `until` if that is earlier.
    """
    end = min(each for each in (before or datetime.now(UTC), until) if each is not None)
    recent = end - min(_RECENT, end - FIRST)
    if since is not None and since >= recent:
        return read(since, until, limit)
    found = read(recent, until, limit)
    return found if len(found) == limit else found + read(since, recent, limit - len(found))


def cursor_of(instant: datetime, source: str) -> str:
    """The cursor to continue after a position."""
    return f"{(instant - _EPOCH) // _MICROSECOND}.{source}"


def place_of(cursor: str | None) -> Place | None:
    """The position of a cursor; outside the years 1 to 9999, the nearest one within them."""
    if cursor is None:
        return None
    microseconds, _, source = cursor.partition(".")
    since_first = int(microseconds) * _MICROSECOND - (FIRST - _EPOCH)
    return FIRST + min(max(since_first, timedelta(0)), LAST - FIRST), source
