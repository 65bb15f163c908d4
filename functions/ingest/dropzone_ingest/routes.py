"""The API document's routes of Ingest, and what they take and answer: at run time, it starts without a resolver."""

import json
from functools import partial
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.openapi.params import Header, Path
from pydantic import ConfigDict, Field, RootModel

from dropzone.api import problems
from dropzone.api.answers import EXAMPLE_ARRIVAL, EXAMPLE_RAW_ID, Arrival, RawId, answer
from dropzone.api.formats import Format
from dropzone.api.resolver import Body, described
from dropzone.domain.body import LINE_PROTOCOL, NDJSON
from dropzone.domain.outcomes import ClientRejectionEnvelope, Envelope
from dropzone.domain.payloads import VERSIONS, ClientRejection, EventV1, EventV2
from dropzone.use_cases.ingest import MAX_EVENTS
from dropzone_ingest.handler import MAX_KEY, ROUTE, SCOPES

app = APIGatewayRestResolver(enable_validation=True)

_DECLARED = "this route is declared for the document; dropzone_ingest.handler answers it"

_EXAMPLES = [version.model_json_schema()["examples"][0] for version in VERSIONS.values()]
_TELEGRAF: Any = {"name": "cpu", "fields": {"usage_idle": 98.5}, "tags": {"host": "raynor"}, "timestamp": 1795890111}


class Event(RootModel[EventV1 | EventV2 | Envelope | ClientRejection | ClientRejectionEnvelope]):
    """A measurement event, of the version that its `schema_version` names; without it, of version 2 if it has `source`,
    `unit` or `tags`, and of version 1 otherwise. Ingest checks the envelope alone. Values are validated by the rules of
    the version when the event is processed.
    """  # noqa: D205 - shown as it is

    model_config = ConfigDict(json_schema_extra={"examples": _EXAMPLES})


class Events(RootModel[list[Any]]):
    """Several events, each validated alone. At least one must have the envelope, or be a `ClientRejection`."""

    model_config = ConfigDict(
        json_schema_extra={
            "contains": {
                "anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Envelope", "ClientRejectionEnvelope")]
            },
            "examples": [_EXAMPLES],
        }
    )
    root: list[Any] = Field(min_length=1, max_length=MAX_EVENTS)


class Lines(RootModel[str]):
    """Events, one a line, at least one with the envelope of an event. Blank lines are ignored."""

    model_config = ConfigDict(
        json_schema_extra={"examples": ["".join(json.dumps(each, ensure_ascii=False) + "\n" for each in _EXAMPLES)]}
    )
    root: str = Field(pattern=r"[^ \t\r\n]")


class Points(RootModel[str]):
    """InfluxDB's line protocol, as Telegraf sends it: each numeric field of a point is an event."""

    model_config = ConfigDict(json_schema_extra={"examples": ["cpu,host=raynor usage_idle=98.5 1795890111000000000\n"]})


class OtherJson(RootModel[Any]):
    """JSON as the contract's mapping expects it; this is a metric of Telegraf, for the contract `telegraf`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TELEGRAF]})


@answer({"raw_id": EXAMPLE_RAW_ID, "status": "accepted", "received_at": EXAMPLE_ARRIVAL, "items": 1})
class Accepted(TypedDict):
    """The body is stored; its events will be processed."""

    raw_id: RawId
    status: Literal["accepted"]
    received_at: Arrival
    items: NotRequired[
        Annotated[int, Field(ge=1, description="How many events it holds; absent if a contract's mapping finds them.")]
    ]


_described = partial(
    described,
    *(problems.NOT_JSON, problems.NOT_GZIP, problems.TOO_LARGE, problems.UNSUPPORTED_MEDIA_TYPE),
    *(problems.INVALID_EVENT, problems.KEY_REUSED),
    scopes=SCOPES,
    headers=("Location", "Idempotent-Replayed"),
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


@app.post(ROUTE[1], operation_id="sendEvents", tags=["Events"], status_code=202)
@_described(
    body=Body(
        "One event or several, in UTF-8.",
        {Format.JSON: (Event, Events), NDJSON: (Lines,), LINE_PROTOCOL: (Points,)},
        required=True,
    )
)
def post_ingest(idempotency_key: Annotated[str | None, _KEY] = None) -> Accepted:
    """Send events.

    Stores the body exactly as it was sent, and answers with its reference. After a 202 no event of it is ever lost:
    each becomes a measurement, or is rejected with reasons. Values are validated later; this call refuses a body in
    which no element has the envelope of an event.

    The body is one event, or an array of events, or (as `application/x-ndjson`) an event a line, in UTF-8; a leading
    byte order mark is ignored. It may be compressed, with `Content-Encoding: gzip`: API Gateway unpacks it, and the
    unpacked size counts for the limit. Other common names of the two media types are accepted, such as `text/json` and
    `application/jsonl`. SenML and CloudEvents are known by their media types, and `text/plain` is InfluxDB's line
    protocol.
    """
    raise NotImplementedError(_DECLARED)


_ID = Path(
    description="The identifier of a data contract whose mapping finds events in the body; GET /contracts lists them.",
    json_schema_extra={"examples": ["telegraf"]},
)


@app.post(f"{ROUTE[1]}/<id>", operation_id="sendToContract", tags=["Events"], status_code=202)
@_described(
    problems.NO_SUCH_CONTRACT,
    body=Body(
        "JSON as the contract's mapping expects it, in UTF-8; or, as `application/x-ndjson`, a JSON text a line.",
        {Format.JSON: (OtherJson,)},
        required=True,
    ),
)
def post_to_contract(id: Annotated[str, _ID], idempotency_key: Annotated[str | None, _KEY] = None) -> Accepted:
    """Send JSON of another format.

    Stores the body exactly as it was sent, with the name of the contract, and answers with its reference. The events
    are found by the contract's mapping when the body is processed, and validated by its rules: `GET /ingest/{id}` tells
    what became of them, and a replay applies a better mapping later.
    """
    raise NotImplementedError(_DECLARED)
