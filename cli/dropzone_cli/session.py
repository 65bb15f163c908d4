"""The session of a command: the options that choose a stack, and the stack itself, looked up when needed."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dropzone_cli.api import Api, ClientOptions
    from dropzone_cli.errors import CliError
    from dropzone_cli.output import Output
    from dropzone_cli.queue import Queue
    from dropzone_cli.target import Resources, Target

_of_stack = partial(typer.Option, rich_help_panel="Which stack")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """The options of every command that needs a stack."""

    as_json: AsJson = False
    stack_name: Annotated[
        str | None, _of_stack("--stack-name", metavar="NAME", help="A CloudFormation stack on AWS.")
    ] = None
    region: Annotated[str | None, _of_stack("--region", metavar="REGION", help="The stack's AWS region.")] = None
    aws_profile: Annotated[str | None, _of_stack("--aws-profile", metavar="NAME", help="The AWS profile to use.")] = (
        None
    )


class Session:
    """One run of a command. Nothing is looked up, and no client is imported, before it is used."""

    def __init__(self, ctx: typer.Context, options: SessionOptions) -> None:
        self.ctx = ctx
        self._options = options

    @cached_property
    def out(self) -> Output:
        from dropzone_cli.output import Output

        return Output(as_json=self._options.as_json)

    @cached_property
    def target(self) -> Target:
        from dropzone_cli.target import resolve

        return resolve(self._options, os.environ, Path.cwd())

    @cached_property
    def client_options(self) -> ClientOptions:
        """How requests are sent; tests pass their own as `ctx.obj`."""
        from dropzone_cli.api import ClientOptions

        return self.ctx.obj if isinstance(self.ctx.obj, ClientOptions) else ClientOptions()

    @cached_property
    def api(self) -> Api:
        """The stack's API; its connections are closed when the command ends."""
        from dropzone_cli.api import Api

        return self.ctx.with_resource(Api(self.target, self.client_options))

    @property
    def resources(self) -> Resources:
        return self.target.needed_resources()

    @cached_property
    def dlq(self) -> Queue:
        return self._queue(self.resources.dlq_url)

    @cached_property
    def queue(self) -> Queue:
        return self._queue(self.resources.queue_url)

    def _queue(self, url: str) -> Queue:
        from dropzone_cli.queue import Queue

        return Queue(self.resources.aws.sqs(), url)

    def confirm(self, question: str, notes: Iterable[str], *, without_terminal: CliError) -> bool:
        """Print notes and ask a question; raise the error if there is no terminal to ask on."""
        if not can_ask():
            raise without_terminal
        for note in notes:
            self.out.note(note)
        return typer.confirm(question, err=True)


def can_ask() -> bool:
    return sys.stdin.isatty()
