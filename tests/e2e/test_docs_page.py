"""Swagger UI in a real browser, on the live stack."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from dropzone_openapi.build import TARGET
from e2e.client import EXAMPLE, Client

SCREENSHOTS = os.environ.get("DROPZONE_SCREENSHOTS")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    yield context.new_page()
    context.close()


# The curl line shows the key; it has no business in a picture.
_HIDE = """(within, secret) => {
    const texts = document.createTreeWalker(within, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(secret, "…");
}"""


def operation_ids() -> list[str]:
    document = json.loads(TARGET.read_text(encoding="utf-8"))
    return [each["operationId"] for item in document["paths"].values() for each in item.values()]


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Where screenshots go: to docs/images for `make screenshots`."""
    return Path(SCREENSHOTS) if SCREENSHOTS else tmp_path


def test_the_page_shows_every_route_and_asks_no_other_host(client: Client, page: Page, shots: Path) -> None:
    requests: list[Request] = []
    complaints: list[ConsoleMessage] = []
    page.on("request", lambda request: requests.append(request))  # noqa: PLW0108 - it marks the function given
    page.on("console", lambda message: complaints.append(message) if message.type == "error" else None)

    page.goto(f"{client.endpoints.url}/docs")

    for path in ("/ingest", "/process", "/health"):
        expect(page.locator(f"[data-path='{path}']")).to_be_visible()
    page.screenshot(path=shots / "swagger.png")
    addresses = [request.url for request in requests if not request.url.startswith("data:")]
    assert len(addresses) >= 5
    assert [address for address in addresses if not address.startswith(client.endpoints.url)] == []
    assert [message.text for message in complaints] == []


def test_try_it_out_posts_the_example(client: Client, page: Page, shots: Path) -> None:
    page.goto(f"{client.endpoints.url}/docs")

    # WHEN the key is given, and the example is sent
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".modal-ux input").fill(client.endpoints.api_key)
    page.locator(".modal-ux").get_by_role("button", name="Apply credentials").click()
    page.locator(".modal-ux").get_by_role("button", name="Close").last.click()
    ingest = page.locator("#operations-Events-sendEvents")
    ingest.locator(".opblock-summary").click()
    ingest.get_by_role("button", name="Execute").click()

    # THEN the 202 is there, with its reference
    live = ingest.locator(".live-responses-table")
    expect(live.locator("tbody .response-col_status").first).to_contain_text("202")
    expect(live).to_contain_text("raw_id")
    page.evaluate("scrollTo(0, 0)")
    ingest.evaluate(_HIDE, client.endpoints.api_key)
    above, below = ingest.bounding_box(), live.bounding_box()
    assert above
    assert below
    height = below["y"] + below["height"] - above["y"]
    page.screenshot(path=shots / "swagger-try-it-out.png", full_page=True, clip={**above, "height": height})


def test_every_operation_runs_as_delivered(client: Client, page: Page) -> None:
    # GIVEN an event, as the demo would have sent many, and its key
    client.outcome(client.ingest(EXAMPLE))
    page.goto(f"{client.endpoints.url}/docs")
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".modal-ux input").fill(client.endpoints.api_key)
    page.locator(".modal-ux").get_by_role("button", name="Apply credentials").click()
    page.locator(".modal-ux").get_by_role("button", name="Close").last.click()
    operations = page.locator(".opblock")
    expect(operations).to_have_count(len(operation_ids()))

    # WHEN each is executed with what stands there
    answers: dict[str, str] = {}
    for name in operation_ids():
        operation = page.locator(f".opblock[id$='-{name}']")
        operation.locator(".opblock-summary").click()
        operation.get_by_role("button", name="Execute").click()
        status = operation.locator(".live-responses-table tbody .response-col_status").first
        expect(status).to_be_visible()
        answers[name] = status.inner_text().split()[0]
        operation.locator(".opblock-summary").click()

    # THEN each succeeds
    assert answers == {name: "202" if name.startswith("send") else "200" for name in operation_ids()}


def test_it_is_dark_where_the_reader_s_system_is(client: Client, page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(f"{client.endpoints.url}/docs")

    expect(page.locator("html")).to_have_class("dark-mode")
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).not_to_have_class("dark-mode")


def test_without_a_key_try_it_out_is_refused(client: Client, page: Page) -> None:
    page.goto(f"{client.endpoints.url}/docs")

    ingest = page.locator("#operations-Events-sendEvents")
    ingest.locator(".opblock-summary").click()
    ingest.get_by_role("button", name="Execute").click()

    expect(ingest.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("403")
