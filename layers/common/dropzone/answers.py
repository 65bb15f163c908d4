"""What a request is answered with, whatever routed it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from pydantic_core import to_json


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and headers."""

    status: HTTPStatus
    content_type: str
    body: str
    headers: Mapping[str, str]


def answer(status: HTTPStatus, body: object, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer in JSON."""
    return Answer(status, "application/json", to_json(body).decode(), headers or {})


def milliseconds(instant: datetime) -> str:
    """An instant in UTC, RFC 3339, to the millisecond, which is what an identifier knows of its arrival."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
