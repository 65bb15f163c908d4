"""Pictures of the pages for the documents; only on request."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from e2e.browser import HIDE, SCHEMES, Scheme, all_drawn, authorize, of, open_docs, open_shown, opened
from e2e.client import Client

SCREENSHOTS = os.environ.get("DROPZONE_SCREENSHOTS")
SOURCE = "press-3/pressure"

pytestmark = pytest.mark.timeout(900)


@pytest.mark.skipif(SCREENSHOTS is None, reason="make screenshots takes them")
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("name", "width", "at", "last"),
    [
        ("page", 1120, "", "#chart-latency"),
        ("page-source", 1120, of(SOURCE), "#chart-latency"),
        ("page-phone", 390, "", "#sources"),
    ],
)
def test_screenshots(demo: Client, browser: Browser, name: str, width: int, at: str, last: str, scheme: Scheme) -> None:
    with opened(browser, width, scheme) as page:
        open_shown(page, demo, at)
        expect(page.locator("#sources tbody tr:not(.space), #measured svg text").first).to_be_visible()
        all_drawn(page)
        box = page.locator(last).bounding_box()
        assert box is not None
        # From the top to the end of a panel, so that none is cut.
        page.screenshot(
            path=Path(str(SCREENSHOTS)) / f"{name}-{scheme}.png",
            animations="disabled",
            full_page=True,
            clip={"x": 0, "y": 0, "width": width, "height": box["y"] + box["height"] + 12},
        )


@pytest.mark.skipif(SCREENSHOTS is None, reason="make screenshots takes them")
def test_screenshots_of_swagger_ui(demo: Client, browser: Browser) -> None:
    with opened(browser, 1280, "light", height=1600) as page:
        open_docs(page, demo)
        page.screenshot(path=Path(str(SCREENSHOTS)) / "swagger.png")
        authorize(page, demo)
        ingest = page.locator("#operations-Events-sendEvents")
        ingest.locator(".opblock-summary").click()
        ingest.get_by_role("button", name="Execute").click()
        live = ingest.locator(".live-responses-table")
        expect(live).to_contain_text("raw_id")
        page.evaluate("scrollTo(0, 0)")
        ingest.evaluate(HIDE, demo.endpoints.api_key)
        above, below = ingest.bounding_box(), live.bounding_box()
        assert above
        assert below
        page.screenshot(
            path=Path(str(SCREENSHOTS)) / "swagger-try-it-out.png",
            full_page=True,
            clip={**above, "height": below["y"] + below["height"] - above["y"]},
        )
