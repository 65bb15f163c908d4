"""The process of a function, and the time of its calls."""

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from dropzone.ports import TimeLeft

_THRESHOLD = 100_000
"""New objects before a collection. Importing a function makes 40,000 to 75,000; Python's own threshold is 2,000."""


def collect_rarely() -> None:
    """Let a function start without a collection of cyclic garbage (docs/adr/0013).

    Each function's package does this first. What has no cycle is freed at once all the same.
    """
    gc.set_threshold(_THRESHOLD)


def time_left_in(context: "LambdaContext") -> "TimeLeft":
    return lambda: context.get_remaining_time_in_millis() / 1000
