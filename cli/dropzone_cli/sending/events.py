"""What an input is read as: events, and findings about lines that are none, each with its lines."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

MAX_EVENT_BYTES = 8 * 2**20
"""The longest text that is held in memory as one event. The API accepts less."""


class Event(NamedTuple):
    text: bytes
    """A line of NDJSON, without its line end."""
    first: int
    last: int


class Severity(Enum):
    """What a finding means for the lines that it is about."""

    PROBLEM = "problem"
    """They are not sent."""
    WAITING = "waiting"
    """They are not complete yet; the next run reads them again."""
    MISSING = "missing"
    """They say themselves that nothing was measured."""
    WARNING = "warning"
    """They are sent, and something is odd about them."""


class Finding(NamedTuple):
    first: int
    last: int
    code: str
    """Stable, for scripts (docs/cli.md lists them)."""
    reason: str
    text: str = ""
    """The lines themselves, as far as they are known."""
    severity: Severity = Severity.PROBLEM


Read = Event | Finding


class BrokenInputError(Exception):
    """An input can't be read at all."""

    def __init__(self, line: int, reason: str, code: str = "input.unreadable") -> None:
        super().__init__(f"line {line:,}: {reason}")
        self.line = line
        self.reason = reason
        self.code = code

    @property
    def finding(self) -> Finding:
        return Finding(self.line, self.line, self.code, self.reason)
