"""Keys with scopes on the whole stack: API Gateway checks the key, the functions what it opens."""

import json
from typing import Any

import pytest

from e2e.client import BOUND, EXAMPLE, Client

ALLOWED = {"ingest": 202, "read": 403, "operate": 403, "bound": 202, "expired": 403}


def event(source: str) -> bytes:
    return json.dumps({"time_stamp": "2021-05-01T06:00:00Z", "data": [0, 2], "source": source}).encode()


@pytest.mark.parametrize("key", ALLOWED)
def test_key_sends_if_it_may(client: Client, key: str) -> None:
    answer = client.request("POST", "/ingest", EXAMPLE, key=client.keys[key], content_type="application/json")

    assert answer.status_code == ALLOWED[key], answer.text
    if key == "read":
        assert answer.json()["type"] == "urn:dropzone:problem:scope-missing"
        assert "this key has: read." in answer.json()["detail"]


@pytest.mark.parametrize(
    ("key", "method", "path", "status"),
    [
        ("ingest", "GET", "/measurements", 403),
        ("read", "GET", "/measurements", 200),
        ("operate", "GET", "/measurements", 403),
        ("ingest", "POST", "/process", 403),
        ("read", "POST", "/process", 403),
        ("operate", "POST", "/process?limit=1", 200),
    ],
)
def test_scope_opens_what_it_should_and_nothing_else(
    client: Client, key: str, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path, key=client.keys[key])

    assert answer.status_code == status, answer.text


def test_bound_key_writes_and_reads_its_sources_alone(client: Client) -> None:
    bound = client.keys["bound"]

    def send(source: str, key: str) -> str:
        answer = client.request("POST", "/ingest", event(source), key=key, content_type="application/json")
        assert answer.status_code == 202, answer.text
        client.outcome(answer.json()["raw_id"])
        return str(answer.json()["raw_id"])

    def status(raw_id: str, key: str) -> dict[str, Any]:
        answer = client.request("GET", f"/ingest/{raw_id}", key=key)
        return {"code": answer.status_code, **answer.json()}

    mine, foreign = send(f"{BOUND}/a", bound), send("elsewhere", bound)
    others = send("elsewhere/too", client.keys["ingest"])

    assert status(mine, bound)["status"] == "processed"
    rejected = status(foreign, bound)
    assert rejected["status"] == "rejected"
    assert [violation["code"] for violation in rejected["violations"]] == ["source.not_allowed"]
    assert status(others, bound)["code"] == status(mine, client.keys["ingest"])["code"] == 404
    assert status(others, client.keys["ingest"])["status"] == "processed"
    rows = client.request("GET", "/measurements?limit=1000", key=bound).json()["measurements"]
    assert {row["source"] for row in rows} == {f"{BOUND}/a"}
    raw = [
        client.request("GET", f"/ingest/{raw_id}/raw", key=client.keys[key]).status_code
        for raw_id, key in ((mine, "bound"), (others, "bound"), (mine, "read"), (mine, "operate"))
    ]
    assert raw == [200, 404, 403, 200]
