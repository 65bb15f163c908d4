"""Calls of the functions as Lambda makes them: events, the context, a process that does nothing else."""

import base64
import copy
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).parents[2] / "events"
EXAMPLE = b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2]}'
ENVIRONMENT = {
    "BRONZE_BUCKET": "bucket",
    "DATABASE_HOST": "127.0.0.1",
    "DATABASE_NAME": "dropzone",
    "DATABASE_USER": "dropzone_writer",
    "DATABASE_AUTH": "iam",
    "DATABASE_TLS": "disable",
    "CALL_SECONDS": "60",
    "SWEEP_MIN_AGE_SECONDS": "600",
    "SWEEP_RETRY_SECONDS": "60",
    "MAX_RECEIVE_COUNT": "5",
    "DEFAULT_SCOPES": "operate",
}


@cache
def _sample(name: str) -> str:
    return (EVENTS / f"{name}.json").read_text(encoding="utf-8")


def sample(name: str) -> dict[str, Any]:
    """One of the project's sample events."""
    event: dict[str, Any] = json.loads(_sample(name))
    return event


def api_event(
    body: bytes = EXAMPLE,
    *,
    like: str = "api-ingest",
    path: str | None = None,
    request_id: str | None = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """What API Gateway hands over for a request: the sample event with another body, path or query, other headers.

    Header names replace the sample's whatever their case; None takes one away.
    """
    event = copy.deepcopy(sample(like))
    event["body"], event["isBase64Encoded"] = (base64.b64encode(body).decode(), True) if body else (None, False)
    if path is not None:
        event["path"] = event["resource"] = path
    if request_id is not None:
        event["requestContext"]["requestId"] = request_id
    if query is not None:
        event["queryStringParameters"] = dict(query)
        event["multiValueQueryStringParameters"] = {name: [value] for name, value in query.items()}
    for name, value in (headers or {}).items():
        for kept in [kept for kept in event["headers"] if kept.lower() == name.lower()]:
            del event["headers"][kept], event["multiValueHeaders"][kept]
        if value is not None:
            event["headers"][name], event["multiValueHeaders"][name] = value, [value]
    return event


def header(answer: Mapping[str, Any], name: str) -> str | None:
    """A header of an answer in API Gateway's form."""
    values = answer["multiValueHeaders"].get(name)
    return None if values is None else ", ".join(values)


def json_body(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer's body."""
    assert answer["isBase64Encoded"] is False
    body: dict[str, Any] = json.loads(answer["body"])
    return body


@dataclass(frozen=True, slots=True)
class Container:
    """What calls in a process of their own answered and wrote."""

    answers: list[dict[str, Any]]
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Everything that it wrote: one JSON object a line."""
        return [json.loads(line) for line in (self.stdout + self.stderr).splitlines()]

    @property
    def log(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "level" in line]

    def metrics(self, name: str) -> list[dict[str, Any]]:
        """The metric lines (EMF) that carry a metric of that name."""
        return [line for line in self.lines if "_aws" in line and name in line]


_PROGRAM = """
import importlib, json, sys
from support.lambda_context import Context
module = importlib.import_module(sys.argv[1])
exec(sys.argv[3])
handler = module.handler
events = json.load(sys.stdin)
answers = [handler(event, Context()) for event in events]
with open(sys.argv[2], "w") as file:
    json.dump(answers, file)
"""


def run_container(
    module: str,
    events: Sequence[Mapping[str, Any]],
    environment: Mapping[str, str],
    directory: Path,
    sabotage: str = "",
) -> Container:
    """Hand events to a handler in a new process: all that it writes is seen, as CloudWatch would see it.

    `sabotage` is a statement that breaks something of `module` before.
    """
    output = directory / "answers.json"
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _PROGRAM, module, str(output), sabotage],
        input=json.dumps(events),
        env=os.environ | environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return Container(json.loads(output.read_text(encoding="utf-8")), done.stdout, done.stderr)
