"""Process objects: read them, validate them, write their outcomes. `process`, `sweep` and `replay` share this."""

import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from dropzone.domain.contracts import Contracts
from dropzone.domain.identifiers import received_at
from dropzone.domain.outcomes import Code, Outcome, Rejection, ValidatedObject
from dropzone.domain.validate import Contents
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
    TimeLeft,
    Written,
)

MAX_CHUNK_BYTES = 32 * 1024 * 1024
"""The maximum total size of a chunk's objects, in bytes, by their notified size; they are held in memory together."""

MAX_CHUNK_OBJECTS = 1_000
"""The maximum number of objects in one transaction: more would not make a statement more efficient."""

ON_REQUEST_CHUNK_OBJECTS = 100
"""The same limit while a client waits: as many objects of one event as can be processed in the reserved time."""

MAX_CHUNK_EVENTS = 5_000
"""The maximum number of events in one statement (one transaction): more gains nothing, and this bounds memory."""

LONG_BYTES = 1024 * 1024
"""Objects of more bytes are written in parts, too: a few large events take as much time as many small ones."""

RESERVE_SECONDS = 2.0
"""With less time left in the call, no new chunk is started."""

LAST_SECONDS = RESERVE_SECONDS / 2
"""With less time left, no further object of a chunk is validated: the validated ones still have to be written."""

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0

_FIRST_PART_EVENTS = 500
_SHORT_SECONDS, _LONG_SECONDS = 0.5, 2.0

# A statement may take two fifths of the time left, and the next part may take longer than the last.
_TIMES_AS_LONG = 2.0


@dataclass(slots=True)
class ProcessedObject:
    """An object, and what was written for it; in a result, each of its events now has an outcome."""

    raw_id: UUID
    correlation_id: str
    events: int = 0
    rejected: int = 0
    codes: Counter[Code] = field(default_factory=Counter)
    """The number of its events that each rule rejected."""
    flagged: int = 0
    """The number of its events that were processed with warnings."""
    latency: timedelta = timedelta(0)
    """The time from arrival to silver."""

    def add(self, outcomes: Sequence[Outcome]) -> None:
        self.events += len(outcomes)
        for outcome in outcomes:
            if isinstance(outcome, Rejection):
                self.rejected += 1
                self.codes.update({violation.code for violation in outcome.violations})
            elif outcome.flags:
                self.flagged += 1


@dataclass(frozen=True, slots=True)
class ObjectError:
    """Why an object could not be processed."""

    raw_id: UUID
    reason: str
    terminal: bool
    """Whether another attempt is unlikely to succeed."""


@dataclass(slots=True)
class ProcessingResult:
    """What a call of `process` or `sweep` did."""

    objects: list[ProcessedObject] = field(default_factory=list)
    errors: list[ObjectError] = field(default_factory=list)
    duplicates: int = 0
    """The number of objects that were processed before, or by another call at the same time."""
    deferred: list[UUID] = field(default_factory=list)
    """Objects for which no time was left; parts of long ones may have been written."""
    poison: list[UUID] = field(default_factory=list)
    """Objects that may have ended an earlier call; they wait until the batch has nothing else."""
    returned: list[str] = field(default_factory=list)
    """Identifiers of messages to return to the queue, since at least one of their objects is not processed."""
    cursor: UUID | None = None
    """Where the next sweep continues, if the limit or the time ended this one early."""

    @property
    def checked(self) -> int:
        """The number of processed objects."""
        return len(self.objects)

    @property
    def rejected(self) -> int:
        """The number of processed objects with a rejected event."""
        return sum(1 for entry in self.objects if entry.codes)

    @property
    def processed(self) -> int:
        """The number of processed objects without a rejected event."""
        return self.checked - self.rejected


def with_retries[T](call: Callable[[], T], time_left: TimeLeft, pause: Callable[[float], None] = time.sleep) -> T:
    """Call, and retry after a deadlock or a serialization failure, with jitter, until little time is left.

    Raises:
        SilverUnavailableError: there were still conflicts when little time was left.
    """
    longest = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return call()
        except SilverConflictError as error:
            wait = random.uniform(0, longest)  # noqa: S311 - jitter is no secret
            if time_left() - wait < RESERVE_SECONDS:
                raise SilverUnavailableError(f"conflicts until little time was left: {error}") from error
            pause(wait)
            longest = min(2 * longest, _LONGEST_PAUSE_SECONDS)


def chunks(objects: Iterable[ListedObject], limit: int = MAX_CHUNK_OBJECTS) -> Iterator[list[ListedObject]]:
    """Divide objects into chunks of bounded size and number; an object above the limit has its own chunk."""
    chunk: list[ListedObject] = []
    size = 0
    for listed in objects:
        if chunk and (size + listed.size > MAX_CHUNK_BYTES or len(chunk) == limit):
            yield chunk
            chunk, size = [], 0
        chunk.append(listed)
        size += listed.size
    if chunk:
        yield chunk


@dataclass(frozen=True, slots=True)
class Processor:
    """Processes objects from bronze to silver, and adds what happened to each to `result`."""

    bronze: Bronze
    silver: Silver
    time_left: TimeLeft
    result: ProcessingResult

    def process(self, raw_ids: Sequence[UUID], known: Collection[UUID] = ()) -> None:
        """Read, validate and write objects, each independently of the others.

        Reading may take half of the time left, so that the other half is enough to write. Long objects come last, so as
        not to delay the others, and are written in parts: the next call continues after the written ones.

        Objects for which no time is left are added to `deferred`. The `known` ones have a receipt, and may be partly
        written.

        Raises:
            SilverUnavailableError: the database can't be used. Objects that the result doesn't count are not processed.
        """
        time_left, deferred = self.time_left, self.result.deferred
        written = self.retrying(lambda: self.silver.written(known)) if known else {}
        writer = Writer(self.result, self.silver, time_left)
        in_parts: list[RawObject] = []
        for number, found in enumerate(self.bronze.read(raw_ids, timeout=time_left() / 2)):
            if number and time_left() < LAST_SECONDS:
                deferred += raw_ids[number:]
                break
            if not isinstance(found, RawObject):
                self.result.errors.append(read_error(raw_ids[number], found))
            elif found.raw_id in written or not writer.add(found):
                in_parts.append(found)
        writer.flush()
        for number, raw in enumerate(in_parts):
            has_time = time_left() >= (RESERVE_SECONDS if number else LAST_SECONDS)
            if not has_time or not writer.add_in_parts(raw):
                deferred.append(raw.raw_id)

    def process_with_attempts(self, raw_ids: Sequence[UUID], *, only_due: bool, known: Collection[UUID] = ()) -> None:
        """Record an attempt on each object before it is touched, then process those whose attempt was recorded.

        An attempt counts if it ended the process, or showed that the object can't be processed as it is. It doesn't
        count if bronze or silver was unavailable, or if it only ran out of time.

        Raises:
            SilverUnavailableError: as for `process`.
        """
        silver, result = self.silver, self.result
        recorded = self.retrying(lambda: silver.record_attempts(raw_ids, only_due=only_due))
        chosen = [raw_id for raw_id in raw_ids if raw_id in recorded]
        if not chosen:
            return
        errors, deferred = len(result.errors), len(result.deferred)
        try:
            self.process(chosen, known)
        except SilverUnavailableError as error:
            # The database has just failed, so this may fail as well: a later call then makes the release.
            with suppress(SilverError):
                silver.release_attempts(dict.fromkeys(chosen, f"SilverUnavailableError: {error}"))
            raise
        new = result.errors[errors:]
        if transient := {error.raw_id: error.reason for error in new if not error.terminal}:
            self.retrying(lambda: silver.release_attempts(transient))
        terminal = {error.raw_id: error.reason for error in new if error.terminal}
        if unfinished := {
            raw_id: "no time was left" for raw_id in result.deferred[deferred:] if raw_id not in terminal
        }:
            self.retrying(lambda: silver.release_attempts(unfinished, retry_now=True))
        if terminal:
            self.retrying(lambda: silver.record_errors(terminal))

    def retrying[T](self, call: Callable[[], T]) -> T:
        return with_retries(call, self.time_left)


def read_error(raw_id: UUID, error: BronzeError) -> ObjectError:
    """The error of an object that could not be read."""
    return ObjectError(raw_id, f"{type(error).__name__}: {error}", terminal=isinstance(error, ObjectMissingError))


def contents_of(raw: RawObject, contracts: Contracts) -> Contents:
    """The events of an object, to be validated by these contracts."""
    return Contents(
        raw.body,
        raw.content_type,
        received_at=received_at(raw.raw_id),
        contracts=contracts,
        contract=raw.contract,
        writes=raw.writes,
    )


def is_long(contents: Contents) -> bool:
    """Whether to write an object in parts."""
    return len(contents) > MAX_CHUNK_EVENTS or contents.size > LONG_BYTES


class Parts:
    """Decides how many events the next part of a long object has, and whether there is time for it.

    The first part is small, so that a call makes progress even if the database is slow. Parts grow while they are fast.
    """

    def __init__(self, time_left: TimeLeft) -> None:
        self._time_left = time_left
        self.size = min(_FIRST_PART_EVENTS, MAX_CHUNK_EVENTS)
        """The maximum number of events in the next part."""
        self._seconds_each: float | None = None

    def may_begin(self) -> bool:
        """Whether there is time for another part; always true for the first one."""
        if self._seconds_each is None:
            return True
        return self._time_left() >= RESERVE_SECONDS + _TIMES_AS_LONG * self._seconds_each * self.size

    @contextmanager
    def next(self, contents: Contents, first: int, end: int) -> Iterator[tuple[Outcome, ...]]:
        """The outcomes of the next part: items from `first` up to `end`, at most `size`, leaving time to write them.

        Write them within the with block: the time it takes determines the size of the next part.
        """
        begun = self._time_left()
        outcomes: list[Outcome] = []
        for outcome in contents.outcomes(first, min(first + self.size, end)):
            outcomes.append(outcome)
            if self._time_left() < RESERVE_SECONDS:
                break
        yield tuple(outcomes)
        self.learn(len(outcomes), begun - self._time_left())

    def learn(self, events: int, seconds: float) -> None:
        """Adjust the size of the next part to the seconds that this number of events took.

        The time of a part far below `size` is mostly the statement's overhead: a full part takes at least as long.
        """
        is_telling = 2 * events >= self.size
        self._seconds_each = seconds / (events if is_telling else self.size)
        if seconds > _LONG_SECONDS:
            self.size = max(self.size // 2, 1)
        elif is_telling and seconds < _SHORT_SECONDS:
            self.size = min(2 * self.size, MAX_CHUNK_EVENTS)


class Writer:
    """Collects objects, and writes them when there are enough for a statement.

    Add objects, then `flush`; then add the long ones. Each call may raise SilverUnavailableError; objects that the
    result doesn't count by then are not processed.
    """

    def __init__(self, result: ProcessingResult, silver: Silver, time_left: TimeLeft) -> None:
        self._result, self._silver, self._time_left = result, silver, time_left
        self._waiting: list[ValidatedObject] = []
        self._events = 0
        self._parts = Parts(time_left)
        self._progress: dict[UUID, ProcessedObject] = {}
        self._refused: set[UUID] = set()
        """Objects with a row that the database refused: they stay unprocessed; their other rows are written."""

    def add(self, raw: RawObject) -> bool:
        """Validate an object, to be written now or with the next ones. False for a long one: see `add_in_parts`."""
        if len(raw.body) > LONG_BYTES:
            return False  # without parsing it: `add_in_parts` does
        contents = contents_of(raw, self._silver.contracts)
        if is_long(contents):
            return False
        if self._events + len(contents) > MAX_CHUNK_EVENTS:
            self.flush()
        self._progress[raw.raw_id] = ProcessedObject(raw.raw_id, raw.correlation_id)
        self._waiting.append(ValidatedObject(raw.raw_id, tuple(contents.outcomes())))
        self._events += len(contents)
        return True

    def add_in_parts(self, raw: RawObject) -> bool:
        """Write the outcomes that an object lacks, each part in its own statement; returns whether all are written.

        At least one part of the first object is written; all other parts while there is time.
        """
        contents = contents_of(raw, self._silver.contracts)
        written = self._written(raw.raw_id)
        if written is None:
            return False
        self._progress[raw.raw_id] = ProcessedObject(
            raw.raw_id,
            raw.correlation_id,
            sum(map(len, written.items)),
            written.rejected,
            Counter(written.codes),
            written.flagged,
        )
        parts, end = self._parts, 0
        for run in _missing(len(contents), written.items):
            first, end = run.start, run.start
            while first < run.stop:
                if not parts.may_begin():
                    return False
                with parts.next(contents, first, run.stop) as outcomes:
                    end = first + len(outcomes)
                    self._write([ValidatedObject(raw.raw_id, outcomes, first, is_whole=end == len(contents))])
                first = end
        if end != len(contents):
            # An earlier call wrote the last event.
            self._write([ValidatedObject(raw.raw_id, (), len(contents))])
        return True

    def _written(self, raw_id: UUID) -> Written | None:
        """What is written for an object under the current rules; None if discarding the rest takes too long."""
        while (written := self._retrying(lambda: self._silver.written([raw_id])).get(raw_id, Written())).outdated:
            if self._time_left() < RESERVE_SECONDS:
                return None
            self._retrying(lambda: self._silver.discard_outdated(raw_id, MAX_CHUNK_EVENTS))
        return written

    def _retrying[T](self, call: Callable[[], T]) -> T:
        return with_retries(call, self._time_left)

    def flush(self) -> None:
        waiting, self._waiting, self._events = self._waiting, [], 0
        self._write(waiting)

    def _write(self, validated: Sequence[ValidatedObject]) -> None:
        """Write a chunk; if the database refuses a row, halve the chunk until that row is alone."""
        if not validated:
            return
        validated = [
            entry._replace(is_whole=entry.is_whole and entry.raw_id not in self._refused) for entry in validated
        ]
        try:
            processed = self._retrying(lambda: self._silver.write_outcomes(validated))
        except RowRefusedError as error:
            if halves := _halves(validated):
                for half in halves:
                    self._write(half)
            else:
                self._refuse(validated[0].raw_id, error)
            return
        for entry in validated:
            self._progress[entry.raw_id].add(entry.outcomes)
            if entry.is_whole:
                self._count(entry.raw_id, is_ours=entry.raw_id in processed)

    def _refuse(self, raw_id: UUID, error: RowRefusedError) -> None:
        if raw_id not in self._refused:
            self._refused.add(raw_id)
            self._result.errors.append(ObjectError(raw_id, f"RowRefusedError: {error}", terminal=True))

    def _count(self, raw_id: UUID, *, is_ours: bool) -> None:
        """Count an object that was processed by this call, or by a concurrent one."""
        processed = self._progress.pop(raw_id)
        if is_ours:
            processed.latency = datetime.now(UTC) - received_at(raw_id)
            self._result.objects.append(processed)
        else:
            self._result.duplicates += 1


def _halves(validated: Sequence[ValidatedObject]) -> list[Sequence[ValidatedObject]]:
    """The two halves of a chunk, or of a single object's events; empty if there is only one event."""
    if len(validated) > 1:
        middle = len(validated) // 2
        return [validated[:middle], validated[middle:]]
    (entry,) = validated
    middle = len(entry.outcomes) // 2
    if middle == 0:
        return []
    first = entry._replace(outcomes=entry.outcomes[:middle], is_whole=False)
    second = entry._replace(outcomes=entry.outcomes[middle:], first_item=entry.first_item + middle)
    return [[first], [second]]


def _missing(number: int, written: Sequence[range]) -> Iterator[range]:
    """The ranges of `number` items that are not written."""
    first = 0
    for run in written:
        if first < run.start:
            yield range(first, run.start)
        first = run.stop
    if first < number:
        yield range(first, number)
