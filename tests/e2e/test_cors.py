"""Browsers: which pages may call the API is the parameter's. A key makes them ask first, for reads as well."""

import pytest

from e2e.client import EXAMPLE, Client
from e2e.conftest import ORIGIN

NO_SUCH = "01900000-0000-7000-8000-000000000000"
READS = [f"/ingest/{NO_SUCH}", "/rejections", "/sources", "/contracts", "/contracts/default"]
WRITES = ["/ingest", "/process"]


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [*((path, "POST", "POST") for path in WRITES), *((path, "GET", "GET, HEAD") for path in READS)],
)
def test_a_preflight_lists_what_the_origin_may_send(
    waiting_client: Client, path: str, method: str, allowed: str
) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "x-api-key",
    }
    response = waiting_client.http.options(f"{waiting_client.endpoints.url}{path}", headers=asked)

    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["access-control-allow-methods"].startswith(allowed)
    assert "x-api-key" in response.headers["access-control-allow-headers"].lower()


def test_answers_and_refusals_may_be_read_by_the_origin(waiting_client: Client) -> None:
    for body, status in ((EXAMPLE, 202), (b"no JSON", 400)):
        response = waiting_client.request("POST", "/ingest", body, Origin=ORIGIN)

        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert "Location" in response.headers["access-control-expose-headers"]


def test_what_is_read_may_be_read_by_the_origin(waiting_client: Client) -> None:
    raw_id = waiting_client.ingest(EXAMPLE)

    for path, status in ((f"/ingest/{raw_id}", 200), (f"/ingest/{NO_SUCH}", 404), ("/rejections", 200)):
        response = waiting_client.request("GET", path, Origin=ORIGIN)

        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == ORIGIN
