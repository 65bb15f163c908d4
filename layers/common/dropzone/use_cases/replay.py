"""Judge objects again, under today's rules: silver then is what it would be, had these rules always been."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched
from typing import Protocol
from uuid import UUID

from dropzone.domain.changes import Change, compare
from dropzone.domain.identifiers import earliest_raw_id
from dropzone.domain.judge import judge
from dropzone.domain.outcomes import Code, JudgedObject, Rejection
from dropzone.ports import Bronze, Ledger, ListedObject, RawObject, RowRefusedError
from dropzone.use_cases.settle import (
    ON_REQUEST_CHUNK_OBJECTS,
    RESERVE_SECONDS,
    Failure,
    Remaining,
    chunks,
    unread,
    with_retries,
)

_NIL = UUID(int=0)
"""Where identifiers begin: nothing arrived before."""


class Selection(Protocol):
    """Which objects to judge again."""

    def pages(self, after: UUID | None, bronze: Bronze, ledger: Ledger) -> Iterator[Sequence[ListedObject]]:
        """Those after a cursor, in order of arrival."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """The objects that arrived from one instant on, and before another."""

    since: datetime | None = None
    until: datetime | None = None

    def pages(self, after: UUID | None, bronze: Bronze, ledger: Ledger) -> Iterator[Sequence[ListedObject]]:  # noqa: ARG002 - the selection's face
        """See `Selection.pages`."""
        start, end = _bounds(self.since, self.until, after)
        for page in bronze.list_after(start):
            wanted = [listed for listed in page if end is None or listed.raw_id < end]
            if wanted:
                yield wanted
            if len(wanted) < len(page):
                return


@dataclass(frozen=True, slots=True)
class RejectedBy:
    """The objects with an event that a rule rejected."""

    code: Code
    since: datetime | None = None
    until: datetime | None = None

    def pages(self, after: UUID | None, bronze: Bronze, ledger: Ledger) -> Iterator[Sequence[ListedObject]]:  # noqa: ARG002 - the selection's face
        """See `Selection.pages`."""
        reached, end = _bounds(self.since, self.until, after)
        while page := ledger.rejected_by(self.code, after=reached, before=end):
            yield [ListedObject(raw_id, 0) for raw_id in page]
            reached = page[-1]


@dataclass(frozen=True, slots=True)
class Named:
    """These objects."""

    raw_ids: tuple[UUID, ...]

    def pages(self, after: UUID | None, bronze: Bronze, ledger: Ledger) -> Iterator[Sequence[ListedObject]]:  # noqa: ARG002 - the selection's face
        """See `Selection.pages`."""
        wanted = sorted(raw_id for raw_id in set(self.raw_ids) if after is None or raw_id > after)
        if wanted:
            yield [ListedObject(raw_id, 0) for raw_id in wanted]


def _bounds(since: datetime | None, until: datetime | None, after: UUID | None) -> tuple[UUID, UUID | None]:
    """The identifiers that a selection lies between, both left out."""
    # One less: an object may be the very first of its instant.
    start = UUID(int=earliest_raw_id(since).int - 1) if since is not None else _NIL
    end = earliest_raw_id(until) if until is not None else None
    return max(start, after or _NIL), end


@dataclass(slots=True)
class ReplayReport:
    """What judging again did, or would do."""

    checked: int = 0
    failed: int = 0
    """Objects with a rejected event."""
    changes: Counter[Change] = field(default_factory=Counter)
    """Events, by what changes for them."""
    failures: list[Failure] = field(default_factory=list)
    """Objects that could not be judged again; their outcomes stay as they are."""
    cursor: UUID | None = None
    """The last object looked at, when limit or time ended the call before the selection did."""

    @property
    def processed(self) -> int:
        """Objects without a rejected event."""
        return self.checked - self.failed


# An object whose size is not known is taken for one of the largest that ingest takes in.
_UNKNOWN_SIZE_CHUNK = 8


def replay(
    selection: Selection,
    *,
    bronze: Bronze,
    ledger: Ledger,
    limit: int,
    after: UUID | None,
    dry_run: bool,
    remaining: Remaining,
) -> ReplayReport:
    """Judge up to `limit` objects again, chunk by chunk, each chunk in a transaction of its own.

    Args:
        selection: which.
        bronze: the objects.
        ledger: their outcomes.
        limit: the most objects.
        after: where an earlier call's cursor stood.
        dry_run: whether to count what would change, and change nothing.
        remaining: the seconds left in this call.

    Raises:
        BronzeUnavailableError: the bucket can't be listed.
        SilverUnavailableError: the database can't be used; what was replaced until then stays replaced.
    """
    report = ReplayReport()
    reached = after
    taken = 0
    for page in selection.pages(after, bronze, ledger):
        for chunk in _bounded(page):
            raw_ids = [listed.raw_id for listed in chunk][: limit - taken]
            if raw_ids and remaining() >= RESERVE_SECONDS:
                _replay_chunk(raw_ids, report, bronze, ledger, remaining, dry_run=dry_run)
                taken += len(raw_ids)
                reached = raw_ids[-1]
            if reached != chunk[-1].raw_id:
                report.cursor = reached if reached is not None else UUID(int=max(chunk[0].raw_id.int - 1, 0))
                return report
    return report


def _bounded(page: Sequence[ListedObject]) -> Iterator[Sequence[ListedObject]]:
    if any(listed.size == 0 for listed in page):
        return batched(page, _UNKNOWN_SIZE_CHUNK, strict=False)
    return chunks(page, ON_REQUEST_CHUNK_OBJECTS)


def _replay_chunk(
    raw_ids: Sequence[UUID],
    report: ReplayReport,
    bronze: Bronze,
    ledger: Ledger,
    remaining: Remaining,
    *,
    dry_run: bool,
) -> None:
    judged: list[JudgedObject] = []
    for raw_id, result in zip(raw_ids, bronze.read(raw_ids), strict=True):
        if isinstance(result, RawObject):
            judged.append(JudgedObject(raw_id, judge(result.body)))
        else:
            report.failures.append(unread(raw_id, result))
    if not judged:
        return
    before = with_retries(lambda: ledger.outcomes([entry.raw_id for entry in judged]), remaining)
    for entry in judged if dry_run else _replaced(judged, report, ledger, remaining):
        report.checked += 1
        report.failed += any(isinstance(outcome, Rejection) for outcome in entry.outcomes)
        report.changes.update(compare(before.get(entry.raw_id, ()), entry.outcomes))


def _replaced(
    judged: Sequence[JudgedObject], report: ReplayReport, ledger: Ledger, remaining: Remaining
) -> Sequence[JudgedObject]:
    """Those whose outcomes could be replaced; where the database refuses a row, its object is left out."""
    try:
        with_retries(lambda: ledger.replace(judged), remaining)
    except RowRefusedError as error:
        if len(judged) == 1:
            report.failures.append(Failure(judged[0].raw_id, f"RowRefusedError: {error}", terminal=True))
            return []
        middle = len(judged) // 2
        return [
            *_replaced(judged[:middle], report, ledger, remaining),
            *_replaced(judged[middle:], report, ledger, remaining),
        ]
    return judged
