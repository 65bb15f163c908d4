"""JSON inputs: a line for each event, or values one after the other, or arrays of them. What is sent is their text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from dropzone_cli.sending.events import MAX_EVENT_BYTES, BrokenInputError, Event, Read, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO, NoReturn

_CHUNK = 2**16
_BLANK = b" \t\r\n"
_SIGN = re.compile(rb'["{}\[\],]')
_QUOTE = re.compile(rb'["\\]')
_NOTHING_BEGINS = "neither an object nor an array begins here"
_TOO_LONG = f"has more than {MAX_EVENT_BYTES // 2**20} MiB, and no event may be that long"


class Item(NamedTuple):
    """The text of one value, and its lines."""

    text: bytes
    first: int
    last: int


def read_ndjson(binary: BinaryIO) -> Iterator[Read]:
    """Read a line for each event; empty lines are none."""
    number = 0
    while line := binary.readline(MAX_EVENT_BYTES + 1):
        number += 1
        if len(line) > MAX_EVENT_BYTES:
            _skip_line(binary, line)
            yield Unreadable(number, number, _TOO_LONG)
        elif text := line.strip(_BLANK):
            yield checked(Item(text, number, number))


def _skip_line(binary: BinaryIO, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = binary.readline(_CHUNK)


def read_json(binary: BinaryIO) -> Iterator[Read]:
    """Read values, one after the other, and the values of arrays."""
    return map(checked, items(binary))


def checked(item: Item) -> Read:
    """An item as an event, where it is a JSON object; the API validates it."""
    try:
        value = json.loads(item.text.decode(), parse_int=float, parse_constant=_no_constant)
    except UnicodeDecodeError:
        return Unreadable(item.first, item.last, "is not UTF-8")
    except json.JSONDecodeError as error:
        where = item.first + error.lineno - 1
        return Unreadable(where, item.last, f"is not JSON: {error.msg} (character {error.colno})")
    except ValueError as error:
        return Unreadable(item.first, item.last, f"is not JSON: {error}")
    except RecursionError:
        return Unreadable(item.first, item.last, "is nested too deep")
    if not isinstance(value, dict):
        return Unreadable(item.first, item.last, "is no event: not a JSON object")
    # In JSON, line ends stand between tokens alone.
    return Event(item.text.replace(b"\r", b" ").replace(b"\n", b" "), item.first, item.last)


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is no number"
    raise ValueError(message)


def items(binary: BinaryIO) -> Iterator[Item]:
    """Split a text into its values, and arrays into theirs, without holding more than one of them.

    Raises:
        BrokenInputError: where one value ends and the next begins is lost.
    """
    splitter = _Splitter()
    while chunk := binary.read(_CHUNK):
        yield from splitter.split(chunk)
    splitter.end()


class _Splitter:
    """Knows brackets and strings, and nothing else of JSON."""

    def __init__(self) -> None:
        self._line = 1
        """Where `_held` begins."""
        self._held = bytearray()
        """Of the value that is not at its end yet, without the blanks before it."""
        self._in_array = False
        self._items = 0
        """That this array had so far."""
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def split(self, chunk: bytes) -> Iterator[Item]:
        """Go through a chunk, and give the values that end in it."""
        start = at = 0
        if self._escaped:
            self._escaped, at = False, 1
        while sign := (_QUOTE if self._in_string else _SIGN).search(chunk, at):
            at = sign.end()
            found = sign[0]
            if found == b"\\":
                self._escaped = at == len(chunk)
                at += 1
            elif found == b'"':
                self._in_string = not self._in_string
            elif not self._nests(found):
                self._hold(chunk[start : at - 1])
                start = at
                yield from self._boundary(found)
        self._hold(chunk[start:])
        self._check_beginning()

    def _nests(self, sign: bytes) -> bool:
        """Follow brackets; return whether nothing begins or ends here but within a value."""
        if self._depth or sign == b"{" or (sign == b"[" and self._in_array):
            self._depth += 1 if sign in b"{[" else -1 if sign in b"}]" else 0
            return self._depth > 0 or self._in_array
        return sign == b"," and not self._in_array

    def _boundary(self, sign: bytes) -> Iterator[Item]:
        """Give the value that ends with a sign, or before it."""
        if self._in_array and sign != b"}":
            yield from self._end_of_item(sign)
        elif sign == b"[":
            self._begin_array()
        elif self._in_array or not self._held:
            raise self._broken(f"{sign.decode()} closes nothing")
        else:
            self._held += sign
            self._check_beginning()
            yield self._take()

    def end(self) -> None:
        """Hold the end of the text against what was open."""
        if self._in_array or self._depth or self._in_string:
            raise self._broken("what begins here has no end")
        self._check_beginning()

    def _hold(self, part: bytes) -> None:
        if not self._held:
            text = part.lstrip(_BLANK)
            self._line += part.count(b"\n", 0, len(part) - len(text))
            part = text
        self._held += part
        if len(self._held) > MAX_EVENT_BYTES:
            raise self._broken(_TOO_LONG)

    def _take(self) -> Item:
        """What is held, without the blanks after it; the next value begins where it ends."""
        held = bytes(self._held)
        self._held.clear()
        first = self._line
        self._line += held.count(b"\n")
        text = held.rstrip(_BLANK)
        return Item(text, first, first + text.count(b"\n"))

    def _begin_array(self) -> None:
        if self._held:
            raise self._broken(_NOTHING_BEGINS)
        self._in_array, self._items = True, 0

    def _end_of_item(self, sign: bytes) -> Iterator[Item]:
        """Give the value before a comma or the end of the array."""
        if self._held:
            self._items += 1
            yield self._take()
        elif sign == b"," or self._items:
            raise self._broken("a value is missing here")
        self._in_array = sign == b","

    def _check_beginning(self) -> None:
        """Outside of an array, nothing but an object may begin."""
        if not self._in_array and self._held and not self._held.startswith(b"{"):
            raise self._broken(_NOTHING_BEGINS)

    def _broken(self, reason: str) -> BrokenInputError:
        return BrokenInputError(self._line, reason)
