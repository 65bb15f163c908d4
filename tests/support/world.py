"""The use cases between two fakes with hooks, a clock that is set by hand, and a queue like SQS."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from dropzone.ports import Bronze, ListedObject, Silver, SilverUnavailableError, TimeLeft
from dropzone.use_cases.objects import ProcessingResult, Processor
from dropzone.use_cases.process import Message, process
from dropzone.use_cases.sweep import sweep
from support.factories import EXAMPLE, arrive
from support.fakes import Hook, HookedBronze, HookedSilver, InMemoryBronze, InMemorySilver, ReaderDiedError


@dataclass(slots=True)
class Clock:
    """The seconds that are left in a call."""

    left: float = 60.0

    def time_left(self) -> float:
        return self.left

    def spend(self, seconds: float) -> None:
        self.left -= seconds


@dataclass(slots=True)
class World:
    """Bronze and silver in memory, and what happens between them."""

    objects: InMemoryBronze = field(default_factory=InMemoryBronze)
    rows: InMemorySilver = field(default_factory=InMemorySilver)
    clock: Clock = field(default_factory=Clock)
    bronze: HookedBronze = field(init=False)
    silver: HookedSilver = field(init=False)

    def __post_init__(self) -> None:
        self.bronze, self.silver = HookedBronze(self.objects), HookedSilver(self.rows)

    def arrive(self, body: bytes = EXAMPLE, age: timedelta = timedelta(0)) -> UUID:
        return arrive(self.objects, body, age)

    def process(self, *messages: Message, result: ProcessingResult | None = None) -> ProcessingResult:
        return process(messages, bronze=self.bronze, silver=self.silver, time_left=self.clock.time_left, result=result)

    def sweep(
        self,
        limit: int = 10_000,
        min_age: timedelta = timedelta(0),
        after: UUID | None = None,
        *,
        retry_exhausted: bool = False,
        result: ProcessingResult | None = None,
    ) -> ProcessingResult:
        return sweep(
            bronze=self.bronze,
            silver=self.silver,
            limit=limit,
            min_age=min_age,
            after=after,
            time_left=self.clock.time_left,
            retry_exhausted=retry_exhausted,
            result=result,
        )

    def process_objects(self, *raw_ids: UUID) -> ProcessingResult:
        """Process objects as a chunk of any call is."""
        result = ProcessingResult()
        Processor(self.bronze, self.silver, self.clock.time_left, result).process(raw_ids)
        return result

    @property
    def completed(self) -> set[UUID]:
        return {raw_id for raw_id, receipt in self.rows.receipt_rows().items() if receipt.complete}

    def attempts(self, raw_id: UUID) -> int:
        return self.rows.receipt_rows()[raw_id].attempts


@dataclass(slots=True)
class Failing:
    """A hook that raises at the calls of one method, while there are failures left."""

    method: str
    error: BaseException
    times: int = 1

    def __call__(self, method: str, _raw_ids: Collection[UUID]) -> None:
        if method == self.method and self.times > 0:
            self.times -= 1
            raise self.error


def refusing(error: BaseException, method: str = "", of: UUID | None = None) -> Hook:
    """A hook that raises at each call, or at those of one method, or about one object."""

    def refuse(called: str, raw_ids: Collection[UUID]) -> None:
        if method in {"", called} and (of is None or of in raw_ids):
            raise error

    return refuse


@dataclass(slots=True)
class Queue:
    """Messages that come again until they are done or were received too often; then they are dead letters."""

    bronze: Bronze
    silver: Silver
    time_left: TimeLeft
    max_receive_count: int = 5
    waiting: list[Message] = field(default_factory=list)
    dead: list[Message] = field(default_factory=list)

    def send(self, *raw_ids: UUID) -> None:
        """Send a message for each object."""
        self.waiting += [Message(f"message of {raw_id}", 0, (ListedObject(raw_id, 100),)) for raw_id in raw_ids]

    def deliver(self) -> None:
        """Hand all messages to the function, as one batch."""
        self.dead += [message for message in self.waiting if message.receive_count == self.max_receive_count]
        batch = [
            Message(message.message_id, receives, message.objects, is_last_receive=receives == self.max_receive_count)
            for message in self.waiting
            if (receives := message.receive_count + 1) <= self.max_receive_count
        ]
        try:
            returned = process(batch, bronze=self.bronze, silver=self.silver, time_left=self.time_left).returned
        except (ReaderDiedError, SilverUnavailableError):
            returned = [message.message_id for message in batch]
        self.waiting = [message for message in batch if message.message_id in returned]

    def drain(self) -> None:
        """Deliver until nothing waits."""
        while self.waiting:
            self.deliver()
