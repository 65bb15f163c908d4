"""S3, SQS and Lambda around the real handlers and the real Postgres, every step in the test's hands.

S3 is moto's server, the handlers run in processes that die for real (`mortal.py`), and the queue is simulated here as
Lambda's event source mapping works it: batches, visibility, receive counts, partial answers, dead messages. A `Plan`
says at which boundaries something dies; boundaries are counted over a whole life, in the order in which they come.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import obstore
from obstore.store import S3Store

from dropzone.domain.identifiers import new_raw_id, object_key, raw_id_of
from dropzone_local.environment import tool_environment
from dropzone_local.polling import wait_until
from functional.lambda_calls import api_event, json_body, sample
from resilience.events import Event
from resilience.mortal import Ended, Order
from support.background import in_background
from support.factories import s3_event
from support.postgres import SilverInPostgres, writer_environment

TESTS = Path(__file__).parents[1]
REGION: Final = "eu-central-1"
MAX_RECEIVE_COUNT = 5
_MANY_ROUNDS = 40


# ---- who dies when ---------------------------------------------------------------------------------------------------


class Plan:
    """The boundaries at which something dies."""

    def __init__(self, deaths: Collection[int] = ()) -> None:
        self._deaths = sorted(deaths)
        self.passed: list[str] = []
        self.died_at: list[str] = []
        self.interesting = 0
        """The boundaries up to where things merely go on as they do each day."""

    @property
    def next_death(self) -> int | None:
        """How many boundaries from here the next death is, None where there is none."""
        return next((death - len(self.passed) for death in self._deaths if death >= len(self.passed)), None)

    def note(self, ended: Ended) -> None:
        """Count the boundaries that a call passed, and the one it died at."""
        self.passed += ended.boundaries
        if ended.died_at:
            self._die(ended.died_at)

    def reach(self, name: str) -> bool:
        """Pass a boundary of the queue's; whether whoever works the queue dies at it."""
        dies = self.next_death == 0
        if dies:
            self._die(name)
        else:
            self.passed.append(name)
        return dies

    def _die(self, name: str) -> None:
        self.passed.append(name)
        self.died_at.append(name)


# ---- processes -------------------------------------------------------------------------------------------------------


class Containers:
    """Makes a container for each call."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def call(self, order: Order) -> Ended:
        """Call a function in a new container."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the program that makes containers has ended: its error is on standard error"
        return Ended(**json.loads(line))


@contextmanager
def running_containers(variables: Mapping[str, str]) -> Iterator[Containers]:
    """Run the program that makes containers, for the time of a with block, with variables in its environment."""
    with subprocess.Popen(
        [sys.executable, "-m", "resilience.mortal"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=TESTS,
        env=tool_environment(base=os.environ)
        | {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "PYTHONPATH": os.pathsep.join(sys.path), **variables},
    ) as process:
        yield Containers(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=30)


# ---- the queue -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Message:
    """A message."""

    body: object
    receives: int = 0
    message_id: str = field(default_factory=lambda: str(uuid4()))

    def record(self) -> dict[str, Any]:
        """What Lambda hands over of it."""
        return {
            "messageId": self.message_id,
            "receiptHandle": f"handle-{self.receives}",
            "body": self.body if isinstance(self.body, str) else json.dumps(self.body),
            "attributes": {"ApproximateReceiveCount": str(self.receives)},
            "eventSource": "aws:sqs",
        }


@dataclass(slots=True)
class SimulatedQueue:
    """Messages come again each time that their visibility ends, until they are deleted or were received too often."""

    batch_size: int = 10
    max_receive_count: int = MAX_RECEIVE_COUNT
    waiting: list[Message] = field(default_factory=list)
    dead: list[Message] = field(default_factory=list)

    def send(self, *bodies: object) -> None:
        self.waiting += [Message(body) for body in bodies]

    def period(self, call: Callable[[list[Message]], Collection[Message]]) -> None:
        """Hand every message out once, in batches; what the call returns is done, all else comes the next time."""
        visible = list(self.waiting)
        while visible:
            batch, visible = visible[: self.batch_size], visible[self.batch_size :]
            worn = [message for message in batch if message.receives == self.max_receive_count]
            batch = [message for message in batch if message not in worn]
            self.dead += worn
            for message in batch:
                message.receives += 1
            gone = [*worn, *(call(batch) if batch else [])]
            self.waiting = [message for message in self.waiting if message not in gone]

    def redrive(self) -> None:
        """Give dead messages another life."""
        messages, self.dead = self.dead, []
        self.send(*(message.body for message in messages))


# ---- everything together ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class World:
    """A bucket, a queue and the tables, and the functions between them."""

    containers: Containers
    endpoint: str
    bucket: str
    store: S3Store
    """A look into the bucket. boto3 would take most of the tests' own time."""
    tables: SilverInPostgres
    plan: Plan = field(default_factory=Plan)
    queue: SimulatedQueue = field(default_factory=SimulatedQueue)
    sent: dict[bytes, Event] = field(default_factory=dict)
    deadly: set[UUID] = field(default_factory=set)
    checked: float = 0
    """Objects that calls said they completed: fewer than all, where a call died after its commit; never more."""

    # ---- what happens to objects

    def put(self, event: Event) -> UUID:
        """Put an event into bronze, as ingest does, and say nothing of it."""
        raw_id = new_raw_id()
        obstore.put(self.store, object_key(raw_id), event.body)
        self.sent[event.body] = event
        return raw_id

    def arrive(self, event: Event) -> UUID:
        """Put an event into bronze, and notify the queue."""
        raw_id = self.put(event)
        self.notify(raw_id)
        return raw_id

    def notify(self, *raw_ids: UUID) -> None:
        """Send a message for each object."""
        self.queue.send(*(s3_event(raw_id, bucket=self.bucket) for raw_id in raw_ids))

    def delete(self, raw_id: UUID) -> None:
        """Delete an object, against all rules."""
        obstore.delete(self.store, object_key(raw_id))

    def listed(self) -> set[UUID]:
        """The objects in the bucket."""
        return {raw_id_of(entry["path"]) for page in obstore.list(self.store) for entry in page}

    def bronze(self) -> dict[UUID, bytes]:
        """What lies in the bucket, with the bytes."""
        return {raw_id: obstore.get(self.store, object_key(raw_id)).bytes().to_bytes() for raw_id in self.listed()}

    # ---- the functions

    def call(self, function: str, event: Mapping[str, Any]) -> Ended:
        """Call a function in a new container, which dies where the plan says so."""
        ended = self.containers.call(
            Order(
                function,
                dict(event),
                self._environment(),
                die_at=self.plan.next_death,
                deadly=tuple(map(object_key, self.deadly)),
            )
        )
        self.plan.note(ended)
        self.checked += ended.metrics.get("Checked", 0)
        return ended

    def overtake(
        self, event: Mapping[str, Any], frozen_at: int | None, gate: Path, other: Containers
    ) -> tuple[Ended, Ended]:
        """Hand a batch to a call that pauses at a boundary, to another call meanwhile, and let the first go on.

        So it is when a call takes longer than the messages stay hidden.
        """
        slow = Order("process", dict(event), self._environment(), freeze_at=frozen_at, gate=str(gate))
        first = in_background(lambda: other.call(slow))
        assert wait_until(lambda: (gate / "frozen").exists() or first.done(), seconds=60, every=0.002)
        second = self.call("process", event)
        (gate / "open").touch()
        ended = first.result(timeout=60)
        self.checked += ended.metrics.get("Checked", 0)
        return ended, second

    def ingest(self, event: Event, tries: int = 10) -> UUID:
        """Send an event until it is acknowledged, as a client does; S3 notifies the queue of each new object."""
        self.sent[event.body] = event
        for _ in range(tries):
            before = self.listed()
            ended = self.call("ingest", api_event(event.body))
            self.notify(*sorted(self.listed() - before))
            if ended.answer is not None and ended.answer["statusCode"] == 202:
                return UUID(json_body(ended.answer)["raw_id"])
        raise AssertionError(f"not acknowledged in {tries} tries")

    def deliver(self) -> None:
        """Hand every message out once."""
        self.queue.period(self._process)

    def _process(self, batch: list[Message]) -> list[Message]:
        """Do what Lambda's poller does with a batch; it can die as well, and what it didn't delete comes again."""
        if self.plan.reach("sqs received, not processed"):
            return []
        ended = self.call("process", {"Records": [message.record() for message in batch]})
        if ended.answer is None or self.plan.reach("sqs answered, not deleted"):
            return []
        failed = {entry["itemIdentifier"] for entry in ended.answer["batchItemFailures"]}
        deleted = []
        for message in batch:
            if message.message_id not in failed:
                deleted.append(message)
                if self.plan.reach("sqs deleted, the next one not"):
                    break
        return deleted

    def drain(self) -> None:
        """Deliver until nothing waits."""
        for _ in range(_MANY_ROUNDS):
            if not self.queue.waiting:
                return
            self.deliver()
        raise AssertionError(f"{len(self.queue.waiting)} messages wait after {_MANY_ROUNDS} rounds")

    def sweep(self) -> Ended:
        """Let the schedule strike, an hour after the last time that anything happened."""
        self.tables.pass_time(timedelta(hours=1))
        return self.call("sweep", sample("schedule"))

    def post_process(self, limit: int = 100) -> Ended:
        """Ask for a batch to be processed."""
        self.tables.pass_time(timedelta(hours=1))
        return self.call("sweep", api_event(json.dumps({"limit": limit}).encode(), like="api-process"))

    def recover(self) -> None:
        """Let things go on without further deaths: the queue, a redrive, and the sweep until it finds nothing to do."""
        self.drain()
        self.queue.redrive()
        self.drain()
        self.plan.interesting = len(self.plan.passed)
        for _ in range(_MANY_ROUNDS):
            ended = self.sweep()
            if not ended.died_at and ended.answer is not None and not ended.answer["checked"]:
                return
        raise AssertionError("the sweep finds no end")

    def completed(self) -> set[UUID]:
        """The objects that have their outcomes."""
        return {raw_id for raw_id, receipt in self.tables.receipt_rows().items() if receipt.complete}

    def attempts(self, raw_id: UUID) -> int:
        """The tries of an object that count."""
        receipt = self.tables.receipt_rows().get(raw_id)
        return receipt.attempts if receipt else 0

    def dead_objects(self) -> list[UUID]:
        """The objects that dead messages name."""
        bodies = [message.body for message in self.queue.dead if isinstance(message.body, dict)]
        return [raw_id_of(record["s3"]["object"]["key"]) for body in bodies for record in body["Records"]]

    def _environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "BRONZE_BUCKET": self.bucket,
            "DEFAULT_SCOPES": "ingest,read,operate",
            "MAX_BODY_BYTES": "4194304",
            **writer_environment(self.tables.server),
            "CALL_SECONDS": "20",
            "SWEEP_RETRY_SECONDS": "100",
            "MAX_RECEIVE_COUNT": str(MAX_RECEIVE_COUNT),
            "SWEEP_MIN_AGE_SECONDS": "0",
        }
