"""The command line in this process: an API by a function, AWS by moto."""

import gzip
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import batched
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import typer.testing
from typer.testing import CliRunner, Result

from dropzone_cli.api import ClientOptions
from dropzone_cli.main import app
from support.factories import raw_id, s3_event

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

URL = "http://127.0.0.1:4566/restapis/abc/v1/_user_request_"
KEY = "k3y-that-nobody-may-see"
STACK = "measurements"
REGION = "eu-central-1"
API_ID = "abc"


# Typer makes the whole tree of commands again for each call, which takes four times as long as most commands.
typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]

LOCAL = {
    "url": URL,
    "api_key": KEY,
    "database_url": "postgresql://postgres:secret@127.0.0.1:1/dropzone",
    "emulator_url": "http://127.0.0.1:4566",
    "bucket": "bronze",
    "queue_url": "http://127.0.0.1:4566/000000000000/queue",
    "dlq_url": "http://127.0.0.1:4566/000000000000/dlq",
    "replay_function": "dropzone-ReplayFunction",
    "replay_machine": "arn:aws:states:us-east-1:000000000000:stateMachine:dropzone-replay",
    "region": "us-east-1",
}


@dataclass
class FakeApi:
    """Answers as the API does, from what a test says; remembers what it was asked."""

    statuses: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    answers: list[httpx.Response | Exception] = field(default_factory=list)
    """Given first, one a request."""
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        raw_id = UUID(request.url.path.rpartition("/")[2])
        if raw_id not in self.statuses:
            return httpx.Response(404, json={"type": "urn:dropzone:problem:not-found", "detail": "No such event."})
        return httpx.Response(200, json={"raw_id": str(raw_id), **self.statuses[raw_id]})

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]


@dataclass
class FakeIngest:
    """`POST /ingest` as clients know it: bodies are kept once per idempotency key. Threads may ask at once."""

    answers: list[httpx.Response | Exception] = field(default_factory=list)
    """Given first, one a request, in place of taking the body in."""
    fault: Callable[[int], httpx.Response | BaseException | None] = lambda _: None
    """What the request of this number (from 0) gets after its body was taken in, in place of a 202."""
    requests: list[httpx.Request] = field(default_factory=list)
    objects: dict[UUID, bytes] = field(default_factory=dict)
    """Bronze: unpacked."""
    keys: dict[str, tuple[UUID, bytes]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            self.requests.append(request)
            if self.answers:
                return _given(self.answers.pop(0))
            answer = self._take(request)
            fault = self.fault(len(self.requests) - 1)
            return answer if fault is None else _given(fault)

    def _take(self, request: httpx.Request) -> httpx.Response:
        packed = request.headers.get("content-encoding") == "gzip"
        body = gzip.decompress(request.content) if packed else request.content
        key = request.headers["idempotency-key"]
        is_known = key in self.keys
        identifier, first = self.keys.setdefault(key, (raw_id(), body))
        if first != body:
            problem = {
                "type": "urn:dropzone:problem:idempotency-key-reused",
                "detail": "The key belongs to another request.",
            }
            return httpx.Response(422, json=problem)
        self.objects[identifier] = body
        headers = {"Idempotent-Replayed": "true"} if is_known else {}
        answer = {"raw_id": str(identifier), "status": "accepted", "items": len(body.splitlines())}
        return httpx.Response(202, json=answer, headers=headers)

    @property
    def events(self) -> list[Any]:
        """All events in bronze, object by object."""
        return [one for one in self._elements if "client_rejected" not in one]

    @property
    def reported(self) -> list[Any]:
        """The reports of lines that are no events."""
        return [one for one in self._elements if "client_rejected" in one]

    @property
    def _elements(self) -> list[Any]:
        return [json.loads(line) for body in self.objects.values() for line in body.splitlines()]


def _given(answer: httpx.Response | BaseException) -> httpx.Response:
    if isinstance(answer, BaseException):
        raise answer
    return answer


@dataclass
class Cli:
    """Runs commands."""

    api: FakeApi | FakeIngest
    slept: list[float] = field(default_factory=list)
    now: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    @property
    def options(self) -> ClientOptions:
        return ClientOptions(transport=httpx.MockTransport(self.api), sleep=self.sleep, clock=lambda: self.now)

    def __call__(self, *arguments: object, given: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(app, [*map(str, arguments)], obj=self.options, input=given)
        assert KEY not in result.output
        assert "Traceback" not in result.output
        assert result.exit_code != 70, result.output
        return result


def document(result: Result) -> Any:  # noqa: ANN401 - JSON
    """The JSON document that a command printed, and nothing beside it."""
    return json.loads(result.stdout)


@dataclass
class Stack:
    """A stack on moto's AWS."""

    sqs: "SQSClient"
    s3: "S3Client"
    bucket: str
    queue_url: str
    dlq_url: str
    key_id: str

    def die(self, *raw_ids: UUID | str, body: str | None = None) -> str:
        """Put a message into the dead-letter queue: one notification of these objects, or this body."""
        return self.sqs.send_message(
            QueueUrl=self.dlq_url, MessageBody=body or json.dumps(s3_event(*raw_ids, bucket=self.bucket))
        )["MessageId"]

    def bodies(self, url: str) -> list[str]:
        """What is in sight in a queue; it stays there."""
        found = []
        while batch := self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600, WaitTimeSeconds=0
        ).get("Messages"):
            found += batch
        for messages in batched(found, 10, strict=False):
            again: Any = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
                for number, message in enumerate(messages)
            ]
            self.sqs.change_message_visibility_batch(QueueUrl=url, Entries=again)
        return sorted(message["Body"] for message in found)

    @property
    def dead(self) -> list[str]:
        return self.bodies(self.dlq_url)

    @property
    def queued(self) -> list[str]:
        return self.bodies(self.queue_url)
