"""Keep gold near silver: compute again what has changed, so that reading it costs little. It is right either way."""

import time
from collections.abc import Callable

from dropzone.ports import GoldStore, TimeLeft
from dropzone.use_cases.retries import RESERVE_SECONDS

# Of events.
_FIRST_CHUNK = 10_000
_LARGEST_CHUNK = 160_000
_LONG_SECONDS = 2.0


def refresh_gold(keeper: GoldStore, *, time_left: TimeLeft, clock: Callable[[], float] = time.monotonic) -> int:
    """Compute stale buckets of gold again, chunk by chunk, until none is left or time is short; how many were.

    A chunk is a transaction, of so many events: a bucket may hold one or a million. Chunks grow while they are quick.

    Raises:
        SilverUnavailableError, SilverConflictError: what was computed until then stays.
    """
    done, chunk = 0, _FIRST_CHUNK
    while time_left() >= RESERVE_SECONDS:
        began = clock()
        buckets = keeper.refresh(chunk)
        if buckets == 0:
            break
        done += buckets
        took = clock() - began
        chunk = max(chunk // 2, 1) if took > _LONG_SECONDS else min(chunk * 2, _LARGEST_CHUNK)
    return done
