"""`GET /ingest/{raw_id}` of what is not there: never taken in, or taken in and gone."""

from functools import cache
from typing import Any
from uuid import UUID

import pytest

from dropzone.domain.identifiers import received_at
from dropzone.domain.status import State, Status
from dropzone_query import handler as query
from functional.lambda_calls import Context, api_event, json_body
from support.factories import raw_id

ENVIRONMENT = {
    "BRONZE_BUCKET": "bucket",
    "DATABASE_HOST": "127.0.0.1",
    "DATABASE_NAME": "dropzone",
    "DATABASE_USER": "dropzone_reader",
    "DATABASE_AUTH": "iam",
    "DATABASE_TLS": "disable",
    "CALL_SECONDS": "28",
}


class Nothing:
    """A bronze with nothing in it."""

    def exists(self, _raw_id: UUID) -> bool:
        return False


class Told:
    """A silver that tells this of every object."""

    def __init__(self, told: Status | None) -> None:
        self.told = told

    def status(self, _raw_id: UUID, **_which: int) -> Status | None:
        return self.told


def ask(monkeypatch: pytest.MonkeyPatch, identifier: UUID, told: Status | None) -> dict[str, Any]:
    """Look up an object that bronze doesn't have."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for made in ("settings", "database"):
        monkeypatch.setattr(query, made, cache(getattr(query, made).__wrapped__))
    monkeypatch.setattr(query, "bronze", Nothing)
    monkeypatch.setattr(query, "statuses", lambda: Told(told))
    event = api_event(b"", like="api-process", path=f"/ingest/{identifier}") | {"httpMethod": "GET"}
    answer = query.handler(event, Context())
    assert answer["statusCode"] == 404
    return json_body(answer)


def test_an_event_that_was_tried_and_is_gone_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    identifier = raw_id()
    stuck = Status(identifier, State.STUCK, received_at(identifier), attempts=5, last_error="ObjectMissingError: …")

    problem = ask(monkeypatch, identifier, stuck)

    assert problem["type"] == "urn:dropzone:problem:not-found"
    assert "no longer stored" in problem["detail"]


def test_an_event_that_never_arrived_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = ask(monkeypatch, raw_id(), None)

    assert problem["type"] == "urn:dropzone:problem:not-found"
    assert "ever accepted" in problem["detail"]
