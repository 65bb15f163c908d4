"""A picture of every state of the pages, to be looked at; only on request."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from e2e.browser import (
    HIDE,
    SCHEMES,
    Scheme,
    all_drawn,
    assign,
    authorize,
    drawn,
    event,
    held,
    of,
    open_docs,
    open_with,
    opened,
    ten_thousand,
)
from e2e.client import Client

FOLDER = os.environ.get("DROPZONE_SCREENSHOTS_ALL")
WIDTHS = (1440, 390)
SOURCE = "press-3/pressure"
FAULTY = "yard/wind"

pytestmark = pytest.mark.timeout(900)


def many(route: Route) -> None:
    """43 sources with long names, of every state."""
    now = datetime.now(UTC)
    sources = [
        {
            "source": f"plant-{'berlin' if number % 2 else 'wien'}/building-{number % 5}/line-{number % 3}/"
            f"{'a-very-long-group-of-sensors/' * (number % 4)}thermometer-{number:02}",
            "state": "silent" if number % 11 == 3 else "late" if number % 13 == 4 else "ok",
            "first_measured_at": (now - timedelta(days=30)).isoformat(),
            "last_measured_at": (now - timedelta(minutes=7 * number**2)).isoformat() if number != 14 else None,
            "stuck_since": now.isoformat() if number == 8 else None,
            "broken_expectations": [],
            "last_mean": None if number == 14 else 10.0 ** (number % 9) / 3,
            "unit": ("°C", "bar", "µg/m³", "", "kWh/(m²·a)")[number % 5],
            "contract": "default@1.0.0",
            "last_day": {
                "received": number * 977,
                "rejected": number,
                "rejected_share": 0.2 if number == 21 else 0.004,
            },
            "trend": [((hour * (number + 3)) % 17) if (hour + number) % 9 else None for hour in range(24)],
        }
        for number in range(43)
    ]
    route.fulfill(json={"sources": sources})


def nothing(route: Route) -> None:
    """Answer as a stack does that has received nothing."""
    route.fulfill(json={"sources": [], "quality": [], "granularity": "hour", "tz": "UTC"})


def failing(answer: tuple[int, object] | None) -> Callable[[Route], None]:
    """Answers so, or as if there were no network."""

    def fail(route: Route) -> None:
        if answer is None:
            route.abort()
        else:
            route.fulfill(status=answer[0], json=answer[1], headers={"Retry-After": "30"})

    return fail


UNAVAILABLE = (503, {"detail": "The database is out of reach.", "request_id": "0f1d4c6e-3f5a"})
TOO_MANY = (429, {"message": "Too Many Requests"})
NO_SCOPE = (403, {"type": "urn:dropzone:problem:scope-missing", "detail": "This call needs the scope read."})


@contextmanager
def answering(page: Page, pattern: str, handler: Callable[[Route], None]) -> Iterator[None]:
    """Requests of an address are answered by the handler until the end of the block."""
    page.route(pattern, handler)
    try:
        yield
    finally:
        page.unroute(pattern, handler)


class Album:
    """Takes the pictures of one width and scheme: what is shown is waited for by the caller."""

    def __init__(self, page: Page, client: Client, folder: Path, ending: str) -> None:
        self.page = page
        self.client = client
        self._folder = folder
        self.ending = ending
        self._number = 0

    def take(self, name: str, *, whole: bool = True) -> None:
        self._number += 1
        if whole:
            self.page.evaluate("scrollTo(0, 0)")  # what sticks to the top would be in the middle
        path = self._folder / f"{self._number:02}-{name}-{self.ending}.png"
        self.page.screenshot(path=path, full_page=whole, animations="disabled")

    def take_in_print(self, name: str) -> None:
        self.page.emulate_media(media="print")
        self.take(name)
        self.page.emulate_media(media="screen")

    def go(self, at: str) -> None:
        self.page.goto(f"{self.client.endpoints.url}/{at}")


def status_of(page: Page, text: str) -> None:
    expect(page.locator("#state")).to_contain_text(text)


def the_way_in(album: Album) -> None:
    page, client = album.page, album.client
    album.go("")
    expect(page.get_by_label("API key")).to_be_focused()
    album.take("key")
    page.get_by_label("Remember").check()
    page.get_by_label("API key").fill("never-a-key")
    album.take("key-to-be-remembered")
    page.get_by_label("Remember").uncheck()
    open_with(page, client, "wrong")
    expect(page.get_by_role("alert")).to_contain_text("rejected this key")
    album.take("wrong-key")
    with answering(page, "**/sources*", failing(NO_SCOPE)):
        open_with(page, client)
        expect(page.get_by_role("alert")).to_contain_text("may not read")
        album.take("key-without-scope")
    with answering(page, "**/quality*", failing(None)):
        open_with(page, client)
        expect(page.get_by_role("alert")).to_contain_text("can’t be reached")
        album.take("first-without-network")
    with held(page, "**/quality*", "**/sources*"):
        page.reload()
        status_of(page, "Loading")
        album.take("first-loading")
    with answering(page, "**/quality*", nothing), answering(page, "**/sources*", nothing):
        page.reload()
        expect(page.locator("#welcome")).to_be_visible()
        album.take("empty-stack")


def many_sources(album: Album) -> None:
    page = album.page
    with answering(page, "**/sources*", many):
        page.reload()
        expect(page.locator("#sources-count")).to_have_text("43")
        all_drawn(page)
        album.take("43-sources")
        page.locator("#sources-rows").evaluate("box => box.scrollTo(0, box.scrollHeight)")
        page.locator("#sources-rows .name", has_text="thermometer-00").hover()
        album.take("43-sources-end", whole=False)
        page.get_by_label("Filter").fill("berlin silent")
        expect(page.locator("#sources-count")).to_contain_text("of 43")
        album.take("filtered")
        page.get_by_label("Filter").fill("no such source")
        expect(page.locator("#sources-none")).to_be_visible()
        album.take("no-match")
        page.get_by_label("Filter").fill("")
        album.take_in_print("43-sources-in-print")
    with answering(page, "**/sources*", ten_thousand):
        page.reload()
        expect(page.locator("#sources-count")).to_have_text("10,000")
        page.locator("#sources-rows").evaluate("box => box.scrollTo(0, box.scrollHeight / 2)")
        expect(page.locator("#sources-rows .name", has_text="04999")).to_be_visible()
        album.take("10000-sources-scrolled", whole=False)


def the_demo(album: Album) -> None:
    page = album.page
    album.go("#")
    page.reload()
    expect(page.locator("#sources-rows").get_by_role("link", name=SOURCE)).to_be_visible()
    all_drawn(page)
    album.take("overview")
    page.locator("#chart-arrived").get_by_text("Data").click()
    page.get_by_role("button", name="What arrived: curl").click()
    expect(page.locator("#line-text")).to_contain_text("/quality?")
    album.take("curl", whole=False)
    page.keyboard.press("Escape")
    with page.expect_download(), held(page, "**/quality*"):
        button = page.get_by_role("button", name="What arrived: CSV")
        button.click()
        expect(button).to_be_disabled()
        album.take("csv-being-fetched", whole=False)
    with answering(page, "**/quality*", failing(UNAVAILABLE)):
        button.click()
        expect(page.locator("#when")).to_contain_text("can’t be fetched")
        album.take("csv-not-to-be-had", whole=False)
    status_of(page, "Live")
    page.locator("#chart-arrived").scroll_into_view_if_needed()
    page.locator("#chart-arrived .canvas").focus()
    page.keyboard.press("End")
    album.take("chart-with-data-and-focus", whole=False)
    album.take_in_print("overview-in-print")
    album.go("#zone=Asia/Kathmandu&range=7d")
    expect(page.locator("#span")).to_contain_text("by hour (Asia/Kathmandu)")
    all_drawn(page)
    album.take("overview-of-7-days-elsewhere")


def a_source(album: Album) -> None:
    page = album.page
    album.go(of(SOURCE))
    expect(drawn(page, "mean")).to_be_visible()
    all_drawn(page)
    album.take("source")
    album.take_in_print("source-in-print")
    album.go(of(SOURCE, range="7d"))
    expect(page.locator("#span")).to_contain_text("by hour")
    all_drawn(page)
    album.take("source-of-7-days")
    album.go(of(FAULTY))
    expect(drawn(page, "mean")).to_be_visible()
    all_drawn(page)
    album.take("source-with-rejections")
    album.go(of("cellar/humidity"))
    expect(drawn(page, "mean")).to_be_visible()
    all_drawn(page)
    album.take("source-that-is-silent")
    with held(page, "**/kpis*"):
        page.get_by_label("Time", exact=True).select_option("6h")
        status_of(page, "Loading")
        album.take("another-range-loading")
    status_of(page, "Live")
    album.take("silent-for-all-of-the-time")
    album.go(of(FAULTY))
    expect(drawn(page, "mean")).to_be_visible()
    status_of(page, "Live")
    page.locator("#chart-mean .canvas").focus()
    page.keyboard.press("+")
    status_of(page, "A fixed time")
    album.take("zoomed")
    page.get_by_label("Live").uncheck()
    status_of(page, "Paused")
    album.take("paused", whole=False)
    page.get_by_label("Live").check()
    status_of(page, "A fixed time")
    album.go(of("a source that nobody has heard of"))
    expect(page.locator("#tiles")).to_contain_text("no source of this name")
    status_of(page, "Live")
    album.take("unknown-source")
    album.go(of(f"once/measured-{album.ending}"))
    expect(page.locator("#chart-mean .few")).to_be_visible()
    all_drawn(page)
    album.take("measured-once")


def a_contract(album: Album) -> None:
    page = album.page
    with answering(page, "**/sources?*", unassign):
        album.go(of(SOURCE, tab="contract"))
        expect(page.locator("#contract-text")).to_contain_text("Nothing is known")
        album.take("contract-before-the-first-look")
    with answering(page, "**/sources?*", assign):
        page.reload()
        expect(page.locator("#contract-text table")).to_be_visible()
        album.take("contract")


def unassign(route: Route) -> None:
    """Answer as before Sweep's first look at the sources."""
    response = route.fetch()
    route.fulfill(
        response=response,
        json={"sources": [source | {"contract": None} for source in response.json()["sources"]]},
    )


def what_was_rejected(album: Album) -> None:
    page = album.page
    album.go("#tab=rejected")
    listed = page.locator("#rejected-list > li")
    expect(listed).to_have_count(25)
    status_of(page, "Live")
    album.take("rejected")
    page.get_by_role("button", name="Show more").click()
    expect(listed).to_have_count(50)
    album.take("rejected-second-page")
    album.go(of(FAULTY, tab="rejected", rule="data.not_numeric"))
    expect(listed.first).to_contain_text("data.not_numeric")
    expect(page.locator("#rejected-rules [aria-current=true]")).to_contain_text("data.not_numeric")
    status_of(page, "Live")
    album.take("rejected-of-a-source-by-rule")
    with page.expect_download():
        page.get_by_role("button", name="Save all").click()
    expect(page.locator("#rejected-count")).to_contain_text("saved")
    album.take("rejected-saved", whole=False)
    listed.first.get_by_role("button", name="Look into").click()
    expect(page.locator("#raw-text em")).to_be_visible()
    album.take("rejected-event", whole=False)
    page.get_by_role("dialog").evaluate("dialog => dialog.scrollTo(0, dialog.scrollHeight)")
    album.take("rejected-event-end", whole=False)
    page.get_by_role("button", name="The curl line").click()
    expect(page.locator("#line-text")).to_contain_text("corrects")
    album.take("curl-to-send-again", whole=False)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    album.go(of("tank-4/level", tab="rejected", rule="unit.invalid"))
    expect(listed).to_have_text(["None in this time."])
    status_of(page, "Live")
    album.take("none-rejected")


def trouble(album: Album) -> None:
    page = album.page
    album.go(of(SOURCE))
    expect(drawn(page, "mean")).to_be_visible()
    all_drawn(page)
    for name, answer in {"unavailable": UNAVAILABLE, "too-many-requests": TOO_MANY, "without-network": None}.items():
        with answering(page, "**/quality*", failing(answer)):
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            status_of(page, "Not up to date")
            album.take(name)
        page.get_by_role("button", name="Try now").click()
        expect(page.get_by_role("alert")).to_be_hidden()
        status_of(page, "Live")


def documentation(album: Album) -> None:
    page, client = album.page, album.client
    open_docs(page, client)
    album.take("docs")
    operation = page.locator("#operations-Data-getKpis")
    operation.locator(".opblock-summary").click()
    expect(operation.get_by_role("button", name="Execute")).to_be_visible()
    operation.scroll_into_view_if_needed()
    album.take("docs-operation", whole=False)
    page.get_by_role("button", name="Authorize").first.click()
    expect(page.locator(".modal-ux input")).to_be_visible()
    album.take("docs-authorize", whole=False)
    page.get_by_role("button", name="Close").last.click()
    authorize(page, client)
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table")
    expect(answer).to_contain_text("kpis")
    operation.evaluate(HIDE, client.endpoints.api_key)
    answer.scroll_into_view_if_needed()
    album.take("docs-answer", whole=False)


@pytest.mark.skipif(FOLDER is None, reason="make every-screenshot takes them")
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_state(demo: Client, browser: Browser, width: int, scheme: Scheme) -> None:
    folder = Path(str(FOLDER))
    folder.mkdir(parents=True, exist_ok=True)
    demo.outcome(demo.ingest(event(f"once/measured-{width}-{scheme}", datetime.now(UTC), [21, 23])))
    with opened(browser, width, scheme) as page:
        album = Album(page, demo, folder, f"{width}-{scheme}")
        for part in (
            the_way_in,
            many_sources,
            the_demo,
            a_source,
            a_contract,
            what_was_rejected,
            trouble,
            documentation,
        ):
            part(album)
