"""How inputs are read: which text becomes which event, and what is reported of text that is none."""

import io
import json
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import chain, repeat
from pathlib import Path
from typing import Any, BinaryIO, cast
from zoneinfo import ZoneInfo

import pytest
import typer
from hypothesis import example, given
from hypothesis import strategies as st

from dropzone_cli.errors import CliError, ExitCode
from dropzone_cli.sending import csv_reader, events, json_reader, lines, rows
from dropzone_cli.sending.batches import Batch, Batcher, Cut, Shape
from dropzone_cli.sending.csv_reader import Table, json_number
from dropzone_cli.sending.events import BrokenInputError, Event, Finding, Read
from dropzone_cli.sending.inputs import Format, expand, opened
from dropzone_cli.sending.json_reader import elements, read_json, read_ndjson
from dropzone_cli.sending.lines import Lines
from dropzone_cli.sending.options import CsvOptions
from dropzone_cli.sending.times import TimeError, parse_zone, time_reader
from support.packing import gzipped

EVENT = b'{"time_stamp":"2026-01-01T00:00:00Z","data":[1]}'


def table(text: str | bytes, **options: Any) -> list[Read]:  # noqa: ANN401 - any wish
    return [*made_table(text, **options).read()]


def made_table(text: str | bytes, *, is_complete: bool = True, **options: Any) -> Table:  # noqa: ANN401
    body = text.encode() if isinstance(text, str) else text
    lines = lines_of(body, options.get("encoding") or "utf-8", is_complete=is_complete)
    table = Table.of_lines(lines, CsvOptions(**options))
    assert isinstance(table, Table)
    return table


def lines_of(body: bytes | BinaryIO, encoding: str = "utf-8", *, is_complete: bool = True) -> Lines:
    binary = io.BytesIO(body) if isinstance(body, bytes) else body
    return Lines(binary, encoding, is_complete=lambda: is_complete)


def events_of(text: str, **options: Any) -> list[Any]:  # noqa: ANN401
    """The events of a CSV that has no other rows."""
    found = table(text, **options)
    assert not [one for one in found if isinstance(one, Finding)], found
    return [json.loads(one.text) for one in found if isinstance(one, Event)]


def reason(text: str | bytes, **options: Any) -> str:  # noqa: ANN401
    """Why the only row of a CSV is no event."""
    (one,) = table(text, **options)
    assert isinstance(one, Finding)
    return one.reason


def refused(text: str, **options: Any) -> CliError:  # noqa: ANN401
    with pytest.raises(CliError) as caught:
        table(text, **options)
    assert caught.value.exit_code == ExitCode.USAGE
    return caught.value


class Chunks(io.BytesIO):
    """Bytes that come in pieces of a size, whatever is asked for."""

    def __init__(self, body: bytes, size: int) -> None:
        super().__init__(body)
        self._size = size

    def read(self, _: int | None = -1, /) -> bytes:
        return super().read(self._size)


# ---- NDJSON


def test_a_line_is_an_event_and_its_text_stays() -> None:
    text = b'{"a": 1.50, "b":"\xc3\xa9"}\r\n\n  \n{"data":[1e400, ' + b"9" * 5_000 + b"]}"

    first, second = read_ndjson(lines_of(text))

    assert first == Event(b'{"a": 1.50, "b":"\xc3\xa9"}', 1, 1)
    assert second == Event(text.rpartition(b"\n")[2], 4, 4)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"nope", "is not JSON: Expecting value (character 1)"),
        (b'{"a":1', "is not JSON: Expecting ',' delimiter (character 7)"),
        (b"[1, 2]", "is not an event: it is not a JSON object"),
        (b'"text"', "is not an event: it is not a JSON object"),
        (b'{"a": NaN}', "is not JSON: NaN is not a number"),
        (b'{"a": "\xff"}', "is not UTF-8; name its encoding with --encoding, such as cp1252"),
        (b'{"a":1}{"b":2}', "is not JSON: Extra data (character 8)"),
        (b'{"a":' + b"[" * 100_000, "is nested too deep"),
    ],
)
def test_a_line_that_is_no_event_is_reported_and_the_others_are_read(line: bytes, reason: str) -> None:
    found = [*read_ndjson(lines_of(b"\n".join((EVENT, line, EVENT))))]

    assert found == [Event(EVENT, 1, 1), found[1], Event(EVENT, 3, 3)]
    assert isinstance(found[1], Finding)
    assert (found[1].first, found[1].last, found[1].reason) == (2, 2, reason)
    assert found[1].text[:5] == line[:5].decode()


def test_a_line_too_long_to_hold_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_EVENT_BYTES", 100)

    first, second = read_ndjson(lines_of(b"x" * 200_000 + b"\n" + EVENT))

    assert isinstance(first, Finding)
    assert (first.first, "no event may be that long" in first.reason) == (1, True)
    assert second == Event(EVENT, 2, 2)


# ---- JSON

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=8)


@given(
    OBJECTS,
    st.sampled_from(["array", "one after the other", "arrays"]),
    st.sampled_from([None, 2]),
    st.sampled_from(["escaped", "bare"]),
    st.integers(1, 40),
)
def test_json_is_split_into_its_values(
    values: list[dict[str, Any]], form: str, indent: int | None, escaped: str, size: int
) -> None:
    texts = [json.dumps(value, indent=indent, ensure_ascii=escaped == "escaped") for value in values]
    match form:
        case "array":
            document = "[" + ",\n".join(texts) + "]"
        case "one after the other":
            document = "\n ".join(texts)
        case _:
            document = "\n".join(f"[ {text} ]" for text in texts)
    # Strings may hold lone surrogates, which the API validates where they are escaped.
    if escaped == "bare" and any("\ud800" <= sign <= "\udfff" for sign in document):
        return

    found = [*read_json(cast("BinaryIO", Chunks(document.encode(), size)))]

    assert [json.loads(one.text) for one in found if isinstance(one, Event)] == values
    assert len(found) == len(values)
    assert all(b"\n" not in one.text for one in found if isinstance(one, Event))


@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_json_values_know_their_lines(size: int) -> None:
    text = b'\n[\n {"a":\n  1}, {"b": 2},\n\n {"c": "]},"}\n]\n{"d": 4}{"e":\n"\\\\\\""}\n[]'

    found = read_json(cast("BinaryIO", Chunks(text, size)))

    assert [(json.loads(one.text), one.first, one.last) for one in found if isinstance(one, Event)] == [
        ({"a": 1}, 3, 4),
        ({"b": 2}, 4, 4),
        ({"c": "]},"}, 6, 6),
        ({"d": 4}, 8, 8),
        ({"e": '\\"'}, 8, 9),
    ]


def damaged(text: bytes, size: int = 1_000) -> tuple[list[Any], list[tuple[int, str]]]:
    """The values of the events in a text, and the lines and codes of what is wrong with it."""
    found = [*read_json(cast("BinaryIO", Chunks(text, size)))]
    return (
        [json.loads(one.text)["data"] for one in found if isinstance(one, Event)],
        [(one.first, one.code) for one in found if isinstance(one, Finding)],
    )


def good(value: int, more: str = "") -> str:
    return f'{{"time_stamp":"2026-01-01T00:00:00Z","data":[{value}]{more}}}'


def test_what_an_array_holds_beside_objects_is_reported() -> None:
    found = [*read_json(io.BytesIO(b'[1,\n{"data":1},\n"x,]", 1.5e3, true, {"data": 2}]'))]

    reported = [one for one in found if isinstance(one, Finding)]
    assert [(one.first, one.code, one.text) for one in reported] == [
        (1, "json.not_object", "1"),
        (3, "json.not_object", '"x,]"'),
        (3, "json.not_object", "1.5e3"),
        (3, "json.not_object", "true"),
    ]
    assert [one.text for one in found if isinstance(one, Event)] == [b'{"data":1}', b'{"data": 2}']


@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ('{"time_stamp":"2026","data":[tru]}', "json.invalid"),
        ('{"time_stamp":"2026","data":[1}', "json.invalid"),
        ('{"time_stamp":"2026,"data":[1]}', "json.invalid"),
        ('{"time_stamp":"2026","data":[1],"x":"never closed}', "json.invalid"),
        ('{"time_stamp":"2026","data":[1]', "json.invalid"),
        ('{"time_stamp":"2026","data":[1],"x":{"y":{"time_stamp":"2026","data":[9]', "json.invalid"),
        ('{"time_stamp":"2026","data":[NaN]}', "json.invalid"),
        ('{"time_stamp":"2026","data":[1],"x":"\xff"}', "line.encoding"),
        ("not JSON", "json.not_object"),
    ],
)
def test_damage_within_json_costs_the_event_that_it_is_in(broken: str, code: str, size: int) -> None:
    text = f"[{good(1)},\n{good(2)},\n{broken},\n{good(3)},\n{good(4)}\n]"

    values, reported = damaged(text.encode("latin-1"), size)

    assert values == [[1], [2], [3], [4]]
    assert reported[0] == (3, code)
    assert {line for line, _ in reported} == {3}


def test_damage_within_one_long_line_of_json() -> None:
    values, reported = damaged(f'[{good(1)},{{"data":[x]}},{good(2)},{good(3)}]'.encode())

    assert (values, reported) == ([[1], [2], [3]], [(1, "json.invalid")])


@pytest.mark.parametrize("size", [1, 1_000])
@pytest.mark.parametrize(
    ("text", "values", "reported"),
    [
        (f"[{good(1)},\n{good(2)[:-5]}", [[1]], [(2, "json.cut_off"), (1, "json.cut_off")]),
        (f"[{good(1)},\n{good(2)[:5]}", [[1]], [(2, "json.cut_off"), (1, "json.cut_off")]),
        (f"\n[{good(1)},\n{good(2)},\n", [[1], [2]], [(2, "json.cut_off")]),
        (f"{good(1)}\n{good(2)[:-1]}", [[1]], [(2, "json.cut_off")]),
        (f"[{good(1)},{good(2)},]", [[1], [2]], []),
        (f"{good(1)}\n,{good(2)}", [[1], [2]], []),
        (f"{good(1)}\n5", [[1]], [(2, "json.not_object")]),
        (f"[{good(1)}}}]", [[1]], [(1, "json.not_object")]),
        (f"x[{good(1)}]", [[1]], [(1, "json.not_object")]),
    ],
)
def test_json_that_is_cut_off_or_has_a_sign_too_many_loses_no_event(
    text: str, values: list[Any], reported: list[Any], size: int
) -> None:
    assert damaged(text.encode(), size) == (values, reported)


def test_a_value_too_large_to_hold_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_reader, "MAX_EVENT_BYTES", 100_000)

    values, reported = damaged(f'[\n{{"a": "{"x" * 300_000}"}},\n{good(1)}]'.encode(), 50_000)

    assert (values, reported) == ([[1]], [(2, "event.too_long")])


def test_blanks_without_end_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_reader, "MAX_EVENT_BYTES", 1_000)

    (item,) = read_json(io.BytesIO(b" \n" * 100_000 + b'{"a":1}'))

    assert item == Event(b'{"a":1}', 100_001, 100_001)


def test_the_elements_of_an_array_keep_their_text() -> None:
    assert [*elements(' [1, {"a":\n1e999} ,[2, 3]] ')] == ["1", '{"a":\n1e999}', "[2, 3]"]
    for text in ("[1, ]", "[1 2]", "[1", "[]"):
        with pytest.raises(ValueError, match=r"Expecting|element"):
            [*elements(text)]


def test_json_in_utf_16(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(f"[{good(1)}, {good(2)}]".encode("utf-16"))
    (tmp_path / "a.ndjson").write_bytes(f"{good(1)}\n{good(2)}\n".encode("utf-16"))

    for name in ("a.json", "a.ndjson"):
        assert [one.text for one in read(tmp_path / name)[1]] == [good(1).encode(), good(2).encode()]


# ---- CSV


def test_a_row_is_an_event() -> None:
    assert events_of("time,value\n2026-01-01T00:00:00Z,1.50\n2026-01-01 01:00+01:00,-2e3\n") == [
        {"time_stamp": "2026-01-01T00:00:00Z", "data": [1.5]},
        {"time_stamp": "2026-01-01 01:00+01:00", "data": [-2000.0]},
    ]


def test_numbers_keep_their_digits() -> None:
    found = table("time,value\n2026-01-01T00:00:00Z,0.10000000000000000555\n")

    assert found == [Event(b'{"time_stamp":"2026-01-01T00:00:00Z","data":[0.10000000000000000555]}', 2, 2)]


def test_labels_make_it_version_2() -> None:
    text = "Timestamp;t;Source;unit;hall;line\n2026-01-01T00:00Z;1;x/1;°C; H 3 ;\n2026-01-01T00:00Z;1;;;;B\n"

    assert events_of(text, values=["t"], tags=["hall", "line"], constant_tags=["site=Köln", "line=A"]) == [
        {
            "schema_version": 2,
            "time_stamp": "2026-01-01T00:00Z",
            "data": [1],
            "source": "x/1",
            "unit": "°C",
            "tags": {"site": "Köln", "line": "A", "hall": "H 3"},
        },
        {"schema_version": 2, "time_stamp": "2026-01-01T00:00Z", "data": [1], "tags": {"site": "Köln", "line": "B"}},
    ]


def test_constants_go_before_columns_that_are_found() -> None:
    (event,) = events_of("time,value,source\n2026-01-01T00:00Z,1,column\n", constant_source="said", constant_unit='"')

    assert (event["source"], event["unit"]) == ("said", '"')


def test_several_columns_are_one_events_values() -> None:
    text = 'time,a,b,c\n2026-01-01T00:00Z,1,,"[2, 3,4e0]"\n'

    assert events_of(text, values=["c", "a", "b"])[0]["data"] == [2, 3, 4.0, 1]


def test_the_only_column_left_holds_the_values() -> None:
    assert events_of("when,sensor,temperature\n2026-01-01T00:00Z,s,21\n", time="when", source="sensor") == [
        {"schema_version": 2, "time_stamp": "2026-01-01T00:00Z", "data": [21], "source": "s"}
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    text = "time,value,note\n2026-01-01T00:00Z,1,x\n".replace(",", delimiter)

    assert events_of(text)[0]["data"] == [1]


def test_a_delimiter_that_is_said() -> None:
    assert events_of("time^value\n2026-01-01T00:00Z^1\n", delimiter="^")[0]["data"] == [1]


def test_quotes_blanks_and_empty_rows() -> None:
    text = 'time , "value",note\n\n 2026-01-01T00:00Z , 1 ,"a ""b""\nc, d"\n,,\n2026-01-01T00:01Z,2,\n'

    found = table(text)

    assert [(json.loads(one.text)["data"], one.first, one.last) for one in found if isinstance(one, Event)] == [
        ([1], 3, 4),
        ([2], 6, 6),
    ]
    assert len(found) == 2


@pytest.mark.parametrize(
    ("row", "reported"),
    [
        ("2026-01-01T00:00Z,1,2", "has 3 cells, and the header 2"),
        ("2026-01-01T00:00Z", "has 1 cells, and the header 2"),
        ("2026-01-01T00:00Z,", "has no value"),
        (",1", "has no time"),
        ("2026-01-01T00:00Z,n/a", "'n/a' in the column 'value' is not a number"),
        ("2026-01-01T00:00Z,nan", "'nan' in the column 'value' is not a number; --missing nan says that there is none"),
        ('2026-01-01T00:00Z,"1,5"', "'1,5' in the column 'value' is not a number; --decimal ',' reads it"),
        ('2026-01-01T00:00Z,"[1,"', "'[1,' in the column 'value' is not a number"),
        ('2026-01-01T00:00Z,"[]"', "'[]' in the column 'value' is not a number"),
        ("2026-01-01T00:00Z," + "x" * 100, f"'{'x' * 40}…' in the column 'value' is not a number"),
        ("yesterday,1", "the time 'yesterday' is not an ISO 8601 date and time; --time-format names another form"),
        ("17672256,1", "the time '17672256' is not an ISO 8601 date and time; --time-format auto reads epochs"),
        ("2026-01-01T00:00,1", "name its time zone with --timezone"),
        ('2026-01-01T00:00Z,"1"2', "is not CSV: ',' expected after '\"'"),
    ],
)
def test_a_row_that_is_no_event_is_reported_with_its_line(row: str, reported: str) -> None:
    first, bad, last = table(f"time,value\n2025-01-01T00:00Z,7\n{row}\n2027-01-01T00:00Z,7\n")

    assert isinstance(first, Event)
    assert isinstance(last, Event)
    assert isinstance(bad, Finding)
    assert (bad.first, bad.last, last.first) == (3, 3, 4)
    assert reported in bad.reason


@pytest.mark.parametrize("longest", [1_000, 2**20])
def test_a_quote_that_is_never_closed_costs_its_row(longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_LONGEST_CELL", longest)

    found = table('time,value\n2026-01-01T00:00Z,"1\n' + "2026-01-01T00:00Z,2\n" * 1_000 + '2026-01-01T00:00Z,"3"\n')

    assert isinstance(found[0], Finding)
    assert (found[0].first, found[0].last, found[0].code) == (2, 2, "row.not_csv")
    assert [(one.first, one.last) for one in found if isinstance(one, Event)] == [(n, n) for n in range(3, 1_004)]


@pytest.mark.parametrize(
    ("text", "options", "reported"),
    [
        ("a,b\n", {}, "which column holds the time"),
        ("time,a,b\n", {}, "which column holds the values"),
        ("time\n", {}, "which column holds the values"),
        ("time,value\n", {"time": "when"}, "--time-column: there is no column 'when'"),
        ("time,value\n", {"values": ["b"]}, "--value-column: there is no column 'b'"),
        ("time,value\n", {"source": "s"}, "--source-column: there is no column 's'"),
        ("time,value\n", {"unit": "u"}, "--unit-column: there is no column 'u'"),
        ("time,value\n", {"tags": ["t"]}, "--tag-column: there is no column 't'"),
        ("time,value,value\n", {"values": ["value"]}, "Several columns are named 'value'"),
    ],
)
def test_columns_that_are_unclear_are_asked_for(text: str, options: dict[str, Any], reported: str) -> None:
    error = refused(text, **options)

    assert reported in error.message
    assert repr(text.split(",", maxsplit=1)[0].strip()) in error.message + error.hint


@pytest.mark.parametrize("text", ["", "\n", ",,\n"])
def test_a_csv_without_a_header(text: str) -> None:
    with pytest.raises(BrokenInputError, match="line 1: there is no header"):
        table(text)


def test_another_encoding() -> None:
    text = "time,value,unit\n2026-01-01T00:00Z,1,°C\n".encode("cp1252")

    (reported,) = table(text)
    assert isinstance(reported, Finding)
    assert (reported.first, reported.code) == (2, "line.encoding")
    (one,) = table(text, encoding="cp1252")
    assert isinstance(one, Event)
    assert json.loads(one.text)["unit"] == "°C"


def test_rows_of_one_time_are_merged() -> None:
    text = (
        "time,value,source\n"
        "2026-01-01T00:00Z,1,a\n2026-01-01T00:00Z,2,a\n2026-01-01T00:00Z,x,a\n2026-01-01T00:00Z,3,a\n"
        "2026-01-01T00:00Z,4,b\n2026-01-01T00:01Z,5,b\n"
    )

    found = table(text, merge_rows=True)

    merged = [(json.loads(one.text), one.first, one.last) for one in found if isinstance(one, Event)]
    assert [(event["data"], event["source"], first, last) for event, first, last in merged] == [
        ([1, 2, 3], "a", 2, 5),
        ([4], "b", 6, 6),
        ([5], "b", 7, 7),
    ]
    assert [one.first for one in found if isinstance(one, Finding)] == [4]
    assert len(table(text)) == 6


def test_rows_of_one_time_without_end_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "MAX_EVENT_BYTES", 1_000)

    found = table("time,value\n" + "2026-01-01T00:00Z,123456\n" * 1_000 + "2026-01-01T00:01Z,1\n", merge_rows=True)

    assert {one.code for one in found[:-1] if isinstance(one, Finding)} == {"event.too_long"}
    assert isinstance(found[-1], Event)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
@example(0)
def test_any_number_of_python_is_one_of_json(number: float) -> None:
    text = json_number(repr(number))
    assert text is not None
    assert json.loads(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("007", "7"),
        ("+1.50", "1.50"),
        ("-.5e3", "-0.5e3"),
        ("1.", "1"),
        ("00", "0"),
        ("-00.10", "-0.10"),
        (".", None),
        ("+", None),
        ("", None),
        ("e5", None),
        ("1e", None),
        ("0x10", None),
        ("1_000", None),
        ("١", None),
        ("inf", None),
        ("1 2", None),
    ],
)
def test_numbers_as_people_write_them(text: str, number: str | None) -> None:
    assert json_number(text) == number


# ---- time zones


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2026-01-01T00:00:00", "Europe/Berlin", "2025-12-31T23:00:00Z"),
        ("2026-07-01 00:00", "Europe/Berlin", "2026-06-30T22:00:00Z"),
        ("2026-07-01T00:00:00,1234567", "+0530", "2026-06-30T18:30:00.123456Z"),
        ("2026-07-01T00:00:00", "UTC", "2026-07-01T00:00:00Z"),
        ("2026-07-01T00:00:00", "-03:00", "2026-07-01T03:00:00Z"),
        ("1850-01-01T00:00:00", "Europe/Berlin", "1849-12-31T23:06:32Z"),
    ],
)
def test_times_without_offset_get_their_zones(text: str, zone: str, instant: str) -> None:
    assert events_of(f'time,value\n"{text}",1\n', zone=parse_zone(zone))[0]["time_stamp"] == instant


def test_a_time_with_an_offset_keeps_it() -> None:
    assert events_of("time,value\n2026-01-01T00:00Z,1\n", zone=ZoneInfo("Europe/Berlin"))[0]["time_stamp"] == (
        "2026-01-01T00:00Z"
    )


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("2026-03-29T02:30:00", "does not exist in Europe/Berlin"),
        ("2026-10-25T02:30:00", "occurs twice in Europe/Berlin"),
        ("0001-01-01T00:00:00", "outside the years 1 to 9999"),
    ],
)
def test_times_that_a_zone_does_not_tell(text: str, reported: str) -> None:
    assert reported in reason(f"time,value\n{text},1\n", zone=ZoneInfo("Europe/Berlin"))


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), st.sampled_from(["Europe/Berlin", "Asia/Kolkata"]))  # noqa: DTZ001 - a clock's
def test_a_zones_times_are_those_of_its_clocks(wall: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    try:
        instant = datetime.fromisoformat(time_reader(zone=zone)(wall.isoformat()))
    except TimeError:
        # Clocks showed it never, or twice.
        back = wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)
        shown = {wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
        assert back.replace(tzinfo=None) != wall or len(shown) == 2
    else:
        assert instant.astimezone(zone).replace(tzinfo=None) == wall


def test_zones() -> None:
    assert parse_zone("z") == UTC
    assert parse_zone("-0330") == timezone(-timedelta(hours=3, minutes=30))
    for text in ("", "Nowhere/Else", "../etc/passwd", "+25:00", "Europe", "/etc/localtime"):
        with pytest.raises(typer.BadParameter):
            parse_zone(text)


# ---- inputs


def read(path: Path, **options: Any) -> tuple[Format, list[Read]]:  # noqa: ANN401
    (one,) = expand([str(path)])
    with opened(one) as source:
        found = source.detect()
        return found, [*source.read(found, CsvOptions(**options))]


CSV = b"time,value\n2026-01-01T00:00:00Z,1\n"


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("a.csv", CSV, Format.CSV),
        ("a.TSV", CSV.replace(b",", b"\t"), Format.CSV),
        ("a.ndjson", EVENT + b"\nnope", Format.NDJSON),
        ("a.jsonl", EVENT, Format.NDJSON),
        ("a.json", EVENT, Format.JSON),
        ("a.json", b"\n [" + EVENT + b"]", Format.JSON),
        ("a.json", EVENT.replace(b",", b",\n"), Format.JSON),
        ("a.json", EVENT + b"\n" + EVENT, Format.NDJSON),
        ("a.csv.json", EVENT, Format.JSON),
        ("a", EVENT + b"\n" + EVENT, Format.NDJSON),
        ("a.log", CSV, Format.CSV),
        ("a", b"", Format.NDJSON),
    ],
)
def test_the_format_is_found(
    tmp_path: Path, name: str, body: bytes, expected: Format, mark: bytes, suffix: str
) -> None:
    file = tmp_path / (name + suffix)
    file.write_bytes(gzipped(mark + body) if suffix else mark + body)

    found, read_ = read(file)

    assert found is expected
    assert len([one for one in read_ if isinstance(one, Event)]) == body.count(b"2026")


def test_packed_by_its_bytes_and_not_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(gzipped(EVENT))

    assert read(tmp_path / "a.ndjson")[1] == [Event(EVENT, 1, 1)]


def test_an_archive_that_is_torn_before_the_name_of_its_file_is_damaged(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", CSV)
    (tmp_path / "a.csv").write_bytes(packed.getvalue()[:20])

    (reported,) = read(tmp_path / "a.csv")[1]

    assert isinstance(reported, Finding)
    assert reported.code == "input.damaged"


def test_a_packing_that_breaks_is_reported_with_the_line(tmp_path: Path) -> None:
    body = b"".join(b'{"n":%d,"x":"%b"}\n' % (number, number.to_bytes(8).hex().encode()) for number in range(50_000))
    packed = gzipped(body)
    (tmp_path / "a.ndjson").write_bytes(packed[: len(packed) // 2])

    *found, reported = read(tmp_path / "a.ndjson")[1]

    assert isinstance(reported, Finding)
    assert reported == Finding(len(found) + 1, len(found) + 1, "input.damaged", reported.reason)
    assert reported.reason == "its compression can't be read: it is cut off"
    whole = zlib.decompressobj(31).decompress(packed[: len(packed) // 2])
    assert [one.text for one in found if isinstance(one, Event)] == whole.split(b"\n")[:-1]


def test_patterns_are_found_in_order_and_each_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.csv", "a.csv", "c.txt", "a.csv.dropzone-resume", "x[1].csv"):
        Path(name).write_bytes(CSV)
    Path("sub.csv").mkdir()
    Path("sub.csv/d.csv").write_bytes(CSV)

    def names(*arguments: str) -> list[str]:
        return [one.name for one in expand(arguments)]

    assert names("*.csv", "b.csv", str(tmp_path / "a.csv")) == ["a.csv", "b.csv", "x[1].csv"]
    assert names("*.csv*", "-") == ["a.csv", "b.csv", "x[1].csv", "stdin"]
    assert names("**/*.csv") == ["a.csv", "b.csv", "sub.csv/d.csv", "x[1].csv"]
    assert names("x[1].csv") == ["x[1].csv"]


@pytest.mark.parametrize(
    ("argument", "reported"),
    [
        ("absent.csv", "absent.csv can't be read: No such file"),
        ("*.xml", "No file matches *.xml"),
        (".", ". is a folder"),
        ("a.dropzone-resume", "Only resume files"),
    ],
)
def test_what_is_no_input(argument: str, reported: str) -> None:
    with pytest.raises(CliError) as caught:
        expand([argument])
    assert reported in caught.value.message
    assert caught.value.exit_code == ExitCode.USAGE


# ---- batches and memory


def made(*sizes: int) -> Iterator[Event]:
    return (Event(b"x" * size, number, number) for number, size in enumerate(sizes, 1))


def cut(found: Iterator[Event], shape: Shape, **options: Any) -> list[Batch]:  # noqa: ANN401
    batches: list[Batch] = []
    batcher = Batcher(shape, batches.append, **options)
    for event in found:
        batcher.add(event)
    batcher.end()
    return batches


def test_batches_are_bounded_by_events_and_bytes() -> None:
    assert [batch.events for batch in cut(made(*[9] * 10), Shape(4, 1_000))] == [4, 4, 2]
    assert [batch.events for batch in cut(made(*[9] * 10), Shape(100, 30))] == [3, 3, 3, 1]
    assert [batch.events for batch in cut(made(*[9] * 5), Shape(100, 29))] == [2, 2, 1]
    assert [batch.events for batch in cut(made(9, 99, 9, 9, 99), Shape(100, 30))] == [1, 1, 2, 1]
    assert [len(batch.body) for batch in cut(made(9, 19), Shape(100, 30))] == [30]


def test_batches_know_their_lines_and_size() -> None:
    reached = iter([100, 170])
    batches = cut(made(1, 2, 3), Shape(2, 1_000), position=lambda: next(reached))

    assert [(batch.number, batch.body, batch.first, batch.last, batch.size) for batch in batches] == [
        (0, b"x\nxx\n", 1, 2, 100),
        (1, b"xxx\n", 3, 3, 70),
    ]
    assert batches[0].cut.digest != batches[1].cut.digest


def recorded(*sizes: int) -> dict[int, Cut]:
    """The cuts of events like those that `made` makes."""
    numbers = iter(range(sum(sizes)))
    groups = [[Event(b"x" * 9, next(numbers), 0) for _ in range(size)] for size in sizes]
    return {number: Batch(number, group).cut for number, group in enumerate(groups)}


def test_batches_of_an_earlier_run_are_cut_as_they_were() -> None:
    known = recorded(3, 1, 2, 5)
    del known[2]

    batches = cut(made(*[9] * 12), Shape(2, 25), known=known)

    assert [batch.events for batch in batches] == [3, 1, 2, 5, 1]


@pytest.mark.parametrize("changed", [0, 2, 3])
def test_events_that_an_earlier_run_did_not_send_are_cut_afresh(changed: int) -> None:
    """At the first event of a batch it is known at once; within one, at the batch's end."""
    cuts: list[int] = []
    seen = [9] * 6
    seen[changed] = 8
    batches: list[Batch] = []
    batcher = Batcher(Shape(2, 1_000), batches.append, known=recorded(3, 3), changed=lambda: cuts.append(len(batches)))
    for number, event in enumerate(made(*seen)):
        batcher.add(event)
        assert bool(cuts) == (number >= {0: 0, 2: 2, 3: 3}[changed])
    batcher.end()

    assert cuts == [0 if changed < 3 else 1]
    assert [(batch.number, batch.events) for batch in batches] == (
        [(0, 2), (1, 2), (2, 2)] if changed < 3 else [(0, 3), (0, 2), (1, 1)]
    )


def test_fewer_events_than_an_earlier_run_sent_are_noticed() -> None:
    cuts: list[bool] = []

    cut(made(*[9] * 3), Shape(2, 1_000), known=recorded(3, 3), changed=lambda: cuts.append(True))

    assert cuts == [True]


def test_an_event_is_not_held_for_longer_than_it_may_linger() -> None:
    now = 0.0
    batches: list[Batch] = []
    batcher = Batcher(Shape(10, 1_000, linger=1.0), batches.append, clock=lambda: now)
    events_ = made(*[9] * 5)

    assert batcher.idle() is None
    batcher.add(next(events_))
    now = 0.25
    batcher.add(next(events_))
    assert batcher.idle() == 0.75  # since the first one
    assert not batches
    now = 1.0
    assert batcher.idle() is None
    assert [batch.events for batch in batches] == [2]
    # Where events never stop, there is no idle time.
    batcher.add(next(events_))
    now = 2.5
    batcher.add(next(events_))
    assert [batch.events for batch in batches] == [2, 2]


class _Made(io.RawIOBase):
    """A long text that is made when it is read."""

    def __init__(self, *parts: Iterator[bytes]) -> None:
        self._parts = chain(*parts)
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        while len(self._held) < len(buffer) and (part := next(self._parts, b"")):
            self._held += part
        text, self._held = self._held[: len(buffer)], self._held[len(buffer) :]
        buffer[: len(text)] = text
        return len(text)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["ndjson", "json", "csv"])
def test_memory_is_bounded_by_batches_whatever_the_input(form: str) -> None:
    number = 20_000
    match form:
        case "ndjson":
            made_ = _Made(repeat(EVENT + b"\n", number))
        case "json":
            made_ = _Made(iter([b"[", EVENT]), repeat(b"," + EVENT, number - 1), iter([b"]"]))
        case _:
            made_ = _Made(iter([b"time,value\n"]), repeat(b"2026-01-01T00:00:00Z,1\n", number))
    binary = cast("BinaryIO", io.BufferedReader(made_))
    sizes: list[int] = []
    batcher = Batcher(Shape(1_000, 2**12), lambda batch: sizes.append(batch.events))

    tracemalloc.start()
    try:
        if form == "json":
            found = read_json(binary)
        elif form == "ndjson":
            found = read_ndjson(lines_of(binary))
        else:
            table = Table.of_lines(lines_of(binary), CsvOptions(source_pattern="x"))
            assert isinstance(table, Table)
            found = table.read()
        for one in found:
            assert isinstance(one, Event)
            batcher.add(one)
        batcher.end()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert sum(sizes) == number
    assert peak < number * len(EVENT) / 2


def test_the_longest_event_is_longer_than_any_that_is_taken() -> None:
    assert events.MAX_EVENT_BYTES > 4_500_000, "which MaxBodyBytes can be at most"
