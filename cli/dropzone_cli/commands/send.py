"""`dropzone send`: events of files or stdin, each once, however often the run is stopped."""

from datetime import tzinfo
from pathlib import Path
from typing import Annotated

import typer

from dropzone_cli.errors import ExitCode, usage
from dropzone_cli.sending.columns import SOURCE_NAMES, TIME_NAMES, VALUE_NAMES, CsvOptions
from dropzone_cli.sending.inputs import RESUME_SUFFIX, Format, Planned, expand
from dropzone_cli.sending.options import SendOptions, csv_options
from dropzone_cli.sending.profiles import save_profile, use_profile
from dropzone_cli.sending.times import FORMATS, Ambiguous, parse_zone
from dropzone_cli.session import AsJson, Profile, Region, Session, StackName

_COLUMNS = "Columns of CSV and Excel"
_CELLS = "Cells of CSV and Excel"
_LAYOUT = "Layout of CSV and Excel"
_REQUESTS = "Requests"
_RESUMING = "Resuming"


def send(
    ctx: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Files, patterns such as 'data/*.csv', or - for stdin; compressed with gzip or zip, or not.",
            show_default=False,
        ),
    ],
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
        int,
        typer.Option(
            "--batch-size",
            "-b",
            min=1,
            max=100_000,
            metavar="EVENTS",
            help="The limit of events per request; a request is one object in bronze.",
            rich_help_panel=_REQUESTS,
        ),
    ] = 1_000,
    batch_bytes: Annotated[
        int,
        typer.Option(
            "--batch-bytes",
            min=1,
            max=4_500_000,  # MaxBodyBytes can't be more: Lambda takes 6 MB in base64
            metavar="BYTES",
            help="The limit of bytes per request, uncompressed; the API accepts 4 MiB.",
            rich_help_panel=_REQUESTS,
        ),
    ] = 2**20,
    gzip: Annotated[
        bool, typer.Option("--gzip/--no-gzip", help="Compress each request's body.", rich_help_panel=_REQUESTS)
    ] = True,
    parallel: Annotated[
        int,
        typer.Option(
            "--parallel",
            "-p",
            min=1,
            max=64,
            metavar="N",
            help="Requests at a time. They overtake each other: use 1 where a later event is to replace an earlier one "
            "of the same time and source.",
            rich_help_panel=_REQUESTS,
        ),
    ] = 4,
    retry_for: Annotated[
        float,
        typer.Option(
            "--retry-for",
            min=1,
            metavar="SECONDS",
            help="How long to retry a request after 408, 425, 429, 5xx and broken connections.",
            rich_help_panel=_REQUESTS,
        ),
    ] = 300.0,
    linger: Annotated[
        float,
        typer.Option(
            "--linger",
            min=0,
            metavar="SECONDS",
            help="How long an event of a pipe waits for others before it is sent.",
            rich_help_panel=_REQUESTS,
        ),
    ] = 1.0,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            show_default=False,
            metavar="FILE",
            help=f"One resume file for all inputs; otherwise NAME{RESUME_SUFFIX} beside each.",
            rich_help_panel=_RESUMING,
        ),
    ] = None,
    no_resume: Annotated[
        bool, typer.Option("--no-resume", help="Write no resume file.", rich_help_panel=_RESUMING)
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Send all of it again, also what was accepted.", rich_help_panel=_RESUMING)
    ] = False,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete",
            help="The inputs are not written any more: a last line without a line end is a whole one.",
            rich_help_panel=_RESUMING,
        ),
    ] = False,
    no_rejects: Annotated[
        bool,
        typer.Option(
            "--no-rejects",
            help="Write no NAME.rejects.csv or .ndjson with what was not sent.",
            rich_help_panel=_RESUMING,
        ),
    ] = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report/--no-report",
            help="Tell the API of the lines that can't be sent, so that its figures count them as rejected.",
            rich_help_panel=_RESUMING,
        ),
    ] = True,
    _profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            is_eager=True,
            callback=use_profile,
            metavar="NAME",
            help="Use the options that --save-profile has saved; others may be added.",
            rich_help_panel=_RESUMING,
        ),
    ] = None,
    saved_profile: Annotated[
        str | None,
        typer.Option(
            "--save-profile",
            metavar="NAME",
            help="Save the options that are given as a profile.",
            rich_help_panel=_RESUMING,
        ),
    ] = None,
    time_column: Annotated[
        str | None,
        typer.Option(
            "--time-column",
            metavar="NAME",
            help=f"The time. Found without it: {', '.join(TIME_NAMES)}.",
            rich_help_panel=_COLUMNS,
        ),
    ] = None,
    date_column: Annotated[
        str | None,
        typer.Option(
            "--date-column",
            metavar="NAME",
            help="The date, where it has a column of its own; --time-format is of both, with a space between.",
            rich_help_panel=_COLUMNS,
        ),
    ] = None,
    value_columns: Annotated[
        list[str] | None,
        typer.Option(
            "--value-column",
            metavar="NAME",
            help=f"A number, or a JSON array of numbers; can be repeated. Found without it: {', '.join(VALUE_NAMES)}, "
            "or the only column left. '#3' is the third column.",
            rich_help_panel=_COLUMNS,
        ),
    ] = None,
    per_column: Annotated[
        bool,
        typer.Option(
            "--per-column",
            help="Make an event of each value column. Otherwise an event's data has the values of all.",
            rich_help_panel=_COLUMNS,
        ),
    ] = False,
    source_column: Annotated[
        str | None,
        typer.Option(
            "--source-column",
            metavar="NAME",
            help=f"The source. Found without it: {', '.join(SOURCE_NAMES)}.",
            rich_help_panel=_COLUMNS,
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", metavar="TEXT", help="One source for every row.", rich_help_panel=_COLUMNS)
    ] = None,
    source_pattern: Annotated[
        str | None,
        typer.Option(
            "--source-pattern",
            show_default=False,
            metavar="TEXT",
            help="The source, put together from {source}, {column} (the value column) and other columns. "
            "With --per-column it is {source}/{column}.",
            rich_help_panel=_COLUMNS,
        ),
    ] = None,
    unit_column: Annotated[
        str | None,
        typer.Option(
            "--unit-column", metavar="NAME", help="The unit. Found without it: unit.", rich_help_panel=_COLUMNS
        ),
    ] = None,
    unit: Annotated[
        str | None, typer.Option("--unit", metavar="TEXT", help="One unit for every row.", rich_help_panel=_COLUMNS)
    ] = None,
    tag_columns: Annotated[
        list[str] | None,
        typer.Option(
            "--tag-column",
            metavar="NAME",
            help="A tag of the column's name; can be repeated.",
            rich_help_panel=_COLUMNS,
        ),
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", metavar="NAME=TEXT", help="A tag for every row; can be repeated.", rich_help_panel=_COLUMNS
        ),
    ] = None,
    merge_rows: Annotated[
        bool,
        typer.Option(
            "--merge-rows",
            help="Make one event of neighbouring rows with the same time, source, unit and tags. "
            "Otherwise each row is an event.",
            rich_help_panel=_COLUMNS,
        ),
    ] = False,
    time_format: Annotated[
        str | None,
        typer.Option(
            "--time-format",
            show_default=False,
            metavar="FORMAT",
            help=f"Of times that are not ISO 8601: {', '.join(FORMATS)} (auto: by size), or a format of strptime "
            "such as '%d.%m.%Y %H:%M'.",
            rich_help_panel=_CELLS,
        ),
    ] = None,
    timezone: Annotated[
        tzinfo | None,
        typer.Option(
            "--timezone",
            parser=parse_zone,
            metavar="ZONE",
            help="Of times without an offset: Europe/Berlin, UTC, +02:00. Without it, such rows are not sent.",
            rich_help_panel=_CELLS,
        ),
    ] = None,
    ambiguous: Annotated[
        Ambiguous | None,
        typer.Option(
            "--ambiguous",
            show_default=False,
            help="Which is meant by a time that the clocks showed twice. Without it, such rows are not sent.",
            rich_help_panel=_CELLS,
        ),
    ] = None,
    decimal: Annotated[
        str,
        typer.Option("--decimal", metavar="SIGN", help="The decimal sign: a point or a comma.", rich_help_panel=_CELLS),
    ] = ".",
    missing: Annotated[
        list[str] | None,
        typer.Option(
            "--missing",
            metavar="TEXT",
            help="A cell that says that there is no value, such as NaN or -200; can be repeated.",
            rich_help_panel=_CELLS,
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            "--delimiter",
            metavar="CHAR",
            help="Between the cells. Detected: comma, semicolon, tab or bar.",
            rich_help_panel=_LAYOUT,
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            "--encoding",
            show_default=False,
            metavar="NAME",
            help="The text's encoding. Detected: UTF-8, and UTF-16 by its byte order mark.",
            rich_help_panel=_LAYOUT,
        ),
    ] = None,
    skip_lines: Annotated[
        int | None,
        typer.Option(
            "--skip-lines",
            min=0,
            show_default=False,
            metavar="N",
            help="Lines before the header; loggers' layouts are then not looked for.",
            rich_help_panel=_LAYOUT,
        ),
    ] = None,
    skip_after_header: Annotated[
        int,
        typer.Option(
            "--skip-after-header",
            min=0,
            metavar="N",
            help="Lines after the header that are no rows.",
            rich_help_panel=_LAYOUT,
        ),
    ] = 0,
    comment: Annotated[
        str | None,
        typer.Option("--comment", metavar="TEXT", help="Skip lines that begin with this.", rich_help_panel=_LAYOUT),
    ] = None,
    sheet: Annotated[
        str | None,
        typer.Option(
            "--sheet", metavar="NAME", help="Of a workbook. Without it, the first one.", rich_help_panel=_LAYOUT
        ),
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
    from dropzone_cli.sending.report import Report

    session = Session(ctx, stack_name, region, aws_profile, as_json=as_json)
    options = SendOptions(
        dry_run=dry_run,
        fail_fast=fail_fast,
        batch_size=batch_size,
        batch_bytes=batch_bytes,
        gzip=gzip,
        parallel=parallel,
        retry_for=retry_for,
        linger=linger,
        resume=resume,
        no_resume=no_resume,
        again=again,
        complete=complete,
        rejects=not no_rejects,
        report=report,
    )
    csv = csv_options(
        time=time_column,
        date=date_column,
        values=value_columns or (),
        source_column=source_column,
        unit_column=unit_column,
        tag_columns=tag_columns or (),
        source=source,
        unit=unit,
        tags=tags or (),
        source_pattern=source_pattern,
        per_column=per_column,
        merge_rows=merge_rows,
        zone=timezone,
        ambiguous=ambiguous,
        time_format=time_format,
        decimal=decimal,
        missing=missing or (),
        delimiter=delimiter,
        encoding=encoding,
        skip_lines=skip_lines,
        skip_after_header=skip_after_header,
        comment=comment,
        sheet=sheet,
    )
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
