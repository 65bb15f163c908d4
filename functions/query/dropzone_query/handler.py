"""Reads, with a key.

`GET /ingest/{raw_id}` tells what has become of an object, `GET /ingest/{raw_id}/raw` gives it as it was received,
`GET /rejections` tells which events broke rules, and why; `GET /measurements` what stands in silver, `GET /kpis` and
`GET /quality` its figures by buckets of time, `GET /sources` who measures and who is silent.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropzone.adapters.database import Database, open_database
from dropzone.adapters.s3_bronze import S3Bronze
from dropzone.api import problems, response
from dropzone.api.compression import accepts_gzip
from dropzone.api.formats import best_format
from dropzone.api.pages import KEEP, Listing, cached, is_given, page
from dropzone.api.parameters import Request, with_plus
from dropzone.api.problems import FieldError, InvalidRequestError, ProblemError
from dropzone.api.request import header
from dropzone.api.resolver import converted, json_response, make_app, problem, resolve
from dropzone.domain.instants import parse_instant
from dropzone.domain.outcomes import Violation
from dropzone.ports import RowRefusedError
from dropzone.queries import kpis, measurements, quality, sources
from dropzone.queries.buckets import others_of
from dropzone.queries.kpis import KpisRequest, read_kpis
from dropzone.queries.measurements import (
    Measurement,
    MeasurementsOfInstantRequest,
    MeasurementsRequest,
    read_measurements,
)
from dropzone.queries.quality import QualityRequest, read_quality
from dropzone.queries.raw import read_raw
from dropzone.queries.rejections import RejectionsRequest, read_rejections
from dropzone.queries.sources import SourcesRequest, read_sources
from dropzone.queries.status import StatusRequest, read_status
from dropzone.settings import QuerySettings

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


@app.get("/ingest/<raw_id>")
def get_status(raw_id: str) -> Response[Any]:
    """Tell what has become of an object, and of its events."""
    request, gzip = _parameters(StatusRequest), accepts_gzip(_header("Accept-Encoding"))
    return json_response(HTTPStatus.OK, read_status(database(), bronze(), _uuid(raw_id), request, gzip=gzip))


@app.get("/ingest/<raw_id>/raw")
def get_original(raw_id: str) -> Response[Any]:
    """Give an object as it was received."""
    identifier = _uuid(raw_id)
    context: LambdaContext = app.lambda_context
    raw = read_raw(bronze(), identifier, time_left=lambda: context.get_remaining_time_in_millis() / 1000)
    tag = f'"{identifier}"'
    kept = {"ETag": tag, "Cache-Control": KEEP}
    if is_given(tag, _header("If-None-Match")):
        return converted(response.Response(HTTPStatus.NOT_MODIFIED, "", "", kept))
    # Whatever the sender says that it is, a browser saves it, and never shows or runs it as a page of this API.
    shown_by_nobody = {
        "Content-Disposition": f'attachment; filename="{identifier}.json"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    encoding = {"Content-Encoding": raw.content_encoding} if raw.content_encoding else {}
    content_type = raw.content_type or "application/octet-stream"
    return converted(response.Response(HTTPStatus.OK, content_type, raw.body, kept | shown_by_nobody | encoding))


@app.get("/rejections")
def get_rejections() -> Response[Any]:
    """List rejected events, with their reasons."""
    return json_response(HTTPStatus.OK, read_rejections(database(), _parameters(RejectionsRequest)))


@app.get("/measurements")
def get_measurements() -> Response[Any]:
    """List what stands in silver."""
    request = _parameters(MeasurementsRequest)
    return _listed(measurements.LISTING, lambda: read_measurements(database(), request), request.limit)


@app.get("/measurements/<measured_at>")
def get_measurements_of_instant(measured_at: str) -> Response[Any]:
    """List what stands in silver for an instant."""
    instant, request = _instant_in_path(measured_at), _parameters(MeasurementsOfInstantRequest)

    def read() -> list[Measurement]:
        found = read_measurements(database(), request, instant)
        if not found and request.cursor is None:
            raise ProblemError(problems.NO_MEASUREMENT)
        return found

    return _listed(measurements.LISTING, read, request.limit)


@app.get("/sources")
def get_sources() -> Response[Any]:
    """List who measures, and who is late or silent."""
    request = _parameters(SourcesRequest)
    return _listed(sources.LISTING, lambda: read_sources(database(), request), request.limit)


@app.get("/kpis")
def get_kpis() -> Response[Any]:
    """Give the figures of silver, by buckets of time and source."""
    request = _parameters(KpisRequest)
    return _listed(kpis.LISTING, lambda: read_kpis(database(), request), request.limit, others_of(request))


@app.get("/quality")
def get_quality() -> Response[Any]:
    """Give the outcomes of what arrived, by buckets of time and source."""
    request = _parameters(QualityRequest)
    return _listed(quality.LISTING, lambda: read_quality(database(), request), request.limit, others_of(request))


def _listed[R: Mapping[str, Any]](
    listing: Listing[R], read: Callable[[], Sequence[R]], limit: int, others: Mapping[str, str] | None = None
) -> Response[Any]:
    """A page of a list, in the format that the client accepts best."""
    form = best_format(_header("Accept"))
    body, headers = page(
        listing, read(), limit, query=_query(), form=form, others=others, gzip=accepts_gzip(_header("Accept-Encoding"))
    )
    return converted(cached(body, content_type=form.content_type, given=_header("If-None-Match"), headers=headers))


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


def _query() -> dict[str, str]:
    """The query, as it was sent."""
    return dict(app.current_event.query_string_parameters or {})


def _parameters[T: Request](request: type[T]) -> T:
    """The query's parameters."""
    return request.from_query(_query())


@app.exception_handler(RowRefusedError)
def _not_comparable(error: RowRefusedError) -> Response[Any]:
    # Nothing is written here: what the database refuses is a parameter's value.
    logger.error("the database refuses a parameter's value", reason=str(error))
    return problem(app, problems.NOT_COMPARABLE)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry."""
    database().use_time_left(lambda: context.get_remaining_time_in_millis() / 1000)
    return resolve(app, event, context, settings().cors_origin)
