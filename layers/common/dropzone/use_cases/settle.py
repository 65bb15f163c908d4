"""Settle a chunk of objects: read them, judge them, write their outcomes. What `process` and `sweep` share."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from dropzone.domain.identifiers import received_at
from dropzone.domain.judge import judge
from dropzone.domain.outcomes import Code, JudgedObject, Rejection
from dropzone.ports import (
    Bronze,
    BronzeError,
    ListedObject,
    ObjectMissingError,
    RawObject,
    RowRefusedError,
    Silver,
    SilverConflictError,
    SilverError,
    SilverUnavailableError,
)

MAX_CHUNK_BYTES = 32 * 1024 * 1024
"""The most bytes of objects that are held at once, by their notified size."""

MAX_CHUNK_OBJECTS = 1_000
"""The most objects in one transaction: a statement gains nothing from more."""

ON_REQUEST_CHUNK_OBJECTS = 100
"""The same where somebody waits for the answer: small enough to be done in the time that is kept back."""

RESERVE_SECONDS = 2.0
"""No new chunk is begun with less time than this left in the call."""

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0

Remaining = Callable[[], float]
"""The seconds that are left in this call."""


@dataclass(frozen=True, slots=True)
class Settled:
    """An object that a call settled."""

    raw_id: UUID
    correlation_id: str
    codes: tuple[Code, ...]
    """Why its events were rejected; empty for an object without a bad event."""
    latency: timedelta
    """From arrival to silver."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An object that could not be settled: it goes back to where it came from."""

    raw_id: UUID
    reason: str
    terminal: bool
    """Whether another try is unlikely to go better."""


@dataclass(slots=True)
class Tally:
    """What a call did: `checked = processed + failed` counts the objects that it settled."""

    settled: list[Settled] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    duplicates: int = 0
    """Objects that were settled before, or by another call at the same time."""

    @property
    def checked(self) -> int:
        """Objects that this call settled."""
        return len(self.settled)

    @property
    def failed(self) -> int:
        """Of these, the ones with a rejected event."""
        return sum(1 for entry in self.settled if entry.codes)

    @property
    def processed(self) -> int:
        """Of these, the ones without."""
        return self.checked - self.failed


def chunks(objects: Iterable[ListedObject], most: int = MAX_CHUNK_OBJECTS) -> Iterator[list[ListedObject]]:
    """Cut objects into chunks of bounded size and number; one that is larger than the bound is alone in its chunk."""
    chunk: list[ListedObject] = []
    size = 0
    for listed in objects:
        if chunk and (size + listed.size > MAX_CHUNK_BYTES or len(chunk) == most):
            yield chunk
            chunk, size = [], 0
        chunk.append(listed)
        size += listed.size
    if chunk:
        yield chunk


def settle(raw_ids: Sequence[UUID], tally: Tally, *, bronze: Bronze, silver: Silver, remaining: Remaining) -> None:
    """Read, judge and write objects, each independently of the others; adds to `tally` what became of each.

    Raises:
        SilverUnavailableError: the database can't be used; nothing of what was not tallied is written.
    """
    judged: list[JudgedObject] = []
    correlation_ids: dict[UUID, str] = {}
    for raw_id, result in zip(raw_ids, bronze.read(raw_ids), strict=True):
        if isinstance(result, RawObject):
            judged.append(JudgedObject(raw_id, judge(result.body)))
            correlation_ids[raw_id] = result.correlation_id
        else:
            tally.failures.append(unread(raw_id, result))
    _write(judged, correlation_ids, tally, silver, remaining)


def settle_claimed(
    raw_ids: Sequence[UUID],
    tally: Tally,
    *,
    bronze: Bronze,
    silver: Silver,
    remaining: Remaining,
    only_due: bool,
) -> None:
    """Record an attempt on each object before it is touched, then settle those that the claim got.

    An attempt counts when it ended the process, or showed that the object can't be settled as it is; not when bronze
    or silver was out of reach.

    Raises:
        SilverUnavailableError: as for `settle`.
    """
    claimed = with_retries(lambda: silver.claim(raw_ids, only_due=only_due), remaining)
    chosen = [raw_id for raw_id in raw_ids if raw_id in claimed]
    if not chosen:
        return
    before = len(tally.failures)
    try:
        settle(chosen, tally, bronze=bronze, silver=silver, remaining=remaining)
    except SilverUnavailableError as error:
        # Best effort: the database that just failed may not take this either, and the attempt then counts.
        with suppress(SilverError):
            silver.give_back(dict.fromkeys(chosen, str(error)))
        raise
    failures = tally.failures[before:]
    if transient := {failure.raw_id: failure.reason for failure in failures if not failure.terminal}:
        with_retries(lambda: silver.give_back(transient), remaining)
    if terminal := {failure.raw_id: failure.reason for failure in failures if failure.terminal}:
        with_retries(lambda: silver.explain(terminal), remaining)


def unread(raw_id: UUID, error: BronzeError) -> Failure:
    """The failure of an object that could not be read."""
    return Failure(raw_id, f"{type(error).__name__}: {error}", terminal=isinstance(error, ObjectMissingError))


def _write(
    judged: Sequence[JudgedObject],
    correlation_ids: dict[UUID, str],
    tally: Tally,
    silver: Silver,
    remaining: Remaining,
) -> None:
    """Write a chunk; where the database refuses a row, halve the chunk until that row is alone."""
    if not judged:
        return
    try:
        written = with_retries(lambda: silver.settle(judged), remaining)
    except RowRefusedError as error:
        if len(judged) == 1:
            tally.failures.append(Failure(judged[0].raw_id, f"RowRefusedError: {error}", terminal=True))
            return
        middle = len(judged) // 2
        _write(judged[:middle], correlation_ids, tally, silver, remaining)
        _write(judged[middle:], correlation_ids, tally, silver, remaining)
        return
    now = datetime.now(UTC)
    for entry in judged:
        if entry.raw_id not in written:
            tally.duplicates += 1
            continue
        codes = tuple(
            violation.code
            for outcome in entry.outcomes
            if isinstance(outcome, Rejection)
            for violation in outcome.violations
        )
        latency = now - received_at(entry.raw_id)
        tally.settled.append(Settled(entry.raw_id, correlation_ids[entry.raw_id], codes, latency))


def with_retries[T](call: Callable[[], T], remaining: Remaining, pause: Callable[[float], None] = time.sleep) -> T:
    """Make a call again after a deadlock or a serialization failure, with jitter, until little time is left.

    Raises:
        SilverUnavailableError: the conflict outlived the call's time.
    """
    longest = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return call()
        except SilverConflictError as error:
            wait = random.uniform(0, longest)  # noqa: S311 - jitter is no secret
            if remaining() - wait < RESERVE_SECONDS:
                message = f"conflicts until little time was left: {error}"
                raise SilverUnavailableError(message) from error
            pause(wait)
            longest = min(2 * longest, _LONGEST_PAUSE_SECONDS)
