from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from dropzone_local.logs import parse

if TYPE_CHECKING:
    from dropzone_local.logs import LogLine

AT = datetime(2026, 5, 1, 10, 0, 1, 123_000, tzinfo=UTC)
POWERTOOLS = {
    "level": "INFO",
    "location": "handler:42",
    "message": "accepted",
    "timestamp": "2026-05-01 10:00:01,123+0000",
    "service": "ingest",
    "cold_start": True,
    "function_name": "dropzone-IngestFunction-1",
    "function_memory_size": "512",
    "function_arn": "arn:aws:lambda:us-east-1:000000000000:function:dropzone-IngestFunction-1",
    "function_request_id": "5f9f",
    "correlation_id": "c-1",
    "raw_id": "0197",
    "xray_trace_id": None,
}


def read(message: str) -> LogLine | None:
    return parse(message, function="ingest", milliseconds=int(AT.timestamp() * 1000))


def test_a_line_of_powertools_becomes_one_short_line() -> None:
    line = read(json.dumps(POWERTOOLS))

    assert line is not None
    shown = line.render().plain
    assert shown == f"{AT.astimezone():%H:%M:%S}.123 INFO    ingest   accepted  correlation_id=c-1  raw_id=0197"


def test_an_exception_is_shown_below_its_line() -> None:
    line = read(json.dumps(POWERTOOLS | {"level": "ERROR", "exception": "Traceback:\n  boom", "exception_name": "E"}))

    assert line is not None
    assert line.render().plain.splitlines()[1:] == ["    Traceback:", "      boom"]


def test_a_value_that_is_not_text_is_shown_as_json() -> None:
    line = read(json.dumps(POWERTOOLS | {"message": {"a": 1}, "counts": [1, 2]}))

    assert line is not None
    assert line.message == '{"a":1}'
    assert line.fields["counts"] == "[1,2]"


@pytest.mark.parametrize(
    "message",
    [
        "START RequestId: 5f9f Version: $LATEST",
        "END RequestId: 5f9f",
        "REPORT RequestId: 5f9f\tDuration: 2 ms",
        '{"_aws": {"Timestamp": 1, "CloudWatchMetrics": []}, "checked": 1}',
        "",
        "  \n",
    ],
)
def test_what_no_reader_needs_is_left_out(message: str) -> None:
    assert read(message) is None


@pytest.mark.parametrize("message", ["plain words", "{broken json", "[1, 2]", '"text"'])
def test_anything_else_is_shown_as_it_is(message: str) -> None:
    line = read(message)

    assert line is not None
    assert line.message == message
    assert line.level == "-"


def test_markup_in_a_message_is_text() -> None:
    line = read(json.dumps(POWERTOOLS | {"message": "[bold]not markup[/]"}))

    assert line is not None
    assert "[bold]not markup[/]" in line.render().plain
