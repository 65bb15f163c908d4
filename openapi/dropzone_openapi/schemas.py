"""The shapes that requests and answers have."""

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from dropzone.api.parameters import Request
from dropzone.domain.changes import Change
from dropzone.domain.envelope import Envelope
from dropzone.domain.outcomes import Code
from dropzone.domain.payloads import VERSIONS
from dropzone.domain.positions import POSITION_PATTERN
from dropzone.domain.status import State
from dropzone.use_cases.ingest import MAX_EVENTS
from dropzone_process.request import ProcessBatch, ReplayArrived, ReplayNamed
from dropzone_query.requests import RejectionsRequest, StatusRequest

Schema = dict[str, Any]


class _Plain(GenerateJsonSchema):
    """Without titles of fields, which would only repeat their names, and with null as one of a field's types."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - as it is called
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> Schema:
        inner = self.generate_inner(schema["schema"])
        return inner | {"type": [inner["type"], "null"]} if "type" in inner else super().nullable_schema(schema)


def model_schema(model: type[BaseModel]) -> Schema:
    """What a model takes, as a component of the document."""
    return model.model_json_schema(ref_template="#/components/schemas/{model}", schema_generator=_Plain)


RAW_ID = "01a20e71-e5a4-700b-bae4-431c79e16819"
RECEIVED_AT = "2026-11-24T16:44:35.108Z"
EXAMPLE_EVENT: Schema = model_schema(VERSIONS[1])["examples"][0]
EXAMPLE_EVENT_2: Schema = model_schema(VERSIONS[2])["examples"][0]
EXAMPLE_EVENTS = [EXAMPLE_EVENT, EXAMPLE_EVENT_2]
EXAMPLE_LINES = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in EXAMPLE_EVENTS)

EXAMPLE_ACCEPTED: Schema = {"raw_id": RAW_ID, "status": "accepted", "received_at": RECEIVED_AT, "items": 1}

_RAW_ID: Schema = {"type": "string", "format": "uuid", "description": "A UUIDv7: its order is the order of arrival."}
_INSTANT: Schema = {"type": "string", "format": "date-time"}

EVENT: Schema = {
    "description": (
        "A measurement event, of the version of the payload that its `schema_version` names. Ingest checks the "
        "envelope of a single event alone; what the values must be to become a measurement is said by each version, "
        "and judged when the event is processed."
    ),
    "anyOf": [
        *({"$ref": f"#/components/schemas/{version.__name__}"} for version in VERSIONS.values()),
        {"$ref": "#/components/schemas/Envelope"},
    ],
}

EVENTS: Schema = {
    "type": "array",
    "description": "Several events. Each is judged alone: a bad one never holds up the others.",
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

ACCEPTED: Schema = {
    "type": "object",
    "required": ["raw_id", "status", "received_at", "items"],
    "properties": {
        "raw_id": _RAW_ID,
        "status": {"const": "accepted"},
        "received_at": {"type": "string", "format": "date-time"},
        "items": {"type": "integer", "minimum": 1, "description": "How many events it holds."},
    },
    "additionalProperties": False,
    "examples": [EXAMPLE_ACCEPTED],
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

_VIOLATIONS: Schema = {
    "type": "array",
    "description": "Of a rejected event: every rule that it breaks, 10 at most.",
    "items": {"$ref": "#/components/schemas/Violation"},
}

MEASUREMENT: Schema = {
    "measured_at": {**_INSTANT, "description": "Of a processed event, as all that follows: in UTC."},
    "source": {"type": "string", "description": "Empty where the event names none."},
    "mean": {"type": "number"},
    "std_dev": {"type": "number", "minimum": 0, "description": "The population's."},
    "sample_count": {"type": "integer", "minimum": 1},
    "min": {"type": "number"},
    "max": {"type": "number"},
    "unit": {"type": "string", "description": "Empty where the event names none."},
    "tags": {"type": "object", "additionalProperties": {"type": "string"}},
}
"""The fields of a measurement."""

_EVENT_STATUS: Schema = {
    **MEASUREMENT,
    "superseded_by": {**_RAW_ID, "description": "Whose event stands now."},
    "violations": _VIOLATIONS,
}

EXAMPLE_STATUS_OF_BATCH: Schema = {
    "raw_id": RAW_ID,
    "status": "processed",
    "received_at": RECEIVED_AT,
    "settled_at": "2026-11-24T16:44:36.201544Z",
    "items": 2,
    "counts": {"processed": 1, "superseded": 0, "rejected": 1},
    "events": [
        {"item": 0, **{name: EXAMPLE_STATUS[name] for name in ("status", *MEASUREMENT)}},
        {
            "item": 1,
            "status": "rejected",
            "violations": [
                {"code": "data.empty", "field": "data", "message": "is empty: at least one number is needed"}
            ],
        },
    ],
}

STATUS: Schema = {
    "type": "object",
    "required": ["raw_id", "status", "received_at"],
    "properties": {
        "raw_id": _RAW_ID,
        "status": {
            "enum": list(State),
            "description": (
                "`accepted`: stored, not settled yet. `processed`: its measurement stands. `superseded`: it was "
                "processed, and a later event for the same instant and source stands. `rejected`: it breaks rules. "
                "`stuck`: five attempts failed, which `last_error` explains; it is retried hourly, then daily. "
                "Of several events: `processed` where one stands at least, `rejected` where all are."
            ),
        },
        "received_at": _INSTANT,
        "settled_at": _INSTANT,
        "items": {"type": "integer", "minimum": 1, "description": "Of a settled object: how many events it holds."},
        **_EVENT_STATUS,
        "counts": {
            "type": "object",
            "description": "Of several events: how many are in each state.",
            "required": [State.PROCESSED, State.SUPERSEDED, State.REJECTED],
            "properties": {
                state.value: {"type": "integer", "minimum": 0}
                for state in (State.PROCESSED, State.SUPERSEDED, State.REJECTED)
            },
            "additionalProperties": False,
        },
        "events": {
            "type": "array",
            "description": "Of several events: a page of them.",
            "items": {
                "type": "object",
                "required": ["item", "status"],
                "properties": {
                    "item": {"type": "integer", "minimum": 0, "description": "Which event, from 0."},
                    "status": {"enum": [State.PROCESSED, State.SUPERSEDED, State.REJECTED]},
                    **_EVENT_STATUS,
                },
                "additionalProperties": False,
            },
        },
        "cursor": {"type": "integer", "minimum": 0, "description": "Where to go on: there when there are more events."},
        "attempts": {"type": "integer", "minimum": 0, "description": "Tries that did not settle it."},
        "last_error": {"type": "string", "description": "Why the last one did not."},
    },
    "additionalProperties": False,
    "examples": [EXAMPLE_STATUS, EXAMPLE_STATUS_OF_BATCH],
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

REJECTIONS: Schema = {
    "type": "object",
    "required": ["rejections"],
    "properties": {
        "rejections": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["raw_id", "item", "received_at", "processed_at", "ruleset", "source", "violations"],
                "properties": {
                    "raw_id": _RAW_ID,
                    "item": {"type": "integer", "minimum": 0, "description": "Which event of its object, from 0."},
                    "received_at": _INSTANT,
                    "processed_at": _INSTANT,
                    "ruleset": {"type": "integer", "minimum": 1, "description": "The rules that judged it."},
                    "source": {"type": "string", "description": "Empty where the event names none that can be read."},
                    "violations": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"$ref": "#/components/schemas/Violation"},
                    },
                },
                "additionalProperties": False,
            },
        },
        "cursor": {"type": "string", "description": "Where to go on: there when the limit ended the list."},
    },
    "additionalProperties": False,
    "examples": [EXAMPLE_REJECTIONS],
}

COUNTS: Schema = {
    "type": "object",
    "description": "Objects that this call settled: checked = processed + failed.",
    "required": ["checked", "processed", "failed"],
    "properties": {
        "checked": {"type": "integer", "minimum": 0},
        "processed": {"type": "integer", "minimum": 0, "description": "Objects without a rejected event."},
        "failed": {
            "type": "integer",
            "minimum": 0,
            "description": "Objects with a rejected event; they stay.",
        },
        "changes": {
            "type": "object",
            "description": "With reprocess: events, by what changed for them (with dry_run: would change).",
            "required": list(Change),
            "properties": {change.value: {"type": "integer", "minimum": 0} for change in Change},
            "additionalProperties": False,
        },
        "unread": {
            "type": "integer",
            "minimum": 0,
            "description": "With reprocess: objects that could not be judged again; their outcomes stay as they are.",
        },
        "cursor": {
            "type": "string",
            "pattern": POSITION_PATTERN,
            "description": (
                "Where to go on: there when limit or time ended the call before the bucket did. `<raw_id>` is behind "
                "an object. With reprocess it may lie within one of many events, `<raw_id>.<item>`: the next call goes "
                "on with that event, and counts the object once its last event is replayed."
            ),
        },
    },
    "additionalProperties": False,
    "examples": [{"checked": 1, "processed": 1, "failed": 0}],
}

HEALTH: Schema = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"const": "ok"}},
    "additionalProperties": False,
    "examples": [{"status": "ok"}],
}

VIOLATION: Schema = {
    "type": "object",
    "required": ["field", "code", "message"],
    "properties": {
        "field": {"type": "string", "description": "The field; `$` is the whole body."},
        "code": {
            "type": "string",
            "description": "Stable. Of an event one of: "
            + ", ".join(f"`{code}`" for code in Code)
            + "; of parameters `request.…`.",
        },
        "message": {"type": "string"},
        "index": {"type": "integer", "minimum": 0, "description": "In data: where the first offender stands."},
    },
    "additionalProperties": False,
}

PROBLEM: Schema = {
    "type": "object",
    "description": "A refusal, by RFC 9457. 4xx other than 429: don't retry. 5xx and 429: retry, it is safe.",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "Stable; docs/errors.md lists them."},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "request_id": {"type": "string", "description": "To ask after: the logs know the request by it."},
        "violations": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Violation"}},
    },
    "additionalProperties": False,
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
        "Accepted": ACCEPTED,
        "Status": STATUS,
        "Rejections": REJECTIONS,
        **process_requests(),
        "Counts": COUNTS,
        "Health": HEALTH,
        "Violation": VIOLATION,
        "Problem": PROBLEM,
    }
