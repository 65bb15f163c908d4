"""The test run itself: it ends, whatever a fault does."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def test_every_test_has_a_time_limit(pytestconfig: pytest.Config) -> None:
    assert 60 <= float(pytestconfig.getini("timeout")) <= 900


@pytest.mark.slow
def test_test_that_never_ends_fails(tmp_path: Path) -> None:
    # Under this project's own settings, with a shorter limit.
    (tmp_path / "test_endless.py").write_text("def test_endless():\n    while True: pass\n", encoding="utf-8")

    done = subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, "-m", "pytest", "-c", str(PROJECT / "pyproject.toml"), "--timeout", "0.2", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert "Timeout (>0.2s) from pytest-timeout" in done.stdout
