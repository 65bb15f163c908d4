"""What the oracle does with a running local stack beside what its clients can do: queue, processes, database."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

import psutil

from dropzone.domain.identifiers import raw_id_of
from dropzone_local.processes import kill, tree
from dropzone_local.stack import LocalStack

_RECEIVE_AT_ONCE = 10


class LiveStack:
    """A stack that runs."""

    def __init__(self, stack: LocalStack) -> None:
        assert stack.endpoints is not None
        self.stack = stack
        self.endpoints = stack.endpoints
        clients = stack.deployment.clients
        self.sqs, self.s3, self.lambda_ = clients.sqs(), clients.s3(), clients.lambda_()
        queue = self.endpoints.queue_url.rpartition("/")[2]
        (self.mapping,) = (
            mapping
            for mapping in self.lambda_.list_event_source_mappings()["EventSourceMappings"]
            if mapping["EventSourceArn"].rpartition(":")[2] == queue
        )

    # ---- the queue

    def set_visibility(self, seconds: int) -> None:
        """Let messages come again sooner than the template admits, so that a test needn't wait for it."""
        self.sqs.set_queue_attributes(QueueUrl=self.endpoints.queue_url, Attributes={"VisibilityTimeout": str(seconds)})

    def waiting(self, queue_url: str) -> int:
        """How many messages a queue holds, visible or not."""
        attributes = self.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"]) + int(attributes["ApproximateNumberOfMessagesNotVisible"])

    def visible(self, queue_url: str) -> int:
        """How many messages can be received."""
        attributes = self.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"])

    def take(self, queue_url: str, *, visibility: int) -> Iterator[tuple[str, str]]:
        """Receive what is visible: handles and bodies."""
        while messages := self.sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=_RECEIVE_AT_ONCE, VisibilityTimeout=visibility, WaitTimeSeconds=0
        ).get("Messages"):
            yield from ((message["ReceiptHandle"], message["Body"]) for message in messages)

    def delete(self, queue_url: str, handle: str) -> bool:
        """Delete a message; False where its time was over, and somebody else has it."""
        try:
            self.sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=handle)
        except self.sqs.exceptions.ReceiptHandleIsInvalid:
            return False
        return True

    def send(self, body: str) -> None:
        """Send a message to the queue."""
        self.sqs.send_message(QueueUrl=self.endpoints.queue_url, MessageBody=body)

    def dead_letters(self) -> list[tuple[str, str]]:
        """The dead letters: handles and bodies. They are hidden for a moment, so that none is seen twice."""
        return list(self.take(self.endpoints.dlq_url, visibility=2))

    @contextmanager
    def queue_held(self) -> Iterator[None]:
        """Keep the queue from feeding the function, for the time of a with block."""
        self.lambda_.update_event_source_mapping(UUID=self.mapping["UUID"], Enabled=False)
        try:
            yield
        finally:
            self.lambda_.update_event_source_mapping(UUID=self.mapping["UUID"], Enabled=True)

    # ---- the function's processes

    def workers(self, function: str = "") -> list[psutil.Process]:
        """The emulator's processes that run functions, those of one function where its name is given."""
        found = []
        for process in tree(self.stack.emulator.service.server)[1:]:
            with suppress(psutil.Error):
                if f"-{function}" in process.environ().get("AWS_LAMBDA_FUNCTION_NAME", "no function"):
                    found.append(process)
        return found

    def kill_workers(self, function: str) -> int:
        """Kill the processes of a function at once; how many there were."""
        doomed = self.workers(function)
        kill(doomed)
        return len(doomed)

    def kill_client_at(self, port: int) -> bool:
        """Kill the worker whose connection has this port on its side."""
        for process in self.workers():
            with suppress(psutil.Error):
                if any(entry.laddr.port == port for entry in process.net_connections("tcp")):
                    kill([process])
                    return True
        return False


def objects_of(body: str) -> list[UUID]:
    """The objects that a message names."""
    return [raw_id_of(record["s3"]["object"]["key"]) for record in json.loads(body).get("Records", [])]
