from __future__ import annotations

import stat
from threading import Event
from typing import TYPE_CHECKING

import pytest

from dropzone_local.emulator import Emulator
from dropzone_local.errors import LocalStackError
from dropzone_local.postgres import Postgres
from dropzone_local.sam import Build
from dropzone_local.stack import LocalStack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS = 20


@pytest.mark.slow
def test_while_the_build_runs_the_emulator_gets_ready_for_the_deployment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # GIVEN nothing that runs, and a build that takes until the emulator is ready
    announced: list[str] = []
    stack = LocalStack(tmp_path, announce=announced.append)
    started, prepared = Event(), Event()
    monkeypatch.setattr(Postgres, "healthy", True)
    monkeypatch.setattr(Emulator, "healthy", False)
    monkeypatch.setattr(stack.emulator, "restart", started.set)

    def prepare() -> None:
        assert started.is_set()
        prepared.set()

    def build(begin: Callable[[], None]) -> Build:
        begin()
        assert prepared.wait(SECONDS)
        return Build(tmp_path, "fingerprint", reused=False)

    monkeypatch.setattr(stack.deployment, "prepare", prepare)
    monkeypatch.setattr(stack.builder, "build", build)

    # WHEN they start THEN it ends
    assert stack._start_servers_and_build().fingerprint == "fingerprint"
    assert sorted(announced) == ["Building the functions and the layer", "Starting the AWS emulator"]


def test_its_folder_is_its_owners_alone_also_one_that_was_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = tmp_path / "stack"
    root.mkdir(mode=0o755)
    stack = LocalStack(root)
    modes: list[int] = []

    def look() -> None:
        modes.append(stat.S_IMODE(root.stat().st_mode))
        raise LocalStackError("far enough")

    monkeypatch.setattr(stack, "_choose_ports", look)
    with pytest.raises(LocalStackError, match="far enough"):
        stack.up()
    assert modes == [0o700]
