"""Events for the oracle, each with what has to become of it, worked out from how it was made.

Nothing of `dropzone.domain` is used to know the answer: instants come from the generator, which writes them down in one
of the forms that clients send, and figures are computed with exact fractions (`figures.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random


@dataclass(frozen=True, slots=True)
class Event:
    """A body, and the outcome that is due to it. Bodies are distinct, so that each identifies its event."""

    body: bytes
    instant: datetime | None = None
    values: tuple[float, ...] = ()
    codes: frozenset[str] = frozenset()
    """Why it is rejected; empty for a good event."""
    refused_with: int | None = None
    """The status that ingest refuses it with, where it is no event at all."""
    batch: tuple["Event", ...] = ()
    """The events of a body of several."""

    @property
    def items(self) -> tuple["Event", ...]:
        """Each event that has an outcome of its own."""
        return self.batch or (self,)

    @property
    def good(self) -> bool:
        """Whether a measurement comes of it."""
        return not self.codes and self.refused_with is None


# ---- the parts of good events ----------------------------------------------------------------------------------------

_EPOCH = datetime(2024, 2, 28, 23, 59, tzinfo=UTC)

# Numbers as clients write them; the hard ones are where sums overflow, digits cancel or the format's ends are.
_EASY = ("0", "2", "-1.5", "3.25e2", "1E2", "0.1", "0.2", "0.30", "7", "12345678901234567890")
_HARD: tuple[tuple[str, ...], ...] = (
    ("1e308", "1e308"),
    ("1.7976931348623157e308", "-1.7976931348623157e308"),
    ("1e308", "1e308", "-1e308"),
    ("10000000.000000001", "10000000.000000002", "10000000.000000004"),
    ("1e16", "1", "-1e16"),
    ("5e-324", "0"),
    ("2.2250738585072014e-308", "4.4501477170144028e-308"),
    ("-0.0", "0.0"),
    ("9007199254740993", "9007199254740992"),
    ("0.1", "0.1", "0.1"),
    ("100000000000000000000000", "1e23"),
)


SLOWEST = ("1e308", "9e307", "1e-99", "7e-311")
"""Numbers whose sum is beyond binary64, and as far apart as can be."""


def _write_instant(instant: datetime, random: Random) -> str:
    """Write an instant down in one of the forms of ISO 8601 that clients send."""
    offset = random.choice((0, 0, 120, -240, 330, 840, -720, 60))
    local = instant + timedelta(minutes=offset)
    text = local.strftime("%Y-%m-%d") + random.choice("TTTt ") + local.strftime("%H:%M")
    if local.second or local.microsecond or random.random() < 0.7:
        text += local.strftime(":%S")
        if local.microsecond or random.random() < 0.3:
            # Digits past the microsecond are cut.
            text += random.choice(".,") + local.strftime("%f") + random.choice(("", "", "9", "9999"))
    return text + _write_offset(offset, random)


def _write_offset(minutes: int, random: Random) -> str:
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    forms = [f"{sign}{hours:02}:{rest:02}", f"{sign}{hours:02}{rest:02}"]
    if rest == 0:
        forms.append(f"{sign}{hours:02}")
    if minutes == 0:
        forms += ["Z", "Z", "z"]
    return random.choice(forms)


def _numbers(random: Random) -> tuple[str, ...]:
    if random.random() < 0.4:
        return random.choice(_HARD)
    if random.random() < 0.2:
        return tuple(repr(random.gauss(1e7, 1e-3)) for _ in range(random.randint(2, 200)))
    return tuple(random.choice(_EASY) for _ in range(random.randint(1, 6)))


# ---- bad ones --------------------------------------------------------------------------------------------------------

# time_stamp, data, more fields, codes: all of them pass ingest, and break rules of data quality.
_BAD: tuple[tuple[str, str, str, frozenset[str]], ...] = (
    ("2019-05-01T06:00:00", "[0, 2]", "", frozenset({"time_stamp.no_timezone"})),
    ("yesterday", "[0, 2]", "", frozenset({"time_stamp.not_iso8601"})),
    ("2019-05-01T24:00:00Z", "[0, 2]", "", frozenset({"time_stamp.not_iso8601"})),
    ("0001-01-01T00:00:00+14:00", "[0, 2]", "", frozenset({"time_stamp.out_of_range"})),
    ("2019-05-01T06:00:00Z", "[]", "", frozenset({"data.empty"})),
    ("2019-05-01T06:00:00Z", '[0, "2"]', "", frozenset({"data.not_numeric"})),
    ("2019-05-01T06:00:00Z", "[true]", "", frozenset({"data.not_numeric"})),
    ("2019-05-01T06:00:00Z", "[1e400]", "", frozenset({"data.not_finite"})),
    ("2019-05-01T06:00:00Z", "[null, -1e999]", "", frozenset({"data.not_numeric", "data.not_finite"})),
    ("2019-05-01T06:00:00", "[]", "", frozenset({"time_stamp.no_timezone", "data.empty"})),
    ("2019-05-01T06:00:00Z", "[1]", ', "schema_version": 99', frozenset({"payload.unsupported_version"})),
)

# What is no event: refused by ingest, and never stored.
_REFUSED: tuple[tuple[str, int], ...] = (
    ('{{"event": "{name}", "time_stamp": "2019-05-01T06:00:00Z", "data": [1]', 400),
    ('{{"event": "{name}", "time_stamp": "2019-05-01T06:00:00Z"}}', 422),
    ('{{"event": "{name}", "time_stamp": 5, "data": [1]}}', 422),
    ('"{name}"', 422),
)


# ---- all together ----------------------------------------------------------------------------------------------------


def good_event(name: str, instant: datetime, numbers: Sequence[str], *, time_stamp: str = "") -> Event:
    """Make a good event; its time is written plainly, where no other form is given."""
    text = time_stamp or instant.isoformat()
    body = f'{{"event": "{name}", "time_stamp": "{text}", "data": [{", ".join(numbers)}]}}'.encode()
    return Event(body, instant, tuple(map(float, numbers)))


def bad_event(name: str, kind: int = 0) -> Event:
    """Make an event that ingest accepts, and that breaks rules."""
    time_stamp, data, more, codes = _BAD[kind % len(_BAD)]
    body = f'{{"event": "{name}", "time_stamp": "{time_stamp}", "data": {data}{more}}}'.encode()
    return Event(body, codes=codes)


def long_event(name: str, instant: datetime, count: int) -> Event:
    """Make a body of so many events, a second apart, most of them of the slowest values, each tenth of them bad."""
    batch = tuple(
        bad_event(f"{name}-{number}", number)
        if number % 10 == 9
        else good_event(f"{name}-{number}", instant + timedelta(seconds=number), SLOWEST)
        for number in range(count)
    )
    return Event(b"[" + b",\n".join(event.body for event in batch) + b"]", batch=batch)


def refused_event(name: str, kind: int = 0) -> Event:
    """Make what ingest refuses."""
    text, status = _REFUSED[kind % len(_REFUSED)]
    return Event(text.format(name=name).encode(), refused_with=status)


def generate(seed: int, instants: int = 12) -> Iterator[Event]:
    """Make distinct events without end, of so few instants that most good ones supersede another."""
    random = Random(seed)  # noqa: S311 - no secret
    choice = [_EPOCH + timedelta(seconds=40 * number, microseconds=number % 3) for number in range(instants)]
    number = 0
    while True:
        number += 1
        name = f"{seed}-{number}"
        kind = random.random()
        if kind < 0.7:
            instant = random.choice(choice)
            yield good_event(name, instant, _numbers(random), time_stamp=_write_instant(instant, random))
        elif kind < 0.92:
            yield bad_event(name, random.randrange(len(_BAD)))
        else:
            yield refused_event(name, random.randrange(len(_REFUSED)))
