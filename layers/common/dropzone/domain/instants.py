"""The instant of an event: RFC 3339 and the forms of ISO 8601 that clients send, in UTC."""

import re
from datetime import UTC, datetime, timedelta, timezone

from dropzone.domain.outcomes import Code, Violation, excerpt

FIELD = "time_stamp"

_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?"
    r"(?:([Zz])|([+-])([0-9]{2})(?::?([0-9]{2}))?)?"
)
_UTC_MARK, _SIGN, _OFFSET_HOURS, _OFFSET_MINUTES = 8, 9, 10, 11
# The Gregorian calendar repeats after 400 years, which lets a year 0 be computed with as year 400.
_CYCLE = 400


def parse_instant(text: str) -> datetime | Violation:
    """The instant in UTC, or the rule that the text breaks.

    Takes `YYYY-MM-DD`, then `T`, `t` or one space, `hh:mm`, optional `:ss` and a fraction after `.` or `,`, then the
    offset: `Z`, `z`, `±hh:mm`, `±hhmm` or `±hh`. Digits past the microsecond are cut.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        return _not_iso8601(text)
    year, month, day, hour, minute, second, fraction = match.group(1, 2, 3, 4, 5, 6, 7)
    shift = _CYCLE if year == "0000" else 0
    try:
        zone = _offset(match)
        local = datetime(
            int(year) + shift,
            int(month),
            int(day),
            int(hour),
            int(minute),
            int(second or 0),
            int(fraction[:6].ljust(6, "0")) if fraction else 0,
            zone,
        )
    except ValueError:
        return _not_iso8601(text)
    if zone is None:
        return Violation(
            Code.TIME_STAMP_NO_TIMEZONE, FIELD, f"has no offset from UTC, such as Z or -04:00: {excerpt(text)}"
        )
    try:
        instant = local.astimezone(UTC)
        return instant.replace(year=instant.year - shift) if shift else instant
    except (OverflowError, ValueError):
        return Violation(Code.TIME_STAMP_OUT_OF_RANGE, FIELD, f"is outside the years 1 to 9999 in UTC: {excerpt(text)}")


def _offset(match: re.Match[str]) -> timezone | None:
    """The offset that was matched, None where there is none; ValueError where it is no offset of a clock."""
    if match[_UTC_MARK]:
        return UTC
    if not match[_SIGN]:
        return None
    minutes = int(match[_OFFSET_MINUTES] or 0)
    if minutes > 59:  # noqa: PLR2004 - an hour's last minute
        message = "an hour has 60 minutes"
        raise ValueError(message)
    ahead = timedelta(hours=int(match[_OFFSET_HOURS]), minutes=minutes)
    return timezone(-ahead if match[_SIGN] == "-" else ahead)


def _not_iso8601(text: str) -> Violation:
    return Violation(
        Code.TIME_STAMP_NOT_ISO8601,
        FIELD,
        f"is not a date and time of ISO 8601, such as 2019-05-01T06:00:00-04:00: {excerpt(text)}",
    )
