"""`dropzone send`: events of files or stdin, each once, however often the run is stopped."""

from datetime import tzinfo
from pathlib import Path
from typing import Annotated

import typer

from dropzone_cli.errors import ExitCode, usage
from dropzone_cli.sending.csv_reader import TIME_NAMES, VALUE_NAMES, CsvOptions
from dropzone_cli.sending.inputs import RESUME_SUFFIX, Format, expand
from dropzone_cli.sending.options import SendOptions, csv_options
from dropzone_cli.sending.zones import parse_zone
from dropzone_cli.session import AsJson, Profile, Region, Session, StackName

_CSV = "CSV"
_REQUESTS = "Requests"
_RESUMING = "Resuming"


def send(
    ctx: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Files, patterns such as 'data/*.csv', or - for stdin; gzipped or not.",
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
            help="How long to retry a request after 429, 5xx and broken connections.",
            rich_help_panel=_REQUESTS,
        ),
    ] = 300.0,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="FILE",
            help=f"One resume file for all inputs; otherwise NAME{RESUME_SUFFIX} beside each.",
            show_default=False,
            rich_help_panel=_RESUMING,
        ),
    ] = None,
    no_resume: Annotated[
        bool, typer.Option("--no-resume", help="Write no resume file.", rich_help_panel=_RESUMING)
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Send all of it again, also what was accepted.", rich_help_panel=_RESUMING)
    ] = False,
    time_column: Annotated[
        str | None,
        typer.Option(
            "--time-column",
            metavar="NAME",
            help=f"The time, ISO 8601. Found without it: {', '.join(TIME_NAMES)}.",
            rich_help_panel=_CSV,
        ),
    ] = None,
    value_columns: Annotated[
        list[str] | None,
        typer.Option(
            "--value-column",
            metavar="NAME",
            help="A number, or a JSON array of numbers; repeated, an event's data has the values of all. Found without "
            f"it: {', '.join(VALUE_NAMES)}, or the only column left.",
            rich_help_panel=_CSV,
        ),
    ] = None,
    source_column: Annotated[
        str | None,
        typer.Option(
            "--source-column", metavar="NAME", help="The source. Found without it: source.", rich_help_panel=_CSV
        ),
    ] = None,
    unit_column: Annotated[
        str | None,
        typer.Option("--unit-column", metavar="NAME", help="The unit. Found without it: unit.", rich_help_panel=_CSV),
    ] = None,
    tag_columns: Annotated[
        list[str] | None,
        typer.Option(
            "--tag-column", metavar="NAME", help="A tag of the column's name; can be repeated.", rich_help_panel=_CSV
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", metavar="TEXT", help="One source for every row.", rich_help_panel=_CSV)
    ] = None,
    unit: Annotated[
        str | None, typer.Option("--unit", metavar="TEXT", help="One unit for every row.", rich_help_panel=_CSV)
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="NAME=TEXT", help="A tag for every row; can be repeated.", rich_help_panel=_CSV),
    ] = None,
    timezone: Annotated[
        tzinfo | None,
        typer.Option(
            "--timezone",
            parser=parse_zone,
            metavar="ZONE",
            help="Of times without an offset: Europe/Berlin, UTC, +02:00. Without it, such rows are not sent.",
            rich_help_panel=_CSV,
        ),
    ] = None,
    merge_rows: Annotated[
        bool,
        typer.Option(
            "--merge-rows",
            help="Make one event of neighbouring rows with the same time, source, unit and tags. "
            "Otherwise each row is an event.",
            rich_help_panel=_CSV,
        ),
    ] = False,
    delimiter: Annotated[
        str | None,
        typer.Option(
            "--delimiter",
            metavar="CHAR",
            help="Between the cells. Detected: comma, semicolon, tab or bar.",
            rich_help_panel=_CSV,
        ),
    ] = None,
    encoding: Annotated[
        str, typer.Option("--encoding", metavar="NAME", help="The text's encoding.", rich_help_panel=_CSV)
    ] = "utf-8",
    as_json: AsJson = False,
    stack_name: StackName = None,
    region: Region = None,
    profile: Profile = None,
) -> ExitCode:
    """Send events: JSON (an event, several, arrays of them), NDJSON, or CSV.

    Events are sent in batches, each with an idempotency key. A resume file beside the input records which batches were
    accepted: the same command continues a run that was stopped, and no event is stored twice.
    """
    from dropzone_cli.sending.plan import Planned
    from dropzone_cli.sending.report import Report

    session = Session(ctx, stack_name, region, profile, as_json=as_json)
    options = SendOptions(
        dry_run=dry_run,
        fail_fast=fail_fast,
        batch_size=batch_size,
        batch_bytes=batch_bytes,
        gzip=gzip,
        parallel=parallel,
        retry_for=retry_for,
        resume=resume,
        no_resume=no_resume,
        again=again,
    )
    csv = csv_options(
        time=time_column,
        values=value_columns or (),
        source_column=source_column,
        unit_column=unit_column,
        tag_columns=tag_columns or (),
        source=source,
        unit=unit,
        tags=tags or (),
        zone=timezone,
        merge_rows=merge_rows,
        delimiter=delimiter,
        encoding=encoding,
    )
    plan = [Planned.of(one, input_format, csv) for one in expand(inputs)]
    if csv != CsvOptions() and not any(planned.format in {None, Format.CSV} for planned in plan):
        message = "Options of columns, labels and times are for CSV; JSON is sent as it is."
        raise usage(message, "--format csv says that an input is CSV.")
    report = Report(session.out, session.client_options.clock, plan, options)
    if dry_run:
        from dropzone_cli.sending.dry_run import dry_run as read_all

        read_all(plan, options, csv, report)
    else:
        from dropzone_cli.sending.uploader import Uploader

        Uploader(session, options, csv, report).run(plan)
    return ExitCode.NOT_ALL_WELL if report.has_problems else ExitCode.DONE
