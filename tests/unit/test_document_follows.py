"""The API's document is made of what the functions run: a text, a limit or a field that changes there changes in it."""

import json
from typing import Annotated, Literal, TypedDict

import pytest
from pydantic import Field, create_model

from dropzone.api import problems
from dropzone.api.parameters import Request
from dropzone.domain.payloads import VERSIONS
from dropzone.domain.payloads.v2 import EventV2
from dropzone_openapi import schemas
from dropzone_openapi.build import build


def test_a_problem_s_text(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = problems.INVALID_EVENT._replace(detail="Another text.")
    monkeypatch.setattr(problems, "INVALID_EVENT", changed)

    details = [entry for entry in _values(build()) if entry.get("type") == changed.type]

    assert {entry["detail"] for entry in details} == {"Another text."}


def test_a_parameter_s_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = create_model("StatusRequest", __base__=Request, limit=(int, Field(default=1, le=7, description="Few.")))
    monkeypatch.setattr(schemas, "StatusRequest", changed)

    [limit] = build()["paths"]["/ingest/{raw_id}"]["get"]["parameters"][1:2]

    assert (limit["name"], limit["schema"]["maximum"], limit["description"]) == ("limit", 7, "Few.")


def test_a_payload_s_field(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = create_model("EventV2", __base__=EventV2, firmware=(str, Field(max_length=9)))
    monkeypatch.setattr(schemas, "VERSIONS", {1: VERSIONS[1], 2: changed})

    event = build()["components"]["schemas"]["EventV2"]

    assert event["properties"]["firmware"] == {"type": "string", "maxLength": 9}
    assert "firmware" in event["required"]


def test_an_answer_s_field(monkeypatch: pytest.MonkeyPatch) -> None:
    class Health(TypedDict):
        status: Literal["ok"]
        version: Annotated[str, Field(description="Of what runs.")]

    monkeypatch.setattr(schemas, "Health", Health)

    health = build()["components"]["schemas"]["Health"]

    assert health["properties"]["version"] == {"type": "string", "description": "Of what runs."}
    assert health["required"] == ["status", "version"]


def _values(document: object) -> list[dict[str, object]]:
    """Every object in a document."""
    found: list[dict[str, object]] = []

    def keep(entry: dict[str, object]) -> dict[str, object]:
        found.append(entry)
        return entry

    json.loads(json.dumps(document), object_hook=keep)
    return found
