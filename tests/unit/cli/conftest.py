"""A home without settings; stacks to talk to."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dropzone_cli import queue
from unit.cli.harness import API_ID, KEY, LOCAL, REGION, STACK, Cli, FakeApi, Stack

_descriptions: dict[Any, Any] = {}
"""AWS's services are described in megabytes of JSON, which botocore reads again for each session."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests on moto's AWS, which take most of the time."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and "account" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of the user's, a folder without a stack, no waiting for messages."""
    for name in ("URL", "API_KEY", "STACK_NAME", "ROOT", "DEBUG"):
        monkeypatch.delenv(f"DROPZONE_{name}", raising=False)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "DISPLAY", "WAYLAND_DISPLAY", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(queue, "WAIT_SECONDS", 0)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def cli(api: FakeApi) -> Cli:
    return Cli(api)


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A local stack's file; the API behind it is the fake."""
    file = tmp_path / ".local" / "stack.json"
    file.parent.mkdir()
    file.write_text(json.dumps(LOCAL))
    return file


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import botocore.session  # noqa: PLC0415 - only these tests need AWS
    from moto import mock_aws  # noqa: PLC0415

    def create_loader(search_path: str | None = None) -> botocore.loaders.Loader:
        loader = botocore.loaders.create_loader(search_path)
        loader._cache = _descriptions  # type: ignore[attr-defined] # botocore's stubs leave it out
        return loader

    monkeypatch.setattr(botocore.session, "create_loader", create_loader)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield


@cache
def _clients() -> tuple[Any, ...]:
    """The tests' own clients, which outlive the account of a test."""
    import boto3  # noqa: PLC0415

    session = boto3.Session("testing", "testing", region_name=REGION)
    return tuple(session.client(name) for name in ("sqs", "s3", "apigateway", "cloudformation"))


@pytest.fixture
def make_stack(account: None) -> Callable[..., Stack]:  # noqa: ARG001 - moto must be there before
    sqs, s3, apigateway, cloudformation = _clients()

    def make(name: str = STACK, without: str = "", key_value: str = KEY) -> Stack:
        bucket = f"{name}-bronze"
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        key = apigateway.create_api_key(name=f"{name}-first", value=key_value, enabled=True)
        urls = {which: sqs.create_queue(QueueName=f"{name}-{which}")["QueueUrl"] for which in ("queue", "dlq")}
        outputs = {
            "ApiUrl": "https://abc.execute-api.eu-central-1.amazonaws.com/v1",
            "ApiId": API_ID,
            "ApiKeyId": key["id"],
            "BronzeBucketName": bucket,
            "QueueUrl": urls["queue"],
            "DeadLetterQueueUrl": urls["dlq"],
            "ReplayFunctionName": f"{name}-ReplayFunction",
            "ReplayMachineArn": f"arn:aws:states:eu-central-1:123456789012:stateMachine:{name}-replay",
        }
        outputs.pop(without, None)
        template = {
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        }
        cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
        return Stack(sqs, s3, bucket, urls["queue"], urls["dlq"], key["id"])

    return make


@pytest.fixture
def stack(make_stack: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack on AWS that the environment names."""
    monkeypatch.setenv("DROPZONE_STACK_NAME", STACK)
    monkeypatch.setenv("AWS_REGION", REGION)
    return make_stack()
