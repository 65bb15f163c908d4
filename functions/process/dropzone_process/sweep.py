"""The function Sweep: objects without a receipt, on a schedule and on request (`POST /process`)."""

import time
from datetime import timedelta
from functools import cache
from http import HTTPStatus
from typing import Any
from uuid import UUID

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from dropzone import problems
from dropzone.domain.json_text import parse_json
from dropzone.domain.outcomes import MAX_VIOLATIONS
from dropzone.http import answer, body_bytes, make_app, request_id, resolve
from dropzone.observability import NAMESPACE, report_tally
from dropzone.ports import Bronze, Silver
from dropzone.problems import Broken, problem
from dropzone.settings import SweepSettings
from dropzone.use_cases.settle import Remaining
from dropzone.use_cases.sweep import SweepReport, sweep
from dropzone_process.container import make_bronze, make_silver

SCHEDULED_LIMIT = 10_000
"""The most objects that one run of the schedule tries; its time usually ends it before."""

API_SECONDS = 25.0
"""API Gateway gives up on an answer after 29 seconds."""

_LONGEST_NAME = 40

logger = Logger(service="sweep")
metrics = Metrics(service="sweep", namespace=NAMESPACE)
app = make_app(logger)


class ProcessRequest(BaseModel):
    """What `POST /process` takes, in its body or its query."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    limit: int = Field(default=100, ge=1, le=1_000, description="The most objects to process.")
    cursor: UUID | None = Field(default=None, description="Where an earlier answer's cursor says to go on.")

    @field_validator("limit", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        """Take a whole number as JSON has it, which 5.0 is as well; strict mode refuses what else is no integer."""
        return int(value) if type(value) is float and value.is_integer() else value


@cache
def settings() -> SweepSettings:
    """Of this container."""
    return SweepSettings.from_environment()


@cache
def bronze() -> Bronze:
    """Of this container."""
    return make_bronze(settings())


@cache
def silver() -> Silver:
    """Of this container."""
    return make_silver(settings())


class InvalidRequestError(ValueError):
    """The request's parameters are not what `POST /process` takes."""

    def __init__(self, broken: list[Broken]) -> None:
        """Carry what is wrong with each."""
        super().__init__("invalid request")
        self.broken = broken


@app.post("/process")
def post_process() -> Response[Any]:
    """Process a batch of objects that have no receipt, and count them."""
    request = _request()
    ends = time.monotonic() + API_SECONDS
    remaining = _remaining(app.lambda_context)
    report = _sweep(
        limit=request.limit,
        min_age=timedelta(0),
        after=request.cursor,
        remaining=lambda: min(ends - time.monotonic(), remaining()),
    )
    counts: dict[str, object] = {
        "checked": report.tally.checked,
        "processed": report.tally.processed,
        "failed": report.tally.failed,
    }
    if report.cursor is not None:
        counts["cursor"] = report.cursor
    return answer(HTTPStatus.OK, counts)


def _request() -> ProcessRequest:
    body = body_bytes(app.current_event.raw_event)
    parameters = parse_json(body) if body.strip() else {}
    if not isinstance(parameters, dict):
        raise InvalidRequestError([Broken("$", "request.not_object", "is not a JSON object")])
    query = app.current_event.query_string_parameters or {}
    try:
        # What is given in the body must have JSON's types; what is given in the query is text.
        in_query = ProcessRequest.model_validate_strings(query)
        in_body = ProcessRequest.model_validate_json(body, strict=True) if body.strip() else ProcessRequest()
    except ValidationError as error:
        raise InvalidRequestError(
            [
                Broken(_field(entry["loc"]), f"request.{entry['type']}", entry["msg"])
                for entry in error.errors(include_input=False, include_url=False, include_context=False)[
                    :MAX_VIOLATIONS
                ]
            ]
        ) from None
    return in_query.model_copy(update=in_body.model_dump(exclude_unset=True))


def _field(location: tuple[int | str, ...]) -> str:
    """The name of a field, which the client may have made up: the first of it, escaped to printable ASCII."""
    name = ".".join(map(str, location))
    return ascii(name[:_LONGEST_NAME])[1:-1] + ("..." if len(name) > _LONGEST_NAME else "") or "$"


@app.exception_handler(InvalidRequestError)
def _invalid(error: InvalidRequestError) -> Response[Any]:
    return problem(
        problems.INVALID_REQUEST,
        "The parameters are limit, a whole number from 1 to 1000, and cursor, from an earlier answer.",
        request_id=request_id(app),
        violations=error.broken,
    )


def _remaining(context: LambdaContext) -> Remaining:
    return lambda: context.get_remaining_time_in_millis() / 1000


def _sweep(*, limit: int, min_age: timedelta, after: UUID | None, remaining: Remaining) -> SweepReport:
    report = sweep(bronze=bronze(), silver=silver(), limit=limit, min_age=min_age, after=after, remaining=remaining)
    report_tally(report.tally, logger, metrics)
    metrics.add_metric(name="Unfinished", unit=MetricUnit.Count, value=report.cursor is not None)
    return report


@metrics.log_metrics
@logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry, for API Gateway and for the schedule.

    Raises:
        BronzeUnavailableError, SilverUnavailableError: on the schedule, whose next run tries again.
    """
    metrics.add_metric(name="Calls", unit=MetricUnit.Count, value=1)
    if "httpMethod" in event:
        return resolve(app, event, context, settings().cors_origin)
    report = _sweep(
        limit=SCHEDULED_LIMIT,
        min_age=timedelta(seconds=settings().sweep_min_age_seconds),
        after=None,
        remaining=_remaining(context),
    )
    return {"checked": report.tally.checked, "processed": report.tally.processed, "failed": report.tally.failed}
