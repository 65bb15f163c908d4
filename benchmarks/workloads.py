"""Events as clients send them, and what AWS makes of their arrival."""

import base64
import json
import random
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from dropzone.domain.identifiers import new_raw_id, object_key

BUCKET = "bronze-of-benchmarks"

FIRST_INSTANT = datetime(2000, 1, 1, tzinfo=UTC)
"""No event is of an earlier one, but for those of `benchmarks.large`."""
_instants = (FIRST_INSTANT + timedelta(seconds=number) for number in count())
_random = random.Random(6)  # noqa: S311 - the same figures every time


def fresh_instants(number: int) -> list[datetime]:
    """Instants that were never used before in this process, in ascending order, a second apart."""
    return [next(_instants) for _ in range(number)]


def floats(number: int) -> list[float]:
    """Readings of a sensor, with all the digits of a binary64."""
    return [_random.uniform(-50.0, 50.0) for _ in range(number)]


def body(instant: datetime, data: Sequence[float]) -> bytes:
    """An event, as a client sends it."""
    return json.dumps({"time_stamp": instant.isoformat(), "data": data}).encode()


def fresh_bodies(number: int, values: int) -> list[bytes]:
    """Events of instants that were never used before; the readings are the same in all of them."""
    data = floats(values)
    return [body(instant, data) for instant in fresh_instants(number)]


def raw_ids(number: int) -> list[UUID]:
    """Identifiers of arrivals, in their order, a microsecond apart."""
    now = time.time_ns()
    return [new_raw_id(now + 1_000 * index) for index in range(number)]


def batches[T](items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut into pieces."""
    return (items[start : start + size] for start in range(0, len(items), size))


def sqs_event(arrived: Sequence[UUID], size: int) -> dict[str, Any]:
    """A batch of the queue, which names these objects, one a message, as S3 and SQS do."""
    return {
        "Records": [
            {
                "messageId": f"059f36b4-87a3-44ab-83d2-{index:012d}",
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0aExample",
                "body": json.dumps({"Records": [_notification(raw_id, size)]}),
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "AWSTraceHeader": "Root=1-6a5f0c1e-3f1d2a4b5c6d7e8f90a1b2c3",
                    "SentTimestamp": "1784539613400",
                    "SenderId": "AIDAJHIPRHEMV73VRJEBU",
                    "ApproximateFirstReceiveTimestamp": "1784539613425",
                },
                "messageAttributes": {},
                "md5OfBody": "4acbff8e49e0f919e9ceda725b3af6cd",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:dropzone-Queue-1A2B3C4D5E6F",
                "awsRegion": "eu-central-1",
            }
            for index, raw_id in enumerate(arrived)
        ]
    }


def _notification(raw_id: UUID, size: int) -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2026-07-20T09:26:53.123Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AROAEXAMPLEID:dropzone-IngestFunction"},
        "requestParameters": {"sourceIPAddress": "198.51.100.4"},
        "responseElements": {
            "x-amz-request-id": "C3D13FE58DE4C810",
            "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWerMUE5JgHvANOjpD",
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "ZmY1ZTk4",
            "bucket": {
                "name": BUCKET,
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": f"arn:aws:s3:::{BUCKET}",
            },
            "object": {
                "key": object_key(raw_id),
                "size": size,
                "eTag": "0f343b0931126a20f133d67c2b018a3b",
                "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
                "sequencer": "0055AED6DCD90281E5",
            },
        },
    }


def with_body(event: dict[str, Any], body: bytes) -> dict[str, Any]:
    """A request of API Gateway with another body."""
    return event | {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
