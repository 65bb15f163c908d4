"""Packed bodies: gzip (RFC 1952), unpacked with a bound, so that a bomb is never unpacked whole."""

import zlib

GZIP = "gzip"
"""The name of the encoding, as `Content-Encoding` has it."""

_GZIP_MAGIC = b"\x1f\x8b"

_GZIP_ALONE = 16 + zlib.MAX_WBITS

_FIRST_PIECE = 512
"""Bytes of a member that are unpacked first; then twice as many each time. What is behind its end is copied with the
last piece, so that a body of many tiny members takes no longer than one of its size."""


class NotGzipError(ValueError):
    """The bytes are not gzip, or not whole."""


class UnpackedTooLargeError(ValueError):
    """The bytes hold more than the bound."""


def is_gzip(body: bytes) -> bool:
    """Whether a body is gzip, by its first bytes: no JSON begins with them.

    The request's Content-Encoding does not tell: API Gateway decompresses a body and leaves the header as it was.
    """
    return body.startswith(_GZIP_MAGIC)


def unpacked(body: bytes, limit: int) -> bytes:
    """The body, or what it holds where it is gzip.

    Raises:
        NotGzipError: it begins as gzip does, and is damaged, cut off, or gzip within gzip.
        UnpackedTooLargeError: it holds more than `limit` bytes.
    """
    if not is_gzip(body):
        return body
    content = gunzip(body, limit)
    if is_gzip(content):
        message = "holds gzip again: pack it once"
        raise NotGzipError(message)
    return content


def gunzip(packed: bytes, limit: int) -> bytes:
    """Unpack gzip, of one member or several.

    Args:
        packed: all of it, from the first member's header to the last one's checksum.
        limit: the most bytes to unpack; not many more than these are ever held.

    Raises:
        NotGzipError: no gzip, cut off, damaged, or with something behind it.
        UnpackedTooLargeError: it holds more than `limit` bytes.
    """
    parts: list[bytes] = []
    room = limit
    waiting = memoryview(packed)
    while waiting or not parts:
        member = zlib.decompressobj(_GZIP_ALONE)
        size = _FIRST_PIECE
        while not member.eof:
            piece, waiting = waiting[:size], waiting[size:]
            if not piece:
                message = "is cut off"
                raise NotGzipError(message)
            try:
                part = member.decompress(piece, room + 1)
            except zlib.error as error:
                message = "is damaged"
                raise NotGzipError(message) from error
            room -= len(part)
            if room < 0:
                message = f"holds more than {limit} bytes"
                raise UnpackedTooLargeError(message)
            parts.append(part)
            size *= 2
        waiting = memoryview(packed)[len(packed) - len(waiting) - len(member.unused_data) :]
    return b"".join(parts)
