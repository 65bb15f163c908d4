"""The project's sample events."""

import json
from typing import Any

from artefact.build import EVENTS

BUCKET = "dropzone-bronze-123456789012-eu-central-1"
"""The bucket that they name."""


def sample(name: str) -> dict[str, Any]:
    """One of them."""
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return event


def payload(name: str) -> bytes:
    """A body to ingest."""
    return (EVENTS / "payloads" / f"{name}.json").read_bytes()


def keys_of_batch() -> list[str]:
    """The keys that the sample batch names, one a message: for a good, a bad and a missing object."""
    messages = [json.loads(record["body"]) for record in sample("sqs-batch")["Records"]]
    return [message["Records"][0]["s3"]["object"]["key"] for message in messages]
