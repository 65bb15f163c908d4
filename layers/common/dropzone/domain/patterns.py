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
