"""Refuses labels that would have every event rejected, before anything is sent."""

from collections.abc import Iterable, Iterator, Mapping

from dropzone_cli.errors import usage
from dropzone_cli.formats import CONTROL_CHARACTER, MAX_SOURCE, MAX_TAG_NAME, MAX_TAG_VALUE, MAX_TAGS, MAX_UNIT


def check_labels(source: str | None, unit: str | None, tags: Mapping[str, str], columns: Iterable[str]) -> None:
    """Check the source, the unit and the tags that every event gets; `columns` become tags as well.

    Raises:
        CliError: the API would reject one of them.
    """
    if len({*tags, *columns}) > MAX_TAGS:
        raise usage(f"An event has at most {MAX_TAGS} tags.")
    for option, text, limit in _texts(source, unit, tags):
        if len(text) > limit:
            raise usage(f"{option} is longer than {limit} characters.")
        if CONTROL_CHARACTER.search(text):
            raise usage(f"{option} has control characters.")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise usage(f"{option} is not UTF-8.") from None


def _texts(source: str | None, unit: str | None, tags: Mapping[str, str]) -> Iterator[tuple[str, str, int]]:
    yield "--source", source or "", MAX_SOURCE
    yield "--unit", unit or "", MAX_UNIT
    for name, value in tags.items():
        yield "--tag: the name", name, MAX_TAG_NAME
        yield "--tag: the value", value, MAX_TAG_VALUE
