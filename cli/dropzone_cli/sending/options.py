"""The options of `dropzone send`, checked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from pathlib import Path

from dropzone_cli.errors import usage
from dropzone_cli.sending.batches import Shape
from dropzone_cli.sending.columns import CsvOptions
from dropzone_cli.sending.inputs import Input
from dropzone_cli.sending.times import FORMATS, Ambiguous

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
    linger: float
    resume: Path | None
    no_resume: bool
    again: bool
    complete: bool
    rejects: bool
    report: bool

    def __post_init__(self) -> None:
        """Refuse a contradiction.

        Raises:
            CliError: there is one.
        """
        if self.no_resume and self.resume:
            raise usage("--resume and --no-resume contradict each other.", "Choose one of them.")

    @property
    def shape(self) -> Shape:
        """When a batch is full."""
        return Shape(self.batch_size, self.batch_bytes)

    def shape_of(self, one: Input) -> Shape:
        """When a batch of an input is full: the events of a pipe are not held for long."""
        return replace(self.shape, linger=None if one.is_rereadable else self.linger)


def csv_options(  # noqa: PLR0913 - an argument an option
    *,
    time: str | None,
    date: str | None,
    values: Sequence[str],
    source_column: str | None,
    unit_column: str | None,
    tag_columns: Sequence[str],
    source: str | None,
    unit: str | None,
    tags: Sequence[str],
    source_pattern: str | None,
    per_column: bool,
    merge_rows: bool,
    zone: tzinfo | None,
    ambiguous: Ambiguous | None,
    time_format: str | None,
    decimal: str,
    missing: Sequence[str],
    delimiter: str | None,
    encoding: str | None,
    skip_lines: int | None,
    skip_after_header: int,
    comment: str | None,
    sheet: str | None,
) -> CsvOptions:
    """Make what the reader of CSV needs to know.

    Raises:
        CliError: an option is invalid, or contradicts another.
    """
    if source_column and source:
        raise usage("--source-column and --source both say what the source is.", "Choose one of them.")
    if per_column and merge_rows:
        raise usage("--per-column and --merge-rows contradict each other.", "Choose one of them.")
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
        source_pattern=source_pattern,
        per_column=per_column,
        merge_rows=merge_rows,
        date=date,
        zone=zone,
        ambiguous=ambiguous,
        time_format=_time_format(time_format),
        decimal=_decimal(decimal),
        missing=tuple(missing),
        delimiter=_delimiter(delimiter),
        encoding=_encoding(encoding),
        skip_lines=skip_lines,
        skip_after_header=skip_after_header,
        comment=comment or "",
        sheet=sheet,
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


def _decimal(text: str) -> str:
    if text not in {".", ","}:
        raise usage(f"--decimal: {text!r} can't be in a number.", "Use a point or a comma.")
    return text


def _time_format(text: str | None) -> str | None:
    """Check a format.

    Raises:
        CliError: it is none of strptime, or lacks what tells an instant.
    """
    if text is None or text in FORMATS:
        return text
    try:
        datetime.strptime("", text)  # noqa: DTZ007 - nothing is read
    except ValueError as error:
        if "does not match format" not in str(error):
            raise usage(f"--time-format: {error}.", "It looks like '%d.%m.%Y %H:%M:%S'.") from None
    except re.error as error:
        raise usage(f"--time-format: {error}.", "It looks like '%d.%m.%Y %H:%M:%S'.") from None
    if "%" not in text:
        known = ", ".join(FORMATS)
        raise usage(f"--time-format: {text!r} is not a format.", f"Use {known}, or one such as '%d.%m.%Y %H:%M:%S'.")
    return text


def _encoding(name: str | None) -> str | None:
    try:
        b"a".decode(name or "utf-8", "replace")
    except (LookupError, UnicodeError):
        hint = "Use one such as utf-8, utf-16-le, cp1252, latin-1."
        raise usage(f"--encoding: {name!r} is not an encoding of text.", hint) from None
    return name
