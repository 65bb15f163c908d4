from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from dropzone_local.errors import LocalStackError
from dropzone_local.files import exclusive, read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_with_secrets_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "stack.json"

    write_json(path, {"api_key": "k"})

    assert read_json(path) == {"api_key": "k"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["stack.json"]  # noqa: PTH208 - hidden files as well


def test_a_failure_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "stack.json"
    write_json(path, {"old": True})

    with pytest.raises(TypeError):
        write_json(path, {"new": object()})

    assert read_json(path) == {"old": True}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", "{", "[]", "1"])
def test_a_broken_file_is_an_empty_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / "stack.json"
    path.write_text(content, encoding="utf-8")

    assert read_json(path) == {}
    assert read_json(tmp_path / "missing.json") == {}


def test_a_second_command_reports_the_running_one(tmp_path: Path) -> None:
    lock = tmp_path / "lock"

    with (
        exclusive(lock, busy="busy"),
        pytest.raises(LocalStackError, match=str(os.getpid())),
        exclusive(lock, busy="busy"),
    ):
        pass

    with exclusive(lock, busy="busy"):
        pass
