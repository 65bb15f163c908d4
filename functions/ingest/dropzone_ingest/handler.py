"""`POST /ingest`: store the body in bronze as it was sent, and return a reference to it."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropzone.adapters.contracts import contract_ids
from dropzone.adapters.s3 import S3Bronze, S3Clients, S3IdempotencyStore
from dropzone.api import problems
from dropzone.api.access import Authorizer
from dropzone.api.gateway import Event, Response, body_bytes, json_response, milliseconds, proxy_result, request_id
from dropzone.api.problems import FieldError, InvalidRequestError, ProblemType, problem, problem_of
from dropzone.domain.access import Scope
from dropzone.domain.body import (
    GZIP,
    JSON,
    LINE_PROTOCOL,
    NDJSON,
    NotGzipError,
    NotJsonError,
    is_gzip,
    is_json,
    is_ndjson,
)
from dropzone.domain.identifiers import new_raw_id
from dropzone.observability import NAMESPACE, count
from dropzone.ports import RawObject
from dropzone.settings import IngestSettings
from dropzone.use_cases.ingest import (
    Accepted,
    EnvelopeError,
    KeyReusedError,
    TooLargeError,
    ingest,
    ingest_once,
)

if TYPE_CHECKING:
    from dropzone_ingest import routes

_FORM = "application/x-www-form-urlencoded"
# API Gateway decompresses gzip and deflate, but keeps the header, so the header says nothing about the body.
_CODINGS = frozenset({"gzip", "x-gzip", "deflate", "identity", ""})

_KEY_HEADER = "idempotency-key"
MAX_KEY = 255


class UnsupportedMediaTypeError(ValueError):
    """The media type is not accepted. The message says what to send instead."""


class NoSuchContractError(ValueError):
    """The contract in the path is not deployed."""


_PROBLEMS: Mapping[type[Exception], ProblemType] = {
    NotJsonError: problems.NOT_JSON,
    NotGzipError: problems.NOT_GZIP,
    TooLargeError: problems.TOO_LARGE,
    UnsupportedMediaTypeError: problems.UNSUPPORTED_MEDIA_TYPE,
    KeyReusedError: problems.KEY_REUSED,
    EnvelopeError: problems.INVALID_EVENT,
    NoSuchContractError: problems.NO_SUCH_CONTRACT,
}
"""The problems for a client's errors."""

SERVICE = "ingest"
logger = Logger(service=SERVICE)
metrics = Metrics(service=SERVICE, namespace=NAMESPACE)

ROUTE = ("POST", "/ingest")
"""One of the function's two routes; the other one has a contract's identifier appended."""

SCOPES = frozenset({Scope.INGEST})
"""The scope of both routes."""

settings = cache(IngestSettings.from_environment)
bronze = cache(lambda: S3Bronze.of(settings()))
idempotency_store = cache(lambda: S3IdempotencyStore.of(settings()))
clients = cache(lambda: S3Clients.of(settings()))


def authorizer() -> Authorizer:
    return Authorizer(clients(), settings().default_scopes)


def post_ingest(event: Event) -> Response:
    """Store events.

    Raises:
        Exception: one of `_PROBLEMS`, or another error of `ingest` or `ingest_once`.
    """
    access = authorizer().authorize(event, SCOPES, logger)
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    _check_content_encoding(headers)
    contract = _contract(event)
    body = body_bytes(event)
    raw = RawObject(
        new_raw_id(),
        body,
        _media_type(headers, contract),
        request_id(event),
        content_encoding=GZIP if is_gzip(body) else "",
        contract=contract,
        client=access.client,
        writes=access.writes,
    )
    limit = settings().max_body_bytes
    if _KEY_HEADER in headers:
        key = _hashed_key(access.client, headers[_KEY_HEADER])
        accepted = ingest_once(raw, key=key, limit=limit, bronze=bronze(), idempotency_store=idempotency_store())
    else:
        accepted = ingest(raw, limit=limit, bronze=bronze())
    return _accepted(accepted, str(event.get("path")))


def _accepted(accepted: Accepted, path: str) -> Response:
    # A repeated request stores nothing, since its object exists.
    metrics.add_metric(name="Accepted", unit=MetricUnit.Count, value=not accepted.is_replayed)
    if accepted.events is not None:
        metrics.add_metric(name="AcceptedEvents", unit=MetricUnit.Count, value=accepted.events)
    logger.info("accepted", raw_id=str(accepted.raw_id), events=accepted.events, replayed=accepted.is_replayed)
    headers = {"Location": f"{_to_statuses(path)}{accepted.raw_id}"}
    if accepted.is_replayed:
        headers["Idempotent-Replayed"] = "true"
    answer: routes.Accepted = {
        "raw_id": accepted.raw_id,
        "status": "accepted",
        "received_at": milliseconds(accepted.received_at),
    }
    if accepted.events is not None:
        answer["items"] = accepted.events
    return json_response(HTTPStatus.ACCEPTED, answer, headers)


def _to_statuses(path: str) -> str:
    """The relative path from a request's path to `/ingest/`; it is resolved from the last slash of the URL."""
    if path.strip("/").count("/"):
        return "../" if path.endswith("/") else ""
    return "" if path.endswith("/") else "ingest/"


def _contract(event: Event) -> str:
    """The contract that the path names; empty if it names none.

    Raises:
        NoSuchContractError: the contract is not deployed.
    """
    contract = str((event.get("pathParameters") or {}).get("id") or "")
    if contract and contract not in contract_ids():
        raise NoSuchContractError
    return contract


def _hashed_key(client: str, key: str) -> str:
    """The hash of a client and its idempotency key: a valid name of fixed length, unique across clients."""
    if not key.isprintable() or not 1 <= len(key) <= MAX_KEY:
        message = f"is not 1 to {MAX_KEY} printable characters"
        raise InvalidRequestError([FieldError("Idempotency-Key", "request.idempotency_key", message)])
    return sha256(f"{client}\n{key}".encode()).hexdigest()


def _check_content_encoding(headers: Mapping[str, str]) -> None:
    """Reject unknown codings. Whether a body is gzip is detected by its first bytes, not by this header."""
    codings = {coding.strip().lower() for coding in headers.get("content-encoding", "").split(",")}
    if not codings <= _CODINGS:
        raise UnsupportedMediaTypeError("Send the body without a Content-Encoding, or with Content-Encoding: gzip.")


def _media_type(headers: Mapping[str, str], contract: str) -> str:
    """The body's media type, without parameters; JSON if the client names none.

    Raises:
        UnsupportedMediaTypeError: the media type is not accepted, or not by a contract in the path.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not media_type:
        return JSON
    if is_json(media_type) or is_ndjson(media_type) or (media_type == LINE_PROTOCOL and not contract):
        return media_type
    if media_type == LINE_PROTOCOL:
        message = (
            "Send InfluxDB's line protocol to POST /ingest, without a contract's identifier: contracts apply to its "
            f"events by their sources. A contract in the path reads JSON, with the header Content-Type: {JSON}."
        )
        raise UnsupportedMediaTypeError(message)
    message = f"Send JSON with the header Content-Type: {JSON}, or a line for each event with {NDJSON}."
    if media_type == _FORM:
        message += f" For curl, add -H 'content-type: {JSON}': without it, curl says that it sends a form."
    raise UnsupportedMediaTypeError(message)


def _refused(problem_type: ProblemType, error: Exception, event: Event) -> Response:
    count("Refused", service=SERVICE, reason=problem_type.name)
    violations = error.violations if isinstance(error, EnvelopeError) else []
    logger.info("refused", reason=problem_type.name, codes=[violation.code for violation in violations])
    listed = [FieldError(violation.field, violation.code, violation.message) for violation in violations]
    return problem(problem_type, event, reason=str(error), violations=listed)


def _respond(event: Event) -> Response:
    method, path = ROUTE
    first, _, contract = str(event.get("path")).strip("/").partition("/")
    if (event.get("httpMethod"), f"/{first}") != (method, path) or "/" in contract:
        return problem(problems.NO_SUCH_PATH, event)
    try:
        return post_ingest(event)
    except Exception as error:  # noqa: BLE001 - any error becomes a problem, and is logged
        problem_type = _PROBLEMS.get(type(error))
        return problem_of(error, event, logger) if problem_type is None else _refused(problem_type, error, event)


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    metrics.add_metric(name="Requests", unit=MetricUnit.Count, value=1)
    logger.set_correlation_id(request_id(event) or None)
    return proxy_result(_respond(event), event, settings().cors_origin)
