"""What every command has: the stack's options, --json, errors in words, exit codes."""

import inspect
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Concatenate

import typer

from dropzone_cli import aws
from dropzone_cli.api import Api, ClientOptions
from dropzone_cli.errors import CliError, ExitCode
from dropzone_cli.output import Output
from dropzone_cli.queue import Queue
from dropzone_cli.target import Options, Resources, Target, resolve

DEBUG = "DROPZONE_DEBUG"

_PANEL = "Which stack"
_COMMON = {
    "stack_name": Annotated[
        str | None,
        typer.Option(
            "--stack-name",
            metavar="NAME",
            help="A stack on AWS, by its name in CloudFormation.",
            show_envvar=False,
            rich_help_panel=_PANEL,
        ),
    ],
    "region": Annotated[
        str | None, typer.Option("--region", metavar="REGION", help="Its region.", rich_help_panel=_PANEL)
    ],
    "profile": Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="The AWS profile to reach it with.", rich_help_panel=_PANEL),
    ],
    "as_json": Annotated[bool, typer.Option("--json", help="Print one JSON document.")],
}


def paragraphs(text: str) -> str:
    """Put each paragraph on one line: how wide it is to be shown, the terminal knows."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


class Session:
    """One run of a command: the stack it talks to, found when it is needed, and what it prints."""

    def __init__(self, options: Options, out: Output, client_options: ClientOptions, closing: ExitStack) -> None:
        """Look for nothing yet."""
        self.out = out
        self._options = options
        self.client_options = client_options
        self._closing = closing

    @cached_property
    def target(self) -> Target:
        """The stack."""
        return resolve(self._options, os.environ, Path.cwd())

    @cached_property
    def api(self) -> Api:
        """Its API."""
        return self._closing.enter_context(Api(self.target, self.client_options))

    @property
    def resources(self) -> Resources:
        """What it has beside its API."""
        return self.target.needed_resources()

    @cached_property
    def dlq(self) -> Queue:
        """Its dead-letter queue."""
        return Queue(self.resources.aws.sqs(), self.resources.dlq_url)

    @cached_property
    def queue(self) -> Queue:
        """Its queue."""
        return Queue(self.resources.aws.sqs(), self.resources.queue_url)


type Command[**P] = Callable[Concatenate[Session, P], ExitCode]


def command[**P](app: typer.Typer, name: str, *, epilog: str = "") -> Callable[[Command[P]], Command[P]]:
    """Make a function a command of an app: it gets a session, and every command's options are its own as well.

    A parameter whose type is a dataclass becomes options with the names and types of its fields.
    """

    def register(function: Command[P]) -> Command[P]:
        def run(ctx: typer.Context, **values: object) -> None:
            common = {key: values.pop(key) for key in _COMMON}
            for key, group in groups.items():
                values[key] = group(**{field.name: values.pop(field.name) for field in fields(group)})
            raise typer.Exit(_run(ctx, common, lambda session: function(session, **values)))  # type: ignore[call-arg,arg-type]  # typer made them from the function's own signature

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        groups: dict[str, Any] = {
            parameter.name: parameter.annotation for parameter in own if is_dataclass(parameter.annotation)
        }
        kinds = inspect.Parameter
        context = kinds("ctx", kinds.KEYWORD_ONLY, annotation=typer.Context)
        common = [
            kinds(key, kinds.KEYWORD_ONLY, annotation=annotation, default=False if key == "as_json" else None)
            for key, annotation in _COMMON.items()
        ]
        plain = [parameter.replace(kind=kinds.KEYWORD_ONLY) for parameter in own if parameter.name not in groups]
        grouped = [
            kinds(field.name, kinds.KEYWORD_ONLY, annotation=field.type, default=field.default)
            for group in groups.values()
            for field in fields(group)
        ]
        parameters = [context, *plain, *grouped, *common]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__doc__ = paragraphs(function.__doc__ or "")
        app.command(name, epilog=epilog or None)(run)
        return function

    return register


def _run(ctx: typer.Context, common: dict[str, object], call: Callable[[Session], ExitCode]) -> ExitCode:
    out = Output(as_json=bool(common["as_json"]))
    options = Options(*(None if value is None else str(value) for value in list(common.values())[:3]))
    client_options = ctx.obj if isinstance(ctx.obj, ClientOptions) else ClientOptions()
    try:
        with _interruptible(), ExitStack() as closing:
            return call(Session(options, out, client_options, closing))
    except CliError as error:
        out.error(error)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):  # the latter at a question
        out.note("Interrupted.")
        return ExitCode.INTERRUPTED
    except Exception as error:
        explained = aws.explained(error)
        if explained is not None:
            out.error(explained)
            return explained.exit_code
        if isinstance(error, BrokenPipeError) or os.environ.get(DEBUG):
            raise
        hint = f"That is a mistake in dropzone itself: report it, with what {DEBUG}=1 makes it print."
        out.error(CliError(f"{type(error).__name__}: {error}", hint=hint))
        return ExitCode.BUG


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP all end a command the way Ctrl-C does, so that what it holds is given back.

    SIGINT is set as well: a shell starts its background jobs with it ignored.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup sets it, and means it
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
