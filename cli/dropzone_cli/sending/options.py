"""The options of `dropzone send`, checked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import typer

from dropzone_cli.errors import usage
from dropzone_cli.formats import CONTROL_CHARACTER, MAX_SOURCE, MAX_TAG_NAME, MAX_TAG_VALUE, MAX_TAGS, MAX_UNIT
from dropzone_cli.sending.batches import Shape
from dropzone_cli.sending.columns import CsvOptions
from dropzone_cli.sending.inputs import Input
from dropzone_cli.sending.times import FORMATS


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
    no_rejects: bool
    report: bool

    def shape_of(self, one: Input) -> Shape:
        """When a batch of an input is full: the events of a pipe are not held for long."""
        return Shape(self.batch_size, self.batch_bytes, None if one.is_rereadable else self.linger)


def check_options(options: SendOptions, csv: CsvOptions) -> None:
    """Refuse contradictions, and labels that would have every event rejected.

    Raises:
        CliError: there is one.
    """
    contradictions = {
        "--resume and --no-resume contradict each other.": options.no_resume and options.resume,
        "--source-column and --source both say what the source is.": csv.source and csv.constant_source,
        "--unit-column and --unit both say what the unit is.": csv.unit and csv.constant_unit,
        "--per-column and --merge-rows contradict each other.": csv.per_column and csv.merge_rows,
    }
    if message := next((message for message, is_one in contradictions.items() if is_one), None):
        raise usage(message, "Choose one of them.")
    check_labels(csv.constant_source, csv.constant_unit, csv.constant_tags, csv.tags)


def check_labels(source: str | None, unit: str | None, tags: Mapping[str, str], columns: Sequence[str]) -> None:
    """Check the source, the unit and the tags that every event gets; `columns` become tags as well.

    Raises:
        CliError: the API would reject one of them.
    """
    if len({*tags, *columns}) > MAX_TAGS:
        raise usage(f"An event has at most {MAX_TAGS} tags.")
    texts = [("--source", source or "", MAX_SOURCE), ("--unit", unit or "", MAX_UNIT)]
    texts += [("--tag: the name", name, MAX_TAG_NAME) for name in tags]
    texts += [("--tag: the value", value, MAX_TAG_VALUE) for value in tags.values()]
    for option, text, limit in texts:
        if len(text) > limit:
            raise usage(f"{option} is longer than {limit} characters.")
        if CONTROL_CHARACTER.search(text):
            raise usage(f"{option} has control characters.")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise usage(f"{option} is not UTF-8.") from None


def parse_tag(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise usage(f"--tag: {text!r} has no name and value.", "Write it like --tag line=B.")
    return name, value


# ---- parsers of options; each raises typer.BadParameter


def parse_delimiter(text: str) -> str:
    char = "\t" if text.lower() in {"\\t", "tab"} else text
    if len(char) != 1 or char in '"\r\n ':
        raise typer.BadParameter(f"{text!r} can't separate cells: use one character, or tab.")
    return char


def parse_decimal(text: str) -> str:
    if text not in {".", ","}:
        raise typer.BadParameter(f"{text!r} can't be in a number: use a point or a comma.")
    return text


def parse_time_format(text: str) -> str:
    """Check that it is a format of ours, or of strptime."""
    if text in FORMATS:
        return text
    try:
        datetime.strptime("", text)  # noqa: DTZ007 - nothing is read
    except (ValueError, re.error) as error:
        if "does not match format" not in str(error):
            raise typer.BadParameter(f"{error}; it looks like '%d.%m.%Y %H:%M:%S'.") from None
    if "%" not in text:
        raise typer.BadParameter(
            f"{text!r} is not a format: use {', '.join(FORMATS)}, or one such as '%d.%m.%Y %H:%M:%S'."
        )
    return text


def parse_encoding(name: str) -> str:
    try:
        b"a".decode(name, "replace")
    except (LookupError, UnicodeError):
        raise typer.BadParameter(
            f"{name!r} is not an encoding of text: use one such as utf-8, utf-16-le, cp1252, latin-1."
        ) from None
    return name
