"""Instants of events: RFC 3339, and the forms of ISO 8601 that clients send."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from dropzone.domain.outcomes import Code, Violation, excerpt

FIELD = "time_stamp"

# The standard library accepts more: dates without a time, weeks, other separators, minutes past 59 in an offset, and,
# from 3.14 on, an hour 24.
_INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"[Tt ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?"
    r"(?:[Zz]|[+-][0-9]{2}(?::?[0-5][0-9])?)?$"
)
# pydantic's matcher takes less than a third of the time of Python's `re`.
_is_of_the_form = TypeAdapter(Annotated[str, Field(pattern=_INSTANT)]).validator.isinstance_python
# The Gregorian calendar repeats after 400 years, so year 0 can be computed as year 400.
_YEAR_0, _YEAR_400 = "0000", "0400"


def parse_instant(text: str) -> datetime | Violation:
    """The instant in UTC, or the rule that the text breaks.

    Accepts `YYYY-MM-DD`, then `T`, `t` or one space, `hh:mm`, optional `:ss` and a fraction after `.` or `,`, then the
    offset: `Z`, `z`, `±hh:mm`, `±hhmm` or `±hh`. Digits past the microsecond are truncated.
    """
    if not _is_of_the_form(text):
        return _not_iso8601(f"is not of the form YYYY-MM-DDThh:mm[:ss[.f]] with an offset: {excerpt(text)}")
    in_year_0 = text.startswith(_YEAR_0)
    try:
        local = datetime.fromisoformat((_YEAR_400 + text[4:] if in_year_0 else text).upper())
    except ValueError:
        return _not_iso8601(f"names a date or a time that does not exist: {excerpt(text)}")
    if local.tzinfo is None:
        return Violation(
            Code.TIME_STAMP_NO_TIMEZONE, FIELD, f"has no offset from UTC, such as Z or -04:00: {excerpt(text)}"
        )
    try:
        instant = local.astimezone(UTC)
        return instant.replace(year=instant.year - int(_YEAR_400)) if in_year_0 else instant
    except (OverflowError, ValueError):
        return Violation(Code.TIME_STAMP_OUT_OF_RANGE, FIELD, f"is outside the years 1 to 9999 in UTC: {excerpt(text)}")


def _not_iso8601(message: str) -> Violation:
    return Violation(Code.TIME_STAMP_NOT_ISO8601, FIELD, message)


def epoch_instant(value: Any, digits: int) -> datetime | Violation:  # noqa: ANN401 - any JSON
    """The instant of an epoch number, or the rule that it breaks; digits past the microsecond are truncated.

    Args:
        value: the number since 1970, or its text.
        digits: the decimal digits of a second in its unit: 0 for seconds, 9 for nanoseconds.
    """
    try:
        if type(value) is int:
            microseconds = value * 10**6 // 10**digits
        elif type(value) is float or type(value) is str:
            number = Decimal(repr(value) if type(value) is float else value)
            # Out of range in any unit; this avoids computing an integer of a billion digits.
            if number.adjusted() >= _MAX_DIGITS:
                return OUT_OF_RANGE
            microseconds = int(number.scaleb(6 - digits).to_integral_value(ROUND_FLOOR))
        else:
            return _NOT_EPOCH
        return _EPOCH + timedelta(microseconds=microseconds)
    except (InvalidOperation, ValueError):
        return _NOT_EPOCH
    except OverflowError:
        return OUT_OF_RANGE


_MAX_DIGITS = 22
"""The limit of integer digits: the year 9999 in nanoseconds has 21, and the precision of a Decimal is 28."""
OUT_OF_RANGE = Violation(Code.TIME_STAMP_OUT_OF_RANGE, FIELD, "is outside the years 1 to 9999 in UTC")
_NOT_EPOCH = Violation(Code.TIME_STAMP_NOT_EPOCH, FIELD, "is not a number since 1970")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
