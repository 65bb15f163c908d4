"""Patterns of sources, in which `*` is any text and `?` any character; all else, also `[`, means itself."""

import re
from collections.abc import Callable
from fnmatch import translate
from functools import lru_cache
from typing import Annotated

from pydantic import Field

SourcePattern = Annotated[str, Field(min_length=1, max_length=200)]


def is_pattern(source: str) -> bool:
    """Whether it may match more than one source."""
    return "*" in source or "?" in source


def literal_beginning(pattern: str) -> str:
    """The text before the first wildcard."""
    return re.split(r"[*?]", pattern, maxsplit=1)[0]


def specificity(pattern: str) -> tuple[int, int]:
    """How specific a pattern is: by its literal characters, then by its single-character wildcards."""
    stars, marks = pattern.count("*"), pattern.count("?")
    return len(pattern) - stars - marks, marks


def as_regex(pattern: str) -> str:
    """A pattern of sources as a regular expression, which takes linear time."""
    return translate(pattern.replace("[", "[[]"))


@lru_cache(maxsize=1_000)
def matcher(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """A function that tells whether a source matches one of the patterns, letter by letter, in the same case."""
    matches = [re.compile(as_regex(pattern)).match for pattern in patterns]
    return lambda source: any(match(source) for match in matches)


_OF_LIKE = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_", "*": "%", "?": "_"})


def as_like(patterns: tuple[str, ...] | None) -> list[str] | None:
    """Patterns as SQL's LIKE takes them; None for all sources stays None."""
    return None if patterns is None else [pattern.translate(_OF_LIKE) for pattern in patterns]


def may_overlap(one: str, other: str) -> bool:
    """Whether some source matches both patterns."""
    reached = {0}
    for letter in one:
        reached = {found for start in reached for found in _steps(letter, other, start)}
    return any(not other[place:].strip("*") for place in reached)


def _steps(letter: str, other: str, start: int) -> set[int]:
    """The places in the other pattern where a letter of the first may lead to, from a place on."""
    places = set()
    # What the other's stars match may be nothing.
    while True:
        at = other[start : start + 1]
        if letter == "*" or at == "*":
            places.add(start)
        elif at and (letter == "?" or at in {"?", letter}):
            places.add(start + 1)
        if not at or (letter != "*" and at != "*"):
            return places
        start += 1
