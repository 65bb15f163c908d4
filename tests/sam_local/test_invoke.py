"""`sam local invoke` with the sample events."""

import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from artefact.samples import BUCKET, keys_of_batch, payload, sample
from dropzone.domain.identifiers import object_key, raw_id_of
from dropzone.domain.outcomes import Code
from dropzone_local.postgres import Postgres
from dropzone_migrate.migrations import head
from sam_local.sam import SamLocal
from support.factories import EXAMPLE, EXAMPLE_INSTANT, raw_id
from support.postgres import SilverInPostgres
from support.tls import TlsDoor

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def test_the_custom_resource_migrates_and_answers(
    migration: dict[str, object], server: Postgres, door: TlsDoor
) -> None:
    assert (migration["Status"], migration["Data"]) == ("SUCCESS", {"Revision": head()}), migration
    assert door.opened > 0
    with server.connect() as connection:
        tables = {name for [name] in connection.run("SELECT tablename::text FROM pg_tables")}
    assert {"receipts", "outcomes", "measurements"} <= tables


def test_the_api_s_request_is_stored(sam: SamLocal, s3: "S3Client") -> None:
    answer = sam.invoke("IngestFunction", sample("api-ingest"))

    assert answer["statusCode"] == 202, answer
    raw_id = json.loads(base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"])["raw_id"]
    assert s3.get_object(Bucket=BUCKET, Key=object_key(UUID(raw_id)))["Body"].read() == EXAMPLE


def test_the_batch_s_good_and_bad_objects_are_processed_and_the_missing_returned(
    sam: SamLocal, s3: "S3Client", tables: SilverInPostgres
) -> None:
    good, bad, _ = keys_of_batch()
    s3.put_object(Bucket=BUCKET, Key=good, Body=payload("good.example"))
    s3.put_object(Bucket=BUCKET, Key=bad, Body=payload("bad.data.empty"))

    answer = sam.invoke("ProcessFunction", sample("sqs-batch"))

    assert answer == {"batchItemFailures": [{"itemIdentifier": sample("sqs-batch")["Records"][2]["messageId"]}]}
    assert {key: row.raw_id for key, row in tables.measurement_rows().items()} == {
        (EXAMPLE_INSTANT, ""): raw_id_of(good)
    }
    codes = {
        identifier: [violation.code for violation in outcome.violations]
        for (identifier, _), outcome in tables.outcome_rows().items()
    }
    assert codes == {raw_id_of(good): [], raw_id_of(bad): [Code.DATA_EMPTY]}


def test_a_bare_event_of_s3_is_processed(sam: SamLocal, s3: "S3Client", tables: SilverInPostgres) -> None:
    event = sample("s3-object-created")
    key = event["Records"][0]["s3"]["object"]["key"]
    s3.put_object(Bucket=BUCKET, Key=key, Body=EXAMPLE)

    assert sam.invoke("ProcessFunction", event) == {}

    assert [row.raw_id for row in tables.measurement_rows().values()] == [raw_id_of(key)]


def test_the_schedule_sweeps(sam: SamLocal, s3: "S3Client", tables: SilverInPostgres) -> None:
    forgotten = raw_id(timedelta(hours=1))
    s3.put_object(Bucket=BUCKET, Key=object_key(forgotten), Body=EXAMPLE)

    assert sam.invoke("SweepFunction", sample("schedule")) == {"checked": 1, "processed": 1, "failed": 0}

    assert [row.raw_id for row in tables.measurement_rows().values()] == [forgotten]


def test_a_server_whose_authority_is_not_trusted_gets_no_password(
    sam: SamLocal, s3: "S3Client", tables: SilverInPostgres
) -> None:
    event = sample("s3-object-created")
    s3.put_object(Bucket=BUCKET, Key=event["Records"][0]["s3"]["object"]["key"], Body=EXAMPLE)

    answer = sam.invoke("ProcessFunction", event, DatabaseCaFile="")

    assert answer["errorType"] == "ConnectionBrokenError"
    assert "CERTIFICATE_VERIFY_FAILED" in answer["errorMessage"]
    assert not tables.receipt_rows()
