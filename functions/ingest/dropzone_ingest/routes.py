"""Ingest's routes for the API document, with their parameters and answers: at run time, Ingest has no resolver."""

import json
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.openapi.params import Header, Path
from pydantic import ConfigDict, Field, RootModel

from dropzone.api import problems
from dropzone.api.answers import EXAMPLE_ARRIVAL, EXAMPLE_RAW_ID, Arrival, RawId, answer
from dropzone.api.formats import Format
from dropzone.api.resolver import Body, Described
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
    """A measurement event.

    Its version is `schema_version`; without it, version 2 if it has `source`, `unit` or `tags`, and version 1
    otherwise. Ingest checks only the envelope. Values are validated by the version's rules when the event is processed.
    """

    model_config = ConfigDict(json_schema_extra={"examples": _EXAMPLES})


class Events(RootModel[list[Any]]):
    """Several events, each validated on its own; at least one needs the envelope of an event or `ClientRejection`."""

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
    """One event per line; at least one must have the envelope of an event. Blank lines are ignored."""

    root: str = Field(
        pattern=r"[^ \t\r\n]", examples=["".join(json.dumps(each, ensure_ascii=False) + "\n" for each in _EXAMPLES)]
    )


class Points(RootModel[str]):
    """InfluxDB line protocol, as sent by Telegraf: each numeric field of a point is an event."""

    root: str = Field(examples=["cpu,host=raynor usage_idle=98.5 1795890111000000000\n"])


class OtherJson(RootModel[Any]):
    """JSON in the form that the contract's mapping expects; the example is for the contract `telegraf`."""

    root: Any = Field(examples=[_TELEGRAF])


@answer({"raw_id": EXAMPLE_RAW_ID, "status": "accepted", "received_at": EXAMPLE_ARRIVAL, "items": 1})
class Accepted(TypedDict):
    """The body is stored; its events will be processed."""

    raw_id: RawId
    status: Literal["accepted"]
    received_at: Arrival
    items: NotRequired[
        Annotated[
            int,
            Field(ge=1, description="The number of events in the body; absent if a contract's mapping will find them."),
        ]
    ]


_PROBLEMS = (
    problems.NOT_JSON,
    problems.NOT_GZIP,
    problems.TOO_LARGE,
    problems.UNSUPPORTED_MEDIA_TYPE,
    problems.INVALID_EVENT,
    problems.KEY_REUSED,
)
_HEADERS = ("Location", "Idempotent-Replayed")
_KEY = Header(
    alias="Idempotency-Key",
    min_length=1,
    max_length=MAX_KEY,
    json_schema_extra={"examples": ["hall-3/2026-11-24/17"]},
    description=(
        f"A name for this request, of 1 to {MAX_KEY} printable characters, that you use for no other request within 24 "
        "hours. However often the request is sent, its events are stored once."
    ),
)


@app.post(ROUTE[1], operation_id="sendEvents", tags=["Events"], status_code=202)
@Described(
    SCOPES,
    _PROBLEMS,
    headers=_HEADERS,
    body=Body(
        "One event or several, in UTF-8.",
        {Format.JSON: (Event, Events), NDJSON: (Lines,), LINE_PROTOCOL: (Points,)},
        required=True,
    ),
)
def post_ingest(idempotency_key: Annotated[str | None, _KEY] = None) -> Accepted:
    """Send events.

    Stores the request body exactly as received and returns a reference to it. After a 202, no event is ever lost: each
    becomes a measurement, or is rejected with reasons. Values are validated later; this call only refuses a body in
    which no element has the envelope of an event.

    The body is one event, an array of events, or (as `application/x-ndjson`) one event per line, in UTF-8; a leading
    byte order mark is ignored. It may be compressed with `Content-Encoding: gzip`: API Gateway decompresses it, and the
    size limit applies to the decompressed body. Other common names of the two media types are accepted, such as
    `text/json` and `application/jsonl`. SenML and CloudEvents are recognised by their media types, and `text/plain` is
    InfluxDB line protocol.
    """
    raise NotImplementedError(_DECLARED)


_ID = Path(
    description="The identifier of a data contract that has a mapping. GET /contracts lists them.",
    json_schema_extra={"examples": ["telegraf"]},
)


@app.post(f"{ROUTE[1]}/<id>", operation_id="sendToContract", tags=["Events"], status_code=202)
@Described(
    SCOPES,
    (*_PROBLEMS, problems.NO_SUCH_CONTRACT),
    headers=_HEADERS,
    body=Body(
        (
            "JSON in the form that the contract's mapping expects, in UTF-8; or, as `application/x-ndjson`, "
            "one JSON text per line."
        ),
        {Format.JSON: (OtherJson,)},
        required=True,
    ),
)
def post_to_contract(id: Annotated[str, _ID], idempotency_key: Annotated[str | None, _KEY] = None) -> Accepted:
    """Send JSON of another format.

    Stores the request body exactly as received, with the name of the contract, and returns a reference to it. When the
    body is processed, the contract's mapping finds the events in it and the contract's rules validate them. `GET
    /ingest/{id}` returns the outcomes; if the mapping is improved later, a replay applies it.
    """
    raise NotImplementedError(_DECLARED)
