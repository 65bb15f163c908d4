"""`POST /ingest`: the body goes to bronze as it came, and the client gets its reference."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropzone import problems
from dropzone.adapters.s3_bronze import S3Bronze
from dropzone.adapters.s3_claims import S3Claims
from dropzone.domain.batches import JSON, NDJSON, is_json, is_ndjson
from dropzone.domain.encodings import GZIP, NotGzipError
from dropzone.domain.json_text import NotJsonError
from dropzone.http import answer, body_bytes, make_app, milliseconds, request_id, resolve
from dropzone.observability import NAMESPACE, count_refused
from dropzone.ports import Bronze, Claims
from dropzone.problems import Broken, InvalidRequestError, Kind, problem
from dropzone.settings import IngestSettings
from dropzone.use_cases.ingest import (
    Accepted,
    EnvelopeError,
    KeyReusedError,
    Submission,
    TooLargeError,
    ingest,
    ingest_once,
)

_FORM = "application/x-www-form-urlencoded"
_GZIP_NAMES = frozenset({GZIP, "x-gzip"})

_KEY_HEADER = "idempotency-key"
_LONGEST_KEY = 255

SERVICE = "ingest"
logger = Logger(service=SERVICE)
metrics = Metrics(service=SERVICE, namespace=NAMESPACE)
app = make_app(logger)


@cache
def settings() -> IngestSettings:
    """Of this container."""
    return IngestSettings.from_environment()


@cache
def bronze() -> Bronze:
    """Of this container."""
    return S3Bronze(settings().bronze_bucket, region=settings().aws_region, endpoint=settings().bronze_endpoint)


@cache
def claims() -> Claims:
    """Of this container."""
    return S3Claims(settings().bronze_bucket, region=settings().aws_region, endpoint=settings().bronze_endpoint)


class UnsupportedMediaTypeError(ValueError):
    """The body is of a kind that is not taken in; the message says what to send instead."""


@app.post("/ingest")
def post_ingest() -> Response[Any]:
    """Take events in."""
    event = app.current_event.raw_event
    headers = {name.lower(): value for name, value in app.current_event.headers.items()}
    client = _api_key_id(event)
    submission = Submission(
        body_bytes(event),
        _media_type(headers),
        _content_encoding(headers),
        correlation_id=request_id(app),
    )
    limit = settings().max_body_bytes
    if _KEY_HEADER in headers:
        key = _client_s_key(client, headers[_KEY_HEADER])
        accepted = ingest_once(submission, key=key, limit=limit, bronze=bronze(), claims=claims())
    else:
        accepted = ingest(submission, limit=limit, bronze=bronze())
    return _answer(accepted, client)


def _answer(accepted: Accepted, client: str) -> Response[Any]:
    metrics.add_metric(name="Accepted", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="AcceptedEvents", unit=MetricUnit.Count, value=accepted.events)
    logger.info(
        "accepted",
        raw_id=str(accepted.raw_id),
        client=client,
        events=accepted.events,
        replayed=accepted.is_replayed,
    )
    headers = {"Location": f"ingest/{accepted.raw_id}"}
    if accepted.is_replayed:
        headers["Idempotent-Replayed"] = "true"
    return answer(
        HTTPStatus.ACCEPTED,
        {
            "raw_id": accepted.raw_id,
            "status": "accepted",
            "received_at": milliseconds(accepted.received_at),
            "items": accepted.events,
        },
        headers,
    )


def _api_key_id(event: Mapping[str, Any]) -> str:
    """The id (not the value) of the key that the request came with, to tell clients apart."""
    identity = (event.get("requestContext") or {}).get("identity") or {}
    return str(identity.get("apiKeyId") or "")


def _client_s_key(client: str, key: str) -> str:
    """An idempotency key, made a client's own; of a fixed length, and of characters that any name may have."""
    if not key.isprintable() or not 1 <= len(key) <= _LONGEST_KEY:
        message = f"is not 1 to {_LONGEST_KEY} printable characters"
        raise InvalidRequestError([Broken("Idempotency-Key", "request.idempotency_key", message)])
    return sha256(f"{client}\n{key}".encode()).hexdigest()


def _content_encoding(headers: Mapping[str, str]) -> str:
    """The body's encoding: gzip, or none."""
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in _GZIP_NAMES:
        return GZIP
    if encoding not in {"", "identity"}:
        message = "Send the body without a Content-Encoding, or with Content-Encoding: gzip."
        raise UnsupportedMediaTypeError(message)
    return ""


def _media_type(headers: Mapping[str, str]) -> str:
    """The body's media type, without parameters; JSON where the client names none."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not media_type:
        return JSON
    if is_json(media_type) or is_ndjson(media_type):
        return media_type
    message = f"Send JSON with the header Content-Type: {JSON}, or a line for each event with {NDJSON}."
    if media_type == _FORM:
        message += f" For curl, add -H 'content-type: {JSON}': without it, curl says that it sends a form."
    raise UnsupportedMediaTypeError(message)


@app.exception_handler(NotJsonError)
def _not_json(error: NotJsonError) -> Response[Any]:
    return _refuse(problems.NOT_JSON, f"The body is not JSON: {error}.")


@app.exception_handler(NotGzipError)
def _not_gzip(error: NotGzipError) -> Response[Any]:
    return _refuse(problems.NOT_GZIP, f"The body is said to be gzip, and {error}.")


@app.exception_handler(TooLargeError)
def _too_large(error: TooLargeError) -> Response[Any]:
    return _refuse(problems.TOO_LARGE, f"{error} Send it in parts.")


@app.exception_handler(KeyReusedError)
def _key_reused(_: KeyReusedError) -> Response[Any]:
    return _refuse(
        problems.KEY_REUSED, "The Idempotency-Key stands for another request, of the last 24 hours. Take a new key."
    )


@app.exception_handler(UnsupportedMediaTypeError)
def _unsupported(error: UnsupportedMediaTypeError) -> Response[Any]:
    return _refuse(problems.UNSUPPORTED_MEDIA_TYPE, str(error))


@app.exception_handler(EnvelopeError)
def _no_event(error: EnvelopeError) -> Response[Any]:
    return _refuse(
        problems.INVALID_EVENT,
        "The body is no event, an object with time_stamp, a string, and data, an array; nor several of them.",
        [Broken(violation.field, violation.code, violation.message) for violation in error.violations],
    )


def _refuse(kind: Kind, detail: str, violations: list[Broken] | None = None) -> Response[Any]:
    count_refused(SERVICE, kind.name)
    logger.info("refused", reason=kind.name, codes=[violation.code for violation in violations or ()])
    return problem(kind, detail, request_id=request_id(app), violations=violations or ())


@metrics.log_metrics
@logger.inject_lambda_context(correlation_id_path="requestContext.requestId", clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry."""
    metrics.add_metric(name="Requests", unit=MetricUnit.Count, value=1)
    return resolve(app, event, context, settings().cors_origin)
