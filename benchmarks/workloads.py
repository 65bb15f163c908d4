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

from dropzone.domain.identifiers import new_raw_id
from support import factories

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
    return factories.sqs_event([factories.s3_event(raw_id, bucket=BUCKET, size=size) for raw_id in arrived])


def with_body(event: dict[str, Any], body: bytes) -> dict[str, Any]:
    """A request of API Gateway with another body."""
    return event | {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
