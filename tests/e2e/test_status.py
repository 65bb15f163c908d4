"""Where the 202's Location leads."""

from urllib.parse import urljoin
from uuid import UUID, uuid4

import pytest

from e2e.client import Client


def status(client: Client, raw_id: UUID) -> dict[str, object]:
    response = client.request("GET", f"/ingest/{raw_id}")
    assert response.status_code == 200, response.text
    answered: dict[str, object] = response.json()
    return answered


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


def test_an_event_that_a_later_one_replaced_is_superseded(client: Client) -> None:
    first = client.ingest(b'{"time_stamp": "2023-06-01T00:00:00Z", "data": [1]}')
    second = client.ingest(b'{"time_stamp": "2023-06-01T01:00:00+01:00", "data": [2]}')
    assert {client.outcome(first), client.outcome(second)} == {"processed"}

    assert status(client, first)["status"] == "superseded"
    assert status(client, first)["superseded_by"] == str(second)
    assert status(client, first)["mean"] == 1.0
    assert status(client, second)["status"] == "processed"


def test_a_rejected_event_has_its_reasons(client: Client) -> None:
    raw_id = client.ingest(b'{"time_stamp": "2023-07-01", "data": []}')
    assert client.outcome(raw_id) == "rejected"

    answered = status(client, raw_id)

    assert answered["status"] == "rejected"
    violations = answered["violations"]
    assert isinstance(violations, list)
    assert [entry["code"] for entry in violations] == ["time_stamp.not_iso8601", "data.empty"]


def test_what_never_arrived_is_not_found(client: Client) -> None:
    response = client.request("GET", f"/ingest/{uuid4()}")

    assert response.status_code == 404
    assert response.json()["type"] == "urn:dropzone:problem:not-found"


@pytest.mark.parametrize("raw_id", ["5", "not-a-uuid", "01a20e86-f28b-76e7-aa58-8b78d0ccaae", "%2e%2e"])
def test_what_is_no_uuid_is_a_bad_request(client: Client, raw_id: str) -> None:
    response = client.request("GET", f"/ingest/{raw_id}")

    assert response.status_code == 422
    assert response.json()["violations"][0]["field"] == "id"


def test_without_a_key_nothing_is_revealed(client: Client) -> None:
    assert client.request("GET", f"/ingest/{uuid4()}", key=None).status_code == 403
