"""Notifications that a source breaks an expectation, or no longer does."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter

from dropzone.domain.expectations import Expectation

LISTED: Final = 20
"""The maximum number of changes listed in a summary."""


class Channel(StrEnum):
    """A destination of notifications."""

    EVENTS = "events"
    """EventBridge."""
    TOPIC = "topic"
    """SNS."""
    WEBHOOK = "webhook"


class Change(BaseModel):
    """A source that breaks an expectation since the last run, or no longer breaks it."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: str
    """Unique, and the same if the change is sent again."""
    source: str
    expectation: Expectation
    is_broken: bool
    contract: str
    """`id@version`."""
    at: datetime
    """When it was found."""
    since: datetime | None
    """If silent, the time of the last measurement; if stuck, the time since when the value is the same, at least."""
    observed: float | None
    """Seconds, or a share from 0 to 1."""
    expected: float | None
    """The limit, in the same unit."""

    @property
    def text(self) -> str:
        """The change in a sentence."""
        source = self.source or "the source without a name"
        words = (_BROKEN if self.is_broken else _RESTORED)[self.expectation]
        return words.format(source=source, observed=self._figure(self.observed), expected=self._figure(self.expected))

    def _figure(self, value: float | None) -> str:
        if value is None:
            return "an unknown time"
        if self.expectation is Expectation.REJECTED_SHARE:
            return f"{100 * value:.3g} %"
        return _span(value)


_BROKEN: Final = {
    Expectation.SILENT: "{source} is silent: no event for {observed}; one is expected every {expected}",
    Expectation.STUCK: "{source} is stuck: the same value for {observed}; another is expected within {expected}",
    Expectation.REJECTED_SHARE: "{source}: {observed} of its events of a day were rejected, more than {expected}",
    Expectation.LATENCY: "{source} is behind: its measurements take {observed} to arrive, more than {expected}",
}
_RESTORED: Final = {
    Expectation.SILENT: "{source} is back",
    Expectation.STUCK: "{source} is no longer stuck",
    Expectation.REJECTED_SHARE: "{source}: its share of rejected events is as expected again",
    Expectation.LATENCY: "{source}: its measurements arrive on time again",
}

CHANGES = TypeAdapter(tuple[Change, ...])


def summary(changes: Sequence[Change]) -> str:
    """The changes as text, one per line: at most the first `LISTED`."""
    lines = [change.text for change in changes[:LISTED]]
    if len(changes) > LISTED:
        lines.append(f"and {len(changes) - LISTED} more")
    return "\n".join(lines)


def _span(seconds: float) -> str:
    """A span as text, in the largest unit that fits into it at least twice."""
    unit, length = next(
        (entry for entry in (("days", 86_400), ("hours", 3_600), ("minutes", 60)) if seconds >= 2 * entry[1]),
        ("seconds", 1),
    )
    return f"{seconds / length:.3g} {unit}"
