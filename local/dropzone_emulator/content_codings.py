"""What API Gateway does to a request's body by its Content-Encoding.

Its developer guide ("Call an API method with a compressed payload"): it decompresses what it supports, and answers 415
where it doesn't support the coding or the body isn't compressed with it. The header stays on the request
(dougmoscrop/serverless-http#194). It supports gzip, deflate and identity ("Enable payload compression").
"""

import zlib

MAX_BYTES = 10 * 1024 * 1024
"""The most that API Gateway takes of a body, as it came and decompressed."""

_WINDOWS = {"gzip": (16 + zlib.MAX_WBITS,), "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS)}


class UnsupportedMediaTypeError(ValueError):
    """API Gateway answers 415."""


class TooLargeError(ValueError):
    """API Gateway answers 413."""


def decompressed(body: bytes, content_encoding: str | None) -> bytes:
    """The body as API Gateway passes it on.

    Raises:
        UnsupportedMediaTypeError: the coding is none of those it supports, or the body is not compressed with it.
        TooLargeError: it is larger than the limit, or holds more.
    """
    if len(body) > MAX_BYTES:
        raise TooLargeError
    coding = (content_encoding or "identity").strip().lower()
    if coding == "identity" or not body:
        return body
    for window in _WINDOWS.get(coding, ()):
        decoder = zlib.decompressobj(window)
        try:
            content = decoder.decompress(body, MAX_BYTES + 1)
        except zlib.error:
            continue
        if len(content) > MAX_BYTES:
            raise TooLargeError
        if decoder.eof:
            return content
    raise UnsupportedMediaTypeError
