"""Over HTTP to the row, without any further call."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from dropzone.domain.identifiers import object_key, received_at
from e2e.client import EXAMPLE, Client
from support.traces import assert_no_trace

BODIES = {
    "spaces and key order": b'  {"data" : [ 1 ,2 ],\t"time_stamp":"2021-01-01T00:00:01Z"}  ',
    "CRLF": b'{\r\n"time_stamp": "2021-01-01T00:00:02Z",\r\n"data": [1]\r\n}\r\n',
    "beyond ASCII": '{"time_stamp": "2021-01-01T00:00:03Z", "data": [1], "où": "Zürich, 東京 🌡"}'.encode(),
    "unknown fields": b'{"time_stamp": "2021-01-01T00:00:04Z", "data": [1], "x": {"y": [null, true, {}]}}',
    "two spellings of a float": b'{"time_stamp": "2021-01-01T00:00:05Z", "data": [0.10, 1e-1, 1.0E-01]}',
}


def test_the_example_becomes_its_row(client: Client) -> None:
    # GIVEN the seed's example
    before = datetime.now(UTC)

    # WHEN it is sent
    response = client.request("POST", "/ingest", EXAMPLE, content_type="application/json")

    # THEN the answer refers to it
    assert response.status_code == 202
    answer = response.json()
    raw_id = UUID(answer["raw_id"])
    assert answer["status"] == "accepted"
    assert datetime.fromisoformat(answer["received_at"]) == received_at(raw_id)
    assert (received_at(raw_id) - before).total_seconds() == pytest.approx(0, abs=60)
    assert response.headers["location"] == f"ingest/{raw_id}"
    # AND the row appears without any further call
    assert client.outcome(raw_id) == "processed"
    rows = client.query("SELECT measured_at::text, mean, std_dev FROM measurements WHERE raw_id = :id", id=raw_id)
    assert rows == [["2019-05-01 10:00:00+00", 1.0, 1.0]]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_bronze_holds_the_sent_bytes(client: Client, body: bytes) -> None:
    raw_id = client.ingest(body)

    stored = client.clients.s3().get_object(Bucket=client.endpoints.bucket, Key=object_key(raw_id))

    assert stored["Body"].read() == body
    assert stored["ContentType"] == "application/json"
    assert client.outcome(raw_id) == "processed"


def test_a_body_near_the_limit_arrives_whole(client: Client) -> None:
    body = b'{"time_stamp": "2021-01-02T00:00:00Z", "data": [1, 3], "padding": "' + b"x" * 4_194_000 + b'"}'

    raw_id = client.ingest(body)

    stored = client.clients.s3().get_object(Bucket=client.endpoints.bucket, Key=object_key(raw_id))
    assert stored["Body"].read() == body
    assert client.outcome(raw_id) == "processed"


def test_bad_data_is_taken_in_and_explained(client: Client) -> None:
    # GIVEN an event with an envelope, and data that breaks rules
    raw_id = client.ingest(b'{"time_stamp": "2021-02-01T00:00:00", "data": [1, "two", 3]}')

    # THEN it is rejected with every reason, and its object stays
    assert client.outcome(raw_id) == "rejected"
    ((violations,),) = client.query("SELECT violations::text FROM outcomes WHERE raw_id = :id", id=raw_id)
    assert [(entry["code"], entry.get("index")) for entry in json.loads(violations)] == [
        ("time_stamp.no_timezone", None),
        ("data.not_numeric", 1),
    ]
    assert object_key(raw_id) in client.bronze_keys()


def test_one_correlation_id_from_the_request_to_the_processing_log(client: Client) -> None:
    response = client.request("POST", "/ingest", b'{"time_stamp": "2021-04-01T00:00:00Z", "data": [424242.515625]}')
    raw_id = response.json()["raw_id"]
    assert client.outcome(UUID(raw_id)) == "processed"

    (ingested,) = client.log_lines(raw_id, "Ingest")
    (processed,) = client.log_lines(raw_id, "Process")

    correlation_id = json.loads(ingested)["correlation_id"]
    objects = {entry["raw_id"]: entry for entry in json.loads(processed)["objects"]}
    assert correlation_id
    assert objects[raw_id]["correlation_id"] == correlation_id
    stored = client.clients.s3().head_object(Bucket=client.endpoints.bucket, Key=object_key(UUID(raw_id)))
    assert stored["Metadata"]["correlation-id"] == correlation_id
    assert_no_trace(ingested + processed, "424242.515625")
