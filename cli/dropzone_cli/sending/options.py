"""The options of `dropzone send`, checked."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dropzone_cli.errors import usage
from dropzone_cli.sending.csv_reader import CsvOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo
    from pathlib import Path

_TAB = {"\\t", "tab"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOptions:
    """How batches are made and sent."""

    dry_run: bool
    fail_fast: bool
    batch_size: int
    batch_bytes: int
    gzip: bool
    parallel: int
    retry_for: float
    resume: Path | None
    no_resume: bool
    again: bool

    def __post_init__(self) -> None:
        """Refuse a contradiction.

        Raises:
            CliError: there is one.
        """
        if self.no_resume and self.resume:
            raise usage("--resume and --no-resume contradict each other.", "Choose one of them.")


def csv_options(  # noqa: PLR0913 - an argument an option
    *,
    time: str | None,
    values: Sequence[str],
    source_column: str | None,
    unit_column: str | None,
    tag_columns: Sequence[str],
    source: str | None,
    unit: str | None,
    tags: Sequence[str],
    zone: tzinfo | None,
    merge_rows: bool,
    delimiter: str | None,
    encoding: str,
) -> CsvOptions:
    """Make what the reader of CSV needs to know.

    Raises:
        CliError: an option is invalid, or contradicts another.
    """
    if source_column and source:
        raise usage("--source-column and --source both say what the source is.", "Choose one of them.")
    if unit_column and unit:
        raise usage("--unit-column and --unit both say what the unit is.", "Choose one of them.")
    named_tags = dict(map(_named_tag, tags))
    from dropzone_cli.sending.labels import check_labels

    check_labels(source, unit, named_tags, tag_columns)
    return CsvOptions(
        time=time,
        values=tuple(values),
        source=source_column,
        unit=unit_column,
        tags=tuple(tag_columns),
        constant_source=source,
        constant_unit=unit,
        constant_tags=named_tags,
        zone=zone,
        delimiter=_delimiter(delimiter),
        encoding=_encoding(encoding),
        merge_rows=merge_rows,
    )


def _named_tag(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise usage(f"--tag: {text!r} has no name and value.", "Write it like --tag line=B.")
    return name, value


def _delimiter(text: str | None) -> str | None:
    if text is None:
        return None
    char = "\t" if text.lower() in _TAB else text
    if len(char) != 1 or char in '"\r\n ':
        raise usage(f"--delimiter: {text!r} can't separate cells.", "Use one character, or tab.")
    return char


def _encoding(name: str) -> str:
    try:
        codecs.lookup(name)
        is_by_lines = "\n,a".encode(name) == b"\n,a"
    except (LookupError, UnicodeError):
        is_by_lines = False
    if not is_by_lines:
        raise usage(f"--encoding: {name!r} is not supported.", "Use one that extends ASCII: utf-8, cp1252.")
    return name
