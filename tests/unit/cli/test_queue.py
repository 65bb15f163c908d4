"""Messages: read as the function Process reads them, sent in batches that SQS takes."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropzone_cli.queue import Message, Queue, objects_of
from dropzone_process.events import NotUnderstoodError, objects_in
from support.factories import BUCKET, raw_id, s3_event, s3_test_event
from unit.cli.harness import Stack

ONE, OTHER = raw_id(), raw_id()

BODIES = {
    "one object": json.dumps(s3_event(ONE)),
    "two objects": json.dumps(s3_event(ONE, OTHER)),
    "the test event": json.dumps(s3_test_event()),
    "a test event with blanks": json.dumps(s3_test_event(), indent=2),
    "another bucket": json.dumps(s3_event(ONE, bucket="elsewhere")),
    "one of two of another bucket": json.dumps(
        {"Records": s3_event(ONE)["Records"] + s3_event(OTHER, bucket="elsewhere")["Records"]}
    ),
    "another key": json.dumps(s3_event("raw/readme.txt")),
    "an encoded key": json.dumps(s3_event(f"raw%2F{ONE}.json")),
    "no UUIDv7": json.dumps(s3_event("raw/6ba7b810-9dad-41d1-80b4-00c04fd430c8.json")),
    "a deletion": json.dumps(s3_event(ONE)).replace("ObjectCreated:Put", "ObjectRemoved:Delete"),
    "by its long name": json.dumps(s3_event(ONE)).replace("ObjectCreated:Put", "s3:ObjectCreated:Put"),
    "no records": '{"Records": []}',
    "records of text": '{"Records": ["x"]}',
    "records that are none": '{"Records": 5}',
    "no JSON": "garbage",
    "empty": "",
    "an array": "[]",
    "null": "null",
    "deep": "[" * 100_000,
}


def as_the_function_reads(body: str) -> tuple[UUID, ...] | None:
    try:
        return tuple(entry.raw_id for entry in objects_in(body, BUCKET))
    except NotUnderstoodError:
        return None


NAMES = ["Records", "s3", "bucket", "name", "object", "key", "eventName", "Event"]
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda part: st.lists(part) | st.dictionaries(st.sampled_from(NAMES), part),
)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_messages_are_read_as_the_function_reads_them(body: str) -> None:
    assert objects_of(body, BUCKET) == as_the_function_reads(body)


@given(DOCUMENTS)
def test_no_message_breaks_it(body: object) -> None:
    objects_of(json.dumps(body), BUCKET)


def test_large_messages_go_in_batches_that_sqs_takes(stack: Stack) -> None:
    queue = Queue(stack.sqs, stack.queue_url)
    bodies = [f"{number}" + "ü" * 100_000 for number in range(7)] + [f"small {number}" for number in range(23)]
    for body in bodies:
        stack.sqs.send_message(QueueUrl=stack.dlq_url, MessageBody=body)
    dlq = Queue(stack.sqs, stack.dlq_url)
    messages: list[Message] = []
    while batch := dlq.receive(60):
        messages += batch

    sizes: list[int] = []

    def note(params: dict[str, Any], **_: object) -> None:
        sizes.append(sum(len(entry["MessageBody"].encode()) for entry in params["Entries"]))

    stack.sqs.meta.events.register("provide-client-params.sqs.SendMessageBatch", note)

    sent, identifiers = queue.send(messages)

    assert max(sizes) <= 256 * 1024
    assert len(sizes) < 15
    assert len(sent) == len(set(identifiers)) == 30
    assert stack.queued == sorted(bodies)
    assert dlq.delete(messages) == messages
    assert dlq.counts().total == 0


def test_what_is_released_is_in_sight_at_once(stack: Stack) -> None:
    for number in range(12):
        stack.die(body=str(number))
    dlq = Queue(stack.sqs, stack.dlq_url)
    messages = dlq.receive(600) + dlq.receive(600)
    assert (dlq.counts().visible, dlq.counts().in_flight) == (0, 12)

    dlq.release(messages)

    assert (dlq.counts().visible, dlq.counts().in_flight) == (12, 0)
