"""Process a batch of messages, each of which tells of objects that arrived in bronze."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from dropzone.ports import Bronze, ListedObject, Silver
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

    # Those that died with their reader before come last, so that they keep nothing from the others this time.
    suspects = [raw_id for raw_id in waiting if _is_suspect(receives[raw_id])]
    suspects.sort(key=lambda raw_id: receipts[raw_id].attempts if raw_id in receipts else 0)
    for raw_id in suspects:
        if remaining() < RESERVE_SECONDS:
            report.deferred.append(raw_id)
        else:
            settle_claimed([raw_id], report.tally, bronze=bronze, silver=silver, remaining=remaining, only_due=False)

    unsettled = {*report.deferred, *(failure.raw_id for failure in report.tally.failures)}
    report.returned = [
        message.message_id for message in messages if any(raw_id in unsettled for raw_id, _ in message.objects)
    ]
    return report


def _is_suspect(receive_count: int) -> bool:
    return receive_count >= CAUTIOUS_FROM_RECEIVE
