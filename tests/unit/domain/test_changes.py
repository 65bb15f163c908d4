"""What validating an object again changes, event by event."""

from datetime import timedelta

import pytest

from dropzone.domain.outcomes import Change, Code, Measurement, Outcome, Rejection, compare
from support.factories import EXAMPLE_INSTANT, measurement, rejection

GOOD, BAD = measurement(), rejection()
WARNED = GOOD._replace(flags=rejection().violations, contract="a@2")


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (GOOD, measurement(), Change.SAME),
        (BAD, rejection(), Change.SAME),
        (GOOD, BAD, Change.NOW_REJECTED),
        (BAD, GOOD, Change.NOW_PROCESSED),
        (GOOD, measurement(mean=2.0), Change.OTHER_FIGURES),
        (GOOD, measurement(EXAMPLE_INSTANT + timedelta(microseconds=1)), Change.OTHER_FIGURES),
        (GOOD, measurement(source="a"), Change.OTHER_FIGURES),
        (GOOD._replace(contract="a@1"), GOOD._replace(contract="a@2"), Change.SAME),
        (BAD._replace(contract="a@1"), BAD._replace(contract="a@2"), Change.SAME),
        (GOOD, WARNED, Change.OTHER_FLAGS),
        (WARNED, GOOD, Change.OTHER_FLAGS),
        (WARNED, GOOD._replace(flags=rejection(index=2).violations), Change.OTHER_FLAGS),
        (GOOD, WARNED._replace(source="a"), Change.OTHER_FIGURES),
        (BAD, rejection(Code.DATA_EMPTY), Change.OTHER_REASONS),
        (BAD, rejection(index=2), Change.OTHER_REASONS),
        (BAD, Rejection(BAD.violations * 2), Change.OTHER_REASONS),
    ],
)
def test_an_event_changes(before: Outcome, after: Outcome, change: Change) -> None:
    assert compare([before], [after]) == [change]


def test_an_object_that_had_no_outcomes_has_only_new_events() -> None:
    assert compare([], [GOOD, BAD]) == [Change.NEW, Change.NEW]


def test_events_beyond_those_it_had_are_new() -> None:
    assert compare([GOOD], [GOOD, BAD, GOOD]) == [Change.SAME, Change.NEW, Change.NEW]


def test_events_that_it_has_no_more_are_gone() -> None:
    assert compare([BAD, GOOD, GOOD], [GOOD]) == [Change.NOW_PROCESSED, Change.GONE, Change.GONE]
    assert compare([GOOD], []) == [Change.GONE]


def test_nothing_before_and_nothing_after_is_no_change() -> None:
    assert compare([], []) == []


def test_events_are_compared_in_their_places() -> None:
    one, two = measurement(mean=1.0), measurement(mean=2.0)
    assert compare([one, two, BAD], [two, one, BAD]) == [Change.OTHER_FIGURES, Change.OTHER_FIGURES, Change.SAME]


def test_measurements_and_rejections_are_distinguished_by_type() -> None:
    # Both are tuples: an empty rejection and a measurement share nothing but that.
    assert isinstance(GOOD, Measurement)
    assert compare([Rejection(())], [GOOD]) == [Change.NOW_PROCESSED]
