"""InfluxDB's line protocol as `text/plain`: its documents' own examples, and any bytes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropzone.domain.body import LINE_PROTOCOL
from dropzone.domain.formats.line_protocol import payloads
from dropzone.domain.outcomes import Code, Measurement, Outcome, Rejection
from dropzone.domain.validate import Contents
from support.contracts import ARRIVED


def outcomes(body: bytes) -> list[Outcome]:
    contents = Contents(body, LINE_PROTOCOL, received_at=ARRIVED)
    found = [*contents.outcomes()]
    assert len(found) == len(contents)
    return found


def measurements(body: bytes) -> list[Measurement]:
    found = outcomes(body)
    assert [outcome for outcome in found if isinstance(outcome, Rejection)] == []
    return [outcome for outcome in found if isinstance(outcome, Measurement)]


def values(body: bytes) -> list[tuple[str, float]]:
    """Source and value of each event."""
    return [(each.source, each.aggregates.mean) for each in measurements(body)]


def reasons(body: bytes) -> list[str]:
    """Code and message of each event's rejection; empty for a measurement."""
    return [
        " ".join(f"{each.code} {each.message}" for each in outcome.violations) if isinstance(outcome, Rejection) else ""
        for outcome in outcomes(body)
    ]


def test_a_batch_of_telegraf() -> None:
    # GIVEN what its outputs.http sends with its defaults: no quotes around tags, integers with i, strings in quotes
    body = (
        b"cpu,cpu=cpu-total,host=raynor usage_idle=98.09,usage_user=0.87 1458229140000000000\n"
        b'system,host=raynor load1=0.12,n_cpus=4i,uptime_format="18 days, 2:08" 1458229150000000000\n'
    )

    first, second, *others = measurements(body)

    # THEN each number is an event, whose source tells measurement, tags and field, and each string is none
    assert (first.measured_at, first.source, first.aggregates.mean) == (
        datetime(2016, 3, 17, 15, 39, tzinfo=UTC),
        "cpu/cpu-total/raynor/usage_idle",
        98.09,
    )
    assert first.tags == {"cpu": "cpu-total", "host": "raynor", "_measurement": "cpu", "_field": "usage_idle"}
    assert (second.source, second.measured_at) == ("cpu/cpu-total/raynor/usage_user", first.measured_at)
    assert [(each.source, each.aggregates.mean) for each in others] == [
        ("system/raynor/load1", 0.12),
        ("system/raynor/n_cpus", 4.0),
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # Of InfluxDB's reference: "Elements of line protocol", "Data types and format", "Quotes", "Special characters".
        (b'myMeasurement,tag1=value1,tag2=value2 fieldKey="fieldValue",n=1 1556813561098000000', "/value1/value2/n"),
        (b"myMeasurement fieldKey=-1.234456e+78 1556813561098000000", "/fieldKey"),
        (b"myMeasurement fieldKey=12485903u 1556813561098000000", "/fieldKey"),
        (b"myMeasurement n=1,fieldKey=true,b=F,c=FALSE 1556813561098000000", "/n"),
        (rb'myMeasurement,tagKey=tagVal fieldKey="\"string\" within, a=1 string",n=1', "/tagVal/n"),
        (rb"myMeasurement fie\ ld\ Key=1", "/fie ld Key"),
        (rb"myMeasurement,tag\ Key1=tag\ Value1,tag\ Key2=tag\ Value2 n=100", "/tag Value1/tag Value2/n"),
        ("myMeasurement,tagKey=🍭 fieldKey=1 1556813561098000000".encode(), "/🍭/fieldKey"),
        (rb"myMeasurement,path=C:\new\files,q=a\=b\,c n=1", r"/C:\new\files/a=b,c/n"),
        (b'myMeasurement,quoted="a" n=1', '/"a"/n'),
        # Tags are in the order of their names, however they were sent.
        (b"myMeasurement,b=2,a=1 n=1", "/1/2/n"),
        (b"  myMeasurement  n=1   5000000000000000  \r", "/n"),
        (b'myMeasurement n=1,s="two\nlines"', "/n"),
        (b'myMeasurement n=1,s="ends with a backslash\\\\"', "/n"),
    ],
)
def test_the_grammar(line: bytes, expected: str) -> None:
    assert [source for source, _ in values(line)] == [f"myMeasurement{expected}"]


def test_a_measurement_keeps_its_equals_sign_and_its_backslashes() -> None:
    assert values(rb"my\,Mea\ sure=m\ent n=1") == [(r"my,Mea sure=m\ent/n", 1.0)]


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (b"1556813561", "2019-05-02T16:12:41.000000"),
        (b"1556813561098", "2019-05-02T16:12:41.098000"),
        (b"1556813561098765", "2019-05-02T16:12:41.098765"),
        (b"1556813561098765432", "2019-05-02T16:12:41.098765"),
        (b"-1556813561098765432", "1920-09-01T07:47:18.901234"),
        (b"4999999999", "2128-06-11T08:53:19.000000"),
        (b"5000000000", "1970-02-27T20:53:20.000000"),
        (b"5000000000000", "1970-02-27T20:53:20.000000"),
        (b"5000000000000000", "1970-02-27T20:53:20.000000"),
        (b"9223372036854775807", "2262-04-11T23:47:16.854775"),
    ],
)
def test_the_precision_of_a_timestamp_follows_from_its_size(timestamp: bytes, expected: str) -> None:
    [measured] = measurements(b"m f=1 " + timestamp)
    assert f"{measured.measured_at:%FT%T.%f}" == expected


def test_a_point_without_a_timestamp_was_measured_when_it_arrived() -> None:
    assert [each.measured_at for each in measurements(b"m f=1,g=2")] == [ARRIVED, ARRIVED]


def test_blank_lines_comments_and_a_byte_order_mark_are_no_events() -> None:
    assert values(b"\xef\xbb\xbf\n# m f=1\n \r\n  # a comment\nm f=1\n\n") == [("m/f", 1.0)]


@pytest.mark.parametrize(
    "line",
    [
        b"m",
        b"m f",
        b"m f=",
        b"m f=1 now",
        b"m f=1,",
        b"m,t f=1",
        b"m,t= f=1",
        b",t=1 f=1",
        b'm f="no end',
        b'm f="a"b',
        b"m f=1 100000000000000000000000",
        b'{"time_stamp": "2019-05-01T06:00:00Z", "data": [1]}',
    ],
)
def test_a_line_that_is_no_point_is_rejected_by_itself(line: bytes) -> None:
    rejected = "payload.mapping_failed is not a point of InfluxDB's line protocol: line 2"
    assert reasons(b"m f=1\n" + line + b"\nm f=2\n") == ["", rejected, ""]


def test_a_rejection_names_the_line_also_behind_strings_of_several_lines() -> None:
    assert reasons(b'\nm f=1,s="two\nlines"\n# a comment\nbad')[1].endswith(": line 5")


def test_a_value_of_no_type_and_bytes_that_are_no_text_are_rejected() -> None:
    bad_value = "payload.mapping_failed has a field whose value is not a number, string or boolean: line 1"
    assert reasons(b"m a=1,b=nan,c=0x1,d=1.5i,e=2\nm\xff f=1\nm f=1") == [
        *("", bad_value, bad_value, bad_value, ""),
        "payload.mapping_failed is not UTF-8: line 2",
        "",
    ]
    of_field, of_line = outcomes(b"m,h=x b=nan\nbad")
    assert (of_field.source, of_line.source) == ("m/x/b", "")
    assert isinstance(of_line, Rejection)
    assert [violation.field for violation in of_line.violations] == ["$"]


def test_a_time_out_of_range_is_rejected_with_its_source() -> None:
    (rejected,) = outcomes(b"m,h=x f=1 -99999999999999999999")
    assert isinstance(rejected, Rejection)
    assert ([violation.code for violation in rejected.violations], rejected.source) == (
        [Code.TIME_STAMP_OUT_OF_RANGE],
        "m/x/f",
    )


def test_the_basic_rules_hold() -> None:
    (infinite, ahead) = outcomes(b"m f=1e999\nm f=1 99999999999999999999")
    assert isinstance(infinite, Rejection)
    assert isinstance(ahead, Measurement)  # in nanoseconds, of the year 5138
    assert [violation.code for violation in infinite.violations] == [Code.DATA_NOT_FINITE]


def test_an_event_has_as_many_tags_as_any_other_two_of_which_are_its_own() -> None:
    tags = [b",t%d=1" % number for number in range(15)]
    kept, rejected = outcomes(b"m%b f=1\nm%b f=1" % (b"".join(tags[:14]), b"".join(tags)))
    assert isinstance(kept, Measurement)
    assert isinstance(rejected, Rejection)
    assert [violation.code for violation in rejected.violations] == [Code.TAGS_INVALID]


@pytest.mark.parametrize("body", [b"", b"\n\n", b"# nothing", b'm text="a",is_on=t'])
def test_without_a_number_there_is_no_event(body: bytes) -> None:
    assert reasons(body) == ["payload.empty_batch holds no event"]


NAMES = st.text(
    st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(' ,=\\"'), min_size=1, max_size=9
).filter(lambda name: not name.endswith("\\"))
POINTS = st.tuples(
    NAMES.filter(lambda name: not name.startswith("#")),
    st.dictionaries(NAMES, NAMES, max_size=3),
    st.dictionaries(NAMES, st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=3),
    st.datetimes(datetime(1971, 1, 1), datetime(2261, 1, 1)),  # noqa: DTZ001 - in UTC
)


def escaped(name: str, special: str = ",= ") -> str:
    return "".join(f"\\{each}" if each in special else each for each in name)


@given(st.lists(POINTS, max_size=3))
def test_what_is_written_is_read(points: list[tuple[str, dict[str, str], dict[str, float], datetime]]) -> None:
    lines: list[str] = []
    expected: list[dict[str, Any]] = []
    for measurement, tags, fields, at in points:
        key = ",".join([escaped(measurement, ", "), *(f"{escaped(k)}={escaped(v)}" for k, v in tags.items())])
        pairs = ",".join(f"{escaped(name)}={value!r}" for name, value in fields.items())
        nanoseconds = (at.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
        lines.append(f"{key} {pairs} {nanoseconds}\n")
        expected += [
            {
                "schema_version": 2,
                "time_stamp": at.replace(tzinfo=UTC),
                "source": "/".join([measurement, *(tags[name] for name in sorted(tags)), name]),
                "data": [value],
                "tags": {**tags, "_measurement": measurement, "_field": name},
            }
            for name, value in fields.items()
        ]

    assert [*payloads("".join(lines).encode(), ARRIVED)] == expected


@given(st.lists(st.sampled_from([b"m", b"f", b"=", b",", b" ", b'"', b"\\", b"\n", b"\r", b"#", b"1", b"i", b"\xff"])))
def test_any_bytes_have_outcomes(parts: list[bytes]) -> None:
    assert outcomes(b"".join(parts))


def test_a_line_that_is_no_point_costs_no_more_than_its_length() -> None:
    # GIVEN strings without an end, of which each could be looked for to the end of the body
    body = b'm f="\\"\n' * 5_000 + b"m f=1"
    # THEN they end where the next begins
    assert len(outcomes(body)) == 5_001
