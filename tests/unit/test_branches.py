"""The plugin of coverage.py finds the branches that its own way of measuring finds (tests/support/branches.py)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SAMPLE = """
def walk(values):
    for value in values:
        if value > 3:
            yield value
        elif value == 3:
            continue
        while value:
            value -= 1
            if value == 1:
                break
    else:
        yield 0

def choose(value):
    match value:
        case 1:
            return "one"
        case [first, *_] if first:
            return first
    return any(entry for entry in value) if value else None

def guarded(call):
    try:
        with open(__file__) as file:
            return call(file)
    except ZeroDivisionError:
        if call:
            return None
    finally:
        assert callable(call)

def never(value):
    if value:
        return 1

list(walk([1, 2, 3, 4, 5] * 3)), list(walk([2]))
choose(1), choose([7]), choose([0]), choose("")
guarded(lambda file: file.name), guarded(lambda file: 1 / 0)
"""


def measured(folder: Path, core: str) -> dict[str, Any]:
    """What coverage.py says of the sample by this core; stopped twice, as for tests without coverage."""
    (folder / "sample.py").write_text(SAMPLE, encoding="utf-8")
    program = (
        "import coverage\n"
        f"measuring = coverage.Coverage(branch=True, include=['*/sample.py'], config_file={core + '.ini'!r})\n"
        "measuring.start()\nimport sample\nmeasuring.stop()\n"
        "measuring.start()\nsample.never(0)\nmeasuring.stop()\n"
        "sample.choose([0])\n"
        f"measuring.json_report(outfile={core + '.json'!r})\n"
    )
    plugin = "plugins = support.branches\n" if core == "sysmon" else ""
    (folder / f"{core}.ini").write_text(f"[run]\ncore = {core}\n{plugin}", encoding="utf-8")
    subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=folder, check=True)  # noqa: S603
    [found] = json.loads((folder / f"{core}.json").read_text(encoding="utf-8"))["files"].values()
    return {kind: found[kind] for kind in ("executed_lines", "executed_branches", "missing_branches")}


@pytest.mark.slow
def test_it_finds_what_tracing_finds(tmp_path: Path) -> None:
    found = measured(tmp_path, "sysmon")

    assert found == measured(tmp_path, "ctrace")
    assert len(found["executed_branches"]) > 15
    assert found["missing_branches"]
