"""Refusals, as RFC 9457 problem details (`application/problem+json`)."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from pydantic_core import to_json

from dropzone.answers import Answer

CONTENT_TYPE = "application/problem+json"


class Kind(NamedTuple):
    """A kind of problem: its stable name, the answer's status, and what to do about it in general (docs/errors.md)."""

    name: str
    status: HTTPStatus

    @property
    def type(self) -> str:
        """The problem's `type`."""
        return f"urn:dropzone:problem:{self.name}"


NOT_JSON = Kind("not-json", HTTPStatus.BAD_REQUEST)
NOT_GZIP = Kind("not-gzip", HTTPStatus.BAD_REQUEST)
NOT_FOUND = Kind("not-found", HTTPStatus.NOT_FOUND)
NOT_ACCEPTABLE = Kind("not-acceptable", HTTPStatus.NOT_ACCEPTABLE)
TOO_LARGE = Kind("too-large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
UNSUPPORTED_MEDIA_TYPE = Kind("unsupported-media-type", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
INVALID_EVENT = Kind("invalid-event", HTTPStatus.UNPROCESSABLE_ENTITY)
KEY_REUSED = Kind("idempotency-key-reused", HTTPStatus.UNPROCESSABLE_ENTITY)
INVALID_REQUEST = Kind("invalid-request", HTTPStatus.UNPROCESSABLE_ENTITY)
INTERNAL_ERROR = Kind("internal-error", HTTPStatus.INTERNAL_SERVER_ERROR)
UNAVAILABLE = Kind("unavailable", HTTPStatus.SERVICE_UNAVAILABLE)


class Broken(NamedTuple):
    """One entry of a problem's `violations`."""

    field: str
    code: str
    message: str


class InvalidRequestError(ValueError):
    """Parameters are not what the call takes."""

    def __init__(self, broken: list[Broken]) -> None:
        """Carry what is wrong with each."""
        super().__init__("invalid request")
        self.broken = broken


def problem(
    kind: Kind,
    detail: str,
    *,
    request_id: str,
    violations: Iterable[Broken] = (),
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """A problem's answer.

    Args:
        kind: type, status and title.
        detail: what is wrong with this request and what to do about it, without its values.
        request_id: to ask after.
        violations: field, code and message of each rule that the payload or the parameters break.
        headers: further ones, such as Retry-After.
    """
    body: dict[str, Any] = {
        "type": kind.type,
        "title": kind.status.phrase,
        "status": kind.status.value,
        "detail": detail,
        "request_id": request_id,
    }
    if listed := [violation._asdict() for violation in violations]:
        body["violations"] = listed
    return Answer(kind.status, CONTENT_TYPE, to_json(body).decode(), headers or {})
