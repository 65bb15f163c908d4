"""Swagger UI in a real browser, on the live stack."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from dropzone_openapi.build import TARGET
from e2e.browser import PATIENCE, authorize, open_docs
from e2e.client import EXAMPLE, Client


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    yield page
    context.close()


PATHS: dict[str, dict[str, Any]] = json.loads(TARGET.read_text(encoding="utf-8"))["paths"]
NAMES = [operation["operationId"] for methods in PATHS.values() for operation in methods.values()]


def one_of_each_kind() -> list[str]:
    """Operations of which each has what Swagger UI, or docs.js, fills in otherwise than the others."""
    kinds = {}
    for path, methods in PATHS.items():
        for method, operation in methods.items():
            types = tuple(operation.get("requestBody", {}).get("content", ()))
            named = path.partition("{")[0] if "{" in path else ""
            kinds[method, named, bool(operation.get("security")), types] = operation["operationId"]
    return list(kinds.values())


def test_the_page_shows_every_route_and_asks_no_other_host(client: Client, page: Page) -> None:
    requests: list[Request] = []
    complaints: list[ConsoleMessage] = []
    page.on("request", lambda request: requests.append(request))  # noqa: PLW0108 - it marks the function given
    page.on("console", lambda message: complaints.append(message) if message.type == "error" else None)

    open_docs(page, client)

    for path in ("/ingest", "/process", "/health"):
        expect(page.locator(f"[data-path='{path}']")).to_be_visible()
    addresses = [request.url for request in requests if not request.url.startswith("data:")]
    assert len(addresses) >= 5
    assert [address for address in addresses if not address.startswith(client.endpoints.url)] == []
    assert [message.text for message in complaints] == []

    # AND it is dark where the reader's system is
    expect(page.locator("html")).not_to_have_class("dark-mode")
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_class("dark-mode")


def answer_of(page: Page, name: str) -> str:
    """The status that an operation answers with, executed with what stands there; a 202 has its reference."""
    operation = page.locator(f".opblock[id$='-{name}']")
    operation.locator(".opblock-summary").click()
    with page.expect_response(lambda response: response.request.resource_type == "fetch") as answered:
        operation.get_by_role("button", name="Execute").click()
    status = str(answered.value.status)
    # Until then, the answer of the time before stands there.
    answer = operation.locator(".live-responses-table tbody .response-col_status").first
    expect(answer).to_contain_text(status)
    if status == "202":
        expect(operation.locator(".live-responses-table")).to_contain_text("raw_id")
    # What is open is drawn again with every answer, for a second.
    operation.locator(".opblock-summary").click()
    return status


@pytest.mark.parametrize(
    "names", [one_of_each_kind(), pytest.param(NAMES, marks=pytest.mark.weekly)], ids=["of each kind", "all"]
)
def test_operations_run_as_delivered(client: Client, page: Page, names: list[str]) -> None:
    # GIVEN an event, as the demo would have sent many
    client.outcome(client.ingest(EXAMPLE))
    open_docs(page, client)
    expect(page.locator(".opblock")).to_have_count(len(NAMES))

    # THEN none is let in without a key
    assert answer_of(page, "sendEvents") == "403"

    # AND each succeeds with one
    authorize(page, client)
    answers = {name: answer_of(page, name) for name in names}
    assert answers == {name: "202" if name.startswith("send") else "200" for name in names}
