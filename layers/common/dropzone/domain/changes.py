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
    if before == after:
        return Change.SAME
    if isinstance(before, Measurement):
        return Change.OTHER_FIGURES if isinstance(after, Measurement) else Change.NOW_REJECTED
    return Change.NOW_PROCESSED if isinstance(after, Measurement) else Change.OTHER_REASONS
