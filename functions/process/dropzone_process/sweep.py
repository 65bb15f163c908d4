"""The function Sweep: processes objects without a receipt, on a schedule and on request (`POST /process`)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, cast, get_args
from uuid import UUID

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropzone.adapters.contracts import deployed_contracts
from dropzone.adapters.database import open_database
from dropzone.adapters.postgres_fleet_store import PostgresFleetStore
from dropzone.adapters.postgres_outcome_store import PostgresOutcomeStore
from dropzone.adapters.postgres_silver import open_silver
from dropzone.adapters.postgres_upkeep import PostgresExpectationStore, PostgresGoldStore, PostgresPartitionStore
from dropzone.adapters.s3 import S3Bronze, S3Clients
from dropzone.adapters.s3_notifications import S3Notifications
from dropzone.api import problems
from dropzone.api.access import Authorizer, authorizer_of
from dropzone.api.formats import Format
from dropzone.api.problems import ProblemError
from dropzone.api.resolver import Body, Described, make_app, resolve
from dropzone.domain.access import Scope
from dropzone.domain.identifiers import Cursor, Position, received_at
from dropzone.domain.notifications import Channel
from dropzone.domain.outcomes import Change
from dropzone.observability import NAMESPACE, count, logged_errors, report_result
from dropzone.ports import BronzeError, ExpectationStore, GoldStore, SilverError, TimeLeft
from dropzone.runtime import time_left_in
from dropzone.settings import SweepSettings
from dropzone.use_cases.fleet import delete_old
from dropzone.use_cases.objects import ProcessingResult
from dropzone.use_cases.replay import ReplayResult, replay
from dropzone.use_cases.sweep import sweep
from dropzone.use_cases.upkeep import add_months, check_expectations, hand_over, refresh_gold
from dropzone_process.request import Changes, Counts, ProcessBatch, ProcessRequest, Replay, ReplayNamed, read_request

SCHEDULED_LIMIT = 10_000
"""The maximum number of objects in a scheduled run; it usually runs out of time first."""

_LONGEST_LAG = 86_400.0

API_SECONDS = 25.0
"""The time for a request: API Gateway's timeout is 29 seconds."""

logger = Logger(service="sweep")
metrics = Metrics(service="sweep", namespace=NAMESPACE)

settings = cache(SweepSettings.from_environment)
# Half of the call's time, so that there is time left to report it if S3 doesn't respond.
bronze = cache(lambda: S3Bronze.of(settings(), settings().call_seconds / 2))
clients = cache(lambda: S3Clients.of(settings(), settings().call_seconds / 2))
notifications = cache(lambda: S3Notifications.of(settings()))
database = cache(lambda: open_database(settings()))
silver = cache(lambda: open_silver(settings(), database()))
outcome_store = cache(lambda: PostgresOutcomeStore(database(), deployed_contracts()))


def gold_store() -> GoldStore:
    return PostgresGoldStore(database())


def expectation_store() -> ExpectationStore:
    return PostgresExpectationStore(database())


def authorizer() -> Authorizer:
    return authorizer_of(clients(), settings())


app = make_app(logger, authorizer)


@app.post("/process", operation_id="processObjects", tags=["Processing"])
@Described(
    frozenset({Scope.OPERATE}),
    (problems.NOT_JSON, problems.OBJECTS_ARCHIVED),
    body=Body(
        "What to process. Without a body: a batch.",
        {Format.JSON: get_args(ProcessRequest)},
    ),
    query=ProcessBatch.IN_QUERY,
)
def post_process() -> Counts:
    """Process a batch.

    Processes objects that have no outcomes yet, each independently of the others, and returns the counts. With
    `reprocess`, replays objects: validates them again with today's rules. `limit` and `cursor` may be in the body or in
    the query; the body takes precedence. Each call returns within 25 seconds: while the response has a `cursor`, call
    again with it.
    """
    request = read_request(app.current_event.raw_event)
    ends = time.monotonic() + API_SECONDS
    in_call = time_left_in(app.lambda_context)

    def time_left() -> float:
        return min(ends - time.monotonic(), in_call())

    database().use_time_left(time_left)
    if not isinstance(request, ProcessBatch):
        return _replay(request, time_left)
    result = _sweep(limit=request.limit, min_age=timedelta(0), after=request.cursor, time_left=time_left)
    return _counts(result, result.cursor)


def _replay(request: Replay, time_left: TimeLeft) -> Counts:
    if months := _archived(request):
        raise ProblemError(problems.OBJECTS_ARCHIVED, reason=", ".join(months))
    result = ReplayResult()
    try:
        replay(
            request.selection(),
            bronze=bronze(),
            outcome_store=outcome_store(),
            limit=request.limit,
            after=request.after,
            dry_run=request.dry_run,
            time_left=time_left,
            result=result,
        )
    finally:
        _log_replay(result, dry_run=request.dry_run)
    return {**_counts(result, result.cursor), "changes": _changes(result), "unread": len(result.errors)}


def _archived(request: Replay) -> list[str]:
    """The archived months of arrival that a request includes."""
    since, until = request.arrivals()
    if request.after is not None:
        # Earlier objects are done.
        reached = request.after.raw_id if isinstance(request.after, Position) else request.after
        since = max(since or received_at(reached), received_at(reached))
    months = outcome_store().archived_months(since, until)
    if isinstance(request, ReplayNamed):
        named = {f"{received_at(raw_id):%Y-%m}" for raw_id in request.raw_ids}
        return [month for month in months if month in named]
    return months


def _log_replay(result: ReplayResult, *, dry_run: bool) -> None:
    logger.info("replayed", objects=result.checked, changes=_changes(result), dry_run=dry_run)
    if result.errors:
        logger.warning(
            "objects can't be replayed; their outcomes are unchanged",
            objects=logged_errors(result.errors),
        )


def _changes(result: ReplayResult) -> Changes:
    return cast("Changes", {change.value: result.changes[change] for change in Change})


def _counts(result: ProcessingResult | ReplayResult, cursor: Cursor | None) -> Counts:
    counts: Counts = {"checked": result.checked, "processed": result.processed, "failed": result.rejected}
    if cursor is not None:
        counts["cursor"] = str(cursor)
    return counts


def _sweep(
    *, limit: int, min_age: timedelta, after: UUID | None, time_left: TimeLeft, retry_exhausted: bool = False
) -> ProcessingResult:
    result = ProcessingResult()
    try:
        sweep(
            bronze=bronze(),
            silver=silver(),
            limit=limit,
            min_age=min_age,
            after=after,
            time_left=time_left,
            retry_exhausted=retry_exhausted,
            result=result,
        )
    finally:
        # Also if S3 or the database failed: what was processed stays processed, and isn't counted again.
        report_result(result, logger, metrics)
    return result


@metrics.log_metrics
@logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry point, for API Gateway and for the schedule.

    Raises:
        BronzeUnavailableError, SilverUnavailableError: in a scheduled run; the next one tries again.
    """
    metrics.add_metric(name="Calls", unit=MetricUnit.Count, value=1)
    if "httpMethod" in event:
        return resolve(app, event, context, settings().cors_origin)
    time_left = time_left_in(context)
    database().use_time_left(time_left)
    backlog = silver().backlog()
    metrics.add_metric(name="Stuck", unit=MetricUnit.Count, value=backlog.exhausted)
    metrics.add_metric(name="Backlog", unit=MetricUnit.Count, value=backlog.waiting)
    for step in (_add_months, _refresh_gold, _check_expectations, _hand_over, _delete_old_replays):
        step(time_left)
    result = _sweep(
        limit=SCHEDULED_LIMIT,
        min_age=timedelta(seconds=settings().sweep_min_age_seconds),
        after=None,
        time_left=time_left,
        retry_exhausted=True,
    )
    # Only for successful runs: an alarm checks that there are some.
    metrics.add_metric(name="ScheduledRuns", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="SweepLagSeconds", unit=MetricUnit.Seconds, value=_lag(result.cursor))
    return dict(_counts(result, None))


def _lag(reached: UUID | None) -> float:
    """The age in seconds of the objects that a run reached: 0 if it reached the newest, a day at most."""
    if reached is None:
        return 0.0
    return min((datetime.now(UTC) - received_at(reached)).total_seconds(), _LONGEST_LAG)


@contextmanager
def _put_off_if_it_fails(message: str) -> Iterator[None]:
    """Log it if a step of a scheduled run fails, and continue: the next run tries it again."""
    try:
        yield
    except (SilverError, BronzeError) as error:
        logger.warning(message, error=type(error).__name__, reason=str(error))


def _share_of(time_left: TimeLeft, share: float) -> TimeLeft:
    kept = time_left() * (1 - share)
    return lambda: time_left() - kept


def _add_months(time_left: TimeLeft) -> None:
    """Make the months of silver's tables, in at most a third of the time. Rows without one go to the default."""
    with _put_off_if_it_fails("the partitions of silver could not be made; the next run will try again"):
        months = add_months(PostgresPartitionStore(database()), time_left=_share_of(time_left, 1 / 3))
        metrics.add_metric(name="MonthsMissing", unit=MetricUnit.Count, value=months.missing)
        if months.made:
            logger.info("partitions of silver were made", made=months.made)
        if months.missing:
            logger.warning("partitions of silver are missing, because the tables were locked", missing=months.missing)


def _refresh_gold(time_left: TimeLeft) -> None:
    """Refresh gold, in at most a third of the time. If it is stale, gold is still correct, but slower to read."""
    store, share = gold_store(), _share_of(time_left, 1 / 3)
    with _put_off_if_it_fails("gold could not be refreshed; the next run will try again"):
        metrics.add_metric(name="GoldStaleSeconds", unit=MetricUnit.Seconds, value=store.stale_seconds())
        metrics.add_metric(name="GoldParts", unit=MetricUnit.Count, value=refresh_gold(store, time_left=share))


def _check_expectations(time_left: TimeLeft) -> None:
    """Check sources against their expectations, in at most half of the time. The next run continues."""
    with _put_off_if_it_fails("expectations could not be checked; the next run will try again"):
        found = check_expectations(expectation_store(), deployed_contracts(), time_left=_share_of(time_left, 1 / 2))
        # Zeros are left out, since a metric costs for each hour in which it is written.
        for expectation, standing in found.items():
            if standing.broken:
                count("BrokenExpectations", standing.broken, service="sweep", expectation=expectation)
            if standing.changed:
                count("ChangedExpectations", standing.changed, service="sweep", expectation=expectation)


def _hand_over(time_left: TimeLeft) -> None:
    """Hand over notifications, in at most half of the time. The next run hands over the rest."""
    channels = [Channel(name) for name in settings().notification_channels]
    with _put_off_if_it_fails("notifications could not be queued; the next run will try again"):
        hand_over(expectation_store(), notifications(), channels, time_left=_share_of(time_left, 1 / 2))
    # If the database is unavailable, other alarms go off.
    with suppress(SilverError):
        waiting = expectation_store().unsent_seconds()
        metrics.add_metric(name="NotificationLagSeconds", unit=MetricUnit.Seconds, value=waiting)


def _delete_old_replays(time_left: TimeLeft) -> None:
    with _put_off_if_it_fails("old replays could not be deleted; the next run will try again"):
        if deleted := delete_old(store=PostgresFleetStore(database()), time_left=time_left):
            logger.info("old replays deleted", replays=deleted)
