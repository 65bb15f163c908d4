"""gzip: what is unpacked, what isn't, and how much."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropzone.domain.body import NotGzipError, UnpackedTooLargeError, gunzip, is_gzip, unpacked
from dropzone.domain.outcomes import Code, Measurement, Rejection
from dropzone.domain.validate import MAX_UNPACKED_BYTES, Contents, validate
from dropzone.settings import MAX_BODY_BYTES
from support.factories import EXAMPLE
from support.packing import gzipped

LIMIT = 1_000
MEBIBYTE = 1024 * 1024


@given(st.binary(max_size=LIMIT), st.integers(0, 9))
def test_what_was_packed_is_unpacked(body: bytes, level: int) -> None:
    assert gunzip(gzipped(body, level), LIMIT) == body


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=5))
def test_members_are_joined(parts: list[bytes]) -> None:
    assert gunzip(b"".join(map(gzip.compress, parts)), LIMIT) == b"".join(parts)


@given(st.binary(min_size=600, max_size=5_000), st.integers(0, 3), st.binary(max_size=5_000))
def test_members_end_anywhere_in_what_is_unpacked_at_once(first: bytes, empty: int, last: bytes) -> None:
    packed = gzipped(first, 0) + gzipped(b"") * empty + gzipped(last)
    assert gunzip(packed, 10_000) == first + last


def test_many_empty_members_are_copied_no_more_often_than_they_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN two thousand empty members, and a count of the bytes that are handed to zlib
    packed = gzipped(b"") * 2_000 + PACKED
    handed = 0
    real = zlib.decompressobj

    class Counting:
        def __init__(self, bits: int) -> None:
            self._member = real(bits)

        def decompress(self, piece: bytes, limit: int) -> bytes:
            nonlocal handed
            handed += len(piece)
            return self._member.decompress(piece, limit)

        def __getattr__(self, name: str) -> object:
            return getattr(self._member, name)

    monkeypatch.setattr("dropzone.domain.body.zlib.decompressobj", Counting)

    assert gunzip(packed, LIMIT) == EXAMPLE
    # Each member is handed over with a piece of what is behind it, and not with all of that.
    assert handed < 50 * len(packed)


def test_the_bound_is_exact() -> None:
    packed = gzipped(b"x" * LIMIT)
    assert len(gunzip(packed, LIMIT)) == LIMIT
    with pytest.raises(UnpackedTooLargeError):
        gunzip(packed, LIMIT - 1)
    with pytest.raises(UnpackedTooLargeError):
        gunzip(packed + gzipped(b"y"), LIMIT)


PACKED = gzip.compress(EXAMPLE, mtime=0)


@pytest.mark.parametrize("zeros", [1, 511, 10_000])
def test_zeros_behind_the_last_member_are_ignored(zeros: int) -> None:
    assert gunzip(PACKED + bytes(zeros), LIMIT) == EXAMPLE
    assert gunzip(PACKED * 2 + bytes(zeros), LIMIT) == EXAMPLE * 2


NO_GZIP = {
    "nothing": b"",
    "plain": b"plain",
    "zlib": zlib.compress(EXAMPLE),
    "cut by a byte": PACKED[:-1],
    "cut in its data": PACKED[:12],
    "of another checksum": PACKED[:-8] + bytes(8),
    "padded with something else": PACKED + b"\x00\x01",
    "padded with text": PACKED + b"\x00X",
    "padded, with a member behind it": PACKED + b"\x00" + PACKED,
    "with something behind it": PACKED + b"trailing",
}


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (PACKED[:-1], "is cut off"),
        (b"plain", "is damaged"),
        (PACKED + b"trailing", "is damaged"),
        (gzipped(bytes(LIMIT + 1)), "holds more than 1000 bytes"),
    ],
)
def test_its_sender_gets_the_reason(packed: bytes, reason: str) -> None:
    # A violation's message is made of it.
    with pytest.raises((NotGzipError, UnpackedTooLargeError)) as raised:
        gunzip(packed, LIMIT)
    assert str(raised.value) == reason


def test_the_reason_is_in_the_violation() -> None:
    (cut_off,) = Contents(PACKED[:-1]).outcomes()
    (bomb,) = Contents(gzipped(bytes(MAX_UNPACKED_BYTES + 1))).outcomes()

    assert isinstance(cut_off, Rejection)
    assert isinstance(bomb, Rejection)
    assert [each.message for each in cut_off.violations] == ["is gzip that is cut off"]
    assert [each.message for each in bomb.violations] == [f"holds more than {MAX_UNPACKED_BYTES} bytes"]


@pytest.mark.parametrize("packed", NO_GZIP.values(), ids=list(NO_GZIP))
def test_what_is_no_whole_gzip_is_refused(packed: bytes) -> None:
    with pytest.raises(NotGzipError):
        gunzip(packed, LIMIT)
    (outcome,) = validate(packed)
    assert isinstance(outcome, Rejection)
    assert [violation.code for violation in outcome.violations] == [Code.NOT_GZIP if is_gzip(packed) else Code.NOT_JSON]
    assert Contents(packed).size == len(packed)


def test_gzip_is_known_by_its_first_bytes() -> None:
    assert unpacked(PACKED, LIMIT) == unpacked(EXAMPLE, LIMIT) == EXAMPLE
    for body in (b"", b"\x1f", b"\x8b\x1f", zlib.compress(EXAMPLE), "\ufeff".encode() + PACKED):
        assert unpacked(body, LIMIT) == body


def test_gzip_within_gzip_is_refused() -> None:
    with pytest.raises(NotGzipError, match=r"^holds gzip again: compress it only once$"):
        unpacked(gzipped(PACKED), LIMIT)


@given(st.binary())
def test_any_bytes_are_unpacked_or_refused(packed: bytes) -> None:
    try:
        gunzip(packed, LIMIT)
    except (NotGzipError, UnpackedTooLargeError):
        return


@pytest.mark.slow
def test_a_bomb_is_never_unpacked_whole() -> None:
    # GIVEN a few kilobytes that hold two hundred megabytes
    bomb = gzipped(gzipped(b"", 9) + bytes(200 * MEBIBYTE), 9)
    assert len(bomb) < MEBIBYTE

    # WHEN they are unpacked with a bound
    tracemalloc.start()
    with pytest.raises(UnpackedTooLargeError):
        gunzip(bomb, MEBIBYTE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # THEN little more than the bound was held
    assert peak < 4 * MEBIBYTE


def test_a_packed_event_is_validated_like_a_plain_one() -> None:
    (outcome,) = validate(gzipped(EXAMPLE))
    assert isinstance(outcome, Measurement)
    assert (outcome,) == validate(EXAMPLE)


def test_an_object_that_holds_too_much_is_rejected() -> None:
    (outcome,) = validate(gzipped(bytes(MAX_UNPACKED_BYTES + 1)))
    assert isinstance(outcome, Rejection)
    assert [violation.code for violation in outcome.violations] == [Code.TOO_LARGE]


def test_whatever_ingest_takes_is_read() -> None:
    # GIVEN the largest body that ingest can be set to accept, which packs to next to nothing
    largest = EXAMPLE.ljust(MAX_BODY_BYTES)

    # THEN it is read, though the bound here is another constant than the one there
    assert validate(gzipped(largest)) == validate(EXAMPLE)
