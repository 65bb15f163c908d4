"""`dropzone open`: the address, and a browser where there is a display."""

import json
import webbrowser

import pytest

from unit.cli.harness import URL, Cli

pytestmark = pytest.mark.usefixtures("local")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a browser was asked to open; there is no display."""
    found: list[str] = []

    def open_(url: str) -> bool:
        found.append(url)
        return "docs" not in url

    monkeypatch.setattr(webbrowser, "open", open_)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    return found


def test_without_a_display_the_address_is_printed(cli: Cli, opened: list[str]) -> None:
    done = cli("open")

    assert (done.exit_code, done.stdout, done.stderr) == (0, f"{URL}/\n", "")
    assert json.loads(cli("open", "--docs", "--json").stdout) == {"url": f"{URL}/docs"}
    assert opened == []


@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_with_a_display_a_browser_opens(
    cli: Cli, opened: list[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, ":0")

    assert cli("open").stdout == f"{URL}/\n"
    assert cli("open", "--no-browser").exit_code == 0

    assert opened == [f"{URL}/"]


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_a_browser_that_does_not_open_is_reported(
    cli: Cli, opened: list[str], monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    monkeypatch.setattr("sys.platform", system)

    done = cli("open", "--docs")

    assert (done.exit_code, done.stdout, done.stderr) == (0, f"{URL}/docs\n", "No browser could be opened.\n")
    assert opened == [f"{URL}/docs"]
