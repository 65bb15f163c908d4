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
from dropzone.ports import (
    Bronze,
    BronzeUnavailableError,
    Ledger,
    ListedObject,
    RawObject,
    Remaining,
    RowRefusedError,
    SilverUnavailableError,
)
from dropzone.use_cases.retries import RESERVE_SECONDS, with_retries
from dropzone.use_cases.settle import ON_REQUEST_CHUNK_OBJECTS, chunks, unread
from dropzone.use_cases.tally import Failure
from dropzone.use_cases.writing import MAX_CHUNK_EVENTS

_NIL = UUID(int=0)
"""Where identifiers begin: nothing arrived before."""


class Selection(Protocol):
    """Which objects to judge again."""

    def pages(
        self, after: UUID | None, bronze: Bronze, ledger: Ledger, remaining: Remaining
    ) -> Iterator[Sequence[ListedObject]]:
        """Those after a cursor, in order of arrival."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """The objects that arrived from one instant on, and before another."""

    since: datetime | None = None
    until: datetime | None = None

    def pages(
        self,
        after: UUID | None,
        bronze: Bronze,
        ledger: Ledger,  # noqa: ARG002 - the selection's face
        remaining: Remaining,
    ) -> Iterator[Sequence[ListedObject]]:
        """See `Selection.pages`."""
        start, end = _bounds(self.since, self.until, after)
        for page in bronze.list_after(start, within=lambda: remaining() / 2):
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

    def pages(
        self,
        after: UUID | None,
        bronze: Bronze,  # noqa: ARG002 - the selection's face
        ledger: Ledger,
        remaining: Remaining,  # noqa: ARG002
    ) -> Iterator[Sequence[ListedObject]]:
        """See `Selection.pages`."""
        reached, end = _bounds(self.since, self.until, after)
        while page := ledger.rejected_by(self.code, after=reached, before=end):
            yield [ListedObject(raw_id, 0) for raw_id in page]
            reached = page[-1]


@dataclass(frozen=True, slots=True)
class Named:
    """These objects."""

    raw_ids: tuple[UUID, ...]

    def pages(
        self,
        after: UUID | None,
        bronze: Bronze,  # noqa: ARG002 - the selection's face
        ledger: Ledger,  # noqa: ARG002
        remaining: Remaining,  # noqa: ARG002
    ) -> Iterator[Sequence[ListedObject]]:
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
    report: ReplayReport | None = None,
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
        report: where to count, for who wants to know what was done before the call failed.

    Raises:
        BronzeUnavailableError: the bucket can't be listed, and nothing was done before.
        SilverUnavailableError: the database can't be used, and nothing was done before.
    """
    report = ReplayReport() if report is None else report
    report.cursor = start = _NIL if after is None else after
    try:
        for reached in _judge_again(selection, limit, after, report, bronze, ledger, remaining, dry_run=dry_run):
            report.cursor = reached
    except (BronzeUnavailableError, SilverUnavailableError):
        # What was done is told first: who goes on from there meets the error then, and does none of the work twice.
        if report.cursor == start:
            raise
    return report


def _judge_again(
    selection: Selection,
    limit: int,
    after: UUID | None,
    report: ReplayReport,
    bronze: Bronze,
    ledger: Ledger,
    remaining: Remaining,
    *,
    dry_run: bool,
) -> Iterator[UUID | None]:
    """Judge again, part by part; yields the object up to which it is done, and nothing once all of them are."""
    taken = 0
    pages = selection.pages(after, bronze, ledger, remaining)
    while remaining() >= RESERVE_SECONDS:
        page = next(pages, None)
        if page is None:
            yield None
            return
        for chunk in _bounded(page):
            raw_ids = [listed.raw_id for listed in chunk][: limit - taken]
            if not raw_ids or remaining() < RESERVE_SECONDS:
                return
            for reached in _judge_chunk(raw_ids, report, bronze, ledger, remaining, dry_run=dry_run):
                yield reached
            taken += len(raw_ids)
            if reached != chunk[-1].raw_id:
                return


def _bounded(page: Sequence[ListedObject]) -> Iterator[Sequence[ListedObject]]:
    if any(listed.size == 0 for listed in page):
        return batched(page, _UNKNOWN_SIZE_CHUNK, strict=False)
    return chunks(page, ON_REQUEST_CHUNK_OBJECTS)


def _judge_chunk(
    raw_ids: Sequence[UUID],
    report: ReplayReport,
    bronze: Bronze,
    ledger: Ledger,
    remaining: Remaining,
    *,
    dry_run: bool,
) -> Iterator[UUID]:
    """Judge objects again, in parts of so many events that little time is never far; at least one part."""
    judged: list[JudgedObject] = []
    for raw_id, result in zip(raw_ids, bronze.read(raw_ids, within=remaining() / 2), strict=True):
        if not isinstance(result, RawObject):
            report.failures.append(unread(raw_id, result))
            continue
        judged.append(JudgedObject(raw_id, judge(result.body, result.content_type)))
        if sum(len(entry.outcomes) for entry in judged) >= MAX_CHUNK_EVENTS:
            _replay_judged(judged, report, ledger, remaining, dry_run=dry_run)
            judged = []
            yield raw_id
            if remaining() < RESERVE_SECONDS:
                return
    _replay_judged(judged, report, ledger, remaining, dry_run=dry_run)
    yield raw_ids[-1]


def _replay_judged(
    judged: Sequence[JudgedObject], report: ReplayReport, ledger: Ledger, remaining: Remaining, *, dry_run: bool
) -> None:
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
