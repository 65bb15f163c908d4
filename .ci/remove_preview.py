"""Delete a preview's stack, and what it leaves on purpose: the bucket with every version, and the database's snapshots.

`remove_preview.py STACK`, with credentials and a region in the environment. It can be run again.
"""

import re
import sys

import boto3
from botocore.exceptions import ClientError

_PREVIEW = re.compile(r"dropzone-pr-[0-9]+")


def main(stack: str) -> None:
    """Delete all of it."""
    if not _PREVIEW.fullmatch(stack):
        message = f"{stack} is no preview: those are named dropzone-pr-NUMBER."
        raise SystemExit(message)
    _delete_stack(stack)
    account = boto3.client("sts").get_caller_identity()["Account"]
    _delete_bucket(f"{stack}-bronze-{account}-{boto3.session.Session().region_name}")
    _delete_snapshots(stack)


def _delete_stack(stack: str) -> None:
    client = boto3.client("cloudformation")
    client.delete_stack(StackName=stack)
    waiter = client.get_waiter("stack_delete_complete")
    waiter.wait(StackName=stack, WaiterConfig={"Delay": 15, "MaxAttempts": 180})


def _delete_bucket(name: str) -> None:
    client = boto3.client("s3")
    try:
        for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if found:
                objects = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in found]
                client.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
        client.delete_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise


def _delete_snapshots(stack: str) -> None:
    client = boto3.client("rds")
    for page in client.get_paginator("describe_db_snapshots").paginate(SnapshotType="manual"):
        for snapshot in page["DBSnapshots"]:
            if snapshot["DBInstanceIdentifier"].startswith(f"{stack}-"):
                client.delete_db_snapshot(DBSnapshotIdentifier=snapshot["DBSnapshotIdentifier"])


if __name__ == "__main__":
    main(*sys.argv[1:])
