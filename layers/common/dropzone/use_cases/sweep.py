"""Sweep bronze for objects that have no receipt: on a schedule, and on request (`POST /process`).

The listing starts at a watermark: every object up to it has a receipt. Objects that have one and aren't processed were
tried before; they are found by their receipts.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from dropzone.domain.identifiers import earliest_raw_id, received_at
from dropzone.ports import Bronze, ListedObject, Silver, TimeLeft
from dropzone.use_cases.objects import (
    ON_REQUEST_CHUNK_OBJECTS,
    RESERVE_SECONDS,
    ProcessingResult,
    chunks,
    process_with_attempts,
    with_retries,
)

WATERMARK_LAG = timedelta(minutes=15)
"""How far the watermark trails the present, so that late puts and clock differences stay above it."""

RETRY_SHARE = 5
"""One part in so many of a sweep's limit and time is reserved for objects that are due for another attempt."""


def sweep(
    *,
    bronze: Bronze,
    silver: Silver,
    limit: int,
    min_age: timedelta,
    after: UUID | None,
    time_left: TimeLeft,
    retry_exhausted: bool,
    result: ProcessingResult | None = None,
) -> ProcessingResult:
    """Process up to `limit` objects that have no receipt, in order of arrival, then those due for another attempt.

    Args:
        bronze: where to list and read.
        silver: where to write.
        limit: how many objects may be tried.
        min_age: younger objects are left to the queue; zero takes every object.
        after: an earlier sweep's cursor; without it the sweep starts at the watermark.
        time_left: the seconds left in this call.
        retry_exhausted: also try exhausted objects whose rare attempts are due, last of all. Poison among them ends the
            call, so no client should be waiting.
        result: where to count, for a caller that needs the counts even if this raises.

    Raises:
        BronzeUnavailableError: the bucket can't be listed.
        SilverUnavailableError: the database can't be used. What was processed until then stays processed.
    """
    result = ProcessingResult() if result is None else result
    now = datetime.now(UTC)
    start = with_retries(silver.watermark, time_left) if after is None else after
    due = with_retries(lambda: silver.due_for_retry(limit, exhausted=retry_exhausted), time_left)
    reserved_seconds = time_left() / RETRY_SHARE if due else 0.0

    def time_for_new() -> float:
        return time_left() - reserved_seconds

    pages = _pages(bronze, silver, start, now - min_age if min_age else None, time_for_new)
    limit_of_new = limit - min(len(due), limit // RETRY_SHARE)
    reached, tried = _process_new(result, pages, start, limit_of_new, bronze, silver, time_for_new)
    # Only a sweep from the watermark may raise it: what lies before another start was not looked at.
    watermark = min(reached, earliest_raw_id(now - WATERMARK_LAG))
    if after is None and watermark > start:
        with_retries(lambda: silver.advance_watermark(watermark), time_left)
    # One at a time: one of them may be poison.
    for raw_id in due[: limit - tried]:
        if time_left() < RESERVE_SECONDS:
            break
        process_with_attempts(
            [raw_id], result, bronze=bronze, silver=silver, time_left=time_left, only_due=True, known=[raw_id]
        )
    if result.deferred and result.cursor is None:
        # The next call goes on with the object for which no time was left.
        result.cursor = reached
    return result


Pages = Iterator[tuple[list[ListedObject], UUID]]
"""Of each page of the listing: the objects without a receipt, and the page's last object."""


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


def _process_new(
    result: ProcessingResult,
    pages: Pages,
    start: UUID,
    limit: int,
    bronze: Bronze,
    silver: Silver,
    time_left: TimeLeft,
) -> tuple[UUID, int]:
    """Process objects that have no receipt, up to a limit; the last object looked at, and how many were tried."""
    reached, tried = start, 0
    while time_left() >= RESERVE_SECONDS:
        new, last = next(pages, (None, reached))
        if new is None:
            return reached, tried
        for chunk in chunks(new, ON_REQUEST_CHUNK_OBJECTS):
            chosen = [listed.raw_id for listed in chunk[: limit - tried]]
            if chosen and time_left() >= RESERVE_SECONDS:
                process_with_attempts(chosen, result, bronze=bronze, silver=silver, time_left=time_left, only_due=True)
                tried += len(chosen)
                reached = chosen[-1]
            if reached != chunk[-1].raw_id:
                result.cursor = reached
                return reached, tried
        reached = last
    result.cursor = reached
    return reached, tried
