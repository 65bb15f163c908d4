"""What breaks a client of the released document is found, and what doesn't is let pass."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from dropzone_openapi import __main__ as command
from dropzone_openapi.build import RELEASED, build
from dropzone_openapi.contract import breaking_changes, is_allowed

Document = dict[str, Any]
Change = Callable[[Document], object]

OLD: Document = json.loads(RELEASED.read_text(encoding="utf-8"))


def ingest(document: Document) -> Document:
    operation: Document = document["paths"]["/ingest"]["post"]
    return operation


def schema(document: Document, name: str) -> Document:
    found: Document = document["components"]["schemas"][name]
    return found


def parameter(document: Document, name: str) -> Document:
    [found] = [entry for entry in document["paths"]["/rejections"]["get"]["parameters"] if entry["name"] == name]
    answer: Document = found
    return answer


def forget_version_1(document: Document) -> None:
    del document["components"]["schemas"]["EventV1"]
    schema(document, "Event")["anyOf"].remove({"$ref": "#/components/schemas/EventV1"})


BREAKING: dict[str, tuple[Change, str]] = {
    "a path goes": (lambda d: d["paths"].pop("/health"), "GET /health: is gone"),
    "a method goes": (lambda d: d["paths"]["/process"].pop("post"), "POST /process: is gone"),
    "a key is asked for": (
        lambda d: d["paths"]["/health"]["get"].update(security=[{"apiKey": []}]),
        "GET /health: asks for a key",
    ),
    "a parameter goes": (
        lambda d: d["paths"]["/rejections"]["get"].update(parameters=[]),
        "GET /rejections query code: is gone",
    ),
    "a parameter becomes required": (
        lambda d: parameter(d, "code").update(required=True),
        "GET /rejections query code: is required",
    ),
    "a parameter comes, and is required": (
        lambda d: ingest(d)["parameters"].append(
            {"in": "query", "name": "x", "required": True, "schema": {"type": "string"}}
        ),
        "POST /ingest query x: is new, and required",
    ),
    "a limit sinks": (
        lambda d: parameter(d, "limit")["schema"].update(maximum=10),
        "GET /rejections query limit: has a lower maximum",
    ),
    "a lower limit rises": (
        lambda d: parameter(d, "limit")["schema"].update(minimum=10),
        "GET /rejections query limit: has a higher minimum",
    ),
    "a pattern changes": (
        lambda d: parameter(d, "cursor")["schema"].update(pattern="^a$"),
        "GET /rejections query cursor: has another pattern",
    ),
    "a media type goes": (
        lambda d: ingest(d)["requestBody"]["content"].pop("application/x-ndjson"),
        "POST /ingest body application/x-ndjson: is not taken any more",
    ),
    "a body becomes required": (
        lambda d: d["paths"]["/process"]["post"]["requestBody"].update(required=True),
        "POST /process body: is required",
    ),
    "several events go": (
        lambda d: ingest(d)["requestBody"]["content"]["application/json"].update(
            schema={"$ref": "#/components/schemas/Event"}
        ),
        "POST /ingest body application/json: an alternative of it is not taken any more",
    ),
    "a payload's field becomes required": (
        lambda d: schema(d, "EventV2")["required"].append("unit"),
        "EventV2.unit: is required",
    ),
    "a payload's field may be less": (
        lambda d: schema(d, "EventV2")["properties"]["source"].update(type="string"),
        "EventV2.source: may not be null any more",
    ),
    "a payload's field may be shorter only": (
        lambda d: schema(d, "EventV2")["properties"]["source"].update(maxLength=20),
        "EventV2.source: has a lower maxLength",
    ),
    "a payload reads a field that could be anything": (
        lambda d: schema(d, "EventV1")["properties"].update(unit={"type": "string"}),
        "EventV1.unit: could be anything before",
    ),
    "a payload takes no other fields": (
        lambda d: schema(d, "EventV1").update(additionalProperties=False),
        "EventV1: takes no other fields any more",
    ),
    "a version of the payload goes": (forget_version_1, "EventV1: is gone"),
    "an answer goes": (lambda d: ingest(d)["responses"].pop("202"), "POST /ingest 202: is gone"),
    "a header goes": (
        lambda d: ingest(d)["responses"]["202"]["headers"].pop("Location"),
        "POST /ingest 202 header Location: is gone",
    ),
    "a field of an answer goes": (
        lambda d: schema(d, "Counts")["properties"].pop("cursor"),
        "POST /process 200 application/json.cursor: is gone",
    ),
    "a field of an answer may be missing": (
        lambda d: schema(d, "Accepted")["required"].remove("items"),
        "POST /ingest 202 application/json.items: may be missing",
    ),
    "a field of an answer has another type": (
        lambda d: schema(d, "Counts")["properties"]["checked"].update(type=["integer", "null"]),
        "POST /process 200 application/json.checked: may be null",
    ),
    "an answer has a further value": (
        lambda d: schema(d, "Status")["properties"]["status"]["enum"].append("lost"),
        "GET /ingest/{raw_id} 200 application/json.status: has further values",
    ),
    "an answer has another format": (
        lambda d: schema(d, "Accepted")["properties"]["received_at"].pop("format"),
        "POST /ingest 202 application/json.received_at: has another format",
    ),
}

HARMLESS: dict[str, Change] = {
    "nothing": lambda _: None,
    "a path comes": lambda d: d["paths"].update({"/x": {"get": {"responses": {"200": {}}}}}),
    "a parameter comes": lambda d: ingest(d)["parameters"].append(
        {"in": "query", "name": "x", "schema": {"type": "string"}}
    ),
    "a limit rises": lambda d: parameter(d, "limit")["schema"].update(maximum=10_000),
    "a media type comes": lambda d: ingest(d)["requestBody"]["content"].update({"text/csv": {"schema": {}}}),
    "a field of an answer comes": lambda d: schema(d, "Status")["properties"].update(x={"type": "string"}),
    "a field of an answer is always there": lambda d: schema(d, "Status")["required"].append("settled_at"),
    "a version of the payload comes": lambda d: d["components"]["schemas"].update(EventV3={"type": "object"}),
    "a payload's field may be more": lambda d: schema(d, "EventV2")["properties"]["source"].update(maxLength=500),
    "a description changes": lambda d: schema(d, "EventV2").update(description="Else."),
    "a refusal comes": lambda d: ingest(d)["responses"].update({"418": {}}),
}


def changed(change: Change) -> Document:
    document = copy.deepcopy(OLD)
    change(document)
    return document


@pytest.mark.parametrize(("change", "said"), BREAKING.values(), ids=list(BREAKING))
def test_what_breaks_a_client_is_found(change: Change, said: str) -> None:
    assert said in breaking_changes(OLD, changed(change))


@pytest.mark.parametrize("change", HARMLESS.values(), ids=list(HARMLESS))
def test_what_breaks_none_passes(change: Change) -> None:
    assert breaking_changes(OLD, changed(change)) == []


def test_today_s_document_keeps_what_was_promised() -> None:
    assert breaking_changes(OLD, build()) == [] or is_allowed(OLD, build())


@pytest.mark.parametrize(("version", "allowed"), [("1.9.0", False), ("2.0.0", True), ("10.0.0", True)])
def test_a_break_needs_another_major_version(version: str, *, allowed: bool) -> None:
    assert is_allowed(OLD, {"info": {"version": version}}) is allowed


@pytest.mark.parametrize("option", ["--check", "--release"])
def test_the_gate_refuses_a_break_and_says_which(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # GIVEN a released document with a route that is gone today
    def route_of_old(document: Document) -> None:
        document["paths"]["/old"] = document["paths"]["/health"]

    promised = json.dumps(changed(route_of_old))
    monkeypatch.setattr(command, "RELEASED", _Text(promised))
    monkeypatch.setattr("sys.argv", ["dropzone_openapi", option])

    # THEN the gate says so, and nothing is released
    assert command.main() == 1
    assert "GET /old: is gone" in capsys.readouterr().err


class _Text:
    """A file that is only read."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read_text(self, encoding: str) -> str:
        assert encoding == "utf-8"
        return self.text
