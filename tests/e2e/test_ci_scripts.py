"""What the workflows run beside make: the look at a stack that was deployed, and the removal of a preview."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dropzone_local.deployment import STACK_NAME
from dropzone_local.emulator import ACCOUNT
from dropzone_local.environment import REGION, tool_environment
from e2e.client import Client

PROJECT = Path(__file__).parents[2]
PREVIEW = "dropzone-pr-7"
BUCKET = f"{PREVIEW}-bronze-{ACCOUNT}-{REGION}"
OTHER = "dropzone-pr-77-silver"
TEMPLATE = {
    "Resources": {
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "DeletionPolicy": "Retain",
            "Properties": {"BucketName": BUCKET, "VersioningConfiguration": {"Status": "Enabled"}},
        }
    }
}


def remove(client: Client, stack: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, str(PROJECT / ".ci" / "remove_preview.py"), stack],
        env=tool_environment(client.endpoints.emulator_url),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def preview(client: Client) -> Iterator[str]:
    """A stack that leaves a bucket, with versions of objects in it, and snapshots of its database and of another."""
    cloudformation, s3 = client.clients.cloudformation(), client.clients.s3()
    cloudformation.create_stack(StackName=PREVIEW, TemplateBody=json.dumps(TEMPLATE))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=PREVIEW, WaiterConfig={"Delay": 1})
    for _ in range(2):
        s3.put_object(Bucket=BUCKET, Key="raw/a", Body=b"a")
    s3.delete_object(Bucket=BUCKET, Key="raw/a")
    rds: Any = client.clients.of("rds")
    for database in (f"{PREVIEW}-silver", OTHER):
        rds.create_db_instance(DBInstanceIdentifier=database, DBInstanceClass="db.t4g.micro", Engine="postgres")
        rds.create_db_snapshot(DBInstanceIdentifier=database, DBSnapshotIdentifier=f"{database}-last")
        rds.delete_db_instance(DBInstanceIdentifier=database, SkipFinalSnapshot=True)
    yield PREVIEW
    rds.delete_db_snapshot(DBSnapshotIdentifier=f"{OTHER}-last")


def test_a_preview_is_removed_with_all_that_it_leaves(client: Client, preview: str) -> None:
    removed = remove(client, preview)

    assert removed.returncode == 0, removed.stderr
    with pytest.raises(ClientError, match="does not exist"):
        client.clients.cloudformation().describe_stacks(StackName=preview)
    with pytest.raises(ClientError, match="404"):
        client.clients.s3().head_bucket(Bucket=BUCKET)
    snapshots: Any = client.clients.of("rds")
    assert [entry["DBInstanceIdentifier"] for entry in snapshots.describe_db_snapshots()["DBSnapshots"]] == [OTHER]
    # AND again, and nothing else went
    assert remove(client, preview).returncode == 0
    assert client.request("GET", "/health").status_code == 200


def test_nothing_but_a_preview_is_removed(client: Client) -> None:
    for stack in (STACK_NAME, "dropzone-dev", "dropzone-pr-7-prod", "dropzone-pr-"):
        refused = remove(client, stack)
        assert refused.returncode == 1
        assert "is no preview" in refused.stderr
    assert client.request("GET", "/health").status_code == 200


def test_the_look_at_a_stack_sends_an_event_and_sees_its_row(client: Client) -> None:
    environment = {"DROPZONE_URL": client.endpoints.url, "DROPZONE_API_KEY": client.endpoints.api_key, "SEND": "true"}
    looked = subprocess.run(  # noqa: S603
        [str(PROJECT / ".ci" / "smoke")],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )

    assert looked.returncode == 0, looked.stdout + looked.stderr
    assert client.query("SELECT mean, sample_count FROM measurements WHERE source = 'smoke-test'") == [[1.0, 2]]
