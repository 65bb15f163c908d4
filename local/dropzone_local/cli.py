"""The developer's command line: up, down, status, logs, run, demo, clean."""

import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Self

import psutil
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from typer.core import TyperGroup

from dropzone_local import example, processes
from dropzone_local.demo import Sender, send_a_day, send_live
from dropzone_local.deployment import Endpoints, api_answers
from dropzone_local.errors import LocalStackError
from dropzone_local.logs import LogReader
from dropzone_local.stack import DATABASE_PORT_VARIABLE, PORT_VARIABLE, PROJECT, LocalStack, Options

NOT_UP = 3
_LOG_EVERY = 0.5
_LIVE_EVERY = 60.0
"""Seconds between two lines of the live demo without a spinner."""
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_OPENS = {
    "ingest": "sends events and looks up their outcomes",
    "read": "reads measurements, figures and rejections",
    "operate": "processes and replays objects, and reads raw bytes",
}
"""Descriptions of what a key with each scope may do."""

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


class _Commands(TyperGroup):
    """Commands that explain errors in a few lines, and end on SIGTERM and SIGHUP like on Ctrl-C.

    SIGINT is handled as well, since a shell ignores it for its background jobs.
    """

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - classes that Typer keeps to itself
        for number in _ENDING_SIGNALS:
            signal.signal(number, signal.default_int_handler)
        try:
            return super().invoke(ctx)
        except LocalStackError as error:
            errors.print(f"[bold red]{error.message}[/]")
            if error.detail:
                errors.print(error.detail, markup=False)
            if error.hint:
                errors.print(error.hint, markup=False)
            sys.exit(1)
        except KeyboardInterrupt:
            errors.print("Interrupted.")
            sys.exit(130)


app = typer.Typer(
    cls=_Commands,
    help="The whole pipeline on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Root = Annotated[Path, typer.Option("--root", envvar="DROPZONE_ROOT", help="The folder for all of the stack's data.")]
Port = Annotated[
    int | None, typer.Option("--port", envvar=PORT_VARIABLE, min=1, max=65535, help="Port of the API and of AWS.")
]
DatabasePort = Annotated[
    int | None,
    typer.Option("--database-port", envvar=DATABASE_PORT_VARIABLE, min=1, max=65535, help="Port of PostgreSQL."),
]
Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", metavar="NAME=VALUE", help="A parameter of the template; repeatable.")
]
_ROOT = PROJECT / ".local"


@app.command()
def up(root: Root = _ROOT, port: Port = None, database_port: DatabasePort = None, parameter: Parameters = None) -> None:
    """Start everything in the background, and write stack.json."""
    stack, endpoints = _bring_up(root, Options(_parse(parameter), port, database_port, bound_to_parent=False))
    _show_endpoints(endpoints)
    _show_next_steps(stack, endpoints)


@app.command()
def demo(
    root: Root = _ROOT, *, live: Annotated[bool, typer.Option(help="Continue with live data until Ctrl-C.")] = True
) -> None:
    """Send a day of data from a few sensors, then live data; start the stack in the background if it isn't up."""
    stack = LocalStack(root)
    endpoints = stack.endpoints if stack.healthy else None
    if endpoints is None:
        _, endpoints = _bring_up(root, Options(bound_to_parent=False))
    _show_page(endpoints)
    with Sender(endpoints) as sender:
        _feed(sender, live=live)


def _feed(sender: Sender, *, live: bool) -> None:
    now = datetime.now(UTC)
    beginning = "Sending a day of data from seven sensors …"
    if not console.is_terminal:
        console.print(f"\n{beginning}")
    with console.status(beginning):
        sent = send_a_day(sender, now)
    console.print(f"\nSent {sent} events, some of them invalid on purpose. Open the page and paste the key.")
    if not live:
        return
    console.print("Live data follows. Ctrl-C ends it; the stack stays up, until: make down", style="dim")
    with console.status("Live") as status:
        total, shown = 0, time.monotonic()

        def count(events: int) -> None:
            nonlocal total, shown
            total += events
            status.update(f"Live: {total} events")
            if not console.is_terminal and time.monotonic() - shown >= _LIVE_EVERY:
                shown = time.monotonic()
                console.print(f"Live: {total} events")

        send_live(sender, now, count)


@app.command()
def down(root: Root = _ROOT) -> None:
    """Stop every process of the stack; the data is kept."""
    stack = LocalStack(root)
    was_running = stack.running
    stack.down()
    console.print("The local stack is down." if was_running else "The local stack was not running.")


@app.command()
def clean(root: Root = _ROOT) -> None:
    """Stop every process of the stack and delete its data."""
    LocalStack(root).clean()
    console.print("The local stack and its data are gone.")


@app.command()
def status(root: Root = _ROOT) -> None:
    """Print what runs. The exit code is 0 if everything does, 3 otherwise."""
    stack = LocalStack(root)
    endpoints = stack.endpoints
    emulator, database = stack.emulator.healthy, stack.postgres.healthy
    is_deployed = emulator and stack.deployment.is_deployed
    answers = is_deployed and endpoints is not None and api_answers(endpoints.url)
    table = Table("", "state", "process", "port", "also running", box=None)
    for server, port, healthy in (
        (stack.postgres.service, stack.postgres.port, database),
        (stack.emulator.service, stack.emulator.port, emulator),
    ):
        main = server.server
        others = len(server.processes()) - (main is not None)
        words = "up" if healthy else ("does not answer" if main else "down")
        table.add_row(server.name, words, str(main.pid) if main else "", str(port or ""), str(others))
    template = "deployed" if is_deployed else ("not deployed" if emulator else "unknown while the emulator is down")
    table.add_row("The template", template, "", "", "")
    table.add_row("The API", "answers" if answers else "does not answer", "", "", "")
    console.print(table)
    if endpoints is not None:
        _show_endpoints(endpoints)
    if not (database and answers):
        raise typer.Exit(NOT_UP)


@app.command()
def logs(
    root: Root = _ROOT,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Continue until Ctrl-C.")] = False,
    minutes: Annotated[float, typer.Option("--minutes", min=0, help="How far to look back.")] = 60,
) -> None:
    """Show the functions' logs."""
    stack = LocalStack(root)
    if not (stack.emulator.healthy and stack.deployment.is_deployed):
        raise LocalStackError("The local stack is not up.", hint="Bring it up: make up")
    reader = LogReader(stack.deployment.clients, since_seconds=minutes * 60)
    _show_logs(reader)
    while follow and stack.emulator.service.running:
        time.sleep(_LOG_EVERY)
        _show_logs(reader)


@app.command()
def run(
    root: Root = _ROOT, port: Port = None, database_port: DatabasePort = None, parameter: Parameters = None
) -> None:
    """Start everything, show the main job, and serve until Ctrl-C."""
    parameters = _parse(parameter)
    steps = _Steps()
    stack = steps.stack(root, Options(parameters, port, database_port, bound_to_parent=False))
    if stack.healthy:
        console.print("The local stack is already up: it is used and left up.")
        _show_and_serve(steps, stack)
        return
    stack.down()
    stack = steps.stack(root, Options(parameters, port, database_port, bound_to_parent=True))
    try:
        _show_and_serve(steps, stack)
    finally:
        for number in _ENDING_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C would leave parts of it running
        console.print("Shutting everything down …", style="dim")
        stack.down()
        processes.kill(psutil.Process().children(recursive=True))  # such as an interrupted build


def _bring_up(root: Path, options: Options) -> tuple[LocalStack, Endpoints]:
    """Start a stack that keeps running; if that fails, leave none that wasn't running before."""
    steps = _Steps()
    stack = steps.stack(root, options)
    before = stack.running
    try:
        with steps:
            endpoints = stack.up()
    except BaseException:
        if not before:
            stack.down()
        raise
    if not steps.any_done:
        console.print("The local stack was already up, and nothing has changed.")
    return stack, endpoints


class _Steps:
    """Shows each completed step, with the time since the start, and the current one.

    The current step has a spinner on a terminal; otherwise, a line is printed when it starts.
    """

    def __init__(self) -> None:
        self.any_done = False
        self._started = time.monotonic()
        self._progress = Progress(
            TextColumn("        "),
            SpinnerColumn(),
            TextColumn("Bringing up the local stack"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        if console.is_terminal:
            self._progress.start()
            self._progress.add_task("up", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def stack(self, root: Path, options: Options) -> LocalStack:
        return LocalStack(root, options, report=self.done, announce=self.begun)

    def begun(self, step: str) -> None:
        if not console.is_terminal:
            self._print(f"{step} …")

    def done(self, step: str) -> None:
        self.any_done = True
        self._print(step)

    def _print(self, text: str) -> None:
        console.print(f"[dim]{time.monotonic() - self._started:6.1f} s[/]  {text}")


def _show_main_job(stack: LocalStack, endpoints: Endpoints) -> None:
    console.print(f"\n[bold]POST /ingest[/]  {example.PAYLOAD}")
    answer = example.post(endpoints)
    console.print("[bold green]202 Accepted[/]  ", end="")
    console.print(answer, markup=False)
    console.print(f"\n[bold]{example.HEADINGS}[/]")
    console.print(example.wait_for_row(stack.postgres), markup=False)
    _show_endpoints(endpoints)
    console.print("\nThe API key above has all scopes. These have one each, within a minute:")
    for scope, key in stack.deployment.keys().items():
        _show_named(scope, f"{key}  {_OPENS[scope]}")
    console.print("\nSend it once more:")
    console.print(f"  {example.curl(endpoints)}", markup=False)


def _show_endpoints(endpoints: Endpoints) -> None:
    _show_page(endpoints)
    _show_named("API", endpoints.url)
    _show_named("Postgres", endpoints.database_url)
    _show_named("AWS", endpoints.emulator_url)


def _show_named(name: str, value: str) -> None:
    console.print(f"[dim]{name:<9}[/] ", end="")
    console.print(value, markup=False)


def _show_next_steps(stack: LocalStack, endpoints: Endpoints) -> None:
    console.print(f"\nAll of this is in {stack.file}. Next:", style="dim")
    console.print("\n  make demo     # data to look at, on the page", markup=False)
    console.print("  make down     # stop it; the data stays", markup=False)
    console.print(f"  {example.curl(endpoints)}", markup=False)
    console.print("\ndocs/api.md shows every call.", style="dim")


def _show_page(endpoints: Endpoints) -> None:
    """Print the URL of the page, and the key that it asks for."""
    console.print()
    _show_named("Page", f"{endpoints.url}/")
    _show_named("API key", endpoints.api_key)


def _show_and_serve(steps: _Steps, stack: LocalStack) -> None:
    with steps:
        endpoints = stack.up()
    _show_main_job(stack, endpoints)
    console.print("\nServing. The functions' logs follow; Ctrl-C ends it.\n", style="dim")
    reader = LogReader(stack.deployment.clients, since_seconds=60)
    try:
        while True:
            _show_logs(reader)
            time.sleep(_LOG_EVERY)
            stopped = [service for service in stack.services if not service.running]
            if stopped and stack.endpoints is None:
                console.print("The local stack was taken down by another command.")
                return
            if stopped:
                raise stopped[0].failure("ended by itself")
    except KeyboardInterrupt:
        console.print()


def _show_logs(reader: LogReader) -> None:
    try:
        for line in reader.read():
            console.print(line.render())
    except (BotoCoreError, ClientError):
        return  # the emulator is being stopped or restarted, which the caller handles


def _parse(parameters: list[str] | None) -> dict[str, str]:
    pairs = [parameter.partition("=") for parameter in parameters or []]
    for name, separator, _ in pairs:
        if not (name and separator):
            raise LocalStackError(f"--parameter takes NAME=VALUE, and not {name!r}.")
    return {name: value for name, _, value in pairs}
