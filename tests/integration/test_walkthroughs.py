"""docs/development.md, "Add …": each walk-through is followed on a copy of the project, and its commands run."""

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import pytest

from support.documents import PROJECT, Block, document

SOURCES = (
    "layers/common",
    "functions/ingest",
    "functions/process",
    "functions/query",
    "functions/web",
    "functions/migrate",
    "functions/archive",
)
OTHERS = "cli", "local", "openapi"

WALKTHROUGHS = {
    heading: list(blocks)
    for heading, blocks in groupby(document("docs/development.md").blocks, lambda block: block.heading)
    if heading.startswith("Add ")
}

Change = tuple[list[str], list[str]]
"""Lines that are in a file, and those that take their place."""


def changes(block: Block) -> tuple[Path, list[Change]]:
    """The file of a `diff` block, and what becomes of it; hunks have no numbers, a context line may end with `…`."""
    name, *hunks = re.split(r"^@@\n", block.text, flags=re.MULTILINE)
    found = []
    for lines in (hunk.splitlines() for hunk in hunks):
        before = [line[1:] for line in lines if not line.startswith("+")]
        after = [line[1:] for line in lines if not line.startswith("-")]
        found.append((before, after))
    return Path(name.removeprefix("+++ ").strip()), found


def apply(block: Block, folder: Path) -> None:
    name, hunks = changes(block)
    path = folder / name
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for before, after in hunks:
        text = replaced(text, before, after, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def replaced(text: str, before: list[str], after: list[str], name: Path) -> str:
    if not before:
        assert not text, f"{name} is there already"
        return "\n".join(after) + "\n"
    lines = text.splitlines()
    places = [
        start
        for start in range(len(lines) - len(before) + 1)
        if all(is_like(line, wanted) for line, wanted in zip(lines[start:], before, strict=False))
    ]
    assert len(places) == 1, f"{name} has these lines {len(places)} times:\n" + "\n".join(before)
    [start] = places
    kept = {wanted: line for line, wanted in zip(lines[start:], before, strict=False)}
    lines[start : start + len(before)] = [kept.get(line, line) for line in after]
    return "\n".join(lines) + "\n"


def is_like(line: str, wanted: str) -> bool:
    return line.startswith(wanted.removesuffix("…")) if wanted.endswith("…") else line == wanted


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that git knows, without the pictures, and with their bytecode.

    To compile them again takes half of what the commands take. What a walk-through changes has another time.
    """
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    folder = tmp_path / "project"
    for name in listed.stdout.splitlines():
        path = PROJECT / name
        if path.is_file() and path.suffix != ".png":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            for found in (path, *path.parent.glob(f"__pycache__/{path.stem}.*.pyc")):
                copied = folder / found.relative_to(PROJECT)
                copied.parent.mkdir(exist_ok=True)
                shutil.copy2(found, copied)
    return folder


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run commands in the copy, by this environment's programs, and with nothing installed."""
    tools = folder.parent / "tools"
    tools.mkdir()
    make, uv, pytest_ = tools / "make", tools / "uv", tools / "pytest"
    # The Makefile's own commands, without `uv run` and without its set-up.
    make.write_text('#!/bin/sh\nexec /usr/bin/make -o install -o browser -o clients RUN=env "$@"\n', encoding="utf-8")
    uv.write_text('#!/bin/sh\nshift\nexec "$@"\n', encoding="utf-8")
    # In one process: what a worker of xdist imports takes longer than what it would take off.
    pytest_.write_text('#!/bin/sh\nexec python -m pytest "$@" -n 0 --hypothesis-profile quick\n', encoding="utf-8")
    for tool in (make, uv, pytest_):
        tool.chmod(stat.S_IRWXU)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    sources = os.pathsep.join(str(folder / name) for name in (*SOURCES, *OTHERS))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    return subprocess.run(  # noqa: S603
        ["/bin/bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment | {"PATH": path, "PYTHONPATH": sources},
        capture_output=True,
        text=True,
        check=False,
    )


def follow(headings: Iterable[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Make the changes of walk-throughs, and run all their commands, each once, with the tests of all of them last."""
    commands: dict[str, None] = {}
    tests: dict[str, None] = {}
    for heading in headings:
        for block in WALKTHROUGHS[heading]:
            if block.kind == "diff":
                apply(block, folder)
        [script] = [block.text for block in WALKTHROUGHS[heading] if block.kind == "sh"]
        *before, test = script.splitlines()
        arguments = re.fullmatch(r'make test ARGS="(.+)"', test)
        assert arguments, test
        commands |= dict.fromkeys(before)
        tests |= dict.fromkeys(arguments[1].split())
    return run("\n".join([*commands, f'make test ARGS="{" ".join(tests)}"']), folder)


# Each alone would start all that the tests need four times.
@pytest.mark.parametrize(
    "headings",
    [[*WALKTHROUGHS], *(pytest.param([heading], marks=pytest.mark.weekly) for heading in WALKTHROUGHS)],
    ids=["all", *WALKTHROUGHS],
)
def test_they_lead_to_where_they_say(copy: Path, headings: list[str]) -> None:
    ran = follow(headings, copy)

    assert ran.returncode == 0, ran.stdout[-8_000:] + ran.stderr[-2_000:]


def test_there_are_four() -> None:
    assert set(WALKTHROUGHS) == {"Add a rule", "Add a payload version", "Add a column", "Add a route"}
