"""`GET /ingest/{raw_id}` of what is not there: never taken in, or taken in and gone."""

from functools import cache
from typing import Any
from uuid import UUID

import pytest

from dropzone_query import handler as query
from functional.lambda_calls import api_event, json_body
from support.factories import raw_id
from support.fakes import InMemoryClients
from support.lambda_context import Context
from support.reads import Row, Rows

ENVIRONMENT = {
    "BRONZE_BUCKET": "bucket",
    "DATABASE_HOST": "127.0.0.1",
    "DATABASE_NAME": "dropzone",
    "DATABASE_USER": "dropzone_reader",
    "DATABASE_AUTH": "iam",
    "DATABASE_TLS": "disable",
    "CALL_SECONDS": "28",
    "DEFAULT_SCOPES": "read,operate",
}


class Nothing:
    """A bronze with nothing in it."""

    def sender(self, _raw_id: UUID) -> str | None:
        return None


def ask(monkeypatch: pytest.MonkeyPatch, *known: Row) -> dict[str, Any]:
    """Ask for the status of an object that bronze doesn't have."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(query, "settings", cache(query.settings.__wrapped__))
    monkeypatch.setattr(query, "bronze", Nothing)
    monkeypatch.setattr(query, "clients", InMemoryClients)
    monkeypatch.setattr(query, "database", lambda: Rows(objects=known))
    event = api_event(b"", like="api-process", path=f"/ingest/{raw_id()}") | {"httpMethod": "GET"}
    answer = query.handler(event, Context())
    assert answer["statusCode"] == 404
    return json_body(answer)


def test_an_event_that_was_tried_and_is_gone_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = ask(monkeypatch, {"status": "stuck", "attempts": 5, "last_error": "ObjectMissingError: …"})

    assert problem["type"] == "urn:dropzone:problem:not-found"
    assert "no longer stored" in problem["detail"]


def test_an_event_that_never_arrived_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = ask(monkeypatch)

    assert problem["type"] == "urn:dropzone:problem:not-found"
    assert "ever accepted" in problem["detail"]
