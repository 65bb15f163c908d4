"""The function Notify: from its queue's messages to EventBridge, SNS and a webhook, up to those who receive them."""

import hashlib
import hmac
import io
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from dropzone.adapters.s3_notifications import S3Notifications
from dropzone.domain.notifications import CHANGES, Change, Channel
from dropzone.settings import BronzeSettings
from dropzone_process import notify
from dropzone_process.events import NotUnderstoodError
from functional.conftest import REGION, MakeBucket
from support.documents import document
from support.factories import change
from support.http_server import Request, serving
from support.lambda_context import Context
from support.traces import assert_no_trace
from unit.template.loading import load_template

NOTIFY_SECONDS = load_template()["Resources"]["NotifyFunction"]["Properties"]["Timeout"]
KEY = b"0123456789abcdef0123456789abcdef"
SECRET_PATH = "/hooks/T0000/SECRETMARKER"  # noqa: S105 - a marker that no log may hold


@dataclass(slots=True)
class Receiver:
    """An endpoint that notes what it is sent, and answers as it should."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    noted = Receiver()

    class Handler(Request):
        def respond(self) -> None:
            noted.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, self.body()))
            status = noted.answers.pop(0) if noted.answers else 204
            self.answer(status, b"", **({"location": "/elsewhere"} if status == 302 else {}))

    with serving(Handler) as url:
        noted.url = url + SECRET_PATH
        yield noted


@dataclass(slots=True)
class World:
    """AWS's services on one server, and the function with what it logs."""

    endpoint: str
    bucket: str
    log: io.StringIO
    topic_arn: str = ""
    secret_arn: str = ""
    queues: dict[str, str] = field(default_factory=dict)

    def client(self, service: Any) -> Any:  # noqa: ANN401 - any of boto3's
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION)

    def put(self, channel: Channel, *changes: Change) -> dict[str, Any]:
        """Write a batch, and return the message about it."""
        batch_id = str(uuid4())
        settings = BronzeSettings(bronze_bucket=self.bucket, aws_region=REGION, bronze_endpoint_url=self.endpoint)
        S3Notifications.of(settings).put(channel, batch_id, CHANGES.dump_json(changes))
        return self.message(f"notifications/{channel}/{batch_id}.json")

    def message(self, key: str) -> dict[str, Any]:
        record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": self.bucket}, "object": {"key": key}}}
        return {"messageId": key, "eventSource": "aws:sqs", "body": json.dumps({"Records": [record]})}

    def received(self, name: str) -> list[dict[str, Any]]:
        """What is in a queue."""
        found = self.client("sqs").receive_message(QueueUrl=self.queues[name], MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in found.get("Messages", [])]


@pytest.fixture
def world(
    moto_endpoint: str, make_bucket: MakeBucket, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    made = World(moto_endpoint, make_bucket(moto_endpoint), io.StringIO())
    sqs, events, sns = made.client("sqs"), made.client("events"), made.client("sns")
    for name in ("events", "topic"):
        made.queues[name] = sqs.create_queue(QueueName=f"{name}-{uuid4()}")["QueueUrl"]
    arns = {
        name: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for name, url in made.queues.items()
    }
    bus = f"plant-{uuid4()}"
    events.create_event_bus(Name=bus)
    events.put_rule(Name="of-dropzone", EventBusName=bus, EventPattern='{"source": ["dropzone"]}')
    events.put_targets(Rule="of-dropzone", EventBusName=bus, Targets=[{"Id": "1", "Arn": arns["events"]}])
    made.topic_arn = sns.create_topic(Name=f"pager-{uuid4()}")["TopicArn"]
    sns.subscribe(TopicArn=made.topic_arn, Protocol="sqs", Endpoint=arns["topic"])
    secret = {"url": receiver.url, "key": f"whsec_{b64encode(KEY).decode()}"}
    made.secret_arn = made.client("secretsmanager").create_secret(Name=str(uuid4()), SecretString=json.dumps(secret))[
        "ARN"
    ]
    for name, value in {
        "AWS_ENDPOINT_URL": moto_endpoint,
        "BRONZE_BUCKET": made.bucket,
        "EVENT_BUS": bus,
        "NOTIFICATION_TOPIC_ARN": made.topic_arn,
        "WEBHOOK_SECRET_ARN": made.secret_arn,
    }.items():
        monkeypatch.setenv(name, value)
    kept: list[Callable[..., Any]] = [
        notify.settings,
        notify.notifications,
        notify.way_to,
    ]
    for each in kept:
        each.cache_clear()  # type: ignore[attr-defined] # of functools.cache
    monkeypatch.setattr(notify.logger.registered_handler, "stream", made.log)
    yield made
    for each in kept:
        each.cache_clear()  # type: ignore[attr-defined] # of functools.cache


def call(*messages: dict[str, Any]) -> list[str]:
    """The messages that go back."""
    answer = notify.handler({"Records": [*messages]}, Context())
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_an_event_for_each_change_reaches_the_targets_of_a_rule(world: World) -> None:
    changes = [change(f"hall-{number}") for number in range(11)]
    back = change("hall-0", is_broken=False)

    assert call(world.put(Channel.EVENTS, *changes, back)) == []

    got = world.received("events") + world.received("events")
    assert {event["source"] for event in got} == {"dropzone"}
    assert sorted(event["detail-type"] for event in got) == [
        *["Source Expectation Broken"] * 11,
        "Source Expectation Restored",
    ]
    [first] = [event for event in got if event["detail"]["id"] == changes[0].id]
    assert first["time"] == "2026-11-29T02:00:00Z"
    assert first["detail"] == {
        **changes[0].model_dump(mode="json"),
        "text": "hall-0 is silent: no event for 2 hours; one is expected every 10 minutes",
    }


def test_a_topic_gets_a_message_for_each_batch(world: World) -> None:
    assert call(world.put(Channel.TOPIC, change(), change("hall-4", expectation="stuck"))) == []

    [message] = world.received("topic")
    assert message["Subject"] == "Dropzone: 2 sources have changed"
    assert message["Message"].splitlines() == [
        "hall-3 is silent: no event for 2 hours; one is expected every 10 minutes",
        "hall-4 is stuck: the same value for 2 hours; another is expected within 10 minutes",
    ]


def test_a_message_of_one_change_says_so_and_names_its_batch(world: World) -> None:
    sent = world.put(Channel.TOPIC, change())

    assert call(sent) == []

    [message] = world.received("topic")
    assert message["Subject"] == "Dropzone: a source has changed"
    assert f"{message['MessageAttributes']['batch_id']['Value']}.json" == sent["messageId"].rpartition("/")[2]


@pytest.mark.usefixtures("world")
def test_whoever_is_called_is_given_up_before_the_function_ends() -> None:
    def longest(client: Any) -> float:  # noqa: ANN401 - any of boto3's
        config = client.meta.config
        return float((config.connect_timeout + config.read_timeout) * config.retries["total_max_attempts"])

    senders: list[Any] = [notify.way_to(channel) for channel in (Channel.EVENTS, Channel.TOPIC, Channel.WEBHOOK)]
    bus, topic, webhook = senders
    timeout = webhook._http.connection_pool_kw["timeout"]
    times = [
        longest(bus._client),
        longest(topic._client),
        # The secret is read, and the address is called.
        longest(webhook._client) + timeout.connect_timeout + timeout.read_timeout,
    ]
    # Between two attempts, and for the rest of the call, there is at least a second.
    assert max(times) < NOTIFY_SECONDS - 1


def test_a_webhook_gets_a_signed_body(world: World, receiver: Receiver) -> None:
    sent_change = change()
    sent = world.put(Channel.WEBHOOK, sent_change)

    assert call(sent) == []

    [(path, headers, body)] = receiver.got
    assert path == SECRET_PATH
    assert (headers["content-type"], headers["user-agent"]) == ("application/json", "dropzone")
    text = "hall-3 is silent: no event for 2 hours; one is expected every 10 minutes"
    assert json.loads(body) == {
        "type": "dropzone.sources",
        "timestamp": "2026-11-29T02:00:00Z",
        "text": text,
        "data": {"changes": [{**sent_change.model_dump(mode="json"), "text": text}]},
    }
    assert headers["webhook-id"] in sent["messageId"]
    # As the receiver's own library computes it.
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    version, _, signature = headers["webhook-signature"].partition(",")
    assert version == "v1"
    assert b64decode(signature) == hmac.new(KEY, signed, hashlib.sha256).digest()


@pytest.mark.parametrize("status", [300, 302, 400, 500])
def test_what_is_not_delivered_comes_again_with_the_same_name(world: World, receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    webhook, event = world.put(Channel.WEBHOOK, change()), world.put(Channel.EVENTS, change())

    # THEN the other channel has its own message, and gets it once
    assert call(webhook, event) == [webhook["messageId"]]
    assert len(world.received("events")) == 1
    receiver.answers = [200]
    assert call(webhook) == []
    first, second = receiver.got
    assert first[1]["webhook-id"] == second[1]["webhook-id"]
    assert first[2] == second[2]
    logged = world.log.getvalue()
    assert f"the webhook answered {status}" in logged
    assert_no_trace(logged, "SECRETMARKER")


def test_a_webhook_that_is_gone_is_reported_without_its_address(world: World, receiver: Receiver) -> None:
    gone = json.dumps({"url": "http://127.0.0.1:9/SECRETMARKER", "key": "k" * 24})
    world.client("secretsmanager").put_secret_value(SecretId=world.secret_arn, SecretString=gone)

    assert len(call(world.put(Channel.WEBHOOK, change()))) == 1

    assert "the webhook could not be called: NewConnectionError" in world.log.getvalue()
    assert_no_trace(world.log.getvalue(), "SECRETMARKER")
    assert receiver.got == []


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ('{"url": "http://example.com/SECRETMARKER", "key": "SECRETMARKER0000000000000"}', "URL"),
        ('{"url": "https://example.com", "key": "SECRETMARKER"}', "key"),
        ('{"url": "https://example.com"}', "key"),
        ('{"url": "https://example.com", "key": "whsec_SECRETMARKER%000000000000"}', "no base64"),
        ("SECRETMARKER", "JSON"),
    ],
)
def test_a_secret_that_is_no_webhook_s_is_reported_without_what_it_holds(
    world: World, secret: str, reason: str
) -> None:
    world.client("secretsmanager").put_secret_value(SecretId=world.secret_arn, SecretString=secret)

    assert len(call(world.put(Channel.WEBHOOK, change()))) == 1

    assert reason.lower() in world.log.getvalue().lower()
    assert_no_trace(world.log.getvalue(), "SECRETMARKER")


def test_a_bus_or_topic_that_is_gone_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = [world.put(channel, change()) for channel in (Channel.EVENTS, Channel.TOPIC)]
    world.client("sns").delete_topic(TopicArn=world.topic_arn)
    monkeypatch.setenv("EVENT_BUS", "gone")
    notify.settings.cache_clear()

    assert call(*messages) == [message["messageId"] for message in messages]

    assert "SNS answered NotFound" in world.log.getvalue()


def test_services_that_are_out_of_reach_are_reported_without_their_address(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://SECRETMARKER")

    messages = [world.put(channel, change()) for channel in Channel]
    for sender, call_ in (
        (notify.way_to(Channel.EVENTS), "put_events"),
        (notify.way_to(Channel.TOPIC), "publish"),
        (notify.way_to(Channel.WEBHOOK), "get_secret_value"),
    ):
        monkeypatch.setattr(sender, "_client", SimpleNamespace(**{call_: fail}))

    assert call(*messages) == [message["messageId"] for message in messages]

    for service in ("EventBridge", "SNS", "Secrets Manager"):
        assert f"{service} could not be called: EndpointConnectionError" in world.log.getvalue()
    assert_no_trace(world.log.getvalue(), "SECRETMARKER")


def test_a_secret_without_a_text_is_reported(world: World) -> None:
    world.client("secretsmanager").put_secret_value(SecretId=world.secret_arn, SecretBinary=b"SECRETMARKER")

    assert len(call(world.put(Channel.WEBHOOK, change()))) == 1

    assert "the webhook's secret holds no text" in world.log.getvalue()
    assert_no_trace(world.log.getvalue(), "SECRETMARKER")


@pytest.mark.parametrize("tries", [3, 4])
def test_events_that_the_bus_refuses_for_a_moment_are_put_again_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    put: list[list[str]] = []

    class Bus:
        def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - AWS's own name
            put.append([json.loads(entry["Detail"])["source"] for entry in Entries])
            refused = "b" if len(put) < tries else ""
            return {"Entries": [{"ErrorCode": "Throttled"} if name == refused else {} for name in put[-1]]}

    monkeypatch.setattr(notify.way_to(Channel.EVENTS), "_client", Bus())

    message = world.put(Channel.EVENTS, change("a"), change("b"))

    # Three tries are made at once; then all of it comes again.
    assert call(message) == ([] if tries == 3 else [message["messageId"]])
    assert put == [["a", "b"], ["b"], ["b"]]
    assert ("EventBridge refuses 1 events" in world.log.getvalue()) is (tries == 4)


def test_a_channel_that_was_switched_off_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    message = world.put(Channel.TOPIC, change())
    monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", "")
    notify.settings.cache_clear()

    assert call(message) == [message["messageId"]]
    assert "removed from the stack" in world.log.getvalue()


def test_other_messages_go_back_and_s3_s_test_event_does_not(world: World) -> None:
    test_event = {**world.message(""), "body": '{"Event": "s3:TestEvent"}', "messageId": "test"}
    others = [
        {**world.message(""), "body": "{}", "messageId": "no notification"},
        world.message(f"raw/{uuid4()}.json"),
        world.message(f"notifications/pigeon/{uuid4()}.json"),
        world.message(f"notifications/events/{uuid4()}.json"),
    ]

    assert call(test_event, *others) == [other["messageId"] for other in others]
    with pytest.raises(NotUnderstoodError):
        notify.handler({"Records": []}, Context())


def test_a_batch_is_handed_over_once_however_often_it_is_written(world: World) -> None:
    settings = BronzeSettings(bronze_bucket=world.bucket, aws_region=REGION, bronze_endpoint_url=world.endpoint)
    store = S3Notifications.of(settings)
    for body in (b"[1]", b"[2]"):
        store.put(Channel.EVENTS, "00000000-0000-0000-0000-000000000000", body)

    assert store.read(Channel.EVENTS, "00000000-0000-0000-0000-000000000000") == b"[1]"
    key = "notifications/events/00000000-0000-0000-0000-000000000000.json"
    assert world.client("s3").head_object(Bucket=world.bucket, Key=key)["ContentType"] == "application/json"


def test_the_document_s_example_is_what_is_sent() -> None:
    [example] = [json.loads(text) for kind, text, _ in document("docs/operations.md").blocks if kind == "json"]

    text = example.pop("text")
    assert Change.model_validate(example).text == text
    assert Change.model_validate(example).model_dump(mode="json") == example
