"""Reading the functions' logs from the emulator's CloudWatch Logs."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from dropzone_local.deployment import STACK_NAME
from dropzone_local.log_lines import LogLine, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dropzone_local.aws import Clients

# The emulator writes a call's lines when the call has ended, all with the time of its end, to a stream of the call's
# own. A busy machine can take a moment to do so: look back this far, and leave out what was shown.
_OVERLAP_MILLISECONDS = 5_000


class LogReader:
    """Reads on from where it was: each line once, oldest first."""

    def __init__(self, clients: Clients, *, since_seconds: float) -> None:
        """Begin this many seconds ago."""
        self._logs = clients.logs()
        self._groups = _groups(clients)
        self._from = int((time.time() - since_seconds) * 1000)
        # The lines that were read of each stream: how many, and the time of the last.
        self._read: dict[str, tuple[int, int]] = {}

    def read(self) -> list[LogLine]:
        """Return the lines that are new."""
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
            # A function's own group is there from its first call on.
            if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
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
