"""Validate objects and write their outcomes, in statements of a bounded number of events."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from dropzone.domain.identifiers import received_at
from dropzone.domain.outcomes import Code, Outcome, Rejection, ValidatedObject
from dropzone.domain.validate import Contents
from dropzone.ports import RawObject, RowRefusedError, Silver, TimeLeft, Written
from dropzone.use_cases.result import ObjectError, ProcessingResult, Settled
from dropzone.use_cases.retries import RESERVE_SECONDS, with_retries

MAX_CHUNK_EVENTS = 5_000
"""The most events of one statement, which is one transaction: it gains nothing from more, and memory is bounded."""

LONG_BYTES = 1024 * 1024
"""An object with more is long as well: its events may be few, and take as much time."""


_FIRST_PART_EVENTS = 500
_SHORT_SECONDS, _LONG_SECONDS = 0.5, 2.0

# A statement may take two fifths of the time that is left, and the next part may take longer than the last.
_TIMES_AS_LONG = 2.0


def is_long(contents: Contents) -> bool:
    """Whether an object is to be written part by part."""
    return len(contents) > MAX_CHUNK_EVENTS or contents.size > LONG_BYTES


class Parts:
    """How many events of a long object its next part takes, and whether there is time for it.

    The first part is small, so that a call gets on however slow the database is, and the next ones are larger while
    they take little time.
    """

    def __init__(self, time_left: TimeLeft) -> None:
        """Take the seconds left in the call."""
        self._time_left = time_left
        self.size = min(_FIRST_PART_EVENTS, MAX_CHUNK_EVENTS)
        """The most events of the next part."""
        self._seconds_each: float | None = None

    def may_begin(self) -> bool:
        """Whether another part may be begun; the first one always."""
        if self._seconds_each is None:
            return True
        return self._time_left() >= RESERVE_SECONDS + _TIMES_AS_LONG * self._seconds_each * self.size

    @contextmanager
    def next(self, contents: Contents, first: int, end: int) -> Iterator[tuple[Outcome, ...]]:
        """The outcome of an item, and those behind it, up to another, that the part takes and that leave time to write.

        To be written within the with block.
        """
        begun = self._time_left()
        outcomes: list[Outcome] = []
        for outcome in contents.outcomes(first, min(first + self.size, end)):
            outcomes.append(outcome)
            if self._time_left() < RESERVE_SECONDS:
                break
        yield tuple(outcomes)
        self.learn(len(outcomes), begun - self._time_left())

    def learn(self, events: int, took: float) -> None:
        """Go by how many seconds a part of so many events took."""
        self._seconds_each = took / max(events, 1)
        if took < _SHORT_SECONDS:
            self.size = min(2 * self.size, MAX_CHUNK_EVENTS)
        elif took > _LONG_SECONDS:
            self.size = max(self.size // 2, 1)


@dataclass(slots=True)
class _Progress:
    """What was written of an object so far."""

    correlation_id: str
    events: int = 0
    rejected: int = 0
    codes: Counter[Code] = field(default_factory=Counter)
    is_refused: bool = False
    """Whether the database refused a row of it: then it is not settled, and the rows of its other events stand."""

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Count what was written."""
        self.events += len(outcomes)
        for outcome in outcomes:
            if isinstance(outcome, Rejection):
                self.rejected += 1
                self.codes.update({violation.code for violation in outcome.violations})


class Writer:
    """Takes objects, and writes them once there is enough for a statement.

    Add objects, then `flush`; then add the long ones, part by part. Each raises SilverUnavailableError; nothing of what
    was not tallied is settled.
    """

    def __init__(self, result: ProcessingResult, silver: Silver, time_left: TimeLeft) -> None:
        """Count in `result`, write to `silver`, and try again after conflicts while time is left."""
        self._result, self._silver, self._time_left = result, silver, time_left
        self._waiting: list[ValidatedObject] = []
        self._events = 0
        self._progress: dict[UUID, _Progress] = {}

    def add(self, raw: RawObject) -> bool:
        """Take an object, whose outcomes are written now or with the next ones; a long one is not taken."""
        contents = Contents(raw.body, raw.content_type)
        if is_long(contents):
            return False
        if self._events + len(contents) > MAX_CHUNK_EVENTS:
            self.flush()
        self._progress[raw.raw_id] = _Progress(raw.correlation_id)
        self._waiting.append(ValidatedObject(raw.raw_id, tuple(contents.outcomes())))
        self._events += len(contents)
        return True

    def add_in_parts(self, raw: RawObject) -> bool:
        """Write the outcomes that an object lacks, part by part, each a statement; whether all were.

        One part is written at least. Another is begun only if there is time for it, and ends with the time.
        """
        contents = Contents(raw.body, raw.content_type)
        written = self._written(raw.raw_id)
        if written is None:
            return False
        self._progress[raw.raw_id] = _Progress(
            raw.correlation_id, sum(map(len, written.items)), written.rejected, Counter(written.codes)
        )
        parts, end = Parts(self._time_left), 0
        for run in _lacking(len(contents), written.items):
            first, end = run.start, run.start
            while first < run.stop:
                if not parts.may_begin():
                    return False
                with parts.next(contents, first, run.stop) as outcomes:
                    end = first + len(outcomes)
                    self._write([ValidatedObject(raw.raw_id, outcomes, first, is_whole=end == len(contents))])
                first = end
        if end != len(contents):
            # The last event was written by a call before.
            self._write([ValidatedObject(raw.raw_id, (), len(contents))])
        return True

    def _written(self, raw_id: UUID) -> Written | None:
        """What is written of an object under today's rules; nothing where time ended before the rest was discarded."""
        while (written := self._ask(lambda: self._silver.written([raw_id])).get(raw_id, Written())).outdated:
            if self._time_left() < RESERVE_SECONDS:
                return None
            self._ask(lambda: self._silver.discard_outdated(raw_id, MAX_CHUNK_EVENTS))
        return written

    def _ask[T](self, call: Callable[[], T]) -> T:
        return with_retries(call, self._time_left)

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting, self._events = self._waiting, [], 0
        self._write(waiting)

    def _write(self, validated: Sequence[ValidatedObject]) -> None:
        """Write a chunk; where the database refuses a row, halve the chunk until that row is alone."""
        if not validated:
            return
        validated = [
            entry._replace(is_whole=entry.is_whole and not self._progress[entry.raw_id].is_refused)
            for entry in validated
        ]
        try:
            settled = self._ask(lambda: self._silver.write_outcomes(validated))
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
                self._end(entry.raw_id, is_ours=entry.raw_id in settled)

    def _refuse(self, raw_id: UUID, error: RowRefusedError) -> None:
        progress = self._progress[raw_id]
        if not progress.is_refused:
            progress.is_refused = True
            self._result.errors.append(ObjectError(raw_id, f"RowRefusedError: {error}", terminal=True))

    def _end(self, raw_id: UUID, *, is_ours: bool) -> None:
        """ProcessingResult an object that is settled: by this call, or by another at the same time."""
        progress = self._progress.pop(raw_id)
        if is_ours:
            latency = datetime.now(UTC) - received_at(raw_id)
            self._result.settled.append(
                Settled(raw_id, progress.correlation_id, progress.codes, latency, progress.events, progress.rejected)
            )
        else:
            self._result.duplicates += 1


def _halves(validated: Sequence[ValidatedObject]) -> list[Sequence[ValidatedObject]]:
    """A chunk in two; a single object by its events; nothing where there is one event alone."""
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


def _lacking(number: int, written: Sequence[range]) -> Iterator[range]:
    """The items, of so many, that lie in no range of those that are written."""
    first = 0
    for run in written:
        if first < run.start:
            yield range(first, run.start)
        first = run.stop
    if first < number:
        yield range(first, number)
