"""`dropzone send`: events of files or stdin, each once, however often the run is stopped."""

from dataclasses import fields
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dropzone_cli.errors import ExitCode, usage
from dropzone_cli.sending.columns import SOURCE_NAMES, TIME_NAMES, VALUE_NAMES, CsvOptions
from dropzone_cli.sending.inputs import RESUME_SUFFIX, Format, Planned, expand
from dropzone_cli.sending.options import (
    SendOptions,
    check_options,
    parse_decimal,
    parse_delimiter,
    parse_encoding,
    parse_tag,
    parse_time_format,
)
from dropzone_cli.sending.profiles import save_profile, use_profile
from dropzone_cli.sending.times import FORMATS, Ambiguous, parse_zone
from dropzone_cli.session import AsJson, Profile, Region, Session, StackName

_column = partial(typer.Option, rich_help_panel="Columns of CSV and Excel", metavar="NAME")
_cell = partial(typer.Option, rich_help_panel="Cells of CSV and Excel")
_layout = partial(typer.Option, rich_help_panel="Layout of CSV and Excel", show_default=False)
_request = partial(typer.Option, rich_help_panel="Requests")
_resuming = partial(typer.Option, rich_help_panel="Resuming")

_INPUTS = "Files, patterns such as 'data/*.csv', or - for stdin; compressed with gzip or zip, or not."
_RETRY = "How long to retry a request after 408, 425, 429, 5xx and broken connections."
_PARALLEL = (
    "Requests at a time. They overtake each other: use 1 where a later event is to replace an earlier one of the same "
    "time and source."
)
_RESUME = f"One resume file for all inputs; otherwise NAME{RESUME_SUFFIX} beside each."
_COMPLETE = "The inputs are not written any more: a last line without a line end is a whole one."
_REPORT = "Tell the API of the lines that can't be sent, so that its figures count them as rejected."
_DATE = "The date, where it has a column of its own; --time-format is of both, with a space between."
_VALUES = (
    f"A number, or a JSON array of numbers; can be repeated. Found without it: {', '.join(VALUE_NAMES)}, or the only "
    "column left. '#3' is the third column."
)
_PER_COLUMN = "Make an event of each value column. Otherwise an event's data has the values of all."
_PATTERN = (
    "The source, put together from {source}, {column} (the value column) and other columns. With --per-column it is "
    "{source}/{column}."
)
_MERGE = (
    "Make one event of neighbouring rows with the same time, source, unit and tags. Otherwise each row is an event."
)
_TIME_FORMAT = (
    f"Of times that are not ISO 8601: {', '.join(FORMATS)} (auto: by size), or a format of strptime such as "
    "'%d.%m.%Y %H:%M'."
)
_ZONE = "Of times without an offset: Europe/Berlin, UTC, +02:00. Without it, such rows are not sent."
_AMBIGUOUS = "Which is meant by a time that the clocks showed twice. Without it, such rows are not sent."
_MISSING = "A cell that says that there is no value, such as NaN or -200; can be repeated."
_BATCH_SIZE = "The limit of events per request; a request is one object in bronze."
_BATCH_BYTES = "The limit of bytes per request, uncompressed; the API accepts 4 MiB."
_LINGER = "How long an event of a pipe waits for others before it is sent."
_PROFILE = "Use the options that --save-profile has saved; others may be added."
_DELIMITER = "Between the cells. Detected: comma, semicolon, tab or bar."
_ENCODING = "The text's encoding. Detected: UTF-8, and UTF-16 by its byte order mark."
_SKIP_LINES = "Lines before the header; loggers' layouts are then not looked for."


def send(
    ctx: typer.Context,
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help=_INPUTS, show_default=False)],
    *,
    input_format: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="Detected from the inputs' names and content.", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read all of it, print what would be sent, and send nothing.")
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="End at the first refused batch or line that is not an event.")
    ] = False,
    batch_size: Annotated[
        int, _request("--batch-size", "-b", min=1, max=100_000, metavar="EVENTS", help=_BATCH_SIZE)
    ] = 1_000,
    batch_bytes: Annotated[
        # MaxBodyBytes can't be more: Lambda takes 6 MB in base64.
        int, _request("--batch-bytes", min=1, max=4_500_000, metavar="BYTES", help=_BATCH_BYTES)
    ] = 2**20,
    gzip: Annotated[bool, _request("--gzip/--no-gzip", help="Compress each request's body.")] = True,
    parallel: Annotated[int, _request("--parallel", "-p", min=1, max=64, metavar="N", help=_PARALLEL)] = 4,
    retry_for: Annotated[float, _request("--retry-for", min=1, metavar="SECONDS", help=_RETRY)] = 300.0,
    linger: Annotated[float, _request("--linger", min=0, metavar="SECONDS", help=_LINGER)] = 1.0,
    resume: Annotated[Path | None, _resuming("--resume", show_default=False, metavar="FILE", help=_RESUME)] = None,
    no_resume: Annotated[bool, _resuming("--no-resume", help="Write no resume file.")] = False,
    again: Annotated[bool, _resuming("--again", help="Send all of it again, also what was accepted.")] = False,
    complete: Annotated[bool, _resuming("--complete", help=_COMPLETE)] = False,
    no_rejects: Annotated[
        bool, _resuming("--no-rejects", help="Write no NAME.rejects.csv or .ndjson with what was not sent.")
    ] = False,
    report: Annotated[bool, _resuming("--report/--no-report", help=_REPORT)] = True,
    _profile: Annotated[
        str | None, _resuming("--profile", is_eager=True, callback=use_profile, metavar="NAME", help=_PROFILE)
    ] = None,
    saved_profile: Annotated[
        str | None, _resuming("--save-profile", metavar="NAME", help="Save the options that are given as a profile.")
    ] = None,
    time: Annotated[
        str | None, _column("--time-column", help=f"The time. Found without it: {', '.join(TIME_NAMES)}.")
    ] = None,
    date: Annotated[str | None, _column("--date-column", help=_DATE)] = None,
    values: Annotated[list[str] | None, _column("--value-column", help=_VALUES)] = None,
    per_column: Annotated[bool, _column("--per-column", metavar=None, help=_PER_COLUMN)] = False,
    source: Annotated[
        str | None, _column("--source-column", help=f"The source. Found without it: {', '.join(SOURCE_NAMES)}.")
    ] = None,
    constant_source: Annotated[
        str | None, _column("--source", metavar="TEXT", help="One source for every row.")
    ] = None,
    source_pattern: Annotated[
        str | None, _column("--source-pattern", show_default=False, metavar="TEXT", help=_PATTERN)
    ] = None,
    unit: Annotated[str | None, _column("--unit-column", help="The unit. Found without it: unit.")] = None,
    constant_unit: Annotated[str | None, _column("--unit", metavar="TEXT", help="One unit for every row.")] = None,
    tags: Annotated[
        list[str] | None, _column("--tag-column", help="A tag of the column's name; can be repeated.")
    ] = None,
    constant_tags: Annotated[
        list[str] | None, _column("--tag", metavar="NAME=TEXT", help="A tag for every row; can be repeated.")
    ] = None,
    merge_rows: Annotated[bool, _column("--merge-rows", metavar=None, help=_MERGE)] = False,
    time_format: Annotated[
        str | None,
        _cell("--time-format", parser=parse_time_format, show_default=False, metavar="FORMAT", help=_TIME_FORMAT),
    ] = None,
    zone: Annotated[tzinfo | None, _cell("--timezone", parser=parse_zone, metavar="ZONE", help=_ZONE)] = None,
    ambiguous: Annotated[Ambiguous | None, _cell("--ambiguous", show_default=False, help=_AMBIGUOUS)] = None,
    decimal: Annotated[
        str, _cell("--decimal", parser=parse_decimal, metavar="SIGN", help="The decimal sign: a point or a comma.")
    ] = ".",
    missing: Annotated[list[str] | None, _cell("--missing", metavar="TEXT", help=_MISSING)] = None,
    delimiter: Annotated[
        str | None, _layout("--delimiter", parser=parse_delimiter, metavar="CHAR", help=_DELIMITER)
    ] = None,
    encoding: Annotated[
        str | None, _layout("--encoding", parser=parse_encoding, metavar="NAME", help=_ENCODING)
    ] = None,
    skip_lines: Annotated[int | None, _layout("--skip-lines", min=0, metavar="N", help=_SKIP_LINES)] = None,
    skip_after_header: Annotated[
        int, _layout("--skip-after-header", min=0, metavar="N", help="Lines after the header that are no rows.")
    ] = 0,
    comment: Annotated[str, _layout("--comment", metavar="TEXT", help="Skip lines that begin with this.")] = "",
    sheet: Annotated[
        str | None, _layout("--sheet", metavar="NAME", help="Of a workbook. Without it, the first one.")
    ] = None,
    as_json: AsJson = False,
    stack_name: StackName = None,
    region: Region = None,
    aws_profile: Profile = None,
) -> ExitCode:
    """Send events: JSON (an event, several, arrays of them), NDJSON, CSV, or an Excel workbook.

    Events are sent in batches, each with an idempotency key. A resume file beside the input records which batches were
    accepted: the same command continues a run that was stopped, and no event is stored twice.
    """
    given = locals()
    given["constant_tags"] = dict(map(parse_tag, constant_tags or ()))
    given |= {name: tuple(given[name] or ()) for name in ("values", "tags", "missing")}
    options = SendOptions(**{field.name: given[field.name] for field in fields(SendOptions)})
    csv = CsvOptions(**{field.name: given[field.name] for field in fields(CsvOptions) if field.name in given})
    check_options(options, csv)

    from dropzone_cli.sending.report import Report

    session = Session(ctx, stack_name, region, aws_profile, as_json=as_json)
    plan = [Planned.of(one, input_format, csv) for one in expand(inputs)]
    tables = {None, Format.CSV, Format.XLSX}
    if csv != CsvOptions(encoding=encoding) and not any(planned.format in tables for planned in plan):
        message = "Options of columns, labels and times are for CSV; JSON is sent as it is."
        raise usage(message, "--format csv says that an input is CSV.")
    if saved_profile is not None:
        save_profile(ctx, saved_profile)
    results = Report(session.out, session.client_options.clock, plan, options)
    try:
        if dry_run:
            from dropzone_cli.sending.dry_run import dry_run as read_all

            read_all(plan, options, csv, results)
        else:
            from dropzone_cli.sending.uploader import Uploader

            Uploader(session, options, csv, results).run(plan)
        return results.exit_code
    finally:
        results.close()
