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
"""The media type that Telegraf and InfluxDB's clients send lines as: none is registered for the protocol."""
GZIP = "gzip"
"""The value of `Content-Encoding` for gzip."""

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
"""The size of the first piece of a gzip member to unpack, in bytes; each further piece is twice as long. What follows
the member is copied with its last piece: small pieces keep a body of many tiny members as fast as any of its size."""

# A string, to be skipped, or a number that may be longer than the parser accepts (4,300 digits). An unterminated
# string is skipped to the end of the text: trying each of its quotes would take quadratic time.
_STRING_OR_LONG_NUMBER = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?', re.DOTALL
)
_LONG = 1_000
_OF_LINES = f", with Content-Type: {NDJSON}"


class NotJsonError(ValueError):
    """The bytes are not JSON. The message gives the position, and quotes nothing of the bytes."""


class NotGzipError(ValueError):
    """The bytes are not gzip, or incomplete."""


class UnpackedTooLargeError(ValueError):
    """The unpacked content exceeds the limit."""


def is_json(media_type: str) -> bool:
    """Whether the media type (in lower case, without parameters) is JSON or has the suffix `+json`."""
    return _JSON_TYPE.fullmatch(media_type) is not None


@lru_cache(_CACHED_TYPES)
def is_ndjson(media_type: str) -> bool:
    """Whether the media type (in lower case, without parameters) is one of those used for NDJSON."""
    return _NDJSON_TYPE.fullmatch(media_type) is not None


def is_gzip(body: bytes) -> bool:
    """Whether a body is gzip, by its first bytes: no JSON starts with them.

    Content-Encoding is no indication: API Gateway decompresses a body and keeps the header.
    """
    return body.startswith(_GZIP_MAGIC)


def unpacked(body: bytes, limit: int) -> bytes:
    """The body, or its content if it is gzip.

    Raises:
        NotGzipError: it starts like gzip, but is damaged, cut off, or gzip within gzip.
        UnpackedTooLargeError: the content has more than `limit` bytes.
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
        limit: the maximum size of the content, in bytes; hardly more than that is ever in memory.

    Raises:
        NotGzipError: it is not gzip, cut off, damaged, or followed by bytes other than zero.
        UnpackedTooLargeError: the content has more than `limit` bytes.
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
    """Reject text in UTF-16 or UTF-32, detected by its first bytes.

    Raises:
        NotJsonError: the text has another encoding, which the message names.
    """
    if (encoding := detect_encoding(text[:_LEADING_BYTES])) not in _UTF_8:
        raise NotJsonError(f"it is encoded in {encoding[:6].upper()}; send UTF-8")


def without_mark(text: bytes) -> bytes:
    """The text without a byte order mark."""
    return text.removeprefix(_MARK)


def split(text: bytes, media_type: str) -> tuple[Sequence[Any], Callable[[Any], Any]]:
    """The events of an unpacked body: a sequence of items, and a function that turns an item into a payload.

    A payload is a JSON value, or a `NotJsonError` if its text is not JSON. In NDJSON each line is an event, and parsed
    only when needed. Otherwise the body is one JSON text: a list of events, or a single one, returned as a tuple.
    A leading byte order mark is ignored.
    """
    text = without_mark(text)
    if is_ndjson(media_type):
        return list(lines(text)), _parsed_line
    payload = _parsed(text)
    return payload if type(payload) is list else (payload,), lambda value: value


def bodies(text: bytes, media_type: str) -> Iterator[Any]:
    """The JSON value of an unpacked body, or of each line of NDJSON; a `NotJsonError` for text that is not JSON."""
    text = without_mark(text)
    return map(_parsed_line, lines(text)) if is_ndjson(media_type) else iter([_parsed(text)])


def lines(text: bytes) -> Iterator[bytes]:
    """The lines that are not blank."""
    return (line for line in text.split(b"\n") if line.strip(_BLANK))


def _parsed(text: bytes) -> Any:  # noqa: ANN401 - JSON holds any of JSON's types
    try:
        return parse_json(text)
    except NotJsonError as error:
        # A new error: this one refers to the frames above, so keeping it would keep the body alive in a cycle.
        return NotJsonError(str(error))


def _parsed_line(text: bytes) -> Any:  # noqa: ANN401 - JSON holds any of JSON's types
    try:
        return parse_json(text)
    except NotJsonError as error:
        # The media type is already that of NDJSON, so the hint to use it is removed.
        return NotJsonError(str(error).removesuffix(_OF_LINES))


def parse_json(text: bytes) -> Any:  # noqa: ANN401 - JSON holds any of JSON's types
    """Parse JSON text strictly: UTF-8, no byte order mark, no NaN, no lone surrogates, bounded nesting.

    The last of duplicate names counts. A number too large for binary64 becomes an infinity, and one of thousands of
    digits the nearest binary64 (or an infinity): the quality rules validate numbers.

    Raises:
        NotJsonError: the text is not JSON; the message has the parser's reason and position.
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
        reason += f"; to send several events, put each on its own line{_OF_LINES}"
    return NotJsonError(reason)


def _shorten(token: re.Match[bytes]) -> bytes:
    text = token[0]
    if len(text) < _LONG or text.startswith(b'"'):
        return text
    return repr(float(text)).replace("inf", "1e999").encode()
