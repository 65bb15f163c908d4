"""Refuses labels that would have every event rejected, before anything is sent."""

import json
from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from dropzone.domain.payloads.v2 import MAX_TAGS, Labels
from dropzone.domain.violations import violations_in
from dropzone_cli.errors import usage

_OPTIONS = {"source": "--source", "unit": "--unit", "tags": "--tag"}


def check_labels(source: str | None, unit: str | None, tags: Mapping[str, str], columns: Iterable[str]) -> None:
    """Check the labels that every event gets.

    Args:
        source: of every event.
        unit: of every event.
        tags: of every event.
        columns: those whose cells become tags as well.

    Raises:
        CliError: one of them would be rejected.
    """
    if len({*tags, *columns}) > MAX_TAGS:
        raise usage(f"An event has {MAX_TAGS} tags at most.")
    given = {"source": source, "unit": unit, "tags": tags}
    for field, value in given.items():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise usage(f"{_OPTIONS[field]} is not UTF-8.") from None
    try:
        Labels.model_validate(given)
    except ValidationError as error:
        violation = violations_in(error, given)[0]
        raise usage(f"{_OPTIONS[violation.field]} {violation.message}.") from None
