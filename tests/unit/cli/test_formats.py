"""The command line's own copy of what the API and its clients agree on, compared with the functions' code."""

import ast
import re
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dropzone.domain import identifiers, payloads
from dropzone_cli import formats
from dropzone_cli.errors import CliError
from dropzone_cli.sending.options import check_labels

SOURCES = sorted((Path(__file__).parents[3] / "cli").rglob("*.py"))

text = st.text(st.characters(codec="utf-8"), max_size=12)
keys = st.from_regex(r"\A(raw/)?[0-9a-fA-F]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.json)?\Z") | text
LIMITS = (payloads.MAX_SOURCE, payloads.MAX_UNIT, payloads.MAX_TAG_NAME, payloads.MAX_TAG_VALUE)
long_text = text | st.sampled_from([limit + more for limit in LIMITS for more in (0, 1)]).map("ä".__mul__)


def _or_error(function: Callable[[str], object], argument: str) -> object:
    try:
        return function(argument)
    except ValueError:
        return ValueError


@given(st.uuids() | st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number)))
def test_identifiers(raw_id: UUID) -> None:
    assert formats.object_key(raw_id) == identifiers.object_key(raw_id)
    assert formats.received_at(raw_id) == identifiers.received_at(raw_id)


@given(
    keys
    | st.uuids().map(identifiers.object_key)
    | st.builds(identifiers.object_key, st.builds(identifiers.new_raw_id, st.integers(0, 2**61)))
)
def test_keys(key: str) -> None:
    assert _or_error(formats.raw_id_of, key) == _or_error(identifiers.raw_id_of, key)


@given(st.from_regex(identifiers.POSITION_PATTERN.replace("$", r"\Z")) | keys)
def test_cursors(cursor: str) -> None:
    is_cursor = re.fullmatch(identifiers.POSITION_PATTERN.strip("^$"), cursor) is not None
    ours = _or_error(formats.parse_cursor, cursor)
    assert ours == (identifiers.parse_cursor(cursor) if is_cursor else ValueError)
    if is_cursor:
        assert str(ours) == str(identifiers.parse_cursor(cursor))


@pytest.mark.parametrize("name", ["MAX_SOURCE", "MAX_UNIT", "MAX_TAGS", "MAX_TAG_NAME", "MAX_TAG_VALUE"])
def test_limits(name: str) -> None:
    assert getattr(formats, name) == getattr(payloads, name)


@given(st.none() | long_text, st.none() | long_text, st.dictionaries(long_text.filter(bool), long_text, max_size=18))
def test_labels(source: str | None, unit: str | None, tags: dict[str, str]) -> None:
    def is_accepted_by(check: Callable[[], object], error: type[Exception]) -> bool:
        try:
            check()
        except error:
            return False
        return True

    labels = {"source": source, "unit": unit, "tags": tags}
    assert is_accepted_by(lambda: check_labels(source, unit, tags, ()), CliError) == is_accepted_by(
        lambda: payloads.Labels.model_validate(labels), ValidationError
    )


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.stem)
def test_the_command_line_runs_on_python_3_11_and_imports_no_function(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 11))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    services = ("apigateway", "cloudformation", "lambda", "s3", "sqs", "stepfunctions")
    types_only = {"botocore", *(f"mypy_boto3_{service}" for service in services)}
    extras = {"openpyxl"}
    allowed = {"boto3", "dropzone_cli", "httpx", "rich", "typer"} | extras | types_only
    assert imported <= allowed | sys.stdlib_module_names
