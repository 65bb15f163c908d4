"""IAM is enforced: what each function may do, and what it may not, by the credentials that the function itself has."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from dropzone.domain.identifiers import new_raw_id, object_key
from dropzone_local.deployment import STACK_NAME
from dropzone_local.environment import REGION
from e2e.client import EXAMPLE, Client

DENIED = {"AccessDenied", "AccessDeniedException", "403"}
VERSION = "2012-10-17"

Session = boto3.session.Session


@pytest.fixture(scope="module")
def sessions(client: Client) -> dict[str, Session]:
    """Each function's own credentials, taken from its process, which runs since it was called."""
    raw_id = client.ingest(EXAMPLE)
    client.outcome(raw_id)
    client.process(limit=1)
    for path in (f"/ingest/{raw_id}", "/health"):
        assert client.request("GET", path).status_code == 200
    begun = client.clients.lambda_().invoke(
        FunctionName=client.endpoints.replay_function,
        Payload=json.dumps({"action": "begin", "since": "2001-01-01T00:00:00Z", "dry_run": True}).encode(),
    )
    said = begun["Payload"].read()
    assert not begun.get("FunctionError"), said
    functions = {
        entry["PhysicalResourceId"]: entry["LogicalResourceId"]
        for page in client.clients.cloudformation().get_paginator("list_stack_resources").paginate(StackName=STACK_NAME)
        for entry in page["StackResourceSummaries"]
        if entry["ResourceType"] == "AWS::Lambda::Function" and "PhysicalResourceId" in entry
    }
    archive = next(name for name, resource in functions.items() if resource == "ArchiveFunction")
    archived = client.clients.lambda_().invoke(FunctionName=archive, Payload=b"{}")
    assert not archived.get("FunctionError"), archived["Payload"].read()
    found: dict[str, Session] = {}
    for process in client.stack.emulator.service.processes():
        environment = _environment(process)
        if environment.get("AWS_LAMBDA_FUNCTION_NAME") in functions:
            found[functions[environment["AWS_LAMBDA_FUNCTION_NAME"]]] = boto3.session.Session(
                environment["AWS_ACCESS_KEY_ID"],
                environment["AWS_SECRET_ACCESS_KEY"],
                environment["AWS_SESSION_TOKEN"],
                REGION,
            )
    assert found.keys() >= {
        f"{name}Function" for name in ("Ingest", "Process", "Sweep", "Query", "Web", "Replay", "Archive")
    }
    return found


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


@pytest.fixture
def act(client: Client, sessions: dict[str, Session]) -> Callable[..., str]:
    """Call AWS as a function, and return how that ended: "" or the error's code."""

    def called(function: str, service: str, operation: str, **parameters: object) -> str:
        aws = sessions[function].client(service, endpoint_url=client.endpoints.emulator_url)  # type: ignore[call-overload] # it knows literals alone
        try:
            getattr(aws, operation)(**parameters)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return ""

    return called


@pytest.fixture
def bucket(client: Client) -> str:
    return client.endpoints.bucket


def missing() -> str:
    return object_key(new_raw_id())


@pytest.mark.parametrize("function", ["ProcessFunction", "SweepFunction", "ReplayFunction", "QueryFunction"])
def test_readers_read_raw_objects_and_write_nothing(
    client: Client, act: Callable[..., str], bucket: str, function: str
) -> None:
    key = object_key(client.ingest(EXAMPLE))
    assert act(function, "s3", "get_object", Bucket=bucket, Key=key) == ""
    assert act(function, "s3", "list_objects_v2", Bucket=bucket, Prefix="raw/") == ""
    assert act(function, "s3", "get_object", Bucket=bucket, Key=missing()) == "NoSuchKey"
    for denied in (
        act(function, "s3", "put_object", Bucket=bucket, Key=missing(), Body=b"{}"),
        act(function, "s3", "delete_object", Bucket=bucket, Key=key),
        act(function, "s3", "list_objects_v2", Bucket=bucket, Prefix="idempotency/"),
        act(function, "s3", "get_object", Bucket=bucket, Key="idempotency/a"),
        act(function, "s3", "put_bucket_versioning", Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}),
    ):
        assert denied in DENIED


def test_ingest_writes_raw_objects_and_reads_none(act: Callable[..., str], bucket: str) -> None:
    key, record = missing(), f"idempotency/{uuid4().hex}"
    assert act("IngestFunction", "s3", "put_object", Bucket=bucket, Key=key, Body=EXAMPLE, IfNoneMatch="*") == ""
    assert act("IngestFunction", "s3", "list_objects_v2", Bucket=bucket, Prefix="raw/") == ""
    assert act("IngestFunction", "s3", "get_object", Bucket=bucket, Key=record) == "NoSuchKey"
    assert act("IngestFunction", "s3", "put_object", Bucket=bucket, Key=record, Body=b"{}") == ""
    assert act("IngestFunction", "s3", "get_object", Bucket=bucket, Key=record) == ""
    for denied in (
        act("IngestFunction", "s3", "get_object", Bucket=bucket, Key=key),
        act("IngestFunction", "s3", "delete_object", Bucket=bucket, Key=key),
        act("IngestFunction", "s3", "delete_object", Bucket=bucket, Key=record),
        act("IngestFunction", "s3", "put_object", Bucket=bucket, Key="elsewhere", Body=b"{}"),
        act("IngestFunction", "s3", "list_objects_v2", Bucket=bucket, Prefix="idempotency/"),
    ):
        assert denied in DENIED


def test_archive_writes_its_files_and_reads_nothing_else(client: Client, act: Callable[..., str], bucket: str) -> None:
    key, raw = "silver/measurements/month=1900-01/1900-01-01.parquet", object_key(client.ingest(EXAMPLE))
    assert act("ArchiveFunction", "s3", "put_object", Bucket=bucket, Key=key, Body=b"") == ""
    assert act("ArchiveFunction", "s3", "get_object", Bucket=bucket, Key=key) == ""
    for denied in (
        act("ArchiveFunction", "s3", "delete_object", Bucket=bucket, Key=key),
        act("ArchiveFunction", "s3", "get_object", Bucket=bucket, Key=raw),
        act("ArchiveFunction", "s3", "put_object", Bucket=bucket, Key=missing(), Body=b"{}"),
        act("SweepFunction", "s3", "put_object", Bucket=bucket, Key=key, Body=b""),
    ):
        assert denied in DENIED


def test_a_missing_object_is_no_failure(client: Client) -> None:
    # S3 answers 403 for it to who may not list the bucket.
    assert client.request("GET", f"/ingest/{new_raw_id()}/raw").status_code == 404


def test_the_queue_is_read_by_process_alone_and_written_by_no_function(
    client: Client, act: Callable[..., str], sessions: dict[str, Session]
) -> None:
    queue, dlq = client.endpoints.queue_url, client.endpoints.dlq_url
    for function in sessions:
        peeked = act(function, "sqs", "get_queue_attributes", QueueUrl=queue, AttributeNames=["QueueArn"])
        assert peeked == "" if function == "ProcessFunction" else peeked in DENIED
        for url in (queue, dlq):
            assert act(function, "sqs", "send_message", QueueUrl=url, MessageBody="x") in DENIED
        assert act(function, "sqs", "receive_message", QueueUrl=dlq) in DENIED


def test_web_may_do_nothing(client: Client, act: Callable[..., str], bucket: str) -> None:
    key = object_key(client.ingest(EXAMPLE))
    for denied in (
        act("WebFunction", "s3", "get_object", Bucket=bucket, Key=key),
        act("WebFunction", "s3", "list_objects_v2", Bucket=bucket, Prefix="raw/"),
        act("WebFunction", "s3", "put_object", Bucket=bucket, Key=missing(), Body=b"{}"),
    ):
        assert denied in DENIED


def test_no_function_manages_the_account(act: Callable[..., str], sessions: dict[str, Session]) -> None:
    for function in sessions:
        assert act(function, "lambda", "list_functions") in DENIED
        assert act(function, "iam", "list_roles") in DENIED
        assert act(function, "cloudformation", "describe_stacks") in DENIED
        assert act(function, "apigateway", "get_api_keys") in DENIED
        assert act(function, "secretsmanager", "list_secrets") in DENIED


@pytest.fixture
def administrator(client: Client) -> Iterator[Session]:
    """Somebody who may do everything, as far as their own policies go."""
    iam = boto3.client(
        "iam",
        endpoint_url=client.endpoints.emulator_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the account's root here
    )
    name = f"administrator-{uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    policy = {"Version": VERSION, "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName=name, PolicyName="everything", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    yield boto3.session.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=name, PolicyName="everything")
    iam.delete_user(UserName=name)


def test_an_administrator_writes_no_raw_object(client: Client, administrator: Session, bucket: str) -> None:
    s3 = administrator.client("s3", endpoint_url=client.endpoints.emulator_url)
    key = object_key(client.ingest(EXAMPLE))
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == EXAMPLE
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"{}")


def test_another_bucket_cannot_notify_the_queue(client: Client, administrator: Session) -> None:
    s3 = administrator.client("s3", endpoint_url=client.endpoints.emulator_url)
    sqs = administrator.client("sqs", endpoint_url=client.endpoints.emulator_url)
    queue = sqs.get_queue_attributes(QueueUrl=client.endpoints.queue_url, AttributeNames=["QueueArn"])
    other = f"another-bucket-{uuid4()}"
    s3.create_bucket(Bucket=other)
    to_the_queue: Any = {"QueueArn": queue["Attributes"]["QueueArn"], "Events": ["s3:ObjectCreated:*"]}
    with pytest.raises(ClientError, match="Unable to validate"):
        s3.put_bucket_notification_configuration(
            Bucket=other, NotificationConfiguration={"QueueConfigurations": [to_the_queue]}
        )
    s3.delete_bucket(Bucket=other)


def test_nobody_takes_a_function_s_role(client: Client, administrator: Session) -> None:
    endpoint = client.endpoints.emulator_url
    [arn] = [
        role["Arn"]
        for role in administrator.client("iam", endpoint_url=endpoint).list_roles()["Roles"]
        if "IngestFunctionRole" in role["RoleName"]
    ]
    with pytest.raises(ClientError, match="AccessDenied"):
        administrator.client("sts", endpoint_url=endpoint).assume_role(RoleArn=arn, RoleSessionName="me")


def test_a_stranger_is_nobody(client: Client, bucket: str) -> None:
    s3 = boto3.client(
        "s3",
        endpoint_url=client.endpoints.emulator_url,
        region_name=REGION,
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="nobody",  # noqa: S106 - no secret of anybody
    )
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        s3.list_objects_v2(Bucket=bucket)
