"""Browsers: without the parameter, no page of another origin may call the API."""

import pytest

from e2e.client import Client
from e2e.conftest import ORIGIN
from e2e.test_cors import READS

ROUTES = [("POST", "/ingest"), *(("GET", path) for path in READS)]


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=[path for _, path in ROUTES])
def test_no_origin_may(client: Client, method: str, path: str) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "x-api-key",
    }
    preflight = client.http.options(f"{client.endpoints.url}{path}", headers=asked)
    answer = client.request(method, path, b"no JSON" if method == "POST" else None, Origin=ORIGIN)

    assert preflight.status_code == 204
    assert "access-control-allow-origin" not in preflight.headers
    assert "access-control-allow-methods" not in preflight.headers
    assert "access-control-allow-origin" not in answer.headers
