"""JSON as events: one per line, or consecutive values, or arrays of them. Their text is sent unchanged."""

import json
import re
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NoReturn

from dropzone_cli.sending.events import MAX_EVENT_BYTES, Event, Finding, Read, Rejected, Severity
from dropzone_cli.sending.lines import BAD, MARK, MARKING, TOO_LONG, Lines

_CHUNK = 2**16
_BLANK = re.compile(r"[ \t\r\n]*")
_SEPARATORS = re.compile(rf"[ \t\r\n,\[\]{MARK}]*")
_NO_OBJECT = re.compile(r'"(?:[^"\\]|\\.)*"?|[^ \t\r\n,\[\]{"]+', re.DOTALL)
_LAST_SIGNS = 16
"""A value that ends this close to the end of the text may continue after it."""
# Where an event may start after damage: after the end of another, or on a new line.
_NEXT = re.compile(r"(?:\}[ \t\r\n]*,|\n[ \t]*,?)[ \t]*(?=\{)")
_LINE_ENDS = str.maketrans("\r\n", "  ")


def no_constant(name: str) -> NoReturn:
    message = f"{name} is not a number"
    raise ValueError(message)


# Integers are read as floats: an integer of 5,000 digits is left to the API to reject.
_decoder = json.JSONDecoder(parse_int=float, parse_constant=no_constant)


def read_ndjson(lines: Lines) -> Iterator[Read]:
    """Read one event per line; empty lines are skipped."""
    for line in lines:
        finding = lines.check() if lines.is_suspect else None
        text = line.strip(" \t\r\n")
        if finding is None:
            if text:
                yield checked(text, lines.number, lines.number)
        elif finding.severity is Severity.WAITING and text:
            # A closed object is complete, whatever may follow it.
            whole = checked(text, lines.number, lines.number)
            yield whole if isinstance(whole, Event) else finding
        elif text:
            yield finding
        lines.begin()


def checked(text: str, first: int, last: int) -> Read:
    """The text as an event, if it is a JSON object; the API validates it."""
    try:
        value, end = _decoder.raw_decode(text)
        if end < len(text):
            raise json.JSONDecodeError("Extra data", text, end)
        if not isinstance(value, dict):
            return Finding(first, last, "json.not_object", "is not an event: it is not a JSON object", text)
        if "event" in value and {"raw_id", "item"} <= value.keys() and "time_stamp" not in value:
            return _corrected(text, value, first, last)
        return _event(text, first, last)
    except (ValueError, RecursionError) as error:
        return _json_finding(error, text, first, last)


def _corrected(line: str, value: dict[str, Any], first: int, last: int) -> Read:
    """The event in a line of a rejects file, written by `send` or `rejected export` and corrected by a person."""
    rejected = Rejected.of(value["raw_id"], value["item"])
    text = _members(line)["event"] if value["event"] is not None else str(value.get("text") or "")
    read = checked(text.strip(), first, last)
    if isinstance(read, Finding):
        return read._replace(text=text, rejected=rejected)
    members = _members(text)
    if rejected is None or "corrects" in members:
        return read
    if members.get("schema_version") == "1" and not {"source", "unit", "tags"} & members.keys():
        members["schema_version"] = "2"  # which has the same fields, and `corrects`
    members["corrects"] = rejected.json
    return _event("{" + ",".join(f"{json.dumps(name)}:{raw}" for name, raw in members.items()) + "}", first, last)


def _members(text: str) -> dict[str, str]:
    """The members of a JSON object, with the text of each value."""
    found: dict[str, str] = {}
    at = _behind_blanks(text, _behind_blanks(text, 0) + 1)
    while text[at] != "}":
        name, end = _decoder.raw_decode(text, at)
        start = _behind_blanks(text, text.index(":", end) + 1)
        _, end = _decoder.raw_decode(text, start)
        found[name], at = text[start:end], _behind_blanks(text, end)
        if text[at] == ",":
            at = _behind_blanks(text, at + 1)
    return found


def _behind_blanks(text: str, at: int) -> int:
    return _BLANK.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing as well


def _event(text: str, first: int, last: int) -> Read:
    try:
        # In JSON, line ends only occur between tokens.
        return Event((text if first == last and "\r" not in text else text.translate(_LINE_ENDS)).encode(), first, last)
    except UnicodeEncodeError:
        return Finding(first, last, "line.encoding", "is not UTF-8", text)


def _json_finding(error: Exception, text: str, first: int, last: int) -> Finding:
    reason = "is nested too deep" if isinstance(error, RecursionError) else f"is not JSON: {error}"
    if BAD.search(text):
        return Finding(first, last, "line.encoding", "is not UTF-8", text)
    if isinstance(error, json.JSONDecodeError):
        line = f"line {first + error.lineno - 1:,}, " if error.lineno > 1 else ""
        reason = f"is not JSON: {error.msg} ({line}character {error.colno})"
    return Finding(first, last, "json.invalid", reason, text)


def elements(text: str) -> Iterator[str]:
    """The texts of an array's elements.

    Raises:
        ValueError: it is not a JSON array; valid elements before the error are yielded.
    """
    at = _behind_blanks(text, 0) + 1
    while True:
        at = _behind_blanks(text, at)
        _, end = _decoder.raw_decode(text, at)
        behind = _behind_blanks(text, end)
        if text[behind : behind + 1] not in {",", "]"}:
            raise ValueError("an element is not followed by a comma or bracket")
        yield text[at:end]
        if text[behind] == "]":
            return
        at = behind + 1


def read_json(binary: BinaryIO, encoding: str = "utf-8") -> Iterator[Read]:
    """Read consecutive values, and the values of arrays, with only one of them in memory.

    Damage only affects the value that it is in: reading continues where the next one seems to start.
    """
    return _Scanner(binary, encoding).read()


class _Scanner:
    """Scans the text from a value on, as far as it was read."""

    def __init__(self, binary: BinaryIO, encoding: str) -> None:
        self._read: Callable[[int], bytes] = getattr(binary, "read1", binary.read)
        self._decoder = getincrementaldecoder(encoding)(errors=MARKING)
        self._text = ""
        self._at = 0
        self._line = 1
        """The line of `_at`."""
        self._is_at_end = False
        self._depth = 0
        """The number of open arrays around values."""
        self._array_line = 1
        self._is_lost = False
        """Whether there was damage, and no complete event since."""

    def read(self) -> Iterator[Read]:
        while self._skip_separators():
            found = self._value()
            if found is not None:
                yield found
        if self._depth > 0:
            reason = "an array starts here and has no end: something may be missing"
            yield Finding(self._array_line, self._line, "json.cut_off", reason)

    def _more(self) -> bool:
        """Read more text, up to where a value may end."""
        if self._is_at_end:
            return False
        parts, chunk = [self._text[self._at :]], ""
        size = len(parts[0])
        while not self._is_at_end and "}" not in chunk and size <= MAX_EVENT_BYTES:
            data = self._read(_CHUNK)  # a pipe may return less
            self._is_at_end = not data
            chunk = self._decoder.decode(data, final=self._is_at_end)
            parts.append(chunk)
            size += len(chunk)
        self._text, self._at = "".join(parts), 0
        return True

    def _move_to(self, at: int) -> None:
        self._line += self._text.count("\n", self._at, at)
        self._at = at

    def _skip_separators(self) -> bool:
        """Skip to the next value; return whether there is one."""
        while True:
            match = _SEPARATORS.match(self._text, self._at)
            end = match.end() if match else self._at
            signs = self._text[self._at : end]
            if self._depth == 0 and "[" in signs:
                self._array_line = self._line + signs.count("\n", 0, signs.index("["))
            self._depth += signs.count("[") - signs.count("]")
            self._move_to(end)
            if end < len(self._text):
                return True
            if not self._more():
                return False

    def _value(self) -> Read | None:
        """Read the value that starts here; None to try again, with more text."""
        text, at, first = self._text, self._at, self._line
        if text[at] != "{":
            return self._no_object()
        try:
            value, end = _decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            position = error.pos if isinstance(error, json.JSONDecodeError) else at
            is_open = isinstance(error, json.JSONDecodeError) and (
                error.msg.startswith("Unterminated string") or position >= len(text) - _LAST_SIGNS
            )
            if is_open and len(text) - at <= MAX_EVENT_BYTES and self._more():
                return None
            return self._damaged(error, position, is_open=is_open)
        self._move_to(end)
        if self._is_lost:
            if not {"time_stamp", "data"} <= value.keys():
                return None  # within the damaged value
            self._is_lost = False
        return _event(text[at:end], first, self._line)

    def _no_object(self) -> Read | None:
        text, at, first = self._text, self._at, self._line
        match = _NO_OBJECT.match(text, at)
        end = match.end() if match else at + 1
        if end == len(text) and len(text) - at <= MAX_EVENT_BYTES and self._more():
            return None
        self._move_to(end)
        if self._is_lost:
            return None
        return Finding(first, self._line, "json.not_object", "is not an event: it is not a JSON object", text[at:end])

    def _damaged(self, error: Exception, position: int, *, is_open: bool) -> Finding | None:
        """Report damage, and skip to where the next event seems to start."""
        text, at, first = self._text, self._at, self._line
        if len(text) - at > MAX_EVENT_BYTES:
            finding = Finding(first, first, "event.too_long", TOO_LONG)
        elif is_open:
            finding = Finding(first, first, "json.cut_off", "what starts here has no end")
        else:
            if isinstance(error, json.JSONDecodeError):  # make its position relative to the value
                error = json.JSONDecodeError(error.msg, text[at:], error.pos - at)
            finding = _json_finding(error, text[at:], first, first)
        # The line of the damage may be valid, if the end of the previous one is missing.
        match = self._seek_next(max(at + 1, text.rfind("\n", at + 1, position + 1)))
        skipped = text[at : match.end()] if match and self._text is text else text[at:]
        self._move_to(match.end() if match else len(self._text))
        was_lost, self._is_lost = self._is_lost, True
        last = first + skipped.rstrip().count("\n")
        return None if was_lost else finding._replace(last=max(finding.first, last), text=skipped.strip(" \t\r\n,"))

    def _seek_next(self, start: int) -> re.Match[str] | None:
        while (match := _NEXT.search(self._text, start)) is None:
            self._move_to(max(self._at, start, len(self._text) - _LAST_SIGNS))
            if not self._more():
                return None
            start = 0
        return match
