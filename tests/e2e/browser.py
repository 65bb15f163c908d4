"""How a test opens the page of figures, and Swagger UI, in a browser."""

import json
from datetime import datetime
from typing import Literal
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, Route, expect

from e2e.client import Client

PATIENCE = 60_000
type Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
REFRESH = 11_000
"""In milliseconds: longer than the page waits until it asks again."""


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


def drawn(page: Page, chart: str) -> Locator:
    """A label of an axis, which a chart has once it is drawn."""
    return page.locator(f"#chart-{chart} svg text").first


def open_docs(page: Page, client: Client) -> None:
    page.goto(f"{client.endpoints.url}/docs")
    expect(page.locator(".opblock").first).to_be_visible()


def authorize(page: Page, client: Client) -> None:
    """Give Swagger UI the stack's key."""
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".modal-ux input").fill(client.endpoints.api_key)
    page.locator(".modal-ux").get_by_role("button", name="Apply credentials").click()
    page.locator(".modal-ux").get_by_role("button", name="Close").last.click()
