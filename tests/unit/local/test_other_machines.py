"""What the local stack does on a machine, or as a user, that no test run has."""

import ctypes
import os
import pwd
import shutil
import sys
from pathlib import Path

import pytest

from dropzone_local import ports, sam, supervisor
from dropzone_local.emulator import Emulator, find_uv
from dropzone_local.errors import LocalStackError
from dropzone_local.postgres import unprivileged


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def test_postgres_runs_as_who_starts_it_unless_that_is_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert unprivileged(["postgres"]) == ["postgres"]


def test_root_without_setpriv_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    command = unprivileged(["postgres", "-D", "data"])
    assert command[:2] == ["/usr/bin/setpriv", f"--reuid={pwd.getpwnam('nobody').pw_uid}"]
    assert command[-4:] == ["--", "postgres", "-D", "data"]

    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(LocalStackError) as raised:
        unprivileged(["postgres"])
    assert raised.value.hint == "Install util-linux, or run as another user."


def test_no_other_system_is_asked_for_what_linux_alone_has(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: asked.append(1))
    monkeypatch.setattr(sys, "platform", "darwin")

    supervisor._prctl(1, 15)

    assert asked == []


def test_uv_is_the_running_one_then_that_of_the_path_then_that_of_the_makefile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(LocalStackError, match="uv is missing"):
        find_uv(tmp_path)

    of_makefile = program(tmp_path / ".uv" / "bin" / "uv")
    assert find_uv(tmp_path) == of_makefile
    on_path = program(tmp_path / "path" / "uv")
    monkeypatch.setattr(shutil, "which", lambda _: str(on_path))
    assert find_uv(tmp_path) == on_path
    running = program(tmp_path / "running" / "uv")
    monkeypatch.setenv("UV", str(running))
    assert find_uv(tmp_path) == running
    running.chmod(0o644)
    assert find_uv(tmp_path) == on_path


def test_packages_that_a_mac_cannot_install_are_reported(tmp_path: Path) -> None:
    (tmp_path / "CommonLayer" / "python").mkdir(parents=True)
    (tmp_path / "CommonLayer" / "python" / "requirements.txt").write_text("obstore==1\n", encoding="utf-8")
    pip = program(tmp_path / "python", "#!/bin/sh\necho no wheel for obstore >&2\nexit 1\n")

    with pytest.raises(LocalStackError, match="could not be installed for this machine") as raised:
        sam._install_for_host(tmp_path, pip)
    assert "no wheel for obstore" in raised.value.detail


def test_a_missing_sam_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    with pytest.raises(LocalStackError, match="The SAM command line is missing"):
        sam._run_sam(["build"], cwd=tmp_path, environment={}, log=tmp_path / "log")


def test_a_port_that_is_taken_is_an_error_only_if_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, free = 20_001, 20_002
    monkeypatch.setattr(ports, "is_free", lambda port: port != taken)

    with pytest.raises(LocalStackError, match="is used by another process") as raised:
        ports.choose(wanted=taken, remembered=free, purpose="PostgreSQL", option="--database-port")
    assert "--database-port" in raised.value.hint
    assert ports.choose(wanted=None, remembered=free, purpose="", option="") == free
    for remembered, avoid in ((taken, None), (free, free), (None, None)):
        chosen = ports.choose(wanted=None, remembered=remembered, purpose="", option="", avoid=avoid)
        assert chosen not in {taken, avoid}


def test_a_port_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "candidates", range(20_001, 20_010))
    monkeypatch.setattr(ports, "_found", set())
    monkeypatch.setattr(ports, "is_free", lambda _: True)

    assert sorted(ports.find_free() for _ in range(9)) == [*ports.candidates]


def test_the_emulator_s_state_follows_it_to_another_port(tmp_path: Path) -> None:
    for port in (20_001, 20_002):
        emulator = Emulator(tmp_path, port=port, project=tmp_path)
        emulator.state.mkdir(exist_ok=True)
        if port == 20_001:
            (emulator.state / "sqs.json").write_text('{"url": "http://127.0.0.1:20001/q"}', encoding="utf-8")
        emulator._move_state_to_port()

    assert (tmp_path / "state" / "sqs.json").read_text(encoding="utf-8") == '{"url": "http://127.0.0.1:20002/q"}'
