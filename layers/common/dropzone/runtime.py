"""The process of a function, and the time left in its calls."""

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from dropzone.ports import TimeLeft

_THRESHOLD = 100_000
"""New objects before a collection. Importing a function creates 40,000 to 75,000; Python's own threshold is 2,000."""


def collect_rarely() -> None:
    """Let a function start without a collection of cyclic garbage (docs/adr/0013).

    Each function's package calls this first. Objects without cycles are still freed at once.
    """
    gc.set_threshold(_THRESHOLD)


def time_left_in(context: "LambdaContext") -> "TimeLeft":
    """A function that returns the time left in a call, in seconds."""
    return lambda: context.get_remaining_time_in_millis() / 1000
