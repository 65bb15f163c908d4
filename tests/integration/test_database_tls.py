"""Signing in at Postgres by TLS: at the server that is meant, and nowhere else."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dropzone.adapters.database import Database, open_database
from dropzone.ports import SilverUnavailableError
from dropzone_local.ports import LOOPBACK
from support import tls
from support.postgres import SilverInPostgres, database_settings
from support.tls import Authority, TlsDoor


@pytest.fixture
def door(tables: SilverInPostgres, tmp_path: Path) -> Iterator[TlsDoor]:
    """The tables' server by TLS; its authority's certificate is in authority.pem."""
    authority = Authority()
    (tmp_path / "authority.pem").write_bytes(authority.pem)
    with TlsDoor(LOOPBACK, behind=tables.server.port, authority=authority, folder=tmp_path) as opened:
        yield opened


def database(tables: SilverInPostgres, port: int, ca_file: Path, host: str = LOOPBACK) -> Database:
    return open_database(
        database_settings(
            tables.server, database_host=host, database_port=port, database_tls="verify-full", database_ca_file=ca_file
        )
    )


def test_a_trusted_server_is_signed_in_at_by_tls(tables: SilverInPostgres, door: TlsDoor, tmp_path: Path) -> None:
    opened = database(tables, door.port, tmp_path / "authority.pem")
    assert opened.run("SELECT current_user") == [["dropzone_writer"]]
    assert door.opened == 1
    opened.close()


def test_a_server_that_takes_a_while_is_waited_for(
    tables: SilverInPostgres, door: TlsDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = tls._relay

    def relay_late(*sockets: Any) -> None:  # noqa: ANN401 - as the original's
        time.sleep(0.3)
        relay(*sockets)

    monkeypatch.setattr(tls, "_relay", relay_late)
    opened = database(tables, door.port, tmp_path / "authority.pem")
    assert opened.run("SELECT 1") == [[1]]
    opened.close()


def test_a_server_of_another_authority_is_not_signed_in_at(
    tables: SilverInPostgres, door: TlsDoor, tmp_path: Path
) -> None:
    (tmp_path / "another.pem").write_bytes(Authority().pem)
    with pytest.raises(SilverUnavailableError, match="certificate verify failed"):
        database(tables, door.port, tmp_path / "another.pem").run("SELECT 1")
    assert door.opened == 0


def test_a_server_of_another_name_is_not_signed_in_at(tables: SilverInPostgres, door: TlsDoor, tmp_path: Path) -> None:
    with pytest.raises(SilverUnavailableError, match="not valid for 'localhost'"):
        database(tables, door.port, tmp_path / "authority.pem", host="localhost").run("SELECT 1")


@pytest.mark.usefixtures("door")
def test_a_server_without_tls_is_not_signed_in_at(tables: SilverInPostgres, tmp_path: Path) -> None:
    with pytest.raises(SilverUnavailableError, match="SSL"):
        database(tables, tables.server.port, tmp_path / "authority.pem").run("SELECT 1")
