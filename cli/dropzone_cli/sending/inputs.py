"""Inputs: files, patterns of their names, or stdin; packed or not; and which format they are of."""

from __future__ import annotations

import gzip
import io
import json
import stat
import sys
import zlib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from dropzone_cli.errors import usage
from dropzone_cli.sending.csv_reader import CsvOptions, Table
from dropzone_cli.sending.events import BrokenInputError, Read
from dropzone_cli.sending.json_reader import read_json, read_ndjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STDIN = "-"
RESUME_SUFFIX = ".dropzone-resume"

_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_BUFFER = 2**18
_UNREADABLE = (EOFError, zlib.error, OSError)


class Format(StrEnum):
    """What an input is."""

    NDJSON = "ndjson"
    JSON = "json"
    CSV = "csv"


_BY_SUFFIX = {
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".ndjson": Format.NDJSON,
    ".jsonl": Format.NDJSON,
}


@dataclass(frozen=True, slots=True)
class Input:
    """Where events are read from."""

    name: str
    """As it was given."""
    path: Path | None = None
    """None of stdin."""
    size: int | None = None
    """Bytes, where it is a file that can be read more than once."""

    @property
    def identity(self) -> str:
        """What it is known by, wherever the command is called."""
        return STDIN if self.path is None else str(self.path.resolve())

    @property
    def is_rereadable(self) -> bool:
        """Whether it can be read more than once."""
        return self.size is not None

    @property
    def resume_file(self) -> Path | None:
        """The resume file beside it; none beside what is no file."""
        if self.path is None or not self.is_rereadable:
            return None
        return self.path.with_name(self.path.name + RESUME_SUFFIX)


def expand(arguments: Sequence[str]) -> list[Input]:
    """Find the inputs, each once, in the order given; those of a pattern in the order of their names.

    Raises:
        CliError: there is no such file, or it can't be read.
    """
    found: dict[str, Input] = {}
    for argument in arguments:
        for one in _inputs(argument):
            found.setdefault(one.identity, one)
    if not found:
        message = "Resume files alone were named, and they are no events."
        raise usage(message, "Name the files that they belong to.")
    return [*found.values()]


def _inputs(argument: str) -> list[Input]:
    if argument == STDIN:
        return [Input("stdin")]
    path = Path(argument)
    if not path.exists() and has_magic(argument):
        names = [name for name in sorted(glob(argument, recursive=True)) if Path(name).is_file()]  # noqa: PTH207 - of any folder
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


class Opened:
    """An input that is being read."""

    def __init__(self, raw: BinaryIO, binary: io.BufferedReader[Any], suffix: str) -> None:
        """Read what follows the byte order mark."""
        self._raw = raw
        self._binary = binary
        self._suffix = suffix

    @property
    def position(self) -> int:
        """How many of the file's bytes were read, about; 0 where that is unknown."""
        try:
            return self._raw.tell()
        except (OSError, ValueError):
            return 0

    def detect(self) -> Format:
        """Tell its format by its name, else by how it begins.

        Raises:
            BrokenInputError: it can't be read.
        """
        with _beginning():
            return _BY_SUFFIX.get(self._suffix) or _by_beginning(self._binary.peek(1).lstrip())

    def table(self, options: CsvOptions) -> Table:
        """Read the header of a CSV.

        Raises:
            BrokenInputError: it can't be read.
            CliError: the columns are not those that were asked for, or nobody said which are meant.
        """
        with _beginning():
            return Table(cast("BinaryIO", self._binary), options)

    def read(self, format_: Format, table: Table | None = None) -> Iterator[Read]:
        """Read its events; of a CSV, the rows below the header.

        Raises:
            BrokenInputError: from a line on, it can't be read.
        """
        binary = cast("BinaryIO", self._binary)
        if table is not None:
            found = table.read()
        else:
            found = read_ndjson(binary) if format_ is Format.NDJSON else read_json(binary)
        last = 0
        try:
            for one in found:
                last = one.last
                yield one
        except _UNREADABLE as error:
            raise BrokenInputError(last + 1, f"can't be read: {error}") from error


@contextmanager
def _beginning() -> Iterator[None]:
    """Tell that a file, or its packing, can't be read."""
    try:
        yield
    except _UNREADABLE as error:
        raise BrokenInputError(1, f"can't be read: {error}") from error


@contextmanager
def opened(one: Input) -> Iterator[Opened]:
    """Open an input after its byte order mark, unpacked where it is gzip.

    Raises:
        CliError: it can't be opened.
    """
    with ExitStack() as closing:
        try:
            raw = _stdin() if one.path is None else closing.enter_context(one.path.open("rb", buffering=0))
        except OSError as error:
            raise usage(f"{one.name} can't be read: {error.strerror}.") from None
        binary = io.BufferedReader(cast("io.RawIOBase", raw), _BUFFER)
        if one.path is None:
            closing.callback(binary.detach)
        with _beginning():
            packed = binary.peek(2).startswith(_GZIP_MAGIC)
            if packed:
                unpacked = closing.enter_context(gzip.GzipFile(fileobj=binary))
                binary = io.BufferedReader(cast("io.RawIOBase", unpacked), _BUFFER)
            if binary.peek(3).startswith(_BOM):
                binary.read(len(_BOM))
        name = one.path.name.lower().removesuffix(".gz") if one.path else ""
        yield Opened(raw, binary, Path(name).suffix)


def _stdin() -> BinaryIO:
    buffer = sys.stdin.buffer
    return cast("BinaryIO", getattr(buffer, "raw", buffer))


def _by_beginning(text: bytes) -> Format:
    if not text.startswith((b"{", b"[")):
        return Format.CSV if text else Format.NDJSON
    first, _, rest = text.partition(b"\n")
    try:
        whole = isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        whole = False
    return Format.NDJSON if whole and rest.strip() else Format.JSON
