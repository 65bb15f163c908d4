"""Replay years of data, or sweep a long backlog, in many concurrent calls: ranges of arrival, each with its own cursor.

The store has the complete state of a replay: whoever starts the calls may stop at any time, and start them again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from uuid import UUID

from dropzone.domain.identifiers import Position, earliest_raw_id, received_at
from dropzone.domain.outcomes import Change
from dropzone.ports import (
    Bronze,
    FleetRange,
    FleetReplay,
    FleetReport,
    FleetStore,
    OutcomeStore,
    RangeProgress,
    Silver,
    TimeLeft,
    Wanted,
)
from dropzone.use_cases.objects import RESERVE_SECONDS, ObjectError, ProcessingResult, Processor, with_retries
from dropzone.use_cases.replay import Arrived, DecidedBy, ReplayResult, replay
from dropzone.use_cases.sweep import WATERMARK_LAG, listed_between, sweep_range

RANGE_OBJECTS = 100_000
"""The number of objects with a receipt in a range of a replay."""

SWEEP_RANGE_OBJECTS = 10_000
"""The number of objects in a range of a sweep: processing takes longer than replaying what doesn't change."""

MAX_PENDING = 10_000
"""The maximum number of ranges in one run: a state machine passes at most 256 KiB from state to state."""

_ROUND_OBJECTS = 1_000
"""The number of objects after which progress is recorded."""

_BEGINNING = UUID(int=0)
"""The cursor of a replay that has done nothing yet."""

_KEPT = timedelta(days=90)
"""How long the rows of a finished or abandoned replay are kept: as long as Step Functions keeps its executions."""

_MILLISECOND = timedelta(milliseconds=1)


class NoSuchReplayError(LookupError):
    """There is no replay with this identifier, or no range with this number."""


class RunState(StrEnum):
    """The state of a replay after a call, or after all calls."""

    DONE = "done"
    UNFINISHED = "unfinished"
    """There is more to do, and calls may continue now."""
    PAUSED = "paused"
    OUTDATED = "outdated"
    """The rules have changed since it started: start another replay."""
    ARCHIVED = "archived"
    """Objects of the range have been archived: restore them first."""


def delete_old(*, store: FleetStore, time_left: TimeLeft) -> int:
    """Delete replays that were finished or abandoned more than 90 days ago; returns how many."""
    return with_retries(lambda: store.delete_old(datetime.now(UTC) - _KEPT), time_left)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The operations on a replay or sweep.

    Methods that take a replay's identifier raise NoSuchReplayError if there is no such replay.
    """

    store: FleetStore
    bronze: Bronze
    silver: Silver
    outcome_store: OutcomeStore
    time_left: TimeLeft

    @property
    def _ruleset(self) -> str:
        return self.outcome_store.contracts.ruleset

    def begin(self, wanted: Wanted) -> UUID:
        """Start a replay, or continue an unfinished one of the same objects and rules; returns its identifier."""
        return self._retrying(lambda: self.store.begin(wanted, self._ruleset))

    def begin_sweep(self) -> UUID:
        """Start a sweep of everything that arrived since the watermark, or continue an unfinished one."""
        return self.begin(Wanted(received_at(self._retrying(self.silver.watermark)), is_sweep=True))

    def plan(self, replay_id: UUID, range_objects: int | None = None) -> bool:
        """Divide the time of a replay into ranges, while there is time left; returns whether it is complete.

        For a sweep, objects are counted in bronze: those that it looks for have no receipts.

        Raises:
            BronzeUnavailableError: the bucket can't be listed.
        """
        known = self._known(replay_id)
        since = known.planned_until
        while since < known.until:
            if self.time_left() < RESERVE_SECONDS:
                return False
            objects = None
            if known.is_sweep:
                beyond, objects = self._listed(since, known.until, range_objects or SWEEP_RANGE_OBJECTS)
            else:
                beyond = self.store.first_beyond(since, known.until, range_objects or RANGE_OBJECTS)
            # Objects that arrived within the same millisecond stay together.
            until = known.until if beyond is None else min(max(received_at(beyond), since + _MILLISECOND), known.until)
            self.store.add_range(replay_id, since, until, objects)
            since = until
        return True

    def pending(self, replay_id: UUID) -> list[int]:
        """The ranges that calls may work on; none while it is paused, or if the rules have changed."""
        state = self._state_of(self._known(replay_id))
        return self.store.pending(replay_id, MAX_PENDING) if state is RunState.UNFINISHED else []

    def report(self, replay_id: UUID) -> tuple[RunState, FleetReport]:
        """The state and progress of a replay. When a sweep is done, the watermark is advanced."""
        known = self._known(replay_id)
        sums = self.store.report(replay_id)
        if known.planned_until < known.until or sums.done < sums.ranges:
            return self._state_of(known), sums
        if known.is_sweep:
            watermark = earliest_raw_id(known.until - WATERMARK_LAG)
            self._retrying(lambda: self.silver.advance_watermark(watermark))
        return RunState.DONE, sums

    def run_range(
        self,
        replay_id: UUID,
        number: int,
        *,
        errors: list[ObjectError],
        swept: Callable[[ProcessingResult], None],
    ) -> RunState:
        """Process a range from its cursor on, and record progress every thousand objects.

        Objects that can't be replayed are added to `errors`; `swept` is called with each result of a sweep, also if it
        fails.

        Raises:
            BronzeUnavailableError, SilverUnavailableError: the next call continues after the recorded progress.
        """
        found = self.store.range(replay_id, number)
        if found is None:
            raise NoSuchReplayError(f"{replay_id}, range {number}")
        while not found.is_done:
            known = self._known(replay_id)
            state = self._state_of(known)
            if state is not RunState.UNFINISHED or self.time_left() < 2 * RESERVE_SECONDS:
                return state
            progress = self._sweep(found, swept) if known.is_sweep else self._replay(known, found, errors)
            if progress is None:
                return RunState.ARCHIVED
            if not self._retrying(partial(self.store.advance, replay_id, number, progress)):
                # Another call is working on this range, and is ahead: the next call continues from its progress.
                return RunState.UNFINISHED
            found = found._replace(cursor=progress.cursor, is_done=progress.is_done)
        return RunState.DONE

    def _retrying[T](self, call: Callable[[], T]) -> T:
        return with_retries(call, self.time_left)

    def _known(self, replay_id: UUID) -> FleetReplay:
        known = self.store.replay(replay_id)
        if known is None:
            raise NoSuchReplayError(str(replay_id))
        return known

    def _state_of(self, known: FleetReplay) -> RunState:
        """The state of a replay that is not done: whether calls may continue it."""
        if known.ruleset != self._ruleset:
            return RunState.OUTDATED
        return RunState.PAUSED if known.is_paused else RunState.UNFINISHED

    def _listed(self, since: datetime, until: datetime, limit: int) -> tuple[UUID | None, int]:
        """The object after the first `limit` ones that arrived in this time, if any, and how many come before it."""
        before, found = UUID(int=earliest_raw_id(since).int - 1), 0
        for page in listed_between(self.bronze, before, earliest_raw_id(until), self.time_left):
            if found + len(page) > limit:
                return page[limit - found].raw_id, limit
            found += len(page)
        return None, found

    def _replay(self, known: FleetReplay, found: FleetRange, errors: list[ObjectError]) -> RangeProgress | None:
        """Replay objects; None if months of the range are archived: their outcomes can't be compared or replaced."""
        arrived = Arrived(found.since, found.until)
        result = replay(
            arrived if known.contract is None else DecidedBy(known.contract, found.since, found.until),
            bronze=self.bronze,
            outcome_store=self.outcome_store,
            limit=_ROUND_OBJECTS,
            after=found.cursor,
            dry_run=known.dry_run,
            time_left=self.time_left,
        )
        errors += result.errors
        # Checked after the outcomes were read: a month may be archived in the meantime.
        if self._retrying(lambda: self.outcome_store.archived_months(found.since, found.until)):
            return None
        return _progress(found, result, _BEGINNING, checked=result.checked, changes=result.changes)

    def _sweep(self, found: FleetRange, swept: Callable[[ProcessingResult], None]) -> RangeProgress:
        """Process the objects without a receipt; each processed object counts as new."""
        result = ProcessingResult()
        beginning = UUID(int=earliest_raw_id(found.since).int - 1)
        # Only replays have positions within an object.
        after = beginning if found.cursor is None or isinstance(found.cursor, Position) else found.cursor
        try:
            processor = Processor(self.bronze, self.silver, self.time_left, result)
            reached = sweep_range(after, earliest_raw_id(found.until), processor, _ROUND_OBJECTS)
        finally:
            swept(result)
        return _progress(found, result, beginning, checked=reached.passed, changes={Change.NEW: result.checked})


def _progress(
    found: FleetRange,
    result: ReplayResult | ProcessingResult,
    beginning: UUID,
    *,
    checked: int,
    changes: Mapping[Change, int],
) -> RangeProgress:
    """The progress to record for a range. The cursor is unchanged if the range is done, or if nothing was done."""
    return RangeProgress(
        before=found.cursor,
        cursor=found.cursor if result.cursor in (None, beginning) else result.cursor,
        is_done=result.cursor is None,
        checked=checked,
        rejected=result.rejected,
        unread=len(result.errors),
        changes={change.value: events for change, events in changes.items() if events},
    )
