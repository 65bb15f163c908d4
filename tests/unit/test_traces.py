"""The tests' own search for secrets finds them in every form."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.packing import gzipped
from support.traces import assert_no_trace

MARKER = "MARKER-OF-THE-PAYLOAD"


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_marker_is_found_in_base64_at_any_offset(before: bytes, after: bytes) -> None:
    event = json.dumps({"body": base64.b64encode(before + MARKER.encode() + after).decode()})

    with pytest.raises(AssertionError, match="MARKER"):
        assert_no_trace(event, MARKER)


@pytest.mark.parametrize("text", [MARKER, f"x{MARKER}x", MARKER.encode().hex(), f"a?b={MARKER}"])
def test_marker_is_found_as_it_is(text: str) -> None:
    with pytest.raises(AssertionError):
        assert_no_trace(text, MARKER)


def test_nothing_is_found_where_nothing_is() -> None:
    assert_no_trace(base64.b64encode(gzipped(b"payload" * 9)).decode(), MARKER)
