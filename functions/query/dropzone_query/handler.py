"""`GET /ingest/{raw_id}`: what has become of an event. `GET /rejections`: which events broke rules, and why."""

import re
from dataclasses import asdict
from functools import cache
from http import HTTPStatus
from typing import Any
from uuid import UUID

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dropzone import problems
from dropzone.adapters.database import open_database
from dropzone.adapters.postgres_statuses import PostgresStatuses
from dropzone.adapters.s3_bronze import S3Bronze
from dropzone.domain.identifiers import earliest_raw_id
from dropzone.domain.outcomes import Code, Measurement
from dropzone.domain.status import State, Status
from dropzone.http import answer, make_app, milliseconds, request_id, resolve
from dropzone.parameters import Instant, InvalidRequestError, instant
from dropzone.ports import Presence, Statuses
from dropzone.problems import Broken, problem
from dropzone.settings import QuerySettings
from dropzone.use_cases.status import UnknownObjectError, status

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


logger = Logger(service="query")
app = make_app(logger)


@cache
def settings() -> QuerySettings:
    """Of this container."""
    return QuerySettings.from_environment()


@cache
def bronze() -> Presence:
    """Of this container."""
    return S3Bronze(settings().bronze_bucket, region=settings().aws_region, endpoint=settings().bronze_endpoint)


@cache
def statuses() -> Statuses:
    """Of this container."""
    return PostgresStatuses(open_database(settings()))


@app.get("/ingest/<raw_id>")
def get_status(raw_id: str) -> Response[Any]:
    """Tell what has become of an event."""
    if not _UUID.fullmatch(raw_id):
        raise InvalidRequestError([Broken("raw_id", "request.uuid_parsing", "is not a UUID")])
    return answer(HTTPStatus.OK, _shown(status(UUID(raw_id), bronze=bronze(), statuses=statuses())))


class RejectionsRequest(BaseModel):
    """What `GET /rejections` takes in its query."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    code: Code | None = Field(default=None, description="Rejected by this rule.")
    since: Instant | None = Field(default=None, alias="from", description="Arrived at this instant or later.")
    until: Instant | None = Field(default=None, alias="to", description="Arrived before this instant.")
    limit: int = Field(default=100, ge=1, le=1_000, description="The most events; the last object's all the same.")
    cursor: UUID | None = Field(default=None, description="Where an earlier answer's cursor says to go on.")

    @property
    def before(self) -> UUID | None:
        """The identifier below which to look."""
        until = _bound(self.until)
        bounds = [] if until is None else [until]
        return min([*bounds, *([self.cursor] if self.cursor else [])], default=None)


def _bound(text: str | None) -> UUID | None:
    """The first identifier of an instant."""
    given = instant(text)
    return None if given is None else earliest_raw_id(given)


@app.get("/rejections")
def get_rejections() -> Response[Any]:
    """List rejected events, with their reasons."""
    try:
        request = RejectionsRequest.model_validate_strings(app.current_event.query_string_parameters or {})
    except ValidationError as error:
        raise InvalidRequestError.of(error) from None
    found = statuses().rejections(
        code=request.code,
        since=_bound(request.since),
        before=request.before,
        limit=request.limit,
    )
    listed: dict[str, object] = {
        "rejections": [asdict(event) | {"received_at": milliseconds(event.received_at)} for event in found]
    }
    if len(found) >= request.limit:
        listed["cursor"] = found[-1].raw_id
    return answer(HTTPStatus.OK, listed)


@app.exception_handler(UnknownObjectError)
def _unknown(_: UnknownObjectError) -> Response[Any]:
    return problem(problems.NOT_FOUND, "No event of this raw_id was ever taken in.", request_id=request_id(app))


def _shown(found: Status) -> dict[str, object]:
    """What there is to tell of an event in its state."""
    shown: dict[str, object] = {
        "raw_id": found.raw_id,
        "status": found.state,
        "received_at": milliseconds(found.received_at),
    }
    if found.settled_at is not None:
        shown["settled_at"] = found.settled_at
    match found.state:
        case State.PROCESSED | State.SUPERSEDED:
            if found.measurement is not None:
                shown |= _figures(found.measurement)
            if found.superseded_by is not None:
                shown["superseded_by"] = found.superseded_by
        case State.REJECTED:
            shown["violations"] = found.violations
        case State.STUCK | State.ACCEPTED:
            shown["attempts"] = found.attempts
            if found.last_error is not None:
                shown["last_error"] = found.last_error
    return shown


def _figures(measurement: Measurement) -> dict[str, object]:
    """A measurement, by the names that silver's columns have."""
    mean, std_dev, sample_count, minimum, maximum = measurement.aggregates
    return {
        "measured_at": measurement.measured_at,
        "source": measurement.source,
        "mean": mean,
        "std_dev": std_dev,
        "sample_count": sample_count,
        "min": minimum,
        "max": maximum,
    }


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry."""
    return resolve(app, event, context, settings().cors_origin)
