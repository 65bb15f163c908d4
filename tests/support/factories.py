"""Realistic values for tests: identifiers, payloads, validated objects, the events of AWS."""

import json
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

from dropzone.domain.access import Access, Scope
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.body import GZIP, is_gzip
from dropzone.domain.expectations import Expectation
from dropzone.domain.identifiers import new_raw_id, object_key
from dropzone.domain.notifications import Change
from dropzone.domain.outcomes import Code, Measurement, Outcome, Rejection, ValidatedObject, Violation
from dropzone.ports import Bronze, ListedObject, RawObject
from dropzone.use_cases.process import Message

EXAMPLE = b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2]}'
"""The seed's example."""

EXAMPLE_INSTANT = datetime(2019, 5, 1, 10, tzinfo=UTC)

WITHOUT_OFFSET = b'{"time_stamp": "2019-05-01T06:00:00", "data": [0, 2]}'
NOT_NUMERIC = b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, "2"]}'

BUCKET = "bronze-of-tests"

READER = Access("reader", frozenset({Scope.READ}))
"""Who may read everything."""


def shuffled[T](items: Iterable[T], seed: int) -> list[T]:
    """Give the items in an order that the seed alone decides."""
    order = list(items)
    Random(seed).shuffle(order)  # noqa: S311 - no secret
    return order


def raw_id(age: timedelta = timedelta(0)) -> UUID:
    """Make an identifier of an object that arrived `age` ago."""
    return new_raw_id(time.time_ns() - age // timedelta(microseconds=1) * 1_000)


def raw_ids(count: int, age: timedelta = timedelta(0)) -> list[UUID]:
    """Make identifiers in the order of their arrival, a microsecond apart, the last of them `age` ago."""
    return [raw_id(age + timedelta(microseconds=count - number)) for number in range(count)]


def payload(time_stamp: str = "2019-05-01T06:00:00-04:00", data: Iterable[object] = (0, 2), **others: object) -> bytes:
    """Make the body of an event."""
    return json.dumps({"time_stamp": time_stamp, "data": list(data), **others}).encode()


def raw_object(
    body: bytes = EXAMPLE,
    content_type: str = "application/json",
    correlation_id: str = "",
    **others: Any,  # noqa: ANN401 - any field
) -> RawObject:
    """Make an object as the function Ingest does."""
    return RawObject(new_raw_id(), body, content_type, correlation_id, GZIP if is_gzip(body) else "", **others)


def arrive(bronze: Bronze, body: bytes = EXAMPLE, age: timedelta = timedelta(0), correlation_id: str = "") -> UUID:
    """Put an object into bronze."""
    identifier = raw_id(age)
    bronze.put(RawObject(identifier, body, content_type="application/json", correlation_id=correlation_id))
    return identifier


def measurement(
    measured_at: datetime = EXAMPLE_INSTANT, mean: float = 1.0, std_dev: float = 1.0, source: str = ""
) -> Measurement:
    """Make the outcome of a good event."""
    return Measurement(measured_at, source, Aggregates(mean, std_dev, 2, mean - std_dev, mean + std_dev))


def flagged(outcome: Measurement, *codes: Code) -> Measurement:
    """The outcome with a warning for each code."""
    return outcome._replace(flags=tuple(Violation(code, "data", "is unusual", rule="a-rule") for code in codes))


def rejection(code: Code = Code.DATA_NOT_NUMERIC, index: int | None = 1) -> Rejection:
    """Make the outcome of a bad event."""
    return Rejection((Violation(code, "data", "holds a string at index 1: only numbers are allowed", index),))


def validated(identifier: UUID | None = None, *outcomes: Outcome) -> ValidatedObject:
    """Make a validated object; of one good event, where no outcome is given."""
    return ValidatedObject(identifier or raw_id(), outcomes or (measurement(),))


def message(*identifiers: UUID, receive_count: int = 1, size: int = 100) -> Message:
    """Make a decoded message of the queue."""
    objects = tuple(ListedObject(identifier, size) for identifier in identifiers)
    return Message(str(uuid4()), receive_count, objects)


def s3_event(*keys: str | UUID, bucket: str = BUCKET, size: int = 60) -> dict[str, Any]:
    """Make a notification of S3."""
    return {"Records": [_s3_record(key if isinstance(key, str) else object_key(key), bucket, size) for key in keys]}


def _s3_record(key: str, bucket: str, size: int) -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2026-01-01T00:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AROAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "arrivals",
            "bucket": {"name": bucket, "ownerIdentity": {"principalId": "A3"}, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": key, "size": size, "eTag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": "0A1B2C"},
        },
    }


def s3_test_event(bucket: str = BUCKET) -> dict[str, Any]:
    """Make what S3 sends when a notification is set up."""
    return {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": "2026-01-01T00:00:00.000Z",
        "Bucket": bucket,
        "RequestId": "5582815E1AEA5ADF",
        "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE",
    }


def sqs_event(bodies: Sequence[object], receive_count: int = 1) -> dict[str, Any]:
    """Make a batch of the queue, as Lambda hands it over; messages are numbered `message-0` and so on."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {
                    "ApproximateReceiveCount": str(receive_count),
                    "SentTimestamp": "1545082649183",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1545082649185",
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:arrivals",
                "awsRegion": "eu-central-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def returned(answer: dict[str, Any]) -> list[str]:
    """Read the messages that a partial batch response sends back."""
    return [entry["itemIdentifier"] for entry in answer["batchItemFailures"]]


FOUND_AT = datetime(2026, 11, 29, 2, tzinfo=UTC)


def change(source: str = "hall-3", **of: Any) -> Change:  # noqa: ANN401 - any field's
    """A source that has become silent, or another change of an expectation."""
    stated: dict[str, Any] = {
        "id": f"{uuid4()}/1",
        "source": source,
        "expectation": Expectation.SILENT,
        "is_broken": True,
        "contract": "hall@1",
        "at": FOUND_AT,
        "since": FOUND_AT,
        "observed": 7_200.0,
        "expected": 600.0,
    }
    return Change.model_validate(stated | of)
