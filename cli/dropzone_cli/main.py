"""The entry point of the command line: `dropzone`."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from dropzone_cli.commands import contract, dlq, keys, reads, rejected, replay, send, status
from dropzone_cli.commands.open import open_
from dropzone_cli.errors import CliError, ExitCode
from dropzone_cli.parameters import with_options
from dropzone_cli.signals import handled_by

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

DEBUG = "DROPZONE_DEBUG"

_HELP = """Send events to a Dropzone stack, read their outcomes, and operate it: find rejections and dead letters.

The stack is the local one (.local/stack.json, here or in a folder above), or one on AWS by name (--stack-name,
DROPZONE_STACK_NAME), or an API by its address (DROPZONE_URL and DROPZONE_API_KEY). Every command takes --json.
"""
_EPILOG = (
    "Exit codes: 0 done; 1 something needs attention; 2 wrong usage; 3 no stack, or it can't be reached; "
    "4 some events are still waiting; 130 interrupted."
)
_STATUS_EPILOG = (
    "Exit codes: 0 all processed or superseded; 1 some rejected, stuck or unknown; 4 some are still waiting."
)
_SOURCES_EPILOG = "Exit codes: 0 done; 1 --silent found some."
_SEND_EPILOG = (
    "Exit codes: 0 all accepted; 1 some refused or unreadable, the rest accepted; 2 wrong usage; "
    "3 the API can't be reached or accepts nothing: try again later; 4 a last line may not be complete yet; "
    "130 interrupted."
)


def _without_flag_types(params: list[Any]) -> list[Any]:
    """Show a flag as `--json`: Typer shows `--json <bool>`, as if it took a value."""
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag:
            param.metavar = ""
    return params


class _Command(TyperCommand):
    """A command that exits with the code it returns, and explains errors."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - a class that Typer keeps to itself
        return _without_flag_types(super().get_params(ctx))

    def invoke(self, ctx: Any) -> NoReturn:  # noqa: ANN401
        raise typer.Exit(_exit_code(lambda: super(_Command, self).invoke(ctx)))


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401
        return _without_flag_types(super().get_params(ctx))


def _exit_code(call: Callable[[], ExitCode]) -> ExitCode:
    try:
        with handled_by(_interrupt):
            return call()
    except CliError as error:
        return _failed(error)
    except (KeyboardInterrupt, typer.Abort):  # the latter at a question
        return _failed(CliError("Interrupted.", exit_code=ExitCode.INTERRUPTED))
    except Exception as error:
        from dropzone_cli import aws

        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return _failed(CliError(f"{error.strerror}.", exit_code=ExitCode.NOT_ALL_WELL))
        if explained := aws.explained(error):
            return _failed(explained)
        if isinstance(error, BrokenPipeError) or os.environ.get(DEBUG):
            raise
        hint = f"This is a bug in dropzone: report it, with the output of {DEBUG}=1."
        return _failed(CliError(f"{type(error).__name__}: {error}", hint=hint, exit_code=ExitCode.BUG))


def _failed(error: CliError) -> ExitCode:
    from dropzone_cli.output import Output

    out = Output(as_json=False)
    if error.exit_code is ExitCode.INTERRUPTED:
        out.note(error.message)
    else:
        out.error(error)
    return error.exit_code


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End a command like Ctrl-C does, so that it can release its resources."""
    raise KeyboardInterrupt


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it
    if wanted:
        from importlib.metadata import version

        typer.echo(f"dropzone {version('dropzone-cli')}")
        raise typer.Exit


def _paragraphs(text: str) -> str:
    """Put each paragraph on one line, which the terminal wraps."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _group(text: str, **options: Any) -> typer.Typer:  # noqa: ANN401
    return typer.Typer(
        cls=_Group, help=_paragraphs(text), no_args_is_help=True, pretty_exceptions_enable=False, **options
    )


app = _group(_HELP, name="dropzone", epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


def _add(parent: typer.Typer, name: str, function: Callable[..., ExitCode], epilog: str | None = None) -> None:
    parent.command(name, cls=_Command, help=_paragraphs(function.__doc__ or ""), epilog=epilog)(with_options(function))


_add(app, "send", send.send, _SEND_EPILOG)
_add(app, "status", status.status, _STATUS_EPILOG)
_add(app, "sources", reads.sources, _SOURCES_EPILOG)
_add(app, "kpis", reads.kpis)
_add(app, "measurements", reads.measurements)
_add(app, "quality", reads.quality)
_add(app, "archive", reads.archive)
_rejected = _group("Events that broke data-quality rules.")
_add(_rejected, "list", rejected.list_)
_add(_rejected, "show", rejected.show)
_add(_rejected, "export", rejected.export)
app.add_typer(_rejected, name="rejected")
_add(app, "replay", replay.replay)
_add(app, "sweep", replay.sweep)
_dlq = _group("Dead letters: messages that failed as often as the queue allows.")
_add(_dlq, "list", dlq.list_)
_add(_dlq, "redrive", dlq.redrive)
_add(_dlq, "purge", dlq.purge)
app.add_typer(_dlq, name="dlq")
_keys = _group("Keys: what each may do, for which sources, and until when.")
_add(_keys, "create", keys.create)
_add(_keys, "list", keys.list_)
_add(_keys, "rotate", keys.rotate)
_add(_keys, "revoke", keys.revoke)
_add(_keys, "check", keys.check)
app.add_typer(_keys, name="keys")
_contract = _group("Data contracts: check files, try them on received events, propose one. Needs a checkout.")
_add(_contract, "check", contract.check)
_add(_contract, "try", contract.try_)
_add(_contract, "new", contract.new)
app.add_typer(_contract, name="contract")
_add(app, "open", open_)
