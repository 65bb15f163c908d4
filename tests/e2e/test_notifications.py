"""Notifications on a running stack: from the outbox to a queue that a rule of EventBridge sends to."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest

from dropzone.domain.notifications import Change
from dropzone_local.deployment import STACK_NAME
from dropzone_local.environment import ACCESS_KEY, REGION, SECRET_KEY
from dropzone_local.polling import wait_until
from e2e.client import Client
from support.documents import PROJECT

SCHEDULE = (PROJECT / "events" / "schedule.json").read_bytes()


@pytest.fixture
def received(client: Client) -> Iterator[str]:
    """The address of a queue that gets every event of Dropzone's."""
    sqs = client.clients.sqs()
    events = boto3.client(
        "events",
        endpoint_url=client.endpoints.emulator_url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    name = f"receiver-{uuid4()}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["dropzone"]}))
    events.put_targets(Rule=name, Targets=[{"Id": "receiver", "Arn": arn}])
    yield url
    events.remove_targets(Rule=name, Ids=["receiver"])
    events.delete_rule(Name=name)
    sqs.delete_queue(QueueUrl=url)


def test_a_change_is_told_to_eventbridge_once(client: Client, received: str) -> None:
    # GIVEN a change that a check of expectations has written
    change: dict[str, Any] = {
        "source": f"hall-{uuid4()}",
        "expectation": "silent",
        "is_broken": True,
        "contract": "default@1.0.0",
        "at": "2026-11-29T02:00:00Z",
        "since": "2026-11-29T01:00:00Z",
        "observed": 3_600,
        "expected": 60,
    }
    with client.stack.postgres.connect() as owner:
        owner.run(
            "INSERT INTO gold.notification (changes) VALUES (CAST(:changes AS jsonb))", changes=json.dumps([change])
        )

    # WHEN the scheduled sweep runs
    [sweep] = client.clients.cloudformation().describe_stack_resources(
        StackName=STACK_NAME, LogicalResourceId="SweepFunction"
    )["StackResources"]
    client.clients.lambda_().invoke(FunctionName=sweep["PhysicalResourceId"], Payload=SCHEDULE)
    sqs, got = client.clients.sqs(), list[dict[str, Any]]()

    def arrived() -> bool | None:
        found = sqs.receive_message(QueueUrl=received, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        got.extend(json.loads(message["Body"]) for message in found.get("Messages", []))
        return any(event["detail"]["source"] == change["source"] for event in got) or None

    assert wait_until(arrived, seconds=90, every=0.5)

    # THEN the receiver has it, and the outbox no longer
    [event] = [event for event in got if event["detail"]["source"] == change["source"]]
    assert (event["source"], event["detail-type"]) == ("dropzone", "Source Expectation Broken")
    told = {name: value for name, value in event["detail"].items() if name != "text"}
    assert Change.model_validate(told).text == event["detail"]["text"]
    with client.stack.postgres.connect() as owner:
        left = owner.run(
            "SELECT count(*) FROM gold.notification WHERE changes @> CAST(:one AS jsonb)",
            one=json.dumps([{"source": change["source"]}]),
        )
    assert left == [[0]]
