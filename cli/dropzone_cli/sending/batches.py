"""Batches: the events of one request; where an earlier run cut an input, it is cut again."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from dropzone_cli.sending.events import Event

_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Shape:
    """When a batch is full."""

    events: int
    bytes: int
    """An event that has more goes alone."""
    linger: float | None = None
    """Seconds that its first event waits for others; None where they come as fast as they are read."""


class Cut(NamedTuple):
    """A batch that an earlier run cut."""

    events: int
    digest: str
    beginning: str
    """The digest of its first event."""


class Batch:
    """Some events of an input, next to each other."""

    def __init__(self, number: int, events: list[Event], size: int = 0) -> None:
        self.number = number
        """In its input, from 0."""
        self.body = b"".join([b"%b\n" % event.text for event in events])
        """A line for each event."""
        self.events = len(events)
        self.first, self.last = events[0].first, events[-1].last
        """Its lines."""
        self.findings = [event.finding for event in events if event.finding is not None]
        """What it reports, where it holds no events."""
        self.digest = digest(self.body)
        """Of what is sent."""
        recognized = digest(b"\n".join([event.identity for event in events])) if self.findings else self.digest
        self.cut = Cut(self.events, recognized, digest(events[0].identity))
        self.size = size
        """Bytes of the input that it takes, about, including what was skipped before it."""


def digest(text: bytes) -> str:
    return sha256(text).hexdigest()[:_DIGITS]


class Batcher:
    """Collects events, and gives the batch to a function when it is full, or was held long enough."""

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
        """Begin with the first batch of an input.

        Args:
            shape: when a batch is full.
            emit: takes each batch.
            known: the batches of an earlier run, by number.
            changed: called when the events are not those of the earlier run; if it returns, they are cut afresh. None:
                only those that differ are, and the batches before them are kept.
            position: how far the input was read.
            clock: seconds.
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
        """Give away what was held long enough; return the seconds until there will be something."""
        if not self._held or self._due is None:
            return None
        seconds = self._due - self._clock()
        if seconds > 0:
            return seconds
        self._flush()
        return None

    def end(self, *, was_stopped: bool = False) -> None:
        """Give away what is held: the input is at its end, or was stopped.

        Where it was stopped, it need not have changed: what begins a batch of an earlier run stays with `rest`.
        """
        while self._held and not (was_stopped and self._cut):  # what an earlier run did not send is cut afresh
            self._flush()
        if self._changed is not None and not was_stopped and any(number >= self._number for number in self._known):
            self._changed()

    def rest(self) -> list[Event]:
        """What was not given away."""
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
