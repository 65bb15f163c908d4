"""A text, a limit or a field is declared once: the API's document and the answers follow when its source changes."""

import csv
import json
import subprocess
import sys
from functools import cache
from typing import Any

CHANGES = {
    "dropzone.api.problems": {
        "The body must be {reason}.": "Another text {reason}.",
    },
    "dropzone.domain.payloads": {
        "class EventV2(Event, Labels):\n": "class EventV2(Event, Labels):\n    firmware: str = Field(max_length=9)\n",
    },
    "dropzone.queries.status": {
        'le=1_000, description="The maximum number of events to return."': 'le=7, description="Few."',
    },
    # A new field of an answer is a column of the SQL, and a field of the model with its example.
    "dropzone.queries.quality": {
        "    latency_ms: QualityLatency\n": "    latency_ms: QualityLatency\n    doubled: float\n",
        "                **EXAMPLE_ARRIVALS,\n": '                **EXAMPLE_ARRIVALS, "doubled": 120.0,\n',
        "{ARRIVALS}, latency_mean_ms": "{ARRIVALS}, 2.0 * processed AS doubled, latency_mean_ms",
    },
    "dropzone_web.handler": {
        '    status: Literal["ok"]\n': '    status: Literal["ok"]\n    version: str\n',
    },
}
"""By module: a text of its source, and its replacement."""

_PROGRAM = """
import json, sys
from importlib.machinery import SourceFileLoader

changes, as_it_is = json.loads(sys.argv[1]), SourceFileLoader.get_code

def get_code(self, name):
    if name not in changes:
        return as_it_is(self, name)
    source = self.get_source(name)
    for old, new in changes[name].items():
        assert old in source, old
        source = source.replace(old, new)
    return compile(source, self.path, "exec")

SourceFileLoader.get_code = get_code

from dropzone.api.formats import Format
from dropzone.api.pages import page
from dropzone.queries import quality
from dropzone_openapi.build import build
from functional.test_reads import QUALITY
from support.reads import Rows

database = Rows(quality=[{**QUALITY, "doubled": 6}])
rows = quality.read_quality(database, quality.QualityRequest(), reads=None)
pages = {form.name: page(quality.LISTING, rows, 9, query={}, form=form)[0] for form in (Format.JSON, Format.CSV)}
json.dump({"document": build(), "sql": database.asked[0]["sql"], **pages}, sys.stdout)
"""


@cache
def outcome() -> dict[str, Any]:
    """The document and a page of buckets, of the changed source."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _PROGRAM, json.dumps(CHANGES)],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_problem_s_text() -> None:
    details = {
        entry["detail"]
        for entry in _values(outcome()["document"])
        if entry.get("type") == "urn:dropzone:problem:invalid-event"
    }

    assert [str(detail)[:12] for detail in details] == ["Another text"]


def test_parameter_s_limit() -> None:
    [limit] = outcome()["document"]["paths"]["/ingest/{id}"]["get"]["parameters"][1:2]

    assert (limit["name"], limit["schema"]["maximum"], limit["description"]) == ("limit", 7, "Few.")


def test_payload_s_field() -> None:
    event = outcome()["document"]["components"]["schemas"]["EventV2"]

    assert event["properties"]["firmware"] == {"type": "string", "maxLength": 9}
    assert "firmware" in event["required"]


def test_answer_s_field() -> None:
    health = outcome()["document"]["components"]["schemas"]["Health"]

    assert health["required"] == ["status", "version"]


def test_field_of_a_row_is_in_the_sql_and_in_the_model() -> None:
    bucket = outcome()["document"]["components"]["schemas"]["QualityBucket"]

    assert bucket["properties"]["doubled"] == {"type": "number"}
    assert '"doubled"' in outcome()["sql"]
    [row] = json.loads(outcome()["JSON"])["quality"]
    assert row["doubled"] == 6.0
    [line] = csv.DictReader(outcome()["CSV"].splitlines())
    assert line["doubled"] == "6.0"


def _values(document: object) -> list[dict[str, object]]:
    """Every object in a document."""
    found: list[dict[str, object]] = []

    def keep(entry: dict[str, object]) -> dict[str, object]:
        found.append(entry)
        return entry

    json.loads(json.dumps(document), object_hook=keep)
    return found
