"""An object's state, of its events' states."""

import pytest

from dropzone.domain.status import State, state_of_all


@pytest.mark.parametrize(
    ("counts", "state"),
    [
        ({State.PROCESSED: 1, State.SUPERSEDED: 5, State.REJECTED: 5}, State.PROCESSED),
        ({State.PROCESSED: 0, State.SUPERSEDED: 1, State.REJECTED: 5}, State.SUPERSEDED),
        ({State.SUPERSEDED: 1}, State.SUPERSEDED),
        ({State.PROCESSED: 0, State.SUPERSEDED: 0, State.REJECTED: 5}, State.REJECTED),
        ({State.REJECTED: 1}, State.REJECTED),
    ],
)
def test_object_is_what_the_best_of_its_events_is(counts: dict[State, int], state: State) -> None:
    assert state_of_all(counts) is state
