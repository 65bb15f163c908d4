"""Packed bodies: gzip (RFC 1952), unpacked with a bound, so that a bomb is never unpacked whole."""

import zlib

GZIP = "gzip"
"""The name of the encoding, as `Content-Encoding` has it."""

_GZIP_ALONE = 16 + zlib.MAX_WBITS


class NotGzipError(ValueError):
    """The bytes are not gzip, or not whole."""


class UnpackedTooLargeError(ValueError):
    """The bytes hold more than the bound."""


def gunzip(packed: bytes, most: int) -> bytes:
    """Unpack gzip, of one member or several.

    Args:
        packed: all of it, from the first member's header to the last one's checksum.
        most: the most bytes to unpack; not many more than these are ever held.

    Raises:
        NotGzipError: no gzip, cut off, damaged, or with something behind it.
        UnpackedTooLargeError: it holds more than `most` bytes.
    """
    parts: list[bytes] = []
    room = most
    rest = packed
    while rest or not parts:
        member = zlib.decompressobj(_GZIP_ALONE)
        try:
            part = member.decompress(rest, room + 1)
        except zlib.error as error:
            message = "is not gzip, or damaged"
            raise NotGzipError(message) from error
        room -= len(part)
        if room < 0:
            message = f"holds more than {most} bytes"
            raise UnpackedTooLargeError(message)
        if not member.eof:
            message = "ends before its end"
            raise NotGzipError(message)
        parts.append(part)
        rest = member.unused_data
    return b"".join(parts)
