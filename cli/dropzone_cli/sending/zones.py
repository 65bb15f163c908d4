"""Times without an offset, in a time zone that somebody named."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import typer

_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})", re.ASCII)


# What the API reads: docs/errors.md.
_TIME_STAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"[Tt ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?"
    r"(?P<offset>[Zz]|[+-][0-9]{2}(?::?[0-5][0-9])?)?"
)


def has_offset(text: str) -> bool:
    """Tell whether an ISO 8601 time has an offset from UTC.

    Raises:
        ValueError: it is none that the API reads.
    """
    match = _TIME_STAMP.fullmatch(text)
    if match is None:
        raise ValueError
    time = datetime.fromisoformat(text.upper())
    if match["offset"]:
        time.astimezone(UTC)
    return bool(match["offset"])


class ClockError(ValueError):
    """The zone's clocks leave open which instant is meant."""


def parse_zone(text: str) -> tzinfo:
    """Read a zone: a name of the tz database, UTC, or an offset.

    Raises:
        typer.BadParameter: it is none.
    """
    if text.upper() in {"UTC", "Z"}:
        return UTC
    try:
        if match := _OFFSET.fullmatch(text):
            ahead = timedelta(hours=int(match[2]), minutes=int(match[3]))
            return timezone(-ahead if match[1] == "-" else ahead)
        return ZoneInfo(text)
    except (ValueError, OSError, LookupError):
        message = f"{text!r} is no time zone, such as Europe/Berlin, UTC or +02:00."
        raise typer.BadParameter(message) from None


def zoned(text: str, zone: tzinfo) -> str:
    """Write a time without an offset as an instant in UTC.

    Raises:
        ClockError: the zone's clocks never showed it, or showed it twice.
    """
    wall = datetime.fromisoformat(text.upper())
    first, second = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    before, after = first.utcoffset(), second.utcoffset()
    if before is None or after is None or before < after:
        message = f"never was in {zone}: clocks were put forward over it"
        raise ClockError(message)
    if before > after:
        message = f"was twice in {zone}, where clocks were put back: add its offset from UTC"
        raise ClockError(message)
    try:
        return (wall - before).isoformat() + "Z"
    except OverflowError:
        message = "is outside the years 1 to 9999 in UTC"
        raise ClockError(message) from None
