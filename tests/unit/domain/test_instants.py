"""Times against an independent construction: text from its parts, the instant by counting days and microseconds."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropzone.domain.instants import epoch_instant, parse_instant
from dropzone.domain.outcomes import Code, Violation
from support.examples import examples

MICROSECONDS_PER_MINUTE = 60_000_000
DAYS_IN_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1 March of year 0 in the Gregorian calendar, for any year (Howard Hinnant's algorithm)."""
    year -= month <= 2
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + day_of_year


FIRST = days_from_civil(1, 1, 1) * 1440 * MICROSECONDS_PER_MINUTE
LAST = days_from_civil(10_000, 1, 1) * 1440 * MICROSECONDS_PER_MINUTE - 1


def microseconds(instant: datetime) -> int:
    """The same count for a datetime in UTC, from nothing but its fields."""
    days = days_from_civil(instant.year, instant.month, instant.day)
    minutes = (days * 24 + instant.hour) * 60 + instant.minute
    return minutes * MICROSECONDS_PER_MINUTE + instant.second * 1_000_000 + instant.microsecond


def code_of(text: str) -> Code | None:
    result = parse_instant(text)
    return result.code if isinstance(result, Violation) else None


def is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


@dataclass(frozen=True)
class Spelling:
    """A time in one of the accepted forms: what its text says apart from the offset, the offset, and the instant."""

    local: str
    offset: str
    instant: int


@st.composite
def offsets(draw: st.DrawFn) -> tuple[str, int]:
    """An offset's text, and the minutes it is ahead of UTC."""
    if draw(st.booleans()):
        return draw(st.sampled_from("Zz")), 0
    sign = draw(st.sampled_from("+-"))
    hours, minutes = draw(st.integers(0, 23)), draw(st.integers(0, 59))
    form = draw(st.sampled_from(["{h:02}:{m:02}", "{h:02}{m:02}", "{h:02}"]))
    ahead = hours * 60 + (minutes if "m" in form else 0)
    return sign + form.format(h=hours, m=minutes), ahead if sign == "+" else -ahead


@st.composite
def spellings(draw: st.DrawFn) -> Spelling:
    year = draw(st.one_of(st.integers(0, 9999), st.sampled_from([0, 1, 4, 400, 1900, 2000, 2024, 9999])))
    month = draw(st.integers(1, 12))
    last = DAYS_IN_MONTH[month - 1] + (month == 2 and is_leap(year))
    day = draw(st.one_of(st.integers(1, last), st.just(last)))
    hour, minute = draw(st.integers(0, 23)), draw(st.integers(0, 59))
    text = f"{year:04}-{month:02}-{day:02}{draw(st.sampled_from('Tt '))}{hour:02}:{minute:02}"
    count = ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * MICROSECONDS_PER_MINUTE
    if draw(st.booleans()):
        second = draw(st.integers(0, 59))
        text += f":{second:02}"
        count += second * 1_000_000
        if draw(st.booleans()):
            digits = draw(st.text("0123456789", min_size=1, max_size=40))
            text += draw(st.sampled_from(".,")) + digits
            count += int(digits) * 1_000_000 // 10 ** len(digits)
    offset, ahead = draw(offsets())
    return Spelling(text, offset, count - ahead * MICROSECONDS_PER_MINUTE)


@settings(max_examples=examples(500))
@given(spellings())
def test_accepted_forms_give_the_instant_that_counting_gives(spelling: Spelling) -> None:
    result = parse_instant(spelling.local + spelling.offset)
    if FIRST <= spelling.instant <= LAST:
        assert isinstance(result, datetime)
        assert result.tzinfo is UTC
        assert microseconds(result) == spelling.instant
    else:
        assert isinstance(result, Violation)
        assert result.code == Code.TIME_STAMP_OUT_OF_RANGE


@given(spellings())
def test_the_same_text_without_its_offset_has_no_timezone(spelling: Spelling) -> None:
    assert code_of(spelling.local) == Code.TIME_STAMP_NO_TIMEZONE


@given(spellings(), st.sampled_from([" ", "\n", "\t", "\x00", "\u00a0", "x", "0", "+"]))
def test_nothing_may_precede_or_follow(spelling: Spelling, extra: str) -> None:
    text = spelling.local + spelling.offset
    assert code_of(extra + text) == Code.TIME_STAMP_NOT_ISO8601
    if not (extra == "0" and spelling.offset[0] in "+-"):  # +04:000 is refused below
        assert code_of(text + extra) == Code.TIME_STAMP_NOT_ISO8601


@given(st.text())
def test_any_text_is_an_instant_or_a_violation_of_the_field(text: str) -> None:
    result = parse_instant(text)
    assert isinstance(result, datetime) or result.field == "time_stamp"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2019-05-01T06:00:00-04:00", (2019, 5, 1, 10, 0)),
        ("2019-05-01t06:00:00z", (2019, 5, 1, 6, 0)),
        ("2019-05-01 06:00Z", (2019, 5, 1, 6, 0)),
        ("2019-05-01T06:00:00+0530", (2019, 5, 1, 0, 30)),
        ("2019-05-01T06:00:00-04", (2019, 5, 1, 10, 0)),
        ("2019-05-01T06:00:00-00:00", (2019, 5, 1, 6, 0)),
        ("2019-05-01T06:00:00+23:59", (2019, 4, 30, 6, 1)),
        ("2019-05-01T06:00:00-23:59", (2019, 5, 2, 5, 59)),
        ("2019-05-01T06:00:00,5Z", (2019, 5, 1, 6, 0, 0, 500_000)),
        ("2019-05-01T06:00:00.0000019Z", (2019, 5, 1, 6, 0, 0, 1)),
        ("2019-05-01T23:59:59.9999999Z", (2019, 5, 1, 23, 59, 59, 999_999)),
        ("2024-02-29T00:00Z", (2024, 2, 29, 0, 0)),
        ("0001-01-01T00:00:00Z", (1, 1, 1, 0, 0)),
        ("9999-12-31T23:59:59.999999Z", (9999, 12, 31, 23, 59, 59, 999_999)),
        ("0000-12-31T23:00:00-01:00", (1, 1, 1, 0, 0)),
        ("0000-12-31T23:00:00-23:59", (1, 1, 1, 22, 59)),
    ],
)
def test_accepted(text: str, expected: tuple[int, ...]) -> None:
    assert parse_instant(text) == datetime(*expected, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    "text",
    [
        "0000-01-01T00:00:00Z",
        "0000-12-31T23:59:59.999999Z",
        "0000-02-29T00:00:00Z",
        "0000-12-31T23:00:00-00:59",
        "0001-01-01T00:00:00+00:01",
        "0001-01-01T22:59:00+23:00",
        "9999-12-31T23:59:00-00:01",
        "9999-12-31T00:01:00-23:59",
    ],
)
def test_out_of_range_in_utc(text: str) -> None:
    assert code_of(text) == Code.TIME_STAMP_OUT_OF_RANGE


REFUSED = {
    "nothing": "",
    "a word": "yesterday",
    "a number": "1556704800",
    "a date alone": "2019-05-01",
    "a date with an offset": "2019-05-01Z",
    "a time alone": "06:00:00Z",
    "an hour alone": "2019-05-01T06Z",
    "a week date": "2019-W18-3T06:00:00Z",
    "an ordinal date": "2019-121T06:00:00Z",
    "the basic form": "20190501T060000Z",
    "a basic time": "2019-05-01T060000Z",
    "a basic date": "20190501T06:00:00Z",
    "slashes": "2019/05/01T06:00:00Z",
    "a year of five digits": "12019-05-01T06:00:00Z",
    "a signed year": "+2019-05-01T06:00:00Z",
    "a year of two digits": "19-05-01T06:00:00Z",
    "a month of one digit": "2019-5-01T06:00:00Z",
    "month 0": "2019-00-01T06:00:00Z",
    "month 13": "2019-13-01T06:00:00Z",
    "day 0": "2019-05-00T06:00:00Z",
    "day 31 of a short month": "2019-04-31T06:00:00Z",
    "30 February": "2019-02-30T06:00:00Z",
    "29 February of a common year": "2019-02-29T06:00:00Z",
    "29 February 1900": "1900-02-29T06:00:00Z",
    "hour 24": "2019-05-01T24:00:00Z",
    "minute 60": "2019-05-01T06:60:00Z",
    "a leap second": "2016-12-31T23:59:60Z",
    "a dangling colon": "2019-05-01T06:00:Z",
    "a dangling point": "2019-05-01T06:00:00.Z",
    "a fraction of a minute": "2019-05-01T06:00.5Z",
    "two spaces": "2019-05-01  06:00:00Z",
    "a tab": "2019-05-01\t06:00:00Z",
    "an underscore": "2019-05-01_06:00:00Z",
    "a no-break space": "2019-05-01\u00a006:00:00Z",
    "a space before the offset": "2019-05-01T06:00:00 Z",
    "a leading space": " 2019-05-01T06:00:00Z",
    "a trailing space": "2019-05-01T06:00:00Z ",
    "a trailing newline": "2019-05-01T06:00:00Z\n",
    "a trailing newline and no offset": "2019-05-01T06:00:00\n",
    "a trailing nul": "2019-05-01T06:00:00Z\x00",
    "Arabic digits": "\u0662\u0660\u0661\u0669-05-01T06:00:00Z",
    "a superscript digit": "2019-05-01T06:00:00.\u00b2Z",
    "fullwidth digits in the offset": "2019-05-01T06:00:00+\uff10\uff14:00",
    "a minus sign of typography": "2019-05-01T06:00:00\u221204:00",
    "an offset of 24 hours": "2019-05-01T06:00:00+24:00",
    "an offset of minus 24 hours": "2019-05-01T06:00:00-24:00",
    "an offset of 99 hours": "2019-05-01T06:00:00+99",
    "an offset with minute 60": "2019-05-01T06:00:00+04:60",
    "an offset with 99 minutes": "2019-05-01T06:00:00+0099",
    "an offset of one digit": "2019-05-01T06:00:00+4",
    "an offset of three digits": "2019-05-01T06:00:00+040",
    "an offset with seconds": "2019-05-01T06:00:00+04:00:00",
    "an offset with a dangling colon": "2019-05-01T06:00:00+04:",
    "a sign alone": "2019-05-01T06:00:00+",
    "Z and an offset": "2019-05-01T06:00:00Z+04:00",
    "the name of a zone": "2019-05-01T06:00:00 Europe/Berlin",
    "the name of a zone in brackets": "2019-05-01T06:00:00+02:00[Europe/Berlin]",
    "UTC in letters": "2019-05-01T06:00:00UTC",
    "the form of email": "Wed, 01 May 2019 06:00:00 +0000",
    "no offset, and 30 February": "2019-02-30T06:00:00",
    "no offset, and hour 24": "2019-05-01T24:00:00",
    "no offset, and a leap second": "2016-12-31T23:59:60",
    "out of range, and 30 February": "0000-02-30T06:00:00Z",
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in REFUSED.items()])
def test_refused_as_no_time_of_iso_8601(text: str) -> None:
    assert code_of(text) == Code.TIME_STAMP_NOT_ISO8601


@pytest.mark.parametrize("text", ["2019-05-01T06:00:00", "2019-05-01 06:00", "2019-05-01t06:00:00,123456789"])
def test_rejects_missing_timezone(text: str) -> None:
    result = parse_instant(text)
    assert isinstance(result, Violation)
    assert (result.code, result.field) == (Code.TIME_STAMP_NO_TIMEZONE, "time_stamp")
    assert text in result.message


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"])
def test_a_time_outside_of_the_clock_names_its_field_and_itself(text: str) -> None:
    message = f"is outside the years 1 to 9999 in UTC: '{text}'"
    assert parse_instant(text) == Violation(Code.TIME_STAMP_OUT_OF_RANGE, "time_stamp", message)


# ---- numbers since 1970 ----------------------------------------------------------------------------------------------

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.integers(-62_135_596_800 * 10**9, 253_402_300_799 * 10**9), st.sampled_from([0, 3, 6, 9]))
def test_an_epoch_is_the_same_instant_as_a_number_and_as_text(nanoseconds: int, digits: int) -> None:
    number = nanoseconds // 10 ** (9 - digits)
    expected = _EPOCH + timedelta(microseconds=number * 10**6 // 10**digits)
    assert epoch_instant(number, digits) == epoch_instant(str(number), digits) == expected
    if number >= 0:
        assert epoch_instant(f"{number}.0000009", digits) == expected


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (1.5, 0, "1970-01-01T00:00:01.500000"),
        ("1.0000019", 0, "1970-01-01T00:00:01.000001"),
        # Cut towards the past on both sides of 1970.
        (-1_500, 9, "1969-12-31T23:59:59.999998"),
        ("-1500", 9, "1969-12-31T23:59:59.999998"),
        ("253402300799999999999", 9, "9999-12-31T23:59:59.999999"),
    ],
)
def test_an_epoch_by_example(value: object, digits: int, expected: str) -> None:
    assert epoch_instant(value, digits) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "value", [253_402_300_800, "253402300800", 1e25, "1e22", "1e999999", 1e308, float("inf"), 10**40]
)
def test_an_epoch_outside_of_the_clock_is_out_of_range(value: object) -> None:
    assert epoch_instant(value, 0) == Violation(
        Code.TIME_STAMP_OUT_OF_RANGE, "time_stamp", "is outside the years 1 to 9999 in UTC"
    )


@pytest.mark.parametrize("value", [None, True, [], {}, "", "yesterday", "1_0x", float("nan"), "sNaN"])
def test_what_is_no_number_is_no_epoch(value: object) -> None:
    assert epoch_instant(value, 0) == Violation(Code.TIME_STAMP_NOT_EPOCH, "time_stamp", "is not a number since 1970")
