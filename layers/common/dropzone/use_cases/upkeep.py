"""The steps of a scheduled run besides the sweep: months, gold, expectations of sources, notifications.

Each leaves the work it has no time for to the next run, and raises its stores' errors; completed work stays.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import get_args

from dropzone.domain.contracts import Contracts
from dropzone.domain.expectations import Expectation
from dropzone.domain.notifications import Channel
from dropzone.ports import (
    ExpectationStore,
    GoldStore,
    Months,
    Notifications,
    PartitionStore,
    SilverTable,
    Standing,
    TimeLeft,
)
from dropzone.use_cases.objects import RESERVE_SECONDS

# Sizes in events.
_FIRST_CHUNK = 10_000
_LARGEST_CHUNK = 160_000
_LONG_SECONDS = 2.0

_PAGE_OF_SOURCES = 10_000
_PAGE_OF_BATCHES = 20


def add_months(store: PartitionStore, *, time_left: TimeLeft) -> Months:
    """Create the months that the tables need, while there is time; returns how many were made and how many not."""
    made = missing = 0
    for table in get_args(SilverTable):
        while time_left() >= RESERVE_SECONDS:
            months = store.add_months(table)
            made += months.made
            if months.made == 0 or months.missing:
                missing += months.missing
                break
    return Months(made, missing)


def refresh_gold(store: GoldStore, *, time_left: TimeLeft, clock: Callable[[], float] = time.monotonic) -> int:
    """Recompute stale buckets until none is left or time is short; returns how many it computed.

    A chunk is one transaction. Its size is in events, since a bucket may hold one or a million, and grows while chunks
    are fast.
    """
    done, chunk = 0, _FIRST_CHUNK
    while time_left() >= RESERVE_SECONDS:
        began = clock()
        buckets = store.refresh(chunk)
        if buckets == 0:
            break
        done += buckets
        took = clock() - began
        chunk = max(chunk // 2, 1) if took > _LONG_SECONDS else min(chunk * 2, _LARGEST_CHUNK)
    return done


def check_expectations(
    store: ExpectationStore, contracts: Contracts, *, time_left: TimeLeft
) -> Mapping[Expectation, Standing]:
    """Assign contracts to sources that need one, and check all sources; returns the result of each expectation.

    If time is short, the rest is left to the next run, and the result may be empty.
    """
    store.deploy()
    while time_left() >= RESERVE_SECONDS:
        page = store.unassigned(contracts.ruleset, _PAGE_OF_SOURCES)
        if page:
            chosen = {source: contracts.expecting(source, decided_by).id for source, decided_by in page}
            store.assign(contracts.ruleset, chosen)
        if len(page) < _PAGE_OF_SOURCES:
            break
    return store.check() if time_left() >= RESERVE_SECONDS else {}


def hand_over(
    store: ExpectationStore, notifications: Notifications, channels: Sequence[Channel], *, time_left: TimeLeft
) -> int:
    """Hand over batches of changes, through S3 (docs/adr/0027), that were not handed over yet; returns how many.

    After a crash in between, a batch is handed over again, under the same names.
    """
    done = 0
    while time_left() >= RESERVE_SECONDS:
        batches = store.unsent(_PAGE_OF_BATCHES)
        for batch_id, changes in batches:
            for channel in channels:
                notifications.put(channel, batch_id, changes)
            store.sent(batch_id)
            done += 1
        if len(batches) < _PAGE_OF_BATCHES:
            break
    return done
