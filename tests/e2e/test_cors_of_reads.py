"""Browsers: a page of the parameter's origin may read as well, which takes the key and thereby a question first."""

import pytest

from e2e.client import EXAMPLE, Client
from e2e.conftest import ORIGIN

PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "x-api-key",
}
NO_SUCH = "01900000-0000-7000-8000-000000000000"
READS = [f"/ingest/{NO_SUCH}", "/rejections", "/sources", "/contracts", "/contracts/default"]


@pytest.mark.parametrize("path", READS)
def test_a_preflight_allows_the_origin_to_read(waiting_client: Client, path: str) -> None:
    response = waiting_client.http.options(f"{waiting_client.endpoints.url}{path}", headers=PREFLIGHT)

    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "GET" in response.headers["access-control-allow-methods"].split(", ")
    assert "x-api-key" in response.headers["access-control-allow-headers"].lower()


def test_what_is_read_may_be_read_by_the_origin(waiting_client: Client) -> None:
    raw_id = waiting_client.ingest(EXAMPLE)

    for path, status in ((f"/ingest/{raw_id}", 200), (f"/ingest/{NO_SUCH}", 404), ("/rejections", 200)):
        response = waiting_client.request("GET", path, Origin=ORIGIN)

        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == ORIGIN
