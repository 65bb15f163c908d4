"""The output of commands: tables on a terminal, tab-separated lines elsewhere, or JSON; progress on stderr."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from dropzone_cli.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.progress import ProgressColumn, TaskID

    from dropzone_cli.errors import CliError

_LINE_EVERY_SECONDS = 5.0

STYLES = {
    "processed": "green",
    "superseded": "cyan",
    "accepted": "yellow",
    "rejected": "red",
    "stuck": "bold red",
    "unknown": "bold red",
    "late": "yellow",
    "silent": "red",
}


class Output:
    """Prints results to stdout, and everything about them to stderr."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._out = Console(highlight=False, soft_wrap=True)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True)

    @property
    def for_eyes(self) -> bool:
        """Whether stdout is a terminal."""
        return sys.stdout.isatty()

    def document(self, document: object) -> None:
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=True, default=str) + "\n")
        sys.stdout.flush()

    def result(self, document: object, line: str) -> None:
        """Print a document with `--json`, otherwise a line."""
        if self.as_json:
            self.document(document)
        else:
            self.line(line)

    def listing(self, document: object, columns: Sequence[str], rows: Iterable[Sequence[str]], note: str) -> None:
        """Print a document with `--json`, otherwise a table with a note below it."""
        if self.as_json:
            self.document(document)
        else:
            self.table(columns, rows)
            self.note(note)

    def line(self, text: str = "", style: str = "") -> None:
        self._out.print(Text(printable(text), style=style))

    def note(self, text: str, style: str = "") -> None:
        """Print a line about the results to stderr."""
        self._err.print(Text(printable(text), style=style))

    def error(self, error: CliError) -> None:
        self.note(f"Error: {error.message}", style="bold red")
        if error.hint:
            self.note(error.hint)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table; if stdout is not a terminal, a line per row, with cells separated by tabs."""
        if not self.for_eyes:
            for row in rows:
                sys.stdout.write("\t".join(map(printable, row)) + "\n")
            sys.stdout.flush()
            return
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for number, column in enumerate(columns):
            last = number == len(columns) - 1
            table.add_column(column, overflow="fold", no_wrap=not last and column != "reason")
        for row in rows:
            table.add_row(*(Text(printable(cell), style=STYLES.get(cell, "")) for cell in row))
        self._out.print(table, soft_wrap=False)

    def fields(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Print names and values, one pair per line."""
        if not self.for_eyes:
            self.table((), pairs)
            return
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(style="dim")
        table.add_column(overflow="fold")
        for name, value in pairs:
            table.add_row(name, Text(printable(value), style=STYLES.get(value, "")))
        self._out.print(table, soft_wrap=False)

    def progress(self, what: str, total: int | None = None) -> Display:
        """Make a progress display that counts items."""
        amount = (BarColumn(), MofNCompleteColumn()) if total is not None else (TextColumn("{task.completed:,}"),)
        return Display(self._err, what, total, *amount, TimeElapsedColumn())

    def meter(self, what: str, total: int | None) -> Meter:
        """Make a progress display of a transfer; `total` is in bytes."""
        sized = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn()) if total else (TimeElapsedColumn(),)
        return Meter(self._err, what, total, *sized)


class _Progress:
    """A bar on a terminal, otherwise a plain line now and then. Thread-safe."""

    def __init__(self, console: Console, what: str, total: int | None, *columns: ProgressColumn) -> None:
        self._console = console
        self._what = what
        self._total = total
        self._done = 0
        self._began = time.monotonic()
        self._next_line = self._began + _LINE_EVERY_SECONDS
        self._task: TaskID | None = None
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            *columns,
            TextColumn("[dim]{task.fields[text]}"),
            console=console,
            transient=True,
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._task = self._progress.add_task(self._what, total=self._total, text="")
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._task is not None:
            self._progress.stop()

    def _add(self, number: int, text: str, line: str) -> None:
        self._done += number
        if self._task is not None:
            self._progress.update(self._task, advance=number, text=text)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_EVERY_SECONDS
            self._console.print(Text(f"{self._what}: {line}".rstrip()))


class Display(_Progress):
    def advance(self, number: int, at: str = "") -> None:
        """Show that `number` more are done; `at` describes the current position."""
        of = "" if self._total is None else f" of about {self._total:,}"
        self._add(number, at, f"{self._done + number:,}{of} {at}")


class Meter(_Progress):
    """The progress of a transfer in bytes, with the rate of its events."""

    _events = _new = 0

    def advance(self, size: int, events: int, *, fresh: bool = True) -> None:
        """Show that more bytes and events are done; those that are not `fresh` were done in an earlier run."""
        self._events += events
        self._new += events if fresh else 0
        rate = self._new / max(time.monotonic() - self._began, 0.001)
        share = f", {min((self._done + size) / self._total, 1):.0%}" if self._total else ""
        text = f"{self._events:,} events, {rate:,.0f}/s"
        self._add(size, text, text + share)
