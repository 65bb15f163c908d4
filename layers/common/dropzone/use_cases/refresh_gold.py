"""Compute stale buckets of gold again, so that reads cost little. They are right either way."""

import time
from collections.abc import Callable

from dropzone.ports import GoldStore, TimeLeft
from dropzone.use_cases.objects import RESERVE_SECONDS

# In events.
_FIRST_CHUNK = 10_000
_LARGEST_CHUNK = 160_000
_LONG_SECONDS = 2.0


def refresh_gold(store: GoldStore, *, time_left: TimeLeft, clock: Callable[[], float] = time.monotonic) -> int:
    """Compute stale buckets again until none is left or time is short; returns how many it computed.

    A chunk is one transaction. It is measured in events, since a bucket may hold one or a million, and grows while it
    is quick.

    Raises:
        SilverUnavailableError, SilverConflictError: what was computed until then stays.
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
