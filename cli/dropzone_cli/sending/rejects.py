"""NAME.rejects.csv and NAME.rejects.ndjson: the lines that were not sent, with reasons, to be corrected and sent."""

import csv
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from uuid import UUID

from dropzone_cli.errors import CliError, usage
from dropzone_cli.sending.batches import Batch
from dropzone_cli.sending.events import Finding, Rejected
from dropzone_cli.sending.inputs import REJECTS_SUFFIXES, Input
from dropzone_cli.sending.rows import REJECT_NAMES, csv_line

if TYPE_CHECKING:
    from dropzone_cli.sending.csv_reader import Table


class Rejects:
    """The rejects of one reading of an input. The file is created for the first of them. Thread-safe."""

    def __init__(self, one: Input, encoding: str | None = None, *, is_kept: bool = True) -> None:
        """Nothing is written yet. `encoding` is the encoding given for the input."""
        # The option is given again when the file is sent; the byte order mark shows that the file is UTF-8.
        self._encoding = "utf-8-sig" if encoding else "utf-8"
        name = one.path if one.path is not None and one.is_rereadable else Path(one.path.name if one.path else "stdin")
        self._csv, self._ndjson = (name.with_name(name.name + suffix) for suffix in REJECTS_SUFFIXES)
        self._files: dict[Path, TextIO] = {}
        self._is_open = is_kept
        self.table: Table | None = None
        """The table that the lines are rows of, if any."""
        self.error: CliError | None = None
        """The error because of which not all lines were written."""
        self._mutex = threading.Lock()

    @property
    def paths(self) -> list[Path]:
        return [*self._files]

    def add_all(self, findings: Sequence[Finding], raw_id: UUID) -> None:
        """Write findings that the API has counted, as events of this object."""
        for item, finding in enumerate(findings):
            self.add(finding._replace(rejected=Rejected(str(raw_id), item)))

    def add(self, finding: Finding) -> None:
        """Write lines without an event, with the rejection that a correction would refer to, if the API has one."""
        table, rejected = self.table, finding.rejected
        if not finding.text:  # nothing to correct
            return
        if table is None:
            self._write(self._ndjson, json.dumps({**_described(finding), "event": None, "text": finding.text}))
            return
        before, header, after = table.preamble
        reasons = [finding.code, finding.reason, *(rejected or ("", ""))]
        # An open quote would include the reasons.
        line = finding.text if finding.text.count('"') % 2 == 0 else finding.text.replace('"', "")
        names = ""
        if table.is_of_rejects:  # it has reasons of an earlier run
            cells = next(csv.reader([line], delimiter=table.delimiter))
            line = csv_line(cells[: -len(reasons)], table.delimiter)
        else:
            names = csv_line(["", *REJECT_NAMES], table.delimiter)
        self._write(
            self._csv,
            line + csv_line(["", *reasons], table.delimiter),
            "".join([*before, header.rstrip("\r\n"), names, "\n", *after]),
        )

    def add_batch(self, batch: Batch, code: str, reason: str) -> None:
        if batch.findings:
            for finding in batch.findings:
                self.add(finding)
            return
        beginning = json.dumps(_described(Finding(batch.first, batch.last, code, reason)))[:-1]
        for line in batch.body.decode().split("\n")[:-1]:
            self._write(self._ndjson, f'{beginning}, "event": {line}}}')

    def close(self) -> None:
        with self._mutex:
            self._is_open = False
            for path, file in self._files.items():
                try:
                    file.close()
                except OSError as error:
                    self._fail(path, error)

    def _write(self, path: Path, line: str, beginning: str = "") -> None:
        with self._mutex:
            if not self._is_open:  # called by a thread that was not waited for
                return
            try:
                file = self._files.get(path)
                if file is None:
                    file = path.open("w", encoding=self._encoding, errors="surrogateescape", newline="")
                    self._files[path] = file
                    file.write(beginning)
                file.write(line + "\n")
            except OSError as error:
                self._fail(path, error)

    def _fail(self, path: Path, error: OSError) -> None:
        self._is_open = False
        message = f"{path} can't be written: {error.strerror}. It is incomplete."
        self.error = self.error or usage(message, "--no-rejects writes no such file.")


def _described(finding: Finding) -> dict[str, object]:
    counted = {"raw_id": None, "item": None} if finding.rejected is None else finding.rejected._asdict()
    return {**counted, "lines": [finding.first, finding.last], "code": finding.code, "reason": finding.reason}
