"""Many events in one body: each is validated alone."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropzone.domain.body import JSON, NDJSON, is_json, is_ndjson, lines
from dropzone.domain.outcomes import Code, Measurement, Outcome, Rejection
from dropzone.domain.validate import Contents, validate
from support.factories import EXAMPLE, NOT_NUMERIC, WITHOUT_OFFSET

BROKEN = b'{"time_stamp": '
EVENTS = (EXAMPLE, NOT_NUMERIC, b"5", WITHOUT_OFFSET, EXAMPLE)


def as_lines(*events: bytes, newline: bytes = b"\n") -> bytes:
    return newline.join(events)


def as_array(*events: bytes) -> bytes:
    return b"[" + b",".join(events) + b"]"


def codes(outcome: Outcome) -> list[Code]:
    return [violation.code for violation in outcome.violations] if isinstance(outcome, Rejection) else []


@pytest.mark.parametrize(("join", "media_type"), [(as_lines, NDJSON), (as_array, JSON)])
def test_each_event_has_the_outcome_that_it_has_alone(join: Callable[..., bytes], media_type: str) -> None:
    assert validate(join(*EVENTS), media_type) == tuple(outcome for event in EVENTS for outcome in validate(event))


def test_a_line_that_is_not_json_leaves_the_others_as_they_are() -> None:
    # GIVEN lines that no parser takes, among good ones
    bad = [BROKEN, b"\xff", b"\xef\xbb\xbf" + EXAMPLE, b"[" * 5_000, EXAMPLE * 2, b"\x0c", b"NaN"]
    body = as_lines(*(line for strange in bad for line in (EXAMPLE, strange)))

    # THEN they alone are rejected
    outcomes = validate(body, NDJSON)
    assert all(isinstance(outcome, Measurement) for outcome in outcomes[::2])
    assert [codes(outcome) for outcome in outcomes[1::2]] == [[Code.NOT_JSON]] * len(bad)


def test_a_line_may_be_an_array_and_is_then_no_event() -> None:
    assert [codes(outcome) for outcome in validate(as_array(EXAMPLE), NDJSON)] == [[Code.NOT_OBJECT]]


def test_an_array_that_is_not_json_is_one_event_that_is_not() -> None:
    assert [codes(outcome) for outcome in validate(as_array(EXAMPLE, BROKEN))] == [[Code.NOT_JSON]]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\n\n", b"\n \t\r\n"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n\r\n"])
def test_blank_lines_are_no_events(newline: bytes, end: bytes) -> None:
    assert validate(as_lines(EXAMPLE, EXAMPLE, newline=newline) + end, NDJSON) == validate(EXAMPLE) * 2


def test_a_carriage_return_alone_ends_no_line() -> None:
    assert [codes(outcome) for outcome in validate(EXAMPLE + b"\r" + EXAMPLE, NDJSON)] == [[Code.NOT_JSON]]


@pytest.mark.parametrize("media_type", [JSON, NDJSON])
@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\t\n"])
def test_nothing_is_rejected_as_nothing(body: bytes, media_type: str) -> None:
    expected = Code.EMPTY_BATCH if media_type == NDJSON else Code.NOT_JSON
    assert [codes(outcome) for outcome in validate(body, media_type)] == [[expected]]


def test_events_are_validated_one_at_a_time() -> None:
    # GIVEN two events
    outcomes = Contents(as_lines(EXAMPLE, BROKEN), NDJSON).outcomes()
    # THEN the first is there before the second is looked at
    assert isinstance(next(outcomes), Measurement)
    assert codes(next(outcomes)) == [Code.NOT_JSON]


@pytest.mark.parametrize("media_type", [JSON, NDJSON])
@pytest.mark.parametrize(("first", "end"), [(0, 2), (2, 4), (3, None), (4, None), (1, 9)])
def test_a_part_of_the_events_has_their_outcomes(media_type: str, first: int, end: int | None) -> None:
    texts = [EXAMPLE, NOT_NUMERIC, EXAMPLE, NOT_NUMERIC]
    body = as_lines(*texts) if media_type == NDJSON else b"[" + b",".join(texts) + b"]"
    contents = Contents(body, media_type)
    assert len(contents) == 4
    assert contents.size == len(body)
    assert tuple(contents.outcomes(first, end)) == validate(body, media_type)[first:end]


@pytest.mark.parametrize("body", [b"[]", b"null", b"", b"{}"])
def test_what_holds_no_event_has_one_outcome(body: bytes) -> None:
    contents = Contents(body)
    assert len(contents) == len([*contents.outcomes()]) == 1


@given(st.lists(st.binary(max_size=30), max_size=10), st.sampled_from([JSON, NDJSON, "text/plain", ""]))
def test_any_bytes_of_any_kind_have_outcomes(parts: list[bytes], media_type: str) -> None:
    outcomes = validate(b"\n".join(parts), media_type)
    assert 1 <= len(outcomes) <= len(parts) + sum(part.count(b"\n") for part in parts) + 1


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(json_values, min_size=1, max_size=10))
def test_lines_and_an_array_of_the_same_values_have_the_same_outcomes(values: list[object]) -> None:
    texts = [json.dumps(value).encode() for value in values]
    assert validate(as_lines(*texts), NDJSON) == validate(as_array(*texts), JSON)


def test_media_types() -> None:
    json = [JSON, "application/ld+json", "application/vnd.x.y-1+json", "text/json", "text/x-json", "application/x-json"]
    ndjson = [
        *(NDJSON, "application/ndjson", "application/nd-json", "application/x-ldjson", "text/ndjson"),
        *("application/jsonl", "application/x-jsonl", "application/json-l", "text/jsonl"),
        *("application/jsonlines", "application/json-lines", "application/x-jsonlines", "text/x-json-lines"),
    ]
    neither = ["text/plain", "application/json-seq", "application/+json", "text/+json", "application/jsonx", "json", ""]
    assert [*filter(is_json, json + ndjson + neither)] == json
    assert [*filter(is_ndjson, json + ndjson + neither)] == ndjson


@pytest.mark.parametrize("media_type", [JSON, NDJSON])
def test_a_leading_byte_order_mark_is_ignored(media_type: str) -> None:
    assert validate(b"\xef\xbb\xbf" + EXAMPLE, media_type) == validate(EXAMPLE)
    # A second one is part of the text.
    (outcome,) = validate(b"\xef\xbb\xbf" * 2 + EXAMPLE, media_type)
    assert codes(outcome) == [Code.NOT_JSON]


def test_lines() -> None:
    assert list(lines(b"a\n\n b \r\n\tc")) == [b"a", b" b \r", b"\tc"]
