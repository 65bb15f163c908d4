"""The local stack's Postgres: nobody else's to reach, to read, or to sign in to."""

import stat
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest
from pg8000.exceptions import DatabaseError
from pg8000.native import Connection

from dropzone_local.ports import LOOPBACK, find_free
from dropzone_local.postgres import SUPERUSER, Postgres


def test_it_listens_on_the_loopback_interface_alone(postgres: Postgres) -> None:
    listening = {
        connection.laddr.ip
        for process in psutil.process_iter()
        if str(postgres.data) in command_of(process)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening == {LOOPBACK}


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_its_data_is_its_own(postgres: Postgres) -> None:
    assert stat.S_IMODE(postgres.data.stat().st_mode) == 0o700


@pytest.mark.parametrize("password", ["wrong", None])
def test_nobody_signs_in_without_the_password(postgres: Postgres, password: str | None) -> None:
    with pytest.raises(DatabaseError, match="password"):
        Connection(SUPERUSER, host=LOOPBACK, port=postgres.port, password=password or "", ssl_context=False)


def test_the_first_password_is_on_disk_for_initdb_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []
    real = subprocess.run

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 - as the real one
        [file] = [Path(word.removeprefix("--pwfile=")) for word in command if word.startswith("--pwfile=")]
        seen.append((file.read_text(encoding="utf-8"), stat.S_IMODE(file.stat().st_mode)))
        assert "HIDDEN" not in " ".join(command)
        return real(["true"], **options)

    monkeypatch.setattr(subprocess, "run", run)
    server = Postgres(tmp_path / "postgres", port=find_free(), password="HIDDEN")  # noqa: S106 - a marker
    server.directory.mkdir()

    server._initialise()

    assert seen == [("HIDDEN", 0o600)]
    assert [path.name for path in server.directory.iterdir()] == ["data"]
