"""Converts times in files to the form that the API reads: ISO 8601 with an offset from UTC."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from zoneinfo import ZoneInfo

import typer

AUTO = "auto"
_POWERS = {"epoch_s": 0, "epoch_ms": 3, "epoch_us": 6, "epoch_ns": 9}
FORMATS = (AUTO, *_POWERS)

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])([0-9]{2}):?([0-9]{2})", re.ASCII)
# What the API reads: docs/errors.md. It doesn't accept the hour 24, weeks, or dates without a time.
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"[Tt ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?"
    r"(?P<offset>[Zz]|[+-][0-9]{2}(?::?[0-5][0-9])?)?"
)
# Seconds, milli-, micro- or nanoseconds since 1970 of the years 2001 to 2100: no compact date looks like it.
_EPOCH = re.compile(r"(?:[0-9]{9,10}|[0-9]{12,13}|[0-9]{15,16}|[0-9]{18,19})(?:\.[0-9]+)?")
_EARLIEST, _LATEST = Decimal(946_684_800), Decimal(4_102_444_800)
_START = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = Decimal(253_402_300_799)
_FIRST_SECOND = Decimal(-62_135_596_800)


class Ambiguous(StrEnum):
    """Which of the two instants is meant by a time that occurs twice when clocks go back."""

    EARLIER = "earlier"
    LATER = "later"


class TimeError(Exception):
    """The text is not a time, or its instant is ambiguous."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def parse_zone(text: str) -> tzinfo:
    """Parse a time zone: a name in the tz database, UTC, or an offset."""
    if text.upper() in {"UTC", "Z"}:
        return UTC
    try:
        if match := _OFFSET.fullmatch(text):
            ahead = timedelta(hours=int(match[2]), minutes=int(match[3]))
            return timezone(-ahead if match[1] == "-" else ahead)
        return ZoneInfo(text)
    except (ValueError, OSError, LookupError):
        message = f"{text!r} is not a time zone, such as Europe/Berlin, UTC or +02:00."
        raise typer.BadParameter(message) from None


def time_reader(
    format_: str | None = None, zone: tzinfo | None = None, ambiguous: Ambiguous | None = None
) -> Callable[[str], str]:
    """Make a function that parses a time; it raises TimeError.

    Args:
        format_: `epoch_s` and so on, `auto` for epochs by their size, or a format of strptime; None for ISO 8601, and
            for numbers that can only be epochs of this century.
        zone: the time zone of times without an offset.
        ambiguous: which instant is meant by a time that occurs twice in the zone.
    """
    if format_ in FORMATS:
        return lambda text: _instant(number := _number(text), _POWERS.get(format_, _power_of(number)))

    def zoned(wall: datetime) -> str:
        if zone is None:
            message = "has no offset from UTC, such as Z or -04:00: name its time zone with --timezone"
            raise TimeError("time.no_timezone", message)
        return _zoned(wall, zone, ambiguous)

    return lambda text: _read_iso(text, zoned) if format_ is None else _read_format(text, format_, zoned)


def _read_iso(text: str, zoned: Callable[[datetime], str]) -> str:
    match = _ISO.fullmatch(text)
    if match is None:
        return _recent_epoch(text)
    if text.startswith("0000"):
        raise _out_of_range()
    try:
        read = datetime.fromisoformat(text.upper())
        if match["offset"] is None:
            return zoned(read)
        if text.startswith(("0001", "9999")):
            read.astimezone(UTC)  # out of range for their first and last hours in some zones
    except ValueError:
        raise _unreadable("is not an ISO 8601 date and time") from None
    except OverflowError:
        raise _out_of_range() from None
    return text


def _read_format(text: str, format_: str, zoned: Callable[[datetime], str]) -> str:
    try:
        read = datetime.strptime(text, format_)  # noqa: DTZ007 - it gets its zone below
    except ValueError:
        raise _unreadable(f"is not of the form {format_}") from None
    return zoned(read) if read.tzinfo is None else read.isoformat()


def _unreadable(reason: str) -> TimeError:
    return TimeError("time.unreadable", reason)


def _out_of_range() -> TimeError:
    return TimeError("time.out_of_range", "is outside the years 1 to 9999")


def _zoned(wall: datetime, zone: tzinfo, ambiguous: Ambiguous | None) -> str:
    first, second = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    before, after = first.utcoffset(), second.utcoffset()
    if before is None or after is None or before < after:
        raise TimeError("time.nonexistent", f"does not exist in {zone}: clocks were set forward over it")
    if before > after and ambiguous is None:
        message = f"occurs twice in {zone}, where clocks were set back: say which with --ambiguous earlier or later"
        raise TimeError("time.ambiguous", message)
    try:
        return (wall - (after if ambiguous is Ambiguous.LATER else before)).isoformat() + "Z"
    except OverflowError:
        raise _out_of_range() from None


def _number(text: str) -> Decimal:
    with suppress(InvalidOperation):
        if (number := Decimal(text)).is_finite():
            return number
    raise _unreadable("is not a number of seconds since 1970")


def _power_of(number: Decimal) -> int:
    """The power of ten of the unit in which a number is between 1973 and 5138, or as far before 1970."""
    size = abs(number)
    return 0 if size < 10**11 else 3 if size < 10**14 else 6 if size < 10**17 else 9


def _instant(number: Decimal, power: int) -> str:
    seconds = number.scaleb(-power)
    if not _FIRST_SECOND <= seconds <= _LAST_SECOND:
        raise _out_of_range()
    whole, fraction = divmod(int(seconds.scaleb(6).to_integral_value("ROUND_FLOOR")), 10**6)
    return (_START + timedelta(seconds=whole, microseconds=fraction)).isoformat().replace("+00:00", "Z")


def _recent_epoch(text: str) -> str:
    if _EPOCH.fullmatch(text) and _EARLIEST <= (number := Decimal(text)).scaleb(-_power_of(number)) < _LATEST:
        return _instant(number, _power_of(number))
    is_number = text.replace(".", "", 1).isdigit()
    hint = "--time-format auto reads epochs" if is_number else "--time-format names another form"
    raise _unreadable(f"is not an ISO 8601 date and time; {hint}")
