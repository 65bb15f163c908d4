"""The bytes of an input: decompressed as far as they are intact, and from a pipe as they arrive."""

import io
import math
import threading
import time
import zlib
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from struct import Struct
from typing import BinaryIO, Self, cast
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo
from zlib import crc32

GZIP_MAGIC = b"\x1f\x8b"
_MEMBER = GZIP_MAGIC + b"\x08"
_GZIP = 31
_LOCAL_HEADER = Struct("<6xHH16xHH")
_CHUNK = 2**14
_MAX_BYTES = 2**18
# Ends a line that is cut off by damage, so that the text after the damage isn't part of it: FF is never valid UTF-8.
_TORN = b"\xff\n"

_Idle = Callable[[], float | None]


class _Pieces(io.RawIOBase):
    """A stream of bytes that come in pieces of any length."""

    _piece = memoryview(b"")
    name = ""
    """The name of the file in an archive."""
    damage = ""
    """A description of damage, once it was found."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed: any writable buffer
        if not self._piece:
            self._piece = memoryview(self._next())
        size = min(len(buffer), len(self._piece))
        buffer[:size], self._piece = self._piece[:size], self._piece[size:]
        return size

    @abstractmethod
    def _next(self) -> bytes:
        """The next piece; empty at the end."""


class Gunzip(_Pieces):
    """Decompresses as much of gzip as possible, also after damage, if another member starts there."""

    def __init__(self, raw: BinaryIO, begun: bytes = b"") -> None:
        self._raw = raw
        self._decompressed = filter(None, self._members(begun))

    @classmethod
    def of_torn_zip(cls, raw: BinaryIO) -> Self | None:
        """The first file of a zip archive without its end and directory: after its header, it is compressed as in gzip.

        None if it is not deflated, or belongs to a workbook.
        """
        header = raw.read(_LOCAL_HEADER.size).ljust(_LOCAL_HEADER.size, b"\0")
        flags, method, name, extra = _LOCAL_HEADER.unpack(header)
        found = cls(raw, _MEMBER + bytes(7))
        found.name, found.damage = raw.read(name).decode(errors="replace"), "its end is missing"
        raw.read(extra)
        return None if flags & 1 or method != ZIP_DEFLATED or found.name.endswith((".xml", ".rels")) else found

    def _next(self) -> bytes:
        return next(self._decompressed, b"")

    def _members(self, waiting: bytes) -> Iterator[bytes]:
        while waiting := self._next_member(waiting):
            inflate, given, has_more = zlib.decompressobj(_GZIP), b"", False
            while not inflate.eof:
                waiting = waiting or (b"" if has_more else self._raw.read(_CHUNK) or b"")
                if not waiting and not has_more:
                    self.damage = self.damage or "it is cut off"
                    break
                before, given = inflate.copy(), waiting or given
                try:
                    data = inflate.decompress(waiting, _MAX_BYTES)
                except zlib.error as error:
                    self.damage = self.damage or f"it is damaged: {error}"
                    yield _salvaged(before, given)
                    break
                waiting, has_more = inflate.unconsumed_tail, len(data) == _MAX_BYTES
                yield data
            else:
                waiting = inflate.unused_data
                continue
            # Another member may have been read as part of this one.
            if waiting := self._sought(given, 1):
                yield _TORN

    def _next_member(self, waiting: bytes) -> bytes:
        """The input from the start of a member, after padding, which tapes and block devices add."""
        waiting = waiting.lstrip(b"\0")
        while len(waiting) < len(_MEMBER) and (more := self._raw.read(_CHUNK)):
            waiting = (waiting + more).lstrip(b"\0")
        if waiting and not waiting.startswith(_MEMBER):
            self.damage = self.damage or "something follows its end"
            return self._sought(waiting, 0)
        return waiting

    def _sought(self, waiting: bytes, start: int) -> bytes:
        """The input from where a member seems to start; empty if there is none."""
        while (at := waiting.find(_MEMBER, start)) < 0:
            more = self._raw.read(_CHUNK)
            if not more:
                return b""
            waiting, start = waiting[-2:] + more, 0
        return waiting[at:]


def _salvaged(inflate: "zlib._Decompress", given: bytes) -> bytes:
    """The decompressed bytes before the damage in a piece of input."""
    parts = []
    with suppress(zlib.error):
        for at in range(len(given)):
            parts.append(inflate.decompress(given[at : at + 1]))
    return b"".join(parts)


class Unzip(_Pieces):
    """Reads a file of a zip archive, up to damage."""

    def __init__(self, archive: ZipFile, member: ZipInfo) -> None:
        self.name = member.filename
        # If the checksum is wrong, zipfile doesn't return the last bytes that it has read.
        self._expected, self._checksum = member.CRC, 0
        del member.CRC
        self._file = cast("io.BufferedIOBase", archive.open(member))

    def _next(self) -> bytes:
        try:
            data = self._file.read1(_CHUNK)
        except Exception as error:  # noqa: BLE001 - each kind of compression has its own
            self.damage = f"it is damaged: {error}"
            return b""
        self._checksum = crc32(data, self._checksum)
        if not data and self._checksum != self._expected:
            self.damage = self.damage or "it is damaged: its checksum is wrong"
        return data


class LivePipe(_Pieces):
    """Reads a pipe in its own thread, so that the reader can act while nothing comes.

    `stop` ends it like the end of the input, after everything that was written by then.
    """

    _AHEAD = 16
    _REST_SECONDS, _LONGEST_REST_SECONDS = 0.1, 1.0

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._chunks: SimpleQueue[bytes | None] = SimpleQueue()
        self._room = threading.Semaphore(self._AHEAD)
        self._is_at_end = False
        self.idle: _Idle = lambda: None
        """Called while nothing comes; returns the seconds until the next call."""
        self._ends = math.inf
        self._thread = threading.Thread(target=self._pump, daemon=True)

    @property
    def was_stopped(self) -> bool:
        return self._ends < math.inf

    def stop(self) -> None:
        """End the input here. Can be called by signal handlers."""
        self._ends = min(self._ends, time.monotonic() + self._LONGEST_REST_SECONDS)
        self._chunks.put(None)

    def _next(self) -> bytes:
        if not self._thread.ident:
            self._thread.start()
        while not self._is_at_end:
            # On Windows, a signal doesn't interrupt the wait.
            seconds = min(1.0, self.idle() or 1.0)
            was_stopped = self.was_stopped
            try:
                chunk = self._chunks.get(timeout=self._REST_SECONDS if was_stopped else seconds)
            except Empty:
                self._is_at_end = was_stopped
                continue
            if chunk is not None:  # None only wakes this thread
                if time.monotonic() < self._ends:  # a writer may never end
                    self._room.release()
                self._is_at_end = not chunk
                return chunk
        return b""

    def _pump(self) -> None:
        try:
            while True:
                self._room.acquire()
                chunk = self._raw.read(2**16)
                self._chunks.put(chunk or b"")
                if not chunk:
                    return
        except (OSError, ValueError) as error:
            self.damage = str(error)
            self._chunks.put(b"")
