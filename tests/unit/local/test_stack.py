from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

from dropzone_local.emulator import Emulator
from dropzone_local.postgres import Postgres
from dropzone_local.sam import Build
from dropzone_local.stack import LocalStack

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SECONDS = 20


def test_while_the_build_runs_the_emulator_gets_ready_for_the_deployment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # GIVEN nothing that runs, and a build that takes until the emulator is ready
    stack = LocalStack(tmp_path)
    started, prepared = Event(), Event()
    monkeypatch.setattr(Postgres, "healthy", True)
    monkeypatch.setattr(Emulator, "healthy", False)
    monkeypatch.setattr(stack.emulator, "restart", started.set)

    def prepare() -> None:
        assert started.is_set()
        prepared.set()

    def build() -> Build:
        assert prepared.wait(SECONDS)
        return Build(tmp_path, "fingerprint", reused=False)

    monkeypatch.setattr(stack.deployment, "prepare", prepare)
    monkeypatch.setattr(stack.builder, "build", build)

    # WHEN they start THEN it ends
    assert stack._start_servers_and_build().fingerprint == "fingerprint"
