"""Profiles: named sets of options of `dropzone send`, in a file of the user."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import typer

from dropzone_cli.errors import usage

FILE = "DROPZONE_PROFILES"

# Options that belong to a single call, not to a kind of input.
_NOT_SAVED = {
    *("inputs", "dry_run", "as_json", "fail_fast", "again", "resume", "profile", "saved_profile"),
    *("stack_name", "region", "aws_profile"),
}

Profile = dict[str, Any]


def profiles_file() -> Path:
    named = os.environ.get(FILE)
    return Path(named) if named else Path(typer.get_app_dir("dropzone")) / "profiles.toml"


def use_profile(ctx: typer.Context, name: str | None) -> str | None:
    """Use the options of a profile as defaults.

    Raises:
        typer.BadParameter: the file can't be read, there is no such profile, or it has unknown options.
    """
    if name is None:
        return None
    profiles = _read(profiles_file())
    if name not in profiles:
        known = ", ".join(profiles) or "none"
        raise typer.BadParameter(f"{profiles_file()} has no profile {name!r}; it has {known}.")
    parameters = {option: parameter for parameter, option in _options(ctx).items()}
    if unknown := [option for option in profiles[name] if option not in parameters]:
        raise typer.BadParameter(f"{profiles_file()}: the profile {name!r} has an unknown option {unknown[0]!r}.")
    ctx.default_map = {parameters[option]: value for option, value in profiles[name].items()}
    return name


def save_profile(ctx: typer.Context, name: str) -> None:
    """Save the options that were given, or that came from another profile.

    Raises:
        CliError: the file can't be written.
        typer.BadParameter: the file can't be read.
    """
    path = profiles_file()
    profiles = _read(path)
    profiles[name] = {
        option: _plain(ctx.params[parameter])
        for parameter, option in _options(ctx).items()
        if getattr(ctx.get_parameter_source(parameter), "name", "") in {"COMMANDLINE", "DEFAULT_MAP"}
    }
    text = "\n".join(
        f"[{json.dumps(title)}]\n" + "".join(f"{option} = {json.dumps(value)}\n" for option, value in profile.items())
        for title, profile in profiles.items()
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise usage(f"{path} can't be written: {error.strerror}.", f"{FILE} names another file.") from None


def _options(ctx: typer.Context) -> dict[str, str]:
    """The options that a profile may have: their command-line names by the names of their parameters."""
    return {
        str(parameter.name): parameter.opts[0].removeprefix("--")
        for parameter in ctx.command.params
        if parameter.name not in _NOT_SAVED and parameter.opts[0].startswith("--") and parameter.name != "help"
    }


def _plain(value: Any) -> Any:  # noqa: ANN401 - of any option
    if isinstance(value, list | tuple):
        return [*map(_plain, value)]
    return value if isinstance(value, bool | int | float) else str(value)


def _read(path: Path) -> dict[str, Profile]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path} can't be read: {error}") from None
