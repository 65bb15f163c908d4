"""The README's table is true: each test that it names is there, and each row names some."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
README = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
ROWS = [
    (cells[1].strip(), re.findall(r"`([\w/]+\.py)::(\w+)`", cells[2]))
    for line in README.splitlines()
    if line.startswith("| ") and len(cells := line.split("|")) == 4 and cells[2].strip() != "Tests"
]


def test_every_row_of_the_failure_table_is_there() -> None:
    assert len(ROWS) == 14 + 4


@pytest.mark.parametrize(("what", "tests"), ROWS, ids=[what for what, _ in ROWS])
def test_a_row_names_tests_that_exist(what: str, tests: list[tuple[str, str]]) -> None:
    assert tests, what
    for file, name in tests:
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, f"{file}::{name}"
