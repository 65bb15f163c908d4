"""Sweep bronze for objects that have no receipt: on a schedule, and on request (`POST /process`).

The listing starts at a watermark: every object up to it has a receipt. Unprocessed objects with a receipt were tried
before; they are found by their receipts.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

from dropzone.domain.identifiers import earliest_raw_id
from dropzone.ports import Bronze, ListedObject, Silver, TimeLeft
from dropzone.use_cases.objects import ON_REQUEST_CHUNK_OBJECTS, RESERVE_SECONDS, ProcessingResult, Processor, chunks

_MILLISECOND = timedelta(milliseconds=1)

WATERMARK_LAG = timedelta(minutes=15)
"""How far the watermark lags behind the present, so that late puts and clock differences stay above it."""

RETRY_SHARE = 5
"""One part in this many of a sweep's limit and time is reserved for objects that are due for another attempt."""


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

    Objects younger than `min_age` are left to the queue. `after` is an earlier sweep's cursor; without it the sweep
    starts at the watermark. With `retry_exhausted`, exhausted objects whose rare attempts are due are tried last:
    poison among them ends the call, so no client should be waiting. Pass a `result` to have the counts even if this
    raises.

    Raises:
        BronzeUnavailableError: the bucket can't be listed.
        SilverUnavailableError: the database can't be used. Objects processed until then stay processed.
    """
    result = ProcessingResult() if result is None else result
    processor = Processor(bronze, silver, time_left, result)
    now = datetime.now(UTC)
    start = processor.retrying(silver.watermark) if after is None else after
    due = processor.retrying(lambda: silver.due_for_retry(limit, exhausted=retry_exhausted))
    reserved_seconds = time_left() / RETRY_SHARE if due else 0.0

    def time_for_new() -> float:
        return time_left() - reserved_seconds

    # Identifiers have a resolution of one millisecond.
    end = earliest_raw_id(now - min_age + _MILLISECOND) if min_age else None
    limit_of_new = limit - min(len(due), limit // RETRY_SHARE)
    reached, tried, _ = sweep_range(start, end, replace(processor, time_left=time_for_new), limit_of_new)
    # Only a sweep from the watermark may raise it: with another start, the objects in between were not checked.
    watermark = min(reached, earliest_raw_id(now - WATERMARK_LAG))
    if after is None and watermark > start:
        processor.retrying(lambda: silver.advance_watermark(watermark))
    # One at a time: one of them may be poison.
    for raw_id in due[: limit - tried]:
        if time_left() < RESERVE_SECONDS:
            break
        processor.process_with_attempts([raw_id], only_due=True, known=[raw_id])
    if result.deferred and result.cursor is None:
        # The next call continues with the object for which no time was left.
        result.cursor = reached
    return result


class Reached(NamedTuple):
    """How far a range was swept."""

    raw_id: UUID
    """The last object checked; the start of the range if there is none."""
    tried: int = 0
    """The number of objects without a receipt."""
    passed: int = 0
    """The number of objects checked."""


def sweep_range(after: UUID, end: UUID | None, processor: Processor, limit: int) -> Reached:
    """Process up to `limit` objects that have no receipt, in order of arrival, after `after` and before `end`.

    The result's cursor is set to where to continue; it is unchanged if the end was reached.

    Raises:
        BronzeUnavailableError: the bucket can't be listed.
        SilverUnavailableError: the database can't be used. Objects processed until then stay processed.
    """
    pages = _pages(processor, after, end)
    reached = Reached(after)
    while processor.time_left() >= RESERVE_SECONDS:
        page = next(pages, None)
        if page is None:
            return reached
        last, tried = reached.raw_id, reached.tried
        for chunk in chunks(page.new, ON_REQUEST_CHUNK_OBJECTS):
            chosen = [listed.raw_id for listed in chunk[: limit - tried]]
            if chosen and processor.time_left() >= RESERVE_SECONDS:
                processor.process_with_attempts(chosen, only_due=True)
                tried += len(chosen)
                last = chosen[-1]
            if last != chunk[-1].raw_id:
                processor.result.cursor = last
                return Reached(last, tried, reached.passed + bisect_right(page.raw_ids, last))
        reached = Reached(page.raw_ids[-1], tried, reached.passed + len(page.raw_ids))
    processor.result.cursor = reached.raw_id
    return reached


class _Page(NamedTuple):
    """A page of the listing."""

    new: Sequence[ListedObject]
    """Its objects without a receipt."""
    raw_ids: Sequence[UUID]
    """All of its objects, in order."""


def _pages(processor: Processor, after: UUID, end: UUID | None) -> Iterator[_Page]:
    for listed in listed_between(processor.bronze, after, end, processor.time_left):
        raw_ids = [one.raw_id for one in listed]
        known = processor.retrying(partial(processor.silver.receipts, raw_ids))
        yield _Page([one for one in listed if one.raw_id not in known], raw_ids)


def listed_between(
    bronze: Bronze, after: UUID, end: UUID | None, time_left: TimeLeft
) -> Iterator[Sequence[ListedObject]]:
    """The objects in bronze after `after` and before `end`, in pages, none of which is empty."""
    for page in bronze.list_after(after, timeout=lambda: time_left() / 2):
        wanted = [listed for listed in page if end is None or listed.raw_id < end]
        if wanted:
            yield wanted
        if len(wanted) < len(page):
            return
