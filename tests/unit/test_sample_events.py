"""The files under events/ are what the functions read: each goes through the decoder that it is for."""

import base64
import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dropzone.api.gateway import body_bytes
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.body import JSON, NDJSON
from dropzone.domain.identifiers import received_at
from dropzone.domain.outcomes import Code, Measurement, Rejection
from dropzone.domain.validate import validate
from dropzone.ports import ListedObject
from dropzone_migrate import cloudformation
from dropzone_migrate.migrations import head
from dropzone_process.events import objects_in, sqs_records
from support.contracts import BROKEN, OF_KEYS, OF_MAPPINGS

EVENTS = Path(__file__).parents[2] / "events"
BUCKET = "dropzone-bronze-123456789012-eu-central-1"
BAD_PAYLOADS = sorted((EVENTS / "payloads").glob("bad.*.json"))
GOOD_PAYLOADS = sorted((EVENTS / "payloads").glob("good.*.json"))


def load(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return event


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [("api-ingest", "POST", "/ingest"), ("api-process", "POST", "/process"), ("api-health", "GET", "/health")],
)
def test_the_api_s_events_are_whole(name: str, method: str, path: str) -> None:
    event = load(name)
    context = event["requestContext"]

    assert (event["httpMethod"], event["path"], event["resource"]) == (method, path, path)
    assert (context["httpMethod"], context["resourcePath"], context["path"]) == (method, path, f"/v1{path}")
    assert str(UUID(context["requestId"])) == context["requestId"]
    assert {key: [value] for key, value in event["headers"].items()} == event["multiValueHeaders"]
    assert event["isBase64Encoded"] is (event["body"] is not None)


def test_the_ingest_event_holds_the_example() -> None:
    assert body_bytes(load("api-ingest")) == (EVENTS / "payloads" / "good.example.json").read_bytes()


def test_the_process_event_holds_parameters() -> None:
    assert json.loads(base64.b64decode(load("api-process")["body"])) == {"limit": 10}


def test_the_notification_names_one_object() -> None:
    event = load("s3-object-created")

    assert sqs_records(event) is None
    [listed] = objects_in(event, BUCKET)
    assert listed == ListedObject(UUID("019f7ed9-87c3-7a4e-8f21-5b6c7d8e9f01"), 59)
    assert received_at(listed.raw_id).isoformat()[:23] + "Z" == event["Records"][0]["eventTime"]


def test_the_batch_names_three_objects() -> None:
    records = sqs_records(load("sqs-batch"))

    assert records is not None
    assert [record.attributes.receive_count for record in records] == [1, 1, 1]
    assert len({record.message_id for record in records}) == 3
    found = [objects_in(record.body, BUCKET) for record in records]
    assert [len(objects) for objects in found] == [1, 1, 1]
    assert len({listed.raw_id for objects in found for listed in objects}) == 3


def test_s3_s_test_event_names_no_object() -> None:
    records = sqs_records(load("s3-test-event"))

    assert records is not None
    assert [objects_in(record.body, BUCKET) for record in records] == [()]


def test_the_schedule_is_not_an_api_or_queue_event() -> None:
    event = load("schedule")

    assert "httpMethod" not in event
    assert sqs_records(event) is None


def test_the_readings_are_events_of_the_readme() -> None:
    with (EVENTS / "readings.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        body = json.dumps({"time_stamp": row["time"], "data": [float(row["temperature"])]}).encode()
        assert isinstance(validate(body)[0], Measurement)
    assert len({row["time"] for row in rows}) == 20
    assert "send events/readings.csv --value-column temperature" in (EVENTS.parent / "README.md").read_text("utf-8")


def test_the_custom_resource_asks_for_the_newest_revision() -> None:
    event = load("custom-resource-create")

    assert cloudformation.Request.model_validate(event).request_type == "Create"
    assert event["ResourceProperties"]["Revision"] == head()


@pytest.mark.parametrize("path", GOOD_PAYLOADS, ids=lambda path: path.name)
def test_a_good_payload_becomes_a_measurement(path: Path) -> None:
    [outcome] = validate(path.read_bytes())

    assert isinstance(outcome, Measurement)


@pytest.mark.parametrize("path", BAD_PAYLOADS, ids=lambda path: path.name)
def test_a_bad_payload_breaks_the_rule_that_it_is_named_for(path: Path) -> None:
    [outcome] = validate(path.read_bytes())

    assert isinstance(outcome, Rejection)
    assert [f"bad.{violation.code}.json" for violation in outcome.violations] == [path.name]


def test_every_rule_has_its_payload() -> None:
    # A payload is a text; what is packed is none. A contract's rules have theirs beside their tests.
    basic = set(Code) - {Code.NOT_GZIP, Code.TOO_LARGE} - set(BROKEN) - OF_MAPPINGS - OF_KEYS
    assert {path.name.removeprefix("bad.").removesuffix(".json") for path in BAD_PAYLOADS} == basic


FIGURES = Aggregates(1.0, 1.0, 2, 0.0, 2.0)
INSTANT = datetime(2019, 5, 1, 10, tzinfo=UTC)
FOR_EVER: dict[str, list[Measurement | Code]] = {
    "good.example.json": [Measurement(INSTANT, "", FIGURES)],
    "good.version-2.json": [Measurement(INSTANT, "hall-3/thermometer-7", FIGURES, "°C", {"line": "B"})],
    "good.version-2-bare.json": [Measurement(INSTANT, "", FIGURES)],
    "batch.array.json": [Measurement(INSTANT, "", FIGURES), Code.TIME_STAMP_NO_TIMEZONE],
    "batch.lines.ndjson": [
        Measurement(INSTANT, "", FIGURES),
        Code.NOT_JSON,
        Measurement(INSTANT, "hall-3", Aggregates(4.0, 0.0, 1, 4.0, 4.0)),
    ],
}
"""What the samples are validated to be, whatever versions come: a change here breaks what clients rely on."""


@pytest.mark.parametrize("name", FOR_EVER)
def test_outcomes_of_samples_never_change(name: str) -> None:
    outcomes = validate((EVENTS / "payloads" / name).read_bytes(), NDJSON if name.endswith(".ndjson") else JSON)

    found = [outcome if isinstance(outcome, Measurement) else outcome.violations[0].code for outcome in outcomes]
    assert found == FOR_EVER[name]
