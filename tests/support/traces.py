"""What is left of a secret or a payload in a text, in whatever form it got there."""

import base64
from urllib.parse import quote

_GROUP = 3
"""Bytes that four characters of base64 encode."""


def traces(marker: str) -> frozenset[str]:
    """The forms of a marker in a log: as it is, in hex, in a URL, and in base64 at any offset of a body.

    API Gateway hands bodies over in base64, so that a logged event shows nothing of a payload as it was sent.
    """
    found = {marker, quote(marker, safe=""), marker.encode().hex()}
    for offset in range(_GROUP):
        data = bytes(offset) + marker.encode()
        encoded = base64.b64encode(data[: len(data) // _GROUP * _GROUP]).decode()
        # The first characters depend on what comes before.
        found.add(encoded[4 if offset else 0 :])
    return frozenset(found)


def assert_no_trace(text: str, *markers: str) -> None:
    """Fail where a marker is in the text in any form; a marker is of letters and digits, twelve at least."""
    for marker in markers:
        assert len(marker) >= 12, "a short marker has no form of its own"
        for form in traces(marker):
            assert form not in text, f"{marker} is there, as {form!r}"
