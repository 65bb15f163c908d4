"""Python's collector of cyclic garbage, in the process of a function."""

import gc

_THRESHOLD = 100_000
"""New objects before a collection. Importing a function makes 40,000 to 75,000; Python's own threshold is 2,000."""


def collect_rarely() -> None:
    """Let a function start without a collection (docs/adr/0013).

    Each function's package does this first. What has no cycle is freed at once all the same.
    """
    gc.set_threshold(_THRESHOLD)
