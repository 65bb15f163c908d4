"""From bytes to outcomes: every code has bytes that lead to it, and no bytes lead anywhere else."""

import json
import math
import tracemalloc
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import create_model

import dropzone.domain.validate as validate_module
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.body import JSON, NDJSON
from dropzone.domain.outcomes import MAX_VIOLATIONS, RULESET, Code, Measurement, Rejection, Violation, excerpt
from dropzone.domain.payloads import Event
from dropzone.domain.validate import Contents, validate
from support.contracts import BROKEN, OF_KEYS, OF_MAPPINGS
from support.examples import examples

TIME = "2019-05-01T06:00:00-04:00"
EXAMPLE: dict[str, Any] = {"time_stamp": TIME, "data": [0, 2]}
SEEDS_BYTES = b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2]}'
SEEDS_MEASUREMENT = Measurement(datetime(2019, 5, 1, 10, tzinfo=UTC), "", Aggregates(1.0, 1.0, 2, 0.0, 2.0))


NOT_STRINGS: list[object] = [None, True, 1556704800, 1.5, [TIME], {"at": TIME}]
NOT_ARRAYS: list[object] = [None, False, 2, "0, 2", {"0": 2}]
NOT_SOURCES: list[object] = [5, ["a"], "x" * 201, "a\x00b", "\x85"]
NOT_UNITS: list[object] = [5, {}, "x" * 51, "\n"]
CORRECTED = {"raw_id": "01a20e71-e5a4-700b-bae4-431c79e16819", "item": 0}
NOT_CORRECTED: list[object] = [
    5,
    [],
    {},
    "01a20e71-e5a4-700b-bae4-431c79e16819",
    {"raw_id": CORRECTED["raw_id"]},
    {"item": 0},
    *({**CORRECTED, "item": value} for value in (-1, 2**31, "0", None, True, 0.5)),
    *({**CORRECTED, "raw_id": value} for value in (5, "", "x", "01a20e71-e5a4-400b-bae4-431c79e16819", None)),
    {**CORRECTED, "raw_id": "01a20e71-e5a4-700b-bae4-431c79e16819\n"},
]
NOT_TAGS: list[object] = [
    5,
    [],
    {"a": 1},
    {"a": None},
    {"": "a"},
    {"a": "x" * 257},
    {"x" * 65: "a"},
    {"a\x00": "b"},
    {"a": "\x7f"},
    {str(number): "" for number in range(17)},
]
NOT_NUMBERS: list[object] = [True, "2", None, [2], {}]


def bytes_of(**fields: object) -> bytes:
    """The seed's example with fields replaced or added."""
    return json.dumps({**EXAMPLE, **fields}).encode()


def bytes_without(field: str) -> bytes:
    return json.dumps({name: value for name, value in EXAMPLE.items() if name != field}).encode()


def version_2(**fields: object) -> bytes:
    return bytes_of(schema_version=2, **fields)


def violations_of(body: bytes) -> tuple[Violation, ...]:
    (outcome,) = validate(body)
    assert isinstance(outcome, Rejection)
    return outcome.violations


def codes_of(body: bytes) -> list[Code]:
    return [violation.code for violation in violations_of(body)]


def test_transform_path() -> None:
    # GIVEN the seed's example, as a client sends it
    # WHEN it is validated
    # THEN its instant is in UTC, and its figures are the mean and the population's deviation
    assert validate(SEEDS_BYTES) == (SEEDS_MEASUREMENT,)


def test_rejects_missing_timezone() -> None:
    assert codes_of(bytes_of(time_stamp="2019-05-01T06:00:00")) == [Code.TIME_STAMP_NO_TIMEZONE]


def test_rejects_non_numeric() -> None:
    (violation,) = violations_of(bytes_of(data=[0, "2"]))
    assert (violation.code, violation.field, violation.index) == (Code.DATA_NOT_NUMERIC, "data", 1)


REACHED_BY: dict[Code, list[tuple[bytes, str]]] = {
    Code.NOT_JSON: [(b"", "$"), (b"\xff", "$"), (b'{"time_stamp": NaN}', "$")],
    Code.EMPTY_BATCH: [(b"[]", "$"), (b" [ ] ", "$")],
    Code.NOT_OBJECT: [(b"[[]]", "$"), (b"null", "$"), (b'"text"', "$"), (b"5", "$"), (b"true", "$")],
    Code.MISSING_FIELD: [(bytes_without("time_stamp"), "time_stamp"), (bytes_without("data"), "data")],
    Code.UNSUPPORTED_VERSION: [(bytes_of(schema_version=99), "schema_version")],
    Code.TIME_STAMP_NOT_STRING: [(bytes_of(time_stamp=value), "time_stamp") for value in NOT_STRINGS],
    Code.TIME_STAMP_NOT_ISO8601: [(bytes_of(time_stamp=value), "time_stamp") for value in ("", "2019-05-01")],
    Code.TIME_STAMP_NO_TIMEZONE: [(bytes_of(time_stamp="2019-05-01 06:00"), "time_stamp")],
    Code.TIME_STAMP_OUT_OF_RANGE: [(bytes_of(time_stamp="0001-01-01T00:00+01"), "time_stamp")],
    Code.DATA_NOT_ARRAY: [(bytes_of(data=value), "data") for value in NOT_ARRAYS],
    Code.DATA_EMPTY: [(bytes_of(data=[]), "data")],
    Code.DATA_NOT_NUMERIC: [(bytes_of(data=[value]), "data") for value in NOT_NUMBERS],
    Code.DATA_NOT_FINITE: [
        (SEEDS_BYTES.replace(b"2]", number + b"]"), "data") for number in (b"1e400", b"-1e400", b"9" * 309, b"9" * 5000)
    ],
    Code.SOURCE_INVALID: [(version_2(source=value), "source") for value in NOT_SOURCES],
    Code.UNIT_INVALID: [(version_2(unit=value), "unit") for value in NOT_UNITS],
    Code.TAGS_INVALID: [(version_2(tags=value), "tags") for value in NOT_TAGS],
    Code.CORRECTS_INVALID: [(version_2(corrects=value), "corrects") for value in NOT_CORRECTED],
    Code.CLIENT_REJECTED: [
        (json.dumps({"client_rejected": value, "source": "hall"}).encode(), "client_rejected")
        for value in ({"code": "row.cells", "reason": "has 3 cells"}, {}, {"code": 5, "reason": "x" * 1_000_000})
    ],
}


def test_every_code_has_an_input_that_leads_to_it() -> None:
    # Those of packed bodies are in test_encodings.py, those of contracts in unit/contracts.
    assert set(REACHED_BY) == set(Code) - {Code.NOT_GZIP, Code.TOO_LARGE} - set(BROKEN) - OF_MAPPINGS - OF_KEYS


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        pytest.param(body, field, code, id=f"{code}-{number}")
        for code, inputs in REACHED_BY.items()
        for number, (body, field) in enumerate(inputs, 1)
    ],
)
def test_code_is_reached_alone_and_names_its_field(body: bytes, field: str, code: Code) -> None:
    (violation,) = violations_of(body)
    assert (violation.code, violation.field) == (code, field)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", [Code.MISSING_FIELD, Code.MISSING_FIELD]),
        (bytes_of(time_stamp=None, data=None), [Code.TIME_STAMP_NOT_STRING, Code.DATA_NOT_ARRAY]),
        (bytes_of(time_stamp="now", data=[]), [Code.TIME_STAMP_NOT_ISO8601, Code.DATA_EMPTY]),
        (b'{"data": ["2"]}', [Code.MISSING_FIELD, Code.DATA_NOT_NUMERIC]),
        (b'{"time_stamp": "2019-05-01T06:00", "data": 2}', [Code.DATA_NOT_ARRAY, Code.TIME_STAMP_NO_TIMEZONE]),
        (
            b'{"time_stamp": "9999-12-31T23:59-01", "data": [1e400, "2"]}',
            [Code.TIME_STAMP_OUT_OF_RANGE, Code.DATA_NOT_NUMERIC, Code.DATA_NOT_FINITE],
        ),
    ],
)
def test_every_violation_is_found(body: bytes, expected: list[Code]) -> None:
    assert sorted(codes_of(body)) == sorted(expected)


def test_the_first_offender_of_each_rule_is_named_by_its_index() -> None:
    found = violations_of(b'{"time_stamp": "2019-05-01T06:00Z", "data": [0, 1e400, null, 1e500, "2"]}')
    assert {violation.code: violation.index for violation in found} == {
        Code.DATA_NOT_NUMERIC: 2,
        Code.DATA_NOT_FINITE: 1,
    }


def test_violations_are_cut_at_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN a version of the payload in which more is wrong than an outcome may carry
    fields: dict[str, Any] = {f"field_{number}": (str, ...) for number in range(MAX_VIOLATIONS + 5)}
    wide = create_model("EventV1", __base__=Event, **fields)
    monkeypatch.setattr(validate_module, "READERS", {1: wide.read})
    # THEN the first ten are kept
    found = violations_of(SEEDS_BYTES)
    assert [violation.field for violation in found] == [*fields][:MAX_VIOLATIONS]
    assert {violation.code for violation in found} == {Code.MISSING_FIELD}


@pytest.mark.slow
def test_thousands_of_bad_samples_and_tags_are_not_reported_one_by_one() -> None:
    # GIVEN what a body of the greatest size can hold
    bodies = bytes_of(data=[""] * 1_000_000), version_2(tags={f"{number}": 5 for number in range(300_000)})
    # WHEN it is validated, with the memory that it takes
    tracemalloc.start()
    samples, tags = map(violations_of, bodies)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # THEN one violation says it, and nothing was made for each
    assert [violation.code for violation in (*samples, *tags)] == [Code.DATA_NOT_NUMERIC, Code.TAGS_INVALID]
    assert peak < 50_000_000


@pytest.mark.parametrize(
    "extra",
    [
        {"units": "mm"},
        {"sensor": "sensor-1"},
        {"Data": ["x"], "timestamp": 5, "": None},
        {"nested": {"time_stamp": 5, "data": "x"}},
        {"note": "\N{GRINNING FACE} \x00"},
    ],
)
def test_unknown_fields_are_ignored(extra: dict[str, object]) -> None:
    assert validate(bytes_of(**extra)) == (SEEDS_MEASUREMENT,)


def test_unknown_fields_may_hold_numbers_beyond_binary64() -> None:
    body = SEEDS_BYTES.replace(b"}", b', "note": [1e400, ' + b"7" * 5000 + b"]}")
    assert validate(body) == (SEEDS_MEASUREMENT,)


def test_of_duplicate_names_the_last_counts() -> None:
    assert validate(b'{"data": "x", "time_stamp": 5, ' + SEEDS_BYTES[1:]) == (SEEDS_MEASUREMENT,)


def test_schema_version_1_is_what_an_absent_one_means() -> None:
    assert validate(bytes_of(schema_version=1)) == validate(SEEDS_BYTES) == (SEEDS_MEASUREMENT,)


@pytest.mark.parametrize("version", [0, 99, -1, 10**30, True, False, "1", None, 1.5, 99.0, 1e300, [1], {"version": 1}])
def test_no_other_schema_version_is_known(version: object) -> None:
    (violation,) = violations_of(bytes_of(schema_version=version))
    assert (violation.code, violation.field) == (Code.UNSUPPORTED_VERSION, "schema_version")


def test_a_client_s_report_is_a_rejection_of_its_source_with_its_reason() -> None:
    reported = {"code": "row.not_number", "reason": "'°' is not a number", "lines": [3, 3], "text": "x"}
    [outcome] = validate(json.dumps({"client_rejected": reported, "source": "hall-3"}).encode())
    assert isinstance(outcome, Rejection)
    assert outcome.source == "hall-3"
    assert outcome.violations[0].message.endswith("row.not_number: \"'\\xb0' is not a number\"")


@pytest.mark.parametrize("reported", [{}, {"code": 5, "reason": "x"}])
def test_a_client_s_report_without_a_reason_says_so(reported: object) -> None:
    [outcome] = validate(json.dumps({"client_rejected": reported}).encode())
    message = "the client could not build an event; gives no readable reason"
    assert outcome == Rejection((Violation(Code.CLIENT_REJECTED, "client_rejected", message),))


def test_what_is_no_client_s_report_lacks_what_an_event_has() -> None:
    assert [violation.code for violation in violations_of(b'{"client_rejected": 5}')] == [Code.MISSING_FIELD] * 2


def test_an_event_may_have_a_field_of_a_client_s_report() -> None:
    assert validate(bytes_of(client_rejected={"code": "a", "reason": "b"})) == (SEEDS_MEASUREMENT,)


@pytest.mark.parametrize(("text", "expected"), [("abc", "'abc'"), ("abcd", "'abc'...")])
def test_an_excerpt_says_whether_it_is_all(text: str, expected: str) -> None:
    assert excerpt(text, 3) == expected


LONG_OR_STRANGE = {
    "a client's long reason": json.dumps({"client_rejected": {"code": "a", "reason": "\0" * 1_000_000}}).encode(),
    "a long time": bytes_of(time_stamp="x" * 1_000_000),
    "a long time beyond the basic plane": bytes_of(time_stamp="\N{GRINNING FACE}" * 100_000),
    "a long time without an offset": bytes_of(time_stamp="2019-05-01T06:00:00." + "1" * 100_000),
    "a long time out of range": bytes_of(time_stamp="0000-01-01T06:00:00." + "1" * 100_000 + "Z"),
    "control characters": bytes_of(time_stamp="\x1b[31m\x00\x7f\u202e\u2028'\"\\"),
    "a long value": bytes_of(data=["x" * 1_000_000]),
    "a long name": bytes_of(data={"x" * 1_000_000: 1}),
    "a long version": bytes_of(schema_version="x" * 1_000_000),
    "a long number": SEEDS_BYTES.replace(b"2]", b"9" * 1_000_000 + b"]"),
    "no JSON": b"x" * 1_000_000,
    "an endless string": b'"' + "\N{GRINNING FACE}".encode() * 100_000,
}


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in LONG_OR_STRANGE.items()])
def test_messages_are_short_and_printable_ascii_whatever_the_input(body: bytes) -> None:
    for violation in violations_of(body):
        assert violation.message.isascii()
        assert violation.message.isprintable()
        assert 0 < len(violation.message) <= 500


@pytest.mark.parametrize("text", ["a\nb\x00c", "\u202eabc", "é" * 39, "'\"\\"])
def test_a_short_text_is_quoted_whole_and_escaped(text: str) -> None:
    (violation,) = violations_of(bytes_of(time_stamp=text))
    assert violation.message.endswith(f": {text!a}")


def test_a_long_text_is_quoted_by_its_first_characters() -> None:
    (violation,) = violations_of(bytes_of(time_stamp="a" * 40 + "b" * 40))
    assert violation.message.endswith(f": '{'a' * 40}'...")


def assert_validated(body: bytes) -> None:
    """One outcome, well formed: what `validate` promises for any bytes."""
    (outcome,) = validate(body)
    if isinstance(outcome, Measurement):
        assert outcome.measured_at.tzinfo is UTC
        assert all(map(math.isfinite, outcome.aggregates))
        assert outcome.aggregates.minimum <= outcome.aggregates.mean <= outcome.aggregates.maximum
    else:
        assert 1 <= len(outcome.violations) <= MAX_VIOLATIONS
        assert len({(violation.code, violation.field) for violation in outcome.violations}) == len(outcome.violations)


@settings(max_examples=examples(300))
@given(st.binary())
def test_any_bytes_have_an_outcome(body: bytes) -> None:
    assert_validated(body)


@pytest.mark.parametrize(("reason", "shown"), [("x" * 200, f"'{'x' * 200}'"), ("x" * 201, f"'{'x' * 200}'...")])
def test_a_client_s_own_reason_is_shown_in_two_hundred_characters(reason: str, shown: str) -> None:
    body = json.dumps({"client_rejected": {"code": "row.cells", "reason": reason}}).encode()
    [outcome] = validate(body)

    assert isinstance(outcome, Rejection)
    assert [each.message for each in outcome.violations] == [f"the client could not build an event; row.cells: {shown}"]


@pytest.mark.parametrize(
    ("body", "content_type", "events"),
    [
        (b"[" + SEEDS_BYTES + b", 7]", JSON, [EXAMPLE, 7]),
        # A line as its bytes, and nothing for one that is no JSON.
        (SEEDS_BYTES + b"\n{\n", NDJSON, [SEEDS_BYTES, None]),
        (b"[]", JSON, [None]),
        (b"no JSON", JSON, [None]),
        (
            b'[{"n": "a", "v": 1, "t": 0}]',
            "application/senml+json",
            [{"schema_version": 2, "time_stamp": datetime(1970, 1, 1, tzinfo=UTC), "source": "a", "data": [1]}],
        ),
    ],
)
def test_an_item_is_shown_as_what_is_validated(body: bytes, content_type: str, events: list[object]) -> None:
    contents = Contents(body, content_type)

    assert [contents.event(item) for item in range(len(events) + 1)] == [*events, None]


any_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(), inner, max_size=5)),
    max_leaves=10,
)
numbers = st.one_of(st.integers(-(10**400), 10**400), st.floats())
payloads = st.fixed_dictionaries(
    {},
    optional={
        "time_stamp": st.one_of(st.sampled_from([TIME, "2019-05-01T06:00", "9999-12-31T23:59-01"]), any_json),
        "data": st.one_of(st.lists(numbers), st.lists(st.floats(allow_nan=False, allow_infinity=False)), any_json),
        "schema_version": st.one_of(st.just(1), any_json),
        "extra": any_json,
    },
)


@settings(max_examples=examples(200))
@given(payloads)
def test_any_payload_has_an_outcome(payload: dict[str, object]) -> None:
    assert_validated(json.dumps(payload).encode())


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """The seed's example with slices of it cut out, repeated or overwritten."""
    body = bytearray(SEEDS_BYTES)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 8)))
        piece = draw(st.one_of(st.binary(max_size=4), st.sampled_from([b"", b'"', b"[", b"\\", b"9" * 5000, b"e400"])))
        body[start:end] = piece
    return bytes(body)


@settings(max_examples=examples(300))
@given(mutated())
def test_any_damage_to_a_valid_event_has_an_outcome(body: bytes) -> None:
    assert_validated(body)


def test_other_messages_are_another_ruleset() -> None:
    # GIVEN messages of a ruleset: a replay compares them as well
    ruleset, expected = "6", "aa7e61c5812f83b8"
    bodies = [
        *(b"[]", b"5", b"\x1f\x8b\x08"),
        *(bytes_of(time_stamp=value) for value in NOT_STRINGS),
        *(bytes_of(time_stamp=value) for value in ("yesterday", "2019-05-01T06:00:00", "2019-02-29T06:00:00Z")),
        *(bytes_of(data=value) for value in NOT_ARRAYS),
        *(bytes_of(data=[value]) for value in NOT_NUMBERS),
        *(bytes_of(data=[]), bytes_of(data=[math.inf])),
        *(bytes_of(source=value) for value in NOT_SOURCES),
        *(bytes_of(unit=value) for value in NOT_UNITS),
        *(bytes_of(tags=value) for value in NOT_TAGS),
        *(bytes_of(corrects=value) for value in NOT_CORRECTED),
        *(bytes_of(schema_version=3), bytes_of(schema_version="2")),
        *(b'{"client_rejected": %b}' % report for report in (b"{}", b'{"code": "row.x", "reason": "r"}')),
    ]

    found = [[(each.code, each.message) for each in violations_of(body)] for body in bodies]

    assert ruleset != RULESET or sha256(json.dumps(found).encode()).hexdigest().startswith(expected), "raise RULESET"
