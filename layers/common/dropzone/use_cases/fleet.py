"""Replay years of data, or sweep a long backlog, by many calls at once: ranges of arrival, each with its own cursor.

The store has all that a replay knows. Whoever starts the calls may end at any time, and start them again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
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
"""The objects of a replay's range, but for those that have no receipt."""

SWEEP_RANGE_OBJECTS = 10_000
"""The objects of a sweep's range: processing takes longer than replaying what is as it was."""

MOST_PENDING = 10_000
"""The limit of ranges in one run: what a state machine passes on has at most 256 KiB."""

_ROUND_OBJECTS = 1_000
"""Progress is recorded after so many objects."""

_BEGINNING = UUID(int=0)
"""The cursor of a replay that has done nothing."""

_KEPT = timedelta(days=90)
"""How long the rows of a replay stay that is finished or abandoned: as long as Step Functions keeps its executions."""

_MILLISECOND = timedelta(milliseconds=1)


class NoSuchReplayError(LookupError):
    """There is no replay, or range, of this name."""


class RunState(StrEnum):
    """How a call, or all of them, left a replay."""

    DONE = "done"
    UNFINISHED = "unfinished"
    """There is more to do, and may be done now."""
    PAUSED = "paused"
    OUTDATED = "outdated"
    """The rules are others than when it began: another replay has to be begun."""
    ARCHIVED = "archived"
    """Objects of the range are archived by now, and have to be brought back first."""


def delete_old(*, store: FleetStore, time_left: TimeLeft) -> int:
    """Delete replays that were finished or abandoned long ago; how many."""
    return with_retries(lambda: store.delete_old(datetime.now(UTC) - _KEPT), time_left)


@dataclass(frozen=True, slots=True)
class Fleet:
    """What a call does for a replay or sweep.

    Whatever takes the name of a replay raises NoSuchReplayError if there is none.
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
        """Begin a replay, or go on with an unfinished one of the same objects and rules."""
        return self._retrying(lambda: self.store.begin(wanted, self._ruleset))

    def begin_sweep(self) -> UUID:
        """Begin a sweep of all that arrived since the watermark, or go on with an unfinished one."""
        return self.begin(Wanted(received_at(self._retrying(self.silver.watermark)), is_sweep=True))

    def plan(self, replay_id: UUID, range_objects: int | None = None) -> bool:
        """Cut the time of a replay into ranges, while there is time; whether all of it is cut.

        A sweep's are counted in bronze: what it looks for has no receipt.

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
            # Objects of one millisecond stay together.
            until = known.until if beyond is None else min(max(received_at(beyond), since + _MILLISECOND), known.until)
            self.store.add_range(replay_id, since, until, objects)
            since = until
        return True

    def pending(self, replay_id: UUID) -> list[int]:
        """The ranges that calls may go on with; none while it is paused, or if the rules have changed."""
        state = self._state_of(self._known(replay_id))
        return self.store.pending(replay_id, MOST_PENDING) if state is RunState.UNFINISHED else []

    def report(self, replay_id: UUID) -> tuple[RunState, FleetReport]:
        """How far a replay is. The watermark follows a sweep that is done."""
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
        """Go through a range from its cursor on, and record how far it is every thousand objects.

        Objects that can't be replayed are added to `errors`; `swept` is called with what a sweep did, also if it fails.

        Raises:
            BronzeUnavailableError, SilverUnavailableError: what was recorded stays; the next call goes on behind it.
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
            if not self._retrying(lambda progress=progress: self.store.advance(replay_id, number, progress)):  # type: ignore[misc]
                # Another call is at this range, and further: the next one goes on where that one is then.
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
        """Whether calls may go on with a replay that is not done."""
        if known.ruleset != self._ruleset:
            return RunState.OUTDATED
        return RunState.PAUSED if known.is_paused else RunState.UNFINISHED

    def _listed(self, since: datetime, until: datetime, limit: int) -> tuple[UUID | None, int]:
        """Of the objects that arrived in a time, the one after so many, and how many come before it."""
        before, found = UUID(int=earliest_raw_id(since).int - 1), 0
        for page in listed_between(self.bronze, before, earliest_raw_id(until), self.time_left):
            if found + len(page) > limit:
                return page[limit - found].raw_id, limit
            found += len(page)
        return None, found

    def _replay(self, known: FleetReplay, found: FleetRange, errors: list[ObjectError]) -> RangeProgress | None:
        """Replay objects; None if months of the range are archived: nothing of them is compared or replaced."""
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
        # Asked after the outcomes were: a month may go meanwhile.
        if self._retrying(lambda: self.outcome_store.archived_months(found.since, found.until)):
            return None
        return _progress(found, result, _BEGINNING, checked=result.checked, changes=result.changes)

    def _sweep(self, found: FleetRange, swept: Callable[[ProcessingResult], None]) -> RangeProgress:
        """Process the objects without a receipt; each that is processed counts as new."""
        result = ProcessingResult()
        beginning = UUID(int=earliest_raw_id(found.since).int - 1)
        # Positions within an object are a replay's.
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
    """What is recorded of a range. Its cursor stays where it was if all is done, or if nothing was."""
    return RangeProgress(
        before=found.cursor,
        cursor=found.cursor if result.cursor in (None, beginning) else result.cursor,
        is_done=result.cursor is None,
        checked=checked,
        rejected=result.rejected,
        unread=len(result.errors),
        changes={change.value: events for change, events in changes.items() if events},
    )
