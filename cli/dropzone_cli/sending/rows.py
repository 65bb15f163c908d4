"""Rows of cells, from the lines of a CSV or from a workbook."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from itertools import chain
from typing import BinaryIO, NamedTuple

from dropzone_cli.errors import CliError, ExitCode, usage
from dropzone_cli.sending.events import BrokenInputError, Finding, Rejected, Severity
from dropzone_cli.sending.lines import WAITS_FOR_QUOTE, Lines

REJECT_NAMES = ("rejected_code", "rejected_reason", "rejected_raw_id", "rejected_item")
"""The columns that `send` adds to rows in NAME.rejects.csv."""

_DELIMITERS = ",;\t|"
_QUOTED = re.compile('"[^"]*"')
_LONGEST_CELL = 2**20


class Row(NamedTuple):
    cells: list[str]
    first: int
    last: int
    text: str
    """The text as it was read."""
    rejected: Rejected | None = None
    """The rejection that the API has counted for it, if it is from a rejects file."""


def delimiter_of(header: str) -> str:
    """The most frequent delimiter in a header, outside quotes."""
    return max(_DELIMITERS, key=_QUOTED.sub("", header).count)


def is_of_rejects(cells: Sequence[str]) -> bool:
    """Whether a header is that of a rejects file written by `send`."""
    return tuple(cells[-len(REJECT_NAMES) :]) == REJECT_NAMES


def without_reasons(rows: Iterator[Row | Finding]) -> Iterator[Row | Finding]:
    """Remove the reasons that `send` added from rows, if the header is that of a rejects file."""
    for head in rows:
        all_rows = chain([head], rows)
        return map(_without_reason, all_rows) if isinstance(head, Row) and is_of_rejects(head.cells) else all_rows
    return rows


def _without_reason(row: Row | Finding) -> Row | Finding:
    if not isinstance(row, Row) or len(row.cells) <= len(REJECT_NAMES):
        return row
    return row._replace(cells=row.cells[: -len(REJECT_NAMES)], rejected=Rejected.of(*row.cells[-2:]))


def csv_rows(lines: Lines, delimiter: str) -> Iterator[Row | Finding]:
    """Read rows. An error in a row only affects its first line; the lines after that are read again."""
    csv.field_size_limit(_LONGEST_CELL)
    held = lines.held
    while True:
        reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
        lines.begin()
        try:
            for cells in reader:
                if lines.is_suspect and (finding := lines.check()):
                    yield finding
                else:
                    yield Row(cells, lines.first, lines.number, held[0] if len(held) == 1 else "".join(held))
                lines.begin()
        except csv.Error as error:
            yield _broken_row(lines, error)
        else:
            return


def _broken_row(lines: Lines, error: csv.Error) -> Finding:
    if "end of data" in str(error) and lines.may_go_on:
        return lines.finding("line.incomplete", WAITS_FOR_QUOTE, Severity.WAITING)
    # A quote that is never closed would include all lines up to the next quote, or to the end.
    lines.push_back()
    finding = lines.check()
    return finding or lines.finding("row.not_csv", f"is not CSV: {error}")


def workbook_rows(file: BinaryIO, sheet: str | None) -> tuple[str, Iterator[Row | Finding]]:
    """Read the rows of one sheet of an Excel workbook; return its name, and the rows.

    Raises:
        CliError: openpyxl is not installed, or there is no such sheet.
        BrokenInputError: it is not a workbook.
    """
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise CliError(
            "Excel workbooks are read with openpyxl, which is not installed.",
            hint="Install it: pip install 'dropzone-cli[xlsx]'. Or save the sheet as CSV.",
            exit_code=ExitCode.USAGE,
        ) from None
    try:
        book = load_workbook(file, read_only=True, data_only=True)
    except Exception as error:  # noqa: BLE001 - openpyxl raises many kinds
        raise BrokenInputError(1, f"is not a workbook: {error}") from None
    if sheet is not None and sheet not in book.sheetnames:
        raise usage(
            f"--sheet: there is no sheet {sheet!r}.", f"The sheets are {', '.join(map(repr, book.sheetnames))}."
        )
    found = book[sheet or book.sheetnames[0]]
    others = f" (of {len(book.sheetnames)})" if len(book.sheetnames) > 1 else ""

    def rows() -> Iterator[Row]:
        try:
            for number, values in enumerate(found.iter_rows(values_only=True), 1):
                cells = [_cell(value) for value in values]
                yield Row(cells, number, number, csv_line(cells))
        except Exception as error:  # openpyxl passes on what zip archives, compression and XML raise
            raise OSError(f"the workbook is damaged: {error}") from error

    return f"sheet {found.title!r}{others}", rows()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def csv_line(cells: Iterable[object], delimiter: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow(cells)
    return text.getvalue()
