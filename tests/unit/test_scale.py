"""docs/scale.md has the tables that the arithmetic makes."""

import subprocess
import sys

from support.documents import PROJECT


def test_the_tables_are_what_the_arithmetic_makes() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout

    document = (PROJECT / "docs" / "scale.md").read_text(encoding="utf-8")
    tables = [line for line in document.splitlines() if line.startswith("|")]
    assert tables == [line for line in printed.splitlines() if line]
