"""Data contracts on a running stack: other senders' JSON becomes rows, and clocks that are ahead are flagged."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

from e2e.client import Client


def send(client: Client, path: str, body: object, content_type: str = "application/json") -> UUID:
    response = client.request("POST", path, json.dumps(body).encode(), content_type=content_type)
    assert response.status_code == 202, response.text
    return UUID(response.json()["raw_id"])


def test_telegrafs_metrics_become_measurements(client: Client) -> None:
    # GIVEN a batch as Telegraf sends it
    metric = {"fields": {"idle": 98.5, "user": 1}, "name": "cpu", "tags": {"host": "raynor"}, "timestamp": 1458229140}

    # WHEN it is sent to the ready contract
    raw_id = send(client, "/ingest/telegraf", {"metrics": [metric]})

    # THEN each of its fields is a measurement
    assert client.outcome(raw_id) == "processed"
    assert client.query(
        "SELECT measured_at::text, source, mean FROM measurements WHERE raw_id = :id ORDER BY item", id=raw_id
    ) == [["2016-03-17 15:39:00+00", "raynor/cpu/idle", 98.5], ["2016-03-17 15:39:00+00", "raynor/cpu/user", 1.0]]
    answered = client.request("GET", f"/ingest/{raw_id}").json()
    assert [event["contract"] for event in answered["events"]] == ["telegraf@1.0.0"] * 2


def test_senml_needs_no_contract(client: Client) -> None:
    pack = [{"bn": "urn:dev:ow:10e2073a01080063:", "bt": 1.276020076e9, "n": "voltage", "u": "V", "v": 120.1}]
    raw_id = send(client, "/ingest", pack, "application/senml+json")
    assert client.outcome(raw_id) == "processed"
    assert client.query("SELECT source, unit, mean FROM measurements WHERE raw_id = :id", id=raw_id) == [
        ["urn:dev:ow:10e2073a01080063:voltage", "V", 120.1]
    ]


def test_telegrafs_lines_need_no_contract(client: Client) -> None:
    # GIVEN what outputs.http sends where nothing but the address and the key is configured
    lines = (
        b"cpu,host=raynor usage_idle=98.5,usage_user=1i 1458229140000000000\n"
        b"mem,host=raynor free=7i 1458229140000000000\n"
    )

    response = client.request("POST", "/ingest", lines, content_type="text/plain; charset=utf-8")

    assert (response.status_code, response.json()["items"]) == (202, 3)
    raw_id = UUID(response.json()["raw_id"])
    assert client.outcome(raw_id) == "processed"
    assert client.query("SELECT source, mean FROM measurements WHERE raw_id = :id ORDER BY item", id=raw_id) == [
        ["cpu/raynor/usage_idle", 98.5],
        ["cpu/raynor/usage_user", 1.0],
        ["mem/raynor/free", 7.0],
    ]


def test_a_clock_that_is_ahead_is_flagged(client: Client) -> None:
    ahead = (datetime.now(UTC) + timedelta(days=3650)).isoformat()
    raw_id = send(client, "/ingest", {"time_stamp": ahead, "data": [1], "source": "ahead", "schema_version": 2})
    assert client.outcome(raw_id) == "processed"
    [warning] = client.request("GET", f"/ingest/{raw_id}").json()["warnings"]
    assert (warning["code"], warning["rule"]) == ("time_stamp.ahead", "clock-ahead")
    [measured] = client.request("GET", "/measurements?source=ahead").json()["measurements"]
    assert measured["flags"] == ["time_stamp.ahead"]


def test_a_contract_that_is_not_there_is_not_found(client: Client) -> None:
    response = client.request("POST", "/ingest/no-such-contract", b"{}", content_type="application/json")
    assert response.status_code == 404
