"""What an input is read as: events, and what is none, each with its lines."""

from typing import NamedTuple, TypeAlias

MAX_EVENT_BYTES = 8 * 2**20
"""The longest text that is held in memory as one event. The API takes less."""


class Event(NamedTuple):
    """An event, ready to be a line of NDJSON."""

    text: bytes
    """Without line ends."""
    first: int
    last: int


class Unreadable(NamedTuple):
    """Lines that are no event; those after them can be read."""

    first: int
    last: int
    reason: str


Read: TypeAlias = Event | Unreadable


class BrokenInputError(Exception):
    """From a line on, an input can't be read."""

    def __init__(self, line: int, reason: str) -> None:
        """Tell where, and why."""
        super().__init__(f"line {line:,}: {reason}")
        self.line = line
        self.reason = reason
