"""`dropzone send`: send events from files or stdin, each once, however often the run is stopped."""

from typing import Annotated

import typer

from dropzone_cli.errors import ExitCode, usage
from dropzone_cli.sending.inputs import Format, Planned, expand
from dropzone_cli.sending.options import CsvOptions, SendOptions, check_options
from dropzone_cli.sending.profiles import save_profile
from dropzone_cli.session import Session

_INPUTS = "Files, patterns such as 'data/*.csv', or - for stdin; compressed with gzip or zip, or not."


def send(
    session: Session,
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help=_INPUTS, show_default=False)],
    *,
    input_format: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="Detected from the inputs' names and content.", show_default=False),
    ] = None,
    options: SendOptions,
    csv: CsvOptions,
) -> ExitCode:
    """Send events: JSON (an event, several, arrays of them), NDJSON, CSV, or an Excel workbook.

    Events are sent in batches, each with an idempotency key. A resume file beside the input records which batches were
    accepted: the same command continues a run that was stopped, and no event is stored twice.
    """
    check_options(options, csv)

    from dropzone_cli.sending.report import Report

    plan = [Planned.of(one, input_format, csv) for one in expand(inputs)]
    tables = {None, Format.CSV, Format.XLSX}
    if csv != CsvOptions(encoding=csv.encoding) and not any(planned.format in tables for planned in plan):
        message = "Options for columns, labels and times apply to CSV; JSON is sent as it is."
        raise usage(message, "--format csv says that an input is CSV.")
    if options.saved_profile is not None:
        save_profile(session.ctx, options.saved_profile)
    results = Report(session.out, session.client_options.clock, plan, options)
    try:
        if options.dry_run:
            from dropzone_cli.sending.dry_run import dry_run as read_all

            read_all(plan, options, csv, results)
        else:
            from dropzone_cli.sending.uploader import Uploader

            Uploader(session, options, csv, results).run(plan)
        return results.exit_code
    finally:
        results.close()
