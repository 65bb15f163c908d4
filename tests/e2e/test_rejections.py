"""`GET /rejections` on the live stack: by rule, by time, from cursor to cursor."""

from datetime import datetime, timedelta
from typing import Any

from e2e.client import Client


def rejections(client: Client, query: str) -> dict[str, Any]:
    response = client.request("GET", f"/rejections?{query}")
    assert response.status_code == 200, response.text
    listed: dict[str, Any] = response.json()
    return listed


def test_rejected_events_are_listed_with_their_reasons(waiting_client: Client) -> None:
    # GIVEN two events that break the same rule
    bodies = [b'{"time_stamp": "2024-01-01T00:00:60Z", "data": [1]}', b'{"time_stamp": "2024-W01", "data": []}']
    first, second = map(waiting_client.ingest, bodies)
    waiting_client.process_all(limit=1000)

    # THEN both are found by it, the later one first
    listed = rejections(waiting_client, "code=time_stamp.not_iso8601&limit=1")
    assert [entry["raw_id"] for entry in listed["rejections"]] == [str(second)]
    assert [entry["code"] for entry in listed["rejections"][0]["violations"]] == [
        "time_stamp.not_iso8601",
        "data.empty",
    ]
    further = rejections(waiting_client, f"code=time_stamp.not_iso8601&limit=1&cursor={listed['cursor']}")
    assert [entry["raw_id"] for entry in further["rejections"]] == [str(first)]

    # AND by the time of their arrival
    arrived = datetime.fromisoformat(listed["rejections"][0]["received_at"])
    later = (arrived + timedelta(milliseconds=1)).isoformat().replace("+", "%2B")
    before = rejections(waiting_client, f"to={arrived.isoformat().replace('+', '%2B')}")["rejections"]
    assert str(second) in {entry["raw_id"] for entry in rejections(waiting_client, f"to={later}")["rejections"]}
    assert str(second) not in {entry["raw_id"] for entry in before}
