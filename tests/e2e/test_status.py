"""Where the 202's Location leads."""

from urllib.parse import urljoin
from uuid import UUID, uuid4

from e2e.client import Client


def test_the_location_leads_to_the_processed_event(client: Client) -> None:
    # GIVEN an event that is taken in
    sent = client.request("POST", "/ingest", b'{"time_stamp": "2023-05-01T06:00:00.5-04:00", "data": [1, 2, 6]}')
    assert client.outcome(UUID(sent.json()["raw_id"])) == "processed"

    # WHEN its Location is followed
    address = urljoin(str(sent.url), sent.headers["location"])
    response = client.http.get(address, headers={"x-api-key": client.endpoints.api_key})

    # THEN its figures are there
    answered = response.json()
    assert response.status_code == 200
    assert answered.pop("settled_at") > answered["received_at"]
    assert answered == {
        "raw_id": sent.json()["raw_id"],
        "status": "processed",
        "received_at": sent.json()["received_at"],
        "items": 1,
        "measured_at": "2023-05-01T10:00:00.500000Z",
        "source": "",
        "contract": "default@1.0.0",
        "mean": 3.0,
        "std_dev": 2.160246899469287,
        "sample_count": 3,
        "min": 1.0,
        "max": 6.0,
        "unit": "",
        "tags": {},
    }


def test_without_a_key_nothing_is_revealed(client: Client) -> None:
    assert client.request("GET", f"/ingest/{uuid4()}", key=None).status_code == 403


def test_the_emulator_has_written_what_was_deployed(client: Client) -> None:
    # Otherwise it does so as it ends, and a crash would lose the stack.
    assert "ApiKeyId" in (client.stack.emulator.state / "cloudformation.json").read_text(encoding="utf-8")
