"""`dropzone send`: events of files or stdin, each once, however often the run is stopped."""

from typing import Annotated

import typer

from dropzone_cli.command import Session, command
from dropzone_cli.errors import ExitCode, usage
from dropzone_cli.sending.dry_run import dry_run
from dropzone_cli.sending.inputs import Format, expand
from dropzone_cli.sending.options import Columns, Sending
from dropzone_cli.sending.plan import Planned
from dropzone_cli.sending.report import Report
from dropzone_cli.sending.uploader import Uploader

_EPILOG = (
    "Exit codes: 0 all was accepted; 1 something was refused or is no event, and the rest was accepted; "
    "2 called wrongly; 3 the API can't be reached, or takes nothing: go on later; 130 interrupted."
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "send", epilog=_EPILOG)(send)


def send(
    session: Session,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Files, patterns such as 'data/*.csv', or - for stdin; packed with gzip or not.",
            show_default=False,
        ),
    ],
    *,
    sending: Sending,
    columns: Columns,
) -> ExitCode:
    """Send events: JSON (an event, several, arrays of them), NDJSON, or CSV.

    They go in batches. A resume file beside the input says which were accepted, and each batch has an idempotency key,
    so that a run that was stopped goes on with the same command, and nothing arrives twice.
    """
    if sending.no_resume and sending.resume:
        raise usage("--resume and --no-resume contradict each other.", "Choose one of them.")
    options = columns.options
    plan = [Planned.of(one, sending.format, options) for one in expand(inputs)]
    if columns != Columns() and not any(planned.format in {None, Format.CSV} for planned in plan):
        message = "Options of columns, labels and times go with CSV; JSON is sent as it is."
        raise usage(message, "--format csv says that an input is one.")
    report = Report(session.out, session.client_options.clock, plan, sending)
    if sending.dry_run:
        dry_run(plan, sending, options, report)
    else:
        Uploader(session, sending, options, report).run(plan)
    return ExitCode.NOT_ALL_WELL if report.has_problems else ExitCode.DONE
