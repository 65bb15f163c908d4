"""Bytes of an input: decompressed, as far as they are intact, and from a pipe as they come."""

import io
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import BinaryIO

GZIP_MAGIC = b"\x1f\x8b"
_MEMBER = GZIP_MAGIC + b"\x08"
_GZIP = 31
_CHUNK = 2**14
_MOST = 2**18
_STEP = 64
# Ends a line that damage has cut off, so that what follows the damage is not taken for its rest: no UTF-8 has FF.
_TORN = b"\xff\n"

_Idle = Callable[[], float | None]


class Gunzip(io.RawIOBase):
    """Decompresses gzip: all that can be, also behind damage where another member begins."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self.damage = ""
        """What was wrong with it, once that was met."""
        self._input = b""
        self._output = b""
        self._given = b""
        """The input before `_input`."""
        self._inflate = zlib.decompressobj(_GZIP)
        self._is_within = False
        """Whether a member has begun that is not at its end."""
        self._has_more = False
        """Whether there may be output that needs no further input."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed: any writable buffer
        while not self._output and (self._has_more or self._fill()):
            self._output += self._decompressed()
        size = min(len(buffer), len(self._output))
        buffer[:size], self._output = self._output[:size], self._output[size:]
        return size

    def _fill(self) -> bool:
        """Get input, if there is any; between two members it begins with a member."""
        self._input = self._input or self._raw.read(_CHUNK) or b""
        if self._is_within:
            return bool(self._input) or self._is_cut_off()
        self._input = self._input.lstrip(b"\0")  # padding, as tapes and block devices have it
        while len(self._input) < len(_MEMBER) and (more := self._raw.read(_CHUNK)):
            self._input = (self._input + more).lstrip(b"\0")
        if self._input and not self._input.startswith(_MEMBER):
            self._note("something else follows its end")
            self._seek_member(0)
        self._is_within = bool(self._input)
        return self._is_within

    def _is_cut_off(self) -> bool:
        """Report a member without an end; return whether another one was taken for its rest."""
        self._note("it is cut off")
        self._input, self._given = self._given, b""
        self._end_member()
        self._seek_member(1)
        self._is_within = bool(self._input)
        self._output = _TORN if self._is_within else b""
        return self._is_within

    def _decompressed(self) -> bytes:
        before, given = self._inflate.copy(), self._input
        self._given = given or self._given
        try:
            data = self._inflate.decompress(given, _MOST)
        except zlib.error as error:
            self._note(f"it is damaged: {error}")
            return self._salvaged(before, given)
        self._input = self._inflate.unconsumed_tail
        self._has_more = len(data) == _MOST
        if self._inflate.eof:
            self._input = self._inflate.unused_data
            self._end_member()
        return data

    def _salvaged(self, inflate: "zlib._Decompress", given: bytes) -> bytes:
        """What comes before the damage; then go on with the next member, if there is any."""
        parts = []
        at, step = 0, _STEP
        while at < len(given):
            before = inflate.copy()
            try:
                parts.append(inflate.decompress(given[at : at + step]))
                at += step
            except zlib.error:
                if step == 1:
                    break
                inflate, step = before, 1
        self._end_member()
        self._seek_member(1)
        return b"".join(parts) + (_TORN if self._input else b"")

    def _end_member(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP)
        self._is_within = self._has_more = False

    def _seek_member(self, start: int) -> None:
        """Skip input up to what looks like the beginning of a member."""
        while (at := self._input.find(_MEMBER, start)) < 0:
            more = self._raw.read(_CHUNK)
            if not more:
                self._input = b""
                return
            self._input, start = self._input[-2:] + more, 0
        self._input = self._input[at:]

    def _note(self, damage: str) -> None:
        self.damage = self.damage or damage


class LivePipe(io.RawIOBase):
    """Reads a pipe in a thread of its own, so that time passes for the reader while nothing comes.

    `stop` ends it like the end of the input does, behind everything that was read.
    """

    _AHEAD = 16

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._chunks: SimpleQueue[bytes] = SimpleQueue()
        self._room = threading.Semaphore(self._AHEAD)
        self._held = memoryview(b"")
        self._is_at_end = False
        self.idle: _Idle = lambda: None
        """Called while nothing comes; returns the seconds until it is to be called again."""
        self.was_stopped = False
        self.damage = ""
        self._thread = threading.Thread(target=self._pump, daemon=True)

    def readable(self) -> bool:
        return True

    def stop(self) -> None:
        """End the input here. Signal handlers may call it."""
        self.was_stopped = True
        self._chunks.put(b"")

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._held and not self._is_at_end:
            chunk = self._next()
            self._room.release()
            self._is_at_end = not chunk
            self._held = memoryview(chunk)
        size = min(len(buffer), len(self._held))
        buffer[:size], self._held = self._held[:size], self._held[size:]
        return size

    def _next(self) -> bytes:
        if not self._thread.ident:
            self._thread.start()
        while True:
            seconds = self.idle()
            with suppress(Empty):
                # In Windows, a signal does not interrupt it.
                return self._chunks.get(timeout=1.0 if seconds is None else min(seconds, 1.0))

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
