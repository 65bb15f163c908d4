"""How a test opens the page of figures, and Swagger UI, in a browser."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.sync_api import Browser, Locator, Page, Route, expect

from e2e.client import Client

PATIENCE = 60_000
type Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
REFRESH = 11_000
"""In milliseconds: longer than the page waits until it asks again."""


@contextmanager
def opened(browser: Browser, width: int, scheme: Scheme, height: int = 900) -> Iterator[Page]:
    """A page for pictures: nothing on it moves."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        timezone_id="UTC",
        reduced_motion="reduce",
        accept_downloads=True,
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    yield page
    context.close()


def open_with(page: Page, client: Client, key: str | None = None, at: str = "") -> None:
    page.goto(f"{client.endpoints.url}/{at}")
    page.get_by_label("API key").fill(client.endpoints.api_key if key is None else key)
    page.keyboard.press("Enter")


def open_shown(page: Page, client: Client, at: str = "") -> None:
    open_with(page, client, at=at)
    expect(page.locator("#state")).to_contain_text("Live")


def of(source: str, **others: str) -> str:
    """The address of a source's view."""
    return "#" + urlencode({"source": source, **others})


def event(source: str, at: datetime, data: list[object]) -> bytes:
    return json.dumps(
        {"schema_version": 2, "time_stamp": at.isoformat(), "data": data, "source": source, "unit": "°C"}
    ).encode()


def assign(route: Route) -> None:
    """Answer as if Sweep had looked at the sources: they have their contract from then on."""
    response = route.fetch()
    sources = [source | {"contract": "default@1.0.0"} for source in response.json()["sources"]]
    route.fulfill(response=response, json={"sources": sources})


def ten_thousand(route: Route) -> None:
    """Answer GET /sources with 10,000 of them, a page at a time; the one before the last hundred and some is silent."""
    query = parse_qs(urlsplit(route.request.url).query)
    first = int(query.get("cursor", [".0"])[0][1:])
    count = min(int(query["limit"][0]), 10_000 - first)
    at = datetime.now(UTC).isoformat()
    sources = [
        {
            "source": f"plant-{number:05}/line-{number % 7}/a-sensor-with-a-long-name-{number:05}",
            "state": "silent" if number == 9_876 else "ok",
            "last_measured_at": at,
            "stuck_since": None,
            "broken_expectations": [],
            "last_mean": float(number),
            "unit": "°C",
            "last_day": {"received": 10, "rejected": 0, "rejected_share": 0.0},
            "trend": [float(number), None] if "trend" in query else None,
        }
        for number in range(first, first + count)
    ]
    cursor = {"cursor": f".{first + count}"} if first + count < 10_000 else {}
    route.fulfill(json={"sources": sources, **cursor})


@contextmanager
def held(page: Page, *patterns: str | re.Pattern[str]) -> Iterator[None]:
    """Requests of these addresses wait for the end of the block."""
    waiting: list[Route] = []
    for pattern in patterns:
        page.route(pattern, lambda route: waiting.append(route))  # noqa: PLW0108 - it marks the function given
    yield
    # Before the handler goes: it would let them go itself, and a route is answered once.
    while waiting:
        waiting.pop().continue_()
    for pattern in patterns:
        page.unroute(pattern)


def drawn(page: Page, chart: str) -> Locator:
    """A label of an axis, which a chart has once it is drawn."""
    return page.locator(f"#chart-{chart} svg text").first


def all_drawn(page: Page) -> None:
    """All charts are there: they are fetched when one is in sight."""
    expect(page.locator("#state")).to_contain_text("Live")
    page.locator("#charts").scroll_into_view_if_needed()
    expect(page.locator("#chart-latency h2")).to_be_visible()
    for chart in ("latency", "arrived"):
        expect(page.locator(f"#chart-{chart} :is(svg text, .few):visible").first).to_be_visible()
    page.evaluate("scrollTo(0, 0)")


# The curl line shows the key; it has no business in a picture.
HIDE = """(within, secret) => {
    const texts = document.createTreeWalker(within, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(secret, "…");
}"""


def open_docs(page: Page, client: Client) -> None:
    page.goto(f"{client.endpoints.url}/docs")
    expect(page.locator(".opblock").first).to_be_visible()


def authorize(page: Page, client: Client) -> None:
    """Give Swagger UI the stack's key."""
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".modal-ux input").fill(client.endpoints.api_key)
    page.locator(".modal-ux").get_by_role("button", name="Apply credentials").click()
    page.locator(".modal-ux").get_by_role("button", name="Close").last.click()
