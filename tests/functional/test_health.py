"""`GET /health`."""

import pytest

from dropzone_web.handler import handler
from functional.lambda_calls import Context, api_event, header, json_body


def test_health_is_answered_without_a_key(capfd: pytest.CaptureFixture[str]) -> None:
    answer = handler(api_event(b"", like="api-health"), Context())

    assert answer["statusCode"] == 200
    assert header(answer, "Content-Type") == "application/json"
    assert json_body(answer) == {"status": "ok"}
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("method", "path"), [("GET", "/elsewhere"), ("POST", "/"), ("POST", "/health")])
def test_everything_else_is_not_found(method: str, path: str) -> None:
    event = {**api_event(b"", like="api-health", path=path), "httpMethod": method}

    answer = handler(event, Context())

    assert answer["statusCode"] == 404
    assert header(answer, "Content-Type") == "application/problem+json"
    problem = json_body(answer)
    assert problem["type"] == "urn:dropzone:problem:not-found"
    assert problem["request_id"] == event["requestContext"]["requestId"]
