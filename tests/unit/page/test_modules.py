"""The page's pure modules, tested under Node, which needs nothing but itself for that."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dropzone.domain.outcomes import Code

BASIC_CODES = [*Code][: [*Code].index(Code.CORRECTS_INVALID) + 1]
"""Those of the basic rules, which are declared before those of contracts."""

NODE = shutil.which("node")
PAGE = Path(__file__).parents[3] / "page"
FILES = sorted(Path(__file__).parent.glob("*.test.mjs"))


@pytest.mark.skipif(
    NODE is None, reason="node is missing: the page's figures are NOT tested (install Node 20 or newer)"
)
def test_modules_of_the_page() -> None:
    program = "".join(
        f'import "./{file.name}";' for file in FILES
    )  # one process for all: each takes a tenth of a second
    done = subprocess.run(  # noqa: S603 - our own command line
        [str(NODE), "--test-reporter=spec", "--input-type=module", "--eval", program],
        cwd=Path(__file__).parent,
        env=os.environ | {"TZ": "UTC", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    # A file without tests would pass as well.
    assert [file.name for file in FILES if 'from "node:test"' not in file.read_text(encoding="utf-8")] == []


def test_every_pure_module_has_its_tests() -> None:
    pure = {
        path.stem
        for path in PAGE.glob("*.js")
        if path.name != "later.js"
        and not any(word in path.read_text(encoding="utf-8") for word in ("document", "window", "fetch(", "dom.js"))
    }

    assert {file.name.partition(".")[0] for file in FILES} == pure


def test_every_basic_rule_has_its_fix() -> None:
    fixes = PAGE.joinpath("fixes.js").read_text(encoding="utf-8")

    assert [code for code in BASIC_CODES if f'"{code}": ' not in fixes] == []
