"""Reads, with a key.

`GET /ingest/{raw_id}` tells what has become of an object, `GET /ingest/{raw_id}/raw` gives it as it was received,
`GET /rejections` tells which events broke rules, and why; `GET /measurements` what stands in silver, `GET /kpis` and
`GET /quality` its figures by buckets of time, `GET /sources` who measures and who is silent.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropzone.adapters.database import Database, open_database
from dropzone.adapters.postgres_gold import PostgresGold
from dropzone.adapters.postgres_measurements import PostgresMeasurements
from dropzone.adapters.postgres_statuses import PostgresStatuses
from dropzone.adapters.s3_bronze import S3Bronze
from dropzone.api import problems
from dropzone.api.compression import accepts_gzip
from dropzone.api.parameters import Request, with_plus
from dropzone.api.problems import FieldError, InvalidRequestError
from dropzone.api.request import header
from dropzone.api.resolver import json_response, make_app, problem, resolve
from dropzone.domain.gold import Window
from dropzone.domain.identifiers import earliest_raw_id
from dropzone.domain.instants import parse_instant
from dropzone.domain.outcomes import Violation
from dropzone.ports import RowRefusedError
from dropzone.queries.sources import SourcesRequest, cursor_after, read_sources
from dropzone.query_ports import Gold, Measurements, Statuses, TooMuchAskedError
from dropzone.settings import QuerySettings
from dropzone.use_cases.originals import NoOriginalError, original
from dropzone.use_cases.status import ObjectGoneError, UnknownObjectError, status
from dropzone_query import answers
from dropzone_query.formats import Format, NotAcceptableError, best_format
from dropzone_query.gold_requests import (
    KpisRequest,
    MeasurementsOfInstantRequest,
    MeasurementsRequest,
    QualityRequest,
    cursor_of,
    no_such_zone,
)
from dropzone_query.pages import KEEP, Listing, binary, cached, is_given, page
from dropzone_query.requests import RejectionsRequest, StatusRequest
from dropzone_query.shown import (
    shown_kpi,
    shown_measurement,
    shown_quality,
    shown_rejection,
    shown_source,
    shown_status,
)

# So that the answer comes before API Gateway gives up, also when the database was slow.
_BRONZE_SECONDS = 5.0
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


logger = Logger(service="query")
app = make_app(logger)


@cache
def settings() -> QuerySettings:
    return QuerySettings.from_environment()


@cache
def bronze() -> S3Bronze:
    return S3Bronze(
        settings().bronze_bucket,
        region=settings().aws_region,
        endpoint=settings().bronze_endpoint,
        timeout_seconds=_BRONZE_SECONDS,
    )


@cache
def database() -> Database:
    """One connection for each container."""
    return open_database(settings())


@cache
def statuses() -> Statuses:
    return PostgresStatuses(database())


@cache
def measurements() -> Measurements:
    return PostgresMeasurements(database())


@cache
def gold() -> Gold:
    return PostgresGold(database())


@app.get("/ingest/<raw_id>")
def get_status(raw_id: str) -> Response[Any]:
    """Tell what has become of an object, and of its events."""
    request = _parameters(StatusRequest)
    found = status(_uuid(raw_id), bronze=bronze(), statuses=statuses(), after=request.cursor, limit=request.limit)
    return json_response(HTTPStatus.OK, shown_status(found, gzip=_accepts_gzip()))


@app.get("/ingest/<raw_id>/raw")
def get_original(raw_id: str) -> Response[Any]:
    """Give an object as it was received."""
    identifier = _uuid(raw_id)
    context: LambdaContext = app.lambda_context
    raw = original(identifier, bronze=bronze(), time_left=lambda: context.get_remaining_time_in_millis() / 1000)
    tag = f'"{identifier}"'
    kept = {"ETag": tag, "Cache-Control": KEEP}
    if is_given(tag, _header("If-None-Match")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED.value, body="", headers=kept)
    # Whatever the sender says that it is, a browser saves it, and never shows or runs it as a page of this API.
    shown_by_nobody = {
        "Content-Disposition": f'attachment; filename="{identifier}.json"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    encoding = {"Content-Encoding": raw.content_encoding} if raw.content_encoding else {}
    return binary(
        raw.body,
        content_type=raw.content_type or "application/octet-stream",
        headers=kept | shown_by_nobody | encoding,
    )


@app.get("/rejections")
def get_rejections() -> Response[Any]:
    """List rejected events, with their reasons."""
    request = _parameters(RejectionsRequest)
    since, until = _range(request)
    found = statuses().rejections(
        code=request.code,
        source=request.source,
        since=None if since is None else earliest_raw_id(since),
        before=None if until is None else earliest_raw_id(until),
        after=request.after,
        limit=request.limit + 1,
    )
    rows = found[: request.limit]
    listed: answers.Rejections = {"rejections": [shown_rejection(event) for event in rows]}
    if len(found) > len(rows):
        listed["cursor"] = f"{rows[-1].raw_id}.{rows[-1].item}"
    return json_response(HTTPStatus.OK, listed)


@app.get("/measurements")
def get_measurements() -> Response[Any]:
    """List what stands in silver."""
    form = best_format(_header("Accept"))
    request = _parameters(MeasurementsRequest)
    since, until = _range(request)
    found = measurements().page(
        since=since,
        until=until,
        source=request.source,
        after=request.after,
        newest_first=request.order == "desc",
        limit=request.limit + 1,
    )
    return _listed(found, request.limit, _STANDING, form)


@app.get("/measurements/<measured_at>")
def get_measurements_of_instant(measured_at: str) -> Response[Any]:
    """List what stands in silver for an instant."""
    form = best_format(_header("Accept"))
    at = _instant_in_path(measured_at)
    request = _parameters(MeasurementsOfInstantRequest)
    found = measurements().at(at, source=request.source, after=request.after, limit=request.limit + 1)
    if not found and request.after is None:
        return problem(app, problems.NO_MEASUREMENT)
    return _listed(found, request.limit, _STANDING, form)


@app.get("/sources")
def get_sources() -> Response[Any]:
    """List who measures, and who is late or silent."""
    form = best_format(_header("Accept"))
    request = _parameters(SourcesRequest)
    return _listed(read_sources(database(), request), request.limit, _SOURCES, form)


@app.get("/kpis")
def get_kpis() -> Response[Any]:
    """Give the figures of silver, by buckets of time and source."""
    form = best_format(_header("Accept"))
    request = _parameters(KpisRequest)
    window = _window(request)
    found = gold().kpis(window, expected_seconds=request.expected_seconds, after=request.after, limit=request.limit + 1)
    listing = Listing("kpis", shown_kpi, lambda kpi: cursor_of((kpi.start, kpi.source)), answers.Kpi, _others(window))
    return _listed(found, request.limit, listing, form)


@app.get("/quality")
def get_quality() -> Response[Any]:
    """Give the outcomes of what arrived, by buckets of time and source."""
    form = best_format(_header("Accept"))
    request = _parameters(QualityRequest)
    window = _window(request)
    found = gold().quality(window, after=request.after, limit=request.limit + 1)
    listing = Listing(
        "quality", shown_quality, lambda kpi: cursor_of((kpi.start, kpi.source)), answers.QualityBucket, _others(window)
    )
    return _listed(found, request.limit, listing, form)


_STANDING = Listing("measurements", shown_measurement, lambda standing: cursor_of(standing.place), answers.Measurement)
_SOURCES = Listing("sources", shown_source, cursor_after, answers.SourceRow)


def _listed[T](found: Sequence[T], limit: int, listing: Listing[T], form: Format) -> Response[Any]:
    """A page of a list."""
    body, headers = page(found, limit, listing, query=_query(), form=form, gzip=_accepts_gzip())
    return cached(body, content_type=form.content_type, given=_header("If-None-Match"), headers=headers)


def _others(window: Window) -> dict[str, str]:
    return {"granularity": window.granularity, "tz": window.tz}


def _window(request: QualityRequest) -> Window:
    since, until = _range(request)
    return request.window(since, until or datetime.now(UTC))


def _range(
    request: MeasurementsRequest | RejectionsRequest | QualityRequest,
) -> tuple[datetime | None, datetime | None]:
    """From when on, and to before when; a date alone is the whole day."""
    if not gold().knows_zone(request.tz):
        raise no_such_zone()
    since, until = request.since, request.until
    return (
        since if since is None or isinstance(since, datetime) else gold().day(since, request.tz)[0],
        until if until is None or isinstance(until, datetime) else gold().day(until, request.tz)[1],
    )


def _uuid(text: str) -> UUID:
    """The identifier in a path."""
    if not _UUID.fullmatch(text):
        raise InvalidRequestError([FieldError("raw_id", "request.invalid", "is not a UUID")])
    return UUID(text)


def _instant_in_path(text: str) -> datetime:
    """The instant in a path, which may come as it was sent, with its colons and signs escaped."""
    parsed = parse_instant(with_plus(unquote(text)))
    if isinstance(parsed, Violation):
        raise InvalidRequestError([FieldError("measured_at", "request.invalid", parsed.message)])
    return parsed


def _header(name: str) -> str | None:
    """A header of the request."""
    return header(app.current_event.raw_event, name)


def _accepts_gzip() -> bool:
    return accepts_gzip(_header("Accept-Encoding"))


def _query() -> dict[str, str]:
    """The query, as it was sent."""
    return dict(app.current_event.query_string_parameters or {})


def _parameters[T: Request](request: type[T]) -> T:
    """The query's parameters."""
    return request.from_query(_query())


@app.exception_handler(NotAcceptableError)
def _not_acceptable(_: NotAcceptableError) -> Response[Any]:
    return problem(app, problems.NOT_ACCEPTABLE, reason=", ".join(Format))


@app.exception_handler(TooMuchAskedError)
def _too_much(_: TooMuchAskedError) -> Response[Any]:
    too_much = FieldError("from", "request.too_much", "is too far before to, for what lies between them")
    return problem(app, problems.TOO_MUCH_ASKED, violations=[too_much])


@app.exception_handler(RowRefusedError)
def _not_comparable(error: RowRefusedError) -> Response[Any]:
    # Nothing is written here: what the database refuses is a parameter's value.
    logger.error("the database refuses a parameter's value", reason=str(error))
    return problem(app, problems.NOT_COMPARABLE)


@app.exception_handler(NoOriginalError)
def _no_original(_: NoOriginalError) -> Response[Any]:
    return problem(app, problems.NO_RAW_OBJECT)


@app.exception_handler(UnknownObjectError)
def _unknown(error: UnknownObjectError) -> Response[Any]:
    is_gone = isinstance(error, ObjectGoneError)
    return problem(app, problems.OBJECT_GONE if is_gone else problems.NO_SUCH_OBJECT)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry."""
    database().use_time_left(lambda: context.get_remaining_time_in_millis() / 1000)
    return resolve(app, event, context, settings().cors_origin)
