"""How API Gateway handles the Content-Encoding of a request's body.

Its developer guide ("Call an API method with a compressed payload"): it decompresses supported codings, and responds
415 if the coding isn't supported, or the body isn't compressed with it. The request keeps the header
(dougmoscrop/serverless-http#194). It supports gzip, deflate and identity ("Enable payload compression").
"""

import zlib

MAX_BYTES = 10 * 1024 * 1024
"""API Gateway's maximum size of a body, in bytes, both as sent and decompressed."""

_WINDOWS = {"gzip": (16 + zlib.MAX_WBITS,), "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS)}


class UnsupportedMediaTypeError(ValueError):
    """API Gateway responds 415."""


class TooLargeError(ValueError):
    """API Gateway responds 413."""


def decompressed(body: bytes, content_encoding: str | None) -> bytes:
    """The body as API Gateway passes it on.

    Raises:
        UnsupportedMediaTypeError: the coding is not supported, or the body is not compressed with it.
        TooLargeError: the body exceeds the limit, compressed or not.
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
