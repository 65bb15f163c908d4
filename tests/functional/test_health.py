"""`GET /health`."""

from pathlib import Path

import pytest

import dropzone_web.static
from dropzone_web.handler import handler
from functional.lambda_calls import api_event, header, json_body
from support.lambda_context import Context

SCRIPT = min(path.name for path in (Path(dropzone_web.static.__file__).parent / "page").glob("page-*.js"))
"""Its name has a digest of what it holds."""


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


@pytest.mark.parametrize("path", ["/health", "/docs", "/openapi.json", f"/page/{SCRIPT}"])
def test_head_answers_as_get_does_without_the_body(path: str) -> None:
    event = api_event(b"", like="api-health", path=path)

    got, head = handler(event, Context()), handler({**event, "httpMethod": "HEAD"}, Context())

    assert head == got | {"body": "", "isBase64Encoded": False}
    assert got["statusCode"] == 200


@pytest.mark.parametrize("slash", ["", "/"])
def test_document_names_its_own_address(slash: str) -> None:
    event = api_event(b"", like="api-health", path=f"/openapi.json{slash}")
    event["requestContext"]["path"] = f"/v1/openapi.json{slash}"

    document = json_body(handler(event, Context()))

    assert document["servers"] == [{"url": "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/v1"}]


def test_document_is_relative_where_nobody_names_the_domain() -> None:
    event = api_event(b"", like="api-health", path="/openapi.json")
    del event["requestContext"]["domainName"]

    assert json_body(handler(event, Context()))["servers"] == [{"url": "."}]
