"""The machine of replays by fleet: how many calls at once, what is tried again, and what one range's failure leaves."""

import json
from typing import Any

import pytest

from unit.template.stacks import deployed


def states(*changes: tuple[str, str]) -> dict[str, Any]:
    """The states of the machine by name."""
    definition = json.loads(deployed("own", *changes).one("ReplayMachine")["DefinitionString"])
    found: dict[str, Any] = definition["States"]
    return found


@pytest.mark.parametrize("concurrency", ["1", "2", "4"])
def test_no_more_calls_run_at_once_than_the_database_has_connections_for(concurrency: str) -> None:
    # test_network_and_database.py holds the parameter against the connections of each class.
    assert states(("ReplayConcurrency", concurrency))["Ranges"]["MaxConcurrency"] == int(concurrency)


def test_a_call_is_tried_again_for_an_hour_and_a_range_that_fails_ends_no_other() -> None:
    ranges = states()["Ranges"]
    [retry] = ranges["ItemProcessor"]["States"]["Run"]["Retry"]

    pauses = [
        min(retry["IntervalSeconds"] * retry["BackoffRate"] ** number, retry["MaxDelaySeconds"])
        for number in range(retry["MaxAttempts"])
    ]
    assert retry["ErrorEquals"] == ["States.ALL"]
    assert 3_600 <= sum(pauses) <= 3_900
    assert ranges["ToleratedFailurePercentage"] == 100


def test_a_range_is_called_again_until_it_is_not_unfinished() -> None:
    run = states()["Ranges"]["ItemProcessor"]["States"]
    [again] = run["Is there more"]["Choices"]

    assert (again["StringEquals"], again["Next"], run["Go on"]["Next"]) == ("unfinished", "Go on", "Run")
    assert (run["Is there more"]["Default"], run["End"]["Result"]) == ("End", {})
