"""What breaks a client of the released document is found, and what doesn't is let pass."""

import json
import pickle
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest

from dropzone.domain.outcomes import Rejection
from dropzone.domain.payloads import VERSIONS
from dropzone_openapi import __main__ as command
from dropzone_openapi.build import RELEASED, build
from dropzone_openapi.contract import breaking_changes, is_allowed

Document = dict[str, Any]
Change = Callable[[Document], object]

OLD: Document = json.loads(RELEASED.read_text(encoding="utf-8"))
OLD_PICKLED = pickle.dumps(OLD)
"""A copy by pickle takes a fifth of the time of deepcopy's."""


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


def tags(document: Document) -> Document:
    found: Document = schema(document, "EventV2")["properties"]["tags"]
    return found


def tag(document: Document) -> Document:
    [found] = tags(document)["patternProperties"].values()
    assert isinstance(found, dict)
    return found


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
        "GET /rejections query limit: maximum was 1000, is 10",
    ),
    "a lower limit rises": (
        lambda d: parameter(d, "limit")["schema"].update(minimum=10),
        "GET /rejections query limit: minimum was",
    ),
    "a pattern changes": (
        lambda d: parameter(d, "cursor")["schema"].update(pattern="^a$"),
        "GET /rejections query cursor: pattern was",
    ),
    "a media type goes": (
        lambda d: ingest(d)["requestBody"]["content"].pop("application/x-ndjson"),
        "POST /ingest body application/x-ndjson: is gone",
    ),
    "a body becomes required": (
        lambda d: d["paths"]["/process"]["post"]["requestBody"].update(required=True),
        "POST /process body: is required",
    ),
    "several events go": (
        lambda d: ingest(d)["requestBody"]["content"]["application/json"].update(
            schema={"$ref": "#/components/schemas/Event"}
        ),
        "POST /ingest body application/json: has an alternative that is not taken any more",
    ),
    "a payload's field becomes required": (
        lambda d: schema(d, "EventV2")["required"].append("unit"),
        "EventV2: required was",
    ),
    "a payload's field may be less": (
        lambda d: schema(d, "EventV2")["properties"]["source"].update(type="string"),
        "EventV2.source: type was",
    ),
    "a payload's field may be shorter only": (
        lambda d: schema(d, "EventV2")["properties"]["source"].update(maxLength=20),
        "EventV2.source: maxLength was",
    ),
    "a payload reads a field that could be anything": (
        lambda d: schema(d, "EventV1")["properties"].update(unit={"type": "string"}),
        "EventV1.unit: type was",
    ),
    "a payload takes no other fields": (
        lambda d: schema(d, "EventV1").update(additionalProperties=False),
        "EventV1.*: not was",
    ),
    "a payload's other fields may be shorter only": (
        lambda d: tag(d).update(maxLength=10),
        "EventV2.tags patternProperties ^[^\\u0000-\\u001f\\u007f-\\u009f]*$: maxLength was 256, is 10",
    ),
    "a payload's other fields may not all be called what they were": (
        lambda d: tags(d)["propertyNames"].update(maxLength=1),
        "EventV2.tags propertyNames: maxLength was",
    ),
    "a payload has further rules": (
        lambda d: schema(d, "EventV2").update(allOf=[{"required": ["unit"]}]),
        "EventV2: allOf was",
    ),
    "a payload may not be what it could be": (
        lambda d: schema(d, "EventV2").update({"not": {"required": ["unit"]}}),
        "EventV2: not was",
    ),
    "a payload's samples must differ": (
        lambda d: schema(d, "EventV2")["properties"]["data"].update(uniqueItems=True),
        "EventV2.data: uniqueItems was",
    ),
    "a payload's samples are of another step": (
        lambda d: schema(d, "EventV2")["properties"]["data"].update(multipleOf=2),
        "EventV2.data: multipleOf was",
    ),
    "a payload's field has a format": (
        lambda d: schema(d, "EventV2")["properties"]["time_stamp"].update(format="date-time"),
        "EventV2.time_stamp: format was",
    ),
    "a field of an answer is never given": (
        lambda d: schema(d, "Counts")["properties"].update(cursor=False),
        "POST /process 200 application/json.cursor: is gone",
    ),
    "a payload's field is not read any more": (
        lambda d: schema(d, "EventV2")["properties"].pop("unit"),
        "EventV2.unit: is gone",
    ),
    "a keyword comes that nobody thought of": (
        lambda d: schema(d, "EventV2").update(unheardOf=1),
        "EventV2: unheardOf was",
    ),
    "a parameter that is left out means something else": (
        lambda d: parameter(d, "limit")["schema"].update(default=10),
        "GET /rejections query limit: default was",
    ),
    "a parameter is written in another way": (
        lambda d: parameter(d, "limit").update(style="pipeDelimited"),
        "GET /rejections query limit: has another style",
    ),
    "another key is asked for": (
        lambda d: ingest(d).update(security=[{"apiKey": []}, {"other": []}]),
        "POST /ingest: asks for another key",
    ),
    "the key is sent in another way": (
        lambda d: d["components"]["securitySchemes"]["apiKey"].update(name="authorization"),
        "security scheme apiKey: is another",
    ),
    "the API moves": (lambda d: d.update(servers=[{"url": "/v9"}]), "server .: is gone"),
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
        lambda d: schema(d, "Accepted")["required"].remove("received_at"),
        "POST /ingest 202 application/json: required was",
    ),
    "a field of an answer has another type": (
        lambda d: schema(d, "Counts")["properties"]["checked"].update(type=["integer", "null"]),
        "POST /process 200 application/json.checked: type was",
    ),
    "an answer has a further value": (
        lambda d: schema(d, "State")["enum"].append("lost"),
        "GET /ingest/{id} 200 application/json.status: enum was",
    ),
    "an answer has another format": (
        lambda d: schema(d, "Accepted")["properties"]["received_at"].pop("format"),
        "POST /ingest 202 application/json.received_at: format was",
    ),
    "a field of an answer may be more": (
        lambda d: schema(d, "ObjectStatus")["properties"]["items"].update(minimum=0),
        "GET /ingest/{id} 200 application/json.items: minimum was",
    ),
    "the other fields of an answer have another type": (
        lambda d: schema(d, "ObjectStatus")["properties"]["tags"]["additionalProperties"].update(type="integer"),
        "GET /ingest/{id} 200 application/json.tags.*: type was",
    ),
    "a header has another type": (
        lambda d: ingest(d)["responses"]["202"]["headers"]["Location"]["schema"].update(type="integer"),
        "POST /ingest 202 header Location: type was",
    ),
    "a field of a refusal goes": (
        lambda d: schema(d, "Problem")["properties"].pop("type"),
        "POST /ingest 422 application/problem+json.type: is gone",
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
    "a field of an answer comes": lambda d: schema(d, "ObjectStatus")["properties"].update(x={"type": "string"}),
    "a field of an answer is always there": lambda d: schema(d, "ObjectStatus")["required"].append("settled_at"),
    "a version of the payload comes": lambda d: d["components"]["schemas"].update(EventV99={"type": "object"}),
    "a payload's field may be more": lambda d: schema(d, "EventV2")["properties"]["source"].update(maxLength=500),
    "a payload's other fields may be longer": lambda d: tag(d).update(maxLength=500),
    "a payload's other fields are described": lambda d: tag(d).update(title="Tag"),
    "a reference is written out": lambda d: schema(d, "Event")["anyOf"].insert(0, schema(d, "EventV1")),
    "a field of an answer may be less": lambda d: schema(d, "ObjectStatus")["properties"]["items"].update(maximum=9),
    "an answer may hold other fields": lambda d: schema(d, "ObjectStatus").update(additionalProperties=True),
    "a key is not asked for any more": lambda d: ingest(d).update(security=[]),
    "a refusal goes": lambda d: ingest(d)["responses"].pop("415"),
    "a description changes": lambda d: schema(d, "EventV2").update(description="Else."),
    "a refusal comes": lambda d: ingest(d)["responses"].update({"418": {}}),
}


def changed(change: Change) -> Document:
    document: Document = pickle.loads(OLD_PICKLED)  # noqa: S301 - our own
    change(document)
    return document


@pytest.mark.parametrize(("change", "said"), BREAKING.values(), ids=list(BREAKING))
def test_what_breaks_a_client_is_found(change: Change, said: str) -> None:
    assert [found for found in breaking_changes(OLD, changed(change)) if found.startswith(said)]


@pytest.mark.parametrize("change", HARMLESS.values(), ids=list(HARMLESS))
def test_what_breaks_none_passes(change: Change) -> None:
    assert breaking_changes(OLD, changed(change)) == []


SHORT, LONG = {"type": "string", "maxLength": 5}, {"type": "string", "maxLength": 9}

NARROWER: dict[str, tuple[Document, Document]] = {
    "type": ({"type": "integer"}, {"type": "number"}),
    "enum": ({"enum": ["a"]}, {"enum": ["a", "b"]}),
    "const": ({"const": "a"}, {"enum": ["a", "b"]}),
    "true is not 1": ({"enum": [1]}, {"enum": [1, True]}),
    "required": ({"required": ["a", "b"]}, {"required": ["a"]}),
    "an upper bound": ({"exclusiveMaximum": 1}, {}),
    "a lower bound": ({"minItems": 2}, {"minItems": 1}),
    "pattern": ({"pattern": "^a$"}, {}),
    "format": ({"format": "uuid"}, {}),
    "properties": ({"properties": {"a": SHORT}}, {"properties": {"a": LONG}}),
    "items": ({"items": SHORT}, {"items": LONG}),
    "items of items": ({"items": {"items": SHORT}}, {"items": {}}),
    "additionalProperties": ({"additionalProperties": SHORT}, {"additionalProperties": LONG}),
    "additionalProperties at all": ({"additionalProperties": SHORT}, {"additionalProperties": True}),
    "propertyNames": ({"propertyNames": SHORT}, {"propertyNames": LONG}),
    "patternProperties": ({"patternProperties": {"^a": SHORT}}, {"patternProperties": {"^a": LONG}}),
    "anyOf": ({"anyOf": [SHORT, {"type": "null"}]}, {"anyOf": [{"type": "null"}, LONG]}),
    "anyOf beside others": ({"minLength": 1, "anyOf": [SHORT]}, {"minLength": 1, "anyOf": [LONG]}),
    "fewer of anyOf": (SHORT, {"anyOf": [SHORT, {"type": "null"}]}),
    "anyOf at all": ({"minLength": 1, "anyOf": [SHORT]}, {"minLength": 1}),
    "$ref": ({"$ref": "#/components/schemas/Short"}, {"$ref": "#/components/schemas/Long"}),
    "deep": (
        {"items": {"additionalProperties": {"patternProperties": {"^a": {"properties": {"a": SHORT}}}}}},
        {"items": {"additionalProperties": {"patternProperties": {"^a": {"properties": {"a": LONG}}}}}},
    ),
}

OTHER: dict[str, tuple[Document, Document]] = {
    "allOf": ({"allOf": [SHORT]}, {"allOf": [LONG]}),
    "prefixItems": ({"prefixItems": [SHORT, LONG]}, {"prefixItems": [LONG, LONG]}),
    "pattern": ({"pattern": "a"}, {"pattern": "b"}),
    "not": ({"not": SHORT}, {"not": LONG}),
    "oneOf": ({"oneOf": [SHORT]}, {"oneOf": [LONG]}),
    "if": ({"if": SHORT, "then": {}}, {"if": LONG, "then": {}}),
    "then": ({"if": {}, "then": SHORT}, {"if": {}, "then": LONG}),
    "else": ({"if": {}, "else": SHORT}, {"if": {}, "else": LONG}),
    "contains": ({"contains": SHORT}, {"contains": LONG}),
    "contains at all": ({"type": "array"}, {"type": "array", "contains": SHORT}),
    "more of allOf": ({"allOf": [SHORT]}, {"allOf": [SHORT, {}]}),
    "more of patternProperties": ({"patternProperties": {"^a": {}}}, {"patternProperties": {"^b": {}}}),
    "default": ({"default": 1}, {"default": True}),
    "a reference within not": (
        {"not": {"$ref": "#/components/schemas/Short"}},
        {"not": {"$ref": "#/components/schemas/Long"}},
    ),
    "beside a reference": (
        {"$ref": "#/components/schemas/Long", "minLength": 1, "contentEncoding": "base64"},
        {"$ref": "#/components/schemas/Long", "minLength": 1},
    ),
    "of itself": (
        {"properties": {"a": {"$ref": "#/components/schemas/Tree"}}},
        {"properties": {"a": {"$ref": "#/components/schemas/Wood"}}},
    ),
}

SAME: dict[str, tuple[Document, Document]] = {
    "annotations": ({"not": {"title": "A"}, "examples": [1]}, {"not": {"description": "B"}, "deprecated": True}),
    "order": (
        {"type": ["null", "string"], "required": ["a", "b"]},
        {"required": ["b", "a"], "type": ["string", "null"]},
    ),
    "a field that is called as an annotation": ({"properties": {"title": SHORT}}, {"properties": {"title": SHORT}}),
    "a reference and what it names": ({"not": {"$ref": "#/components/schemas/Short"}}, {"not": SHORT}),
    "true and {}": ({"contains": True}, {"contains": {}}),
    "a schema of itself": ({"$ref": "#/components/schemas/Tree"}, {"$ref": "#/components/schemas/Tree"}),
}


def sent(value: Document) -> Document:
    return using(value, "EventV9", {})


def received(value: Document) -> Document:
    return using(value, "Answer", {"200": {"content": {"x": {"schema": {"$ref": "#/components/schemas/Answer"}}}}})


def using(value: Document, name: str, responses: Document) -> Document:
    tree = {"properties": {"leaf": SHORT, "tree": {"$ref": "#/components/schemas/Tree"}}}
    wood = {"properties": {"leaf": {"type": "null"}, "tree": {"$ref": "#/components/schemas/Wood"}}}
    schemas = {"Short": SHORT, "Long": LONG, "Tree": tree, "Wood": wood, name: value}
    return {"paths": {"/x": {"get": {"responses": responses}}}, "components": {"schemas": schemas}}


@pytest.mark.parametrize(("narrow", "wide"), NARROWER.values(), ids=list(NARROWER))
def test_what_is_sent_may_become_wider_and_what_is_received_narrower(narrow: Document, wide: Document) -> None:
    assert breaking_changes(sent(wide), sent(narrow)) != []
    assert breaking_changes(sent(narrow), sent(wide)) == []
    assert breaking_changes(received(narrow), received(wide)) != []
    assert breaking_changes(received(wide), received(narrow)) == []


@pytest.mark.parametrize(("one", "other"), OTHER.values(), ids=list(OTHER))
def test_an_incomparable_change_breaks(one: Document, other: Document) -> None:
    for place in (sent, received):
        assert breaking_changes(place(one), place(other)) != []
        assert breaking_changes(place(other), place(one)) != []


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=list(SAME))
def test_what_says_the_same_passes(one: Document, other: Document) -> None:
    for place in (sent, received):
        assert breaking_changes(place(one), place(other)) == []
        assert breaking_changes(place(other), place(one)) == []


def test_every_operation_and_payload_of_today_is_promised() -> None:
    # What isn't in released.json may change at will: `python -m dropzone_openapi --release` puts it there.
    assert promised(build()) <= promised(OLD)


def promised(document: Document) -> set[str]:
    operations = {f"{method} {path}" for path, item in document["paths"].items() for method in item}
    return operations | {name for name in document["components"]["schemas"] if name.startswith("EventV")}


def test_today_s_document_keeps_what_was_promised() -> None:
    assert breaking_changes(OLD, build()) == [] or is_allowed(OLD, build())


@pytest.mark.parametrize(
    ("released", "version", "allowed"),
    [
        ("0.1.0", "0.1.9", False),
        ("0.1.0", "0.2.0", True),
        ("0.9.0", "0.10.0", True),
        ("0.9.0", "1.0.0", True),
        ("1.0.0", "1.9.0", False),
        ("1.9.0", "2.0.0", True),
    ],
)
def test_a_break_needs_a_version_that_says_so(released: str, version: str, *, allowed: bool) -> None:
    assert is_allowed({"info": {"version": released}}, {"info": {"version": version}}) is allowed


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


# ---- what version 2 says of its texts is what it does ----------------------------------------------------------------

TEXTS = [
    *(before + chr(code) + after
      for code in (*range(0x21), *range(0x7E, 0xA2), 0xAD, 0x200B, 0x2028, 0x2029, 0xFEFF, 0xFFFD, 0x1F600)
      for before, after in (("", ""), ("a", ""), ("", "a"), ("a", "b"))),
    *("a" * length for length in (0, 1, 50, 51, 64, 65, 200, 201, 256, 257)),
    *("\U0001f600" * length for length in (50, 51, 64, 65, 200, 201, 256, 257)),
    "a\n", "a\r\n", "a\nb", "hall-3/thermometer-7", "°C", "\\u0001", "[^$",
]  # fmt: skip

LABELS: dict[str, Callable[[str], Document]] = {
    "source": lambda text: {"source": text},
    "unit": lambda text: {"unit": text},
    "a tag's name": lambda text: {"tags": {"a": "b", text: "c"}},
    "a tag's value": lambda text: {"tags": {"a": "b", "c": text}},
}


@pytest.mark.parametrize("labelled", LABELS.values(), ids=list(LABELS))
def test_version_2_takes_the_texts_that_its_schema_takes(labelled: Callable[[str], Document]) -> None:
    # A validator that reads patterns as ECMA-262 does: to Python's, `$` matches before a last line feed as well.
    validator = jsonschema_rs.Draft202012Validator(VERSIONS[2].model_json_schema())
    event = {"schema_version": 2, "time_stamp": "2026-11-24T16:44:35.108Z", "data": [1]}

    by_schema = [text for text in TEXTS if validator.is_valid(event | labelled(text))]
    by_code = [text for text in TEXTS if not isinstance(VERSIONS[2].read(event | labelled(text)), Rejection)]

    assert by_schema == by_code
    assert 0 < len(by_code) < len(TEXTS)
