"""Changes of expectations, as people read them."""

from typing import Any

import pytest

from dropzone.domain.notifications import summary
from support.factories import change


@pytest.mark.parametrize(
    ("of", "text"),
    [
        ({"is_broken": False}, "hall-3 is back"),
        (
            {"expectation": "rejected_share", "observed": 0.125, "expected": 0.05},
            "hall-3: 12.5 % of its events of a day were rejected, more than 5 %",
        ),
        (
            {"expectation": "latency", "observed": 90},
            "hall-3 is behind: its measurements take 90 seconds to arrive, more than 10 minutes",
        ),
        (
            {"source": "", "observed": None},
            "the source without a name is silent: no event for an unknown time; one is expected every 10 minutes",
        ),
    ],
)
def test_changes_in_words(of: dict[str, Any], text: str) -> None:
    assert change(**of).text == text


@pytest.mark.parametrize(
    ("seconds", "span"),
    [
        (119, "119 seconds"),
        (120, "2 minutes"),
        (7_199, "120 minutes"),
        (7_200, "2 hours"),
        (172_799, "48 hours"),
        (172_800, "2 days"),
        (40 * 86_400, "40 days"),
    ],
)
def test_a_span_is_given_in_its_largest_unit_of_which_there_are_two(seconds: int, span: str) -> None:
    assert f"no event for {span};" in change(observed=seconds).text


@pytest.mark.parametrize(("number", "rest"), [(20, []), (21, ["and 1 more"]), (500, ["and 480 more"])])
def test_a_summary_names_the_first_twenty(number: int, rest: list[str]) -> None:
    lines = summary([change(f"hall-{place}", is_broken=False) for place in range(number)]).split("\n")

    assert lines == [*(f"hall-{place} is back" for place in range(20)), *rest]
