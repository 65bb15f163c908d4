"""What the document says of each route beside its path and method, which come from the functions."""

from collections.abc import Set as AbstractSet
from typing import Any

from dropzone.api import problems
from dropzone.api.problems import FieldError, ProblemType
from dropzone.domain.batches import NDJSON
from dropzone_openapi.schemas import (
    EXAMPLE_ACCEPTED,
    EXAMPLE_EVENT,
    EXAMPLE_EVENT_2,
    EXAMPLE_EVENTS,
    EXAMPLE_LINES,
    EXAMPLE_REJECTIONS,
    EXAMPLE_STATUS,
    EXAMPLE_STATUS_OF_BATCH,
    RAW_ID,
    Schema,
    process_requests,
    rejections_request,
    status_request,
)

Operation = dict[str, Any]

API_KEY = "apiKey"

_REQUEST_ID = "0b9ca6bf-0d4a-4a8e-a8d2-6d4c0f4e7b11"

_BATCH_OR_REPLAY = [
    {"$ref": f"#/components/schemas/{name}"} for name in ("ProcessBatch", "ReplayArrived", "ReplayNamed")
]
_VIOLATIONS = {
    problems.INVALID_EVENT: [FieldError("data", "payload.missing_field", "is missing")],
    problems.INVALID_REQUEST: [
        FieldError("limit", "request.out_of_range", "Input should be less than or equal to 1000")
    ],
}


def operations() -> dict[tuple[str, str], Operation]:
    """Each operation by its method and path."""
    return {
        ("post", "/ingest"): {
            "operationId": "ingest",
            "summary": "Send events",
            "description": (
                "Stores the body exactly as it was sent, and answers with its reference. Once it has, no event of it "
                "is ever lost: each becomes a measurement, or is rejected with reasons. The values are validated "
                "later, and not by this call.\n\nThe body is one event, or an array of events, or (as "
                "`application/x-ndjson`) an event a line; and may be packed, with `Content-Encoding: gzip`. What it "
                "holds unpacked counts for its limit, and is what is stored: API Gateway unpacks it."
            ),
            "tags": ["Events"],
            "security": [{API_KEY: []}],
            "parameters": [
                {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "required": False,
                    # Without an example: Swagger UI would fill it in, and send it with each try.
                    "description": (
                        "A name for this request, of 1 to 255 printable characters, such as hall-3/2026-11-24/17, that "
                        "no other request of yours has in 24 hours. However often it is sent, its events are stored "
                        "once."
                    ),
                    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
                }
            ],
            "requestBody": {
                "required": True,
                "description": "One event or several, in UTF-8.",
                "content": {
                    "application/json": {
                        "schema": {
                            "anyOf": [{"$ref": "#/components/schemas/Event"}, {"$ref": "#/components/schemas/Events"}]
                        },
                        "examples": {
                            "event": {"summary": "Two samples", "value": EXAMPLE_EVENT},
                            "version 2": {"summary": "Who measured, and in what unit", "value": EXAMPLE_EVENT_2},
                            "events": {"summary": "Several events", "value": EXAMPLE_EVENTS},
                        },
                    },
                    NDJSON: {
                        "schema": {"$ref": "#/components/schemas/Lines"},
                        "examples": {"lines": {"summary": "An event a line", "value": EXAMPLE_LINES}},
                    },
                },
            },
            "responses": {
                "202": {
                    "description": "The body is stored.",
                    "headers": {
                        "Idempotent-Replayed": {
                            "description": "There where an earlier request with the same key got the same answer.",
                            "schema": {"const": "true"},
                        },
                        "Location": {
                            "description": "The address of its status: a relative reference.",
                            "schema": {"type": "string", "examples": [f"ingest/{RAW_ID}"]},
                        },
                    },
                    "content": _json("Accepted", EXAMPLE_ACCEPTED),
                },
                **_problems(
                    problems.NOT_JSON,
                    problems.NOT_GZIP,
                    problems.TOO_LARGE,
                    problems.UNSUPPORTED_MEDIA_TYPE,
                    problems.INVALID_EVENT,
                    problems.INVALID_REQUEST,
                    problems.KEY_REUSED,
                    problems.INTERNAL_ERROR,
                    problems.UNAVAILABLE,
                ),
                **_gateway("403", "413", "429", "504"),
            },
        },
        ("get", "/ingest/{raw_id}"): {
            "operationId": "status",
            "summary": "Ask what has become of events",
            "description": "Where the `Location` of a 202 leads.",
            "tags": ["Events"],
            "security": [{API_KEY: []}],
            "parameters": [
                {
                    "name": "raw_id",
                    "in": "path",
                    "required": True,
                    "description": "As POST /ingest answered it.",
                    "schema": {"type": "string", "format": "uuid"},
                },
                *_query(status_request()),
            ],
            "responses": {
                "200": {
                    "description": "What is known of it.",
                    "content": _json("Status", EXAMPLE_STATUS, of_several=EXAMPLE_STATUS_OF_BATCH),
                },
                **_problems(
                    problems.NO_SUCH_OBJECT, problems.INVALID_REQUEST, problems.INTERNAL_ERROR, problems.UNAVAILABLE
                ),
                **_gateway("403", "429", "504"),
            },
        },
        ("post", "/process"): {
            "operationId": "process",
            "summary": "Process a batch",
            "description": (
                "Processes objects that the queue did not bring, each independently of the others, and counts them; "
                "with `reprocess`, replays objects: validates them again, under today's rules. "
                "`limit` and `cursor` may be in the body or in the query; those of the body count if both have them. "
                "Each call answers within 25 seconds: while there is a `cursor`, call again with it."
            ),
            "tags": ["Processing"],
            "security": [{API_KEY: []}],
            "parameters": _query(process_requests()["ProcessBatch"], without={"reprocess"}),
            "requestBody": {
                "required": False,
                "content": {"application/json": {"schema": {"anyOf": _BATCH_OR_REPLAY}}},
            },
            "responses": {
                "200": {
                    "description": "What was done.",
                    "content": _json("Counts", {"checked": 1, "processed": 1, "failed": 0}),
                },
                **_problems(problems.NOT_JSON, problems.INVALID_REQUEST, problems.INTERNAL_ERROR, problems.UNAVAILABLE),
                **_gateway("403", "413", "429", "504"),
            },
        },
        ("get", "/rejections"): {
            "operationId": "rejections",
            "summary": "List rejected events",
            "description": "The last arrival first, each with every rule that it breaks.",
            "tags": ["Processing"],
            "security": [{API_KEY: []}],
            "parameters": _query(rejections_request()),
            "responses": {
                "200": {"description": "The events.", "content": _json("Rejections", EXAMPLE_REJECTIONS)},
                **_problems(problems.INVALID_REQUEST, problems.INTERNAL_ERROR, problems.UNAVAILABLE),
                **_gateway("403", "429", "504"),
            },
        },
        ("get", "/health"): {
            "operationId": "health",
            "summary": "Ask whether requests are answered",
            "description": "Needs no key, and touches nothing.",
            "tags": ["Service"],
            "security": [],
            "responses": {
                "200": {"description": "They are.", "content": _json("Health", {"status": "ok"})},
                **_problems(problems.INTERNAL_ERROR),
                **_gateway("429", "504"),
            },
        },
    }


def _query(model: Schema, *, without: AbstractSet[str] = frozenset()) -> list[Operation]:
    """The fields of a model as parameters of a query, where what is not there is null."""
    parameters = []
    for name, schema in model["properties"].items():
        if name not in without:
            plain = dict(schema)
            description = plain.pop("description")
            if isinstance(kinds := plain.get("type"), list):
                [plain["type"]] = [kind for kind in kinds if kind != "null"]
            if alternatives := [kind for kind in plain.pop("anyOf", []) if kind != {"type": "null"}]:
                plain = alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}
            if plain.get("default", "") is None:
                del plain["default"]
            parameters.append(
                {"name": name, "in": "query", "required": False, "description": description, "schema": plain}
            )
    return parameters


def _json(name: str, example: object, **others: object) -> Operation:
    return {
        "application/json": {
            "schema": {"$ref": f"#/components/schemas/{name}"},
            "examples": {key: {"value": value} for key, value in {"example": example, **others}.items()},
        }
    }


def _problems(*kinds: ProblemType) -> Operation:
    """The answers that the function itself gives; one entry for each status."""
    answers: Operation = {}
    for kind in kinds:
        answer = _problem(kind)
        known = answers.setdefault(str(kind.status.value), answer)
        known["content"][problems.CONTENT_TYPE]["examples"] |= answer["content"][problems.CONTENT_TYPE]["examples"]
    return answers


def _problem(kind: ProblemType) -> Operation:
    violations = _VIOLATIONS.get(kind, ())
    example = problems.document(kind, kind.example, request_id=_REQUEST_ID, violations=violations)
    response: Operation = {
        "description": kind.status.phrase,
        "content": {
            problems.CONTENT_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {kind.name: {"value": example}},
            }
        },
    }
    if kind is problems.UNAVAILABLE:
        response["headers"] = {
            "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string", "examples": ["5"]}}
        }
    return response


_GATEWAY_DESCRIPTIONS = {
    "403": "The key is missing or wrong.",
    "413": "The body is larger than API Gateway or Lambda take.",
    "429": "Too many requests for this key.",
    "504": "No answer in API Gateway's 29 seconds.",
}


def _gateway(*statuses: str) -> Operation:
    """The answers that API Gateway gives before or in place of the function."""
    return {status: {"$ref": f"#/components/responses/Gateway{status}"} for status in statuses}


def gateway_responses() -> Operation:
    """API Gateway's own answers, which the template gives the shape of all others."""
    return {
        f"Gateway{status}": {
            "description": description,
            "content": {problems.CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, description in _GATEWAY_DESCRIPTIONS.items()
    }
