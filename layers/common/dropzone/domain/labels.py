"""The rules for what an event says of itself beside its samples: source, unit, tags. Absent and null are the same."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dropzone.domain.outcomes import NO_TAGS, Code, Violation

SOURCE, UNIT, TAGS = "source", "unit", "tags"

MAX_SOURCE = 200
MAX_UNIT = 50
MAX_TAGS = 16
MAX_TAG_NAME = 64
MAX_TAG_VALUE = 256
"""In characters; the tags by their number."""

# Postgres can't hold the first of them, and no page shows the others.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_source(value: object) -> str | Violation:
    """The source, '' where there is none, or the rule that it breaks."""
    return _check_text(value, MAX_SOURCE, Code.SOURCE_INVALID, SOURCE)


def check_unit(value: object) -> str | Violation:
    """The unit, '' where there is none, or the rule that it breaks."""
    return _check_text(value, MAX_UNIT, Code.UNIT_INVALID, UNIT)


def check_tags(value: Any) -> Mapping[str, str] | Violation:  # noqa: ANN401 - what JSON held
    """The tags, empty where there are none, or the first rule that they break."""
    if value is None:
        return NO_TAGS
    if type(value) is not dict:
        return Violation(Code.TAGS_INVALID, TAGS, "is not an object")
    if len(value) > MAX_TAGS:
        return Violation(Code.TAGS_INVALID, TAGS, f"has {len(value)} entries: at most {MAX_TAGS} are taken")
    return next(_bad_tags(value), value)


def _bad_tags(tags: Mapping[str, Any]) -> Iterator[Violation]:
    for index, (name, text) in enumerate(tags.items()):
        if not name or not _is_clean(name, MAX_TAG_NAME):
            message = f"has a name that is not of 1 to {MAX_TAG_NAME} characters, none of control, at entry {index}"
            yield Violation(Code.TAGS_INVALID, TAGS, message)
        if type(text) is not str or not _is_clean(text, MAX_TAG_VALUE):
            message = f"has a value that is no text of {MAX_TAG_VALUE} characters at most, none of control,"
            yield Violation(Code.TAGS_INVALID, TAGS, f"{message} at entry {index}")


def _check_text(value: object, most: int, code: Code, field: str) -> str | Violation:
    if value is None:
        return ""
    if type(value) is not str:
        return Violation(code, field, "is not a string")
    if not _is_clean(value, most):
        return Violation(code, field, f"is longer than {most} characters, or holds control characters")
    return value


def _is_clean(text: str, most: int) -> bool:
    return len(text) <= most and _CONTROL.search(text) is None
