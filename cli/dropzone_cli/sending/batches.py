"""Batches: the events of one request. A continued run divides an input into the same batches as the earlier run."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from dropzone_cli.sending.events import Event

_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Shape:
    """The limits of a batch."""

    events: int
    bytes: int
    """The maximum size; a larger event is sent alone."""
    linger: float | None = None
    """Seconds that the first event waits for others; None if they come as fast as they are read."""


class Cut(NamedTuple):
    """Identifies a batch, so that a later run can recognise it."""

    events: int
    digest: str
    beginning: str
    """The digest of the first event."""


class Batch:
    """Consecutive events of an input."""

    def __init__(self, number: int, events: list[Event], size: int = 0) -> None:
        self.number = number
        """The number of the batch in its input, from 0."""
        self.body = b"".join([b"%b\n" % event.text for event in events])
        """One line for each event."""
        self.events = len(events)
        self.first, self.last = events[0].first, events[-1].last
        """The first and last line numbers."""
        self.findings = [event.finding for event in events if event.finding is not None]
        """The findings that it reports, if it has reports instead of events."""
        self.digest = digest(self.body)
        """The digest of what is sent."""
        recognised = digest(b"\n".join([event.identity for event in events])) if self.findings else self.digest
        self.cut = Cut(self.events, recognised, digest(events[0].identity))
        self.size = size
        """The approximate number of bytes in the input, including what was skipped before it."""


def digest(text: bytes) -> str:
    return sha256(text).hexdigest()[:_DIGITS]


class Batcher:
    """Collects events, and passes a batch to a function when it is full, or was held long enough."""

    def __init__(
        self,
        shape: Shape,
        emit: Callable[[Batch], None],
        *,
        known: Mapping[int, Cut] | None = None,
        changed: Callable[[], None] | None = None,
        position: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start with the first batch of an input.

        Args:
            shape: the limits of a batch.
            emit: called with each batch.
            known: the batches of an earlier run, by number.
            changed: called if the events differ from those of the earlier run; if it returns, new batches are made of
                them. None: only of those that differ; the batches before are kept.
            position: returns how far the input was read, in bytes.
            clock: returns the time in seconds.
        """
        self._shape, self._emit, self._known, self._changed = shape, emit, known or {}, changed
        self._position, self._clock = position, clock
        self._number = 0
        self._held: list[Event] = []
        self._length = 0
        self._cut: Cut | None = None
        self._due: float | None = None
        self._reached = 0

    def add(self, event: Event) -> None:
        size = len(event.text) + 1
        if event.finding is not None:
            size += len(event.finding.text)
        if self._held and self._cut is None and self._length + size > self._shape.bytes:
            self._flush()
        if not self._held:
            self._begin(event)
        self._held.append(event)
        self._length += size
        limit = self._cut.events if self._cut else self._shape.events
        if len(self._held) >= limit or (self._due is not None and self._clock() >= self._due):
            self._flush()

    def idle(self) -> float | None:
        """Emit the batch if it was held long enough; return the seconds until the next one is due."""
        if not self._held or self._due is None:
            return None
        seconds = self._due - self._clock()
        if seconds > 0:
            return seconds
        self._flush()
        return None

    def end(self, *, was_stopped: bool = False) -> None:
        """Emit what is held: the input is at its end, or was stopped.

        If it was stopped, it hasn't necessarily changed: the start of an earlier run's batch is left to `rest`.
        """
        while self._held and not (was_stopped and self._cut):  # events that were not sent before make new batches
            self._flush()
        if self._changed is not None and not was_stopped and any(number >= self._number for number in self._known):
            self._changed()

    def rest(self) -> list[Event]:
        """The events that were not emitted."""
        return self._held

    def _begin(self, event: Event) -> None:
        self._cut = self._known.get(self._number)
        if self._cut is not None and self._cut.beginning != digest(event.identity):
            self._begin_afresh()
        linger = self._shape.linger
        self._due = None if linger is None or self._cut else self._clock() + linger

    def _begin_afresh(self) -> None:
        self._known, self._cut = {}, None
        if self._changed is not None:
            self._changed()
            self._number = 0

    def _flush(self) -> None:
        held, self._held, self._length = self._held, [], 0
        batch = Batch(self._number, held)
        if self._cut is not None and self._cut.digest != batch.cut.digest:
            self._begin_afresh()
            for event in held:
                self.add(event)
            return
        before, self._reached = self._reached, self._position()
        batch.size = self._reached - before
        self._number += 1
        self._emit(batch)
