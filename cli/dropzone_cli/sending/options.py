"""What can be said about columns, batches, and going on: options of `dropzone send`."""

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dropzone_cli.errors import usage
from dropzone_cli.sending.csv_reader import TIME_NAMES, VALUE_NAMES, CsvOptions
from dropzone_cli.sending.inputs import RESUME_SUFFIX, Format
from dropzone_cli.sending.zones import parse_zone

_MAX_PARALLEL = 64
_MAX_EVENTS = 100_000
_MIB = 2**20
_TAB = {"\\t", "tab"}

_CSV = "CSV"
_HOW = "How it is sent"
_ON = "Stopped, and going on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What a CSV's columns are."""

    time_column: Annotated[
        str | None,
        typer.Option(
            "--time-column",
            metavar="NAME",
            help=f"Holds the time, ISO 8601. Found by itself: {', '.join(TIME_NAMES)}.",
            rich_help_panel=_CSV,
        ),
    ] = None
    value_columns: Annotated[
        list[str] | None,
        typer.Option(
            "--value-column",
            metavar="NAME",
            help="Holds a number, or a JSON array of numbers; can be repeated, and then an event's data has the values "
            f"of all. Found by itself: {', '.join(VALUE_NAMES)}, or the only column left.",
            rich_help_panel=_CSV,
        ),
    ] = None
    source_column: Annotated[
        str | None,
        typer.Option(
            "--source-column", metavar="NAME", help="Says who measured. Found by itself: source.", rich_help_panel=_CSV
        ),
    ] = None
    unit_column: Annotated[
        str | None,
        typer.Option("--unit-column", metavar="NAME", help="Found by itself: unit.", rich_help_panel=_CSV),
    ] = None
    tag_columns: Annotated[
        list[str] | None,
        typer.Option(
            "--tag-column", metavar="NAME", help="A tag of the column's name; can be repeated.", rich_help_panel=_CSV
        ),
    ] = None
    source: Annotated[
        str | None, typer.Option("--source", metavar="TEXT", help="One source for every row.", rich_help_panel=_CSV)
    ] = None
    unit: Annotated[
        str | None, typer.Option("--unit", metavar="TEXT", help="One unit for every row.", rich_help_panel=_CSV)
    ] = None
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="NAME=TEXT", help="A tag for every row; can be repeated.", rich_help_panel=_CSV),
    ] = None
    timezone: Annotated[
        Any,
        typer.Option(
            "--timezone",
            parser=parse_zone,
            metavar="ZONE",
            help="Of times that have no offset: Europe/Berlin, UTC, +02:00. Without it, such rows are not sent.",
            rich_help_panel=_CSV,
        ),
    ] = None
    merge_rows: Annotated[
        bool,
        typer.Option(
            "--merge-rows",
            help="Make one event of neighbouring rows with the same time, source, unit and tags. "
            "Otherwise each row is an event.",
            rich_help_panel=_CSV,
        ),
    ] = False
    delimiter: Annotated[
        str | None,
        typer.Option(
            "--delimiter",
            metavar="SIGN",
            help="Between the cells. Found by itself: comma, semicolon, tab or bar.",
            rich_help_panel=_CSV,
        ),
    ] = None
    encoding: Annotated[str, typer.Option("--encoding", metavar="NAME", help="Of the text.", rich_help_panel=_CSV)] = (
        "utf-8"
    )

    @property
    def options(self) -> CsvOptions:
        """What the reader is to know.

        Raises:
            CliError: they can't be meant.
        """
        if self.source_column and self.source:
            raise usage("--source-column and --source both say what the source is.", "Choose one of them.")
        if self.unit_column and self.unit:
            raise usage("--unit-column and --unit both say what the unit is.", "Choose one of them.")
        tags = dict(map(_named_tag, self.tags or ()))
        # Not at the top: pydantic would double the start of commands that don't need it.
        from dropzone_cli.sending.labels import check_labels  # noqa: PLC0415

        check_labels(self.source, self.unit, tags, self.tag_columns or ())
        return CsvOptions(
            time=self.time_column,
            values=tuple(self.value_columns or ()),
            source=self.source_column,
            unit=self.unit_column,
            tags=tuple(self.tag_columns or ()),
            constant_source=self.source,
            constant_unit=self.unit,
            constant_tags=tags,
            zone=self.timezone,
            delimiter=_delimiter(self.delimiter),
            encoding=_encoding(self.encoding),
            merge_rows=self.merge_rows,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """How batches are made and sent."""

    format: Annotated[
        Format | None,
        typer.Option(
            "--format", "-f", help="What the inputs are. Found by their names and beginnings.", show_default=False
        ),
    ] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read all of it, print what would be sent, and send nothing.")
    ] = False
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="End at the first batch that is refused or line that is no event.")
    ] = False
    batch_size: Annotated[
        int,
        typer.Option(
            "--batch-size",
            "-b",
            min=1,
            max=_MAX_EVENTS,
            metavar="EVENTS",
            help="The most events of one request, which are one object in bronze.",
            rich_help_panel=_HOW,
        ),
    ] = 1_000
    batch_bytes: Annotated[
        int,
        typer.Option(
            "--batch-bytes",
            min=1,
            max=4_500_000,  # MaxBodyBytes can't be more: Lambda takes 6 MB in base64
            metavar="BYTES",
            help="The most bytes of one request, unpacked; the API takes 4 MiB.",
            rich_help_panel=_HOW,
        ),
    ] = _MIB
    packed: Annotated[
        bool, typer.Option("--gzip/--no-gzip", help="Pack each request's body.", rich_help_panel=_HOW)
    ] = True
    parallel: Annotated[
        int,
        typer.Option(
            "--parallel",
            "-p",
            min=1,
            max=_MAX_PARALLEL,
            metavar="N",
            help="Requests at a time. They overtake each other: where a later event is to replace an earlier one of "
            "the same time and source, say 1.",
            rich_help_panel=_HOW,
        ),
    ] = 4
    retry_for: Annotated[
        float,
        typer.Option(
            "--retry-for",
            min=1,
            metavar="SECONDS",
            help="How long a request is tried again after 429, 5xx and broken connections.",
            rich_help_panel=_HOW,
        ),
    ] = 300.0
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="FILE",
            help=f"Where to keep what was accepted, of all inputs; otherwise beside each, as NAME{RESUME_SUFFIX}.",
            show_default=False,
            rich_help_panel=_ON,
        ),
    ] = None
    no_resume: Annotated[bool, typer.Option("--no-resume", help="Keep nothing.", rich_help_panel=_ON)] = False
    again: Annotated[
        bool, typer.Option("--again", help="Send all of it again, including what arrived before.", rich_help_panel=_ON)
    ] = False


def _named_tag(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise usage(f"--tag: {text!r} names no tag.", "It looks like --tag line=B.")
    return name, value


def _delimiter(text: str | None) -> str | None:
    if text is None:
        return None
    sign = "\t" if text.lower() in _TAB else text
    if len(sign) != 1 or sign in '"\r\n ':
        raise usage(f"--delimiter: {text!r} is no sign that separates cells.", "It is one sign, or tab.")
    return sign


def _encoding(name: str) -> str:
    try:
        codecs.lookup(name)
        is_by_lines = "\n,a".encode(name) == b"\n,a"
    except (LookupError, UnicodeError):
        is_by_lines = False
    if not is_by_lines:
        raise usage(f"--encoding: {name!r} is none that can be read.", "Those with ASCII in them can: utf-8, cp1252.")
    return name
