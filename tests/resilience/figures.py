"""Mean and deviation, exactly: what silver's figures are compared with. Written for the tests, of fractions alone."""

from collections.abc import Sequence
from fractions import Fraction
from functools import cache

_TOLERANCE = Fraction(1, 10**15)
"""Of the exact value: well within 15 significant digits."""

_LAST_BIT = Fraction(1, 2**1074)
"""The smallest step of a binary64, which is all that a subnormal result can promise."""


def wrong_figures(
    values: Sequence[float], *, mean: float, std_dev: float, count: int, minimum: float, maximum: float
) -> list[str]:
    """Say which figures are not those of the values; nothing where all are right."""
    exact_mean, variance = _exact(tuple(values))
    checks = {
        "mean": abs(Fraction(mean) - exact_mean) <= abs(exact_mean) * _TOLERANCE + _LAST_BIT,
        "std_dev": _is_root(Fraction(std_dev), variance),
        "sample_count": count == len(values),
        "min": minimum == min(values),
        "max": maximum == max(values),
    }
    return [name for name, right in checks.items() if not right]


@cache
def _exact(values: tuple[float, ...]) -> tuple[Fraction, Fraction]:
    """Mean and variance."""
    exact = [Fraction(value) for value in values]
    mean = sum(exact, Fraction(0)) / len(exact)
    return mean, sum(((value - mean) ** 2 for value in exact), Fraction(0)) / len(exact)


def _is_root(root: Fraction, square: Fraction) -> bool:
    """Whether `root` is the square root, within the tolerance; without computing one, which could be inexact."""
    if square == 0:
        return root == 0
    slack = root * _TOLERANCE + _LAST_BIT
    return max(root - slack, Fraction(0)) ** 2 <= square <= (root + slack) ** 2
