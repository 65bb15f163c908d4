"""Many events at once, packed or not, and requests that are sent again."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from dropzone.domain.identifiers import object_key
from e2e.client import EXAMPLE, Client
from support.packing import gzipped

NDJSON = "application/x-ndjson"
PAYLOADS = Path(__file__).parents[2] / "events" / "payloads"
LINES = (PAYLOADS / "batch.lines.ndjson").read_bytes()


def send(client: Client, body: bytes, **headers: str) -> httpx.Response:
    return client.request("POST", "/ingest", body, **{"content_type": NDJSON, **headers})


def test_each_line_has_its_outcome(client: Client) -> None:
    # GIVEN three lines, of which one is broken
    response = send(client, LINES)
    assert response.status_code == 202, response.text
    assert response.json()["items"] == 3
    raw_id = UUID(response.json()["raw_id"])

    # WHEN they are processed
    client.outcome(raw_id)

    # THEN the answer counts them, and pages through them
    answered = client.request("GET", f"/ingest/{raw_id}?limit=2").json()
    assert (answered["status"], answered["items"]) == ("processed", 3)
    assert sum(answered["counts"].values()) == 3
    assert answered["counts"]["rejected"] == 1
    assert [event["item"] for event in answered["events"]] == [0, 1]
    assert [violation["code"] for violation in answered["events"][1]["violations"]] == ["payload.not_json"]
    rest = client.request("GET", f"/ingest/{raw_id}?limit=2&cursor={answered['cursor']}").json()
    assert [(event["item"], event["status"], event["source"]) for event in rest["events"]] == [
        (2, "processed", "hall-3")
    ]
    assert "cursor" not in rest
    assert client.query("SELECT source, mean FROM measurements WHERE raw_id = :id AND item = 2", id=raw_id) == [
        ["hall-3", 4.0]
    ]


@pytest.mark.parametrize("content_type", [NDJSON, "application/json"])
@pytest.mark.parametrize("encoding", [None, "gzip", "GZIP", "identity"])
def test_a_packed_body_is_stored_as_it_reached_the_function_and_read(
    client: Client, content_type: str, encoding: str | None
) -> None:
    body = (PAYLOADS / ("batch.lines.ndjson" if content_type == NDJSON else "batch.array.json")).read_bytes()
    packed = gzipped(body)
    headers = {"content_encoding": encoding} if encoding else {}

    response = send(client, packed, content_type=content_type, **headers)

    assert response.status_code == 202, response.text
    raw_id = UUID(response.json()["raw_id"])
    stored = client.clients.s3().get_object(Bucket=client.endpoints.bucket, Key=object_key(raw_id))
    # API Gateway decompresses what says that it is gzip.
    expected = (body, None) if encoding in {"gzip", "GZIP"} else (packed, "gzip")
    assert (stored["Body"].read(), stored.get("ContentEncoding")) == expected
    assert stored["ContentType"] == content_type
    client.outcome(raw_id)
    assert client.request("GET", f"/ingest/{raw_id}").json()["items"] == response.json()["items"]
    original = client.request("GET", f"/ingest/{raw_id}/raw")
    assert (original.content, original.headers.get("content-encoding")) == (body, expected[1])


def test_unacceptable_requests_are_refused(client: Client) -> None:
    bomb = gzipped(bytes(9_000_000), 9)
    for body, headers, status in (
        (b"\n \n", {}, 422),
        (gzipped(LINES)[:-1], {}, 400),
        (bomb, {}, 413),
        # By API Gateway: not gzip, another coding; more than it takes, than Lambda takes, and than it decompresses to.
        (b"plain", {"content_encoding": "gzip"}, 415),
        (gzipped(LINES)[:-1], {"content_encoding": "gzip"}, 415),
        (LINES, {"content_encoding": "br"}, 415),
        (bytes(10_500_000), {}, 413),
        (bytes(5_000_000), {}, 413),
        (bomb, {"content_encoding": "gzip"}, 413),
    ):
        response = send(client, body, **headers)
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status


def test_an_original_comes_as_bytes_whatever_the_client_accepts(client: Client) -> None:
    raw_id = client.ingest(EXAMPLE)
    for accept in ("*/*", "text/plain", "image/png, */*"):
        assert client.request("GET", f"/ingest/{raw_id}/raw", accept=accept).content == EXAMPLE
    request = client.http.build_request(
        "GET", f"{client.endpoints.url}/ingest/{raw_id}/raw", headers={"x-api-key": client.endpoints.api_key}
    )
    del request.headers["accept"]
    assert client.http.send(request).content == EXAMPLE


def test_bytes_without_a_content_type_arrive_as_they_are(client: Client) -> None:
    response = client.request("POST", "/ingest", gzipped(EXAMPLE))
    assert response.status_code == 202, response.text
    assert client.request("POST", "/ingest", b'{"time_stamp": "\xff", "data": [1]}').status_code == 400


def test_two_hundred_retries_at_once_are_one_object(client: Client) -> None:
    key = str(uuid4())
    bucket = client.endpoints.bucket
    body = json.dumps({"time_stamp": "2021-03-01T00:00:00Z", "data": [1], "marker": key}).encode()

    # So many in flight that they meet; how many meet in S3 is for tests/functional.
    with ThreadPoolExecutor(8) as pool:
        responses = list(
            pool.map(lambda _: send(client, body, content_type="application/json", idempotency_key=key), range(200))
        )

    assert {response.status_code for response in responses} == {202}
    [raw_id] = {response.json()["raw_id"] for response in responses}
    assert sum("idempotent-replayed" not in response.headers for response in responses) == 1
    stored = client.clients.s3().get_object(Bucket=bucket, Key=object_key(UUID(raw_id)))
    assert stored["Body"].read() == body
    client.outcome(UUID(raw_id))
    assert client.query("SELECT count(*) FROM outcomes WHERE measured_at = '2021-03-01T00:00:00Z'") == [[1]]


def test_a_key_belongs_to_one_request(client: Client) -> None:
    key = f"key with spaces {uuid4()}"
    first = send(client, EXAMPLE, idempotency_key=key)
    other = send(client, LINES, idempotency_key=key)
    again = send(client, EXAMPLE, idempotency_key=key)

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["type"]) == (422, "urn:dropzone:problem:idempotency-key-reused")
    too_long = send(client, EXAMPLE, idempotency_key="x" * 256)
    assert (too_long.status_code, too_long.json()["violations"][0]["field"]) == (422, "Idempotency-Key")
