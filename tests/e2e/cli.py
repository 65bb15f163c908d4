"""`dropzone` as people run it, a process of its own."""

import json
import os
import subprocess
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from e2e.client import Client
from support.factories import s3_event
from support.forked import dropzone

_seconds = count()
REJECTED = b'{"time_stamp": "2021-03-01", "data": ["\\u001b[31m"], "note": "\xc2\xb0C"}'


def good() -> bytes:
    second = next(_seconds)
    return f'{{"time_stamp": "2021-01-01T{second // 60:02}:{second % 60:02}Z", "data": [1, 2, 3]}}'.encode()


def environment() -> dict[str, str]:
    """This process's own, without what would lead to another stack."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DROPZONE_")}


@dataclass
class Cli:
    """Runs `dropzone` in a folder below the one with the stack's file."""

    client: Client
    folder: Path

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[bytes]:
        """Run it, with what would lead elsewhere in its environment."""
        elsewhere = {"AWS_PROFILE": "nobody", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
        words = [*map(str, arguments)]
        ran = dropzone(words, folder=self.folder, environment=environment() | elsewhere)
        said = ran.stdout + ran.stderr
        assert self.client.endpoints.api_key.encode() not in said
        assert b"Traceback" not in said
        return ran

    def document(self, *arguments: object) -> Any:  # noqa: ANN401 - JSON
        """Run it with --json, and read what it prints."""
        ran = self(*arguments, "--json")
        assert ran.returncode == 0, ran.stderr.decode()
        return json.loads(ran.stdout)

    def die(self, *raw_ids: UUID, body: str | None = None) -> None:
        """Put a notification of these objects, or another message, into the dead-letter queue."""
        endpoints = self.client.endpoints
        self.client.clients.sqs().send_message(
            QueueUrl=endpoints.dlq_url, MessageBody=body or json.dumps(s3_event(*raw_ids, bucket=endpoints.bucket))
        )

    def messages(self, url: str) -> dict[str, int]:
        """How many messages there are, in sight and out of it."""
        attributes = self.client.clients.sqs().get_queue_attributes(
            QueueUrl=url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return {name.removeprefix("ApproximateNumberOfMessages"): int(number) for name, number in attributes.items()}

    def empty(self, url: str) -> None:
        """Delete all messages of a queue."""
        self.client.clients.sqs().purge_queue(QueueUrl=url)


def make(client: Client, folder: Path) -> Cli:
    below = folder / "some" / "where"
    below.mkdir(parents=True)
    (folder / ".local").mkdir()
    (folder / ".local" / "stack.json").write_text(json.dumps(client.endpoints.document()))
    return Cli(client, below)
