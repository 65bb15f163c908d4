"""What is refused, how, and that nothing of it stays."""

import pytest

from e2e.client import EXAMPLE, Client

# One of each status: what else is refused is for tests/functional.
REFUSALS = {
    "broken": (400, b'{"time_stamp": ', {}),
    "not UTF-8": (400, b'{"time_stamp": "\xff", "data": [1]}', {}),
    "too large": (413, b'{"time_stamp": "2019-05-01T06:00:00Z", "data": [1], "x": "' + b"x" * 4_194_304 + b'"}', {}),
    "curl's form type": (415, EXAMPLE, {"content_type": "application/x-www-form-urlencoded"}),
    "without data": (422, b'{"time_stamp": "2019-05-01T06:00:00Z"}', {}),
}


@pytest.mark.parametrize(("status", "body", "headers"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_is_a_problem_and_leaves_nothing(
    waiting_client: Client, status: int, body: bytes, headers: dict[str, str]
) -> None:
    before = waiting_client.bronze_keys()

    response = waiting_client.request("POST", "/ingest", body, **headers)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert {"type", "title", "detail", "request_id"} <= problem.keys()
    assert bool(problem.get("violations")) == (status == 422)
    assert waiting_client.bronze_keys() == before


@pytest.mark.parametrize("path", ["/ingest", "/process"])
@pytest.mark.parametrize("key", [None, "wrong"])
def test_without_the_right_key_nothing_is_done(waiting_client: Client, path: str, key: str | None) -> None:
    before = waiting_client.bronze_keys()

    response = waiting_client.request("POST", path, EXAMPLE, key=key)

    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["type"], problem["status"]) == ("urn:dropzone:problem:forbidden", 403)
    assert problem["request_id"]
    assert waiting_client.bronze_keys() == before


def test_health_needs_no_key(waiting_client: Client) -> None:
    response = waiting_client.request("GET", "/health", key=None)

    assert (response.status_code, response.json()) == (200, {"status": "ok"})
