"""Replay objects: validate them again by the current rules.

Silver is then as if these rules had always applied.
"""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched
from uuid import UUID

from dropzone.domain.identifiers import Cursor, Position, earliest_raw_id
from dropzone.domain.outcomes import Change, Code, Outcome, Rejection, ValidatedObject, compare
from dropzone.domain.validate import Contents
from dropzone.ports import (
    Bronze,
    BronzeUnavailableError,
    ListedObject,
    OutcomeStore,
    RawObject,
    RowRefusedError,
    SilverUnavailableError,
    TimeLeft,
)
from dropzone.use_cases.objects import (
    LAST_SECONDS,
    ON_REQUEST_CHUNK_OBJECTS,
    RESERVE_SECONDS,
    ObjectError,
    Parts,
    chunks,
    contents_of,
    is_long,
    read_error,
    with_retries,
)
from dropzone.use_cases.sweep import listed_between

_NIL = UUID(int=0)
"""The lowest identifier and cursor: nothing arrived before it."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """The objects that arrived from `since` on, and before `until`; None is unbounded."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RejectedBy:
    """The objects with an event that a rule rejected."""

    code: Code
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class DecidedBy:
    """The objects with an outcome of a contract, of any version, that the current rules haven't confirmed yet."""

    contract: str
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """The objects with these identifiers."""

    raw_ids: tuple[UUID, ...]


Selection = Arrived | RejectedBy | DecidedBy | Named
"""Which objects to replay."""


@dataclass(slots=True)
class ReplayResult:
    """What a replay changed, or would change."""

    checked: int = 0
    rejected: int = 0
    """The number of objects with a rejected event."""
    changes: Counter[Change] = field(default_factory=Counter)
    """The number of events by the change of their outcome."""
    errors: list[ObjectError] = field(default_factory=list)
    """Objects that could not be replayed: their outcomes (or those of a part, if long) stay as they are."""
    cursor: Cursor | None = None
    """Where the next call continues, if the limit or the time ended this one before the end of the selection."""

    @property
    def processed(self) -> int:
        return self.checked - self.rejected


# Objects of unknown size are assumed to be as large as ingest accepts.
_UNKNOWN_SIZE_CHUNK = 8


def replay(
    selection: Selection,
    *,
    bronze: Bronze,
    outcome_store: OutcomeStore,
    limit: int,
    after: Cursor | None,
    dry_run: bool,
    time_left: TimeLeft,
    result: ReplayResult | None = None,
) -> ReplayResult:
    """Replay up to `limit` objects, part by part, each part in its own transaction.

    A part consists of objects, or of some events of a long one. After each part, silver is consistent with the outcomes
    so far; a long object is counted by the call that replays its last part. `after` is the cursor of an earlier call;
    a dry run only counts what would change. Pass a `result` to know what was done even if this raises.

    Raises:
        BronzeUnavailableError: the bucket can't be listed, and nothing was done yet.
        SilverUnavailableError: the database can't be used, and nothing was done yet.
    """
    result = ReplayResult() if result is None else result
    result.cursor = start = _NIL if after is None else after
    run = _Replay(result, bronze, outcome_store, time_left, dry_run=dry_run)
    try:
        for reached in run.positions(selection, limit, after):
            result.cursor = reached
    except (BronzeUnavailableError, SilverUnavailableError):
        # Return what was done; the next call, from its cursor, raises the error and repeats no work.
        if result.cursor == start:
            raise
    return result


class _Replay:
    """A call of `replay`. Its generators yield the position reached, and end early when little time is left."""

    def __init__(
        self, result: ReplayResult, bronze: Bronze, outcome_store: OutcomeStore, time_left: TimeLeft, *, dry_run: bool
    ) -> None:
        self._result, self._bronze, self._outcome_store = result, bronze, outcome_store
        self._time_left, self._is_dry = time_left, dry_run
        self._parts = Parts(time_left)

    def positions(self, selection: Selection, limit: int, after: Cursor | None) -> Iterator[Cursor | None]:
        """Replay the selection; yields None once it is complete."""
        taken = 0
        if isinstance(after, Position):
            # Whether it is still in the selection doesn't matter: a part of it has been replayed already.
            if not self._has_time() or not (yield from self._chunk([after.raw_id], after)):
                return
            after, taken = after.raw_id, 1
        found = self._pages(selection, after)
        while self._has_time():
            page = next(found, None)
            if page is None:
                yield None
                return
            if isinstance(page, UUID):
                yield page
                continue
            for chunk in _bounded(page):
                raw_ids = [listed.raw_id for listed in chunk][: limit - taken]
                if not raw_ids or not self._has_time():
                    return
                are_done = yield from self._chunk(raw_ids)
                if not are_done or len(raw_ids) < len(chunk):
                    return
                taken += len(raw_ids)

    def _pages(self, selection: Selection, after: UUID | None) -> Iterator[Sequence[ListedObject] | UUID]:
        """Pages of objects after a cursor, in order of arrival; or an identifier up to which there are none."""
        if isinstance(selection, Named):
            if wanted := sorted(raw_id for raw_id in set(selection.raw_ids) if after is None or raw_id > after):
                yield _unsized(wanted)
            return
        # One less, since an object may have the smallest identifier of its instant.
        first = _NIL if selection.since is None else UUID(int=earliest_raw_id(selection.since).int - 1)
        start = max(first, after or _NIL)
        end = None if selection.until is None else earliest_raw_id(selection.until)
        match selection:
            case Arrived():
                yield from listed_between(self._bronze, start, end, self._time_left)
            case RejectedBy(code=code):
                while found := self._outcome_store.rejected_by(code, after=start, before=end):
                    yield _unsized(found)
                    start = found[-1]
            case DecidedBy(contract=contract):
                reached: UUID | None = start
                while reached is not None:
                    raw_ids, reached = self._outcome_store.decided_by(contract, after=reached, before=end)
                    if raw_ids:
                        yield _unsized(raw_ids)
                    if reached is not None:
                        # A call may end after many pages without a match: the next one continues after them.
                        yield reached

    def _has_time(self) -> bool:
        return self._time_left() >= RESERVE_SECONDS

    def _chunk(self, raw_ids: Sequence[UUID], start: Position | None = None) -> Generator[Cursor, None, bool]:
        """Replay objects in order of arrival (a single one from `start` on), at least a part; True if all are done."""
        waiting: list[ValidatedObject] = []
        last = raw_ids[0]
        for raw_id, found in zip(raw_ids, self._bronze.read(raw_ids, timeout=self._time_left() / 2), strict=True):
            if isinstance(found, RawObject):
                contents = contents_of(found, self._outcome_store.contracts)
                in_parts = start is not None or is_long(contents) or len(contents) > self._parts.size
                is_enough = in_parts or _events(waiting) + len(contents) > self._parts.size
                if waiting and (is_enough or self._time_left() < LAST_SECONDS):
                    begun = self._time_left()
                    self._write(waiting)
                    self._parts.learn(_events(waiting), begun - self._time_left())
                    waiting = []
                    yield last
                    if not self._has_time():
                        return False
                if in_parts:
                    is_done = yield from self._in_parts(contents, start or Position(raw_id, 0))
                    if not is_done or not self._has_time():
                        return is_done and raw_id == raw_ids[-1]
                else:
                    waiting.append(ValidatedObject(raw_id, tuple(contents.outcomes())))
            else:
                self._result.errors.append(read_error(raw_id, found))
            last = raw_id
        self._write(waiting)
        yield last
        return True

    def _in_parts(self, contents: Contents, start: Position) -> Generator[Cursor, None, bool]:
        """Replay an object from an item on, part by part; returns whether it is complete."""
        raw_id, first, has_rejected = start
        # The previous call may have had other rules, under which there were more events.
        first = min(first, len(contents))
        while True:
            with self._parts.next(contents, first, len(contents)) as outcomes:
                end = first + len(outcomes)
                is_last = end == len(contents)
                self._write([ValidatedObject(raw_id, outcomes, first, is_last)], has_rejected=has_rejected)
            has_rejected = has_rejected or _has_rejected(outcomes)
            yield raw_id if is_last else Position(raw_id, end, has_rejected)
            if is_last or not self._parts.may_begin():
                return is_last
            first = end

    def _write(self, validated: Sequence[ValidatedObject], *, has_rejected: bool = False) -> None:
        """Replace outcomes, and count the changes, and the objects whose last part this is.

        `has_rejected` tells whether an earlier event of the object is rejected.
        """
        if not validated:
            return
        before = with_retries(lambda: self._outcome_store.outcomes(validated), self._time_left)
        for entry in validated if self._is_dry else self._replaced(validated):
            self._result.changes.update(compare(before.get(entry.raw_id, ()), entry.outcomes))
            if entry.is_whole:
                self._result.checked += 1
                self._result.rejected += has_rejected or _has_rejected(entry.outcomes)

    def _replaced(self, validated: Sequence[ValidatedObject]) -> Sequence[ValidatedObject]:
        """The objects whose outcomes could be replaced: those with a row that the database refuses are left out."""
        try:
            with_retries(lambda: self._outcome_store.replace(validated), self._time_left)
        except RowRefusedError as error:
            if len(validated) == 1:
                self._result.errors.append(ObjectError(validated[0].raw_id, f"RowRefusedError: {error}", terminal=True))
                return []
            middle = len(validated) // 2
            return [*self._replaced(validated[:middle]), *self._replaced(validated[middle:])]
        return validated


def _unsized(raw_ids: Sequence[UUID]) -> list[ListedObject]:
    return [ListedObject(raw_id, 0) for raw_id in raw_ids]


def _bounded(page: Sequence[ListedObject]) -> Iterator[Sequence[ListedObject]]:
    if any(listed.size == 0 for listed in page):
        return batched(page, _UNKNOWN_SIZE_CHUNK, strict=False)
    return chunks(page, ON_REQUEST_CHUNK_OBJECTS)


def _events(validated: Sequence[ValidatedObject]) -> int:
    return sum(len(entry.outcomes) for entry in validated)


def _has_rejected(outcomes: Sequence[Outcome]) -> bool:
    return any(isinstance(outcome, Rejection) for outcome in outcomes)
