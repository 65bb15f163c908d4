"""Packed bodies: every Content-Encoding with every body, as API Gateway passes them on and as others may.

API Gateway decompresses a body and leaves the header, so the body's first bytes tell what it is, and nothing else does.
"""

import gzip
import zlib
from typing import Any

import pytest

from dropzone_emulator import content_codings
from functional.ingest_function import IngestFunction
from functional.lambda_calls import EXAMPLE, api_event, json_body
from support.packing import gzipped

GZIP = gzip.compress(EXAMPLE, mtime=0)
BODIES = {
    "plain": EXAMPLE,
    "gzip": GZIP,
    "gzip in gzip": gzip.compress(GZIP, mtime=0),
    "cut off": GZIP[:-1],
    "deflate": zlib.compress(EXAMPLE),
}
DECODED = [None, "", "gzip", "GZIP", " x-gzip", "identity", "deflate", "gzip, gzip", "GZIP, identity"]
"""What a request may say that was decoded, by API Gateway or by who called the function."""
NOT_DECODED = ["br", "zstd", "compress", "gzip, br", "none"]

STORED_AS_IT_CAME = {"plain": "", "gzip": "gzip"}
REFUSED = {"gzip in gzip": "not-gzip", "cut off": "not-gzip", "deflate": "not-json"}

THROUGH_API_GATEWAY: dict[str | None, dict[str, str]] = {
    None: {"plain": "plain", "gzip": "gzip", "gzip in gzip": "not-gzip", "cut off": "not-gzip", "deflate": "not-json"},
    "gzip": {"plain": "415", "gzip": "plain", "gzip in gzip": "gzip", "cut off": "415", "deflate": "415"},
    "deflate": {"plain": "415", "gzip": "415", "gzip in gzip": "415", "cut off": "415", "deflate": "plain"},
    "br": dict.fromkeys(BODIES, "415"),
}
"""By header and body: which of the bodies is stored, or how the request ends."""
THROUGH_API_GATEWAY |= {"identity": THROUGH_API_GATEWAY[None], "GZIP": THROUGH_API_GATEWAY["gzip"]}
THROUGH_API_GATEWAY |= dict.fromkeys(["x-gzip", "gzip, gzip", "zstd"], THROUGH_API_GATEWAY["br"])


def event(body: bytes, encoding: str | None, *, as_text: bool = False) -> dict[str, Any]:
    """An event of API Gateway: in base64, or as text where the API doesn't take the media type for binary."""
    made = api_event(body, headers={"Content-Encoding": encoding})
    return made | {"body": body.decode(errors="replace"), "isBase64Encoded": False} if as_text else made


def stored(function: IngestFunction, made: dict[str, Any]) -> tuple[bytes, str]:
    """What lies in the bucket, and what its metadata says that it is."""
    answer = function(made)
    assert answer["statusCode"] == 202, answer["body"]
    found = function.object(json_body(answer)["raw_id"])
    return found["Body"].read(), found.get("ContentEncoding", "")


@pytest.mark.parametrize("encoding", DECODED)
def test_what_reaches_the_function_is_stored_as_what_it_is(
    ingest_function: IngestFunction, encoding: str | None
) -> None:
    for body, what in STORED_AS_IT_CAME.items():
        assert stored(ingest_function, event(BODIES[body], encoding)) == (BODIES[body], what)


@pytest.mark.parametrize("encoding", DECODED)
def test_what_can_not_be_unpacked_is_refused(ingest_function: IngestFunction, encoding: str | None) -> None:
    for body, problem_type in REFUSED.items():
        problem = ingest_function.refused(event(BODIES[body], encoding), 400)
        assert problem["type"] == f"urn:dropzone:problem:{problem_type}", body


@pytest.mark.parametrize("encoding", DECODED)
def test_a_body_of_text_is_what_it_is(ingest_function: IngestFunction, encoding: str | None) -> None:
    assert stored(ingest_function, event(EXAMPLE, encoding, as_text=True)) == (EXAMPLE, "")


@pytest.mark.parametrize("encoding", DECODED)
def test_a_packed_body_sent_as_text_is_refused(ingest_function: IngestFunction, encoding: str | None) -> None:
    for name, body in BODIES.items():
        if name != "plain":
            problem = ingest_function.refused(event(body, encoding, as_text=True), 400)
            assert problem["type"] == "urn:dropzone:problem:not-json", name


@pytest.mark.parametrize("encoding", NOT_DECODED)
def test_a_coding_that_nobody_decodes_is_refused(ingest_function: IngestFunction, encoding: str) -> None:
    for name, body in BODIES.items():
        problem = ingest_function.refused(event(body, encoding), 415)
        assert "Content-Encoding: gzip" in problem["detail"], name


@pytest.mark.parametrize("encoding", THROUGH_API_GATEWAY)
def test_through_api_gateway(ingest_function: IngestFunction, encoding: str | None) -> None:
    # What is refused first, while nothing is stored.
    for name, expected in sorted(THROUGH_API_GATEWAY[encoding].items(), key=lambda entry: entry[1] in BODIES):
        if expected == "415":
            with pytest.raises(content_codings.UnsupportedMediaTypeError):
                content_codings.decompressed(BODIES[name], encoding)
            continue

        made = event(content_codings.decompressed(BODIES[name], encoding), encoding)

        if expected in BODIES:
            assert stored(ingest_function, made) == (BODIES[expected], STORED_AS_IT_CAME[expected]), name
        else:
            assert ingest_function.refused(made, 400)["type"] == f"urn:dropzone:problem:{expected}", name


def test_api_gateway_takes_no_more_than_ten_megabytes() -> None:
    most = bytes(content_codings.MAX_BYTES)
    assert content_codings.decompressed(most, None) == most
    assert content_codings.decompressed(gzipped(most, 1), "gzip") == most
    for body, encoding in ((most + b"x", None), (gzipped(most + b"x", 1), "gzip")):
        with pytest.raises(content_codings.TooLargeError):
            content_codings.decompressed(body, encoding)
