"""Replay years of data, or sweep a long backlog, by many calls at once: ranges of arrival, each with its own cursor.

The store has all that a replay knows. Whoever starts the calls may end at any time, and start them again.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from dropzone.domain.identifiers import earliest_raw_id, received_at
from dropzone.ports import Bronze, FleetReplay, FleetReport, FleetStore, Silver, TimeLeft, Wanted
from dropzone.use_cases.objects import RESERVE_SECONDS, with_retries
from dropzone.use_cases.sweep import WATERMARK_LAG

RANGE_OBJECTS = 100_000
"""The objects of a replay's range, but for those that have no receipt."""

SWEEP_RANGE_OBJECTS = 10_000
"""The objects of a sweep's range: processing takes longer than replaying what is as it was."""

MOST_PENDING = 10_000
"""The limit of ranges in one run: what a state machine passes on has at most 256 KiB."""

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


def begin(wanted: Wanted, *, fleet: FleetStore, ruleset: str, time_left: TimeLeft) -> UUID:
    """Begin a replay, or go on with an unfinished one of the same objects and rules."""
    return with_retries(lambda: fleet.begin(wanted, ruleset), time_left)


def begin_sweep(*, fleet: FleetStore, silver: Silver, ruleset: str, time_left: TimeLeft) -> UUID:
    """Begin a sweep of all that arrived since the watermark, or go on with an unfinished one."""
    watermark = with_retries(silver.watermark, time_left)
    return begin(Wanted(received_at(watermark), is_sweep=True), fleet=fleet, ruleset=ruleset, time_left=time_left)


def plan(
    replay_id: UUID, *, fleet: FleetStore, bronze: Bronze, time_left: TimeLeft, range_objects: int | None = None
) -> bool:
    """Cut the time of a replay into ranges, while there is time; whether all of it is cut.

    A sweep's are counted in bronze: what it looks for has no receipt.

    Raises:
        NoSuchReplayError: there is none of this name.
        BronzeUnavailableError: the bucket can't be listed.
    """
    known = known_replay(replay_id, fleet)
    since = known.planned_until
    while since < known.until:
        if time_left() < RESERVE_SECONDS:
            return False
        objects = None
        if known.is_sweep:
            beyond, objects = _listed(since, known.until, range_objects or SWEEP_RANGE_OBJECTS, bronze, time_left)
        else:
            beyond = fleet.first_beyond(since, known.until, range_objects or RANGE_OBJECTS)
        # Objects of one millisecond stay together.
        until = known.until if beyond is None else min(max(received_at(beyond), since + _MILLISECOND), known.until)
        fleet.add_range(replay_id, since, until, objects)
        since = until
    return True


def _listed(
    since: datetime, until: datetime, limit: int, bronze: Bronze, time_left: TimeLeft
) -> tuple[UUID | None, int]:
    """Of the objects that arrived in a time, the one after so many, and how many come before it."""
    end, found = earliest_raw_id(until), 0
    for page in bronze.list_after(UUID(int=earliest_raw_id(since).int - 1), timeout=lambda: time_left() / 2):
        raw_ids = [listed.raw_id for listed in page if listed.raw_id < end]
        if found + len(raw_ids) > limit:
            return raw_ids[limit - found], limit
        found += len(raw_ids)
        if len(raw_ids) < len(page):
            break
    return None, found


def pending(replay_id: UUID, *, fleet: FleetStore, ruleset: str) -> list[int]:
    """The ranges that calls may go on with; none while it is paused, or if the rules have changed.

    Raises:
        NoSuchReplayError: there is none of this name.
    """
    state = state_of(known_replay(replay_id, fleet), ruleset)
    return fleet.pending(replay_id, MOST_PENDING) if state is RunState.UNFINISHED else []


def report(
    replay_id: UUID, *, fleet: FleetStore, silver: Silver, ruleset: str, time_left: TimeLeft
) -> tuple[RunState, FleetReport]:
    """How far a replay is. The watermark follows a sweep that is done.

    Raises:
        NoSuchReplayError: there is none of this name.
    """
    known = known_replay(replay_id, fleet)
    sums = fleet.report(replay_id)
    if known.planned_until < known.until or sums.done < sums.ranges:
        return state_of(known, ruleset), sums
    if known.is_sweep:
        watermark = earliest_raw_id(known.until - WATERMARK_LAG)
        with_retries(lambda: silver.advance_watermark(watermark), time_left)
    return RunState.DONE, sums


def delete_old(*, fleet: FleetStore, time_left: TimeLeft) -> int:
    """Delete replays that were finished or abandoned long ago; how many."""
    return with_retries(lambda: fleet.delete_old(datetime.now(UTC) - _KEPT), time_left)


def known_replay(replay_id: UUID, fleet: FleetStore) -> FleetReplay:
    """What is recorded of a replay.

    Raises:
        NoSuchReplayError: there is none of this name.
    """
    known = fleet.replay(replay_id)
    if known is None:
        raise NoSuchReplayError(str(replay_id))
    return known


def state_of(known: FleetReplay, ruleset: str) -> RunState:
    """Whether calls may go on with a replay that is not done."""
    if known.ruleset != ruleset:
        return RunState.OUTDATED
    return RunState.PAUSED if known.is_paused else RunState.UNFINISHED
