"""The command line's entry: `dropzone`."""

import typer

from dropzone_cli.command import paragraphs
from dropzone_cli.commands import dlq, rejected, replay, send, status
from dropzone_cli.commands import open as open_

_HELP = """Send events to a Dropzone stack, and run it: where are events, what was rejected, what is stuck.

The stack is the local one (.local/stack.json, here or in a folder above), or one on AWS by name (--stack-name,
DROPZONE_STACK_NAME), or an API by its address (DROPZONE_URL and DROPZONE_API_KEY). Every command takes --json.
"""
_EPILOG = (
    "Exit codes: 0 done; 1 something needs a look; 2 called wrongly; 3 no stack, or out of reach; "
    "4 some events still wait; 130 interrupted."
)

app = typer.Typer(
    name="dropzone",
    help=paragraphs(_HELP),
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (send, status, rejected, replay, dlq, open_):
    module.register(app)
