"""The rules of data quality: small functions that return what is clean, or the rules that were broken."""

import math
from collections.abc import Iterable
from typing import Any

from dropzone.domain.aggregates import Aggregates, NotFiniteError, aggregate
from dropzone.domain.outcomes import Code, Violation

FIELD = "data"

_PLAIN = frozenset({int, float})
_WORDS = {bool: "a boolean", str: "a string", type(None): "null", list: "an array", dict: "an object"}


def check_data(data: list[Any]) -> Aggregates | tuple[Violation, ...]:
    """The figures of the values as binary64 (non-empty, finite), or the rules that they break (each code once)."""
    if not data:
        return (Violation(Code.DATA_EMPTY, FIELD, "is empty: at least one number is needed"),)
    kinds = set(map(type, data))
    if kinds <= _PLAIN:
        try:
            return aggregate(_binary64(data) if int in kinds else data)
        except NotFiniteError:
            return tuple(_offenders(data))
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


def _binary64(data: list[float]) -> list[float]:
    try:
        return list(map(float, data))
    except OverflowError as error:
        raise NotFiniteError from error


def _fits(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
