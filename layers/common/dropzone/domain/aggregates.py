"""Mean and population standard deviation, correct to 15 significant digits for every finite input.

The fast path takes few passes, all in C: `math.fsum` (exactly rounded, Shewchuk 1997) for the mean, `math.dist`
(scaled, so that no intermediate result overflows or underflows) for the deviation. The remaining error is the rounding
of the mean, which shifts every deviation by the same amount: where it could matter, one more pass measures the shift
and removes it. The few other inputs (sums beyond binary64, subnormal results, spreads of a few units in the last place)
are computed exactly, in integers, and rounded once.
"""

import math
import sys
from collections.abc import Sequence
from typing import NamedTuple

_SMALLEST_NORMAL = sys.float_info.min
# A deviation computed here can be off by a few units in the last place, so it must be well above the smallest normal
# number for the exact one to be normal as well: of a subnormal result, every bit has to be correct.
_SURELY_NORMAL = 2.0 * _SMALLEST_NORMAL
# Rounding shifts the mean by less than two units in its last place. If the deviation is 2**27 units, the shift adds
# less than 2**-52 to its square, relatively: after the root, that is under half a unit in the last place.
_SHIFT_IS_NOTHING = 2.0**27
# From this many units on, removing the shift loses no significant digit.
_SHIFT_IS_SMALL = 8.0
_TWO_TO_53 = 2.0**53
_ROOT_BITS = 130


class Aggregates(NamedTuple):
    """The figures of one event's data, in the unit of the data. `std_dev` is the population's (divided by n)."""

    mean: float
    std_dev: float
    sample_count: int
    minimum: float
    maximum: float


class NotFiniteError(ValueError):
    """A value is not finite."""

    def __init__(self) -> None:
        super().__init__("an aggregate needs finite values")


def aggregate(values: Sequence[float]) -> Aggregates:
    """Summarise one or more finite binary64 values.

    Mean and deviation are correct to 15 significant digits if they are normal numbers, and to the last bit if they are
    subnormal.

    Raises:
        ValueError: there are no values.
        NotFiniteError: a value is not finite.
    """
    count = len(values)
    if count == 0:
        raise ValueError("an aggregate needs at least one value")
    try:
        mean = math.fsum(values) / count
    except (OverflowError, ValueError):
        # The sum is beyond binary64, or a value is not finite.
        mean = math.nan
    if not math.isfinite(mean) and not all(map(math.isfinite, values)):
        raise NotFiniteError
    minimum, maximum = min(values), max(values)
    if minimum == maximum:
        return Aggregates(minimum, 0.0, count, minimum, maximum)
    mean, std_dev = _fast(values, mean, minimum, maximum) or _exact(values)
    return Aggregates(mean, std_dev, count, minimum, maximum)


def _fast(values: Sequence[float], mean: float, minimum: float, maximum: float) -> tuple[float, float] | None:
    """Mean and deviation in floating point, or None if they might not be accurate enough."""
    if not math.isfinite(mean) or 0 < abs(mean) < _SMALLEST_NORMAL:
        return None
    # Two roundings (sum and quotient) can move the mean outside the range of the values.
    mean = min(max(mean, minimum), maximum)
    count = len(values)
    spread = math.dist(values, [mean] * count) / math.sqrt(count)
    unit = math.ulp(mean)
    if not _SURELY_NORMAL <= spread < math.inf or spread < unit * _SHIFT_IS_SMALL:
        return None
    if spread < unit * _SHIFT_IS_NOTHING:
        shift = math.fsum([value - mean for value in values]) / count
        # spread * sqrt(1 - share), written as a small number to subtract: one rounding instead of two.
        share = (shift / spread) ** 2
        spread -= spread * share / (1.0 + math.sqrt(1.0 - share))
    return mean, spread


def _exact(values: Sequence[float]) -> tuple[float, float]:
    """Mean and deviation in integers, each rounded once: correct to the last bit for any values.

    A value is an integer of 53 bits times a power of two. These integers and their squares are summed by exponent, so
    that each value is cheap even if exponents differ widely: only the sums are as wide as the range of the values.
    """
    sums: dict[int, int] = {}
    squares: dict[int, int] = {}
    for value in values:
        fraction, exponent = math.frexp(value)
        integer = int(fraction * _TWO_TO_53)
        sums[exponent] = sums.get(exponent, 0) + integer
        squares[exponent] = squares.get(exponent, 0) + integer * integer
    count, lowest = len(values), min(sums)
    total = sum([part << (exponent - lowest) for exponent, part in sums.items()])
    total_of_squares = sum([part << 2 * (exponent - lowest) for exponent, part in squares.items()])
    unit = lowest - 53
    return _float(total, count, unit), _root(count * total_of_squares - total * total, count, unit)


def _root(number: int, divisor: int, exponent: int) -> float:
    """The float nearest to `sqrt(number) / divisor * 2**exponent`, for a positive number."""
    # The root as an integer of more than 64 bits, made odd if it is not exact ("round to odd"): rounding it again, in
    # `_float`, gives the same result as rounding the exact root.
    square = divisor * divisor
    shift = (_ROOT_BITS - number.bit_length()) // 2 + divisor.bit_length()
    shifted = number << 2 * shift if shift >= 0 else number >> -2 * shift
    root = math.isqrt(shifted // square)
    found = root * root * square
    if (found if shift >= 0 else found << -2 * shift) != (shifted if shift >= 0 else number):
        root |= 1
    return _float(root, 1, exponent - shift)


def _float(number: int, divisor: int, exponent: int) -> float:
    """The float nearest to `number / divisor * 2**exponent`: Python rounds a quotient of integers once."""
    return (number << exponent) / divisor if exponent >= 0 else number / (divisor << -exponent)
