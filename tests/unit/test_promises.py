"""The numbers that documents promise, and that tests take from the code: what they are, said once more.

A test that compares with a constant of the code sees no fault in the constant. So each is a line here.
"""

import ast
import importlib
import re
from datetime import timedelta
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
OURS = (
    "dropzone",
    "dropzone_ingest",
    "dropzone_process",
    "dropzone_query",
    "dropzone_web",
    "dropzone_migrate",
    "dropzone_archive",
)

IMPORT = re.compile(r"^ *from dropzone[\w.]* import (?:\([^)]*\)|.*)", re.MULTILINE)

MEBIBYTE = 1024 * 1024

PROMISED: dict[str, dict[str, object]] = {
    "dropzone.api.gateway": {"MIN_BYTES": 1024},
    "dropzone.adapters.s3": {"CLIENTS_SECONDS": 60.0},
    "dropzone.domain.access": {"MAX_BINDING": 1_500},
    "dropzone.domain.mapping": {"MAX_EVENTS": 100_000},
    "dropzone.domain.notifications": {"LISTED": 20},
    "dropzone.domain.validate": {"MAX_UNPACKED_BYTES": 16 * MEBIBYTE},
    "dropzone.domain.outcomes": {"MAX_VIOLATIONS": 10, "RULESET": "6"},
    "dropzone.ports": {"MAX_ATTEMPTS": 5, "HOURLY_ATTEMPTS": 24},
    "dropzone.queries.buckets": {"MAX_PARTS": 1_000_000, "MAX_EVENTS": 2_000_000},
    "dropzone.settings": {"MAX_BODY_BYTES": 4_500_000},
    "dropzone.use_cases.ingest": {"MAX_EVENTS": 100_000, "KEYS_ARE_KEPT": timedelta(hours=24)},
    "dropzone.use_cases.process": {"CAUTIOUS_FROM_RECEIVE": 2},
    "dropzone.use_cases.objects": {
        "RESERVE_SECONDS": 2.0,
        "MAX_CHUNK_BYTES": 32 * MEBIBYTE,
        "MAX_CHUNK_OBJECTS": 1000,
    },
    "dropzone.use_cases.sweep": {"WATERMARK_LAG": timedelta(minutes=15)},
}


def test_promised_numbers_are_what_they_were() -> None:
    found = {
        module: {name: getattr(importlib.import_module(module), name) for name in names}
        for module, names in PROMISED.items()
    }

    assert found == PROMISED


@pytest.mark.slow
def test_number_that_a_test_takes_from_the_code_is_promised_here() -> None:
    taken = {
        (module, name)
        for file in TESTS.rglob("*.py")
        for module, name in imported(file)
        if isinstance(getattr(importlib.import_module(module), name, None), int | float | timedelta)
    }

    assert taken >= {("dropzone.ports", "MAX_ATTEMPTS")}
    assert taken <= {(module, name) for module, names in PROMISED.items() for name in names}


def imported(file: Path) -> set[tuple[str, str]]:
    """The constants of ours that a file of tests imports by name.

    Its statements alone are parsed: all tests would take four seconds.
    """
    statements = "\n".join(found[0].strip() for found in IMPORT.finditer(file.read_text(encoding="utf-8")))
    return {
        (str(node.module), alias.name)
        for node in ast.parse(statements).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS
        for alias in node.names
        if alias.name.isupper()
    }


def test_all_of_gold_is_at_most_400_lines_of_sql() -> None:
    gold = sorted((TESTS.parent / "functions/migrate/dropzone_migrate/sql").glob("gold_*.sql"))
    lines = [line.strip() for path in gold for line in path.read_text().splitlines()]

    assert gold
    assert len([line for line in lines if line and not line.startswith("--")]) <= 400
