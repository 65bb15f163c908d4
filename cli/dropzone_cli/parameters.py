"""Parameters of commands for Typer: an option is declared once, as a field of the dataclass that has its value."""

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache, wraps
from typing import Annotated, Any, get_origin, get_type_hints

import typer

from dropzone_cli.errors import ExitCode
from dropzone_cli.session import Session, SessionOptions

_CONTEXT = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)


def with_options(command: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
    """Have Typer treat the fields of dataclass parameters, and the options of a session, as options.

    A field is an option if its type is annotated with one.
    """
    shown: list[inspect.Parameter] = []
    of_session: tuple[inspect.Parameter, ...] = ()
    made: dict[str, Any] = {}
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        kind: Any = parameter.annotation
        if kind is Session:
            of_session = _options_of(SessionOptions)
            made[parameter.name] = SessionOptions
        elif is_dataclass(kind):
            made[parameter.name] = kind
            shown += _options_of(made[parameter.name])
        else:
            shown.append(parameter)

    @wraps(command)
    def called(ctx: typer.Context, **given: Any) -> ExitCode:  # noqa: ANN401 - of any option
        for name, kind in made.items():
            options = kind(**{option.name: given.pop(option.name) for option in _options_of(kind)})
            given[name] = Session(ctx, options) if kind is SessionOptions else options
        return command(**given)

    called.__signature__ = inspect.Signature([_CONTEXT, *shown, *of_session])  # type: ignore[attr-defined]  # its own
    return called


@cache
def _options_of(kind: Any) -> tuple[inspect.Parameter, ...]:  # noqa: ANN401 - a dataclass
    hints, nothing = get_type_hints(kind, include_extras=True), kind()
    return tuple(
        inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=getattr(nothing, each.name), annotation=hints[each.name]
        )
        for each in fields(kind)
        if get_origin(hints[each.name]) is Annotated
    )
