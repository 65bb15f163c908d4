"""Process a batch of messages, each of which tells of objects that arrived in bronze."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from dropzone.ports import Bronze, ListedObject, Silver, TimeLeft
from dropzone.use_cases.objects import chunks, process_objects, process_with_attempts
from dropzone.use_cases.result import ProcessingResult
from dropzone.use_cases.retries import RESERVE_SECONDS, with_retries

CAUTIOUS_FROM_RECEIVE = 2
"""From this receive on, an attempt is recorded on objects before they are touched: one of them may kill its reader."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the queue. `receive_count` is 1 the first time that it is handed out."""

    message_id: str
    receive_count: int
    objects: tuple[ListedObject, ...]


@dataclass(slots=True)
class Report:
    """What became of a batch."""

    result: ProcessingResult = field(default_factory=ProcessingResult)
    deferred: list[UUID] = field(default_factory=list)
    """Objects for which no time was left; parts of the long ones may be written."""
    poison: list[UUID] = field(default_factory=list)
    """Objects that may have killed their reader, and wait until nothing else is in the batch."""
    returned: list[str] = field(default_factory=list)
    """The messages that go back, each because one of its objects isn't settled."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Objects that aren't settled, by what is known of them."""

    fresh: list[UUID] = field(default_factory=list)
    """Received for the first time: nothing speaks against them."""
    untried: list[UUID] = field(default_factory=list)
    """Received before, and no attempt is on record: most often the database was away."""
    tried: list[UUID] = field(default_factory=list)
    """One attempt is on record: they were in one chunk with what killed their reader, or did it."""
    poison: list[UUID] = field(default_factory=list)
    """More are on record: it killed its reader when it was alone, or can't be settled. Fewest attempts first."""
    known: set[UUID] = field(default_factory=set)
    """Those of all of these that have a receipt."""


def process(
    messages: Sequence[Message],
    *,
    bronze: Bronze,
    silver: Silver,
    time_left: TimeLeft,
    result: ProcessingResult | None = None,
) -> Report:
    """Settle every object that the messages tell of, chunk by chunk, each chunk in a transaction of its own.

    Args:
        messages: the batch.
        bronze: the objects.
        silver: the tables.
        time_left: the seconds left in this call.
        result: where to count, for who wants to know what was settled before the call failed.

    Raises:
        SilverUnavailableError: the database can't be used. The whole batch goes back, and what was settled before is
            recognised when it comes again.
    """
    report = Report(ProcessingResult() if result is None else result)
    sizes: dict[UUID, int] = {}
    receives: dict[UUID, int] = {}
    for message in messages:
        for raw_id, size in message.objects:
            sizes[raw_id] = size
            receives[raw_id] = max(receives.get(raw_id, 0), message.receive_count)
    waiting = _sorted(receives, report.result, silver, time_left)
    alone, report.poison = _choose(waiting.poison, messages)

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
            deferred = raw_ids
        elif is_recorded:
            deferred = process_with_attempts(
                raw_ids, report.result, bronze=bronze, silver=silver, time_left=time_left, only_due=False, known=known
            )
        else:
            deferred = process_objects(
                raw_ids, report.result, bronze=bronze, silver=silver, time_left=time_left, known=known
            )
        report.deferred.extend(deferred)

    unsettled = {*report.deferred, *report.poison, *(failure.raw_id for failure in report.result.errors)}
    report.returned = [
        message.message_id for message in messages if any(raw_id in unsettled for raw_id, _ in message.objects)
    ]
    return report


def _sorted(receives: dict[UUID, int], result: ProcessingResult, silver: Silver, time_left: TimeLeft) -> _Waiting:
    """Tell objects apart by their receives and their receipts; those that are settled are counted, and left out."""
    receipts = with_retries(lambda: silver.receipts(receives), time_left) if receives else {}
    waiting = _Waiting()
    for raw_id, receive_count in receives.items():
        receipt = receipts.get(raw_id)
        if receipt is not None and receipt.settled:
            result.duplicates += 1
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
    """The poison objects to take now, and those to leave.

    Should one kill its reader again, the whole batch would come back with it, settled or not, and end in the DLQ with
    it. So they are left while the batch holds anything else, and then taken one a call; the sweep tries them as well.
    """
    is_alone = all(any(listed.raw_id in poison for listed in message.objects) for message in messages)
    first = 1 if is_alone else 0
    return poison[:first], list(poison[first:])
