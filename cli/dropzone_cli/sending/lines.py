"""Lines of text from bytes, with their numbers; bytes that are not text only affect their line."""

import codecs
import io
import re
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import BinaryIO

from dropzone_cli.sending.events import MAX_EVENT_BYTES, Finding, Severity

BAD = re.compile("[\udc80-\udcff]")
"""Matches a byte that can't be decoded, as in Python's surrogateescape; valid text doesn't contain it."""
MARKING = "dropzone-mark"
_ENDS = ("\n", "\r")

UTF8_BOM = codecs.BOM_UTF8
MARK = "\ufeff"
"""A byte order mark: also within a text of concatenated files."""
_BOMS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
TOO_LONG = f"has more than {MAX_EVENT_BYTES // 2**20} MiB, and no event may be that long"
WAITS_FOR_QUOTE = "ends within quotes, so the row may not be complete; the next run reads it again"
CUT_OFF = "has no line end, so it may be cut off; --complete sends it as it is"
WAITS = "has no line end, so it may not be complete; the next run reads it again, and --complete sends it as it is"


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    # In UTF-16, such a byte may be in the range of ASCII.
    return "".join(chr(0xDC00 + max(byte, 0x80)) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(MARKING, _mark)


def encoding_of(beginning: bytes) -> str:
    """The encoding indicated by a byte order mark, else UTF-8."""
    return next((name for bom, name in _BOMS.items() if beginning.startswith(bom)), "utf-8")


class Lines:
    """Iterates over a text's lines, with their ends (LF, CR LF or CR)."""

    def __init__(self, binary: BinaryIO, encoding: str, *, is_complete: Callable[[], bool], comment: str = "") -> None:
        """Read bytes from after their byte order mark, unless the encoding needs it.

        Args:
            binary: the bytes.
            encoding: the encoding of the text.
            is_complete: returns whether a last line without a line end is complete.
            comment: lines that start with it are skipped.
        """
        self.encoding = encoding
        # Kept referenced until the end: it closes the bytes when deleted.
        self._text = io.TextIOWrapper(binary, encoding, errors=MARKING, newline="")
        self._source = iter(partial(self._text.readline, MAX_EVENT_BYTES), "")
        self._ahead: deque[str] = deque()
        self._is_complete = is_complete
        self._comment = comment
        self.number = 0
        """The number of the last line read, from 1."""
        self.first = 1
        """The number of the first line since `begin`."""
        self.held: list[str] = []
        """The lines since `begin`."""
        self.is_suspect = False
        """Whether one of them is not a complete line of text."""

    def peek(self, number: int) -> list[str]:
        """The next lines, at most `number`, without consuming them."""
        self._ahead.extend(islice(self._source, max(0, number - len(self._ahead))))
        return [*islice(self._ahead, number)]

    def skip(self, number: int) -> list[str]:
        skipped = []
        for line in islice(self, number):
            skipped.append(line)
            self.begin()
        return skipped

    def skip_empty(self) -> list[str]:
        """Skip lines without text, and comments, and return them."""
        skipped = []
        while (line := "".join(self.peek(1))) and (
            not line.strip() or (self._comment and line.startswith(self._comment))
        ):
            skipped.append(self._ahead.popleft())
            self.number += 1
        return skipped

    def begin(self) -> None:
        """Start collecting lines that belong together."""
        self.held.clear()
        self.is_suspect = False

    def push_back(self) -> None:
        """Have all but the first of the lines since `begin` read again by the next iterations."""
        self._ahead.extendleft(reversed(self.held[1:]))
        self.number -= len(self.held) - 1
        del self.held[1:]

    def __iter__(self) -> Iterator[str]:
        held, ahead = self.held, self._ahead
        while line := ahead.popleft() if ahead else next(self._source, ""):
            self.number += 1
            if not held:
                if self._comment and line.startswith(self._comment):
                    continue
                self.first = self.number
                if line[0] == MARK:
                    line = line[1:] or "\n"
            held.append(line)
            if line[-1] not in _ENDS or (not line.isascii() and BAD.search(line)):
                self.is_suspect = True
            yield line

    @property
    def may_go_on(self) -> bool:
        """Whether there is one line since `begin`, and it is the last one of a text that may be incomplete."""
        return len(self.held) == 1 and not self.peek(1) and not self._is_complete()

    def check(self) -> Finding | None:
        """A finding if the lines since `begin` are not complete lines of text."""
        last = self.held[-1] if self.held else ""
        if not last.endswith(_ENDS):
            if len(last) >= MAX_EVENT_BYTES:
                self._skip_line()
                return self.finding("line.too_long", TOO_LONG)
            if last and not self._is_complete():
                return self.finding("line.incomplete", WAITS, Severity.WAITING)
        if any(map(BAD.search, self.held)):
            hint = "; name its encoding with --encoding, such as cp1252" if self.encoding == "utf-8" else ""
            return self.finding("line.encoding", f"is not {self.encoding.upper()}{hint}")
        return None

    def finding(self, code: str, reason: str, severity: Severity = Severity.PROBLEM) -> Finding:
        """A finding about the lines since `begin`."""
        text = "".join(self.held)[:MAX_EVENT_BYTES].rstrip("\r\n")
        return Finding(self.first, max(self.first, self.number), code, reason, text, severity)

    def _skip_line(self) -> None:
        for rest in self._source:
            if rest.endswith(_ENDS):
                return
