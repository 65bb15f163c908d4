"""Text that came from elsewhere; instants as people type them."""

from datetime import UTC, datetime, timedelta

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from dropzone_cli.instants import parse_instant, rfc3339
from dropzone_cli.text import age, count, preview, printable

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@given(st.text())
def test_nothing_can_steer_a_terminal(text: str) -> None:
    assert printable(text).isprintable()


@given(st.text(st.characters(categories=("L", "N", "P", "S"), include_characters=" ")))
def test_what_can_be_read_stays(text: str) -> None:
    assert printable(text) == text


@given(st.binary())
def test_any_bytes_have_a_preview(body: bytes) -> None:
    shown = preview(body)
    assert all(sign.isprintable() or sign in "\n\t" for sign in shown)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"a":\n\t1}', '{"a":\n\t1}'),
        ("°C".encode(), "°C"),
        (b"\x1b[2J\x07", "\\x1b[2J\\x07"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"a\rb", "a\\rb"),
        ("\u202eabc\u200b".encode(), "\\u202eabc\\u200b"),
    ],
)
def test_previews(body: bytes, shown: str) -> None:
    assert preview(body) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-5, "0 s"), (0, "0 s"), (59, "59 s"), (60, "1 min"), (7_300, "2 h"), (200_000, "2 d")]
)
def test_ages(seconds: int, shown: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == shown


def test_counts() -> None:
    assert [count(number, "message") for number in (0, 1, 2_000)] == ["0 messages", "1 message", "2,000 messages"]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-24T06:00:00Z", "2026-11-24T06:00:00Z"),
        ("2026-11-24T06:00:00.5+02:00", "2026-11-24T04:00:00.500000Z"),
        (" 2026-11-24 06:00+0200 ", "2026-11-24T04:00:00Z"),
        ("2026-11-24", "2026-11-24T00:00:00Z"),
    ],
)
def test_instants(text: str, instant: str) -> None:
    assert rfc3339(parse_instant(text)) == instant


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("90m", 5_400), ("12h", 43_200), ("7d", 604_800), ("1w", 604_800)]
)
def test_how_long_ago(text: str, seconds: int) -> None:
    now = datetime.now(UTC)
    assert timedelta(0) <= parse_instant(text) - (now - timedelta(seconds=seconds)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-24T06:00:00",
        "2026-11-24T00:00",
        "2026-13-01",
        "7",
        "d",
        "999999w",
        "0001-01-01T00:00+14:00",
    ],
)
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_instant(text)
