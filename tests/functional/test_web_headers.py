"""The headers of every page and every preflight."""

import re
from typing import Any

import pytest

from dropzone_web import handler as web
from functional.lambda_calls import api_event, header
from support.lambda_context import Context
from unit.template.functions import functions
from unit.template.loading import load_template
from unit.template.stacks import deployed

ORIGIN = "https://app.example.com"

# What a page of another origin may send: what `POST /ingest` and the reads look at.
SENDABLE = {"Content-Encoding", "Content-Type", "Idempotency-Key", "If-None-Match", "X-Api-Key"}


def routes(function: str) -> set[tuple[str, str]]:
    """A function's methods and paths, by the template."""
    [found] = [entry for entry in functions(load_template()) if entry.name == function]
    return {
        (event["Properties"]["Method"].upper(), event["Properties"]["Path"])
        for event in found.properties["Events"].values()
        if event["Type"] == "Api"
    }


def keyed() -> dict[str, set[str]]:
    """The methods of each path that needs a key, preflights aside."""
    found: dict[str, set[str]] = {}
    for function in ("IngestFunction", "SweepFunction", "QueryFunction"):
        for method, path in routes(function):
            found.setdefault(path, set()).add(method)
    return found


def ask(method: str, path: str) -> dict[str, Any]:
    event = api_event(b"", like="api-health", path=re.sub(r"\{\w+\}", "page.css", path))
    event["requestContext"]["path"] = f"/v1{path}"
    event["httpMethod"] = event["requestContext"]["httpMethod"] = method
    answer: dict[str, Any] = web.handler(event, Context())
    return answer


@pytest.fixture
def origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGIN", ORIGIN)
    monkeypatch.setattr(web, "settings", web.settings.__wrapped__)


@pytest.mark.usefixtures("origin")
@pytest.mark.parametrize("path", sorted(keyed()))
def test_preflight_names_all_that_a_page_may_send(path: str) -> None:
    answer = ask("OPTIONS", path)

    assert answer["statusCode"] == 204
    assert header(answer, "Access-Control-Allow-Origin") == ORIGIN
    assert set(str(header(answer, "Access-Control-Allow-Headers")).split(", ")) == SENDABLE
    assert set(str(header(answer, "Access-Control-Allow-Methods")).split(", ")) == keyed()[path]
    assert int(str(header(answer, "Access-Control-Max-Age"))) == 3600
    assert "Origin" in str(header(answer, "Vary"))


@pytest.mark.parametrize("path", sorted(keyed()))
def test_preflight_allows_nothing_without_an_origin(path: str) -> None:
    answer = ask("OPTIONS", path)

    assert answer["statusCode"] == 204
    assert [name for name in answer["multiValueHeaders"] if name.lower().startswith("access-control")] == []


def test_every_path_with_a_key_has_a_preflight() -> None:
    assert {path for method, path in routes("WebFunction") if method == "OPTIONS"} == keyed().keys()
    assert deployed().one("WebFunction")["Environment"]["Variables"]["CORS_ORIGIN"] == ""
