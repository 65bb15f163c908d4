"""`sam local start-api`."""

import subprocess
from typing import TYPE_CHECKING
from uuid import UUID

import httpx

from artefact.samples import BUCKET, payload
from dropzone.domain.identifiers import object_key
from sam_local.sam import SamLocal

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BODY = b'{"data" : [0, 2],\r\n "time_stamp": "2019-05-01T06:00:00-04:00", "note": "\xc3\xa4"}'


def test_the_api_takes_an_event_in_and_ends_with_its_containers(sam: SamLocal, s3: "S3Client") -> None:
    with sam.api() as (url, service), httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        accepted = client.post("/ingest", content=BODY, headers={"content-type": "application/json"})
        refused = client.post("/ingest", content=payload("bad.payload.not_json"))

        processes = service.processes()

    assert accepted.status_code == 202, accepted.text
    raw_id = accepted.json()["raw_id"]
    assert accepted.headers["Location"] == f"ingest/{raw_id}"
    assert s3.get_object(Bucket=BUCKET, Key=object_key(UUID(raw_id)))["Body"].read() == BODY
    assert (refused.status_code, refused.headers["Content-Type"]) == (400, "application/problem+json")
    assert not [process for process in processes if process.is_running()]
    running = subprocess.run(["docker", "ps", "--quiet"], capture_output=True, text=True, check=True)  # noqa: S607
    assert running.stdout == ""
