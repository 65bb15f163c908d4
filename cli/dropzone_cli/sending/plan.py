"""What is found out about the inputs before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dropzone_cli.sending.events import BrokenInputError
from dropzone_cli.sending.inputs import Format, Input, opened

if TYPE_CHECKING:
    from dropzone_cli.sending.columns import CsvOptions


@dataclass(frozen=True, slots=True)
class Planned:
    """An input, and how it is to be read."""

    input: Input
    format: Format | None = None
    """None where that is found when it is read, which is possible only once."""

    @classmethod
    def of(cls, one: Input, format_: Format | None, options: CsvOptions) -> Planned:
        """Look at an input, unless it can be read only once.

        Raises:
            CliError: its columns are not those that were asked for.
        """
        if not one.is_rereadable:
            return cls(one, format_)
        try:
            with opened(one) as source:
                found = format_ or source.detect()
                source.read(found, options)
                return cls(one, found)
        except BrokenInputError:
            return cls(one, format_)  # reported when it is read
