"""Patterns of sources: `*` matches any text, `?` any character, and everything else, including `[`, itself."""

import re
from collections.abc import Callable
from fnmatch import translate
from functools import lru_cache
from typing import Annotated

from pydantic import Field

SourcePattern = Annotated[str, Field(min_length=1, max_length=200)]


def is_pattern(source: str) -> bool:
    """Whether it has wildcards, and so may match more than one source."""
    return "*" in source or "?" in source


def literal_beginning(pattern: str) -> str:
    """The text before the first wildcard."""
    return re.split(r"[*?]", pattern, maxsplit=1)[0]


def specificity(pattern: str) -> tuple[int, int]:
    """How specific a pattern is: by its literal characters, then by its single-character wildcards."""
    stars, marks = pattern.count("*"), pattern.count("?")
    return len(pattern) - stars - marks, marks


def as_regex(pattern: str) -> str:
    """The pattern as a regular expression that matches in linear time."""
    return translate(pattern.replace("[", "[[]"))


@lru_cache(maxsize=1_000)
def matcher(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """A function that returns whether a source matches one of the patterns; case-sensitive."""
    matches = [re.compile(as_regex(pattern)).match for pattern in patterns]
    return lambda source: any(match(source) for match in matches)


_OF_LIKE = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_", "*": "%", "?": "_"})


def as_like(patterns: tuple[str, ...] | None) -> list[str] | None:
    """The patterns in the syntax of SQL's LIKE; None (all sources) stays None."""
    return None if patterns is None else [pattern.translate(_OF_LIKE) for pattern in patterns]


def may_overlap(one: str, other: str) -> bool:
    """Whether a source could match both patterns."""
    reached = {0}
    for letter in one:
        reached = {found for start in reached for found in _steps(letter, other, start)}
    return any(not other[place:].strip("*") for place in reached)


def _steps(letter: str, other: str, start: int) -> set[int]:
    """The positions in the other pattern that a letter of the first one can lead to from `start`."""
    places = set()
    # The other pattern's stars may match nothing.
    while True:
        at = other[start : start + 1]
        if letter == "*" or at == "*":
            places.add(start)
        elif at and (letter == "?" or at in {"?", letter}):
            places.add(start + 1)
        if not at or (letter != "*" and at != "*"):
            return places
        start += 1
