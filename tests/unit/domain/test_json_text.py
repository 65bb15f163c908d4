"""JSON: strict where RFC 8259 is, and the same as the standard library's where that is right."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropzone.domain import body as json_text
from dropzone.domain.body import NotJsonError, parse_json
from support.examples import examples

LONG = b"1" * 5000

NOT_JSON = {
    "nothing": b"",
    "white space": b" \n",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16-le"),
    "Latin-1": '"é"'.encode("latin-1"),
    "an invalid byte in a string": b'"\xff"',
    "an invalid byte in a name": b'{"\xff": 1}',
    "an overlong encoding": b'"\xc0\xaf"',
    "a surrogate encoded in UTF-8": b'"\xed\xa0\x80"',
    "beyond Unicode": b'"\xf4\x90\x80\x80"',
    "a truncated character": b'"\xe2\x82"',
    "a lone leading surrogate": rb'"\ud800"',
    "a lone leading surrogate, then text": rb'"\ud800abcdef"',
    "a lone trailing surrogate": rb'"\udc00"',
    "two leading surrogates": rb'"\ud83d\ud83d"',
    "surrogates in the wrong order": rb'"\ude00\ud83d"',
    "a lone surrogate in a name": rb'{"\ud800": 1}',
    "NaN": b"[NaN]",
    "Infinity": b"[Infinity]",
    "minus Infinity": b"[-Infinity]",
    "inf": b"[inf]",
    "nan": b"[nan]",
    "trailing garbage": b"{} x",
    "a second value": b"{}{}",
    "a trailing nul": b"{}\x00",
    "a newline in a string": b'"a\nb"',
    "a tab in a string": b'"a\tb"',
    "a nul in a string": b'"a\x00b"',
    "a control character in a name": b'{"\x1f": 1}',
    "an unknown escape": rb'"\x41"',
    "half an escape": rb'"\u00"',
    "an endless string": b'"abc',
    "an endless array": b"[1, 2",
    "an endless object": b'{"a": 1',
    "a trailing comma": b"[1,]",
    "a trailing comma in an object": b'{"a": 1,}',
    "a name without quotes": b"{a: 1}",
    "single quotes": b"'a'",
    "a comment": b"[1] // one",
    "a leading zero": b"[01]",
    "a leading plus": b"[+1]",
    "no digit before the point": b"[.5]",
    "no digit after the point": b"[1.]",
    "no exponent": b"[1e]",
    "hexadecimal": b"[0x10]",
    "an underscore": b"[1_000]",
    "True": b"[True]",
    "half a word": b"[tru]",
    "a vertical tab as white space": b"[\x0b1]",
    "a no-break space as white space": b"[\xc2\xa01]",
    "deep arrays": b"[" * 1000 + b"]" * 1000,
    "very deep arrays": b"[" * 1_000_000,
    "deep objects": b'{"a":' * 1000 + b"1" + b"}" * 1000,
    "a long number with a leading zero": b"[0" + LONG + b"]",
    "a long negative number with a leading zero": b"[-0" + LONG + b"]",
    "a long number with a leading plus": b"[+" + LONG + b"]",
    "a long number after two signs": b"[--" + LONG + b"]",
    "two long numbers in a row": b"[" + LONG + b" " + LONG + b"]",
    "a long fraction without an integer": b"[." + LONG + b"]",
    "a long number with a dangling point": b"[" + LONG + b".]",
    "a long number with two points": b"[1.5." + LONG + b"]",
    "a long number with a dangling exponent": b"[" + LONG + b"e]",
    "a long number, then a letter": b"[" + LONG + b"a]",
    "a long number with an underscore": b"[" + LONG + b"_" + LONG + b"]",
    "a long number, then an endless string": b"[" + LONG + b', "abc]',
    "a long number, then an invalid string": b"[" + LONG + b', "\xff"]',
    "a long number, then a lone surrogate": b"[" + LONG + rb', "\ud800"]',
    "a long number, then NaN": b"[" + LONG + b", NaN]",
    "a long number, then inf": b"[" + LONG + b", inf]",
}


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in NOT_JSON.items()])
def test_refused(body: bytes) -> None:
    with pytest.raises(NotJsonError):
        parse_json(body)


def test_the_reason_is_told_behind_a_number_of_thousands_of_digits_as_well() -> None:
    with pytest.raises(NotJsonError, match=r"^expected value at line 1 column [0-9]+$"):
        parse_json(b"[" + LONG + b", x]")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b" \t\r\n{ } \n", {}, id="white space around"),
        pytest.param(b'{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}, id="of duplicate names the last counts"),
        pytest.param(b'{"": 1}', {"": 1}, id="an empty name"),
        pytest.param(rb'"\ud83d\ude00"', "\N{GRINNING FACE}", id="a pair of surrogates"),
        pytest.param(rb'"\"\\\/\b\f\n\r\t\u00e9"', '"\\/\b\f\n\r\té', id="every escape"),
        pytest.param('"\N{GRINNING FACE}é\x7f"'.encode(), "\N{GRINNING FACE}é\x7f", id="raw UTF-8"),
        pytest.param(b"[true, false, null]", [True, False, None], id="the three words"),
        pytest.param(b"[1E5, 1e+5, 1e-5]", [1e5, 1e5, 1e-5], id="exponents"),
        pytest.param(b"9007199254740993", 9007199254740993, id="an integer beyond 2**53, kept exact"),
        pytest.param(b"[" * 100 + b"]" * 100, json.loads("[" * 100 + "]" * 100), id="a hundred levels"),
    ],
)
def test_accepted(body: bytes, expected: object) -> None:
    assert parse_json(body) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1e400", math.inf, id="too large"),
        pytest.param("-1e400", -math.inf, id="too large, negative"),
        pytest.param("1e99999999999999999999", math.inf, id="an exponent too large for an integer"),
        pytest.param("1e-400", 0.0, id="too small"),
        pytest.param("5e-324", 5e-324, id="the smallest"),
        pytest.param("1.7976931348623157e308", 1.7976931348623157e308, id="the largest"),
        pytest.param("1" * 5000, math.inf, id="5,000 digits"),
        pytest.param("-" + "1" * 5000, -math.inf, id="5,000 digits, negative"),
        pytest.param("1" + "0" * 4400 + "e-4400", 1.0, id="4,400 zeros taken back"),
        pytest.param("-25" + "0" * 4400 + ".5E-4401", -2.5, id="4,400 zeros and a fraction taken back"),
        pytest.param("0." + "0" * 4400 + "15e+4401", 1.5, id="4,400 zeros behind the point"),
        pytest.param("0." + "1" * 5000, 1 / 9, id="5,000 digits behind the point"),
        pytest.param("1e" + "0" * 5000 + "2", 100.0, id="5,000 zeros in the exponent"),
        pytest.param("1e-" + "9" * 5000, 0.0, id="5,000 digits in the exponent"),
        pytest.param("9007199254740993" + "0" * 4999 + "e-4999", 2.0**53, id="a tie, to even"),
        pytest.param("9007199254740993" + "0" * 4998 + "1e-4999", 2.0**53 + 2, id="just above a tie"),
    ],
)
@pytest.mark.parametrize("template", ["[%s]", '{"a": %s}', " %s ", "[%s,%s]", '["\\"", %s, "\\\\"]'])
def test_numbers_of_any_length_become_what_they_are_nearest_to(text: str, expected: float, template: str) -> None:
    found = parse_json(template.replace("%s", text).encode())
    assert found == json.loads(template.replace("%s", json.dumps(expected)))


def test_digits_in_a_string_stay_as_they_are_beside_a_long_number() -> None:
    # GIVEN long numbers, and the same digits in a name and in strings, some behind escaped quotes
    digits = "1" * 5000
    document = {digits: 0, "a": digits, "b": f'\\"{digits}', "c": f'" {digits} "', "d": f"\\ {digits}", "n": 0}
    body = json.dumps(document).replace('"n": 0', f'"n": [{digits}, -{digits}]').encode()
    # THEN only the numbers change
    assert parse_json(body) == {**document, "n": [math.inf, -math.inf]}


def test_an_endless_string_is_skipped_in_one_piece() -> None:
    # GIVEN a long number, and a string of escaped quotes that never ends
    endless = b'"' + b'\\"' * 1000
    # WHEN long numbers are looked for
    pieces = [match[0] for match in json_text._STRING_OR_LONG_NUMBER.finditer(b"[" + LONG + b"," + endless)]
    # THEN none of the quotes is tried as a string's start, which would take hours for a body of 4 MiB
    assert pieces == [LONG, endless]


@pytest.mark.parametrize("body", [b'"secret', b'["secret", \xff]', b"secret", b'["secret" "secret"]'])
def test_the_message_quotes_nothing_of_the_body(body: bytes) -> None:
    with pytest.raises(NotJsonError, match="line 1 column") as caught:
        parse_json(body)
    assert "secret" not in str(caught.value)


numbers = st.one_of(st.integers(), st.integers(-(10**400), 10**400), st.floats(allow_nan=False, allow_infinity=False))
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(texts, inner)),
)


def typed(value: object) -> object:
    """With the types of numbers and the sign of zero, which equality is blind to."""
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return {name: typed(item) for name, item in value.items()}
    return repr(value) if isinstance(value, float) else (type(value).__name__, value)


@settings(max_examples=examples(150))
@given(
    value=values,
    escaped=st.booleans(),
    indent=st.sampled_from([None, 0, 2, "\t"]),
    separators=st.sampled_from([(",", ":"), (" , ", " : ")]),
)
def test_valid_json_reads_as_the_standard_library_reads_it(
    *, value: object, escaped: bool, indent: int | str | None, separators: tuple[str, str]
) -> None:
    text = json.dumps(value, ensure_ascii=escaped, indent=indent, separators=separators)
    assert typed(parse_json(text.encode())) == typed(json.loads(text))
    # and beside a number that takes the second way through the parser
    assert typed(parse_json(f"[{text},{'1' * 5000}]".encode())) == typed([json.loads(text), math.inf])


decimals = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-"]),
    st.integers(0, 10**25),
    st.one_of(st.just(""), st.text("0123456789", min_size=1, max_size=40).map(".{}".format)),
    st.one_of(st.just(""), st.builds("{}{}".format, st.sampled_from(["e", "E", "e+", "e-"]), st.integers(0, 420))),
)


@settings(max_examples=examples(500))
@given(decimals)
def test_decimals_are_rounded_as_the_standard_library_rounds_them(text: str) -> None:
    assert typed(parse_json(text.encode())) == typed(json.loads(text))


@given(st.one_of(st.binary(), st.text('[]{},:"\\0123456789.eE+-tfnul ', max_size=30).map(str.encode)))
def test_what_the_standard_library_refuses_is_refused(body: bytes) -> None:
    try:
        json.loads(body.decode())
    except ValueError:
        with pytest.raises(NotJsonError):
            parse_json(body)
