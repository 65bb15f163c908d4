"""Keep gold near silver: compute anew what has changed, so that reading it costs little. It is right either way."""

import time
from collections.abc import Callable

from dropzone.ports import GoldKeeper, Remaining
from dropzone.use_cases.retries import RESERVE_SECONDS

_FIRST_CHUNK = 8
_LARGEST_CHUNK = 512
_LONG_SECONDS = 2.0


def keep_gold(keeper: GoldKeeper, *, remaining: Remaining, clock: Callable[[], float] = time.monotonic) -> int:
    """Compute stale parts of gold anew, chunk by chunk, until none is left or time is short; how many were.

    A chunk is a transaction. Chunks grow while they take little time, since a part may hold one event or a million.

    Raises:
        SilverUnavailableError, SilverConflictError: what was computed until then stays.
    """
    done, chunk = 0, _FIRST_CHUNK
    while remaining() >= RESERVE_SECONDS:
        began = clock()
        parts = keeper.refresh(chunk)
        if parts == 0:
            break
        done += parts
        took = clock() - began
        chunk = max(chunk // 2, 1) if took > _LONG_SECONDS else min(chunk * 2, _LARGEST_CHUNK)
    return done
