"""Process a batch of messages, each of which tells of objects that arrived in bronze."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from dropzone.ports import Bronze, ListedObject, Receipt, Silver
from dropzone.use_cases.settle import RESERVE_SECONDS, Remaining, Tally, chunks, settle, settle_claimed, with_retries

CAUTIOUS_FROM_RECEIVE = 3
"""From this receive on, objects are taken one at a time: one of them may have killed the process that read it."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the queue. `receive_count` is 1 the first time that it is handed out."""

    message_id: str
    receive_count: int
    objects: tuple[ListedObject, ...]


@dataclass(slots=True)
class Report:
    """What became of a batch."""

    tally: Tally = field(default_factory=Tally)
    deferred: list[UUID] = field(default_factory=list)
    """Objects for which no time was left."""
    set_aside: list[UUID] = field(default_factory=list)
    """Objects that may have killed their reader, and wait until nothing else is in the batch."""
    returned: list[str] = field(default_factory=list)
    """The messages that go back, each because one of its objects isn't settled."""


def process(messages: Sequence[Message], *, bronze: Bronze, silver: Silver, remaining: Remaining) -> Report:
    """Settle every object that the messages tell of, chunk by chunk, each chunk in a transaction of its own.

    Raises:
        SilverUnavailableError: the database can't be used. The whole batch goes back, and what was settled before is
            recognised when it comes again.
    """
    report = Report()
    sizes: dict[UUID, int] = {}
    receives: dict[UUID, int] = {}
    for message in messages:
        for raw_id, size in message.objects:
            sizes[raw_id] = size
            receives[raw_id] = max(receives.get(raw_id, 0), message.receive_count)
    receipts = with_retries(lambda: silver.receipts(receives), remaining) if receives else {}
    waiting = [raw_id for raw_id in receives if not (raw_id in receipts and receipts[raw_id].settled)]
    report.tally.duplicates += len(receives) - len(waiting)

    for chunk in chunks(ListedObject(raw_id, sizes[raw_id]) for raw_id in waiting if not _is_suspect(receives[raw_id])):
        raw_ids = [listed.raw_id for listed in chunk]
        if remaining() < RESERVE_SECONDS:
            report.deferred.extend(raw_ids)
        else:
            settle(raw_ids, report.tally, bronze=bronze, silver=silver, remaining=remaining)

    suspects = [raw_id for raw_id in waiting if _is_suspect(receives[raw_id])]
    chosen, report.set_aside = _choose(suspects, receipts, messages)
    for raw_id in chosen:
        if remaining() < RESERVE_SECONDS:
            report.deferred.append(raw_id)
        else:
            settle_claimed([raw_id], report.tally, bronze=bronze, silver=silver, remaining=remaining, only_due=False)

    unsettled = {*report.deferred, *report.set_aside, *(failure.raw_id for failure in report.tally.failures)}
    report.returned = [
        message.message_id for message in messages if any(raw_id in unsettled for raw_id, _ in message.objects)
    ]
    return report


def _choose(
    suspects: Sequence[UUID], receipts: Mapping[UUID, Receipt], messages: Sequence[Message]
) -> tuple[list[UUID], list[UUID]]:
    """The suspects to take now, and those to leave.

    One that has an attempt on its receipt may have killed its reader. Should it do so again, the whole batch would come
    back with it, settled or not, and end in the DLQ with it. So those are left while the batch holds anything else, and
    then taken one a call; the sweep tries them as well.
    """
    tried = [raw_id for raw_id in suspects if raw_id in receipts and receipts[raw_id].attempts > 0]
    chosen = [raw_id for raw_id in suspects if raw_id not in tried]
    tried.sort(key=lambda raw_id: receipts[raw_id].attempts)
    alone = all(any(listed.raw_id in tried for listed in message.objects) for message in messages)
    first = 1 if alone else 0
    return chosen + tried[:first], tried[first:]


def _is_suspect(receive_count: int) -> bool:
    return receive_count >= CAUTIOUS_FROM_RECEIVE
