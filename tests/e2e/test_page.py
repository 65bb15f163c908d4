"""The page of figures in a real browser, on the live stack."""

import csv
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect

from dropzone_local.polling import wait_until
from e2e.browser import (
    PATIENCE,
    REFRESH,
    SCHEMES,
    assign,
    drawn,
    event,
    held,
    of,
    open_shown,
    open_with,
    ten_thousand,
)
from e2e.client import Client
from support.packing import gzipped


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


def process_objects(client: Client, *bodies: bytes) -> list[UUID]:
    raw_ids = [client.ingest(body) for body in bodies]
    for raw_id in raw_ids:
        client.outcome(raw_id)
    return raw_ids


def tile(page: Page, name: str) -> Locator:
    return page.locator(".tile", has=page.get_by_text(name, exact=True)).locator("b")


def row(page: Page, source: str) -> Locator:
    return page.locator("#sources-rows tbody tr", has=page.get_by_role("link", name=source, exact=True))


def test_data_that_arrives_while_it_is_open_appears(
    client: Client, page: Page, source: str, complaints: list[str], tmp_path: Path
) -> None:
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))  # noqa: PLW0108 - it marks the function given
    now = datetime.now(UTC)
    process_objects(client, event("page/another", now, [1]))
    open_shown(page, client)
    page.get_by_label("Filter").fill(source)
    expect(page.locator("#sources-none")).to_contain_text(source)

    # WHEN events arrive, and the page asks again
    process_objects(client, event(source, now, [21, 23]), event(source, now, []))
    page.clock.fast_forward(REFRESH)

    # THEN their source has its row, which leads to its view: mean, deviation and unit, in words since they are few
    expect(row(page, source)).to_contain_text("22 °C")
    expect(row(page, source)).to_contain_text("50.0 %")
    expect(row(page, source).locator("svg")).to_have_count(1)
    row(page, source).click()
    expect(page.get_by_role("heading", name=source)).to_be_visible()
    expect(page.get_by_role("link", name="All sources")).to_have_attribute("href", re.compile("filter="))
    expect(tile(page, "Last value")).to_have_text("22 °C")
    for name, value in (("Received", "2"), ("Processed", "1"), ("Rejected", "1")):
        expect(tile(page, name)).to_have_text(value)
    panel = page.locator("#chart-mean")
    expect(panel.locator(".few")).to_contain_text("Mean 22 ± 1 °C")
    panel.get_by_text("Data").click()
    expect(panel.get_by_role("cell")).to_have_text("22 ± 1")

    # AND what is shown can be taken along
    with page.expect_download() as download:
        panel.get_by_role("button", name="CSV").click()
    download.value.save_as(tmp_path / "saved.csv")
    text = (tmp_path / "saved.csv").read_text(encoding="utf-8-sig")
    # Another quarter of an hour may have begun, which is empty.
    assert [mean for row in csv.DictReader(text.splitlines()) if (mean := row["mean"])] == ["22.0"]
    panel.get_by_role("button", name="curl").click()
    expect(page.locator("#line-text")).to_contain_text("/kpis?granularity=quarter_hour&")
    expect(page.locator("#line-text")).not_to_contain_text(client.endpoints.api_key)
    page.keyboard.press("Escape")
    for figures, path in {"What arrived": "quality", "Gaps": "kpis", "Rejected by rule": "quality"}.items():
        page.get_by_role("button", name=f"{figures}: curl", exact=True).click()
        expect(page.locator("#line-text")).to_contain_text(f"/{path}?granularity=quarter_hour&")
        page.keyboard.press("Escape")

    # AND another event of the same source
    process_objects(client, event(source, now + timedelta(microseconds=1), [31, 33]))
    page.clock.fast_forward(REFRESH)
    expect(tile(page, "Received")).to_have_text("3")

    # AND no other host was asked, and nothing was refused
    addresses = [request.url for request in requests if not request.url.startswith(("data:", "blob:"))]
    assert [address for address in addresses if not address.startswith(client.endpoints.url)] == []
    assert complaints == []


def test_an_event_with_a_warning_is_counted_by_its_rule(
    client: Client, page: Page, source: str, complaints: list[str]
) -> None:
    # GIVEN an event, and one of a clock that is two hours ahead, of which the default contract warns
    now = datetime.now(UTC)
    process_objects(client, *(event(source, now + ahead, [21, 23]) for ahead in (timedelta(0), timedelta(hours=2))))

    open_shown(page, client, of(source))

    # THEN both are processed, one with a warning, and none is among the rejected
    expect(page.locator("#warning-list")).to_contain_text("time_stamp.ahead")
    expect(page.locator("#rule-list")).to_have_text("None in this time.")
    expect(tile(page, "Processed")).to_have_text("2")
    expect(page.locator("#tiles")).to_contain_text("1 of them with warnings")

    # AND its contract says how often the rule was broken
    page.route("**/sources?*", assign)
    page.get_by_role("link", name="Contract").click()
    rule = page.locator("#contract-text").get_by_role("row", name="clock-ahead")
    expect(rule).to_contain_text("1 ×")
    assert complaints == []


def test_a_rejected_event_leads_to_why_its_bytes_and_what_to_send(
    client: Client, page: Page, source: str, complaints: list[str], tmp_path: Path
) -> None:
    # GIVEN a batch with two rejected events, by two rules
    now = datetime.now(UTC)
    bad = event(source, now, [1, "<img src=x onerror=alert(1)>"])
    lines = b"\n".join([event("page/good", now, [1]), b" ", bad, event(source, now, []), b"{"])
    response = client.request(
        "POST", "/ingest", gzipped(lines), content_type="application/x-ndjson", content_encoding="gzip"
    )
    assert response.status_code == 202, response.text
    raw_id = response.json()["raw_id"]
    client.outcome(UUID(raw_id))
    open_shown(page, client, of(source))

    # WHEN one of the rules is followed
    page.locator("#rule-list").get_by_role("link", name="data.not_numeric").click()

    # THEN its events are there alone, with the reason, and what would fix it
    listed = page.locator("#rejected-list > li")
    expect(listed).to_have_count(1)
    expect(listed).to_contain_text("data holds a string at index 1")
    listed.get_by_role("button", name="Look into").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Leave out what is not a number")

    # AND all bytes stand there as text, whatever they are, with the event and the value marked, and can be saved
    expect(dialog.locator("#raw-text")).to_have_text(lines.decode())
    expect(dialog.locator("#raw-text mark")).to_have_text(bad.decode())
    expect(dialog.locator("#raw-text em")).to_have_text(json.dumps("<img src=x onerror=alert(1)>"))
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Save").click()
    download.value.save_as(tmp_path / "saved")
    assert (tmp_path / "saved").read_bytes() == lines

    # AND what it would take to send it again resolves it
    correction = json.loads(dialog.get_by_label("Send it again").input_value())
    assert correction["corrects"] == {"raw_id": raw_id, "item": 1}
    process_objects(client, json.dumps(correction | {"data": [1]}).encode())
    page.keyboard.press("Escape")
    page.clock.fast_forward(REFRESH)
    expect(listed).to_contain_text("resolved")

    # AND all that was rejected can be saved
    page.locator("#rejected-rules").get_by_role("link", name="All").click()
    expect(listed).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save all").click()
    download.value.save_as(tmp_path / "saved.csv")
    rows = list(csv.DictReader((tmp_path / "saved.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert [(row["item"], row["codes"]) for row in rows] == [("1", "data.not_numeric"), ("2", "data.empty")]
    assert complaints == []


def test_a_wrong_key_is_reported_and_not_kept(client: Client, page: Page) -> None:
    kept = "[sessionStorage.length, localStorage.length, document.cookie]"
    for wrong in ("wrong", f"{client.endpoints.api_key[:6]}é"):
        open_with(page, client, wrong)

        expect(page.get_by_role("alert")).to_contain_text("rejected this key")
        expect(page.get_by_label("API key")).to_be_focused()
        expect(page.locator("#shown")).to_be_hidden()
        assert page.evaluate(kept) == [0, 0, ""]

    # AND the right one is taken, and kept for this tab alone
    page.get_by_label("API key").fill(client.endpoints.api_key)
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_contain_text("Live")
    expect(page.get_by_role("alert")).to_be_hidden()
    assert page.evaluate(kept) == [1, 0, ""]
    page.reload()
    expect(page.locator("#state")).to_contain_text("Live")
    page.get_by_role("button", name="Forget the key").click()
    assert page.evaluate(kept) == [0, 0, ""]

    # AND on this computer, where that is chosen
    page.get_by_label("Remember").check()
    page.get_by_label("API key").fill(client.endpoints.api_key)
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_contain_text("Live")
    assert page.evaluate(kept) == [0, 1, ""]
    page.get_by_role("button", name="Forget the key").click()
    assert page.evaluate(kept) == [0, 0, ""]


def test_a_key_that_may_only_send_is_told_apart(client: Client, page: Page) -> None:
    problem = {"type": "urn:dropzone:problem:scope-missing", "detail": "This call needs the scope read."}
    page.route("**/sources*", lambda route: route.fulfill(status=403, json=problem))

    open_with(page, client)

    expect(page.get_by_role("alert")).to_contain_text("may not read")
    expect(page.get_by_role("alert")).to_contain_text("needs the scope read")
    expect(page.get_by_label("API key")).to_be_focused()


def test_trouble_is_reported_until_it_is_over(client: Client, page: Page) -> None:
    unavailable = {"detail": "Out of reach.", "request_id": "r1"}
    page.route("**/quality*", lambda route: route.fulfill(status=503, json=unavailable, headers={"Retry-After": "30"}))

    # The first look keeps the key, and says when it tries again.
    open_with(page, client)
    expect(page.get_by_role("alert")).to_contain_text("The API is unavailable: Out of reach. (request r1)")
    expect(page.get_by_role("alert")).to_contain_text(re.compile("Trying again in (30|29|28) s"))
    expect(page.get_by_label("API key")).to_be_hidden()
    assert page.evaluate("sessionStorage.getItem('dropzone.key')") == client.endpoints.api_key
    page.unroute("**/quality*")
    page.get_by_role("button", name="Try now").click()
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("#state")).to_contain_text("Live")

    # What is shown then stays, and is said to be old.
    page.route("**/quality*", lambda route: route.abort())
    page.clock.fast_forward(REFRESH)
    expect(page.get_by_role("alert")).to_contain_text("can’t be reached")
    expect(page.locator("#state")).to_contain_text("Not up to date")
    expect(page.locator("#tiles")).to_be_visible()
    page.unroute("**/quality*")
    page.clock.fast_forward(REFRESH)
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("#state")).to_contain_text("Live")


def test_a_change_of_the_view_dims_the_old_figures_until_the_new_ones_are_there(client: Client, page: Page) -> None:
    open_shown(page, client)
    with held(page, "**/quality*granularity=hour*"):
        page.get_by_label("Time", exact=True).select_option("7d")

        expect(page.locator("#state")).to_have_text("Loading")
        expect(page.locator("#shown")).to_have_attribute("aria-busy", "true")
        expect(page.locator("#tiles")).to_have_css("opacity", "0.45")
    expect(page.locator("#shown")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#state")).to_contain_text("Live")


def test_an_empty_stack_shows_the_line_to_paste(client: Client, page: Page) -> None:
    page.route("**/sources*", lambda route: route.fulfill(json={"sources": []}))

    open_shown(page, client)

    expect(page.locator("#welcome")).to_contain_text(f"curl -sS '{client.endpoints.url}/ingest'")
    expect(page.locator("#sources")).to_be_hidden()


# Asked when paper is laid out, after the page was.
PRINTED = """() => matchMedia("print").addEventListener("change", ({ matches }) => {
  const widthOf = (of) => document.querySelector(`#chart-arrived ${of}`).getBoundingClientRect().width;
  if (matches) window.printed = {
    rows: document.querySelectorAll("#sources-rows tbody tr:not(.space)").length,
    isChartAsWide: Math.abs(widthOf("svg") - widthOf(".canvas")) < 1,
  };
})"""


def sizes_of_pages(pdf: bytes) -> list[int]:
    """How long the description is of what is drawn on each page: 0 of an empty one."""
    contents = re.findall(rb"/Type /Page\n.*?/Contents (\d+) 0 R", pdf, re.DOTALL)
    lengths = (re.search(rb"\n%b 0 obj\n<<.*?/Length (\d+)" % number, pdf, re.DOTALL) for number in contents)
    return [int(length[1]) for length in lengths if length]


def test_ten_thousand_sources_stay_few_rows(client: Client, page: Page) -> None:
    page.route("**/sources*", ten_thousand)
    open_shown(page, client)

    # The silent one is on top, and most of the others are only counted.
    expect(page.locator("#sources-count")).to_have_text("10,000")
    rows = page.locator("#sources-rows tbody tr:not(.space)")
    expect(rows.first).to_contain_text("plant-09876")
    assert rows.count() < 60
    page.locator("#sources-rows").evaluate("box => box.scrollTo(0, box.scrollHeight)")
    expect(rows.last).to_contain_text("plant-09999")
    assert rows.count() < 60

    # All that the filter leaves are printed, and none of their trends is asked for.
    page.get_by_label("Filter").fill("plant-012")
    expect(page.locator("#sources-count")).to_have_text("100 of 10,000")
    assert rows.count() < 60
    expect(drawn(page, "arrived")).to_be_visible()
    page.evaluate(PRINTED)
    sizes = sizes_of_pages(page.pdf())
    assert page.evaluate("printed") == {"rows": 100, "isChartAsWide": True}
    assert (len(sizes) > 5, 0 in sizes) == (True, False)
    expect(rows).not_to_have_count(100)
    page.get_by_label("Filter").fill("line-3 00012")
    expect(page.locator("#sources-count")).to_have_text("0 of 10,000")
    page.get_by_label("Filter").fill("LINE-5 00012")
    expect(rows).to_have_count(1)


def test_a_link_back_and_reload_show_the_same(client: Client, page: Page, source: str) -> None:
    process_objects(client, event(source, datetime.now(UTC), [21, 23]), event(source, datetime.now(UTC), []))
    open_shown(page, client, of(source, range="7d", zone="Asia/Kathmandu"))
    expect(page.locator("#span")).to_contain_text("by hour (Asia/Kathmandu)")
    page.get_by_role("link", name="Rejected").click()
    expect(page.locator("#rejected-list > li")).to_have_count(1)
    page.get_by_label("Time", exact=True).select_option("1h")
    expect(page.locator("#span")).to_contain_text("by minute")

    page.reload()
    expect(page.locator("#rejected-list > li")).to_have_count(1)
    expect(page.get_by_label("Time", exact=True)).to_have_value("1h")
    page.go_back()
    expect(page.get_by_label("Time", exact=True)).to_have_value("7d")
    page.go_back()
    expect(page.locator("#chart-mean .few")).to_contain_text("Mean 22 ± 1 °C")
    expect(page.get_by_label("Zone")).to_have_value("Asia/Kathmandu")


class Traffic:
    """What a page receives, by address: bytes on the wire, headers with them. A browser's cache is none."""

    def __init__(self, page: Page) -> None:
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        self._urls: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        session.on("Network.responseReceived", self._respond)
        session.on("Network.loadingFinished", self._finish)

    def _respond(self, message: dict[str, Any]) -> None:
        self._urls[message["requestId"]] = message["response"]["url"]

    def _finish(self, message: dict[str, Any]) -> None:
        self._sizes[message["requestId"]] = message["encodedDataLength"]

    def clear(self) -> None:
        self._sizes.clear()

    @property
    def sizes(self) -> dict[str, int]:
        known = {self._urls[key]: size for key, size in self._sizes.items() if key in self._urls}
        return {url.rpartition("/_user_request_/")[2]: size for url, size in known.items() if url.startswith("http")}


def test_the_first_look_is_light_and_the_next_lighter(client: Client, page: Page, source: str) -> None:
    now = datetime.now(UTC)
    process_objects(client, *(event(f"{source}/{number}", now, [21, 23]) for number in range(10)))
    traffic = Traffic(page)
    open_shown(page, client)
    # The charts are below what is seen of eight sources or more, and come when they are scrolled to; with them, what
    # arrived within a few buckets is asked for by shorter ones.
    # More than a hundred sources, as other tests of the stack may leave, come page by page.
    later = re.compile("page/charts-|quality.*granularity=(minute|second)|sources.*cursor=")
    first = [path for path in traffic.sizes if not later.match(path)]
    assert len(first) == 6, traffic.sizes

    page.locator("#charts").scroll_into_view_if_needed()
    expect(page.locator("#chart-arrived h2")).to_be_visible()
    # Asking the page something lets its events in.
    assert wait_until(
        lambda: page.evaluate("true") and any(path.startswith("page/charts-") for path in traffic.sizes), seconds=60
    )
    # The answer for the demo's sources has less than 4 kB; other tests of the stack leave many more, up to a full page.
    answers = [size for path, size in traffic.sizes.items() if path.startswith("sources")]
    assert sum(traffic.sizes.values()) - sum(answers) <= 36_000, traffic.sizes
    assert max(answers) <= 15_000, traffic.sizes

    # What is named by its content is not asked for again, and neither is a page that has not changed.
    traffic.clear()
    page.reload()
    expect(page.locator("#state")).to_contain_text("Live")
    again = {path: size for path, size in traffic.sizes.items() if path.startswith("page/")}
    assert len(again) >= 3, traffic.sizes
    assert sum(again.values()) == 0, again


def test_a_week_of_43_sources_is_light(client: Client, page: Page, source: str) -> None:
    # GIVEN a week of 43 sources, an event each hour
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    names = [f"{source}/{number:02}" for number in range(43)]
    noise = Random(43)  # noqa: S311 - values that are all alike would be packed to nothing
    for day in range(7):
        hours = [hour - timedelta(days=day, hours=number) for number in range(24)]
        lines = b"\n".join(event(name, at, [noise.gauss(21, 2), noise.gauss(21, 2)]) for at in hours for name in names)
        response = client.request(
            "POST", "/ingest", gzipped(lines), content_type="application/x-ndjson", content_encoding="gzip"
        )
        client.outcome(UUID(response.json()["raw_id"]))
    traffic = Traffic(page)

    # WHEN the sources are looked at, and then the week of one of them
    open_with(page, client, at="#" + urlencode({"range": "7d", "filter": source}))
    expect(page.locator("#sources-count")).to_contain_text("43 of")
    row(page, names[7]).click()
    expect(drawn(page, "mean")).to_be_visible()
    expect(page.locator("#span")).to_contain_text("by hour")

    # THEN all of it, the page with it, is light
    assert any(path.startswith("kpis") for path in traffic.sizes), traffic.sizes
    assert sum(traffic.sizes.values()) <= 200_000, traffic.sizes


def test_the_chart_waits_for_neither_unit_nor_arrivals(client: Client, page: Page, source: str) -> None:
    now = datetime.now(UTC)
    process_objects(client, *(event(source, now - timedelta(minutes=30 * number), [21, 23]) for number in range(4)))
    late = re.compile("/(sources|quality[?]granularity=quarter_hour)")

    with held(page, late):
        open_with(page, client, at=of(source))

        # What it measured is there, while its unit and what arrived are on their way.
        expect(drawn(page, "mean")).to_be_visible()
        expect(page.locator("#chart-mean .legend")).to_contain_text("22 ± 1")
        expect(page.locator("#chart-mean .legend")).not_to_contain_text("°C")
    expect(page.locator("#chart-mean .legend")).to_contain_text("22 ± 1 °C")


def test_zoom_by_keyboard_and_by_mouse(client: Client, page: Page, source: str, complaints: list[str]) -> None:
    now = datetime.now(UTC)
    process_objects(client, *(event(source, now - timedelta(minutes=30 * number), [21, 23]) for number in range(4)))
    open_shown(page, client, of(source))
    expect(page.locator("#span")).to_contain_text("by 15 minutes")
    chart = page.locator("#chart-mean .canvas")

    # The keys read values, zoom in and out, and go back.
    chart.focus()
    page.keyboard.press("End")
    expect(page.locator("#said")).to_contain_text("Mean: ")
    if "Mean: –" in page.locator("#said").inner_text():
        # Another quarter of an hour has begun, which is empty.
        page.keyboard.press("ArrowLeft")
    expect(page.locator("#said")).to_contain_text("Mean: 22 ± 1 °C")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#said")).to_contain_text("Mean: –")
    expect(chart.locator(".cursor")).to_have_count(1)
    page.emulate_media(media="print")
    expect(chart.locator(".cursor")).to_have_count(0)
    page.emulate_media(media="screen")
    for _ in range(3):
        page.keyboard.press("+")
        expect(page.locator("#state")).to_contain_text("A fixed time")
    expect(page.get_by_label("Time", exact=True)).to_have_value("chosen")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Time", exact=True)).to_have_value("24h")
    expect(page.locator("#state")).to_contain_text("Live")

    # The mouse marks what to see.
    box = page.locator("#chart-mean svg").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.93, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.97, box["y"] + 20, steps=3)
    page.mouse.up()
    expect(page.locator("#span")).to_contain_text("by minute")
    page.get_by_label("Time", exact=True).select_option("30d")
    expect(page.locator("#span")).to_contain_text("by hour")
    expect(page.locator("#state")).to_contain_text("Live")
    assert complaints == []


def test_everything_is_reached_by_keyboard_and_named(client: Client, page: Page, source: str) -> None:
    now = datetime.now(UTC)
    process_objects(client, *(event(source, now - timedelta(minutes=30 * number), [21, 23]) for number in range(4)))
    open_shown(page, client, of(source))
    expect(page.locator("#chart-mean .canvas")).to_be_visible()

    page.locator("#range").focus()
    reached: list[str] = []
    for _ in range(30):
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        page.keyboard.press("Tab")
    assert {"range", "zone", "earlier", "zoom-out", "zoom-in", "later", "live", "canvas"} <= set(reached)

    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, input, select, textarea, .canvas, [role=region]")]
             .filter((node) => !(node.getAttribute("aria-label") || node.textContent.trim() || node.labels?.length))
             .map((node) => node.id)"""
    )
    assert unnamed == []
    # The unit comes later than the values.
    label = re.compile("(?=.*in °C)(?=.*Mean: 22 to 22)", re.DOTALL)
    expect(page.locator("#chart-mean .canvas")).to_have_attribute("aria-label", label)


def violations(page: Page, at: str) -> list[str]:
    """What axe finds there, in both schemes; of the second its colours, in which alone it differs."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found: list[str] = []
    for scheme, rules in zip(SCHEMES, ({}, {"runOnly": ["color-contrast"]}), strict=True):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        broken = page.evaluate("([at, rules]) => axe.run(at, rules).then((found) => found.violations)", [at, rules])
        found += [f"{scheme}, {rule['id']}: {node['target']}" for rule in broken for node in rule["nodes"]]
    return found


def test_axe_finds_nothing_in_any_state(client: Client, page: Page, source: str) -> None:
    now = datetime.now(UTC)
    good = [event(source, now - timedelta(minutes=30 * number), [21, 23]) for number in range(4)]
    process_objects(client, *good, event(source, now, ["n/a"]))
    found: dict[str, list[str]] = {}

    def look(state: str, at: str = "body") -> None:
        """Look at what a state has that those before have not."""
        found[state] = violations(page, at)

    page.goto(f"{client.endpoints.url}/")
    expect(page.get_by_label("API key")).to_be_focused()
    look("the key's form")
    open_with(page, client, "wrong")
    expect(page.get_by_role("alert")).to_contain_text("rejected this key")
    look("a wrong key", "#trouble")
    page.get_by_label("API key").fill(client.endpoints.api_key)
    page.keyboard.press("Enter")
    expect(row(page, source)).to_be_visible()
    expect(page.locator("#state")).to_contain_text("Live")  # what is loading is dimmed
    look("all sources")
    page.get_by_label("Filter").fill("no such source")
    expect(page.locator("#sources-none")).to_be_visible()
    look("no source", "#sources")
    page.goto(f"{client.endpoints.url}/{of(source)}")
    expect(drawn(page, "mean")).to_be_visible()
    expect(page.locator("#state")).to_contain_text("Live")
    page.locator("#chart-mean").get_by_text("Data").click()
    look("one source")
    page.get_by_role("button", name="Gaps: curl").click()
    look("the line for a shell", "#line")
    page.keyboard.press("Escape")
    page.route("**/sources?*", assign)
    page.get_by_role("link", name="Contract").click()
    expect(page.locator("#contract-text table")).to_be_visible()
    look("a contract", "#contract")
    page.get_by_role("link", name="Rejected", exact=True).click()
    expect(page.locator("#rejected-list > li")).to_have_count(1)
    look("rejected events", "#rejected")
    page.get_by_role("button", name="Look into").click()
    expect(page.locator("#raw-text em")).to_be_visible()
    look("a rejected event", "#raw")
    page.keyboard.press("Escape")
    page.route("**/quality*", lambda route: route.fulfill(status=503, json={"detail": "Out of reach."}))
    page.clock.fast_forward(REFRESH)
    expect(page.get_by_role("alert")).to_contain_text("unavailable")
    # What is old is dimmed, below the contrast of text, on purpose.
    look("trouble", "#trouble")
    page.route("**/sources*", lambda route: route.fulfill(json={"sources": []}))
    page.unroute("**/quality*")
    page.goto(f"{client.endpoints.url}/#")
    expect(page.locator("#welcome")).to_be_visible()
    look("nothing yet", "#welcome")

    assert {state: broken for state, broken in found.items() if broken} == {}


@pytest.mark.parametrize("width", [360, 768])
def test_nothing_scrolls_sideways(client: Client, page: Page, source: str, width: int) -> None:
    name = f"{source}/{'long' * 30}"
    process_objects(client, event(name, datetime.now(UTC), [21, 23]), event(name, datetime.now(UTC), []))
    page.set_viewport_size({"width": width, "height": 740})

    page.goto(f"{client.endpoints.url}/")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    open_shown(page, client, "#" + urlencode({"filter": source}))
    expect(row(page, name)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    row(page, name).click()
    for tab in ("Rejected", "Contract", "Measured"):
        page.get_by_role("link", name=tab, exact=True).click()
        expect(page.locator("#state")).to_contain_text("Live")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab
