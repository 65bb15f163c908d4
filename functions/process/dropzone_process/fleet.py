"""The function Replay: called by a state machine for each range of a replay or sweep, and by the CLI."""

from dataclasses import replace
from datetime import date
from functools import cache
from typing import Annotated, Any, Literal
from uuid import UUID

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from dropzone.adapters.archived import request_month
from dropzone.adapters.contracts import deployed_contracts
from dropzone.adapters.database import open_database
from dropzone.adapters.postgres_fleet_store import PostgresFleetStore
from dropzone.adapters.postgres_outcome_store import PostgresOutcomeStore
from dropzone.adapters.postgres_silver import open_silver
from dropzone.adapters.s3 import S3Bronze
from dropzone.observability import NAMESPACE, logged_errors, report_result
from dropzone.ports import Wanted
from dropzone.runtime import time_left_in
from dropzone.settings import ReplaySettings
from dropzone.use_cases.fleet import Fleet, RunState
from dropzone.use_cases.objects import ObjectError, ProcessingResult

_PLAN_SECONDS = 20.0
"""The time to plan in one call: the command line waits for it, and calls again while there is more to plan."""

logger = Logger(service="replay")
# What it sweeps counts in the metrics of the scheduled sweep.
metrics = Metrics(service="sweep", namespace=NAMESPACE)


class _Action(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Begin(_Action):
    """Start a replay, or continue an unfinished one of the same objects."""

    action: Literal["begin"]
    since: AwareDatetime
    until: AwareDatetime | None = None
    contract: str | None = None
    dry_run: bool = False


class BeginSweep(_Action):
    """Start processing all objects without a receipt."""

    action: Literal["begin_sweep"]


class _OfOne(_Action):
    replay_id: UUID


class Plan(_OfOne):
    """Divide the time of a replay into ranges, for some seconds."""

    action: Literal["plan"]
    range_objects: Annotated[int | None, Field(ge=1)] = None


class Pending(_OfOne):
    action: Literal["pending"]


class RunRange(_OfOne):
    """Replay or sweep a range, as far as the time of the call allows."""

    action: Literal["run"]
    number: Annotated[int, Field(ge=0)]


class Report(_OfOne):
    action: Literal["report"]


class Pause(_OfOne):
    action: Literal["pause"]


class Restore(_Action):
    """Request a month of arrival to be restored from the archive, and kept for some days."""

    action: Literal["restore"]
    month: Annotated[str, Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
    days: Annotated[int, Field(ge=1, le=366)]


Action = Begin | BeginSweep | Plan | Pending | RunRange | Report | Pause | Restore
_ACTION: TypeAdapter[Action] = TypeAdapter(Annotated[Action, Field(discriminator="action")])

settings = cache(ReplaySettings.from_environment)
bronze = cache(lambda: S3Bronze.of(settings(), settings().call_seconds / 2))
database = cache(lambda: open_database(settings()))
silver = cache(lambda: open_silver(settings(), database()))
outcome_store = cache(lambda: PostgresOutcomeStore(database(), deployed_contracts()))
fleet_store = cache(lambda: PostgresFleetStore(database()))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry point.

    Raises:
        ValidationError: the event is not one of the actions.
        NoSuchReplayError: there is no such replay or range.
        BronzeUnavailableError, SilverUnavailableError: the state machine calls again, and continues from the cursor.
    """
    time_left = time_left_in(context)
    database().use_time_left(time_left)
    fleet = Fleet(fleet_store(), bronze(), silver(), outcome_store(), time_left)
    return _answer(_ACTION.validate_python(event), fleet)


def _answer(action: Action, fleet: Fleet) -> dict[str, Any]:
    match action:
        case Begin() | BeginSweep():
            return _begin(action, fleet)
        case Restore():
            month = date.fromisoformat(f"{action.month}-01")
            return {"is_archived": request_month(database(), month, action.days)}
        case Plan():
            spare = max(fleet.time_left() - _PLAN_SECONDS, 0.0)
            in_time = replace(fleet, time_left=lambda: fleet.time_left() - spare)
            is_planned = in_time.plan(action.replay_id, action.range_objects)
            return {"is_planned": is_planned, **_report(action.replay_id, fleet)}
        case Pending():
            return {"replay_id": str(action.replay_id), "ranges": fleet.pending(action.replay_id)}
        case RunRange():
            return {"replay_id": str(action.replay_id), "number": action.number, "state": _run(action, fleet)}
        case Report() | Pause():
            if isinstance(action, Pause):
                fleet_store().pause(action.replay_id)
            return _report(action.replay_id, fleet)


def _begin(action: Begin | BeginSweep, fleet: Fleet) -> dict[str, Any]:
    """The identifier of the replay; or the archived months in its range, which prevent it."""
    if isinstance(action, BeginSweep):
        return {"replay_id": str(fleet.begin_sweep())}
    if months := outcome_store().archived_months(action.since, action.until):
        return {"archived": months}
    return {"replay_id": str(fleet.begin(Wanted(action.since, action.until, action.contract, action.dry_run)))}


def _run(action: RunRange, fleet: Fleet) -> RunState:
    errors: list[ObjectError] = []
    try:
        state = fleet.run_range(action.replay_id, action.number, errors=errors, swept=_swept)
    finally:
        if errors:
            logger.warning(
                "objects can't be replayed; their outcomes are unchanged",
                replay_id=str(action.replay_id),
                objects=logged_errors(errors),
            )
    logger.info("range left", replay_id=str(action.replay_id), number=action.number, state=state)
    return state


def _swept(result: ProcessingResult) -> None:
    report_result(result, logger, metrics)
    metrics.flush_metrics()


def _report(replay_id: UUID, fleet: Fleet) -> dict[str, Any]:
    """The progress of a replay, and whether there is more to do."""
    state, sums = fleet.report(replay_id)
    known = {"replay_id": str(replay_id), "state": state, "concurrency": settings().replay_concurrency}
    return known | sums._asdict()
