"""The function Query: the reads, which need a key. Each route calls a module of `dropzone.queries`."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic_core import to_json

from dropzone.adapters.archived import archived_months
from dropzone.adapters.database import open_database
from dropzone.adapters.s3 import S3Bronze, S3Clients
from dropzone.api import gateway, problems
from dropzone.api.access import Authorizer, authorizer_of
from dropzone.api.answers import EXAMPLE_RAW_ID
from dropzone.api.formats import Format, best_format
from dropzone.api.gateway import accepts_gzip, header
from dropzone.api.pages import KEEP, VARY, Listing, cached, is_given, page
from dropzone.api.parameters import InstantInPath, RawIdInPath
from dropzone.api.problems import ProblemError
from dropzone.api.resolver import Described, access_of, converted, make_app, problem, resolve
from dropzone.domain.access import Scope
from dropzone.ports import RowRefusedError
from dropzone.queries import contracts, kpis, measurements, quality, raw, rejections, sources, status
from dropzone.queries.buckets import archived_of, others_of
from dropzone.runtime import time_left_in
from dropzone.settings import QuerySettings

# Leaves time to answer before API Gateway's timeout, even if the database is slow.
_BRONZE_SECONDS = 5.0
RAW_ID_PATH = Path(
    alias="id",
    description="The `raw_id` from POST /ingest. In the browser, the example is replaced by the newest object.",
    examples=[EXAMPLE_RAW_ID],
)


_READ = frozenset({Scope.READ})
_STATUS = frozenset({Scope.INGEST, Scope.READ})
_RAW = frozenset({Scope.INGEST, Scope.OPERATE})
_MONTHS_IN_HEADER = 100
# The result of a mapping changes with its contract.
_UNKEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

logger = Logger(service="query")

settings = cache(QuerySettings.from_environment)
bronze = cache(lambda: S3Bronze.of(settings(), _BRONZE_SECONDS))
clients = cache(lambda: S3Clients.of(settings(), _BRONZE_SECONDS))
database = cache(lambda: open_database(settings()))


def authorizer() -> Authorizer:
    return authorizer_of(clients(), settings())


app = make_app(logger, authorizer)


@app.get("/ingest/<id>", operation_id="getStatus", tags=["Events"])
@Described(_STATUS, (problems.NO_SUCH_OBJECT,))
def get_status(
    raw_id: Annotated[RawIdInPath, RAW_ID_PATH], request: Annotated[status.StatusRequest, Query()]
) -> status.ObjectStatus:
    """Get the status of an object.

    The `Location` of a 202 points here. A key that has only the scope `ingest` sees only what was sent with it.
    """
    gzip = accepts_gzip(_header("Accept-Encoding"))
    return status.read_status(database(), bronze(), raw_id, request, access=access_of(app), gzip=gzip)


@app.get("/ingest/<id>/raw", operation_id="getRaw", tags=["Events"])
@Described(
    _RAW,
    (problems.NO_RAW_OBJECT, problems.NO_RAW_EVENT),
    headers=("ETag", "Cache-Control", "Content-Disposition", "Content-Encoding", "Dropzone-Contract"),
)
def get_raw(raw_id: Annotated[RawIdInPath, RAW_ID_PATH], request: Annotated[raw.RawRequest, Query()]) -> Response[Any]:
    """Get an object as it was received.

    The stored bytes, with the `Content-Type` and `Content-Encoding` that they were sent with, and, as
    `Dropzone-Contract`, the contract that they were sent to, if any. They never change. With `item`, a single event, as
    it was validated. To read what another key has sent, a key needs the scope `operate`.
    """
    access = access_of(app)
    sent = raw.read_raw(bronze(), raw_id, time_left=time_left_in(app.lambda_context))
    if Scope.OPERATE not in access.scopes and sent.client != access.client:
        raise ProblemError(problems.NO_RAW_OBJECT)
    if request.item is not None:
        return converted(
            gateway.Response(HTTPStatus.OK, "application/json", raw.read_item(sent, request.item), _UNKEPT)
        )
    tag = f'"{raw_id}"'
    kept = {"ETag": tag, "Cache-Control": KEEP, "Vary": VARY}
    if is_given(tag, _header("If-None-Match")):
        return converted(gateway.Response(HTTPStatus.NOT_MODIFIED, "", "", kept))
    # Whatever its Content-Type, a browser saves it, and never shows or runs it as a page of this API.
    shown_by_nobody = {
        "Content-Disposition": f'attachment; filename="{raw_id}.json"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    encoding = {"Content-Encoding": sent.content_encoding} if sent.content_encoding else {}
    contract = {"Dropzone-Contract": sent.contract} if sent.contract else {}
    content_type = sent.content_type or "application/octet-stream"
    headers = kept | shown_by_nobody | encoding | contract
    return converted(gateway.Response(HTTPStatus.OK, content_type, sent.body, headers))


@app.get("/rejections", operation_id="listRejections", tags=["Events"])
@Described(_READ)
def get_rejections(
    request: Annotated[rejections.RejectionsRequest, Query()],
) -> rejections.RejectionsPage:
    """List rejected events.

    The newest first, each with every rule that it breaks.
    """
    return rejections.read_rejections(database(), request, reads=_reads())


@app.get("/measurements", operation_id="listMeasurements", tags=["Data"])
@Described(_READ, (problems.NOT_ACCEPTABLE,), listing=measurements.LISTING, headers=("Dropzone-Archived",))
def get_measurements(request: Annotated[measurements.MeasurementsRequest, Query()]) -> Response[Any]:
    """List measurements.

    The measurements in silver: for each instant and source, the event that arrived last. The cursor is the last entry
    of a page, so no entry is skipped or repeated while rows arrive. A page may hold fewer than `limit`. `archived`,
    like the header `Dropzone-Archived`, names the months in the range whose measurements are no longer in silver.
    """
    return _listed(
        measurements.LISTING,
        lambda: measurements.read_measurements(database(), request, reads=_reads()),
        request.limit,
        archived=lambda: measurements.archived_of(database(), request),
    )


@app.get("/measurements/<measured_at>", operation_id="listMeasurementsOfInstant", tags=["Data"])
@Described(_READ, (problems.NO_MEASUREMENT, problems.ARCHIVED, problems.NOT_ACCEPTABLE), listing=measurements.LISTING)
def get_measurements_of_instant(
    measured_at: Annotated[
        InstantInPath,
        Path(
            description=(
                "The instant, in any form that ingest accepts; write `+` as `%2B`. In the browser, the "
                "example is replaced by the newest instant."
            ),
            examples=["2019-05-01T10:00:00Z"],
        ),
    ],
    request: Annotated[measurements.MeasurementsOfInstantRequest, Query()],
) -> Response[Any]:
    """Get the measurements of an instant.

    The measurements of one source or of all sources, ordered by name.
    """

    def read() -> list[measurements.Measurement]:
        found = measurements.read_measurements(database(), request, measured_at, reads=_reads())
        if archived_months(database(), measured_at, measured_at + timedelta(microseconds=1), "measured"):
            raise ProblemError(problems.ARCHIVED)
        if not found and request.cursor is None:
            raise ProblemError(problems.NO_MEASUREMENT)
        return found

    return _listed(measurements.LISTING, read, request.limit)


@app.get("/sources", operation_id="listSources", tags=["Data"])
@Described(_READ, (problems.NOT_ACCEPTABLE,), listing=sources.LISTING)
def get_sources(request: Annotated[sources.SourcesRequest, Query()]) -> Response[Any]:
    """List sources.

    The sources by name: when each measured first and last, how often it measures, and whether it is `late` (one event
    is missing: quiet for more than 1.5 times its usual interval) or `silent` (two are missing: more than 2.5 times; or
    nothing was measured until now). The usual interval is the median of the last twenty pauses; less than a minute
    counts as a minute, and a source that measured once is expected daily. Measurements dated in the future, by a clock
    that is ahead, don't count until then.
    """
    return _listed(sources.LISTING, lambda: sources.read_sources(database(), request, reads=_reads()), request.limit)


@app.get("/kpis", operation_id="getKpis", tags=["Data"])
@Described(_READ, (problems.NOT_ACCEPTABLE,), listing=kpis.LISTING, headers=("Dropzone-Archived",))
def get_kpis(request: Annotated[kpis.KpisRequest, Query()]) -> Response[Any]:
    """Get KPIs by second, minute, 15 minutes, hour, day, week or month.

    Figures by source for whole buckets. Measurements count in the bucket of their own instant; received and rejected
    events, and the latency to silver, count in the bucket of their arrival, since a rejected event has no instant.
    Computed from current silver. Empty buckets are left out. For archived months, figures by second and minute are not
    kept: `archived` and the header `Dropzone-Archived` name those months.
    """
    return _listed(
        kpis.LISTING,
        lambda: kpis.read_kpis(database(), request, reads=_reads()),
        request.limit,
        others_of(request),
        archived=lambda: archived_of(database(), request, "measured", "arrived"),
    )


@app.get("/quality", operation_id="getQuality", tags=["Data"])
@Described(_READ, (problems.NOT_ACCEPTABLE,), listing=quality.LISTING)
def get_quality(request: Annotated[quality.QualityRequest, Query()]) -> Response[Any]:
    """Get outcomes by rule over time.

    Outcomes by time of arrival and source, for whole buckets. For months whose arrivals are archived, figures by second
    and minute are not kept: `archived` and the header `Dropzone-Archived` name those months.
    """
    return _listed(
        quality.LISTING,
        lambda: quality.read_quality(database(), request, reads=_reads()),
        request.limit,
        others_of(request),
        archived=lambda: archived_of(database(), request, "arrived"),
    )


@app.get("/contracts", operation_id="listContracts", tags=["Data"])
@Described(_READ, (problems.NOT_ACCEPTABLE,), listing=contracts.LISTING)
def get_contracts(request: Annotated[contracts.ContractsRequest, Query()]) -> Response[Any]:
    """List data contracts.

    The deployed contracts by identifier, with the rules that each adds to the basic ones.
    """
    return _listed(contracts.LISTING, lambda: contracts.read_contracts(request, reads=_reads()), request.limit)


@app.get("/contracts/<id>", operation_id="getContract", tags=["Data"])
@Described(
    _READ,
    (problems.NO_SUCH_CONTRACT, problems.NOT_ACCEPTABLE),
    answer=contracts.Contract,
    headers=("ETag", "Cache-Control"),
    texts={contracts.ContractFormat.YAML: "apiVersion: v3.1.0\nkind: DataContract\nid: default\n"},
)
def get_contract(
    identifier: Annotated[
        str, Path(alias="id", description="The identifier, as in GET /contracts.", examples=["default"])
    ],
) -> Response[Any]:
    """Get a data contract.

    The compiled contract as JSON, or its source as YAML (`Accept: application/yaml`), in the Open Data Contract
    Standard.
    """
    form = best_format(_header("Accept"), contracts.ContractFormat)
    is_json = form is contracts.ContractFormat.JSON
    body = (
        to_json(contracts.read_contract(identifier, reads=_reads())).decode()
        if is_json
        else contracts.read_contract_text(identifier, reads=_reads())
    )
    return converted(cached(body, content_type=form.value, given=_header("If-None-Match"), headers={}))


def _listed[R: Mapping[str, Any]](
    listing: Listing[R],
    read: Callable[[], Sequence[R]],
    limit: int,
    others: Mapping[str, str] | None = None,
    *,
    archived: Callable[[], Sequence[str]] = tuple,
) -> Response[Any]:
    """A page of a list, in the client's preferred format, with the names of the archived months that it lacks."""
    form = best_format(_header("Accept"), Format)
    rows = read()
    # Read afterwards, to include a month that was archived in the meantime.
    months = archived()
    body, headers = page(
        listing,
        rows,
        limit,
        query=app.current_event.query_string_parameters or {},
        form=form,
        others={**(others or {}), **({"archived": months} if months else {})},
        gzip=accepts_gzip(_header("Accept-Encoding")),
    )
    if months:
        # The headers of a response may have at most 10 KiB in total.
        more = [f"and {len(months) - _MONTHS_IN_HEADER} more"] if len(months) > _MONTHS_IN_HEADER else []
        headers["Dropzone-Archived"] = ", ".join([*months[:_MONTHS_IN_HEADER], *more])
    return converted(cached(body, content_type=form.content_type, given=_header("If-None-Match"), headers=headers))


def _reads() -> tuple[str, ...] | None:
    """Patterns of the sources that the request's key may read; None for all."""
    return access_of(app).reads


def _header(name: str) -> str | None:
    return header(app.current_event.raw_event, name)


@app.exception_handler(RowRefusedError)
def _not_comparable(error: RowRefusedError) -> Response[Any]:
    # Nothing is written here, so what the database refuses is a parameter's value.
    logger.error("the database rejected a parameter's value", reason=str(error))
    return problem(app, problems.NOT_COMPARABLE)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    database().use_time_left(time_left_in(context))
    return resolve(app, event, context, settings().cors_origin)
