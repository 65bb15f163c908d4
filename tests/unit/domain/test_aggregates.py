"""Mean and deviation against exact integer arithmetic, which shares nothing with the code under test."""

import math
import sys
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropzone.domain.aggregates import aggregate
from support.examples import examples

LARGEST = sys.float_info.max
SMALLEST_NORMAL = sys.float_info.min
SMALLEST = math.ulp(0.0)
FIFTEEN_DIGITS = Fraction(5, 10**16)
"""Half a unit of the fifteenth digit, seen from the largest numbers of a decade: the strictest reading."""

Exact = tuple[Fraction, Fraction]


def exact_mean_and_variance(values: Sequence[float]) -> Exact:
    """Count in units of the smallest binary64, where every finite value is an integer."""
    unit = 2**1074
    units = [numerator * (unit // denominator) for numerator, denominator in map(float.as_integer_ratio, values)]
    count, total = len(units), sum(units)
    spread = count * sum(value * value for value in units) - total * total
    return Fraction(total, count * unit), Fraction(spread, count * count * unit * unit)


def assert_mean(mean: float, exact: Fraction) -> None:
    if 0 < abs(exact) < Fraction(SMALLEST_NORMAL):
        assert mean == float(exact)  # a fraction becomes the nearest float, ties to even
    else:
        assert abs(Fraction(mean) - exact) <= abs(exact) * FIFTEEN_DIGITS


def assert_deviation(std_dev: float, variance: Fraction) -> None:
    """Compare by squares: an inequality between fractions needs no root, and so no rounding."""
    assert std_dev >= 0
    if variance < Fraction(SMALLEST_NORMAL) ** 2:
        found, ulp = Fraction(std_dev), Fraction(SMALLEST)
        below, above = max(found - ulp / 2, Fraction(0)) ** 2, (found + ulp / 2) ** 2
        is_even = found / ulp % 2 == 0
        assert below <= variance <= above if is_even else below < variance < above
    else:
        square = Fraction(std_dev) ** 2
        assert variance * (1 - FIFTEEN_DIGITS) ** 2 <= square <= variance * (1 + FIFTEEN_DIGITS) ** 2


def assert_exact(values: Sequence[float]) -> None:
    found = aggregate(values)
    mean, variance = exact_mean_and_variance(values)
    assert_mean(found.mean, mean)
    assert_deviation(found.std_dev, variance)
    assert found.minimum <= found.mean <= found.maximum
    assert (found.sample_count, found.minimum, found.maximum) == (len(values), min(values), max(values))


def test_seeds_example() -> None:
    assert aggregate([0.0, 2.0]) == (1.0, 1.0, 2, 0.0, 2.0)


def test_deviation_is_the_populations() -> None:
    assert aggregate([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]) == (5.0, 2.0, 8, 2.0, 9.0)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, LARGEST, -LARGEST, SMALLEST, SMALLEST_NORMAL])
@pytest.mark.parametrize("count", [1, 2, 3, 1000])
def test_equal_values_are_their_own_mean_and_deviate_by_nothing(value: float, count: int) -> None:
    # GIVEN values such as 0.1 and a count such as 3, whose sum is rounded
    # THEN the mean is still the value, and the deviation exactly zero
    assert aggregate([value] * count) == (value, 0.0, count, value, value)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([1e308, 1e308], id="a sum beyond binary64, equal"),
        pytest.param([1e308, 1.1e308], id="a sum beyond binary64"),
        pytest.param([LARGEST, -LARGEST], id="the widest spread there is"),
        pytest.param([LARGEST, LARGEST, -LARGEST], id="the widest spread, uneven"),
        pytest.param([LARGEST, math.nextafter(LARGEST, 0)], id="two values at the upper end"),
        pytest.param([LARGEST, -LARGEST, -LARGEST / 2], id="a difference beyond binary64"),
        pytest.param([1e308, 1e308, -1e308, -1e308, 5e-300], id="cancellation that leaves the smallest part"),
        pytest.param([1e308, -1e308, 5e-324], id="cancellation that leaves a subnormal mean"),
        pytest.param([1e16, 1.0, -1e16], id="cancellation within reach of fsum"),
        pytest.param([1e300, 1e-300, 3.0], id="huge and tiny"),
        pytest.param([1e308, 9e307, 1e-99, 7e-311], id="a sum beyond binary64, as far apart as can be"),
        pytest.param([LARGEST, LARGEST, SMALLEST, 0.0, -SMALLEST], id="both ends of binary64, and zero"),
        pytest.param([0.0, SMALLEST], id="half of the smallest number: a tie"),
        pytest.param([0.0, 3 * SMALLEST], id="one and a half of the smallest number: a tie"),
        pytest.param([SMALLEST, 2 * SMALLEST, 4 * SMALLEST], id="subnormal"),
        pytest.param([-1e-310, 3e-310, 5e-309], id="subnormal, mixed signs"),
        pytest.param(
            [step * SMALLEST for step in (2**40 + 1, -(2**40) - 1, 2**40, -(2**40))],
            id="subnormal, its root just above a tie",
        ),
        pytest.param([0.0, SMALLEST_NORMAL], id="around the smallest normal"),
        pytest.param(
            [
                6.267489053980877e-308,
                2.20131729987028e-308,
                8.084328991708194e-309,
                1.9434046245232627e-308,
                2.6809278636672513e-308,
                6.670530543213014e-308,
            ],
            id="a deviation one unit below the smallest normal",
        ),
        pytest.param(
            [1.0, -1.0, 2.0**54 * SMALLEST, 5 * SMALLEST, 0.0, 0.0, 0.0, 0.0],
            id="a subnormal mean that rounding twice misses",
        ),
        pytest.param([1.0, 1.0 + 2**-52], id="one unit in the last place"),
        pytest.param([1.0 - 2**-53, 1.0, 1.0 + 2**-52], id="both sides of a power of two"),
        pytest.param([2.0**52 - 0.5, 2.0**52, 2.0**52 + 1], id="both sides of the end of the halves"),
        pytest.param([2.0**53 - 1, 2.0**53, 2.0**53 + 2], id="both sides of the end of the integers"),
        pytest.param([0.1, 0.2, 0.3], id="decimals"),
    ],
)
def test_hard_inputs(values: list[float]) -> None:
    assert_exact(values)


@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e-6, 1e-7, 1e-8, math.ulp(1e7)])
@pytest.mark.parametrize("base", [1e7, -1e7])
def test_tiny_variations_on_a_large_base(base: float, unit: float) -> None:
    assert_exact([base + unit * step for step in (0, 1, 3, 2, 7, -5, 1, 0, 11)])


def test_the_mean_lies_between_the_values() -> None:
    # GIVEN so many values at the maximum that the mean is half a unit below it, whose quotient rounds past it
    highest = 1.9630239985533136
    values = [highest] * 524 + [highest - 188 * math.ulp(highest)]
    assert math.fsum(values) / len(values) > highest
    # THEN the mean is the maximum
    assert_exact(values)
    assert aggregate(values).mean == highest


@pytest.mark.slow
def test_a_million_values() -> None:
    # GIVEN a million readings around 10^7 that differ from the sixth decimal on
    values = [1e7 + (step * 7919 % 1_000_003) * 1e-6 for step in range(1_000_000)]
    # THEN not a digit of fifteen is lost
    assert_exact(values)


@pytest.mark.parametrize(
    "values",
    [
        [math.inf],
        [-math.inf, 1.0],
        [1.0, math.inf],
        [math.inf, -math.inf],
        [math.nan],
        [math.nan, 1.0],
        [1.0, math.nan],
    ],
)
def test_values_that_are_not_finite_have_no_aggregates(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        aggregate(values)


def test_no_values_have_no_aggregates() -> None:
    with pytest.raises(ValueError, match="at least one"):
        aggregate([])


def clamp(value: float) -> float:
    return max(-LARGEST, min(LARGEST, value))


finite = st.floats(allow_nan=False, allow_infinity=False)
of_any_scale = st.builds(
    lambda mantissa, exponent: clamp(math.ldexp(mantissa, exponent)),
    st.floats(-1.0, 1.0),
    st.integers(-1073, 1023),
)
bases = st.one_of(finite, of_any_scale, st.sampled_from([1e7, 1.0, 0.1, 2.0**52, LARGEST, SMALLEST_NORMAL]))


@st.composite
def clusters(draw: st.DrawFn) -> list[float]:
    """Values a few units in the last place (or a few thousand, or millions) around a base."""
    base = draw(bases)
    reach = draw(st.sampled_from([1, 2, 4, 10, 100, 2**10, 2**20, 2**26, 2**27, 2**28, 2**40]))
    steps = draw(st.lists(st.integers(-reach, reach), min_size=2, max_size=12))
    unit = math.ulp(base)
    return [clamp(base + step * unit) for step in steps]


@st.composite
def around_powers_of_two(draw: st.DrawFn) -> list[float]:
    power = math.ldexp(1.0, draw(st.integers(-1074, 1023)))
    steps = draw(st.lists(st.integers(-6, 6), min_size=2, max_size=8))
    return [clamp(math.nextafter(power, math.inf if step > 0 else -math.inf, steps=abs(step))) for step in steps]


@st.composite
def mirrored(draw: st.DrawFn) -> list[float]:
    """Pairs that cancel, and a few values that do not."""
    pairs = draw(st.lists(of_any_scale, min_size=1, max_size=6))
    rest = draw(st.lists(of_any_scale, max_size=3))
    return draw(st.permutations([*pairs, *(-value for value in pairs), *rest]))


@st.composite
def near_the_smallest_normal(draw: st.DrawFn) -> list[float]:
    """A deviation, and often a mean, close to the border between normal and subnormal."""
    scale = draw(st.sampled_from([0, SMALLEST_NORMAL]))
    reach = draw(st.sampled_from([8, 2**20, 2**52, 2**54]))
    steps = draw(st.lists(st.integers(-reach, reach), min_size=2, max_size=8))
    return [scale + step * SMALLEST for step in steps]


hard_values = st.one_of(
    st.lists(finite, min_size=1, max_size=12),
    st.lists(of_any_scale, min_size=1, max_size=12),
    st.lists(st.floats(-1000.0, 1000.0), min_size=1, max_size=30),
    st.lists(st.integers(-(2**60), 2**60).map(float), min_size=1, max_size=12),
    st.lists(st.integers(-100, 100).map(float), min_size=1, max_size=40),
    clusters(),
    around_powers_of_two(),
    mirrored(),
    near_the_smallest_normal(),
)


def test_many_values_beyond_floating_point() -> None:
    # GIVEN values of every scale, whose sum is beyond binary64
    values = [math.ldexp(1.0 + step / 512, (step * 37) % 2_098 - 1_074) for step in range(512)] + [LARGEST] * 3
    assert_exact(values)


@settings(max_examples=examples(1000))
@given(hard_values)
def test_hard_inputs_of_every_kind(values: list[float]) -> None:
    assert_exact(values)
