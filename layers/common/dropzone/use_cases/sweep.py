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
from dropzone.ports import Bronze, ListedObject, Silver
from dropzone.use_cases.settle import (
    ON_REQUEST_CHUNK_OBJECTS,
    RESERVE_SECONDS,
    Remaining,
    Tally,
    chunks,
    settle_claimed,
    with_retries,
)

WATERMARK_LAG = timedelta(minutes=15)
"""The watermark stays this far behind the present: puts that are late, and clocks that differ, stay above it."""


@dataclass(slots=True)
class SweepReport:
    """What a sweep did."""

    tally: Tally = field(default_factory=Tally)
    cursor: UUID | None = None
    """The last object looked at, when limit or time ended the sweep before the bucket did."""


def sweep(
    *,
    bronze: Bronze,
    silver: Silver,
    limit: int,
    min_age: timedelta,
    after: UUID | None,
    remaining: Remaining,
) -> SweepReport:
    """Settle up to `limit` objects that have no receipt, in order of arrival, then those that are due for another try.

    Args:
        bronze: the objects.
        silver: the receipts.
        limit: the most objects that are tried.
        min_age: younger objects are left to the queue; zero takes every object.
        after: where an earlier sweep's cursor stood; the watermark without it.
        remaining: the seconds left in this call.

    Raises:
        BronzeUnavailableError: the bucket can't be listed.
        SilverUnavailableError: the database can't be used. What was settled until then stays settled.
    """
    report = SweepReport()
    now = datetime.now(UTC)
    start = with_retries(silver.watermark, remaining) if after is None else after
    # Only a sweep from the watermark itself may raise it: what lies before another start was not looked at.
    ceiling = earliest_raw_id(now - WATERMARK_LAG) if after is None else None
    tried = 0
    reached = start
    for fresh, last in _pages(bronze, silver, start, now - min_age if min_age else None, remaining):
        if remaining() < RESERVE_SECONDS:
            report.cursor = reached
            break
        for chunk in chunks(fresh, ON_REQUEST_CHUNK_OBJECTS):
            chosen = [listed.raw_id for listed in chunk[: limit - tried]]
            if chosen and remaining() >= RESERVE_SECONDS:
                settle_claimed(chosen, report.tally, bronze=bronze, silver=silver, remaining=remaining, only_due=True)
                tried += len(chosen)
                reached = chosen[-1]
            if reached != chunk[-1].raw_id:
                report.cursor = reached
                break
        if report.cursor is not None:
            break
        reached = last
    if ceiling is not None and min(reached, ceiling) > start:
        with_retries(lambda: silver.advance_watermark(min(reached, ceiling)), remaining)
    if report.cursor is None:
        _try_again(report, limit - tried, bronze, silver, remaining)
    return report


def _pages(
    bronze: Bronze, silver: Silver, start: UUID, before: datetime | None, remaining: Remaining
) -> Iterator[tuple[list[ListedObject], UUID]]:
    """Pages of the listing: the objects without a receipt, and the page's last object; up to the first too young."""
    for page in bronze.list_after(start):
        old = [listed for listed in page if before is None or received_at(listed.raw_id) <= before]
        if old:
            raw_ids = [listed.raw_id for listed in old]
            known = with_retries(partial(silver.receipts, raw_ids), remaining)
            yield [listed for listed in old if listed.raw_id not in known], raw_ids[-1]
        if len(old) < len(page):
            return


def _try_again(report: SweepReport, limit: int, bronze: Bronze, silver: Silver, remaining: Remaining) -> None:
    """Try objects again that were tried before, one at a time: one of them may kill its reader."""
    if limit <= 0 or remaining() < RESERVE_SECONDS:
        return
    for raw_id in with_retries(lambda: silver.due(limit), remaining):
        if remaining() < RESERVE_SECONDS:
            return
        settle_claimed([raw_id], report.tally, bronze=bronze, silver=silver, remaining=remaining, only_due=True)
