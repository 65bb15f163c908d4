"""Judge objects and write their outcomes, in statements of a bounded number of events."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from dropzone.domain.identifiers import received_at
from dropzone.domain.judge import judge_each
from dropzone.domain.outcomes import Code, JudgedObject, Outcome, Rejection
from dropzone.ports import RawObject, Remaining, RowRefusedError, Silver
from dropzone.use_cases.retries import with_retries
from dropzone.use_cases.tally import Failure, Settled, Tally

MAX_CHUNK_EVENTS = 5_000
"""The most events of one statement, which is one transaction: it gains nothing from more, and memory is bounded."""


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

    An object with more events than one statement takes is written part by part, and settled by its last. Add objects,
    then `flush`. Both raise SilverUnavailableError; nothing of what was not tallied is settled.
    """

    def __init__(self, tally: Tally, silver: Silver, remaining: Remaining) -> None:
        """Count in `tally`, write to `silver`, and try again after conflicts while time is left."""
        self._tally, self._silver, self._remaining = tally, silver, remaining
        self._waiting: list[JudgedObject] = []
        self._events = 0
        self._progress: dict[UUID, _Progress] = {}

    def add(self, raw: RawObject) -> None:
        """Judge an object; its outcomes are written now or with the next objects."""
        self._progress[raw.raw_id] = _Progress(raw.correlation_id)
        outcomes: list[Outcome] = []
        first_item = 0
        for outcome in judge_each(raw.body, raw.content_type):
            if self._events == MAX_CHUNK_EVENTS:
                if outcomes:
                    self._waiting.append(JudgedObject(raw.raw_id, tuple(outcomes), first_item, is_whole=False))
                    first_item += len(outcomes)
                    outcomes = []
                self.flush()
            outcomes.append(outcome)
            self._events += 1
        self._waiting.append(JudgedObject(raw.raw_id, tuple(outcomes), first_item))

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting, self._events = self._waiting, [], 0
        self._write(waiting)

    def _write(self, judged: Sequence[JudgedObject]) -> None:
        """Write a chunk; where the database refuses a row, halve the chunk until that row is alone."""
        if not judged:
            return
        judged = [
            entry._replace(is_whole=entry.is_whole and not self._progress[entry.raw_id].is_refused) for entry in judged
        ]
        try:
            written = with_retries(lambda: self._silver.settle(judged), self._remaining)
        except RowRefusedError as error:
            if halves := _halves(judged):
                for half in halves:
                    self._write(half)
            else:
                self._refuse(judged[0].raw_id, error)
            return
        for entry in judged:
            self._progress[entry.raw_id].add(entry.outcomes)
            if entry.is_whole:
                self._end(entry.raw_id, is_ours=entry.raw_id in written)

    def _refuse(self, raw_id: UUID, error: RowRefusedError) -> None:
        progress = self._progress[raw_id]
        if not progress.is_refused:
            progress.is_refused = True
            self._tally.failures.append(Failure(raw_id, f"RowRefusedError: {error}", terminal=True))

    def _end(self, raw_id: UUID, *, is_ours: bool) -> None:
        """Tally an object that is settled: by this call, or by another at the same time."""
        progress = self._progress.pop(raw_id)
        if is_ours:
            latency = datetime.now(UTC) - received_at(raw_id)
            self._tally.settled.append(
                Settled(raw_id, progress.correlation_id, progress.codes, latency, progress.events, progress.rejected)
            )
        else:
            self._tally.duplicates += 1


def _halves(judged: Sequence[JudgedObject]) -> list[Sequence[JudgedObject]]:
    """A chunk in two; a single object by its events; nothing where there is one event alone."""
    if len(judged) > 1:
        middle = len(judged) // 2
        return [judged[:middle], judged[middle:]]
    (entry,) = judged
    middle = len(entry.outcomes) // 2
    if middle == 0:
        return []
    first = entry._replace(outcomes=entry.outcomes[:middle], is_whole=False)
    second = entry._replace(outcomes=entry.outcomes[middle:], first_item=entry.first_item + middle)
    return [[first], [second]]
