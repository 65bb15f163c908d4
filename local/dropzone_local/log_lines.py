"""Log lines of functions, from what Lambda and Powertools write to one short line for a reader."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLATFORM = re.compile(r"(START|END|REPORT) RequestId: |INIT_START |INIT_REPORT ")
# What every line of Powertools carries, and a reader at the terminal doesn't miss.
_HIDDEN = frozenset(
    {
        "level",
        "location",
        "message",
        "timestamp",
        "service",
        "cold_start",
        "exception",
        "exception_name",
        "stack_trace",
        "sampling_rate",
        "xray_trace_id",
        "function_name",
        "function_memory_size",
        "function_arn",
        "function_request_id",
    }
)
_STYLES: Mapping[str, str] = {
    "DEBUG": "dim",
    "INFO": "green",
    "WARNING": "yellow",
    "ERROR": "bold red",
    "CRITICAL": "bold red",
}
_PLAIN_LEVEL = "-"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line as it is shown: its parts, and what goes below it."""

    at: datetime
    function: str
    level: str
    message: str
    fields: Mapping[str, str]
    below: str = ""

    def render(self) -> Text:
        """Lay the parts out, with colours where the terminal has them."""
        text = Text(no_wrap=False)
        text.append(f"{self.at:%H:%M:%S}.{self.at.microsecond // 1000:03d} ", style="dim")
        text.append(f"{self.level:<8}", style=_STYLES.get(self.level, "dim"))
        text.append(f"{self.function:<8} ", style="cyan")
        text.append(self.message)
        for name, value in self.fields.items():
            text.append(f"  {name}=", style="dim")
            text.append(value)
        for line in self.below.splitlines():
            text.append(f"\n    {line}", style="dim")
        return text


def parse(message: str, *, function: str, milliseconds: int) -> LogLine | None:
    """Return the line to show; nothing for what the platform says of every call, and for metrics."""
    text = message.rstrip()
    if not text or _PLATFORM.match(text):
        return None
    at = datetime.fromtimestamp(milliseconds / 1000, tz=UTC).astimezone()
    document = _object(text)
    if document is None:
        return LogLine(at, function, _PLAIN_LEVEL, text, {})
    if "_aws" in document:
        return None
    fields = {name: _short(value) for name, value in document.items() if name not in _HIDDEN and value is not None}
    return LogLine(
        at=at,
        function=function,
        level=str(document.get("level", _PLAIN_LEVEL)),
        message=_short(document.get("message", "")),
        fields=fields,
        below=str(document.get("exception") or ""),
    )


def _object(text: str) -> Mapping[str, object] | None:
    if not text.startswith("{"):
        return None
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _short(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
