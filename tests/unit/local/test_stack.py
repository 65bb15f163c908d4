from __future__ import annotations

import stat
from threading import Event
from typing import TYPE_CHECKING

import pytest

from dropzone_local.deployment import Endpoints
from dropzone_local.emulator import Emulator
from dropzone_local.errors import LocalStackError
from dropzone_local.postgres import Postgres
from dropzone_local.sam import Build
from dropzone_local.stack import LocalStack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS = 60


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


def test_a_file_of_sql_that_changes_without_a_revision_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    migrations, said = tmp_path / "functions" / "migrate" / "dropzone_migrate", list[str]()
    stack = LocalStack(tmp_path / "stack", report=said.append)
    monkeypatch.setattr("dropzone_local.stack.PROJECT", tmp_path)
    for name in ("_choose_ports", "_start_servers_and_build"):
        monkeypatch.setattr(stack, name, lambda: None)
    monkeypatch.setattr(stack.deployment, "deploy", lambda *_: False)
    endpoints = Endpoints(*[""] * 9)
    monkeypatch.setattr(stack.deployment, "endpoints", lambda _: endpoints)

    def up(**files: str) -> list[str]:
        """The names that are said after these files of SQL, or revisions, were written."""
        for name, text in files.items():
            folder = migrations / ("revisions/versions" if name.startswith("r") else "sql")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / (f"{name[1:]}.py" if name.startswith("r") else f"{name}.sql")).write_text(text)
        said.clear()
        stack.up()
        return [name for text in said for name in text.partition("older than ")[2].partition(":")[0].split(", ")]

    assert up(r0001_first="", gold_tables="a", views="a", sources="a") == []
    assert up(gold_tables="b", views="b") == ["gold_tables.sql", "views.sql"]
    assert up() == ["gold_tables.sql", "views.sql"]
    assert up(gold_tables="a", more="") == ["more.sql", "views.sql"]
    # A revision applies all but the tables.
    assert up(r0002_second="", gold_tables="b") == ["gold_tables.sql"]
    assert up(sources="b") == ["gold_tables.sql", "sources.sql"]
