"""Swagger UI in a real browser, on the live stack."""

import json
from collections.abc import Iterator

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


def operation_ids() -> list[str]:
    document = json.loads(TARGET.read_text(encoding="utf-8"))
    return [each["operationId"] for item in document["paths"].values() for each in item.values()]


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


def test_every_operation_runs_as_delivered(client: Client, page: Page) -> None:
    # GIVEN an event, as the demo would have sent many, and its key
    client.outcome(client.ingest(EXAMPLE))
    open_docs(page, client)
    authorize(page, client)
    names = operation_ids()
    expect(page.locator(".opblock")).to_have_count(len(names))

    # WHEN each is executed with what stands there, and the 202 has its reference
    answers: dict[str, str] = {}
    for name in names:
        operation = page.locator(f".opblock[id$='-{name}']")
        operation.locator(".opblock-summary").click()
        operation.get_by_role("button", name="Execute").click()
        status = operation.locator(".live-responses-table tbody .response-col_status").first
        expect(status).to_be_visible()
        answers[name] = status.inner_text().split()[0]
        if name == "sendEvents":
            expect(operation.locator(".live-responses-table")).to_contain_text("raw_id")
        operation.locator(".opblock-summary").click()

    # THEN each succeeds
    assert answers == {name: "202" if name.startswith("send") else "200" for name in names}


def test_without_a_key_try_it_out_is_refused(client: Client, page: Page) -> None:
    open_docs(page, client)

    ingest = page.locator("#operations-Events-sendEvents")
    ingest.locator(".opblock-summary").click()
    ingest.get_by_role("button", name="Execute").click()

    expect(ingest.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("403")
