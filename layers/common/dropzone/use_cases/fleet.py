"""Replay years of data by many calls at once: ranges of arrival, each with a cursor of its own.

The store has all that a replay knows. Whoever starts the calls may end at any time, and start them again.
"""

from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from dropzone.domain.identifiers import received_at
from dropzone.ports import (
    Bronze,
    FleetRange,
    FleetReplay,
    FleetReport,
    FleetStore,
    OutcomeStore,
    RangeProgress,
    TimeLeft,
    Wanted,
)
from dropzone.use_cases.objects import RESERVE_SECONDS, ObjectError, with_retries
from dropzone.use_cases.replay import Arrived, DecidedBy, Selection, replay

RANGE_OBJECTS = 100_000
"""The objects of a range, but for those that have no receipt."""

MOST_PENDING = 10_000
"""The limit of ranges in one run: what a state machine passes on has at most 256 KiB."""

_ROUND_OBJECTS = 1_000
"""Progress is recorded after so many objects."""

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


def begin(wanted: Wanted, *, fleet: FleetStore, ruleset: str, time_left: TimeLeft) -> UUID:
    """Begin a replay, or go on with an unfinished one of the same objects and rules."""
    return with_retries(lambda: fleet.begin(wanted, ruleset), time_left)


def plan(replay_id: UUID, *, fleet: FleetStore, time_left: TimeLeft, range_objects: int = RANGE_OBJECTS) -> bool:
    """Cut the time of a replay into ranges, while there is time; whether all of it is cut.

    Raises:
        NoSuchReplayError: there is none of this name.
    """
    known = _known(replay_id, fleet)
    since = known.planned_until
    while since < known.until:
        if time_left() < RESERVE_SECONDS:
            return False
        beyond = fleet.first_beyond(since, known.until, range_objects)
        # Objects of one millisecond stay together.
        until = known.until if beyond is None else min(max(received_at(beyond), since + _MILLISECOND), known.until)
        fleet.add_range(replay_id, since, until)
        since = until
    return True


def pending(replay_id: UUID, *, fleet: FleetStore, ruleset: str) -> list[int]:
    """The ranges that calls may go on with; none while it is paused, or if the rules have changed.

    Raises:
        NoSuchReplayError: there is none of this name.
    """
    state = _state(_known(replay_id, fleet), ruleset)
    return fleet.pending(replay_id, MOST_PENDING) if state is RunState.UNFINISHED else []


def report(replay_id: UUID, *, fleet: FleetStore, ruleset: str) -> tuple[RunState, FleetReport]:
    """How far a replay is.

    Raises:
        NoSuchReplayError: there is none of this name.
    """
    known = _known(replay_id, fleet)
    sums = fleet.report(replay_id)
    if known.planned_until >= known.until and sums.done == sums.ranges:
        return RunState.DONE, sums
    return _state(known, ruleset), sums


def run_range(
    replay_id: UUID,
    number: int,
    *,
    fleet: FleetStore,
    bronze: Bronze,
    outcome_store: OutcomeStore,
    time_left: TimeLeft,
    errors: list[ObjectError],
) -> RunState:
    """Replay a range from its cursor on, and record how far it is every thousand objects.

    Args:
        replay_id: the replay.
        number: the range.
        fleet: what is recorded of both.
        bronze: the objects.
        outcome_store: their outcomes.
        time_left: the seconds left in this call.
        errors: where to add the objects that can't be replayed.

    Raises:
        NoSuchReplayError: there is no such range.
        BronzeUnavailableError, SilverUnavailableError: what was recorded stays; the next call goes on behind it.
    """
    found = fleet.range(replay_id, number)
    if found is None:
        raise NoSuchReplayError(f"{replay_id}, range {number}")
    cursor = found.cursor
    is_done = found.is_done
    while not is_done:
        known = _known(replay_id, fleet)
        state = _state(known, outcome_store.contracts.ruleset)
        if state is not RunState.UNFINISHED or time_left() < 2 * RESERVE_SECONDS:
            return state
        result = replay(
            _selection(known, found),
            bronze=bronze,
            outcome_store=outcome_store,
            limit=_ROUND_OBJECTS,
            after=cursor,
            dry_run=known.dry_run,
            time_left=time_left,
        )
        is_done = result.cursor is None
        # Nothing was done, and the cursor is the one before the first object.
        reached = None if cursor is None and result.cursor == UUID(int=0) else result.cursor
        progress = RangeProgress(
            before=cursor,
            cursor=cursor if is_done else reached,
            is_done=is_done,
            checked=result.checked,
            rejected=result.rejected,
            unread=len(result.errors),
            changes={change.value: events for change, events in result.changes.items() if events},
        )
        errors += result.errors
        if not with_retries(lambda progress=progress: fleet.advance(replay_id, number, progress), time_left):  # type: ignore[misc]
            # Another call is at this range, and further: the next one goes on where that one is then.
            return RunState.UNFINISHED
        cursor = reached
    return RunState.DONE


def _known(replay_id: UUID, fleet: FleetStore) -> FleetReplay:
    known = fleet.replay(replay_id)
    if known is None:
        raise NoSuchReplayError(str(replay_id))
    return known


def _state(known: FleetReplay, ruleset: str) -> RunState:
    if known.ruleset != ruleset:
        return RunState.OUTDATED
    return RunState.PAUSED if known.is_paused else RunState.UNFINISHED


def _selection(known: FleetReplay, found: FleetRange) -> Selection:
    if known.contract is None:
        return Arrived(found.since, found.until)
    return DecidedBy(known.contract, found.since, found.until)
