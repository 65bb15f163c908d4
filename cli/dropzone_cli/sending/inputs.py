"""Inputs: files, patterns of their names, or stdin, compressed or not; and their formats."""

import io
import json
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from enum import StrEnum
from glob import glob, has_magic
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self, TypeAlias, cast

from dropzone_cli.errors import usage
from dropzone_cli.sending.csv_reader import Table
from dropzone_cli.sending.events import BrokenInputError, Finding, Read, Severity
from dropzone_cli.sending.json_reader import read_json, read_ndjson
from dropzone_cli.sending.lines import CUT_OFF, UTF8_BOM, Lines, encoding_of
from dropzone_cli.sending.options import RESUME_SUFFIX, CsvOptions
from dropzone_cli.sending.rows import workbook_rows
from dropzone_cli.sending.streams import GZIP_MAGIC, Gunzip, LivePipe, Unzip

STDIN = "-"
REJECTS_SUFFIXES = (".rejects.csv", ".rejects.ndjson")

BufferedReader: TypeAlias = "io.BufferedReader[Any]"

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # the latter is an empty archive
_BUFFER = 2**18


class Format(StrEnum):
    NDJSON = "ndjson"
    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"


_BY_SUFFIX = {".csv": Format.CSV, ".tsv": Format.CSV, ".ndjson": Format.NDJSON, ".jsonl": Format.NDJSON}


@dataclass(frozen=True, slots=True)
class Input:
    """A file, or stdin, from which events are read."""

    name: str
    """The name as given."""
    path: Path | None = None
    """None for stdin."""
    size: int | None = None
    """The size in bytes, if it is a file that can be read more than once."""

    @property
    def identity(self) -> str:
        """An identifier that doesn't depend on the current directory."""
        return STDIN if self.path is None else str(self.path.resolve())

    @property
    def is_rereadable(self) -> bool:
        return self.size is not None

    def as_reported(self, finding: Finding) -> Finding:
        """The finding to report for this input: lines that can't be read again won't be complete later."""
        if finding.severity is not Severity.WAITING or self.is_rereadable:
            return finding
        return finding._replace(severity=Severity.PROBLEM, reason=CUT_OFF)

    @property
    def resume_file(self) -> Path | None:
        """The resume file next to it; None if the input is not a regular file."""
        if self.path is None or not self.is_rereadable:
            return None
        return self.path.with_name(self.path.name + RESUME_SUFFIX)


def expand(arguments: Sequence[str]) -> list[Input]:
    """Find the inputs, each once, in the given order; those of a pattern are ordered by name.

    Raises:
        CliError: a file doesn't exist, or can't be read.
    """
    found: dict[str, Input] = {}
    for argument in arguments:
        for one in _inputs(argument):
            found.setdefault(one.identity, one)
    if not found:
        message = "Only resume files were named, and they hold no events."
        raise usage(message, "Name the files that they belong to.")
    return [*found.values()]


def _inputs(argument: str) -> list[Input]:
    if argument == STDIN:
        return [Input("stdin")]
    path = Path(argument)
    if not path.exists() and has_magic(argument):
        found = sorted(glob(argument, recursive=True))  # noqa: PTH207 - of any folder
        names = [name for name in found if Path(name).is_file() and not name.endswith(REJECTS_SUFFIXES)]
        if not names:
            raise usage(f"No file matches {argument}.")
        return [one for name in names for one in _inputs(name)]
    if argument.endswith(RESUME_SUFFIX):
        return []
    try:
        mode = path.stat()
        if stat.S_ISDIR(mode.st_mode):
            raise usage(f"{argument} is a folder.", f"Name its files, such as '{argument.rstrip('/')}/*.csv'.")
    except OSError as error:
        raise usage(f"{argument} can't be read: {error.strerror}.") from None
    return [Input(argument, path, mode.st_size if stat.S_ISREG(mode.st_mode) else None)]


@dataclass(slots=True)
class Opened:
    """An input that is being read, with its decompressed bytes."""

    raw: BinaryIO
    """The stored file, compressed or not."""
    binary: BufferedReader
    suffix: str
    """The suffix of its name, in lower case, without that of its compression."""
    is_complete: bool
    """Whether a last line without a line end is considered complete."""
    pipe: LivePipe | None = None
    """The pipe, if the input can't be read again."""
    unpacker: Gunzip | Unzip | None = None
    table: Table | None = None
    """The table in a CSV or workbook, once `read` has read the header."""
    sheet: str = ""
    """The name of the sheet that is read from a workbook."""
    # Kept referenced: when deleted, they close the bytes, which are already closed by then.
    _lines: Lines | None = None

    @property
    def description(self) -> str:
        """A description of a table's columns."""
        return ": ".join(filter(None, [self.sheet, "" if self.table is None else str(self.table)]))

    @property
    def unused(self) -> list[str]:
        """The columns of a table that no event uses."""
        return [] if self.table is None else self.table.columns.unused

    @property
    def position(self) -> int:
        """The approximate number of bytes read from the file; 0 if unknown."""
        with suppress(OSError, ValueError):
            return self.raw.tell()
        return 0

    def detect(self) -> Format:
        """Detect the format by the name, else by the first bytes."""
        beginning = self.binary.peek(1)
        if beginning.startswith(_ZIP_MAGIC):
            return Format.XLSX
        return _BY_SUFFIX.get(self.suffix) or _by_beginning(beginning)

    def read(self, format_: Format, options: CsvOptions) -> Iterator[Read]:
        """Read the events. The header of a table is read at once.

        Raises:
            BrokenInputError: nothing of it can be read.
            CliError: the requested columns are missing, or the choice is ambiguous.
        """
        if format_ is Format.XLSX:
            self.sheet, rows = workbook_rows(self.binary, options.sheet)
            return self._guarded(self._read(Table.of_rows(rows, options)))
        encoding = options.encoding or encoding_of(self.binary.peek(1))
        if self.binary.peek(1).startswith(UTF8_BOM):
            self.binary.read(len(UTF8_BOM))
            encoding = "utf-8"
        if format_ is Format.JSON:
            return self._guarded(read_json(self.binary, encoding))
        self._lines = Lines(self.binary, encoding, is_complete=self._takes_all, comment=options.comment)
        if format_ is Format.NDJSON:
            return self._guarded(read_ndjson(self._lines))
        try:
            return self._guarded(self._read(Table.of_lines(self._lines, options)))
        except (OSError, UnicodeError) as error:
            raise BrokenInputError(1, f"can't be read: {error}") from error

    def _read(self, table: Table | Finding) -> Iterator[Read]:
        if isinstance(table, Finding):
            return iter([table])
        self.table = table
        return table.read()

    def _takes_all(self) -> bool:
        return self.is_complete or (self.unpacker is not None and not self.unpacker.damage)

    def _guarded(self, found: Iterator[Read]) -> Iterator[Read]:
        """Report damage to the compression or encoding, after everything that could be read."""
        last = 0
        try:
            for one in found:
                last = one.last
                yield one
            reason = "" if self.pipe is None else self.pipe.damage
            if self.unpacker is not None and self.unpacker.damage:
                reason = f"its compression can't be read: {self.unpacker.damage}"
        except (OSError, UnicodeError) as error:  # such as UTF-16 without its byte order mark
            reason = f"can't be read: {error}"
        if reason:
            yield Finding(last + 1, last + 1, "input.damaged", reason)


@contextmanager
def opened(
    one: Input,
    *,
    is_complete: bool = False,
    piped: Callable[[LivePipe], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> Iterator[Opened]:
    """Open an input, decompressed if it is gzip or zip.

    Args:
        one: the input.
        is_complete: whether a last line without a line end is complete.
        piped: makes a context to enter before reading an input that can't be read again.

    Raises:
        BrokenInputError: nothing of it can be read.
        CliError: it can't be opened, or is an archive of several files.
    """
    with ExitStack() as closing:
        try:
            raw = _stdin() if one.path is None else closing.enter_context(one.path.open("rb", buffering=0))
        except OSError as error:
            raise usage(f"{one.name} can't be read: {error.strerror}.") from None
        pipe = None if one.is_rereadable else LivePipe(raw)
        if pipe is not None:
            closing.enter_context(piped(pipe))
        source = Opened(raw, io.BufferedReader(pipe or cast("io.RawIOBase", raw), _BUFFER), "", is_complete, pipe)
        closing.callback(source.binary.close)
        name = one.path.name.lower() if one.path else ""
        try:
            beginning = source.binary.peek(1)
            if beginning.startswith(GZIP_MAGIC):
                source.unpacker, name = Gunzip(source.binary), name.removesuffix(".gz")
            elif beginning.startswith(_ZIP_MAGIC):
                if pipe is not None:
                    raise BrokenInputError(1, "is a zip archive or a workbook, which can't be read from a pipe")
                source.unpacker = _unzipped(one, source.binary, closing)
                if source.unpacker is not None:  # a workbook is not decompressed
                    name = source.unpacker.name.lower()
        except OSError as error:
            raise BrokenInputError(1, f"can't be read: {error}") from error
        if source.unpacker is not None:
            source.binary = io.BufferedReader(source.unpacker, _BUFFER)
            closing.callback(source.binary.close)
        source.suffix = Path(name).suffix
        yield source


class Planned(NamedTuple):
    """An input and its format, detected before anything is sent."""

    input: Input
    format: Format | None = None
    """None if the input can only be read once, so that the format is detected then."""

    @classmethod
    def of(cls, one: Input, format_: Format | None, options: CsvOptions) -> Self:
        """Inspect an input, unless it can only be read once.

        Raises:
            CliError: the requested columns are missing, or the choice is ambiguous.
        """
        if one.is_rereadable:
            with suppress(BrokenInputError), opened(one) as source:  # reported when it is read
                found = format_ or source.detect()
                source.read(found, options)
                return cls(one, found)
        return cls(one, format_)


def _unzipped(one: Input, binary: BufferedReader, closing: ExitStack) -> Unzip | Gunzip | None:
    """Open the only file in an archive; None for a workbook, which is an archive as well."""
    try:
        archive = closing.enter_context(zipfile.ZipFile(binary))
        members = [member for member in archive.infolist() if not member.is_dir()]
        if any(member.filename == "xl/workbook.xml" for member in members):
            binary.seek(0)
            return None
        # macOS adds these to an archive.
        members = [member for member in members if not member.filename.startswith("__MACOSX/")]
        if len(members) != 1:
            raise usage(f"{one.name} holds {len(members)} files.", "Extract it, and name the files.")
        return Unzip(archive, members[0])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        binary.seek(0)
        if isinstance(error, zipfile.BadZipFile) and (torn := Gunzip.of_torn_zip(binary)):
            return torn
        raise BrokenInputError(1, f"is a zip archive that can't be read: {error}", "input.damaged") from None


def _stdin() -> BinaryIO:
    buffer = sys.stdin.buffer
    return cast("BinaryIO", getattr(buffer, "raw", buffer))


def _by_beginning(beginning: bytes) -> Format:
    encoding = encoding_of(beginning)
    text = beginning.removeprefix(UTF8_BOM).decode(encoding, "ignore").lstrip()
    if not text.startswith(("{", "[")):
        return Format.CSV if text else Format.NDJSON
    first, end, _ = text.partition("\n")
    whole = False
    with suppress(ValueError, RecursionError):
        whole = bool(end) and isinstance(json.loads(first), dict)
    return Format.NDJSON if whole else Format.JSON
