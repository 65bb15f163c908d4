"""Waiting for a condition, with a deadline."""

import time
from collections.abc import Callable


def wait_until[T](probe: Callable[[], T | None], *, seconds: float, every: float = 0.05) -> T | None:
    """Return the first result of the probe that is neither None nor False; None after the timeout."""
    deadline = time.monotonic() + seconds
    while True:
        result = probe()
        if result is not None and result is not False:
            return result
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return None
        time.sleep(min(every, remaining))
