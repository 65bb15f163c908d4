"""How long a call goes on, and when it tries again."""

import random
import time
from collections.abc import Callable

from dropzone.ports import SilverConflictError, SilverUnavailableError, TimeLeft

RESERVE_SECONDS = 2.0
"""No new chunk is begun with less time than this left in the call."""

LAST_SECONDS = RESERVE_SECONDS / 2
"""Nor is another object of a chunk validated: what was validated before still has to be written."""

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0


def with_retries[T](call: Callable[[], T], time_left: TimeLeft, pause: Callable[[float], None] = time.sleep) -> T:
    """Make a call again after a deadlock or a serialization failure, with jitter, until little time is left.

    Raises:
        SilverUnavailableError: the conflict outlived the call's time.
    """
    longest = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return call()
        except SilverConflictError as error:
            wait = random.uniform(0, longest)  # noqa: S311 - jitter is no secret
            if time_left() - wait < RESERVE_SECONDS:
                message = f"conflicts until little time was left: {error}"
                raise SilverUnavailableError(message) from error
            pause(wait)
            longest = min(2 * longest, _LONGEST_PAUSE_SECONDS)
