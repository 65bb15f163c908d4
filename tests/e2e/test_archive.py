"""Closed months on the real stack: archived, read by another library, brought back by a late event and on request."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest

from dropzone.domain.identifiers import earliest_raw_id
from dropzone_local.deployment import STACK_NAME
from e2e.client import Client
from e2e.fleet import dropzone, ended

MONTH = "1985-05"
"""Of no other test."""
KPIS = f"/kpis?granularity=day&from={MONTH}-01&to={MONTH}-31&source=archived"
ROWS = (
    "SELECT CAST(1000000 * extract(epoch FROM measured_at) AS bigint), source, mean, std_dev, sample_count, min, max,"
    " unit, CAST(tags AS text), flags, CAST(raw_id AS text), item FROM measurements"
    " WHERE measured_at >= '1985-05-01Z' AND measured_at < '1985-06-01Z' ORDER BY 1, 2"
)
READ = (
    "SELECT epoch_us(measured_at), source, mean, std_dev, sample_count, min, max, unit, tags, flags, raw_id, item"
    " FROM '{}/*.parquet' ORDER BY 1, 2"
)


def event(day: int, *data: float, source: str = "archived") -> bytes:
    return json.dumps(
        {
            "schema_version": 2,
            "source": source,
            "time_stamp": f"{MONTH}-{day:02}T12:00:00Z",
            "data": data,
            "tags": {"site": "north"},
        }
    ).encode()


class Archive:
    """The function, as the schedule calls it, with months of its own."""

    def __init__(self, client: Client) -> None:
        self.client, self.functions = client, client.clients.lambda_()
        pages = client.clients.cloudformation().get_paginator("list_stack_resources").paginate(StackName=STACK_NAME)
        [self.name] = [
            entry["PhysicalResourceId"]
            for page in pages
            for entry in page["StackResourceSummaries"]
            if entry["LogicalResourceId"] == "ArchiveFunction"
        ]

    def keep(self, months: int) -> None:
        known = self.functions.get_function_configuration(FunctionName=self.name)["Environment"]["Variables"]
        self.functions.update_function_configuration(
            FunctionName=self.name, Environment={"Variables": known | {"SILVER_MONTHS": str(months)}}
        )

    def run(self) -> Any:  # noqa: ANN401 - JSON
        answer = self.functions.invoke(FunctionName=self.name, Payload=b"{}")
        said = answer["Payload"].read()
        assert not answer.get("FunctionError"), said
        return json.loads(said)

    def refresh_gold(self) -> None:
        for kind in ("measured", "arrived"):
            self.client.query(f"UPDATE gold.{kind}_stale SET marked_at = marked_at - interval '1 hour'")  # noqa: S608 - our own words
        while self.client.query("SELECT gold.refresh(10000000)") != [[0]]:
            pass

    def download(self, folder: Path) -> Path:
        s3, bucket = self.client.clients.s3(), self.client.endpoints.bucket
        for entry in s3.list_objects_v2(Bucket=bucket, Prefix=f"silver/measurements/month={MONTH}/")["Contents"]:
            (folder / Path(entry["Key"]).name).write_bytes(
                s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            )
        return folder


@pytest.fixture
def archive(client: Client) -> Iterator[Archive]:
    archive, now = Archive(client), datetime.now(UTC)
    # Months before 1986.
    archive.keep(12 * (now.year - 1986) + now.month)
    yield archive
    archive.keep(0)


def test_a_month_goes_to_files_and_comes_back_with_a_late_event(
    client: Client, archive: Archive, tmp_path: Path
) -> None:
    raw_ids = [client.ingest(event(day, day, 2 * day)) for day in (1, 2, 31)]
    for raw_id in raw_ids:
        client.outcome(raw_id)
    archive.refresh_gold()
    kpis, rows = client.request("GET", KPIS).json(), client.query(ROWS)
    statuses = [client.request("GET", f"/ingest/{raw_id}").json() for raw_id in raw_ids]
    assert len(rows) == len(kpis["kpis"]) == 3

    assert MONTH in archive.run()["archived"]

    assert client.query(ROWS) == []
    assert client.request("GET", KPIS).json() == kpis
    assert [client.request("GET", f"/ingest/{raw_id}").json() for raw_id in raw_ids] == statuses
    listed = client.request("GET", f"/measurements?from={MONTH}-01&to={MONTH}-31")
    assert listed.json() == {"measurements": [], "archived": [MONTH]}
    assert client.request("GET", f"/measurements/{MONTH}-01T12:00:00Z").status_code == 410
    read = duckdb.execute(READ.format(archive.download(tmp_path))).fetchall()
    assert read == [tuple(row) for row in rows]

    client.outcome(client.ingest(event(2, 100, source="archived-late")))
    archive.keep(0)

    assert archive.run()["reinstated"] == [MONTH]
    assert len(client.query(ROWS)) == 4
    archive.refresh_gold()
    assert client.request("GET", KPIS).json() == kpis
    late = client.request("GET", KPIS + "-late").json()["kpis"]
    assert [bucket["mean"] for bucket in late] == [100.0]


def test_what_arrived_in_a_month_goes_to_files_and_comes_back_on_request(client: Client, archive: Archive) -> None:
    raw_id = UUID(int=earliest_raw_id(datetime(1985, 6, 10, tzinfo=UTC)).int + 1)
    body = event(20, 1, 3, source="archived-arrival").replace(MONTH.encode(), b"1984-05")
    client.clients.s3().put_object(Bucket=client.endpoints.bucket, Key=f"raw/{raw_id}.json", Body=body)
    client.outcome(raw_id)
    swept = earliest_raw_id(datetime(1986, 1, 1, tzinfo=UTC))
    client.query(
        "UPDATE sweep SET watermark = CAST(:swept AS uuid) WHERE watermark < CAST(:swept AS uuid)", swept=swept
    )
    archive.refresh_gold()

    def status() -> Any:  # noqa: ANN401 - JSON
        return client.request("GET", f"/ingest/{raw_id}").json()

    before = status()
    assert before["status"] == "processed"

    assert "1985-06 of arrival" in archive.run()["archived"]

    assert status()["status"] == "archived"
    refused = client.request(
        "POST",
        "/process",
        json.dumps({"reprocess": True, "raw_ids": [str(raw_id)]}).encode(),
        content_type="application/json",
    )
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:dropzone:problem:objects-archived")
    assert ended(dropzone(client, "archive", "--restore", "1985-06"), 60) == (
        0,
        {"month": "1985-06", "is_archived": True, "days": 7},
    )
    assert archive.run()["reinstated"] == ["1985-06 of arrival"]
    assert status() == before
