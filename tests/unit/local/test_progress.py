"""What `make up` and `make demo` print where no terminal is: each step as it begins and ends, and what to do next."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner

from dropzone_local import cli
from dropzone_local.demo import Sender
from dropzone_local.deployment import Endpoints
from dropzone_local.errors import LocalStackError
from dropzone_local.stack import LocalStack

ENDPOINTS = Endpoints(
    **dict.fromkeys(Endpoints.__annotations__, "-") | {"url": "http://127.0.0.1:1/v1", "api_key": "the-key"}
)


@cache
def output(*command: str) -> str:
    """What a command prints, which each test reads a part of: the demo makes a day of data."""

    def up(stack: LocalStack) -> Endpoints:
        stack._announce("Starting PostgreSQL")
        stack._report("PostgreSQL is up on port 1")
        return ENDPOINTS

    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as root:
        patch.setattr(LocalStack, "up", up)
        patch.setattr(Sender, "send", lambda _, batch: batch.count(b"\n"))
        # The consoles of the command were made for the output of before.
        patch.setattr(cli, "console", Console(highlight=False, soft_wrap=True))
        done = CliRunner().invoke(cli.app, [*command, "--root", root])
    assert done.exit_code == 0, done.output
    return str(done.output)


@pytest.mark.parametrize("command", [("up",), ("demo", "--no-live")])
def test_each_step_has_a_line_as_it_begins_and_as_it_ends(command: tuple[str, ...]) -> None:
    shown = output(*command)

    assert shown.index("Starting PostgreSQL …\n") < shown.index("PostgreSQL is up on port 1\n")


def test_what_to_do_next_follows_the_start() -> None:
    assert "make demo" in output("up")
    assert "make down" in output("up")
    assert "curl -i http://127.0.0.1:1/v1/ingest -H 'x-api-key: the-key'" in output("up")


def test_the_demo_says_that_it_sends_and_what_it_has_sent() -> None:
    shown = output("demo", "--no-live")

    assert shown.index("Sending a day of data from seven sensors …") < shown.index("events, some of them invalid")
    assert "http://127.0.0.1:1/v1/\n" in shown


def test_the_example_is_not_said_to_be_accepted_where_it_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> httpx.Response:
        return httpx.Response(503, text="unavailable")

    monkeypatch.setattr(httpx, "post", refuse)
    monkeypatch.setattr(cli, "console", Console())

    with pytest.raises(LocalStackError, match="answered 503"):
        cli._show_main_job(LocalStack(tmp_path), ENDPOINTS)

    assert "202" not in capsys.readouterr().out
