"""Replay or sweep one range of a replay by fleet, as far as a call's time goes."""

from collections.abc import Callable, Mapping
from typing import NamedTuple
from uuid import UUID

from dropzone.domain.identifiers import Position, earliest_raw_id
from dropzone.domain.outcomes import Change
from dropzone.ports import (
    Bronze,
    FleetRange,
    FleetReplay,
    FleetStore,
    OutcomeStore,
    RangeProgress,
    Silver,
    TimeLeft,
)
from dropzone.use_cases.fleet import NoSuchReplayError, RunState, known_replay, state_of
from dropzone.use_cases.objects import RESERVE_SECONDS, ObjectError, ProcessingResult, with_retries
from dropzone.use_cases.replay import Arrived, DecidedBy, ReplayResult, replay
from dropzone.use_cases.sweep import sweep_range

_ROUND_OBJECTS = 1_000
"""Progress is recorded after so many objects."""

_BEGINNING = UUID(int=0)
"""The cursor of a replay that has done nothing."""


class World(NamedTuple):
    fleet: FleetStore
    bronze: Bronze
    silver: Silver
    outcome_store: OutcomeStore
    time_left: TimeLeft


def run_range(
    replay_id: UUID,
    number: int,
    world: World,
    *,
    errors: list[ObjectError],
    swept: Callable[[ProcessingResult], None],
) -> RunState:
    """Go through a range from its cursor on, and record how far it is every thousand objects.

    Objects that can't be replayed are added to `errors`; `swept` is called with what a sweep did, also if it fails.

    Raises:
        NoSuchReplayError: there is no such range.
        BronzeUnavailableError, SilverUnavailableError: what was recorded stays; the next call goes on behind it.
    """
    fleet, time_left = world.fleet, world.time_left
    found = fleet.range(replay_id, number)
    if found is None:
        raise NoSuchReplayError(f"{replay_id}, range {number}")
    while not found.is_done:
        known = known_replay(replay_id, fleet)
        state = state_of(known, world.outcome_store.contracts.ruleset)
        if state is not RunState.UNFINISHED or time_left() < 2 * RESERVE_SECONDS:
            return state
        progress = _sweep(found, world, swept) if known.is_sweep else _replay(known, found, world, errors)
        if progress is None:
            return RunState.ARCHIVED
        if not with_retries(lambda progress=progress: fleet.advance(replay_id, number, progress), time_left):  # type: ignore[misc]
            # Another call is at this range, and further: the next one goes on where that one is then.
            return RunState.UNFINISHED
        found = found._replace(cursor=progress.cursor, is_done=progress.is_done)
    return RunState.DONE


def _replay(known: FleetReplay, found: FleetRange, world: World, errors: list[ObjectError]) -> RangeProgress | None:
    """Replay objects; None if months of the range are archived, whose outcomes are neither compared nor replaced."""
    arrived = Arrived(found.since, found.until)
    result = replay(
        arrived if known.contract is None else DecidedBy(known.contract, found.since, found.until),
        bronze=world.bronze,
        outcome_store=world.outcome_store,
        limit=_ROUND_OBJECTS,
        after=found.cursor,
        dry_run=known.dry_run,
        time_left=world.time_left,
    )
    errors += result.errors
    # Asked after the outcomes were: a month may go meanwhile.
    if with_retries(lambda: world.outcome_store.archived_months(found.since, found.until), world.time_left):
        return None
    return _progress(found, result, _BEGINNING, checked=result.checked, changes=result.changes)


def _sweep(found: FleetRange, world: World, swept: Callable[[ProcessingResult], None]) -> RangeProgress:
    """Process the objects without a receipt; each that is processed counts as new."""
    result = ProcessingResult()
    beginning = UUID(int=earliest_raw_id(found.since).int - 1)
    # Positions within an object are a replay's.
    after = beginning if found.cursor is None or isinstance(found.cursor, Position) else found.cursor
    try:
        reached = sweep_range(
            after,
            earliest_raw_id(found.until),
            bronze=world.bronze,
            silver=world.silver,
            limit=_ROUND_OBJECTS,
            time_left=world.time_left,
            result=result,
        )
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
