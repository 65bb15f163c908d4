"""The shapes that requests and answers have."""

from typing import TYPE_CHECKING, Any

from dropzone.domain.changes import Change
from dropzone.domain.outcomes import Code
from dropzone.domain.status import State
from dropzone_process.request import ProcessBatch, ReplayArrived, ReplayNamed
from dropzone_query.handler import RejectionsRequest

if TYPE_CHECKING:
    from pydantic import BaseModel

Schema = dict[str, Any]

RAW_ID = "01a20e71-e5a4-700b-bae4-431c79e16819"
RECEIVED_AT = "2026-11-24T16:44:35.108Z"
EXAMPLE_EVENT: Schema = {"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2]}
EXAMPLE_ACCEPTED: Schema = {"raw_id": RAW_ID, "status": "accepted", "received_at": RECEIVED_AT}

_RAW_ID: Schema = {"type": "string", "format": "uuid", "description": "A UUIDv7: its order is the order of arrival."}

EVENT: Schema = {
    "type": "object",
    "description": (
        "A measurement event. Ingest checks this envelope alone; what the values must be to become a measurement is "
        "said by each field, and judged when the event is processed. Other fields are welcome, and kept."
    ),
    "required": ["time_stamp", "data"],
    "properties": {
        "time_stamp": {
            "type": "string",
            "description": (
                "The instant, ISO 8601 with an offset: `YYYY-MM-DD`, then `T`, `t` or a space, `hh:mm`, optional `:ss` "
                "and a fraction, then `Z` or `±hh:mm`, `±hhmm`, `±hh`. Digits past the microsecond are cut."
            ),
        },
        "data": {
            "type": "array",
            "description": "The samples: at least one; numbers alone, each within the range of binary64.",
        },
        "schema_version": {"description": "The payload's version: 1, as where it is absent."},
    },
    "additionalProperties": True,
    "examples": [EXAMPLE_EVENT],
}

ACCEPTED: Schema = {
    "type": "object",
    "required": ["raw_id", "status", "received_at"],
    "properties": {
        "raw_id": _RAW_ID,
        "status": {"const": "accepted"},
        "received_at": {"type": "string", "format": "date-time"},
    },
    "additionalProperties": False,
    "examples": [EXAMPLE_ACCEPTED],
}

EXAMPLE_STATUS: Schema = {
    "raw_id": RAW_ID,
    "status": "processed",
    "received_at": RECEIVED_AT,
    "settled_at": "2026-11-24T16:44:36.201544Z",
    "measured_at": "2019-05-01T10:00:00Z",
    "source": "",
    "mean": 1.0,
    "std_dev": 1.0,
    "sample_count": 2,
    "min": 0.0,
    "max": 2.0,
}

_INSTANT: Schema = {"type": "string", "format": "date-time"}

STATUS: Schema = {
    "type": "object",
    "required": ["raw_id", "status", "received_at"],
    "properties": {
        "raw_id": _RAW_ID,
        "status": {
            "enum": list(State),
            "description": (
                "`accepted`: stored, not settled yet. `processed`: its measurement stands. `superseded`: it was "
                "processed, and a later event for the same instant stands. `rejected`: it breaks rules. `stuck`: it "
                "was tried as often as it may be; somebody has to look."
            ),
        },
        "received_at": _INSTANT,
        "settled_at": _INSTANT,
        "measured_at": {**_INSTANT, "description": "Of a processed event, as all that follows: in UTC."},
        "source": {"type": "string", "description": "Empty where the event names none."},
        "mean": {"type": "number"},
        "std_dev": {"type": "number", "minimum": 0, "description": "The population's."},
        "sample_count": {"type": "integer", "minimum": 1},
        "min": {"type": "number"},
        "max": {"type": "number"},
        "superseded_by": {**_RAW_ID, "description": "Whose event stands now."},
        "violations": {
            "type": "array",
            "description": "Of a rejected event: every rule that it breaks, 10 at most.",
            "items": {"$ref": "#/components/schemas/Violation"},
        },
        "attempts": {"type": "integer", "minimum": 0, "description": "Tries that did not settle it."},
        "last_error": {"type": "string", "description": "Why the last one did not."},
    },
    "additionalProperties": False,
    "examples": [EXAMPLE_STATUS],
}

EXAMPLE_REJECTIONS: Schema = {
    "rejections": [
        {
            "raw_id": RAW_ID,
            "item": 0,
            "received_at": RECEIVED_AT,
            "processed_at": "2026-11-24T16:44:36.201544Z",
            "ruleset": 1,
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
                "required": ["raw_id", "item", "received_at", "processed_at", "ruleset", "violations"],
                "properties": {
                    "raw_id": _RAW_ID,
                    "item": {"type": "integer", "minimum": 0, "description": "Which event of its object, from 0."},
                    "received_at": _INSTANT,
                    "processed_at": _INSTANT,
                    "ruleset": {"type": "integer", "minimum": 1, "description": "The rules that judged it."},
                    "violations": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"$ref": "#/components/schemas/Violation"},
                    },
                },
                "additionalProperties": False,
            },
        },
        "cursor": {**_RAW_ID, "description": "Where to go on: there when the limit ended the list."},
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
            **_RAW_ID,
            "description": "Where to go on: there when limit or time ended the call before the bucket did.",
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

GATEWAY_MESSAGE: Schema = {
    "type": "object",
    "description": "API Gateway's own refusal, as the local emulator gives it; on AWS it is a Problem.",
    "required": ["message"],
    "properties": {"message": {"type": ["string", "null"]}},
}


def process_requests() -> dict[str, Schema]:
    """What `POST /process` takes, from the models that read it, with what they refer to."""
    models: list[type[BaseModel]] = [ProcessBatch, ReplayArrived, ReplayNamed]
    named: dict[str, Schema] = {}
    for model in models:
        schema: Schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        named |= schema.pop("$defs", {})
        named[model.__name__] = schema
    named["ProcessBatch"]["examples"] = [{"limit": 100}]
    named["ReplayArrived"]["examples"] = [{"reprocess": True, "from": RECEIVED_AT, "dry_run": True}]
    named["ReplayNamed"]["examples"] = [{"reprocess": True, "raw_ids": [RAW_ID]}]
    return named


def rejections_request() -> Schema:
    """What `GET /rejections` takes, from the model that reads it."""
    return RejectionsRequest.model_json_schema(ref_template="#/components/schemas/{model}")


def components() -> Schema:
    """All of them, by name."""
    return {
        "Event": EVENT,
        "Accepted": ACCEPTED,
        "Status": STATUS,
        "Rejections": REJECTIONS,
        **process_requests(),
        "Counts": COUNTS,
        "Health": HEALTH,
        "Violation": VIOLATION,
        "Problem": PROBLEM,
        "GatewayMessage": GATEWAY_MESSAGE,
    }
