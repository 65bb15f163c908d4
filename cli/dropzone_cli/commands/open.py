"""`dropzone open`: the page, or Swagger UI."""

import os
import sys
from typing import Annotated

import typer

from dropzone_cli.errors import ExitCode
from dropzone_cli.session import Session


def open_(
    session: Session,
    *,
    docs: Annotated[
        bool, typer.Option("--docs", help="Open Swagger UI instead, where you can try every call.")
    ] = False,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser if there is a display.")
    ] = True,
) -> ExitCode:
    """Print the address of the stack's page, and open it in a browser."""
    url = f"{session.target.url}/{'docs' if docs else ''}"
    session.out.result({"url": url}, url)
    if browser and _has_display():
        import webbrowser

        if not webbrowser.open(url):
            session.out.note("No browser could be opened.")
    return ExitCode.DONE


def _has_display() -> bool:
    if sys.platform in {"darwin", "win32"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
