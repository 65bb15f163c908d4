"""NAME.rejects.csv and NAME.rejects.ndjson: the lines that were not sent, with the reasons, to be fixed and sent."""

from __future__ import annotations

import csv
import json
import threading
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from dropzone_cli.errors import usage
from dropzone_cli.sending.columns import REJECT_NAMES

if TYPE_CHECKING:
    from dropzone_cli.sending.batches import Batch
    from dropzone_cli.sending.csv_reader import Table
    from dropzone_cli.sending.events import Finding
    from dropzone_cli.sending.inputs import Input

SUFFIXES = (".rejects.csv", ".rejects.ndjson")


class Rejects:
    """The rejects of one input. The file is made for the first of them; threads may share it."""

    def __init__(self, one: Input) -> None:
        name = one.path if one.path is not None and one.is_rereadable else Path(one.path.name if one.path else "stdin")
        self._csv, self._ndjson = (name.with_name(name.name + suffix) for suffix in SUFFIXES)
        self.table: Table | None = None
        """Of a CSV or a workbook: what the lines are rows of."""
        self._files: dict[Path, TextIO] = {}
        self._mutex = threading.Lock()

    @property
    def paths(self) -> list[Path]:
        """The files that were made."""
        return [*self._files]

    def add(self, finding: Finding) -> None:
        """Write lines that are no event."""
        table = self.table
        if table is None or table.head is None:
            rejected = {"line": finding.first, "code": finding.code, "reason": finding.reason}
            self._write(self._ndjson, json.dumps({"rejected": rejected, "text": finding.text}))
            return
        before, header, after = table.preamble
        names = _cells(table.delimiter, *REJECT_NAMES)
        # A quote that is open would take the reasons in.
        line = finding.text if finding.text.count('"') % 2 == 0 else finding.text.replace('"', "")
        self._write(
            self._csv,
            line + _cells(table.delimiter, finding.code, finding.reason),
            "".join([*before, header.rstrip("\r\n"), names, "\n", *after]),
        )

    def add_batch(self, batch: Batch, code: str, reason: str) -> None:
        """Write the events of a batch that was not accepted."""
        rejected = json.dumps({"lines": [batch.first, batch.last], "code": code, "reason": reason}, ensure_ascii=False)
        for line in batch.body.decode().splitlines():
            self._write(self._ndjson, f'{line.rstrip()[:-1]},"rejected":{rejected}}}')

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _write(self, path: Path, line: str, beginning: str = "") -> None:
        with self._mutex:
            file = self._files.get(path)
            if file is None:
                file = self._files[path] = _opened(path)
                file.write(beginning)
            with suppress(ValueError):  # closed: a thread that was not waited for
                file.write(line + "\n")


def _opened(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
    except OSError as error:
        raise usage(f"{path} can't be written: {error.strerror}.", "--no-rejects writes no such file.") from None


def _cells(delimiter: str, *cells: str) -> str:
    text = StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow(["", *cells])
    return text.getvalue()
