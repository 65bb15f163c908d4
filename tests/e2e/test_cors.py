"""Browsers: no page may call the API, unless its origin is the parameter's."""

import pytest

from e2e.client import EXAMPLE, Client
from e2e.conftest import ORIGIN

PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}


@pytest.mark.parametrize("path", ["/ingest", "/process"])
def test_a_preflight_lists_what_the_origin_may_send(waiting_client: Client, path: str) -> None:
    response = waiting_client.http.options(f"{waiting_client.endpoints.url}{path}", headers=PREFLIGHT)

    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["access-control-allow-methods"] == "POST"
    assert "x-api-key" in response.headers["access-control-allow-headers"].lower()


def test_answers_and_refusals_may_be_read_by_the_origin(waiting_client: Client) -> None:
    for body, status in ((EXAMPLE, 202), (b"no JSON", 400)):
        response = waiting_client.request("POST", "/ingest", body, Origin=ORIGIN)

        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert "Location" in response.headers["access-control-expose-headers"]
