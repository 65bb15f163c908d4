"""`POST /ingest`: accepted bodies are in bronze, byte for byte."""

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urljoin
from uuid import UUID

import pytest

from dropzone.domain.identifiers import received_at
from functional.conftest import MAX_BODY_BYTES
from functional.ingest_function import IngestFunction
from functional.lambda_calls import EVENTS, EXAMPLE, api_event, header, json_body

EXACT_BODIES = {
    "the example": EXAMPLE,
    "spaces and CRLF": b'\r\n { "data" :\t[ 0 ,\r\n2 ] , "time_stamp" : "2019-05-01T06:00:00-04:00" }\r\n\n',
    "order of keys": b'{"data": [0, 2], "b": 1, "time_stamp": "2019-05-01T06:00:00-04:00", "a": 2}',
    "UTF-8": '{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2], "Fühler": "μ⊢漢🙂\u2028"}'.encode(),
    "escapes": rb'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2], "x": "\u00fc\ud83d\ude42\/"}',
    "unknown fields": b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2], "meta": {"a": [null, true]}}',
    "spellings of a float": b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [1.0, 1e0, 1.00, 10E-1]}',
    "numbers beyond binary64": b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0.10000000000000000001, 1e400]}',
    "a name twice": b'{"time_stamp": 5, "time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2]}',
    # What breaks a rule of quality is taken in as well.
    "no numbers": b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": []}',
    "booleans": b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [true, false]}',
    "strings": b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, "2", null, [1]]}',
    "no timezone": b'{"time_stamp": "2019-05-01T06:00:00", "data": [0, 2]}',
    "no time at all": b'{"time_stamp": "", "data": [0, 2]}',
    "an integer of 5,000 digits": b'{"time_stamp": "2019-05-01T06:00:00Z", "data": [' + b"9" * 5_000 + b"]}",
    **{path.name: path.read_bytes() for path in sorted((EVENTS / "payloads").glob("good.*.json"))},
}

TAKEN_AS_JSON = {
    "plain": "application/json",
    "with parameters": "application/json; charset=utf-8",
    "in capitals": "APPLICATION/JSON",
    "with a suffix": "application/vnd.x+json",
    "with a suffix and parameters": 'application/vnd.x.y-1+json;profile="a"',
    "missing": None,
    "empty": "",
}


def accepted(answer: dict[str, Any]) -> str:
    """The identifier of an event that was taken in."""
    assert answer["statusCode"] == 202, answer["body"]
    raw_id = json_body(answer)["raw_id"]
    assert isinstance(raw_id, str)
    return raw_id


@pytest.mark.parametrize("path", ["/ingest", "/ingest/"])
def test_location_leads_to_the_status_with_and_without_a_slash(ingest_function: IngestFunction, path: str) -> None:
    answer = ingest_function(api_event(path=path))

    location = urljoin(f"https://example.com/v1{path}", str(header(answer, "Location")))
    assert location == f"https://example.com/v1/ingest/{json_body(answer)['raw_id']}"


def to_contract(contract: str, body: bytes = b'{"any": ["JSON"]}', path: str = "") -> dict[str, Any]:
    return {
        **api_event(body),
        "resource": "/ingest/{id}",
        "path": path or f"/ingest/{contract}",
        "pathParameters": {"id": contract},
    }


def test_ingest_stores_what_is_sent_to_a_contract_with_its_name(ingest_function: IngestFunction) -> None:
    event = to_contract("telegraf")

    answer = ingest_function(event)

    assert answer["statusCode"] == 202
    body = json_body(answer)
    assert body.keys() == {"raw_id", "status", "received_at"}
    assert urljoin("https://example.com/v1/ingest/telegraf", str(header(answer, "Location"))) == (
        f"https://example.com/v1/ingest/{body['raw_id']}"
    )
    stored = ingest_function.object(body["raw_id"])
    assert stored["Body"].read() == b'{"any": ["JSON"]}'
    assert stored["Metadata"] == {
        "client": UNLISTED,
        "contract": "telegraf",
        "correlation-id": event["requestContext"]["requestId"],
    }
    slash = ingest_function(to_contract("telegraf", path="/ingest/telegraf/"))
    location = urljoin("https://example.com/v1/ingest/telegraf/", str(header(slash, "Location")))
    assert location == f"https://example.com/v1/ingest/{json_body(slash)['raw_id']}"


@pytest.mark.parametrize("contract", ["no-such-contract", "Telegraf", "telegraf\n", "../telegraf", "*", "é"])
def test_a_contract_that_is_not_deployed_is_not_found(ingest_function: IngestFunction, contract: str) -> None:
    answer = ingest_function(to_contract(contract, path="/ingest/x"))
    assert answer["statusCode"] == 404
    assert "data contract" in json_body(answer)["detail"]
    assert ingest_function.keys() == []


def test_there_is_nothing_below_a_contract(ingest_function: IngestFunction) -> None:
    answer = ingest_function(to_contract("telegraf", path="/ingest/telegraf/more"))
    assert answer["statusCode"] == 404
    assert ingest_function.keys() == []


UNLISTED = f"~{sha256(api_event()['requestContext']['identity']['apiKey'].encode()).hexdigest()[:16]}"


def test_ingest_stores_raw(ingest_function: IngestFunction) -> None:
    event = api_event()
    began = datetime.now(UTC)

    answer = ingest_function(event)

    assert answer["statusCode"] == 202
    assert header(answer, "Content-Type") == "application/json"
    body = json_body(answer)
    assert body.keys() == {"raw_id", "status", "received_at", "items"}
    assert (body["status"], body["items"]) == ("accepted", 1)
    raw_id = UUID(body["raw_id"])
    assert raw_id.version == 7
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["received_at"])
    arrived = datetime.fromisoformat(body["received_at"])
    assert arrived == received_at(raw_id)
    assert began - timedelta(milliseconds=1) <= arrived <= datetime.now(UTC)
    assert header(answer, "Location") == f"ingest/{raw_id}"
    assert ingest_function.keys() == [f"raw/{raw_id}.json"]
    stored = ingest_function.object(str(raw_id))
    assert stored["Body"].read() == EXAMPLE
    assert stored["ContentType"] == "application/json"
    assert stored["Metadata"] == {"client": UNLISTED, "correlation-id": event["requestContext"]["requestId"]}


@pytest.mark.parametrize("body", EXACT_BODIES.values(), ids=EXACT_BODIES.keys())
def test_the_bytes_are_stored_unchanged(ingest_function: IngestFunction, body: bytes) -> None:
    raw_id = accepted(ingest_function(api_event(body)))

    assert ingest_function.object(raw_id)["Body"].read() == body


@pytest.mark.parametrize("content_type", TAKEN_AS_JSON.values(), ids=TAKEN_AS_JSON.keys())
def test_json_is_known_by_its_media_type(ingest_function: IngestFunction, content_type: str | None) -> None:
    raw_id = accepted(ingest_function(api_event(headers={"content-type": content_type})))

    named = (content_type or "application/json").partition(";")[0].lower()
    assert ingest_function.object(raw_id)["ContentType"] == named


def test_a_body_of_just_the_limit_is_taken_in(ingest_function: IngestFunction) -> None:
    body = EXAMPLE.ljust(MAX_BODY_BYTES)

    raw_id = accepted(ingest_function(api_event(body)))

    assert ingest_function.object(raw_id)["ContentLength"] == MAX_BODY_BYTES


@pytest.mark.parametrize("text", [EXAMPLE.decode(), '{"time_stamp": "ü🙂", "data": []}'])
def test_an_event_with_a_body_of_text_is_taken_in(ingest_function: IngestFunction, text: str) -> None:
    """As the console, sam local and other callers than API Gateway make it."""
    event = {**api_event(), "body": text, "isBase64Encoded": False}

    raw_id = accepted(ingest_function(event))

    assert ingest_function.object(raw_id)["Body"].read() == text.encode()


def test_an_event_without_headers_is_taken_in(ingest_function: IngestFunction) -> None:
    event = {**api_event(), "headers": None, "multiValueHeaders": None}

    accepted(ingest_function(event))


def test_an_idempotency_key_is_its_client_s_own(ingest_function: IngestFunction) -> None:
    def send(client: str, body: bytes) -> dict[str, Any]:
        event = api_event(body, headers={"Idempotency-Key": "order-1"})
        event["requestContext"]["identity"]["apiKey"] = client
        return ingest_function(event)

    # Two clients count their requests alike, and know nothing of each other.
    other = EXAMPLE.replace(b"[0, 2]", b"[7]")
    first, second = accepted(send("one", EXAMPLE)), accepted(send("two", other))

    assert first != second
    assert ingest_function.object(second)["Body"].read() == other
    assert accepted(send("one", EXAMPLE)) == first
    assert send("one", other)["statusCode"] == 422


@pytest.mark.parametrize(
    ("key", "is_one"), [("x", True), ("x" * 255, True), ("", False), ("x" * 256, False), ("a\tb", False)]
)
def test_an_idempotency_key_has_1_to_255_printable_characters(
    ingest_function: IngestFunction, key: str, is_one: bool
) -> None:
    answer = ingest_function(api_event(EXAMPLE, headers={"Idempotency-Key": key}))

    if is_one:
        assert accepted(answer)
    else:
        assert answer["statusCode"] == 422
        assert json_body(answer)["violations"] == [
            {
                "field": "Idempotency-Key",
                "code": "request.idempotency_key",
                "message": "is not 1 to 255 printable characters",
            }
        ]
        assert ingest_function.keys() == []
