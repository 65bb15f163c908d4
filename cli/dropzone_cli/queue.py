"""SQS queues: receive, send and delete messages, ten at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from dropzone_cli.formats import raw_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from uuid import UUID

    from mypy_boto3_sqs import SQSClient

BATCH = 10
"""SQS's maximum number of messages per call."""

WAIT_SECONDS = 1
"""How long to wait for messages. With a wait, SQS queries all of its servers, not a sample."""

_BATCH_BYTES = 250_000
_ENOUGH = 3
"""The number of receives in a row without a new message after which all visible messages were seen."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Message:
    """A received message, which is invisible to others for a while."""

    message_id: str
    receipt: str
    body: str
    sent_at: datetime
    """When it was first sent to a queue."""
    receives: int
    """How often it was received, including by listings."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The approximate numbers of messages: SQS has no exact ones."""

    visible: int
    in_flight: int
    """Messages that were received, and are not visible to others."""

    @property
    def total(self) -> int:
        return self.visible + self.in_flight


class Queue:
    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def counts(self) -> Counts:
        attributes = self._client.get_queue_attributes(
            QueueUrl=self._url, AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        )["Attributes"]
        return Counts(
            int(attributes.get("ApproximateNumberOfMessages", "0")),
            int(attributes.get("ApproximateNumberOfMessagesNotVisible", "0")),
        )

    def receive(self, seconds: int) -> list[Message]:
        """Receive up to ten messages, which stay invisible to others for this many seconds."""
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=BATCH,
            VisibilityTimeout=seconds,
            WaitTimeSeconds=WAIT_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
        )
        return [
            Message(
                message["MessageId"],
                message["ReceiptHandle"],
                message["Body"],
                _EPOCH + timedelta(milliseconds=int(message.get("Attributes", {}).get("SentTimestamp", "0"))),
                int(message.get("Attributes", {}).get("ApproximateReceiveCount", "1")),
            )
            for message in answer.get("Messages", [])
        ]

    def receive_all(
        self, seconds: int, is_known: Callable[[Message], bool]
    ) -> Iterator[tuple[list[Message], list[Message]]]:
        """Receive until all visible messages were seen; yields the received messages, and the new ones among them."""
        nothing_new = 0
        while nothing_new < _ENOUGH and (messages := self.receive(seconds)):
            fresh = [message for message in messages if not is_known(message)]
            nothing_new = 0 if fresh else nothing_new + 1
            yield messages, fresh

    def release(self, messages: Iterable[Message]) -> None:
        """Make messages visible to others at once."""
        for batch in _in_tens(messages):
            self._client.change_message_visibility_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message.receipt, "VisibilityTimeout": 0}
                    for number, message in enumerate(batch)
                ],
            )

    def send(self, messages: Sequence[Message]) -> tuple[list[Message], list[str]]:
        """Send the bodies of messages; return the sent messages, and their new identifiers."""
        sent, identifiers = [], []
        for batch in _by_size(messages):
            answer = self._client.send_message_batch(
                QueueUrl=self._url,
                Entries=[{"Id": str(number), "MessageBody": message.body} for number, message in enumerate(batch)],
            )
            for entry in answer.get("Successful", []):
                sent.append(batch[int(entry["Id"])])
                identifiers.append(entry["MessageId"])
        return sent, identifiers

    def delete(self, messages: Sequence[Message]) -> list[Message]:
        """Delete messages; return those that were deleted."""
        gone = []
        for batch in _in_tens(messages):
            answer = self._client.delete_message_batch(
                QueueUrl=self._url,
                Entries=[{"Id": str(number), "ReceiptHandle": message.receipt} for number, message in enumerate(batch)],
            )
            gone += [batch[int(entry["Id"])] for entry in answer.get("Successful", [])]
        return gone

    def purge(self) -> None:
        self._client.purge_queue(QueueUrl=self._url)


def objects_of(body: str, bucket: str) -> tuple[UUID, ...] | None:
    """Return the objects in an S3 notification; empty for S3's test event; None if it isn't a notification.

    It must agree with the function Process: what is shown, and whether a message is dropped, depends on it.
    """
    try:
        notification = json.loads(body)
        if notification.get("Event") == "s3:TestEvent":
            return ()
        records = notification["Records"]
        if not all(_of_bucket(record, bucket) for record in records):
            return None
        return tuple(raw_id_of(unquote_plus(record["s3"]["object"]["key"])) for record in records) or None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _of_bucket(record: dict[str, Any], bucket: str) -> bool:
    event = record["eventName"].removeprefix("s3:")
    return event.startswith("ObjectCreated:") and bool(record["s3"]["bucket"]["name"] == bucket)


def _in_tens(messages: Iterable[Message]) -> Iterator[list[Message]]:
    held = [*messages]
    return (held[start : start + BATCH] for start in range(0, len(held), BATCH))


def _by_size(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Divide messages into batches within SQS's limits; a message that reaches the limit is sent alone."""
    batch: list[Message] = []
    size = 0
    for message in messages:
        length = len(message.body.encode())
        if batch and (len(batch) == BATCH or size + length > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch
