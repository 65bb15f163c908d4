"""`POST /ingest`: the body goes to bronze as it came, and the client gets its reference."""

import re
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from dropzone import problems
from dropzone.adapters.s3_bronze import S3Bronze
from dropzone.domain.json_text import NotJsonError
from dropzone.http import answer, body_bytes, make_app, milliseconds, request_id, resolve
from dropzone.observability import NAMESPACE, count_refused
from dropzone.ports import Bronze
from dropzone.problems import Broken, Kind, problem
from dropzone.settings import IngestSettings
from dropzone.use_cases.ingest import BodyTooLargeError, EnvelopeError, ingest

JSON = "application/json"

_JSON_TYPES = re.compile(r"application/(?:[a-z0-9!#$&^_.-]{1,100}\+)?json", re.ASCII | re.IGNORECASE)
_FORM = "application/x-www-form-urlencoded"

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


class UnsupportedMediaTypeError(ValueError):
    """The body is of a kind that is not taken in; the message says what to send instead."""


@app.post("/ingest")
def post_ingest() -> Response[Any]:
    """Take an event in."""
    event = app.current_event.raw_event
    content_type = _media_type(app.current_event.headers)
    accepted = ingest(
        body_bytes(event),
        content_type=content_type,
        correlation_id=request_id(app),
        limit=settings().max_body_bytes,
        bronze=bronze(),
    )
    metrics.add_metric(name="Accepted", unit=MetricUnit.Count, value=1)
    logger.info("accepted", raw_id=str(accepted.raw_id), client=_api_key_id(event))
    return answer(
        HTTPStatus.ACCEPTED,
        {
            "raw_id": accepted.raw_id,
            "status": "accepted",
            "received_at": milliseconds(accepted.received_at),
        },
        {"Location": f"ingest/{accepted.raw_id}"},
    )


def _api_key_id(event: Mapping[str, Any]) -> str:
    """The id (not the value) of the key that the request came with, to tell clients apart in the log."""
    identity = (event.get("requestContext") or {}).get("identity") or {}
    return str(identity.get("apiKeyId") or "")


def _media_type(headers: Mapping[str, str]) -> str:
    """The body's media type, without parameters; JSON where the client names none."""
    names = {name.lower(): value for name, value in headers.items()}
    if names.get("content-encoding", "").strip().lower() not in {"", "identity"}:
        message = "Send the body without a Content-Encoding."
        raise UnsupportedMediaTypeError(message)
    media_type = names.get("content-type", "").partition(";")[0].strip().lower()
    if not media_type:
        return JSON
    if _JSON_TYPES.fullmatch(media_type):
        return media_type
    message = "Send JSON with the header Content-Type: application/json."
    if media_type == _FORM:
        message += " For curl, add -H 'content-type: application/json': without it, curl says that it sends a form."
    raise UnsupportedMediaTypeError(message)


@app.exception_handler(NotJsonError)
def _not_json(error: NotJsonError) -> Response[Any]:
    return _refuse(problems.NOT_JSON, f"The body is not JSON: {error}.")


@app.exception_handler(BodyTooLargeError)
def _too_large(error: BodyTooLargeError) -> Response[Any]:
    return _refuse(
        problems.TOO_LARGE, f"The body has {error.size} bytes; at most {error.limit} are taken. Send it in parts."
    )


@app.exception_handler(UnsupportedMediaTypeError)
def _unsupported(error: UnsupportedMediaTypeError) -> Response[Any]:
    return _refuse(problems.UNSUPPORTED_MEDIA_TYPE, str(error))


@app.exception_handler(EnvelopeError)
def _no_event(error: EnvelopeError) -> Response[Any]:
    return _refuse(
        problems.INVALID_EVENT,
        "The body is JSON, but no event: an object with time_stamp, a string, and data, an array.",
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
