"""`dropzone open`: Swagger."""

import os
import sys
import webbrowser
from typing import Annotated

import typer

from dropzone_cli.command import Session, command
from dropzone_cli.errors import ExitCode


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "open")(open_)


def open_(
    session: Session,
    *,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it, where there is a display.")] = True,
) -> ExitCode:
    """Print the address of Swagger, where every call can be tried, and open it."""
    url = f"{session.target.url}/docs"
    if session.out.as_json:
        session.out.document({"url": url})
    else:
        session.out.line(url)
    if browser and _has_display() and not webbrowser.open(url):
        session.out.note("No browser could be opened.")
    return ExitCode.DONE


def _has_display() -> bool:
    if sys.platform in {"darwin", "win32"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
