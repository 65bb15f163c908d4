"""The documents are true: links resolve, commands exist, files that are named are there, versions agree."""

import ast
import json
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from dropzone_cli.main import app
from dropzone_openapi.build import VERSION
from support.documents import PROJECT, Document, document, documents
from unit.template.loading import load_template

DOCUMENTS = pytest.mark.parametrize("doc", documents(), ids=lambda doc: doc.name)

RUN = {
    "README.md": "tests/e2e/test_tour.py",
    "docs/api.md": "tests/e2e/test_tour.py",
    "docs/development.md": "tests/integration/test_walkthroughs.py",
}
"""The documents whose `sh` blocks are run, and by what."""

KINDS = {"console", "http", "json", "text", "toml", "yaml"}
"""Of blocks that nobody runs: transcripts, answers, files."""


# ---- links -----------------------------------------------------------------------------------------------------------


@DOCUMENTS
def test_links_lead_somewhere(doc: Document) -> None:
    for target in doc.links:
        path, _, anchor = target.partition("#")
        found = (doc.path.parent / path).resolve() if path else doc.path
        assert found.exists(), target
        if anchor:
            assert anchor in Document(found).anchors, target


def test_every_document_can_be_found() -> None:
    index = {"README.md", "docs/README.md"}
    listed = {
        (page.path.parent / target.partition("#")[0]).resolve()
        for page in map(document, index)
        for target in page.links
    }

    assert [doc.name for doc in documents() if doc.name not in index and doc.path not in listed] == []


def test_readme_is_short() -> None:
    assert len(document("README.md").text.splitlines()) <= 150


# ---- blocks ----------------------------------------------------------------------------------------------------------


@DOCUMENTS
def test_a_block_is_run_or_marked(doc: Document) -> None:
    kinds = {block.kind for block in doc.blocks} - KINDS
    if doc.name in RUN:
        assert (PROJECT / RUN[doc.name]).is_file()
        kinds -= {"sh", "python", "diff"}
    if doc.name == "docs/analysts.md":  # tests/integration/test_analysts.py
        kinds -= {"sql"}

    assert kinds == set()


# ---- commands --------------------------------------------------------------------------------------------------------


def commands(doc: Document, name: str) -> list[str]:
    """The lines, and parts of sentences, that begin with this command; continued lines are joined."""
    blocks = [*doc.indented, *(block.text for block in doc.blocks if block.kind in {"sh", "console"})]
    lines = [line for block in blocks for line in re.sub(r"\\\n\s*", " ", block).splitlines()]
    lines += re.findall(r"`([^`\n]+)`", doc.prose)
    found = [re.sub(r"^(\$ |uv run )+", "", line.strip()) for line in lines]
    return [re.split(r"\s+#|\s*[;|]|\s&&", line)[0].strip() for line in found if line.startswith(f"{name} ")]


@cache
def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_make_help_lists_every_target_by_who_needs_it() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    ran = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True)  # noqa: S607
    listed = re.findall(r"^  make ([a-z-]+) +\S", ran.stdout, re.MULTILINE)

    assert sorted(listed) == sorted(re.findall(r"^([a-z-]+):.* ## ", makefile, re.MULTILINE))
    assert re.findall(r"^\S.*", ran.stdout, re.MULTILINE) == ["Use it", "Change it", "Run it on AWS"]


def test_chromium_is_announced_before_it_is_installed() -> None:
    ran = subprocess.run(
        ["/usr/bin/make", "--dry-run", "browser"], cwd=PROJECT, capture_output=True, text=True, check=True
    )

    assert ran.stdout.index("Chromium is missing: installing") < ran.stdout.index("apt-get install")


@DOCUMENTS
def test_make_has_the_target(doc: Document) -> None:
    for line in commands(doc, "make"):
        target = re.findall(r"(?<=\s)[a-z][a-z-]*(?=\s|$)", line)[0]
        assert target in targets(), line


@DOCUMENTS
def test_the_command_line_has_the_command_and_its_options(doc: Document) -> None:
    for line in commands(doc, "dropzone"):
        check_command(line)


@cache
def command_line() -> Any:  # noqa: ANN401 - click's, by whichever name typer has it
    return typer.main.get_command(app)


def check_command(line: str) -> None:
    command = command_line()
    words = line.replace("…", "").replace("|", " ").split()[1:]
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name, *words = words
        if not name.islower():
            return  # a placeholder, such as COMMAND
        assert name.strip(",") in command.commands, line
        command = command.commands[name.strip(",")]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    given = {word.partition("=")[0].strip(",]") for word in words if word.startswith("--")}
    assert given - known - {"--help"} == set(), line


# ---- names -----------------------------------------------------------------------------------------------------------


@DOCUMENTS
def test_a_file_that_is_named_is_there(doc: Document) -> None:
    tops = "|".join(re.escape(entry.name) for entry in PROJECT.iterdir() if entry.is_dir() and not _is_made(entry))
    for path in re.findall(rf"`((?:{tops})/[\w./-]*[\w/])`", doc.prose):
        assert (PROJECT / path).exists(), path


def _is_made(entry: Path) -> bool:
    return entry.name in {".git", ".venv", ".uv", ".local", ".aws-sam", ".mutants"}


@cache
def parameters() -> set[str]:
    return set(load_template()["Parameters"])


@DOCUMENTS
def test_a_parameter_of_the_template_is_there(doc: Document) -> None:
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][A-Za-z]*)+)=", doc.prose))

    assert named <= parameters()


# ---- messages --------------------------------------------------------------------------------------------------------

SHORT = 10
"""Of a message's constant part: too little to say where it comes from."""


@cache
def texts() -> str:
    """What the programs may print: constants of Python's source, with the parts of a message put together."""
    found = [(PROJECT / "Makefile").read_text(encoding="utf-8")]
    found += [path.read_text(encoding="utf-8") for path in PROJECT.glob("functions/web/dropzone_web/static/page/*.js")]
    for path in (path for top in ("cli", "functions", "layers", "local") for path in (PROJECT / top).rglob("*.py")):
        if ".venv" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    found.append("".join(_constant(part) for part in node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return "\n".join(found)


def _constant(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "…"


def messages() -> list[str]:
    """The messages of docs/troubleshooting.md, and the lines of logs of docs/operations.md."""
    rows = re.findall(r"^\| (.*?) \|", document("docs/troubleshooting.md").prose, re.MULTILINE)
    quoted = [text for row in rows for text in re.findall(r"`([^`]*)`", row) if text[0].isupper() or text[0] == "…"]
    logged = re.findall(r"`([a-z';,]+(?: [a-z';,]+)+)`(?= at (?:ERROR|WARNING))", document("docs/operations.md").prose)
    return [part for text in (*quoted, *logged) for part in re.split(r"\s*…\s*", text) if len(part) > SHORT]


@pytest.mark.parametrize("message", dict.fromkeys(messages()))
def test_a_message_is_the_program_s_own(message: str) -> None:
    assert message in texts()


# ---- versions --------------------------------------------------------------------------------------------------------


def released_versions() -> list[str]:
    return re.findall(r"^## \[(\d[^\]]*)\]", document("CHANGELOG.md").text, re.MULTILINE)


def test_the_versions_agree() -> None:
    packages = [
        tomllib.loads((PROJECT / name / "pyproject.toml").read_text("utf-8"))["project"] for name in ("", "cli")
    ]
    static = PROJECT / "functions" / "web" / "dropzone_web" / "static" / "openapi.json"
    served = json.loads(static.read_text(encoding="utf-8"))["info"]["version"]

    assert {package["version"] for package in packages} == {VERSION} == {served} == {released_versions()[0]}
    assert VERSION.startswith("0.")


def test_the_changelog_has_what_is_not_released() -> None:
    assert "## [Unreleased]" in document("CHANGELOG.md").text
