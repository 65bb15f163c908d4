"""Notifications on a running stack: from the outbox to the receivers, on each channel."""

import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from dropzone.domain.notifications import Change
from dropzone_local.deployment import STACK_NAME
from dropzone_local.polling import wait_until
from e2e.client import Client
from e2e.conftest import TOPIC_ARN, WEBHOOK_SECRET_ARN
from support.documents import PROJECT
from support.http_server import Request, serving

SCHEDULE = (PROJECT / "events" / "schedule.json").read_bytes()
KEY = b"0123456789abcdef0123456789abcdef"


@dataclass(slots=True)
class Receivers:
    """The receivers: the targets of a rule and of a topic, and a webhook."""

    client: Client
    queues: dict[str, str]
    got: dict[str, list[Any]] = field(default_factory=lambda: {"events": [], "topic": [], "webhook": []})

    def about(self, source: str) -> dict[str, list[Any]]:
        """What each has got so far about a source."""
        sqs = self.client.clients.sqs()
        for name, url in self.queues.items():
            found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
            self.got[name] += [json.loads(message["Body"]) for message in found.get("Messages", [])]
        return {name: [each for each in got if source in str(each)] for name, got in self.got.items()}


@pytest.fixture
def receivers(client: Client) -> Iterator[Receivers]:
    sqs = client.clients.sqs()
    events: Any = client.clients.of("events")
    sns: Any = client.clients.of("sns")
    secrets: Any = client.clients.of("secretsmanager")
    made = Receivers(client, {})
    rule = f"receiver-{uuid4()}"

    class Webhook(Request):
        def respond(self) -> None:
            made.got["webhook"].append((dict(self.headers.items()), self.body()))
            self.answer(204)

    arns = {}
    for name in ("events", "topic"):
        url = made.queues[name] = sqs.create_queue(QueueName=f"{name}-{uuid4()}")["QueueUrl"]
        arns[name] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arns["topic"],
            "Condition": {"ArnEquals": {"aws:SourceArn": TOPIC_ARN}},
        },
    }
    sqs.set_queue_attributes(QueueUrl=made.queues["topic"], Attributes={"Policy": json.dumps(policy)})
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": ["dropzone"]}))
    events.put_targets(Rule=rule, Targets=[{"Id": "receiver", "Arn": arns["events"]}])
    assert sns.create_topic(Name=TOPIC_ARN.rpartition(":")[2])["TopicArn"] == TOPIC_ARN
    sns.subscribe(TopicArn=TOPIC_ARN, Protocol="sqs", Endpoint=arns["topic"])
    with serving(Webhook) as url:
        secret = {"url": f"{url}/hook", "key": f"whsec_{b64encode(KEY).decode()}"}
        secrets.create_secret(Name=WEBHOOK_SECRET_ARN.rpartition(":")[2], SecretString=json.dumps(secret))
        yield made
    secrets.delete_secret(SecretId=WEBHOOK_SECRET_ARN, ForceDeleteWithoutRecovery=True)
    sns.delete_topic(TopicArn=TOPIC_ARN)
    events.remove_targets(Rule=rule, Ids=["receiver"])
    events.delete_rule(Name=rule)
    for url in made.queues.values():
        sqs.delete_queue(QueueUrl=url)


def test_a_change_is_reported_once_on_each_channel(client: Client, receivers: Receivers) -> None:
    # GIVEN a change that a check of expectations has written
    source = f"hall-{uuid4()}"
    change: dict[str, Any] = {
        "source": source,
        "expectation": "silent",
        "is_broken": True,
        "contract": "default@1.0.0",
        "at": "2026-11-29T02:00:00Z",
        "since": "2026-11-29T01:00:00Z",
        "observed": 3_600,
        "expected": 60,
    }
    client.query(
        "INSERT INTO gold.notification (changes) VALUES (CAST(:changes AS jsonb))", changes=json.dumps([change])
    )

    # WHEN the scheduled sweep runs
    [sweep] = client.clients.cloudformation().describe_stack_resources(
        StackName=STACK_NAME, LogicalResourceId="SweepFunction"
    )["StackResources"]
    client.clients.lambda_().invoke(FunctionName=sweep["PhysicalResourceId"], Payload=SCHEDULE)

    # THEN each receiver has it once
    assert wait_until(lambda: all(receivers.about(source).values()) or None, seconds=90, every=0.5), receivers.got
    got = receivers.about(source)
    [event], [message], [(headers, body)] = got["events"], got["topic"], got["webhook"]
    assert (event["source"], event["detail-type"]) == ("dropzone", "Source Expectation Broken")
    known = {name: value for name, value in event["detail"].items() if name != "text"}
    text = Change.model_validate(known).text
    assert event["detail"]["text"] == text
    assert (message["TopicArn"], message["Message"]) == (TOPIC_ARN, text)
    assert json.loads(body)["data"]["changes"] == [event["detail"]]

    # AND the webhook's is signed
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    assert b64decode(headers["webhook-signature"].removeprefix("v1,")) == hmac.digest(KEY, signed, hashlib.sha256)

    # AND the outbox has it no longer
    left = client.query(
        "SELECT count(*) FROM gold.notification WHERE changes @> CAST(:one AS jsonb)",
        one=json.dumps([{"source": source}]),
    )
    assert left == [[0]]
