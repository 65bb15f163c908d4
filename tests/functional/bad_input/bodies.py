"""Bodies of every kind: random bytes, events with a fault, events of wrong types, good ones; and what each of them is.

A body's strings hold `PAYLOAD`, so that it is seen wherever a part of one turns up.
"""

import json
from typing import Any, Final, Literal

from hypothesis import strategies as st

PAYLOAD: Final = "MARKER-OF-THE-PAYLOAD"
"""Is in the bodies, and must be nowhere else."""

LIMIT: Final = 250_000
"""The most bytes that the tests' ingest takes."""

_LONG_INTEGERS = [b"9" * 400, b"-" + b"9" * 400, b"1" + b"0" * 4_300, b"7" * 5_000, b"-" + b"7" * 5_000]
_TOKENS = [
    *_LONG_INTEGERS,
    *(b"NaN", b"Infinity", b"-Infinity", b"nan", b"1e400", b"-1e400", b"1e-400", b"-0", b"-0.0", b"0x10", b"01", b"+1"),
    *(b"1.", b".5", b"1e", b"5e-324", b"1.7976931348623157e308", b"9007199254740993", b"18446744073709551616"),
    *(b"true", b"false", b"null", b"True", b"None", b"undefined", b"{}", b"[]", b"[[]]", b'""', b'"5"'),
    *(rb'"\ud800"', rb'"\udfff\ud800"', rb'"\ud83d\ude00"', rb'"\u0000"', rb'"\x"', rb'"\u12"', b'"\n"', b'"\x00"'),
    *(b'"\xed\xa0\x80"', b'"\xff"', b'"\xc0\x80"', b'"\xf5\x80\x80\x80"', b"'5'", b"/**/1", b"1//", b"#"),
    *(b"\xef\xbb\xbf", b"\xc2\xa0", b"\x0b", b"\x00", b"\xe2\x80\xa8", b",", b":", b"]", b"}", b'"', b"\\"),
]
_TIMES = [
    b'"2019-05-01T06:00:00-04:00"',
    b'"2019-05-01T06:00:00"',
    b'"2019-02-30T06:00:00Z"',
    b'"0001-01-01T00:00:00+23:59"',
    b'"9999-12-31T23:59:59-23:59"',
    b'"MARKER-OF-THE-PAYLOAD"',
    b'"2019-05-01T06:00:00Z\\nMARKER-OF-THE-PAYLOAD"',
    b'"2019-05-01T06:00:00.' + b"1" * 5_000 + b'Z"',
    b'"' + b"MARKER-OF-THE-PAYLOAD" * 500 + b'"',
]
_NAMES = [b'"time_stamp"', b'"data"', b'"schema_version"', b'"time\\u005fstamp"', b'"TIME_STAMP"', b'""', b'"source"']

_EVENTS = [
    b'{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2], "note": "MARKER-OF-THE-PAYLOAD"}',
    b'{"time_stamp": "2019-05-01T06:00:00.123456Z", "data": [1e308, -2.5e-10], "schema_version": 1}',
    b'{"schema_version": 3, "data": ["MARKER-OF-THE-PAYLOAD"], "time_stamp": ""}',
    b'{"schema_version": 2, "data": [1], "time_stamp": "2019-05-01T06:00Z", "source": 5, "unit": "\x7f", "tags": []}',
    b'{"schema_version": 2, "data": [1], "time_stamp": "2019-05-01T06:00Z", "source": "MARKER-OF-THE-PAYLOAD"}',
    b'{"schema_version": 2, "data": [1], "time_stamp": "2019-05-01T06:00Z", "corrects": 5}',
    b'{"client_rejected": {"code": 5}}',
    b'[{"data": [1], "time_stamp": "2019-05-01T06:00Z", "note": "MARKER-OF-THE-PAYLOAD"}, {}, 5]',
    b' {\r\n\t"data": [] ,"MARKER-OF-THE-PAYLOAD": {"a": [null, true]}, "time_stamp": "2019-05-01 06:00z"} ',
]

HEAVY: Final = {
    "100,000 opening brackets": b"[" * 100_000,
    "100,000 brackets, closed": b"[" * 100_000 + b"]" * 100_000,
    "100,000 opening braces": b'{"data":' * 30_000,
    "deep in the data": b'{"time_stamp": "2019-05-01T06:00:00Z", "data": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
    "deep beside the data": b'{"time_stamp": "2019-05-01T06:00:00Z", "data": [1], "x": ' + b"[" * 100_000,
    "as deep as the parser goes": (
        b'{"time_stamp": "2019-05-01T06:00:00Z", "data": [1], "x": ' + b"[" * 150 + b"]" * 150 + b"}"
    ),
    "a number of 200,000 digits": b'{"time_stamp": "2019-05-01T06:00:00Z", "data": [' + b"7" * 200_000 + b"]}",
    "a fraction of 200,000 digits": b'{"time_stamp": "2019-05-01T06:00:00Z", "data": [0.' + b"7" * 200_000 + b"]}",
    "fifty numbers of 4,299 digits": (
        b'{"time_stamp": "2019-05-01T06:00:00Z", "data": [' + b",".join([b"7" * 4_299] * 50) + b"]}"
    ),
    "100,000 quotes": b'"' * 100_000 + b"7" * 5_000,
    "100,000 backslashes": b'{"data": ["' + b"\\" * 100_001,
    "a string of 200,000 characters": (
        b'{"time_stamp": "' + b"MARKER-OF-THE-PAYLOAD" * 10_000 + b'", "data": ["' + b"x" * 30_000 + b'"]}'
    ),
    "a name of 200,000 characters": b'{"' + b"MARKER-OF-THE-PAYLOAD" * 10_000 + b'": 1}',
    "10,000 names": b"{" + b",".join(b'"MARKER-OF-THE-PAYLOAD-%d":0' % number for number in range(7_000)) + b"}",
    "the same name 20,000 times": b"{" + b'"data":[],' * 20_000 + b'"time_stamp":""}',
    "100,000 booleans": b'{"time_stamp": "2019-05-01T06:00:00Z", "data": [' + b"true," * 40_000 + b"0]}",
    "as large as can be": b'{"time_stamp": "2019-05-01T06:00:00Z", "data": [1]}'.ljust(LIMIT),
    "one too large": b'{"time_stamp": "2019-05-01T06:00:00Z", "data": [1]}'.ljust(LIMIT + 1),
    "far too large": b'{"time_stamp": "2019-05-01T06:00:00Z", "data": [1]}'.ljust(4_000_000),
    "zeros": bytes(100_000),
    "UTF-16": _EVENTS[0].decode().encode("utf-16"),
    "UTF-32": _EVENTS[0].decode().encode("utf-32-le"),
    "a byte order mark": b"\xef\xbb\xbf" + _EVENTS[0],
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + bytes(range(256)),
    "a form": b"time_stamp=2019-05-01T06%3A00%3A00Z&data=MARKER-OF-THE-PAYLOAD",
    "two lines of JSON": _EVENTS[0] + b"\n" + _EVENTS[1],
}
"""Bodies that no generator would come to, by name."""


def _edit(text: bytes, edit: tuple[str, int, int, bytes]) -> bytes:
    kind, at, length, token = edit
    start = at % (len(text) + 1)
    end = start + length
    match kind:
        case "insert":
            return text[:start] + token + text[start:]
        case "replace":
            return text[:start] + token + text[end:]
        case "delete":
            return text[:start] + text[end:]
        case "repeat":
            return text[:end] + text[start:]
        case _:
            return text[:start]


_EDITS = st.tuples(
    st.sampled_from(["insert", "replace", "delete", "repeat", "cut"]),
    st.integers(0, 200),
    st.integers(0, 12),
    st.one_of(st.sampled_from(_TOKENS), st.binary(max_size=4)),
)


@st.composite
def _broken(draw: st.DrawFn) -> bytes:
    """An event with a fault or two of the kinds that cut-off, garbled and doubled transmissions have."""
    text = draw(st.sampled_from(_EVENTS))
    for edit in draw(st.lists(_EDITS, min_size=1, max_size=3)):
        text = _edit(text, edit)
    return text


_VALUES = st.one_of(
    st.sampled_from(_TOKENS),
    st.sampled_from(_TIMES),
    st.integers().map(lambda number: str(number).encode()),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: repr(number).encode()),
    st.text(max_size=12).map(lambda text: json.dumps(text + PAYLOAD, ensure_ascii=False).encode("utf-8", "replace")),
)
_ARRAYS = st.lists(_VALUES, max_size=4).map(lambda values: b"[" + b",".join(values) + b"]")
# Often enough to be met in any run: hypothesis draws from the constants of all modules that happen to be imported.
_ENDLESS = [b"1e400", b"-1e400", b"1" + b"0" * 400, b"-" + b"9" * 5_000]
_NUMBERS = st.lists(
    st.one_of(
        st.integers().map(lambda number: str(number).encode()),
        st.floats(allow_nan=False, allow_infinity=False).map(lambda number: str(number).encode()),
        st.sampled_from(_ENDLESS),
    ),
    max_size=5,
).map(lambda values: b"[" + b", ".join(values) + b"]")


@st.composite
def _assembled(draw: st.DrawFn) -> bytes:
    """An object of the event's names, in any number and order, and of values of every type."""
    members = draw(
        st.lists(
            st.one_of(
                st.tuples(st.just(_NAMES[0]), st.one_of(st.sampled_from(_TIMES), _VALUES)),
                st.tuples(st.just(_NAMES[1]), st.one_of(_ARRAYS, _NUMBERS, _VALUES)),
                st.tuples(st.sampled_from(_NAMES), st.one_of(_VALUES, _ARRAYS)),
            ),
            max_size=5,
        )
    )
    return b"{" + b",".join(name + b":" + value for name, value in members) + b"}"


@st.composite
def _likely(draw: st.DrawFn) -> bytes:
    """An event whose envelope is right, whatever its values are."""
    time_stamp, data = draw(st.sampled_from(_TIMES)), draw(st.one_of(_ARRAYS, _NUMBERS))
    return b'{"time_stamp": ' + time_stamp + b', "data": ' + data + b', "note": "MARKER-OF-THE-PAYLOAD"}'


def bodies() -> st.SearchStrategy[bytes]:
    """Bodies of every kind."""
    return st.one_of(
        st.binary(max_size=60),
        _broken(),
        _broken(),
        _assembled(),
        _likely(),
        _likely(),
        st.sampled_from(_EVENTS),
        st.one_of(_VALUES, _ARRAYS),
    )


Kind = Literal["not JSON", "no event", "event", "batch", "batch without an event", "too deep to say"]

_DEPTH_FOR_SURE = 100
"""The parser has a limit beyond this one; which is its own business."""


class _NoTokenError(ValueError):
    """NaN and its like, which the standard library takes."""


def _refuse(token: str) -> Any:  # noqa: ANN401 - as json wants it
    raise _NoTokenError(token)


def _last_of(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of the same names the last; but those before it must be JSON as well."""
    if len(members) > len({name for name, _ in members}):
        json.dumps(members, ensure_ascii=False).encode()
    return dict(members)


def what_is(body: bytes) -> Kind:
    """Return what a body is, by the standard library's parser, made as strict as RFC 8259."""
    try:
        text = body.decode("utf-8-sig")
        value = json.loads(text, parse_constant=_refuse, parse_int=lambda _: 0, object_pairs_hook=_last_of)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is no UTF-8
    except RecursionError:
        return "too deep to say"
    except ValueError:
        return "not JSON"
    if text.count("[") + text.count("{") > _DEPTH_FOR_SURE and _depth(value) > _DEPTH_FOR_SURE:
        return "too deep to say"
    if isinstance(value, list):
        if not value:
            return "no event"
        return "batch" if any(map(_has_envelope, value)) else "batch without an event"
    return "event" if _has_envelope(value) else "no event"


def _has_envelope(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("client_rejected"), dict) and "time_stamp" not in value:
        return True  # reports that there is none
    return isinstance(value.get("time_stamp"), str) and isinstance(value.get("data"), list)


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return depth
