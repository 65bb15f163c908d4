"""Identifiers of raw objects, their keys in bronze, the arrival that both encode, and replay cursors."""

import os
import re
import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

PREFIX = "raw/"
"""The prefix of every bronze key."""

_KEY = re.compile(r"raw/([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\.json", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MILLISECOND = (datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_NANOSECONDS_PER_MILLISECOND = 1_000_000


class InvalidKeyError(ValueError):
    """The key is not one that ingest writes."""


def new_raw_id(now_ns: int | None = None) -> UUID:
    """Make a UUIDv7 (RFC 9562, section 5.7): identifiers sort in order of arrival.

    The 12 bits after the milliseconds hold the fraction of the millisecond (method 3 of section 6.2), so that two
    events that one container receives within a millisecond keep their order; 62 bits come from the operating system.

    Args:
        now_ns: nanoseconds since the Unix epoch; defaults to the system clock.
    """
    milliseconds, rest = divmod(time.time_ns() if now_ns is None else now_ns, _NANOSECONDS_PER_MILLISECOND)
    fraction = (rest << 12) // _NANOSECONDS_PER_MILLISECOND
    random = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | random)


def earliest_raw_id(instant: datetime) -> UUID:
    """The smallest identifier of `instant` (aware), as a bound for listings and comparisons.

    Identifiers start in 1970; an earlier instant has the bound of 1970.
    """
    milliseconds = max(instant - _EPOCH, timedelta(0)) // timedelta(milliseconds=1)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0b10 << 62)


def received_at(raw_id: UUID) -> datetime:
    """The arrival encoded in a UUIDv7, in UTC, to the millisecond; at most the end of the year 9999."""
    return _EPOCH + timedelta(milliseconds=min(raw_id.int >> 80, _LAST_MILLISECOND))


def object_key(raw_id: UUID) -> str:
    """The key in bronze: `raw/<raw_id>.json`."""
    return f"{PREFIX}{raw_id}.json"


def raw_id_of(key: str) -> UUID:
    """The identifier in a bronze key.

    Raises:
        InvalidKeyError: the key is not `raw/<UUIDv7, lower case>.json`.
    """
    match = _KEY.fullmatch(key)
    if match is None:
        raise InvalidKeyError("not a key of the form raw/<UUIDv7>.json")
    return UUID(match[1])


POSITION_PATTERN = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(\.[0-9]{1,9}(\.rejected)?)?$"
"""The pattern of a replay's cursors: `<raw_id>`, `<raw_id>.<item>` or `<raw_id>.<item>.rejected`."""

_REJECTED = "rejected"


class Position(NamedTuple):
    """A replay's position within an object."""

    raw_id: UUID
    item: int
    """The next item."""
    has_rejected: bool = False
    """Whether an earlier item was rejected: the object then counts as rejected."""

    def __str__(self) -> str:
        """The text of the cursor."""
        return f"{self.raw_id}.{self.item}" + (f".{_REJECTED}" if self.has_rejected else "")


Cursor = UUID | Position
"""After an object, or within one."""


def parse_cursor(text: str) -> Cursor:
    """Parse a cursor that matches `POSITION_PATTERN`."""
    raw_id, _, rest = text.partition(".")
    if not rest:
        return UUID(raw_id)
    item, _, flag = rest.partition(".")
    return Position(UUID(raw_id), int(item), flag == _REJECTED)
