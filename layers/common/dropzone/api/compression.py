"""Answers compressed with gzip, for clients that accept it (RFC 9110, section 12.5.3).

Not by API Gateway: its compression would unpack requests as well, and bodies are stored as they were sent.
"""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

from dropzone.api.request import preferences

MIN_BYTES = 1_024
"""A smaller body fits into one packet as it is."""

_LEVEL = 5
"""Within 2 % of the default's size, in three quarters of its time."""

_GZIP = zlib.MAX_WBITS | 16


class Compressor:
    """Measures rows sent as gzip, in base64 as Lambda's answers have it."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(_LEVEL, wbits=_GZIP)
        self._bytes = 0

    def size_with(self, row: str) -> int:
        """The size with one more row, less what the compressor still holds back: 100 kB at most."""
        self._bytes += len(self._stream.compress(row.encode()))
        return self._bytes * 4 // 3


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether a client accepts gzip, and doesn't prefer its absence."""
    weights = {each.name: each.weight for each in preferences(accept_encoding or "")}
    gzip = max((weights[name] for name in ("gzip", "x-gzip") if name in weights), default=weights.get("*", 0.0))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def compressed(result: dict[str, Any], accept_encoding: str | None) -> dict[str, Any]:
    """A result for API Gateway, with its body compressed where the client accepts that and it is worth it.

    Bodies in base64 are stored bytes, and stay as they are. ETags must be weak, since one covers both forms.
    """
    if result["isBase64Encoded"]:
        return result
    headers = vary(result["multiValueHeaders"], "Accept-Encoding")
    body = str(result.get("body") or "").encode()
    if len(body) < MIN_BYTES or not accepts_gzip(accept_encoding):
        return result | {"multiValueHeaders": headers}
    return result | {
        "body": base64.b64encode(zlib.compress(body, _LEVEL, wbits=_GZIP)).decode(),
        "isBase64Encoded": True,
        "multiValueHeaders": headers | {"Content-Encoding": ["gzip"]},
    }


def vary(headers: Mapping[str, list[str]], name: str) -> dict[str, list[str]]:
    """Headers with `name` added to Vary."""
    return {**headers, "Vary": [", ".join([*headers.get("Vary", []), name])]}
