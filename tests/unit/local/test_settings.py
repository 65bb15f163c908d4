from __future__ import annotations

from typing import TYPE_CHECKING

from dropzone_local.files import write_json
from dropzone_local.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def test_a_stack_keeps_its_ports_and_its_password(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    settings = Settings(password="p", emulator_port=4566, database_port=5432)  # noqa: S106

    settings.save(path)

    assert Settings.load(path) == settings


def test_each_new_stack_has_a_password_of_its_own(tmp_path: Path) -> None:
    one, other = (Settings.load(tmp_path / "missing.json") for _ in range(2))

    assert len(one.password) >= 24
    assert one.password != other.password


def test_what_is_no_port_is_not_taken_for_one(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    write_json(path, {"password": 1, "emulator_port": "4566", "database_port": None})

    settings = Settings.load(path)

    assert settings.password
    assert (settings.emulator_port, settings.database_port) == (None, None)
