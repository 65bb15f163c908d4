"""Formats shared by the API and its clients: identifiers, keys, cursors, limits of labels.

This package contains no code of the functions; tests/unit/cli/test_formats.py compares these with theirs.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias
from uuid import UUID

MAX_SOURCE, MAX_UNIT, MAX_TAGS, MAX_TAG_NAME, MAX_TAG_VALUE = 200, 50, 16, 64, 256
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_KEY = re.compile(r"raw/([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\.json")
_CURSOR = re.compile(r"([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})(?:\.([0-9]{1,9})(\.rejected)?)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)


def object_key(raw_id: UUID) -> str:
    return f"raw/{raw_id}.json"


def raw_id_of(key: str) -> UUID:
    """Return the identifier in a bronze key.

    Raises:
        ValueError: the key is not `raw/<UUIDv7, lower case>.json`.
    """
    if match := _KEY.fullmatch(key):
        return UUID(match[1])
    raise ValueError("not a key of the form raw/<UUIDv7>.json")


def received_at(raw_id: UUID) -> datetime:
    """Return the time of arrival encoded in a UUIDv7, in UTC."""
    return _EPOCH + timedelta(milliseconds=min(raw_id.int >> 80, (_LAST - _EPOCH) // timedelta(milliseconds=1)))


class Position(NamedTuple):
    """A position within an object of many events."""

    raw_id: UUID
    item: int
    """The next event."""
    has_rejected: bool = False
    """Whether an earlier event was rejected."""

    def __str__(self) -> str:
        return f"{self.raw_id}.{self.item}{'.rejected' if self.has_rejected else ''}"


Cursor: TypeAlias = UUID | Position
"""A position after an object, or within one."""


def parse_cursor(text: str) -> Cursor:
    """Parse `RAW_ID`, `RAW_ID.ITEM` or `RAW_ID.ITEM.rejected`.

    Raises:
        ValueError: the text has none of these forms.
    """
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise ValueError("is not a cursor of an earlier run: RAW_ID, or RAW_ID.ITEM")
    raw_id, item, rejected = match.groups()
    return UUID(raw_id) if item is None else Position(UUID(raw_id), int(item), rejected is not None)
