"""The page of figures in a real browser, on the live stack."""

import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, Route, expect, sync_playwright

from dropzone_local.demo import Sender, send_a_day
from dropzone_local.polling import wait_until
from e2e.client import Client
from support.packing import gzipped

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENSHOTS = os.environ.get("DROPZONE_SCREENSHOTS")
PATIENCE = 60_000
REFRESH = 11_000
"""In milliseconds: longer than the page waits until it asks again."""

expect.set_options(timeout=PATIENCE)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: as root, make test installs it")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the console says of errors, violations of the policy among them."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    """A page whose clock can be set forward."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, timezone_id="UTC", accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.clock.install()

    def listen(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()


@pytest.fixture
def source() -> str:
    """A source of the test's own."""
    return f"page/<b>{uuid4().hex[:8]}</b>"


def open_with(page: Page, client: Client, key: str | None = None) -> None:
    page.goto(f"{client.endpoints.url}/")
    page.get_by_label("API key").fill(client.endpoints.api_key if key is None else key)
    page.keyboard.press("Enter")


def open_shown(page: Page, client: Client) -> None:
    open_with(page, client)
    expect(page.locator("#state")).to_contain_text("Live")


def event(source: str, at: datetime, data: list[object]) -> bytes:
    return json.dumps(
        {"schema_version": 2, "time_stamp": at.isoformat(), "data": data, "source": source, "unit": "°C"}
    ).encode()


def process_objects(client: Client, *bodies: bytes) -> list[UUID]:
    raw_ids = [client.ingest(body) for body in bodies]
    for raw_id in raw_ids:
        client.outcome(raw_id)
    return raw_ids


def choose_source(page: Page, source: str) -> None:
    """Once it is known: a figure comes with the next refresh."""
    expect(page.locator("#source option", has_text=source)).to_have_count(1)
    page.get_by_label("Source", exact=True).select_option(source)


def tile(page: Page, name: str) -> Locator:
    return page.locator(".tile", has=page.get_by_text(name, exact=True)).locator("b")


def test_data_that_arrives_while_it_is_open_appears(
    client: Client, page: Page, source: str, complaints: list[str]
) -> None:
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))  # noqa: PLW0108 - it marks the function given
    now = datetime.now(UTC)
    open_shown(page, client)
    assert page.locator("#source option", has_text=source).count() == 0

    # WHEN an event arrives, and the page asks again
    process_objects(client, event(source, now, [21, 23]))
    page.clock.fast_forward(REFRESH)

    # THEN its source can be chosen, and has a chart of its own, with mean, deviation and unit, as text and in a table
    choose_source(page, source)
    panel = page.locator("#means .panel", has=page.get_by_role("heading", name=source))
    expect(panel.locator(".legend")).to_contain_text("22 ± 1 °C")
    expect(page.locator("#means .panel")).to_have_count(1)
    for name, value in (("Accepted", "1"), ("Processed", "1"), ("Rejected", "0")):
        expect(tile(page, name)).to_have_text(value)
    panel.get_by_text("As a table").click()
    expect(panel.get_by_role("row")).to_have_count(2)
    expect(panel.get_by_role("cell")).to_have_text("22 ± 1")

    # AND another one of the same source
    process_objects(client, event(source, now + timedelta(microseconds=1), [31, 33]))
    page.clock.fast_forward(REFRESH)
    expect(tile(page, "Accepted")).to_have_text("2")

    # AND no other host was asked, and nothing was refused
    addresses = [request.url for request in requests if not request.url.startswith("data:")]
    assert [address for address in addresses if not address.startswith(client.endpoints.url)] == []
    assert complaints == []


def test_an_event_with_a_warning_is_counted_by_its_rule(
    client: Client, page: Page, source: str, complaints: list[str]
) -> None:
    # GIVEN an event, and one of a clock that is two hours ahead, of which the default contract warns
    now = datetime.now(UTC)
    process_objects(client, *(event(source, now + ahead, [21, 23]) for ahead in (timedelta(0), timedelta(hours=2))))
    open_shown(page, client)

    # THEN both are processed, one with a warning, and none is among the rejected
    choose_source(page, source)
    expect(page.locator("#warning-list")).to_contain_text("time_stamp.ahead")
    expect(page.locator("#rule-list")).to_have_text("None in this time.")
    expect(tile(page, "Processed")).to_have_text("2")
    expect(page.locator("#tiles")).to_contain_text("1 of them with warnings")
    assert complaints == []


def test_a_rejected_event_appears_with_its_reasons_and_its_bytes(
    client: Client, page: Page, source: str, complaints: list[str], tmp_path: Path
) -> None:
    open_shown(page, client)
    bad = event(source, datetime.now(UTC), [1, "<img src=x onerror=alert(1)>"])

    process_objects(client, bad)
    page.clock.fast_forward(REFRESH)

    listed = page.locator("#rejected-list > li", has_text=source)
    expect(listed).to_contain_text("data.not_numeric")
    expect(listed).to_contain_text("holds a string at index 1")
    expect(page.locator("#rule-list")).to_contain_text("data.not_numeric")

    # WHEN its bytes are asked for
    listed.get_by_role("button", name="Raw bytes").click()

    # THEN they stand there as text, whatever they are, and can be saved
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("pre")).to_have_text(bad.decode())
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Save").click()
    download.value.save_as(tmp_path / "saved")
    assert (tmp_path / "saved").read_bytes() == bad
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert complaints == []


def test_of_a_batch_the_rejected_event_is_marked(client: Client, page: Page, source: str) -> None:
    bad = event(source, datetime.now(UTC), [])
    lines = b"\n".join([event("page/good", datetime.now(UTC), [1]), b" ", bad, b"{"])
    response = client.request(
        "POST", "/ingest", gzipped(lines), content_type="application/x-ndjson", content_encoding="gzip"
    )
    assert response.status_code == 202, response.text
    client.outcome(UUID(response.json()["raw_id"]))

    open_shown(page, client)
    page.locator("#rejected-list > li", has_text=source).get_by_role("button", name="Raw bytes").click()

    expect(page.locator("#raw-text")).to_have_text(lines.decode())
    expect(page.locator("#raw-text mark")).to_have_text(bad.decode())


def test_a_wrong_key_is_reported_and_not_kept(client: Client, page: Page) -> None:
    open_with(page, client, "wrong")

    expect(page.get_by_role("alert")).to_contain_text("refuses this key")
    expect(page.get_by_label("API key")).to_be_focused()
    expect(page.locator("#shown")).to_be_hidden()
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [0, 0, ""]

    # AND the right one is taken, and kept for this tab alone
    page.get_by_label("API key").fill(client.endpoints.api_key)
    page.keyboard.press("Enter")
    expect(page.locator("#shown")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
    page.reload()
    expect(page.locator("#shown")).to_be_visible()
    page.get_by_role("button", name="Forget the key").click()
    expect(page.get_by_label("API key")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize("beyond", ["…", "é"])
def test_a_key_that_no_header_can_carry_is_reported_as_wrong(client: Client, page: Page, beyond: str) -> None:
    key = client.endpoints.api_key

    open_with(page, client, f"{key[:6]}{beyond}{key[6:]}")

    expect(page.get_by_role("alert")).to_contain_text("refuses this key")
    expect(page.get_by_label("API key")).to_be_focused()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_kept_key_that_no_header_can_carry_is_reported_and_removed(client: Client, page: Page) -> None:
    page.goto(f"{client.endpoints.url}/")
    page.evaluate("sessionStorage.setItem('dropzone.key', 'two\\nlines')")

    page.reload()

    expect(page.get_by_role("alert")).to_contain_text("refuses this key")
    assert page.evaluate("sessionStorage.length") == 0


def test_missing_data_is_reported(client: Client, page: Page) -> None:
    open_shown(page, client)

    page.get_by_label("Time", exact=True).select_option("30d")
    for _ in range(6):
        page.get_by_role("button", name="Earlier").click()

    expect(page.locator("#nothing")).to_contain_text("There is no data")
    expect(page.locator("#rejected-list")).to_have_text("None in this time.")


def test_an_unreachable_api_is_reported_until_it_is_back(client: Client, page: Page) -> None:
    open_shown(page, client)

    def abort(route: Route) -> None:
        route.abort()

    page.route("**/kpis*", abort)
    page.clock.fast_forward(REFRESH)
    expect(page.get_by_role("alert")).to_contain_text("can’t be reached")
    expect(page.locator("#state")).to_have_text("Not up to date")
    expect(page.locator("#tiles")).to_be_visible()

    page.unroute("**/kpis*", abort)
    page.route(
        "**/kpis*", lambda route: route.fulfill(status=503, json={"detail": "Out of reach.", "request_id": "r1"})
    )
    page.clock.fast_forward(REFRESH)
    expect(page.get_by_role("alert")).to_have_text("The API is unavailable, trying again: Out of reach. (request r1)")

    page.unroute("**/kpis*")
    page.clock.fast_forward(REFRESH)
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("#state")).to_contain_text("Live")


def test_a_503_at_the_first_look_keeps_the_key_and_is_tried_again(client: Client, page: Page) -> None:
    problem = {"detail": "The database is out of reach.", "request_id": "r1"}
    page.route("**/kpis*", lambda route: route.fulfill(status=503, json=problem, headers={"Retry-After": "5"}))

    open_with(page, client)

    expect(page.get_by_role("alert")).to_have_text(
        "The API is unavailable, trying again: The database is out of reach. (request r1)"
    )
    expect(page.get_by_label("API key")).to_be_hidden()
    assert page.evaluate("sessionStorage.getItem('dropzone.key')") == client.endpoints.api_key

    # AND when it is back, the page shows what it was asked for, without the key again
    page.unroute("**/kpis*")
    page.clock.fast_forward(REFRESH)
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("#state")).to_contain_text("Live")


def test_zoom_by_keyboard_and_by_mouse(client: Client, page: Page, source: str, complaints: list[str]) -> None:
    now = datetime.now(UTC)
    process_objects(client, event(source, now, [21, 23]))
    open_shown(page, client)
    choose_source(page, source)
    expect(page.locator("#span")).to_contain_text("by quarter of an hour")
    chart = page.locator("#means .canvas")
    expect(chart).to_have_count(1)

    # The keys read values, zoom in and out, and go back.
    chart.focus()
    page.keyboard.press("End")
    expect(page.locator("#said")).to_contain_text("Mean: 22 ± 1 °C")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#said")).to_contain_text("Mean: –")
    for _ in range(4):
        page.keyboard.press("+")
    expect(page.locator("#span")).to_contain_text("by minute")
    expect(page.get_by_label("Time", exact=True)).to_have_value("chosen")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Time", exact=True)).to_have_value("24h")
    expect(page.locator("#span")).to_contain_text("by quarter of an hour")

    # The mouse marks what to see.
    page.locator("#chart-events").scroll_into_view_if_needed()
    box = page.locator("#chart-events .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.95, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.99, box["y"] + 20, steps=3)
    page.mouse.up()
    expect(page.locator("#span")).to_contain_text("by minute")
    page.get_by_label("Time", exact=True).select_option("7d")
    expect(page.locator("#span")).to_contain_text("by hour")
    page.get_by_label("Time", exact=True).select_option("30d")
    expect(page.locator("#state")).to_contain_text("Live")
    assert complaints == []


def test_everything_is_reached_by_keyboard_and_named(client: Client, page: Page, source: str) -> None:
    process_objects(client, event(source, datetime.now(UTC), [21, 23]))
    open_shown(page, client)
    choose_source(page, source)
    expect(page.locator("#means .panel")).to_have_count(1)

    page.locator("#range").focus()
    reached: list[str] = []
    for _ in range(60):
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        page.keyboard.press("Tab")
    assert {"range", "source", "earlier", "zoom-out", "zoom-in", "later", "live", "canvas"} <= set(reached)

    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, input, select, .canvas, [role=region]")]
             .filter((node) => !(node.getAttribute("aria-label") || node.textContent.trim() || node.labels?.length))
             .map((node) => node.id)"""
    )
    assert unnamed == []
    label = page.locator("#means .canvas").get_attribute("aria-label")
    assert label is not None
    assert source in label
    assert "Mean: 22 to 22" in label


@pytest.mark.parametrize("width", [360, 768])
def test_nothing_scrolls_sideways(client: Client, page: Page, source: str, width: int) -> None:
    process_objects(
        client, event(f"{source}/{'long' * 30}", datetime.now(UTC), [21, 23]), event(source, datetime.now(UTC), [])
    )
    page.set_viewport_size({"width": width, "height": 740})

    page.goto(f"{client.endpoints.url}/")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    open_shown(page, client)
    expect(page.locator("#means .panel").first).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.skipif(SCREENSHOTS is None, reason="the documents' screenshots are taken by make screenshots")
def test_screenshots(client: Client, browser: Browser) -> None:
    with Sender(client.endpoints) as sender:
        sent = send_a_day(sender, datetime.now(UTC))
    assert wait_until(lambda: client.query("SELECT count(*) FROM outcomes")[0][0] >= sent, seconds=180)

    for name, width, scheme, last in (
        ("page-light", 1120, "light", "main"),
        ("page-dark", 1120, "dark", "main"),
        ("page-phone", 360, "light", "#rules"),
        ("page-phone-dark", 360, "dark", "#rules"),
    ):
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            timezone_id="UTC",
        )
        page = context.new_page()
        open_shown(page, client)
        expect(page.locator("#means .panel").first).to_be_visible()
        box = page.locator(last).bounding_box()
        assert box is not None
        # From the top to the end of a panel, so that none is cut.
        page.screenshot(
            path=Path(str(SCREENSHOTS)) / f"{name}.png",
            animations="disabled",
            full_page=True,
            clip={"x": 0, "y": 0, "width": width, "height": box["y"] + box["height"] + 12},
        )
        context.close()
