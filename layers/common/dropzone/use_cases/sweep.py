"""Sweep bronze for objects that have no receipt: on a schedule, and on request (`POST /process`).

The listing starts at a watermark, below which every object has a receipt, settled or not. Those that have one and
aren't settled were tried before; they are found by their receipts, not by listing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from dropzone.domain.identifiers import earliest_raw_id, received_at
from dropzone.ports import Bronze, ListedObject, Silver, TimeLeft
from dropzone.use_cases.objects import ON_REQUEST_CHUNK_OBJECTS, chunks, process_with_attempts
from dropzone.use_cases.result import ProcessingResult
from dropzone.use_cases.retries import RESERVE_SECONDS, with_retries

WATERMARK_LAG = timedelta(minutes=15)
"""The watermark stays this far behind the present: puts that are late, and clocks that differ, stay above it."""

RETRY_SHARE = 5
"""Of a sweep's limit and time, one part in so many is kept for objects that are due for another try."""


@dataclass(slots=True)
class SweepReport:
    """What a sweep did."""

    result: ProcessingResult = field(default_factory=ProcessingResult)
    tried: int = 0
    """Objects that were handed on to be settled, whatever became of them."""
    is_unfinished: bool = False
    """Whether time ended before an object did that was begun: the next call goes on with it."""
    cursor: UUID | None = None
    """The last object looked at, when limit or time ended the sweep before the bucket did, or an object."""


def sweep(
    *,
    bronze: Bronze,
    silver: Silver,
    limit: int,
    min_age: timedelta,
    after: UUID | None,
    time_left: TimeLeft,
    retry_exhausted: bool = False,
    result: ProcessingResult | None = None,
) -> SweepReport:
    """Settle up to `limit` objects that have no receipt, in order of arrival, then those that are due for another try.

    Args:
        bronze: the objects.
        silver: the receipts.
        limit: the most objects that are tried.
        min_age: younger objects are left to the queue; zero takes every object.
        after: where an earlier sweep's cursor stood; the watermark without it.
        time_left: the seconds left in this call.
        retry_exhausted: whether to try exhausted objects as well whose rare attempts are due, the last of all. One that
            kills its reader ends the call: nobody should wait for its answer.
        result: where to count, for who wants to know what was settled before the call failed.

    Raises:
        BronzeUnavailableError: the bucket can't be listed.
        SilverUnavailableError: the database can't be used. What was settled until then stays settled.
    """
    report = SweepReport(ProcessingResult() if result is None else result)
    now = datetime.now(UTC)
    start = with_retries(silver.watermark, time_left) if after is None else after
    # Only a sweep from the watermark itself may raise it: what lies before another start was not looked at.
    ceiling = earliest_raw_id(now - WATERMARK_LAG) if after is None else None
    due = with_retries(lambda: silver.due_for_retry(limit, exhausted=retry_exhausted), time_left)
    kept_seconds = time_left() / RETRY_SHARE if due else 0.0

    def time_for_fresh() -> float:
        return time_left() - kept_seconds

    pages = _pages(bronze, silver, start, now - min_age if min_age else None, time_for_fresh)
    reached = _take_fresh(
        report, pages, start, limit - min(len(due), limit // RETRY_SHARE), bronze, silver, time_for_fresh
    )
    if ceiling is not None and min(reached, ceiling) > start:
        with_retries(lambda: silver.advance_watermark(min(reached, ceiling)), time_left)
    _try_again(report, due[: limit - report.tried], bronze, silver, time_left)
    if report.is_unfinished and report.cursor is None:
        report.cursor = reached
    return report


Pages = Iterator[tuple[list[ListedObject], UUID]]
"""Of the listing: the objects without a receipt, and the page's last object."""


def _pages(bronze: Bronze, silver: Silver, start: UUID, before: datetime | None, time_left: TimeLeft) -> Pages:
    """The pages from `start` up to the first object that is too young."""
    for page in bronze.list_after(start, timeout=lambda: time_left() / 2):
        old = [listed for listed in page if before is None or received_at(listed.raw_id) <= before]
        if old:
            raw_ids = [listed.raw_id for listed in old]
            known = with_retries(partial(silver.receipts, raw_ids), time_left)
            yield [listed for listed in old if listed.raw_id not in known], raw_ids[-1]
        if len(old) < len(page):
            return


def _take_fresh(
    report: SweepReport, pages: Pages, start: UUID, limit: int, bronze: Bronze, silver: Silver, time_left: TimeLeft
) -> UUID:
    """Settle objects that have no receipt, up to a limit; answers the last object looked at."""
    reached = start
    while time_left() >= RESERVE_SECONDS:
        fresh, last = next(pages, (None, reached))
        if fresh is None:
            return reached
        for chunk in chunks(fresh, ON_REQUEST_CHUNK_OBJECTS):
            chosen = [listed.raw_id for listed in chunk[: limit - report.tried]]
            if chosen and time_left() >= RESERVE_SECONDS:
                deferred = process_with_attempts(
                    chosen, report.result, bronze=bronze, silver=silver, time_left=time_left, only_due=True
                )
                report.tried += len(chosen)
                report.is_unfinished = report.is_unfinished or bool(deferred)
                reached = chosen[-1]
            if reached != chunk[-1].raw_id:
                report.cursor = reached
                return reached
        reached = last
    report.cursor = reached
    return reached


def _try_again(report: SweepReport, due: list[UUID], bronze: Bronze, silver: Silver, time_left: TimeLeft) -> None:
    """Try objects again that were tried before, one at a time: one of them may kill its reader."""
    for raw_id in due:
        if time_left() < RESERVE_SECONDS:
            return
        deferred = process_with_attempts(
            [raw_id], report.result, bronze=bronze, silver=silver, time_left=time_left, only_due=True, known=[raw_id]
        )
        report.tried += 1
        report.is_unfinished = report.is_unfinished or bool(deferred)
