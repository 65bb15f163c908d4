"""Bytes of an input: decompressed, as far as they are intact, and from a pipe as they come."""

import io
import threading
import zlib
from collections.abc import Callable, Iterator
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
        self._pieces = self._decompressed()
        self._piece = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed: any writable buffer
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._piece = piece
        size = min(len(buffer), len(self._piece))
        buffer[:size], self._piece = self._piece[:size], self._piece[size:]
        return size

    def _decompressed(self) -> Iterator[bytes]:
        """Decompress member by member."""
        waiting = b""
        while waiting := self._next_member(waiting):
            inflate, given, has_more = zlib.decompressobj(_GZIP), b"", False
            while not inflate.eof:
                waiting = waiting or (b"" if has_more else self._raw.read(_CHUNK) or b"")
                if not waiting and not has_more:
                    self._note("it is cut off")
                    # Another one may have been taken for its rest.
                    waiting = self._sought(given, 1)
                    break
                before, given = inflate.copy(), waiting or given
                try:
                    data = inflate.decompress(waiting, _MOST)
                except zlib.error as error:
                    self._note(f"it is damaged: {error}")
                    yield _salvaged(before, given)
                    waiting = self._sought(given, 1)
                    break
                waiting, has_more = inflate.unconsumed_tail, len(data) == _MOST
                yield data
            else:
                waiting = inflate.unused_data
                continue
            if waiting:
                yield _TORN

    def _next_member(self, waiting: bytes) -> bytes:
        """The input from where a member begins, behind padding, which tapes and block devices have."""
        waiting = waiting.lstrip(b"\0")
        while len(waiting) < len(_MEMBER) and (more := self._raw.read(_CHUNK)):
            waiting = (waiting + more).lstrip(b"\0")
        if waiting and not waiting.startswith(_MEMBER):
            self._note("something else follows its end")
            return self._sought(waiting, 0)
        return waiting

    def _sought(self, waiting: bytes, start: int) -> bytes:
        """The input from where a member seems to begin; empty where none does."""
        while (at := waiting.find(_MEMBER, start)) < 0:
            more = self._raw.read(_CHUNK)
            if not more:
                return b""
            waiting, start = waiting[-2:] + more, 0
        return waiting[at:]

    def _note(self, damage: str) -> None:
        self.damage = self.damage or damage


def _salvaged(inflate: "zlib._Decompress", given: bytes) -> bytes:
    """What comes before the damage in a piece of input."""
    parts, at, step = [], 0, _STEP
    while at < len(given):
        before = inflate.copy()
        try:
            parts.append(inflate.decompress(given[at : at + step]))
            at += step
        except zlib.error:
            if step == 1:
                break
            inflate, step = before, 1
    return b"".join(parts)


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
