"""Process a batch of queue messages, each of which names objects that arrived in bronze."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from dropzone.ports import Bronze, ListedObject, Silver, TimeLeft
from dropzone.use_cases.objects import RESERVE_SECONDS, ProcessingResult, Processor, chunks

CAUTIOUS_FROM_RECEIVE = 2
"""From this receive on, an attempt is recorded on objects before they are processed: one of them may be poison."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the queue. `receive_count` is 1 on the first delivery."""

    message_id: str
    receive_count: int
    objects: tuple[ListedObject, ...]
    is_last_receive: bool = False
    """Whether it goes to the DLQ if it is returned to the queue."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Unprocessed objects, by their receives and attempts."""

    fresh: list[UUID] = field(default_factory=list)
    """Received for the first time."""
    untried: list[UUID] = field(default_factory=list)
    """Received before, without a recorded attempt: most often, the database was unavailable."""
    tried: list[UUID] = field(default_factory=list)
    """With one recorded attempt: they are poison, or were in the same chunk as a poison object."""
    poison: list[UUID] = field(default_factory=list)
    """With more: the object ended its call even on its own, or can't be processed. Fewest attempts first."""
    known: set[UUID] = field(default_factory=set)
    """All of the above that have a receipt."""


def process(
    messages: Sequence[Message],
    *,
    bronze: Bronze,
    silver: Silver,
    time_left: TimeLeft,
    result: ProcessingResult | None = None,
) -> ProcessingResult:
    """Process every object that the messages name, chunk by chunk, each chunk in its own transaction.

    Pass a `result` to have the counts even if this raises.

    Raises:
        SilverUnavailableError: the database can't be used. The whole batch has to be delivered again; objects that
            were processed are recognised then.
    """
    result = ProcessingResult() if result is None else result
    sizes: dict[UUID, int] = {}
    receives: dict[UUID, int] = {}
    for message in messages:
        for raw_id, size in message.objects:
            sizes[raw_id] = size
            receives[raw_id] = max(receives.get(raw_id, 0), message.receive_count)
    processor = Processor(bronze, silver, time_left, result)
    waiting = _sorted(receives, processor)
    alone, result.poison = _choose(waiting.poison, messages)

    def cut(raw_ids: Iterable[UUID]) -> Iterable[list[UUID]]:
        listed = (ListedObject(raw_id, sizes[raw_id]) for raw_id in raw_ids)
        return ([entry.raw_id for entry in chunk] for chunk in chunks(listed))

    work = [
        *((chunk, False) for chunk in cut(waiting.fresh)),
        *((chunk, True) for chunk in cut(waiting.untried)),
        *(([raw_id], True) for raw_id in (*waiting.tried, *alone)),
    ]
    for raw_ids, is_recorded in work:
        known = waiting.known.intersection(raw_ids)
        if time_left() < RESERVE_SECONDS:
            result.deferred += raw_ids
        elif is_recorded:
            processor.process_with_attempts(raw_ids, only_due=False, known=known)
        else:
            processor.process(raw_ids, known)

    # On the last receive, a message goes to the DLQ only if it needs attention: the sweep processes the objects for
    # which no time was left.
    failed = {*result.poison, *(error.raw_id for error in result.errors)}
    unprocessed = failed.union(result.deferred)
    result.returned = [
        message.message_id
        for message in messages
        if any(raw_id in (failed if message.is_last_receive else unprocessed) for raw_id, _ in message.objects)
    ]
    return result


def _sorted(receives: dict[UUID, int], processor: Processor) -> _Waiting:
    """Sort objects by their receives and receipts; processed ones are counted, and left out."""
    receipts = processor.retrying(lambda: processor.silver.receipts(receives)) if receives else {}
    waiting = _Waiting()
    for raw_id, receive_count in receives.items():
        receipt = receipts.get(raw_id)
        if receipt is not None and receipt.complete:
            processor.result.duplicates += 1
            continue
        if receipt is not None:
            waiting.known.add(raw_id)
        if receive_count < CAUTIOUS_FROM_RECEIVE:
            waiting.fresh.append(raw_id)
        elif receipt is None or receipt.attempts == 0:
            waiting.untried.append(raw_id)
        elif receipt.attempts == 1:
            waiting.tried.append(raw_id)
        else:
            waiting.poison.append(raw_id)
    waiting.poison.sort(key=lambda raw_id: receipts[raw_id].attempts)
    return waiting


def _choose(poison: Sequence[UUID], messages: Collection[Message]) -> tuple[Sequence[UUID], list[UUID]]:
    """The poison objects to process now, and those to leave.

    If one ends its call again, the whole batch is delivered again, processed or not, and ends in the DLQ with it. So
    poison waits until the batch has nothing else, and is then processed one object per call; the sweep tries it, too.
    """
    is_alone = all(any(listed.raw_id in poison for listed in message.objects) for message in messages)
    first = 1 if is_alone else 0
    return poison[:first], list(poison[first:])
