"""The functions' logs: read from the emulator's CloudWatch Logs, each line shortened for a reader."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from botocore.exceptions import ClientError
from rich.text import Text

from dropzone_cli.aws import error_code
from dropzone_local.aws import Clients
from dropzone_local.deployment import STACK_NAME

_PLATFORM = re.compile(r"(START|END|REPORT) RequestId: |INIT_START |INIT_REPORT ")
# Fields of every line of Powertools that are not useful on a terminal.
_HIDDEN = frozenset(
    {
        "level",
        "location",
        "message",
        "timestamp",
        "service",
        "cold_start",
        "exception",
        "exception_name",
        "stack_trace",
        "sampling_rate",
        "xray_trace_id",
        "function_name",
        "function_memory_size",
        "function_arn",
        "function_request_id",
    }
)
_STYLES: Mapping[str, str] = {
    "DEBUG": "dim",
    "INFO": "green",
    "WARNING": "yellow",
    "ERROR": "bold red",
    "CRITICAL": "bold red",
}
_PLAIN_LEVEL = "-"


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line as it is shown: its parts, and the text below it."""

    at: datetime
    function: str
    level: str
    message: str
    fields: Mapping[str, str]
    below: str = ""

    def render(self) -> Text:
        """Format the parts, with colours if the terminal has them."""
        text = Text(no_wrap=False)
        text.append(f"{self.at:%H:%M:%S}.{self.at.microsecond // 1000:03d} ", style="dim")
        text.append(f"{self.level:<8}", style=_STYLES.get(self.level, "dim"))
        text.append(f"{self.function:<8} ", style="cyan")
        text.append(self.message)
        for name, value in self.fields.items():
            text.append(f"  {name}=", style="dim")
            text.append(value)
        for line in self.below.splitlines():
            text.append(f"\n    {line}", style="dim")
        return text


def parse(message: str, *, function: str, milliseconds: int) -> LogLine | None:
    """Return the line to show; None for the platform's lines about each call, and for metrics."""
    text = message.rstrip()
    if not text or _PLATFORM.match(text):
        return None
    at = datetime.fromtimestamp(milliseconds / 1000, tz=UTC).astimezone()
    document = _object(text)
    if document is None:
        return LogLine(at, function, _PLAIN_LEVEL, text, {})
    if "_aws" in document:
        return None
    fields = {name: _short(value) for name, value in document.items() if name not in _HIDDEN and value is not None}
    return LogLine(
        at=at,
        function=function,
        level=str(document.get("level", _PLAIN_LEVEL)),
        message=_short(document.get("message", "")),
        fields=fields,
        below=str(document.get("exception") or ""),
    )


def _object(text: str) -> Mapping[str, object] | None:
    if not text.startswith("{"):
        return None
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _short(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


# The emulator writes a call's lines when the call has ended, all with that time, to a separate stream. On a busy
# machine this can be delayed: look back this far, and leave out what was shown.
_OVERLAP_MILLISECONDS = 5_000


class LogReader:
    """Reads new lines: each line once, oldest first."""

    def __init__(self, clients: Clients, *, since_seconds: float) -> None:
        """Start this many seconds ago."""
        self._logs = clients.logs()
        self._groups = _groups(clients)
        self._from = int((time.time() - since_seconds) * 1000)
        # The number of lines read from each stream, and the time of the last one.
        self._read: dict[str, tuple[int, int]] = {}

    def read(self) -> list[LogLine]:
        lines = [
            line
            for group, function in self._groups.items()
            for at, message in self._new_events(group)
            if (line := parse(message, function=function, milliseconds=at)) is not None
        ]
        latest = max((at for _, at in self._read.values()), default=0)
        self._from = max(self._from, latest - _OVERLAP_MILLISECONDS)
        self._read = {stream: read for stream, read in self._read.items() if read[1] >= self._from}
        return sorted(lines, key=lambda line: line.at)

    def _new_events(self, group: str) -> Iterator[tuple[int, str]]:
        met: Counter[str] = Counter()
        for stream, at, message in self._events(group):
            met[stream] += 1
            read, _ = self._read.get(stream, (0, 0))
            if met[stream] > read:
                self._read[stream] = (met[stream], at)
                yield at, message

    def _events(self, group: str) -> Iterator[tuple[str, int, str]]:
        pages = self._logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=self._from)
        try:
            for page in pages:
                for event in page["events"]:
                    yield event["logStreamName"], event["timestamp"], event["message"]
        except ClientError as error:
            # A function's own group exists from its first call on.
            if error_code(error) != "ResourceNotFoundException":
                raise


def _groups(clients: Clients) -> Mapping[str, str]:
    """Return each function's log group, with a short name of the function."""
    resources = clients.cloudformation().describe_stack_resources(StackName=STACK_NAME)["StackResources"]
    groups = {}
    for resource in resources:
        if resource["ResourceType"] == "AWS::Lambda::Function" and "PhysicalResourceId" in resource:
            name = resource["PhysicalResourceId"]
            configuration = clients.lambda_().get_function_configuration(FunctionName=name)
            group = configuration.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{name}")
            groups[group] = resource["LogicalResourceId"].removesuffix("Function").lower()
    return groups
