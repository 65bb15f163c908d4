"""The shapes that requests and answers have."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from dropzone.api.parameters import Request
from dropzone.api.problems import Problem
from dropzone.domain.envelope import Envelope
from dropzone.domain.payloads import VERSIONS
from dropzone.queries.rejections import Rejections, RejectionsRequest
from dropzone.queries.status import Status, StatusRequest
from dropzone.use_cases.ingest import MAX_EVENTS
from dropzone_ingest.answers import Accepted
from dropzone_process.answers import Counts
from dropzone_process.request import ProcessBatch, ReplayArrived, ReplayNamed
from dropzone_web.handler import Health

Schema = dict[str, Any]


class _Plain(GenerateJsonSchema):
    """Without titles of fields, which would only repeat their names, and with null as one of a field's types."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - as it is called
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> Schema:
        inner = self.generate_inner(schema["schema"])
        return inner | {"type": [inner["type"], "null"]} if "type" in inner else super().nullable_schema(schema)


_REFERENCE = "#/components/schemas/{model}"


def model_schema(model: type[BaseModel]) -> Schema:
    """What a model takes, as a component of the document."""
    return model.model_json_schema(ref_template=_REFERENCE, schema_generator=_Plain)


def answer_components(answers: Mapping[type, Sequence[Schema]]) -> dict[str, Schema]:
    """Answers with their examples, and what they refer to, by name."""
    components: dict[str, Schema] = {}
    for answer, examples in answers.items():
        schema = TypeAdapter(answer).json_schema(mode="serialization", ref_template=_REFERENCE, schema_generator=_Plain)
        components |= schema.pop("$defs", {})
        components[answer.__name__] = schema | ({"examples": [*examples]} if examples else {})
    return components


RAW_ID = "01a20e71-e5a4-700b-bae4-431c79e16819"
RECEIVED_AT = "2026-11-24T16:44:35.108Z"
EXAMPLE_EVENT: Schema = model_schema(VERSIONS[1])["examples"][0]
EXAMPLE_EVENT_2: Schema = model_schema(VERSIONS[2])["examples"][0]
EXAMPLE_EVENTS = [EXAMPLE_EVENT, EXAMPLE_EVENT_2]
EXAMPLE_LINES = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in EXAMPLE_EVENTS)

EXAMPLE_ACCEPTED: Schema = {"raw_id": RAW_ID, "status": "accepted", "received_at": RECEIVED_AT, "items": 1}

EVENT: Schema = {
    "description": (
        "A measurement event, of the version of the payload that its `schema_version` names. Ingest checks the "
        "envelope of a single event alone; what the values must be to become a measurement is said by each version, "
        "and validated when the event is processed."
    ),
    "anyOf": [
        *({"$ref": f"#/components/schemas/{version.__name__}"} for version in VERSIONS.values()),
        {"$ref": "#/components/schemas/Envelope"},
    ],
}

EVENTS: Schema = {
    "type": "array",
    "description": "Several events. Each is validated alone: a bad one never holds up the others.",
    "minItems": 1,
    "maxItems": MAX_EVENTS,
    "items": {},
    "examples": [EXAMPLE_EVENTS],
}

LINES: Schema = {
    "description": "Several events, one a line, as in an array. Blank lines don't count.",
    "pattern": "[^ \\t\\r\\n]",
    "examples": [EXAMPLE_LINES],
}

EXAMPLE_STATUS: Schema = {
    "raw_id": RAW_ID,
    "status": "processed",
    "received_at": RECEIVED_AT,
    "settled_at": "2026-11-24T16:44:36.201544Z",
    "items": 1,
    "measured_at": "2019-05-01T10:00:00Z",
    "source": "",
    "mean": 1.0,
    "std_dev": 1.0,
    "sample_count": 2,
    "min": 0.0,
    "max": 2.0,
    "unit": "",
    "tags": {},
}

_OF_OBJECTS = {"raw_id", "received_at", "settled_at", "items"}
EXAMPLE_STATUS_OF_BATCH: Schema = {
    "raw_id": RAW_ID,
    "status": "processed",
    "received_at": RECEIVED_AT,
    "settled_at": "2026-11-24T16:44:36.201544Z",
    "items": 2,
    "counts": {"processed": 1, "superseded": 0, "rejected": 1},
    "events": [
        {"item": 0, **{name: value for name, value in EXAMPLE_STATUS.items() if name not in _OF_OBJECTS}},
        {
            "item": 1,
            "status": "rejected",
            "violations": [
                {"code": "data.empty", "field": "data", "message": "is empty: at least one number is needed"}
            ],
        },
    ],
}

EXAMPLE_REJECTIONS: Schema = {
    "rejections": [
        {
            "raw_id": RAW_ID,
            "item": 0,
            "received_at": RECEIVED_AT,
            "processed_at": "2026-11-24T16:44:36.201544Z",
            "ruleset": 2,
            "source": "",
            "violations": [
                {
                    "code": "data.empty",
                    "field": "data",
                    "message": "is empty: at least one number is needed",
                }
            ],
        }
    ]
}


def process_requests() -> dict[str, Schema]:
    """What `POST /process` takes, with what that refers to."""
    named: dict[str, Schema] = {}
    for request in (ProcessBatch, ReplayArrived, ReplayNamed):
        schema = request_schema(request)
        named |= schema.pop("$defs", {})
        named[request.__name__] = schema
    named["ProcessBatch"]["examples"] = [{"limit": 100}]
    named["ReplayArrived"]["examples"] = [{"reprocess": True, "from": RECEIVED_AT, "dry_run": True}]
    named["ReplayNamed"]["examples"] = [{"reprocess": True, "raw_ids": [RAW_ID]}]
    return named


def rejections_request() -> Schema:
    """What `GET /rejections` takes."""
    return request_schema(RejectionsRequest)


def status_request() -> Schema:
    """What `GET /ingest/{raw_id}` takes in its query."""
    return request_schema(StatusRequest)


def request_schema(request: type[Request]) -> Schema:
    """A request, by what reads it."""
    return dict(sorted(model_schema(request).items()))


def components() -> Schema:
    """All of them, by name."""
    return {
        "Event": EVENT,
        **{version.__name__: model_schema(version) for version in VERSIONS.values()},
        "Envelope": model_schema(Envelope),
        "Events": EVENTS,
        "Lines": LINES,
        **process_requests(),
        **answer_components(
            {
                Accepted: [EXAMPLE_ACCEPTED],
                Status: [EXAMPLE_STATUS, EXAMPLE_STATUS_OF_BATCH],
                Rejections: [EXAMPLE_REJECTIONS],
                Counts: [{"checked": 1, "processed": 1, "failed": 0}],
                Health: [{"status": "ok"}],
                Problem: [],
            }
        ),
    }
