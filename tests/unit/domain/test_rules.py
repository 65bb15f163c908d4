import math
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from dropzone.domain.aggregates import Aggregates, aggregate
from dropzone.domain.outcomes import Code, Rejection, Violation
from dropzone.domain.payloads import EventV1

LARGEST = int(sys.float_info.max)
"""As an integer; half a unit in the last place above it, binary64 ends."""

numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-LARGEST, LARGEST))
strangers: SearchStrategy[object] = st.one_of(st.booleans(), st.none(), st.text(), st.lists(st.integers()), st.just({}))
endless = st.sampled_from([math.inf, -math.inf, 10**309, -(10**4000)])


def check_data(data: list[Any]) -> Aggregates | tuple[Violation, ...]:
    outcome = EventV1.read({"time_stamp": "2019-05-01T06:00:00-04:00", "data": data})
    return outcome.violations if isinstance(outcome, Rejection) else outcome.measurement().aggregates


def broken(data: list[Any]) -> list[tuple[Code, int | None]]:
    found = check_data(data)
    assert not isinstance(found, Aggregates)
    assert all(violation.field == "data" for violation in found)
    return [(violation.code, violation.index) for violation in found]


def test_numbers_become_binary64() -> None:
    found = check_data([0, -2, 0.5, 2**53 + 1, LARGEST])
    assert found == aggregate([0.0, -2.0, 0.5, 2.0**53, sys.float_info.max])
    assert isinstance(found, Aggregates)
    assert {type(found.minimum), type(found.maximum)} == {float}


def test_an_integer_that_rounds_into_range_fits_and_the_next_does_not() -> None:
    tie = LARGEST + 2**970  # halfway to 2**1024
    assert check_data([tie - 1]) == aggregate([sys.float_info.max])
    assert broken([tie]) == [(Code.DATA_NOT_FINITE, 0)]


def test_an_empty_array_breaks_one_rule() -> None:
    assert broken([]) == [(Code.DATA_EMPTY, None)]


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (True, "boolean"),
        (False, "boolean"),
        ("2", "string"),
        ("", "string"),
        (None, "null"),
        ([2], "array"),
        ([], "array"),
        ({"value": 2}, "object"),
    ],
)
def test_rejects_non_numeric(value: object, word: str) -> None:
    # GIVEN numbers, and a value of another type between them
    found = check_data([0, value, 2])
    # THEN the rule, the place and the kind of value are named, and the value isn't
    assert not isinstance(found, Aggregates)
    (violation,) = found
    assert (violation.code, violation.field, violation.index) == (Code.DATA_NOT_NUMERIC, "data", 1)
    assert word in violation.message


@pytest.mark.parametrize("value", [math.inf, -math.inf, 10**309, -(10**309), 10**4000, math.nan])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_number_beyond_binary64_is_not_finite(value: float, place: int) -> None:
    data: list[float] = [1, 2.5]
    data.insert(place, value)
    assert broken(data) == [(Code.DATA_NOT_FINITE, place)]


def test_the_first_offender_of_each_rule_is_named_once() -> None:
    assert broken([1, math.inf, "a", 10**400, None, -math.inf]) == [
        (Code.DATA_NOT_NUMERIC, 2),
        (Code.DATA_NOT_FINITE, 1),
    ]


@given(st.lists(numbers, min_size=1))
def test_finite_numbers_always_pass_unchanged(data: list[float]) -> None:
    assert check_data(data) == aggregate([float(value) for value in data])


@given(st.lists(numbers), st.lists(st.one_of(numbers, strangers, endless)), st.one_of(strangers, endless))
def test_one_offender_is_enough_and_the_first_is_found(
    clean: list[float], rest: list[object], offender: object
) -> None:
    code = Code.DATA_NOT_FINITE if type(offender) in {int, float} else Code.DATA_NOT_NUMERIC
    assert (code, len(clean)) in broken([*clean, offender, *rest])
