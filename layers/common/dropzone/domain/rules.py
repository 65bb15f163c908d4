"""The rules of data quality: small functions that return what is clean, or the rules that were broken."""

import math
from collections.abc import Iterable
from typing import Any

from dropzone.domain.outcomes import Code, Violation

FIELD = "data"

_PLAIN = frozenset({int, float})
_WORDS = {bool: "a boolean", str: "a string", type(None): "null", list: "an array", dict: "an object"}


def check_data(data: list[Any]) -> list[float] | tuple[Violation, ...]:
    """The values as binary64 (a list, non-empty, finite), or the rules broken (a tuple, each code once)."""
    if not data:
        return (Violation(Code.DATA_EMPTY, FIELD, "is empty: at least one number is needed"),)
    kinds = set(map(type, data))
    if kinds <= _PLAIN:
        try:
            values = list(map(float, data)) if int in kinds else data
        except OverflowError:
            return tuple(_offenders(data))
        # An infinity would show in the sum, which is the quickest way to look; so may large values.
        if math.isfinite(sum(values)) or all(map(math.isfinite, values)):
            return values
    return tuple(_offenders(data))


def _offenders(data: list[Any]) -> Iterable[Violation]:
    strange = next((index for index, value in enumerate(data) if type(value) not in _PLAIN), None)
    if strange is not None:
        word = _WORDS[type(data[strange])]
        yield Violation(Code.DATA_NOT_NUMERIC, FIELD, f"holds {word} at index {strange}: only numbers count", strange)
    endless = next((index for index, value in enumerate(data) if type(value) in _PLAIN and not _fits(value)), None)
    if endless is not None:
        yield Violation(
            Code.DATA_NOT_FINITE, FIELD, f"holds a number beyond the range of binary64 at index {endless}", endless
        )


def _fits(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
