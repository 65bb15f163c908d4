"""The options of `dropzone send`: each is a field annotated with how it is given and parsed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from dropzone_cli.errors import usage
from dropzone_cli.formats import CONTROL_CHARACTER, MAX_SOURCE, MAX_TAG_NAME, MAX_TAG_VALUE, MAX_TAGS, MAX_UNIT
from dropzone_cli.sending.profiles import use_profile
from dropzone_cli.sending.times import FORMATS, Ambiguous, parse_zone

RESUME_SUFFIX = ".dropzone-resume"

TIME_NAMES = ("time_stamp", "timestamp", "time", "datetime", "measured_at")
VALUE_NAMES = ("data", "value", "values")
SOURCE_NAMES = ("source", "device", "sensor", "sensor_id", "entity_id")
UNIT_NAMES = ("unit",)

_column = partial(typer.Option, rich_help_panel="Columns of CSV and Excel", metavar="NAME")
_cell = partial(typer.Option, rich_help_panel="Cells of CSV and Excel")
_layout = partial(typer.Option, rich_help_panel="Layout of CSV and Excel", show_default=False)
_request = partial(typer.Option, rich_help_panel="Requests")
_resuming = partial(typer.Option, rich_help_panel="Resuming")

_RETRY = "How long to retry a request after 408, 425, 429, 5xx or a broken connection."
_PARALLEL = (
    "The number of parallel requests. They may overtake each other: use 1 if a later event must replace an earlier one "
    "of the same time and source."
)
_RESUME = f"One resume file for all inputs. Default: NAME{RESUME_SUFFIX} beside each."
_COMPLETE = "The inputs are complete: send a last line even if it has no line end."
_REPORT = "Report to the API the lines that can't be sent, so that its figures count them as rejected."
_DATE = "The date, if it has its own column. --time-format then covers date and time, separated by a space."
_VALUES = (
    f"A number, or a JSON array of numbers. Repeatable. Detected: {', '.join(VALUE_NAMES)}, or the only "
    "remaining column. '#3' is the third column."
)
_PER_COLUMN = "Make one event per value column. Default: one event with the values of all."
_PATTERN = (
    "The source, combined from {source}, {column} (the value column) and other columns. Default with --per-column: "
    "{source}/{column}."
)
_MERGE = "Make one event of adjacent rows with the same time, source, unit and tags. Default: one event per row."
_TIME_FORMAT = (
    f"The format of times that are not ISO 8601: {', '.join(FORMATS)} (auto: by size), or a format of strptime such as "
    "'%d.%m.%Y %H:%M'."
)
_ZONE = "The time zone of times without an offset: Europe/Berlin, UTC, +02:00. Without it, such rows are not sent."
_AMBIGUOUS = (
    "Which of two instants a time means that occurs twice when clocks are set back. Without it, such rows are not sent."
)
_MISSING = "A cell that means no value, such as NaN or -200. Repeatable."
_BATCH_SIZE = "The maximum number of events per request; each request is one object in bronze."
_BATCH_BYTES = "The maximum number of bytes per request, uncompressed; the API accepts 4 MiB."
_LINGER = "How long an event from a pipe waits for others before it is sent."
_PROFILE = "Use the options saved with --save-profile; others may be added."
_DELIMITER = "The character between cells. Detected: comma, semicolon, tab or bar."
_ENCODING = "The text's encoding. Detected: UTF-8, and UTF-16 by its byte order mark."
_SKIP_LINES = "The number of lines before the header. Logger layouts are then not detected."


def parse_tag(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise usage(f"--tag: {text!r} has no name or no value.", "Write it like --tag line=B.")
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
    """Check that it is one of our formats, or one of strptime."""
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


# ---- the options


class ColumnLabel(NamedTuple):
    """A column's name and unit in a logger's file."""

    name: str
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOptions:
    """How batches are made and sent."""

    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read everything and print what would be sent, without sending it.")
    ] = False
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first refused batch or line that is not an event.")
    ] = False
    batch_size: Annotated[
        int, _request("--batch-size", "-b", min=1, max=100_000, metavar="EVENTS", help=_BATCH_SIZE)
    ] = 1_000
    batch_bytes: Annotated[
        # MaxBodyBytes can't be larger: Lambda accepts 6 MB in base64.
        int, _request("--batch-bytes", min=1, max=4_500_000, metavar="BYTES", help=_BATCH_BYTES)
    ] = 2**20
    gzip: Annotated[bool, _request("--gzip/--no-gzip", help="Compress each request's body.")] = True
    parallel: Annotated[int, _request("--parallel", "-p", min=1, max=64, metavar="N", help=_PARALLEL)] = 4
    retry_for: Annotated[float, _request("--retry-for", min=1, metavar="SECONDS", help=_RETRY)] = 300.0
    linger: Annotated[float, _request("--linger", min=0, metavar="SECONDS", help=_LINGER)] = 1.0
    resume: Annotated[Path | None, _resuming("--resume", show_default=False, metavar="FILE", help=_RESUME)] = None
    no_resume: Annotated[bool, _resuming("--no-resume", help="Write no resume file.")] = False
    again: Annotated[bool, _resuming("--again", help="Send everything again, including what was accepted.")] = False
    complete: Annotated[bool, _resuming("--complete", help=_COMPLETE)] = False
    no_rejects: Annotated[
        bool, _resuming("--no-rejects", help="Write no NAME.rejects.csv or .ndjson file with what was not sent.")
    ] = False
    report: Annotated[bool, _resuming("--report/--no-report", help=_REPORT)] = True
    profile: Annotated[
        str | None, _resuming("--profile", is_eager=True, callback=use_profile, metavar="NAME", help=_PROFILE)
    ] = None
    saved_profile: Annotated[
        str | None, _resuming("--save-profile", metavar="NAME", help="Save the given options as a profile.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvOptions:
    """The options for a table, given or implied by its layout. None and empty values are to be detected."""

    time: Annotated[str | None, _column("--time-column", help=f"The time. Detected: {', '.join(TIME_NAMES)}.")] = None
    date: Annotated[str | None, _column("--date-column", help=_DATE)] = None
    values: Annotated[list[str], _column("--value-column", help=_VALUES)] = field(default_factory=list)
    per_column: Annotated[bool, _column("--per-column", metavar=None, help=_PER_COLUMN)] = False
    source: Annotated[
        str | None, _column("--source-column", help=f"The source. Detected: {', '.join(SOURCE_NAMES)}.")
    ] = None
    constant_source: Annotated[str | None, _column("--source", metavar="TEXT", help="One source for every row.")] = None
    source_pattern: Annotated[
        str | None, _column("--source-pattern", show_default=False, metavar="TEXT", help=_PATTERN)
    ] = None
    unit: Annotated[str | None, _column("--unit-column", help="The unit. Detected: unit.")] = None
    constant_unit: Annotated[str | None, _column("--unit", metavar="TEXT", help="One unit for every row.")] = None
    tags: Annotated[list[str], _column("--tag-column", help="A tag named after the column. Repeatable.")] = field(
        default_factory=list
    )
    constant_tags: Annotated[
        list[str], _column("--tag", metavar="NAME=TEXT", help="A tag for every row. Repeatable.")
    ] = field(default_factory=list)
    merge_rows: Annotated[bool, _column("--merge-rows", metavar=None, help=_MERGE)] = False
    time_format: Annotated[
        str | None,
        _cell("--time-format", parser=parse_time_format, show_default=False, metavar="FORMAT", help=_TIME_FORMAT),
    ] = None
    zone: Annotated[tzinfo | None, _cell("--timezone", parser=parse_zone, metavar="ZONE", help=_ZONE)] = None
    ambiguous: Annotated[Ambiguous | None, _cell("--ambiguous", show_default=False, help=_AMBIGUOUS)] = None
    decimal: Annotated[
        str, _cell("--decimal", parser=parse_decimal, metavar="SIGN", help="The decimal sign: a point or a comma.")
    ] = "."
    missing: Annotated[list[str], _cell("--missing", metavar="TEXT", help=_MISSING)] = field(default_factory=list)
    delimiter: Annotated[
        str | None, _layout("--delimiter", parser=parse_delimiter, metavar="CHAR", help=_DELIMITER)
    ] = None
    encoding: Annotated[str | None, _layout("--encoding", parser=parse_encoding, metavar="NAME", help=_ENCODING)] = None
    skip_lines: Annotated[int | None, _layout("--skip-lines", min=0, metavar="N", help=_SKIP_LINES)] = None
    skip_after_header: Annotated[
        int,
        _layout(
            "--skip-after-header", min=0, metavar="N", help="The number of lines after the header that are not rows."
        ),
    ] = 0
    comment: Annotated[str, _layout("--comment", metavar="TEXT", help="Skip lines that start with this.")] = ""
    sheet: Annotated[
        str | None, _layout("--sheet", metavar="NAME", help="The sheet of a workbook. Default: the first.")
    ] = None
    layout: str = ""
    """The layout of the logger that wrote the file, if it was recognised."""
    labels: Mapping[str, ColumnLabel] = field(default_factory=dict)
    """Labels by the names of columns."""

    @property
    def tags_of_all(self) -> dict[str, str]:
        """The tags of all rows.

        Raises:
            CliError: a tag has no name or no value.
        """
        return dict(map(parse_tag, self.constant_tags))


def check_options(options: SendOptions, csv: CsvOptions) -> None:
    """Reject contradictory options, and labels with which the API would reject every event."""
    contradictions = {
        "--resume and --no-resume contradict each other.": options.no_resume and options.resume,
        "--source-column and --source both say what the source is.": csv.source and csv.constant_source,
        "--unit-column and --unit both say what the unit is.": csv.unit and csv.constant_unit,
        "--per-column and --merge-rows contradict each other.": csv.per_column and csv.merge_rows,
    }
    if message := next((message for message, is_one in contradictions.items() if is_one), None):
        raise usage(message, "Choose one of them.")
    check_labels(csv.constant_source, csv.constant_unit, csv.tags_of_all, csv.tags)


def check_labels(source: str | None, unit: str | None, tags: Mapping[str, str], columns: Sequence[str]) -> None:
    """Check the source, the unit and the tags of all events; `columns` become tags as well.

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
