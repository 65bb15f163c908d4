"""What is found out about the inputs before anything is sent, and their reading."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dropzone_cli.sending.events import BrokenInputError
from dropzone_cli.sending.inputs import Format, Input, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dropzone_cli.sending.csv_reader import CsvOptions
    from dropzone_cli.sending.events import Read


@dataclass(frozen=True, slots=True)
class Planned:
    """An input, and how it is to be read."""

    input: Input
    format: Format | None = None
    """None where that is found when it is read, which is possible but once."""
    columns: str = ""
    """Of a CSV: which are what."""
    broken: BrokenInputError | None = None

    @classmethod
    def of(cls, one: Input, format_: Format | None, options: CsvOptions) -> Planned:
        """Look at an input, unless it can be read but once.

        Raises:
            CliError: its columns are not those that were asked for.
        """
        if not one.is_rereadable:
            return cls(one, format_)
        try:
            with opened(one) as reading:
                found = format_ or reading.detect()
                return cls(one, found, reading.table(options).chosen if found is Format.CSV else "")
        except BrokenInputError as error:
            return cls(one, format_, broken=error)


@dataclass(frozen=True, slots=True)
class Reading:
    """An input that is being read."""

    format: Format
    columns: str
    events: Iterator[Read]
    position: Callable[[], int]
    """How many of its bytes were read, about."""


@contextmanager
def reading(planned: Planned, options: CsvOptions) -> Iterator[Reading]:
    """Read an input.

    Raises:
        BrokenInputError: it can't be read; also while its events are taken.
        CliError: its columns are not those that were asked for.
    """
    if planned.broken is not None:
        raise planned.broken
    with opened(planned.input) as source:
        found = planned.format or source.detect()
        table = source.table(options) if found is Format.CSV else None
        columns = "" if table is None else table.chosen
        yield Reading(found, columns, source.read(found, table), lambda: source.position)
