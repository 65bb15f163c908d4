"""`GET /ingest/{raw_id}`: what has become of an object. `GET /rejections`: which events broke rules, and why."""

import re
from dataclasses import asdict
from functools import cache
from http import HTTPStatus
from typing import Any
from uuid import UUID

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ValidationError

from dropzone import problems
from dropzone.adapters.database import Database, open_database
from dropzone.adapters.postgres_statuses import PostgresStatuses
from dropzone.adapters.s3_bronze import S3Bronze
from dropzone.http import answer, make_app, milliseconds, request_id, resolve
from dropzone.parameters import InvalidRequestError
from dropzone.ports import Presence, Statuses
from dropzone.problems import Broken, problem
from dropzone.settings import QuerySettings
from dropzone.use_cases.status import ObjectGoneError, UnknownObjectError, status
from dropzone_query.requests import RejectionsRequest, StatusRequest
from dropzone_query.shown import shown

# So that the answer comes before API Gateway gives up, also when the database was slow.
_BRONZE_SECONDS = 5.0
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
    return S3Bronze(
        settings().bronze_bucket,
        region=settings().aws_region,
        endpoint=settings().bronze_endpoint,
        timeout_seconds=_BRONZE_SECONDS,
    )


@cache
def database() -> Database:
    """Of this container: one connection."""
    return open_database(settings())


@cache
def statuses() -> Statuses:
    """Of this container."""
    return PostgresStatuses(database())


@app.get("/ingest/<raw_id>")
def get_status(raw_id: str) -> Response[Any]:
    """Tell what has become of an object, and of its events."""
    if not _UUID.fullmatch(raw_id):
        raise InvalidRequestError([Broken("raw_id", "request.uuid_parsing", "is not a UUID")])
    request = _parameters(StatusRequest)
    found = status(UUID(raw_id), bronze=bronze(), statuses=statuses(), after=request.cursor, limit=request.limit)
    return answer(HTTPStatus.OK, shown(found))


@app.get("/rejections")
def get_rejections() -> Response[Any]:
    """List rejected events, with their reasons."""
    request = _parameters(RejectionsRequest)
    found = statuses().rejections(
        code=request.code,
        source=request.source,
        since=request.since_id,
        before=request.before_id,
        after=request.after,
        limit=request.limit + 1,
    )
    page = found[: request.limit]
    listed: dict[str, object] = {
        "rejections": [asdict(event) | {"received_at": milliseconds(event.received_at)} for event in page]
    }
    if len(found) > len(page):
        listed["cursor"] = f"{page[-1].raw_id}.{page[-1].item}"
    return answer(HTTPStatus.OK, listed)


def _parameters[T: BaseModel](model: type[T]) -> T:
    """The query's parameters."""
    try:
        return model.model_validate_strings(app.current_event.query_string_parameters or {})
    except ValidationError as error:
        raise InvalidRequestError.of(error) from None


@app.exception_handler(UnknownObjectError)
def _unknown(error: UnknownObjectError) -> Response[Any]:
    detail = (
        "An event of this raw_id was taken in, and its object is gone: it was tried, and never settled."
        if isinstance(error, ObjectGoneError)
        else "No event of this raw_id was ever taken in."
    )
    return problem(problems.NOT_FOUND, detail, request_id=request_id(app))


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry."""
    database().within(lambda: context.get_remaining_time_in_millis() / 1000)
    return resolve(app, event, context, settings().cors_origin)
