"""The results of reading an input: events, and findings about lines without an event, each with line numbers."""

import json
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from dropzone_cli.formats import CONTROL_CHARACTER, MAX_SOURCE

MAX_EVENT_BYTES = 5 * 2**20
"""The maximum size of a text that is held in memory as one event. The API accepts at most 4.5 MB."""

_REPORTED_CHARACTERS = 1_000


class Severity(StrEnum):
    """The consequence of a finding for its lines."""

    PROBLEM = "problem"
    """The lines are not sent."""
    WAITING = "waiting"
    """The lines are not complete yet; the next run reads them again."""
    MISSING = "missing"
    """The lines state that nothing was measured."""
    WARNING = "warning"
    """The lines are sent, but something about them is unusual."""


class Rejected(NamedTuple):
    """A rejected event in the API."""

    raw_id: str
    item: int

    @classmethod
    def of(cls, raw_id: object, item: object) -> "Rejected | None":
        """The event that a rejects file refers to; None if it refers to none."""
        with suppress(ValueError, OverflowError):
            return cls(str(UUID(str(raw_id))), int(float(str(item))))
        return None

    @property
    def json(self) -> str:
        return json.dumps(self._asdict())


class Finding(NamedTuple):
    first: int
    last: int
    code: str
    """A stable code for scripts (docs/cli.md lists them)."""
    reason: str
    text: str = ""
    """The text of the lines, as far as known."""
    severity: Severity = Severity.PROBLEM
    source: str = ""
    """The source, as far as known."""
    rejected: Rejected | None = None
    """The rejection that the API has already counted for these lines, if they are from a rejects file."""


class Event(NamedTuple):
    text: bytes
    """A line of NDJSON without its line end."""
    first: int
    last: int
    finding: Finding | None = None
    """The finding that it reports, if it is a report instead of an event."""

    @property
    def identity(self) -> bytes:
        """Identifies it in another run: for a report, all but its reason, which another version may reword."""
        if self.finding is None:
            return self.text
        code, source = self.finding.code, self.finding.source
        return json.dumps([code, source, self.first, self.last, self.finding.text]).encode()


Read = Event | Finding


def report_of(finding: Finding) -> Event:
    """Make a report to the API of lines that are not sent: it is stored, and counts as a rejection (docs/adr/0025)."""
    report = {
        "code": finding.code,
        "reason": _clean(finding.reason),
        "lines": [finding.first, finding.last],
        "text": _clean(finding.text),
    }
    is_source = 0 < len(finding.source) <= MAX_SOURCE and not CONTROL_CHARACTER.search(finding.source)
    source = {"source": _clean(finding.source)} if is_source else {}
    return Event(json.dumps({"client_rejected": report, **source}).encode(), finding.first, finding.last, finding)


def _clean(text: str) -> str:
    # Without the surrogates of bytes that are not text.
    return text[:_REPORTED_CHARACTERS].encode("utf-8", "replace").decode()


class BrokenInputError(Exception):
    """An input can't be read at all."""

    def __init__(self, line: int, reason: str, code: str = "input.unreadable") -> None:
        super().__init__(f"line {line:,}: {reason}")
        self.finding = Finding(line, line, code, reason)
