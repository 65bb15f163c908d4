"""What `make up` and `make demo` print where no terminal is: each step as it begins and ends, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from typer.testing import CliRunner

from dropzone_local import cli
from dropzone_local.demo import Sender
from dropzone_local.deployment import Endpoints
from dropzone_local.stack import LocalStack

if TYPE_CHECKING:
    from pathlib import Path

ENDPOINTS = Endpoints(
    **dict.fromkeys(Endpoints.__annotations__, "-") | {"url": "http://127.0.0.1:1/v1", "api_key": "the-key"}
)


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    def up(stack: LocalStack) -> Endpoints:
        stack._announce("Starting PostgreSQL")
        stack._report("PostgreSQL is up on port 1")
        return ENDPOINTS

    monkeypatch.setattr(LocalStack, "up", up)
    monkeypatch.setattr(Sender, "send", lambda _, batch: batch.count(b"\n"))
    # The consoles of the command were made for the output of before.
    monkeypatch.setattr(cli, "console", Console(highlight=False, soft_wrap=True))
    done = CliRunner().invoke(cli.app, [*request.param, "--root", str(tmp_path)])
    assert done.exit_code == 0, done.output
    return str(done.output)


@pytest.mark.parametrize("output", [["up"], ["demo", "--no-live"]], indirect=True)
def test_each_step_has_a_line_as_it_begins_and_as_it_ends(output: str) -> None:
    begun, done = output.index("Starting PostgreSQL …\n"), output.index("PostgreSQL is up on port 1\n")

    assert begun < done


@pytest.mark.parametrize("output", [["up"]], indirect=True)
def test_what_to_do_next_follows_the_start(output: str) -> None:
    assert "make demo" in output
    assert "make down" in output
    assert "curl -i http://127.0.0.1:1/v1/ingest -H 'x-api-key: the-key'" in output


@pytest.mark.parametrize("output", [["demo", "--no-live"]], indirect=True)
def test_the_demo_says_that_it_sends_and_what_it_has_sent(output: str) -> None:
    assert output.index("Sending a day of data from seven sensors …") < output.index("events, some of them invalid")
    assert "http://127.0.0.1:1/v1/\n" in output
