"""Bodies: unpacked from gzip (RFC 1952), split into events, parsed as JSON (RFC 8259)."""

import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from json import detect_encoding
from typing import Any

from pydantic_core import from_json

JSON = "application/json"
NDJSON = "application/x-ndjson"
LINE_PROTOCOL = "text/plain"
"""What Telegraf and InfluxDB's clients send lines as; no media type of their own is registered."""
GZIP = "gzip"
"""The name of the encoding in `Content-Encoding`."""

_JSON_TYPE = re.compile(r"application/(?:x-|[a-z0-9!#$&^_.-]{1,100}\+)?json|text/(?:x-)?json", re.ASCII)
_NDJSON_TYPE = re.compile(r"(?:application|text)/(?:x-)?(?:(?:nd|ld)-?json|json-?l|json-?lines)", re.ASCII)

_CACHED_TYPES = 64

_MARK = b"\xef\xbb\xbf"
_BLANK = b" \t\r"
# "utf-8-sig" has a byte order mark.
_UTF_8 = frozenset({"utf-8", "utf-8-sig"})
_LEADING_BYTES = 4

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_ONLY = 16 + zlib.MAX_WBITS
_FIRST_PIECE = 512
"""Bytes of a gzip member that are unpacked first; then twice as many each time. What follows the member's end is copied
with the last piece: so a body of many tiny members takes no longer than one of its size."""

# A string, to be skipped, or a number of more characters than the parser accepts (it stops at 4,300 digits). A string
# without an end is skipped to the end of the text: trying each of its quotes would take quadratic time.
_STRING_OR_LONG_NUMBER = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?', re.DOTALL
)
_LONG = 1_000
_OF_LINES = f", with Content-Type: {NDJSON}"


class NotJsonError(ValueError):
    """The bytes are not JSON; the message says where, and quotes nothing of them."""


class NotGzipError(ValueError):
    """The bytes are not gzip, or not whole."""


class UnpackedTooLargeError(ValueError):
    """The bytes hold more than the limit."""


def is_json(media_type: str) -> bool:
    """Whether the media type (in lower case, without parameters) is JSON, or one of its `+json` kinds."""
    return _JSON_TYPE.fullmatch(media_type) is not None


@lru_cache(_CACHED_TYPES)
def is_ndjson(media_type: str) -> bool:
    """Whether the media type (in lower case, without parameters) is one that NDJSON is known by."""
    return _NDJSON_TYPE.fullmatch(media_type) is not None


def is_gzip(body: bytes) -> bool:
    """Whether a body is gzip, by its first bytes: no JSON begins with them.

    Content-Encoding doesn't show it: API Gateway decompresses a body and keeps the header.
    """
    return body.startswith(_GZIP_MAGIC)


def unpacked(body: bytes, limit: int) -> bytes:
    """The body, or its content if it is gzip.

    Raises:
        NotGzipError: it begins as gzip does, and is damaged, cut off, or gzip within gzip.
        UnpackedTooLargeError: it holds more than `limit` bytes.
    """
    if not is_gzip(body):
        return body
    content = gunzip(body, limit)
    if is_gzip(content):
        raise NotGzipError("holds gzip again: compress it only once")
    return content


def gunzip(packed: bytes, limit: int) -> bytes:
    """Unpack gzip of one or several members, and ignore zeros after the last one (padding, as gzip itself does).

    Args:
        packed: from the first member's header to the last one's checksum.
        limit: of the content's bytes; hardly more than these are ever held.

    Raises:
        NotGzipError: no gzip, cut off, damaged, or followed by other bytes than zeros.
        UnpackedTooLargeError: it holds more than `limit` bytes.
    """
    parts: list[bytes] = []
    room = limit
    waiting = memoryview(packed)
    while waiting or not parts:
        member = zlib.decompressobj(_GZIP_ONLY)
        size = _FIRST_PIECE
        while not member.eof:
            piece, waiting = waiting[:size], waiting[size:]
            if not piece:
                raise NotGzipError("is cut off")
            try:
                part = member.decompress(piece, room + 1)
            except zlib.error as error:
                raise NotGzipError("is damaged") from error
            room -= len(part)
            if room < 0:
                raise UnpackedTooLargeError(f"holds more than {limit} bytes")
            parts.append(part)
            size *= 2
        waiting = memoryview(packed)[len(packed) - len(waiting) - len(member.unused_data) :]
        if waiting and waiting[0] == 0 and not bytes(waiting).strip(b"\0"):
            break
    return b"".join(parts)


def check_utf_8(text: bytes) -> None:
    """Refuse text that its first bytes show to be UTF-16 or UTF-32.

    Raises:
        NotJsonError: with the encoding.
    """
    if (encoding := detect_encoding(text[:_LEADING_BYTES])) not in _UTF_8:
        raise NotJsonError(f"it is encoded in {encoding[:6].upper()}; send UTF-8")


def without_mark(text: bytes) -> bytes:
    """The text without a byte order mark."""
    return text.removeprefix(_MARK)


def split(text: bytes, media_type: str) -> tuple[Sequence[Any], Callable[[Any], Any]]:
    """The events of an unpacked body: a sequence with an item for each, and a function that makes a payload of an item.

    A payload is a JSON value, or the `NotJsonError` that its text leads to. In NDJSON each line is an event, and parsed
    only when it is needed. Otherwise the body is one JSON text: a list of events, or a single one, returned as a tuple.
    A leading byte order mark is ignored.
    """
    text = without_mark(text)
    if is_ndjson(media_type):
        return list(lines(text)), _parsed_line
    payload = _parsed(text)
    return payload if type(payload) is list else (payload,), lambda value: value


def bodies(text: bytes, media_type: str) -> Iterator[Any]:
    """The JSON value of an unpacked body, or of each line of NDJSON; a `NotJsonError` for a text that is none."""
    text = without_mark(text)
    return map(_parsed_line, lines(text)) if is_ndjson(media_type) else iter([_parsed(text)])


def lines(text: bytes) -> Iterator[bytes]:
    """The lines that are not blank."""
    return (line for line in text.split(b"\n") if line.strip(_BLANK))


def _parsed(text: bytes) -> Any:  # noqa: ANN401 - JSON holds any of JSON's types
    try:
        return parse_json(text)
    except NotJsonError as error:
        # Another one: this one refers to the frames above, and whoever keeps it in one would keep the body in a cycle.
        return NotJsonError(str(error))


def _parsed_line(text: bytes) -> Any:  # noqa: ANN401 - JSON holds any of JSON's types
    try:
        return parse_json(text)
    except NotJsonError as error:
        # Its media type is that of lines already.
        return NotJsonError(str(error).removesuffix(_OF_LINES))


def parse_json(text: bytes) -> Any:  # noqa: ANN401 - JSON holds any of JSON's types
    """Parse JSON text strictly: UTF-8, no byte order mark, no NaN, no lone surrogates, bounded nesting.

    Of duplicate names the last counts. A number too large for binary64 becomes an infinity, and one of thousands of
    digits the nearest binary64 (or an infinity): numbers are validated by the quality rules.

    Raises:
        NotJsonError: with the parser's reason and place.
    """
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError as error:
        if "number out of range" not in str(error):
            raise _not_json(error) from error
    try:
        return from_json(_STRING_OR_LONG_NUMBER.sub(_shorten, text), allow_inf_nan=False)
    except ValueError as error:
        raise _not_json(error) from error


def _not_json(error: ValueError) -> NotJsonError:
    reason = str(error)
    if reason.startswith("trailing characters"):
        reason += f"; to send several events, put each on a line of its own{_OF_LINES}"
    return NotJsonError(reason)


def _shorten(token: re.Match[bytes]) -> bytes:
    text = token[0]
    if len(text) < _LONG or text.startswith(b'"'):
        return text
    return repr(float(text)).replace("inf", "1e999").encode()
