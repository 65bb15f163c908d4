"""The Makefile on machines that lack something."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone where nothing is installed, in a path with a blank and ü."""
    folder = tmp_path / "mit Blank und ü"
    folder.mkdir()
    shutil.copy(PROJECT / "Makefile", folder)
    return folder


def make(clone: Path, *arguments: str, uv: str = "exit 1", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make where uv is this script."""
    tools = clone / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "uv").write_text(f"#!/bin/sh\n{uv}\n")
    (tools / "uv").chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    return subprocess.run(  # noqa: S603
        ["make", *arguments],  # noqa: S607
        cwd=clone,
        env={"HOME": os.environ["HOME"], "PATH": path} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("target", ["down", "status", "logs", "clean"])
def test_what_ends_or_shows_a_stack_installs_nothing(clone: Path, target: str) -> None:
    ran = make(clone, target, uv="touch uv-was-called")

    assert (ran.returncode, ran.stdout) == (0, "Nothing is installed here yet, so nothing runs: make up\n")
    assert not (clone / "uv-was-called").exists()


def test_the_error_of_uv_is_shown_with_what_is_needed(clone: Path) -> None:
    ran = make(clone, "up", uv="echo 'error: No interpreter found for Python 3.13' >&2; exit 2")

    assert ran.returncode != 0
    assert "\nerror: No interpreter found for Python 3.13\nDropzone needs Python 3.13" in ran.stderr


def test_uv_may_fetch_python(clone: Path) -> None:
    ran = make(clone, "install", uv='echo "downloads: ${UV_PYTHON_DOWNLOADS-as uv does} $*"')

    assert ran.stdout.splitlines()[0] == "downloads: as uv does sync --locked --quiet"


@pytest.mark.parametrize(("writable", "cache"), [(True, ""), (False, ".uv/cache")])
def test_caches_are_in_the_project_where_home_cant_be_written(clone: Path, *, writable: bool, cache: str) -> None:
    home = clone / "home"
    home.mkdir() if writable else home.touch()  # root may write any folder, but not below a file

    ran = make(clone, "install", uv='echo "$XDG_CACHE_HOME"', HOME=str(home))

    assert ran.stdout.splitlines()[0] == (str(clone / cache) if cache else "")


def test_without_uv_and_python_the_error_says_what_to_install(clone: Path) -> None:
    tools = clone / "few tools"
    tools.mkdir()
    for name in ("make", "bash", "sh"):
        (tools / name).symlink_to(str(shutil.which(name)))

    ran = subprocess.run(  # noqa: S603
        [str(tools / "make"), "up"], cwd=clone, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )

    assert "Dropzone needs uv, or a python3 to install it with" in ran.stderr
