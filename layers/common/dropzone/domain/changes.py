"""What validating an object again changes."""

from collections.abc import Sequence
from enum import StrEnum

from dropzone.domain.outcomes import Measurement, Outcome


class Change(StrEnum):
    """What validating an event again does to its outcome."""

    SAME = "same"
    NEW = "new"
    """It had none."""
    NOW_PROCESSED = "now_processed"
    """It was rejected."""
    NOW_REJECTED = "now_rejected"
    """It was processed."""
    OTHER_FIGURES = "other_figures"
    OTHER_FLAGS = "other_flags"
    """The same figures, with other warnings."""
    OTHER_REASONS = "other_reasons"
    GONE = "gone"
    """There is no such event any more, by today's rules."""


def compare(before: Sequence[Outcome | None], after: Sequence[Outcome]) -> list[Change]:
    """The change of each event of an object, or of a part of it, in the order of their items; None for no outcome."""
    changes = [_change(old, new) for old, new in zip(before, after, strict=False)]
    changes += [Change.NEW] * (len(after) - len(before))
    changes += [Change.GONE] * (len(before) - len(after))
    return changes


def _change(before: Outcome | None, after: Outcome) -> Change:
    if before is None:
        return Change.NEW
    # Another version of a contract that decides alike is no change.
    if before._replace(contract="") == after._replace(contract=""):
        return Change.SAME
    if isinstance(before, Measurement):
        if not isinstance(after, Measurement):
            return Change.NOW_REJECTED
        has_same_figures = before._replace(flags=(), contract="") == after._replace(flags=(), contract="")
        return Change.OTHER_FLAGS if has_same_figures else Change.OTHER_FIGURES
    return Change.NOW_PROCESSED if isinstance(after, Measurement) else Change.OTHER_REASONS
