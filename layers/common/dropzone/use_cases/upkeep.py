"""The steps of a scheduled run beside the sweep: months, gold, expectations of sources, notifications.

Each leaves what it has no time for to the next run, and raises its stores' errors: what was done before one stays.
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

# In events.
_FIRST_CHUNK = 10_000
_LARGEST_CHUNK = 160_000
_LONG_SECONDS = 2.0

_PAGE_OF_SOURCES = 10_000
_PAGE_OF_BATCHES = 20


def add_months(store: PartitionStore, *, time_left: TimeLeft) -> Months:
    """Make what months the tables need, until none is left to make or time is short; returns how many."""
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
    """Compute stale buckets again until none is left or time is short; returns how many it computed.

    A chunk is one transaction. It is measured in events, since a bucket may hold one or a million, and grows while it
    is quick.
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
    """Find the contract of sources that need one, and check all sources; returns how they do.

    Where time is short, the rest is left to the next run, and the result may be empty.
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
    """Hand over, through S3 (docs/adr/0027), what was not handed over yet; returns how many batches of changes.

    A crash in between leaves a batch where it is: it is handed over again, under the same names.
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
