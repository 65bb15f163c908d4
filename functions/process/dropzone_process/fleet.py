"""The function Replay: calls of a state machine, each at a range of a replay; and what the command line asks of it."""

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from dropzone.adapters.contracts import deployed_contracts
from dropzone.adapters.database import Database, open_database
from dropzone.adapters.postgres_fleet_store import PostgresFleetStore
from dropzone.adapters.postgres_outcome_store import PostgresOutcomeStore
from dropzone.adapters.s3 import open_bronze
from dropzone.observability import logged_errors
from dropzone.ports import Bronze, FleetStore, OutcomeStore, TimeLeft, Wanted
from dropzone.settings import ReplaySettings
from dropzone.use_cases.fleet import RANGE_OBJECTS, RunState, begin, pending, plan, report, run_range

if TYPE_CHECKING:
    from dropzone.use_cases.objects import ObjectError

_PLAN_SECONDS = 20.0
"""The command line waits for an answer, and asks again while there is more to plan."""

logger = Logger(service="replay")


class _Action(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Begin(_Action):
    """Begin a replay, or go on with an unfinished one of the same objects."""

    action: Literal["begin"]
    since: AwareDatetime
    until: AwareDatetime | None = None
    contract: str | None = None
    dry_run: bool = False


class _OfOne(_Action):
    replay_id: UUID


class Plan(_OfOne):
    """Cut its time into ranges, for some seconds."""

    action: Literal["plan"]
    range_objects: Annotated[int, Field(ge=1)] = RANGE_OBJECTS


class Pending(_OfOne):
    """Its ranges that are not done."""

    action: Literal["pending"]


class RunRange(_OfOne):
    """Replay a range, as far as the time of a call goes."""

    action: Literal["run"]
    number: Annotated[int, Field(ge=0)]


class Report(_OfOne):
    """Its sums."""

    action: Literal["report"]


class Pause(_OfOne):
    """Let its calls end soon."""

    action: Literal["pause"]


Action = Begin | Plan | Pending | RunRange | Report | Pause
_ACTION: TypeAdapter[Action] = TypeAdapter(Annotated[Action, Field(discriminator="action")])


@cache
def settings() -> ReplaySettings:
    return ReplaySettings.from_environment()


@cache
def bronze() -> Bronze:
    return open_bronze(settings(), settings().call_seconds / 2)


@cache
def database() -> Database:
    """One connection for each container."""
    return open_database(settings())


@cache
def outcome_store() -> OutcomeStore:
    return PostgresOutcomeStore(database(), deployed_contracts())


@cache
def fleet_store() -> FleetStore:
    return PostgresFleetStore(database())


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry.

    Raises:
        ValidationError: the event is none of the actions.
        NoSuchReplayError: there is no such replay or range.
        BronzeUnavailableError, SilverUnavailableError: the state machine calls again, and goes on from the cursor.
    """

    def time_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    database().use_time_left(time_left)
    action = _ACTION.validate_python(event)
    match action:
        case Begin():
            wanted = Wanted(action.since, action.until, action.contract, action.dry_run)
            replay_id = begin(wanted, fleet=fleet_store(), ruleset=_ruleset(), time_left=time_left)
            return {"replay_id": str(replay_id)}
        case Plan():
            spare = max(time_left() - _PLAN_SECONDS, 0.0)
            is_planned = plan(
                action.replay_id,
                fleet=fleet_store(),
                time_left=lambda: time_left() - spare,
                range_objects=action.range_objects,
            )
            return {"is_planned": is_planned, **_report(action.replay_id)}
        case Pending():
            numbers = pending(action.replay_id, fleet=fleet_store(), ruleset=_ruleset())
            return {"replay_id": str(action.replay_id), "ranges": numbers}
        case RunRange():
            return {"replay_id": str(action.replay_id), "number": action.number, "state": _run(action, time_left)}
        case Report():
            return _report(action.replay_id)
        case Pause():
            fleet_store().pause(action.replay_id)
            return _report(action.replay_id)


def _ruleset() -> str:
    return outcome_store().contracts.ruleset


def _run(action: RunRange, time_left: TimeLeft) -> RunState:
    errors: list[ObjectError] = []
    try:
        state = run_range(
            action.replay_id,
            action.number,
            fleet=fleet_store(),
            bronze=bronze(),
            outcome_store=outcome_store(),
            time_left=time_left,
            errors=errors,
        )
    finally:
        if errors:
            logger.warning(
                "objects can't be replayed; their outcomes stay as they are",
                replay_id=str(action.replay_id),
                objects=logged_errors(errors),
            )
    logger.info("replayed", replay_id=str(action.replay_id), number=action.number, state=state)
    return state


def _report(replay_id: UUID) -> dict[str, Any]:
    """What was done, and whether there is more to do."""
    state, sums = report(replay_id, fleet=fleet_store(), ruleset=_ruleset())
    known = {"replay_id": str(replay_id), "state": state, "concurrency": settings().replay_concurrency}
    return known | sums._asdict()
