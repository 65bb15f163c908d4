"""Problems (RFC 9457, `application/problem+json`): all types with their texts."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, NamedTuple, NotRequired, TypedDict, cast

from aws_lambda_powertools import Logger
from pydantic import Field
from pydantic_core import to_json

from dropzone.api.answers import Violation, closed
from dropzone.api.gateway import Event, Response, request_id
from dropzone.domain.body import NotJsonError
from dropzone.observability import log_unexpected
from dropzone.ports import BronzeUnavailableError, SilverConflictError, SilverUnavailableError

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5


class ProblemType(NamedTuple):
    """A type of problem; docs/errors.md explains each."""

    name: str
    status: HTTPStatus
    detail: str
    """What is wrong and what to do about it, without values from the request; `{reason}` is filled in."""
    example: str = ""
    """An example of a reason, for the API document."""

    @property
    def type(self) -> str:
        """The URI in the problem's `type`."""
        return f"urn:dropzone:problem:{self.name}"


_SAFE = "It is safe to send the request again"
NOT_JSON = ProblemType(
    "not-json",
    HTTPStatus.BAD_REQUEST,
    "The body is not JSON: {reason}.",
    "EOF while parsing a value at line 1 column 15",
)
NOT_GZIP = ProblemType("not-gzip", HTTPStatus.BAD_REQUEST, "The body is gzip that {reason}.", "is cut off")
KEY_UNKNOWN = ProblemType(
    "key-unknown",
    HTTPStatus.FORBIDDEN,
    "API Gateway knows this key or role, but it has no scopes yet. Ask an operator to give it scopes.",
)
KEY_EXPIRED = ProblemType(
    "key-expired", HTTPStatus.FORBIDDEN, "The access of this client has expired. Ask an operator to renew it."
)
SCOPE_MISSING = ProblemType("scope-missing", HTTPStatus.FORBIDDEN, "{reason}")
NO_SUCH_PATH = ProblemType("not-found", HTTPStatus.NOT_FOUND, "There is no such path or method here.")
NO_SUCH_CONTRACT = ProblemType(
    "not-found", HTTPStatus.NOT_FOUND, "There is no data contract with this identifier; GET /contracts lists them."
)
NO_SUCH_FILE = ProblemType("not-found", HTTPStatus.NOT_FOUND, "There is no such file here.")
NO_SUCH_OBJECT = ProblemType("not-found", HTTPStatus.NOT_FOUND, "No object with this raw_id was ever accepted.")
OBJECT_GONE = ProblemType(
    "not-found",
    HTTPStatus.NOT_FOUND,
    "The object with this raw_id was accepted but never processed, and is no longer stored.",
)
NO_RAW_OBJECT = ProblemType(
    "not-found", HTTPStatus.NOT_FOUND, "No object with this raw_id is stored, or it was deleted."
)
NO_RAW_EVENT = ProblemType(
    "not-found", HTTPStatus.NOT_FOUND, "The object has no event at this position, or none that can be written as JSON."
)
NO_MEASUREMENT = ProblemType(
    "not-found", HTTPStatus.NOT_FOUND, "There is no measurement at this instant, or none from this source."
)
ARCHIVED = ProblemType(
    "archived",
    HTTPStatus.GONE,
    "The measurements of this month are archived and no longer in silver. GET /kpis still has its figures; operators "
    "know where the files are.",
)
OBJECTS_ARCHIVED = ProblemType(
    "objects-archived",
    HTTPStatus.CONFLICT,
    "Objects received in {reason} are archived, so their outcomes can't be replaced. Start after them (`from`), or "
    "restore them first (dropzone archive --restore).",
    "2026-04, 2026-05",
)
NOT_ACCEPTABLE = ProblemType(
    "not-acceptable",
    HTTPStatus.NOT_ACCEPTABLE,
    "Accept names none of the available formats: {reason}.",
    "application/json, application/x-ndjson, text/csv, text/csv; profile=spreadsheet",
)
TOO_LARGE = ProblemType(
    "too-large",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "{reason} Send it in parts.",
    "The body has 4194305 bytes; at most 4194304 are accepted.",
)
UNSUPPORTED_MEDIA_TYPE = ProblemType(
    "unsupported-media-type",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "{reason}",
    "Send JSON with the header Content-Type: application/json, or a line for each event with application/x-ndjson.",
)
INVALID_EVENT = ProblemType(
    "invalid-event",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The body must be {reason}.",
    "an event (an object with a string `time_stamp` and an array `data`) or a list of events",
)
KEY_REUSED = ProblemType(
    "idempotency-key-reused",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "Another request used this Idempotency-Key within the last 24 hours. Use a new key.",
)
INVALID_REQUEST = ProblemType(
    "invalid-request",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "A parameter is not what this call expects: see `violations`.",
)
TOO_MUCH_ASKED = ProblemType(
    "invalid-request",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The range is too large for one call. Ask for a shorter range, one source, or longer buckets.",
)
NOT_COMPARABLE = ProblemType(
    "invalid-request",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The database can't compare a parameter's value with anything stored. Check its characters.",
)
INTERNAL_ERROR = ProblemType(
    "internal-error",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    f"An unexpected error occurred. {_SAFE}; if it fails again, report the request_id.",
)
UNAVAILABLE = ProblemType(
    "unavailable", HTTPStatus.SERVICE_UNAVAILABLE, f"The service is temporarily unavailable. {_SAFE}."
)


@closed
class Problem(TypedDict):
    """A problem document (RFC 9457). Don't retry a 4xx other than 429. Retry a 5xx or a 429: it is safe."""

    type: Annotated[
        str,
        Field(
            description="The type of the problem. Stable; docs/errors.md lists them.",
            json_schema_extra={"format": "uri"},
        ),
    ]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    request_id: Annotated[
        str, Field(description="The request id, as in the logs; include it when you report a problem.")
    ]
    violations: NotRequired[Annotated[Sequence[Violation], Field(min_length=1)]]


class FieldError(NamedTuple):
    """One entry of a problem's `violations`."""

    field: str
    code: str
    message: str


class ProblemError(Exception):
    """The request is answered with this problem."""

    def __init__(self, problem_type: ProblemType, reason: str = "", violations: Iterable[FieldError] = ()) -> None:
        super().__init__(problem_type.name)
        self.type, self.reason, self.violations = problem_type, reason, list(violations)


class InvalidRequestError(ProblemError):
    """Parameters of a request are invalid."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        super().__init__(INVALID_REQUEST, violations=errors)


def document(
    problem_type: ProblemType, reason: str, *, request_id: str, violations: Iterable[FieldError] = ()
) -> Problem:
    """The body of a problem's response."""
    body: Problem = {
        "type": problem_type.type,
        "title": problem_type.status.phrase,
        "status": problem_type.status.value,
        "detail": problem_type.detail.format(reason=reason),
        "request_id": request_id,
    }
    if listed := [cast("Violation", violation._asdict()) for violation in violations]:
        body["violations"] = listed
    return body


def problem(
    problem_type: ProblemType,
    event: Event,
    *,
    reason: str = "",
    violations: Iterable[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response to a request with a problem; `reason` replaces `{reason}` in the type's text."""
    body = document(problem_type, reason, request_id=request_id(event), violations=violations)
    return Response(problem_type.status, CONTENT_TYPE, to_json(body).decode(), headers or {})


def problem_of(error: Exception, event: Event, logger: Logger) -> Response:
    """The response to an error that any route may raise, or to an unexpected one; server errors are logged."""
    match error:
        case NotJsonError():
            return problem(NOT_JSON, event, reason=str(error))
        case ProblemError():
            return problem(error.type, event, reason=error.reason, violations=error.violations)
        case BronzeUnavailableError() | SilverUnavailableError() | SilverConflictError():
            logger.error(
                "storage or database unavailable; the client was asked to retry",
                error=type(error).__name__,
                reason=str(error),
            )
            return problem(UNAVAILABLE, event, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    log_unexpected(logger, error)
    return problem(INTERNAL_ERROR, event)
