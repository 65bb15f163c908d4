"""Every function answers its sample event, from the event to S3's bytes and Postgres's rows."""

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from artefact.build import Artefacts
from artefact.conftest import Start, database_parameters
from artefact.samples import BUCKET, keys_of_batch, payload, sample
from dropzone.domain.identifiers import object_key, raw_id_of
from dropzone.domain.outcomes import Code, ValidatedObject
from dropzone_local.postgres import Postgres
from dropzone_migrate.migrations import head
from support.cloudformation import cloudformation
from support.factories import EXAMPLE, EXAMPLE_INSTANT, measurement, raw_id, raw_ids, s3_event, sqs_event
from support.postgres import SilverInPostgres, empty_database

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

STARTED_HERE = {
    "IngestFunction",
    "ProcessFunction",
    "SweepFunction",
    "QueryFunction",
    "WebFunction",
    "MigrateFunction",
    "NotifyFunction",
    "ReplayFunction",
    "ArchiveFunction",
}


def body_of(answer: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever JSON it is
    body = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"]
    return json.loads(body)


def api_event(like: str, method: str, path: str, **others: object) -> dict[str, Any]:
    event = sample(like)
    event["requestContext"] |= {"httpMethod": method, "path": f"/v1{path}"}
    return event | {"httpMethod": method, "path": path, **others}


def test_all_functions_of_the_template_are_started_here(artefacts: Artefacts) -> None:
    assert artefacts.functions().keys() == STARTED_HERE


def test_notify_acknowledges_s3_s_test_event(start: Start, s3_endpoint: str) -> None:
    [message] = sample("s3-test-event")["Records"]
    strange = {**message, "messageId": "2", "body": "{}"}

    answer = start("NotifyFunction", BronzeEndpointUrl=s3_endpoint).succeed({"Records": [message, strange]})

    assert answer == {"batchItemFailures": [{"itemIdentifier": "2"}]}


def test_ingest_stores_the_bytes_of_the_request(start: Start, s3: "S3Client", s3_endpoint: str) -> None:
    ingest = start("IngestFunction", BronzeEndpointUrl=s3_endpoint)

    answer = ingest.succeed(sample("api-ingest"))

    assert answer["statusCode"] == 202, answer
    key = object_key(UUID(body_of(answer)["raw_id"]))
    stored = s3.get_object(Bucket=BUCKET, Key=key)
    assert stored["Body"].read() == EXAMPLE
    assert stored["Metadata"]["correlation-id"] == sample("api-ingest")["requestContext"]["requestId"]
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == [key]
    [accepted] = [line for line in ingest.log_lines if line.get("message") == "accepted"]
    assert accepted["function_name"] == "dropzone-IngestFunction"


def test_ingest_refuses_what_is_no_event(start: Start, s3: "S3Client", s3_endpoint: str) -> None:
    ingest = start("IngestFunction", BronzeEndpointUrl=s3_endpoint)
    body = base64.b64encode(payload("bad.payload.not_json")).decode()

    answer = ingest.succeed(sample("api-ingest") | {"body": body})

    assert answer["statusCode"] == 400
    assert body_of(answer)["type"] == "urn:dropzone:problem:not-json"
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def test_process_handles_a_batch_and_returns_the_missing(
    start: Start, s3: "S3Client", s3_endpoint: str, tables: SilverInPostgres
) -> None:
    good, bad, missing = keys_of_batch()
    s3.put_object(Bucket=BUCKET, Key=good, Body=payload("good.example"))
    s3.put_object(Bucket=BUCKET, Key=bad, Body=payload("bad.data.empty"))
    process = start("ProcessFunction", BronzeEndpointUrl=s3_endpoint, **database_parameters(tables.server))

    answer = process.succeed(sample("sqs-batch"))

    assert answer == {"batchItemFailures": [{"itemIdentifier": sample("sqs-batch")["Records"][2]["messageId"]}]}
    [(instant, row)] = tables.measurement_rows().items()
    assert (instant, row.raw_id) == ((EXAMPLE_INSTANT, ""), raw_id_of(good))
    assert (row.measurement.aggregates.mean, row.measurement.aggregates.std_dev) == (1.0, 1.0)
    outcomes = {identifier: outcome for (identifier, _), outcome in tables.outcome_rows().items()}
    assert outcomes.keys() == {raw_id_of(good), raw_id_of(bad)}
    assert [violation.code for violation in outcomes[raw_id_of(bad)].violations] == [Code.DATA_EMPTY]
    assert raw_id_of(missing) not in {
        identifier for identifier, receipt in tables.receipt_rows().items() if receipt.complete
    }


def test_process_takes_a_bare_event_of_s3(
    start: Start, s3: "S3Client", s3_endpoint: str, tables: SilverInPostgres
) -> None:
    event = sample("s3-object-created")
    key = event["Records"][0]["s3"]["object"]["key"]
    s3.put_object(Bucket=BUCKET, Key=key, Body=payload("good.example"))
    process = start("ProcessFunction", BronzeEndpointUrl=s3_endpoint, **database_parameters(tables.server))

    assert process.succeed(event) == {}

    assert [row.raw_id for row in tables.measurement_rows().values()] == [raw_id_of(key)]


def test_process_fails_when_a_bare_event_cannot_be_processed(
    start: Start, s3: "S3Client", s3_endpoint: str, tables: SilverInPostgres
) -> None:
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0
    process = start("ProcessFunction", BronzeEndpointUrl=s3_endpoint, **database_parameters(tables.server))

    assert process.invoke(sample("s3-object-created"))["errorType"] == "UnprocessedError"

    assert not tables.measurement_rows()


def test_replay_plans_the_ranges_of_a_replay(start: Start, s3_endpoint: str, tables: SilverInPostgres) -> None:
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], (measurement(EXAMPLE_INSTANT),))])
    replay = start("ReplayFunction", BronzeEndpointUrl=s3_endpoint, **database_parameters(tables.server))

    replay_id = replay.succeed({"action": "begin", "since": "2020-01-01T00:00:00Z"})["replay_id"]
    planned = replay.succeed({"action": "plan", "replay_id": replay_id})
    assert (planned["is_planned"], planned["objects"]) == (True, 1)
    assert replay.succeed({"action": "pending", "replay_id": replay_id})["ranges"] == [0]


def test_archive_moves_a_closed_month_to_files(
    start: Start, s3: "S3Client", s3_endpoint: str, tables: SilverInPostgres
) -> None:
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], (measurement(EXAMPLE_INSTANT),))])
    tables.query("UPDATE gold.measured_stale SET marked_at = '2020-01-01Z'")
    assert tables.query("SELECT gold.refresh()") == [[1]]
    parameters = database_parameters(tables.server) | {"SilverMonths": "1"}

    answer = start("ArchiveFunction", BronzeEndpointUrl=s3_endpoint, **parameters).succeed({})

    month = f"{EXAMPLE_INSTANT:%Y-%m}"
    assert answer == {"archived": [month], "reinstated": [], "changed": [], "rows": 1, "waiting": 0}
    assert not tables.measurement_rows()
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"silver/measurements/month={month}/")["Contents"]
    assert [entry["Key"][-18:] for entry in listed] == [f"{month}-01.parquet"]
    tables.query("DELETE FROM archive.months")


def test_process_acknowledges_s3_s_test_event(start: Start, s3_endpoint: str, tables: SilverInPostgres) -> None:
    process = start("ProcessFunction", BronzeEndpointUrl=s3_endpoint, **database_parameters(tables.server))

    assert process.succeed(sample("s3-test-event")) == {"batchItemFailures": []}

    assert not tables.receipt_rows()


def test_process_handles_a_batch_larger_than_the_local_stack_delivers(
    start: Start, s3: "S3Client", s3_endpoint: str, tables: SilverInPostgres
) -> None:
    # GIVEN five hundred objects, every tenth without data, and none where the last message points
    identifiers = raw_ids(500)
    started = datetime(2024, 1, 1, tzinfo=UTC)

    def put(number: int) -> None:
        instant = started + timedelta(seconds=number)
        body = {"time_stamp": instant.isoformat(), "data": [number] if number % 10 else []}
        s3.put_object(Bucket=BUCKET, Key=object_key(identifiers[number]), Body=json.dumps(body).encode())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(len(identifiers))))
    lost = raw_id()
    event = sqs_event([s3_event(identifier, bucket=BUCKET) for identifier in [*identifiers, lost]])
    process = start("ProcessFunction", BronzeEndpointUrl=s3_endpoint, **database_parameters(tables.server))

    # WHEN one call gets them all, twice
    answers = [process.succeed(event) for _ in range(2)]

    # THEN each has its outcome, once, and the lost one is returned each time
    assert answers == [{"batchItemFailures": [{"itemIdentifier": "message-500"}]}] * 2
    assert {identifier for identifier, receipt in tables.receipt_rows().items() if receipt.complete} == set(identifiers)
    measured = {instant: row.measurement.aggregates.mean for (instant, _), row in tables.measurement_rows().items()}
    assert measured == {started + timedelta(seconds=number): number for number in range(500) if number % 10}
    assert sum(bool(outcome.violations) for outcome in tables.outcome_rows().values()) == 50


def test_sweep_on_request(start: Start, s3: "S3Client", s3_endpoint: str, tables: SilverInPostgres) -> None:
    for body in (payload("good.example"), payload("bad.data.not_numeric")):
        s3.put_object(Bucket=BUCKET, Key=object_key(raw_id()), Body=body)
    sweep = start("SweepFunction", BronzeEndpointUrl=s3_endpoint, **database_parameters(tables.server))

    answers = [sweep.succeed(sample("api-process")) for _ in range(2)]

    assert [answer["statusCode"] for answer in answers] == [200, 200]
    assert [body_of(answer) for answer in answers] == [
        {"checked": 2, "processed": 1, "failed": 1},
        {"checked": 0, "processed": 0, "failed": 0},
    ]
    assert [*tables.measurement_rows()] == [(EXAMPLE_INSTANT, "")]


def test_sweep_on_schedule_leaves_young_objects_to_the_queue(
    start: Start, s3: "S3Client", s3_endpoint: str, tables: SilverInPostgres
) -> None:
    old, young = raw_id(timedelta(hours=1)), raw_id()
    for identifier in (old, young):
        s3.put_object(Bucket=BUCKET, Key=object_key(identifier), Body=EXAMPLE)
    sweep = start("SweepFunction", BronzeEndpointUrl=s3_endpoint, **database_parameters(tables.server))

    counts = sweep.succeed(sample("schedule"))

    assert counts == {"checked": 1, "processed": 1, "failed": 0}
    assert [row.raw_id for row in tables.measurement_rows().values()] == [old]


def test_query_reports_a_waiting_event(
    start: Start, s3: "S3Client", s3_endpoint: str, tables: SilverInPostgres
) -> None:
    identifier = raw_id()
    s3.put_object(Bucket=BUCKET, Key=object_key(identifier), Body=EXAMPLE)
    query = start("QueryFunction", BronzeEndpointUrl=s3_endpoint, **database_parameters(tables.server))
    event = api_event(
        "api-health", "GET", f"/ingest/{identifier}", resource="/ingest/{id}", pathParameters={"id": identifier}
    )

    answer = query.succeed(json.loads(json.dumps(event, default=str)))

    assert answer["statusCode"] == 200, answer
    assert (body_of(answer)["raw_id"], body_of(answer)["status"]) == (str(identifier), "accepted")


def test_web_is_well_and_touches_nothing(start: Start) -> None:
    answer = start("WebFunction").succeed(sample("api-health"))

    assert answer["statusCode"] == 200
    assert body_of(answer) == {"status": "ok"}


@pytest.mark.parametrize(("page", "folder"), [("/", "page"), ("/docs", "docs")])
def test_web_carries_what_its_pages_load(start: Start, page: str, folder: str) -> None:
    web = start("WebFunction")
    html = web.succeed(api_event("api-health", "GET", page, resource=page))["body"]
    assets = re.findall(rf'"{folder}/([^"]+)"', html)
    assert len(assets) >= 3

    for asset in assets:
        path = f"/{folder}/{asset}"
        event = api_event("api-health", "GET", path, resource=f"/{folder}/{{asset}}", pathParameters={"asset": asset})
        answer = web.succeed(event)

        assert answer["statusCode"] == 200, answer
        assert len(answer["body"]) > 20


def test_migrate_creates_updates_and_leaves_the_data_of_a_deleted_stack(start: Start, empty_postgres: Postgres) -> None:
    created = sample("custom-resource-create")
    with empty_database(empty_postgres) as database, cloudformation() as answers:
        migrate = start("MigrateFunction", **database_parameters(empty_postgres, database))
        for request_type in ("Create", "Update", "Delete"):
            migrate.succeed(created | {"ResponseURL": answers.url, "RequestType": request_type})

        assert [answer["Status"] for answer in answers.received] == ["SUCCESS"] * 3
        assert [answer.get("Data", {}).get("Revision") for answer in answers.received] == [head(), head(), None]
        assert {answer["RequestId"] for answer in answers.received} == {created["RequestId"]}
        with empty_postgres.connect(database) as connection:
            tables = {name for [name] in connection.run("SELECT tablename::text FROM pg_tables")}
        assert {"receipts", "outcomes", "measurements"} <= tables


def test_migrate_reports_its_failure_to_cloudformation(start: Start, empty_postgres: Postgres) -> None:
    migrate = start("MigrateFunction", **database_parameters(empty_postgres, "nowhere"))

    with cloudformation() as answers:
        migrate.succeed(sample("custom-resource-create") | {"ResponseURL": answers.url})

    [answer] = answers.received
    assert answer["Status"] == "FAILED"
    assert "nowhere" in answer["Reason"]
