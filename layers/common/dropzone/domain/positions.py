"""Where a replay goes on: behind an object, or within one of many events."""

from typing import NamedTuple
from uuid import UUID

POSITION_PATTERN = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(\.[0-9]{1,9}(\.rejected)?)?$"
"""What cursors look like: `<raw_id>`, `<raw_id>.<item>` or `<raw_id>.<item>.rejected`."""

_REJECTED = "rejected"


class Position(NamedTuple):
    """A place within an object."""

    raw_id: UUID
    item: int
    """The first item that is left."""
    has_rejected: bool = False
    """Whether an item before it was rejected: then the object counts as failed in the end."""

    def __str__(self) -> str:
        """As a cursor is written."""
        return f"{self.raw_id}.{self.item}" + (f".{_REJECTED}" if self.has_rejected else "")


Cursor = UUID | Position
"""Behind an object, or within one."""


def parse_cursor(text: str) -> Cursor:
    """Read a cursor that has the pattern."""
    raw_id, _, rest = text.partition(".")
    if not rest:
        return UUID(raw_id)
    item, _, flag = rest.partition(".")
    return Position(UUID(raw_id), int(item), flag == _REJECTED)
