"""Who accepts gzip (RFC 9110, section 12.5.3), and what is compressed."""

import base64
import gzip
from typing import Any

import pytest

from dropzone.api.gateway import MIN_BYTES, Compressor, accepts_gzip, compressed

BODY = '{"source":"ü"}' * MIN_BYTES


def result(body: str = BODY, *, is_base64: bool = False, **headers: list[str]) -> dict[str, Any]:
    return {"statusCode": 200, "body": body, "isBase64Encoded": is_base64, "multiValueHeaders": headers}


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("GZIP, deflate, br, zstd", True),
        ("deflate, gzip;q=0.1", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("x-gzip", True),
        ("*", True),
        ("gzip; q=1", True),
        ("identity;q=0.5, gzip", True),
        ("identity;q=0", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("identity, gzip;q=0.5", False),
        ("gzip;q=x", False),
        ("gzip;q=nan", False),
        ("identity", False),
        ("br", False),
        ("", False),
        (None, False),
    ],
)
def test_who_accepts_gzip(header: str | None, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def test_a_body_is_compressed_and_says_so() -> None:
    sent = compressed(result(Vary=["Accept"], Link=["<?x>"]), "gzip")

    assert sent["isBase64Encoded"] is True
    packed = base64.b64decode(sent["body"])
    assert gzip.decompress(packed).decode() == BODY
    assert len(packed) < len(BODY) / 10
    assert packed[4:8] == bytes(4), "has a time in it, so that no two answers are the same"
    assert sent["multiValueHeaders"] == {
        "Vary": ["Accept, Accept-Encoding"],
        "Link": ["<?x>"],
        "Content-Encoding": ["gzip"],
    }


@pytest.mark.parametrize(("body", "accept"), [("x" * (MIN_BYTES - 1), "gzip"), (BODY, None), ("", "gzip")])
def test_what_is_not_worth_it_or_not_accepted_only_says_that_it_varies(body: str, accept: str | None) -> None:
    assert compressed(result(body), accept) == result(body, Vary=["Accept-Encoding"])


def test_bytes_stay_as_they_are() -> None:
    raw = result(base64.b64encode(b"x" * 2 * MIN_BYTES).decode(), is_base64=True)
    assert compressed(raw, "gzip") == raw


def test_the_compressor_counts_what_is_sent() -> None:
    rows = [f'{{"number":{number},"square":{number * number % 9973}}},' for number in range(50_000)]
    compressor = Compressor()

    counted = [compressor.size_with(row) for row in rows][-1]

    sent = len(compressed(result("".join(rows)), "gzip")["body"])
    assert sent - 140_000 <= counted <= sent
