"""Send dead letters to the queue again. Each is deleted only after it was sent, so that none is lost.

A message may be sent twice, by two concurrent redrives or after a crash between the two steps. That is harmless: the
function skips objects that have an outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

from dropzone_cli.queue import Message, Queue, objects_of

LEASE_SECONDS = 300
"""How long a received message stays invisible to others if this process dies."""

FINAL = frozenset({"processed", "superseded", "rejected"})
"""The statuses of an object that no longer needs a message."""

# Remaining messages are released at the end, but at most this many: others become visible after their timeout. A
# dead-letter queue may have more messages than this process should hold in memory.
_HELD = 5_000
Statuses: TypeAlias = Callable[[Sequence[UUID]], Mapping[UUID, dict[str, Any] | None]]


@dataclass(slots=True)
class Report:
    """What was done or, in a dry run, would be. Counts are of messages."""

    redriven: int = 0
    dropped: int = 0
    """Deleted, since all their objects have an outcome by now."""
    failed: int = 0
    """Left, since SQS did not accept them."""
    undeleted: int = 0
    """Sent again or dropped, but still in the dead-letter queue, since SQS did not delete them."""
    not_understood: int = 0
    """Redriven, but without an object of the bucket."""
    missing_objects: int = 0
    """Redriven, but with an object that is not in the bucket."""
    found: set[UUID] = field(default_factory=set)
    """The chosen objects that messages were found for."""

    @property
    def taken(self) -> int:
        """The number of chosen messages."""
        return self.redriven + self.dropped + self.failed


@dataclass(slots=True)
class Redrive:
    """One pass through a dead-letter queue."""

    dlq: Queue
    queue: Queue
    bucket: str
    statuses: Statuses
    chosen: Collection[UUID] = ()
    """The objects whose messages to redrive; all if empty."""
    limit: int | None = None
    dry_run: bool = False
    advance: Callable[[int], None] = lambda _: None
    report: Report = field(default_factory=Report)
    _seen: set[bytes] = field(default_factory=set)
    """Identifiers of messages that were left or sent again, so that none is processed twice."""
    _held: dict[str, Message] = field(default_factory=dict)

    def run(self) -> Report:
        try:
            for messages, fresh in self.dlq.receive_all(
                LEASE_SECONDS, lambda message: _short(message.message_id) in self._seen
            ):
                self._hold(messages)
                self._take(fresh)
                if self.limit is not None and self.report.taken >= self.limit:
                    break
        finally:
            self.dlq.release(self._held.values())
        return self.report

    def _hold(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._held.pop(message.message_id, None)
            self._held[message.message_id] = message
            self._seen.add(_short(message.message_id))
        while len(self._held) > _HELD:
            del self._held[next(iter(self._held))]

    def _take(self, messages: Sequence[Message]) -> None:
        read = [(message, objects_of(message.body, self.bucket)) for message in messages]
        wanted = [
            (message, raw_ids)
            for message, raw_ids in read
            if not self.chosen or any(raw_id in self.chosen for raw_id in raw_ids or ())
        ]
        if self.limit is not None:
            wanted = wanted[: self.limit - self.report.taken]
        statuses = self.statuses([raw_id for _, raw_ids in wanted for raw_id in raw_ids or ()])
        processed, others = [], []
        for message, raw_ids in wanted:
            self.report.found.update(raw_id for raw_id in raw_ids or () if raw_id in self.chosen)
            states = [(statuses[raw_id] or {}).get("status") for raw_id in raw_ids or ()]
            if states and all(state in FINAL for state in states):
                processed.append(message)
            else:
                others.append(message)
                self.report.not_understood += raw_ids is None
                self.report.missing_objects += None in states
        self._act(processed, others)
        self.advance(len(messages))

    def _act(self, processed: Sequence[Message], others: Sequence[Message]) -> None:
        if self.dry_run:
            self.report.redriven += len(others)
            self.report.dropped += len(processed)
            return
        sent, identifiers = self.queue.send(others)
        self._seen.update(map(_short, identifiers))
        self.report.redriven += len(sent)
        self.report.failed += len(others) - len(sent)
        done = [*sent, *processed]
        gone = self.dlq.delete(done)
        self.report.dropped += len(processed)
        self.report.undeleted += len(done) - len(gone)
        for message in gone:
            del self._held[message.message_id]


def _short(message_id: str) -> bytes:
    """Return an identifier, which is a UUID, as 16 bytes to save memory."""
    try:
        return UUID(message_id).bytes
    except ValueError:
        return message_id.encode()
