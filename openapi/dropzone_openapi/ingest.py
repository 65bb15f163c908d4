"""Ingest's one route, as the others declare theirs: at run time, the function starts without a resolver."""

import json
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.openapi.params import Header, Path

import dropzone_ingest.handler
from dropzone.api import problems
from dropzone.api.resolver import described
from dropzone.domain.body import NDJSON
from dropzone.domain.payloads import VERSIONS
from dropzone.use_cases.ingest import MAX_EVENTS
from dropzone_ingest.answers import Accepted
from dropzone_ingest.handler import MAX_KEY

Schema = dict[str, Any]

app = APIGatewayRestResolver(enable_validation=True)

_EXAMPLES = [version.model_json_schema()["examples"][0] for version in VERSIONS.values()]
_LINES = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in _EXAMPLES)

SCHEMAS: dict[str, Schema] = {
    "Event": {
        "title": "Event",
        "description": (
            "A measurement event, of the version that its `schema_version` names; without it, of version 2 if it has "
            "`source`, `unit` or `tags`, and of version 1 otherwise. Ingest checks the envelope alone. Values "
            "are validated by the rules of the version when the event is processed."
        ),
        "anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("EventV1", "EventV2", "Envelope")],
    },
    "Events": {
        "title": "Events",
        "type": "array",
        "description": "Several events, each validated alone. At least one must have the envelope of an event.",
        "minItems": 1,
        "maxItems": MAX_EVENTS,
        "items": {},
        "contains": {"$ref": "#/components/schemas/Envelope"},
        "examples": [_EXAMPLES],
    },
    "Lines": {
        "title": "Lines",
        "type": "string",
        "description": "Events, one a line, at least one with the envelope of an event. Blank lines are ignored.",
        "pattern": "[^ \\t\\r\\n]",
        "examples": [_LINES],
    },
}
"""What bodies are, beside the payload's versions."""

_BODY: Schema = {
    "required": True,
    "description": "One event or several, in UTF-8.",
    "content": {
        "application/json": {
            "schema": {"anyOf": [{"$ref": "#/components/schemas/Event"}, {"$ref": "#/components/schemas/Events"}]},
            "examples": {
                "event": {"summary": "Two samples", "value": _EXAMPLES[0]},
                "version 2": {"summary": "Who measured, and in what unit", "value": _EXAMPLES[1]},
                "events": {"summary": "Several events", "value": _EXAMPLES},
            },
        },
        NDJSON: {
            "schema": {"$ref": "#/components/schemas/Lines"},
            "examples": {"lines": {"summary": "An event a line", "value": _LINES}},
        },
    },
}

_PROBLEMS = (
    problems.NOT_JSON,
    problems.NOT_GZIP,
    problems.TOO_LARGE,
    problems.UNSUPPORTED_MEDIA_TYPE,
    problems.INVALID_EVENT,
    problems.KEY_REUSED,
)

_KEY = Header(
    alias="Idempotency-Key",
    min_length=1,
    max_length=MAX_KEY,
    json_schema_extra={"examples": ["hall-3/2026-11-24/17"]},
    description=(
        f"A name for this request, of 1 to {MAX_KEY} printable characters, that no other request of yours has in 24 "
        "hours. However often it is sent, its events are stored once."
    ),
)


@app.post(
    dropzone_ingest.handler.ROUTE[1],
    operation_id="sendEvents",
    tags=["Events"],
    status_code=202,
    openapi_extensions={"requestBody": _BODY},
)
@described(*_PROBLEMS)
def post_ingest(idempotency_key: Annotated[str | None, _KEY] = None) -> Accepted:
    """Send events.

    Stores the body exactly as it was sent, and answers with its reference. After a 202 no event of it is ever lost:
    each becomes a measurement, or is rejected with reasons. Values are validated later; this call refuses a body in
    which no element has the envelope of an event.

    The body is one event, or an array of events, or (as `application/x-ndjson`) an event a line, in UTF-8; a leading
    byte order mark is ignored. It may be compressed, with `Content-Encoding: gzip`: API Gateway unpacks it, and the
    unpacked size counts for the limit. Other common names of the two media types are accepted, such as `text/json` and
    `application/jsonl`.
    """
    raise NotImplementedError


_ID = Path(
    description="The identifier of a data contract whose mapping finds events in the body; GET /contracts lists them.",
    json_schema_extra={"examples": ["telegraf"]},
)
_FOREIGN: Schema = {
    "required": True,
    "description": (
        "JSON as the contract's mapping expects it, in UTF-8; or, as `application/x-ndjson`, a JSON text a line."
    ),
    "content": {
        "application/json": {
            "schema": {},
            "examples": {
                "telegraf": {
                    "summary": "A metric of Telegraf, for the contract telegraf",
                    "value": {
                        "fields": {"usage_idle": 98.5},
                        "name": "cpu",
                        "tags": {"host": "raynor"},
                        "timestamp": 1795890111,
                    },
                }
            },
        },
    },
}


@app.post(
    f"{dropzone_ingest.handler.ROUTE[1]}/<id>",
    operation_id="sendToContract",
    tags=["Events"],
    status_code=202,
    openapi_extensions={"requestBody": _FOREIGN},
)
@described(*_PROBLEMS, problems.NO_SUCH_CONTRACT)
def post_to_contract(id: Annotated[str, _ID], idempotency_key: Annotated[str | None, _KEY] = None) -> Accepted:
    """Send JSON of another format.

    Stores the body exactly as it was sent, with the name of the contract, and answers with its reference. The events
    are found by the contract's mapping when the body is processed, and validated by its rules: `GET /ingest/{id}` tells
    what became of them, and a replay applies a better mapping later.
    """
    raise NotImplementedError
