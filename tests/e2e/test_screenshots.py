"""Pictures of the pages: those of the documents, and one of every state, to be looked at. Both only on request."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from dropzone_local.demo import Sender, send_a_day
from dropzone_local.polling import wait_until
from e2e.browser import (
    PATIENCE,
    SCHEMES,
    Scheme,
    assign,
    authorize,
    drawn,
    event,
    of,
    open_docs,
    open_shown,
    open_with,
)
from e2e.client import Client

SCREENSHOTS = os.environ.get("DROPZONE_SCREENSHOTS")
ALL_SCREENSHOTS = os.environ.get("DROPZONE_SCREENSHOTS_ALL")
WIDTHS = (1440, 390)
SOURCE = "press-3/pressure"
FAULTY = "yard/wind"

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def demo(client: Client) -> Client:
    """The stack with the demo's day, all of it processed."""
    now = datetime.now(UTC)
    with Sender(client.endpoints) as sender:
        sent = send_a_day(sender, now)
    assert wait_until(lambda: client.query("SELECT count(*) FROM outcomes")[0][0] >= sent, seconds=180)
    return client


@contextmanager
def opened(browser: Browser, width: int, scheme: Scheme, height: int = 900) -> Iterator[Page]:
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


class Album:
    """Takes the pictures of one width and scheme: what is shown is waited for by the caller."""

    def __init__(self, page: Page, folder: Path, ending: str) -> None:
        self.page = page
        self._folder = folder
        self._ending = ending
        self._number = 0

    def take(self, name: str, *, whole: bool = True) -> None:
        self._number += 1
        if whole:
            self.page.evaluate("scrollTo(0, 0)")  # what sticks to the top would be in the middle
        path = self._folder / f"{self._number:02}-{name}-{self._ending}.png"
        self.page.screenshot(path=path, full_page=whole, animations="disabled")


def status_of(page: Page, text: str) -> None:
    expect(page.locator("#state")).to_contain_text(text)


def all_drawn(page: Page) -> None:
    """All charts are there: they are fetched when one is in sight."""
    status_of(page, "Live")
    page.locator("#charts").scroll_into_view_if_needed()
    expect(page.locator("#chart-latency h2")).to_be_visible()
    for chart in ("latency", "arrived"):
        expect(page.locator(f"#chart-{chart} :is(svg text, .few):visible").first).to_be_visible()
    page.evaluate("scrollTo(0, 0)")


def the_way_in(album: Album, client: Client) -> None:
    page, url = album.page, client.endpoints.url
    page.goto(f"{url}/")
    expect(page.get_by_label("API key")).to_be_focused()
    album.take("key")
    open_with(page, client, "wrong")
    expect(page.get_by_role("alert")).to_contain_text("refuses this key")
    album.take("wrong-key")
    problem = {
        "type": "urn:dropzone:problem:scope-missing",
        "detail": "This call needs the scope read.",
    }
    page.route("**/sources*", lambda route: route.fulfill(status=403, json=problem))
    open_with(page, client)
    expect(page.get_by_role("alert")).to_contain_text("may not read")
    album.take("key-without-scope")
    page.unroute("**/sources*")

    held: list[Route] = []
    page.route("**/quality*", lambda route: held.append(route))  # noqa: PLW0108 - it marks the function given
    page.route("**/sources*", lambda route: held.append(route))  # noqa: PLW0108
    open_with(page, client)
    status_of(page, "Loading")
    album.take("first-loading")
    for pattern in ("**/quality*", "**/sources*"):
        page.unroute(pattern)
    for route in held:
        route.abort()
    expect(page.get_by_role("alert")).to_contain_text("can’t be reached")
    album.take("first-without-network")

    page.route("**/sources*", lambda route: route.fulfill(json={"sources": []}))
    page.route("**/quality*", lambda route: route.fulfill(json={"quality": [], "granularity": "hour", "tz": "UTC"}))
    page.reload()
    expect(page.locator("#welcome")).to_be_visible()
    album.take("empty-stack")
    page.unroute("**/quality*")

    page.route("**/sources*", many)
    page.reload()
    expect(page.locator("#sources-count")).to_have_text("43")
    all_drawn(page)
    album.take("43-sources")
    page.locator("#sources-rows").evaluate("box => box.scrollTo(0, box.scrollHeight)")
    page.locator("#sources-rows .name").last.hover()
    album.take("43-sources-end")
    page.get_by_label("Filter").fill("berlin silent")
    expect(page.locator("#sources-count")).to_contain_text("of 43")
    album.take("filtered")
    page.get_by_label("Filter").fill("no such source")
    expect(page.locator("#sources-none")).to_be_visible()
    album.take("no-match")
    page.unroute("**/sources*")


def the_demo(album: Album, client: Client) -> None:
    page, url = album.page, client.endpoints.url
    page.goto(f"{url}/#")
    page.reload()
    expect(page.locator("#sources-rows").get_by_role("link", name=SOURCE)).to_be_visible()
    all_drawn(page)
    album.take("overview")
    page.locator("#chart-arrived").get_by_text("Data").click()
    page.get_by_role("button", name="What arrived: curl").click()
    expect(page.locator("#line-text")).to_contain_text("/quality?")
    album.take("curl", whole=False)
    page.keyboard.press("Escape")
    page.locator("#chart-arrived").scroll_into_view_if_needed()
    page.locator("#chart-arrived .canvas").focus()
    page.keyboard.press("End")
    album.take("chart-with-data-and-focus", whole=False)
    page.emulate_media(media="print")
    album.take("overview-in-print")
    page.emulate_media(media="screen")


def a_source(album: Album, client: Client) -> None:
    page, url = album.page, client.endpoints.url
    page.goto(f"{url}/{of(SOURCE)}")
    expect(drawn(page, "mean")).to_be_visible()
    all_drawn(page)
    album.take("source")
    page.emulate_media(media="print")
    album.take("source-in-print")
    page.emulate_media(media="screen")
    page.goto(f"{url}/{of(SOURCE, range='7d')}")
    expect(page.locator("#span")).to_contain_text("by hour")
    all_drawn(page)
    album.take("source-of-7-days")
    page.goto(f"{url}/{of(FAULTY)}")
    all_drawn(page)
    album.take("source-with-rejections")
    held: list[Route] = []
    page.route("**/kpis*", lambda route: held.append(route))  # noqa: PLW0108
    page.get_by_label("Time", exact=True).select_option("6h")
    status_of(page, "Loading")
    album.take("another-range-loading")
    page.unroute("**/kpis*")
    for route in held:
        route.continue_()
    status_of(page, "Live")
    page.locator("#chart-mean .canvas").focus()
    page.keyboard.press("+")
    status_of(page, "A fixed time")
    album.take("zoomed")
    page.get_by_label("Live").uncheck()
    status_of(page, "Paused")
    page.get_by_label("Live").check()
    page.goto(f"{url}/{of('a source that nobody has heard of')}")
    expect(page.locator("#tiles")).to_contain_text("no source of this name")
    album.take("unknown-source")
    page.goto(f"{url}/{of('once/measured')}")
    expect(page.locator("#chart-mean .few")).to_be_visible()
    all_drawn(page)
    album.take("measured-once")

    page.goto(f"{url}/{of(SOURCE, tab='contract')}")
    expect(page.locator("#contract-text")).not_to_be_empty()
    album.take("contract-before-the-first-look")
    page.route("**/sources?*", assign)
    page.reload()
    expect(page.locator("#contract-text table")).to_be_visible()
    album.take("contract")
    page.unroute("**/sources?*")


def what_was_rejected(album: Album, client: Client) -> None:
    page, url = album.page, client.endpoints.url
    page.goto(f"{url}/#tab=rejected")
    listed = page.locator("#rejected-list > li")
    expect(listed).to_have_count(25)
    status_of(page, "Live")
    album.take("rejected")
    page.goto(f"{url}/{of(FAULTY, tab='rejected', rule='data.not_numeric')}")
    expect(listed.first).to_contain_text("data.not_numeric")
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
    page.goto(f"{url}/{of('tank-4/level', tab='rejected', rule='unit.invalid')}")
    expect(listed).to_have_text(["None in this time."])
    album.take("none-rejected")


def failing(answer: tuple[int, object] | None) -> Callable[[Route], None]:
    """Answers so, or as if there were no network."""

    def fail(route: Route) -> None:
        if answer is None:
            route.abort()
        else:
            route.fulfill(status=answer[0], json=answer[1], headers={"Retry-After": "30"})

    return fail


def trouble(album: Album, client: Client) -> None:
    page = album.page
    page.goto(f"{client.endpoints.url}/{of(SOURCE)}")
    expect(drawn(page, "mean")).to_be_visible()
    all_drawn(page)
    answers: dict[str, tuple[int, object] | None] = {
        "unavailable": (
            503,
            {"detail": "The database is out of reach.", "request_id": "0f1d4c6e-3f5a"},
        ),
        "too-many-requests": (429, {"message": "Too Many Requests"}),
        "without-network": None,
    }
    for name, answer in answers.items():
        page.route("**/quality*", failing(answer))
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        status_of(page, "Not up to date")
        album.take(name)
        page.unroute("**/quality*")
        page.get_by_role("button", name="Try now").click()
        expect(page.get_by_role("alert")).to_be_hidden()


# The curl line shows the key; it has no business in a picture.
_HIDE = """(within, secret) => {
    const texts = document.createTreeWalker(within, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(secret, "…");
}"""


def documentation(album: Album, client: Client) -> None:
    page = album.page
    open_docs(page, client)
    album.take("docs")
    operation = page.locator("#operations-Data-getKpis")
    operation.locator(".opblock-summary").click()
    expect(operation.get_by_role("button", name="Execute")).to_be_visible()
    operation.scroll_into_view_if_needed()
    album.take("docs-operation", whole=False)


@pytest.mark.skipif(ALL_SCREENSHOTS is None, reason="make every-screenshot takes them")
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_state(demo: Client, browser: Browser, width: int, scheme: Scheme) -> None:
    folder = Path(str(ALL_SCREENSHOTS))
    folder.mkdir(parents=True, exist_ok=True)
    demo.outcome(demo.ingest(event("once/measured", datetime.now(UTC), [21, 23])))
    with opened(browser, width, scheme) as page:
        album = Album(page, folder, f"{width}-{scheme}")
        for part in (the_way_in, the_demo, a_source, what_was_rejected, trouble, documentation):
            part(album, demo)


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
        ingest.evaluate(_HIDE, demo.endpoints.api_key)
        above, below = ingest.bounding_box(), live.bounding_box()
        assert above
        assert below
        page.screenshot(
            path=Path(str(SCREENSHOTS)) / "swagger-try-it-out.png",
            full_page=True,
            clip={**above, "height": below["y"] + below["height"] - above["y"]},
        )
