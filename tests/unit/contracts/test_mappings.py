"""Other senders' JSON: by a contract's mapping, with the tools' own payloads, and by the media types of standards."""

import json
import re
import time
import tracemalloc
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dropzone.adapters.contracts import deployed_contracts
from dropzone.domain import expressions
from dropzone.domain.body import JSON, NDJSON
from dropzone.domain.contracts import Contract, Contracts
from dropzone.domain.mapping import PayloadMapping
from dropzone.domain.outcomes import Code, Measurement, Outcome, Rejection
from dropzone.domain.validate import Contents
from support.contracts import ARRIVED, contracts

SENML, CLOUDEVENTS = "application/senml+json", "application/cloudevents+json"


def outcomes(body: object, contract: str = "", content_type: str = JSON, of: Contracts | None = None) -> list[Outcome]:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    contents = Contents(
        text, content_type, received_at=ARRIVED, contracts=of or deployed_contracts(), contract=contract
    )
    found = list(contents.outcomes())
    assert len(found) == len(contents)
    return found


def rows(*of: Outcome) -> list[tuple[str, str, list[float], str]]:
    """Instant, source, mean and unit of measurements."""
    assert all(isinstance(outcome, Measurement) for outcome in of)
    return [
        (f"{each.measured_at:%FT%T.%f}", each.source, [each.aggregates.mean], each.unit)
        for each in of
        if isinstance(each, Measurement)
    ]


def codes(*of: Outcome) -> list[list[Code]]:
    return [[violation.code for violation in each.violations] if isinstance(each, Rejection) else [] for each in of]


def reasons(*of: Outcome) -> list[list[str]]:
    """The field and the message of each violation."""
    return [
        [f"{each.field} {each.message}" for each in one.violations] if isinstance(one, Rejection) else [] for one in of
    ]


# ---- ready contracts, with payloads as the tools' own documents show them --------------------------------------------

TELEGRAF = {
    "fields": {"field_1": 30, "field_2": 4.5, "field_N": 59, "version": "1.2", "up": True},
    "name": "docker",
    "tags": {"host": "raynor"},
    "timestamp": 1458229140,
}
COLLECTD = [
    {
        "values": [197141504, 175136768],
        "dstypes": ["counter", "counter"],
        "dsnames": ["read", "write"],
        "time": 1251533299.265,
        "interval": 10,
        "host": "leeloo.lan.home.verplant.org",
        "plugin": "disk",
        "plugin_instance": "sda",
        "type": "disk_octets",
        "type_instance": "",
    }
]
THINGS = {
    "end_device_ids": {
        "device_id": "dev1",
        "application_ids": {"application_id": "app1"},
        "dev_eui": "0004A30B001C0530",
    },
    "received_at": "2020-02-12T15:15:46.787Z",
    "uplink_message": {
        "f_port": 1,
        "frm_payload": "gkHe",
        "decoded_payload": {"temperature": 1.0, "luminosity": 0.64, "status": "ok"},
        "received_at": "2020-02-12T15:15:45.787123456Z",
    },
}
SENSOR = {
    "entity_id": "sensor.outside_temperature",
    "state": "0.5",
    "attributes": {"friendly_name": "Outside Temperature", "unit_of_measurement": "°C", "device_class": "temperature"},
    "last_changed": "2016-05-30T21:43:29.204838+00:00",
    "last_updated": "2016-05-30T21:47:30.533530+00:00",
}
SUN = {"entity_id": "sun.sun", "state": "below_horizon", "attributes": {}, "last_changed": "2016-05-30T21:43:29+00:00"}


@pytest.mark.parametrize("body", [TELEGRAF, {"metrics": [TELEGRAF]}])
def test_telegraf(body: object) -> None:
    at = "2016-03-17T15:39:00.000000"
    assert rows(*outcomes(body, "telegraf")) == [
        (at, "raynor/docker/field_1", [30.0], ""),
        (at, "raynor/docker/field_2", [4.5], ""),
        (at, "raynor/docker/field_N", [59.0], ""),
    ]


def test_telegraf_a_metric_a_line() -> None:
    lines = b"\n".join(json.dumps(metric).encode() for metric in (TELEGRAF, TELEGRAF))
    assert len(outcomes(lines, "telegraf", NDJSON)) == 6
    assert codes(*outcomes(b"{\n" + lines, "telegraf", NDJSON))[0] == [Code.NOT_JSON]


def test_collectd() -> None:
    at, disk = "2009-08-29T08:08:19.265000", "leeloo.lan.home.verplant.org/disk/sda/disk_octets"
    assert rows(*outcomes(COLLECTD, "collectd")) == [
        (at, f"{disk}/read", [197141504.0], ""),
        (at, f"{disk}/write", [175136768.0], ""),
    ]


def test_the_things_network() -> None:
    at = "2020-02-12T15:15:45.787123"
    first, second = outcomes(THINGS, "the-things-network")
    assert rows(first, second) == [(at, "app1/dev1/temperature", [1.0], ""), (at, "app1/dev1/luminosity", [0.64], "")]
    assert isinstance(first, Measurement)
    assert first.tags == {"dev_eui": "0004A30B001C0530", "quantity": "temperature"}


def test_home_assistant() -> None:
    sensor = ("2016-05-30T21:47:30.533530", "sensor.outside_temperature", [0.5], "°C")
    assert rows(*outcomes(SENSOR, "home-assistant")) == [sensor]
    found = outcomes([SUN, SENSOR, {**SENSOR, "state": "unavailable"}], "home-assistant")
    assert rows(found[0]) == [sensor]
    assert codes(*found[1:]) == [[Code.DATA_NOT_NUMERIC]]


# ---- what a mapping may say ------------------------------------------------------------------------------------------


def mapped(body: object, **stated: Any) -> list[Outcome]:  # noqa: ANN401 - any field's
    mapping = PayloadMapping.model_validate({"time_stamp": "t", "data": "v", **stated})
    contract = Contract(id="mapped", version="1", mapping=mapping)
    return outcomes(body, "mapped", of=contracts(contract))


@pytest.mark.parametrize(
    ("time_format", "value", "expected"),
    [
        ("epoch_s", 0, "1970-01-01T00:00:00.000000"),
        ("epoch_s", -1, "1969-12-31T23:59:59.000000"),
        ("epoch_s", 1795890111, "2026-11-28T18:21:51.000000"),
        ("epoch_s", 1795890111.123456, "2026-11-28T18:21:51.123456"),
        ("epoch_s", "1795890111.9999999", "2026-11-28T18:21:51.999999"),
        ("epoch_ms", 1795890111123, "2026-11-28T18:21:51.123000"),
        ("epoch_ms", -1, "1969-12-31T23:59:59.999000"),
        ("epoch_us", 1795890111123456, "2026-11-28T18:21:51.123456"),
        ("epoch_ns", 1795890111123456789, "2026-11-28T18:21:51.123456"),
        ("epoch_ns", -1, "1969-12-31T23:59:59.999999"),
    ],
)
def test_an_epoch_is_exact_to_the_microsecond(time_format: str, value: object, expected: str) -> None:
    assert [row[0] for row in rows(*mapped({"t": value, "v": 1}, time_format=time_format))] == [expected]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("soon", Code.TIME_STAMP_NOT_EPOCH),
        (True, Code.TIME_STAMP_NOT_EPOCH),
        ([1], Code.TIME_STAMP_NOT_EPOCH),
        ("nan", Code.TIME_STAMP_NOT_EPOCH),
        ("", Code.TIME_STAMP_NOT_EPOCH),
        (1e300, Code.TIME_STAMP_OUT_OF_RANGE),
        (10**400, Code.TIME_STAMP_OUT_OF_RANGE),
        ("1e999999999", Code.TIME_STAMP_OUT_OF_RANGE),
        ("-1e999999999", Code.TIME_STAMP_OUT_OF_RANGE),
        ("inf", Code.TIME_STAMP_OUT_OF_RANGE),
        (None, Code.MISSING_FIELD),
    ],
)
def test_what_is_no_epoch_is_rejected(value: object, expected: Code) -> None:
    assert codes(*mapped({"t": value, "v": 1}, time_format="epoch_s")) == [[expected]]


@given(st.integers(0, 253402300799_999_999))
def test_every_microsecond_of_the_calendar_is_kept(microseconds: int) -> None:
    (outcome,) = mapped({"t": microseconds, "v": 1}, time_format="epoch_us")
    assert isinstance(outcome, Measurement)
    assert outcome.measured_at == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-07-01T12:00:00", "2026-07-01T10:00:00.000000"),
        ("2026-01-01 12:00", "2026-01-01T11:00:00.000000"),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00.000000"),  # twice: the first
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00.000000"),  # never
        ("2026-07-01T12:00:00Z", "2026-07-01T12:00:00.000000"),
        ("2026-07-01T12:00:00-04:00", "2026-07-01T16:00:00.000000"),
    ],
)
def test_local_time_is_of_the_named_zone(value: str, expected: str) -> None:
    assert [row[0] for row in rows(*mapped({"t": value, "v": 1}, time_zone="Europe/Berlin"))] == [expected]


def test_local_time_that_is_none_is_rejected_as_ever() -> None:
    assert codes(*mapped({"t": "noon", "v": 1}, time_zone="Europe/Berlin")) == [[Code.TIME_STAMP_NOT_ISO8601]]
    assert codes(*mapped({"t": 5, "v": 1}, time_zone="Europe/Berlin")) == [[Code.TIME_STAMP_NOT_STRING]]
    assert codes(*mapped({"t": "0001-01-01T00:00", "v": 1}, time_zone="Asia/Tokyo")) == [[Code.TIME_STAMP_OUT_OF_RANGE]]
    assert codes(*mapped({"t": "2026-07-01T12:00:00", "v": 1})) == [[Code.TIME_STAMP_NO_TIMEZONE]]


def test_events_see_the_body_and_their_part() -> None:
    body = {"site": "north", "rows": [{"t": 0, "channels": [{"n": "a", "v": 1}, {"n": "b", "v": 2}]}]}
    found = mapped(
        body,
        events="rows",
        parts="channels",
        data="_part.v",
        source="join('/', [_body.site, _part.n])",
        unit="'V'",
        tags={"site": "_body.site", "absent": "nothing"},
        time_format="epoch_s",
    )
    at = "1970-01-01T00:00:00.000000"
    assert rows(*found) == [(at, "north/a", [1.0], "V"), (at, "north/b", [2.0], "V")]
    assert [each.tags for each in found if isinstance(each, Measurement)] == [{"site": "north"}] * 2


def test_events_may_be_arrays_of_values() -> None:
    found = mapped([[0, 1], [1, [2, 4]]], time_stamp="[0]", data="[1]", time_format="epoch_s")
    assert [row[2] for row in rows(*found)] == [[1.0], [3.0]]


@pytest.mark.parametrize(
    ("body", "stated", "expected"),
    [
        (b"{", {}, [Code.NOT_JSON]),
        ({"rows": []}, {"events": "rows"}, [Code.EMPTY_BATCH]),
        ({}, {"events": "rows"}, [Code.EMPTY_BATCH]),
        ({"t": "2026-07-01T12:00:00Z"}, {}, [Code.MISSING_FIELD]),
        ({"t": "2026-07-01T12:00:00Z", "v": "x"}, {}, [Code.DATA_NOT_NUMERIC]),
        ({"t": "2026-07-01T12:00:00Z", "v": []}, {}, [Code.DATA_EMPTY]),
        ({"t": "2026-07-01T12:00:00Z", "v": 1, "s": 7}, {"source": "s"}, [Code.SOURCE_INVALID]),
        ({"t": 1, "v": 1, "s": 7}, {"source": "join('/', [s])"}, [Code.MAPPING_FAILED]),
        ([1, 2], {"events": "keys(@)"}, [Code.MAPPING_FAILED]),
        ("text", {}, [Code.MISSING_FIELD, Code.MISSING_FIELD]),
    ],
)
def test_what_a_mapping_does_not_find_is_rejected(
    body: object, stated: Mapping[str, Any], expected: list[Code]
) -> None:
    assert codes(*mapped(body, **stated)) == [expected]


def test_a_local_time_outside_of_the_clock_is_rejected() -> None:
    found = mapped({"t": "9999-12-31T23:30:00", "v": 1}, time_zone="America/New_York")
    assert codes(*found) == [[Code.TIME_STAMP_OUT_OF_RANGE]]
    assert reasons(*found) == [["time_stamp is outside the years 1 to 9999 in UTC"]]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rows[?a == b].v", [1.0, 7.0]),
        ("rows[?a != b].v", [2.0, 4.0]),
        ("rows[?a == `true`].v", [4.0]),
        ("rows[?a == `1`].v", [1.0]),
    ],
)
def test_an_expression_compares_what_both_sides_are(expression: str, expected: list[float]) -> None:
    rows_of_it = [
        {"a": 1, "b": 1.0, "v": 1},
        {"a": 2, "b": 3, "v": 2},
        {"a": True, "b": 1, "v": 4},
        {"a": False, "b": False, "v": 7},
    ]
    found = mapped({"rows": rows_of_it, "t": "2026-07-01T12:00:00Z"}, data=expression)
    assert [row[2] for row in rows(*found)] == [[sum(expected) / len(expected)]]


def test_an_expression_joins_by_what_it_finds() -> None:
    body = {"t": "2026-07-01T12:00:00Z", "v": 1, "glue": "::", "parts": ["hall", "7"]}
    assert [each.source for each in mapped(body, source="join(glue, parts)")] == ["hall::7"]


def test_an_unknown_contract_rejects_all_of_it() -> None:
    (outcome,) = outcomes([{}, {}], "no-such-contract")
    assert codes(outcome) == [[Code.UNKNOWN_CONTRACT]]


def test_a_contract_by_name_holds_for_all_sources() -> None:
    assert [outcome.contract for outcome in outcomes(TELEGRAF, "telegraf")] == ["telegraf@1.0.0"] * 3
    assert [outcome.contract for outcome in outcomes(b"[]", "telegraf")] == ["telegraf@1.0.0"]


@pytest.mark.parametrize(
    "stated",
    [
        {"time_stamp": "a["},
        {"time_stamp": "no_such_function(@)"},
        {"data": "(" * 2_000},
        {"data": "a" * 1_001},
        {"events": ""},
        {"time_format": "epoch_h"},
        {"time_zone": "Europe/Atlantis"},
        {"time_zone": "../../etc/passwd"},
        {"time_zone": "Europe/Berlin", "time_format": "epoch_s"},
        {"tags": {f"tag-{number}": "a" for number in range(17)}},
        {"other": "a"},
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(stated: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PayloadMapping.model_validate({"time_stamp": "t", "data": "v", **stated})


def test_an_unknown_time_zone_says_so() -> None:
    with pytest.raises(ValidationError, match="time_zone\n  Value error, is not a time zone of the IANA database"):
        PayloadMapping.model_validate({"time_stamp": "t", "data": "v", "time_zone": "Europe/Atlantis"})


# ---- what would cost too much ----------------------------------------------------------------------------------------


DOUBLED = " | ".join(["[@, @][]"] * 40)


@pytest.mark.parametrize(
    ("field", "expression"),
    [
        ("events", DOUBLED),
        ("parts", DOUBLED),
        ("data", "join('', [@, @]) | " + " | ".join(["to_string([@, @])"] * 40)),
        ("data", "[" * 200 + "@" + "]" * 200),
        ("data", " | ".join(["{a: @, b: @} | [a, b] | []"] * 30)),
        ("data", "map(&map(&map(&map(&[@, @], @), @), @), [@, @, @])"),
    ],
)
def test_an_expression_that_explodes_is_a_rejection(
    field: str, expression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A small part of what a body may take, which test_an_event_that_cannot_be_mapped_says_why uses up.
    monkeypatch.setattr(expressions, "_BUDGET", 100_000)
    found = mapped({"t": 1, "v": [1] * 1_000}, **{field: expression})
    assert all(isinstance(outcome, Rejection) for outcome in found)


def test_more_events_than_a_body_may_hold_are_one_rejection(monkeypatch: pytest.MonkeyPatch) -> None:
    # test_promises.py has the number.
    monkeypatch.setattr("dropzone.domain.validate.MAX_EVENTS", 100)
    found = mapped({"v": list(range(101))}, events="v")
    assert (codes(*found), reasons(*found)) == ([[Code.TOO_LARGE]], [["$ has more than 100 events"]])
    assert len(mapped({"v": [0] * 100}, events="v")) == 100


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
SHAPES = st.sampled_from([TELEGRAF, COLLECTD[0], THINGS, SENSOR])


@given(
    st.sampled_from(["telegraf", "collectd", "the-things-network", "home-assistant"]), SHAPES, json_values, st.data()
)
def test_any_json_has_outcomes(contract: str, shape: dict[str, Any], value: object, data: st.DataObject) -> None:
    twisted = {**shape, data.draw(st.sampled_from(sorted(shape))): value}
    for body in (value, twisted, [twisted, value]):
        assert outcomes(body, contract)
        assert outcomes(body, contract) == outcomes(body, contract)


@pytest.mark.parametrize("value", [None, False, True, 0, 1, 0.0, 2.5, "", "5", "a", [], [0], ["a"], {}, {"a": 0}])
def test_what_is_evaluated_directly_is_what_the_library_finds(value: object) -> None:
    library = jmespath.Options(custom_functions=expressions._Functions())
    for text in (
        *("v.a", "[v, w]", "v || `1`", "[v, `0`, `false`][?@]", "[v][?@ == `0`]", "[v][?@ == `true`]", "type(v)"),
        *("join('/', v)", "to_number(v)", "pair(v, v)", "entries(v)", "entries(v)[?type(value)=='number'].key"),
    ):
        try:
            expected = json.dumps(jmespath.search(text, {"v": value}, library))
        except expressions.ERRORS as error:
            with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
                expressions.search(text)({"v": value})
        else:
            assert json.dumps(expressions.search(text)({"v": value})) == expected, text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "is not JMESPath: Invalid jmespath expression: Incomplete expression:"),
        ("length(nope(@))", "calls a function that JMESPath doesn't have: nope"),
        ("b(a(@))", "calls a function that JMESPath doesn't have: a"),
        ("x" * 1_001, "has more than 1000 characters"),
    ],
)
def test_an_expression_that_cannot_be_evaluated_says_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        expressions.search(text)
    assert expressions.search("x" * 1_000)({}) is None


@pytest.mark.parametrize(
    ("body", "stated", "reason"),
    [
        (b"[1, 2]", {"events": "keys(@)"}, "keys() takes object, and got array"),
        (b'{"t": "2026-07-01T12:00:00Z", "v": 1e999}', {"data": "[floor(v)]"}, "OverflowError"),
        (
            json.dumps({"v": [1] * 1_000}).encode(),
            {"data": " | ".join(["[@, @][]"] * 40)},
            "it takes more steps than are allowed",
        ),
    ],
)
def test_an_event_that_cannot_be_mapped_says_why(body: bytes, stated: Mapping[str, str], reason: str) -> None:
    assert reasons(*mapped(body, **stated)) == [[f"$ can't be mapped as its contract says: {reason}"]]


def test_an_event_reaches_its_body() -> None:
    body = {"site": "hall-3", "rows": [{"t": "2026-07-01T12:00:00Z", "v": 1}]}
    assert [row[1] for row in rows(*mapped(body, events="rows", source="_body.site"))] == ["hall-3"]


def test_a_float_s_epoch_is_that_of_its_shortest_text() -> None:
    (outcome,) = mapped({"t": 1_458_229_140.1, "v": 1}, time_format="epoch_s")
    assert [row[0] for row in rows(outcome)] == ["2016-03-17T15:39:00.100000"]


def test_one_event_without_parts_leaves_the_others() -> None:
    metric = {"name": "cpu", "tags": {"host": "a"}, "fields": {"idle": 1.5}, "timestamp": 1_458_229_140}
    found = outcomes({"metrics": [metric, {**metric, "fields": None}, 5, metric]}, "telegraf")
    assert codes(*found) == [[], [Code.MAPPING_FAILED], [Code.MAPPING_FAILED], []]
    (violation,) = found[1].violations if isinstance(found[1], Rejection) else []
    assert violation.message == "can't be mapped as its contract says: entries() takes object, and got null"


def test_a_function_that_takes_several_types_says_which() -> None:
    assert reasons(*mapped({"t": "2026-01-01T00:00:00Z", "v": 5}, data="[length(v)]")) == [
        ["$ can't be mapped as its contract says: length() takes string or array or object, and got number"]
    ]


def test_many_parts_of_a_wide_event_take_little_memory() -> None:
    wide = {f"k{number}": number for number in range(1_000)}
    metric = {"name": "cpu", "fields": wide, "timestamp": 1_458_229_140} | wide
    body = json.dumps(metric).encode()
    outcomes(body, "telegraf")
    tracemalloc.start()
    try:
        found = outcomes(body, "telegraf")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [each.source for each in found] == [f"cpu/k{number}" for number in range(1_000)]
    assert peak < 10_000_000, peak  # with a copy of the event for each part: 40 MB


# ---- SenML, RFC 8428 -------------------------------------------------------------------------------------------------


def test_the_single_data_point_of_the_rfc() -> None:
    # Section 5.1.1
    (outcome,) = outcomes([{"n": "urn:dev:ow:10e2073a01080063", "u": "Cel", "v": 23.1}], content_type=SENML)
    assert rows(outcome) == [("2026-11-24T17:00:00.000000", "urn:dev:ow:10e2073a01080063", [23.1], "Cel")]


def test_the_multiple_data_points_of_the_rfc() -> None:
    # Section 5.1.3
    voltage: list[dict[str, Any]] = [
        {"bn": "urn:dev:ow:10e2073a0108006:", "bt": 1.276020076001e09, "bu": "A", "bver": 5,
         "n": "voltage", "u": "V", "v": 120.1},
        {"n": "current", "t": -5, "v": 1.2},
        {"n": "current", "t": -4, "v": 1.3},
        {"n": "current", "v": 1.7},
    ]  # fmt: skip
    current = "urn:dev:ow:10e2073a0108006:current"
    assert rows(*outcomes(voltage, content_type=SENML)) == [
        ("2010-06-08T18:01:16.001000", "urn:dev:ow:10e2073a0108006:voltage", [120.1], "V"),
        ("2010-06-08T18:01:11.001000", current, [1.2], "A"),
        ("2010-06-08T18:01:12.001000", current, [1.3], "A"),
        ("2010-06-08T18:01:16.001000", current, [1.7], "A"),
    ]


def test_the_relative_times_of_the_rfc() -> None:
    # Section 5.1.3, second example: without a base time, times are relative to the arrival.
    pack = [
        {"bn": "urn:dev:ow:10e2073a01080063", "bu": "%RH", "v": 20},
        {"t": -60, "v": 19.7},
        {"u": "lon", "t": -60, "v": 24},
    ]
    assert rows(*outcomes(pack, content_type=SENML)) == [
        ("2026-11-24T17:00:00.000000", "urn:dev:ow:10e2073a01080063", [20.0], "%RH"),
        ("2026-11-24T16:59:00.000000", "urn:dev:ow:10e2073a01080063", [19.7], "%RH"),
        ("2026-11-24T16:59:00.000000", "urn:dev:ow:10e2073a01080063", [24.0], "lon"),
    ]


def test_the_data_types_of_the_rfc() -> None:
    # Section 5.1.5: numbers alone are measurements; the others are counted and explained.
    pack = [
        {"bn": "urn:dev:ow:10e2073a01080063:", "n": "temp", "u": "Cel", "v": 23.1},
        {"n": "label", "vs": "Machine Room"},
        {"n": "open", "vb": False},
        {"n": "nfc-reader", "vd": "aGkgCg"},
        {"n": "energy", "s": 17},
    ]
    found = outcomes(pack, content_type=SENML)
    assert codes(*found) == [[], *[[Code.DATA_NOT_NUMERIC]] * 4]
    assert reasons(*found) == [
        [],
        ["data holds a string at index 0: only numbers are allowed"],
        ["data holds a boolean at index 0: only numbers are allowed"],
        ["data holds a string at index 0: only numbers are allowed"],
        ["data holds null at index 0: only numbers are allowed"],
    ]


def test_the_machine_s_own_time_zone_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        senml = outcomes([{"n": "a", "v": 1}], content_type=SENML)
        local = mapped({"t": "2026-07-01T12:00:00", "v": 1}, time_zone="Europe/Berlin")
        plain = outcomes({"time_stamp": "2026-07-01T12:00:00+02:00", "data": [1]})
    finally:
        monkeypatch.undo()
        time.tzset()

    assert [row[0] for row in rows(*senml, *local, *plain)] == [
        "2026-11-24T17:00:00.000000",
        *["2026-07-01T10:00:00.000000"] * 2,
    ]


def test_an_item_is_shown_as_it_is_mapped_with_a_time_that_can_not_be() -> None:
    mapping = PayloadMapping.model_validate({"time_stamp": "t", "data": "v", "time_format": "epoch_s"})
    of = contracts(Contract(id="mapped", version="1", mapping=mapping))
    contents = Contents(b'[{"t": 0, "v": 1}, {"t": "noon", "v": 2}]', contracts=of, contract="mapped")

    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert [contents.event(item) for item in range(3)] == [
        {"schema_version": 2, "time_stamp": epoch, "data": [1]},
        {"schema_version": 2, "time_stamp": "noon", "data": [2]},
        None,
    ]


def test_a_contract_that_is_not_deployed_is_named_as_the_reason() -> None:
    assert reasons(*outcomes({}, "gone", of=contracts())) == [["$ was sent to a contract that is not deployed"]]


def test_a_time_of_senml_is_absolute_from_a_bound_on() -> None:
    # Section 4.5.3: below 2**28 seconds it is relative to now.
    pack = [{"n": "a", "t": 2**28, "v": 1}, {"n": "a", "t": 2**28 - 1, "v": 1}]
    assert [row[0][:4] for row in rows(*outcomes(pack, content_type=SENML))] == ["1978", "2035"]


def test_the_base_value_of_the_rfc() -> None:
    pack = [{"bn": "x:", "bv": 20.0, "bt": 1_700_000_000, "n": "a", "v": 1.1}, {"n": "b", "v": -0.1}, {"n": "c"}]
    assert [row[2] for row in rows(*outcomes(pack, content_type=SENML))] == [[21.1], [19.9], [20.0]]


@pytest.mark.parametrize(
    ("pack", "expected"),
    [
        ({}, ["$ is not an array of SenML records"]),
        ([1, {"n": "a", "v": 1}], ["$ holds a record that is not an object", None]),
        ([{"n": "a", "v": 1, "future_": 1}], ["future_ must be understood, but is not supported"]),
        ([{"n": "a", "v": 1, "x" * 80 + "_": 1}], [f"{'x' * 64} must be understood, but is not supported"]),
        ([{"n": "a", "v": 1, "future": 1}], [None]),
        ([{"bver": 11, "n": "a", "v": 1}], ["bver is a version of SenML above 10"]),
        ([{"bver": 10, "n": "a", "v": 1}], [None]),
        (
            [{"n": "a", "v": 1}, {"bn": 5}, {"n": "b", "v": 2}, {"n": "c", "v": 3}],
            [None, "bn is not a string", *["$ follows a record whose base values can't be read"] * 2],
        ),
        ([{"n": 5, "v": 1}, {"n": "b", "v": 2}], ["n is not a string", None]),
        (
            [{"bn": 5}, {"n": 5, "v": 1}, {"n": "b", "v": 2}],
            [
                "bn is not a string",
                "n is not a string",
                "$ follows a record whose base values can't be read",
            ],
        ),
        ([{"n": "a", "v": "1"}], ["v is not a number"]),
        ([{"n": "a", "v": 1, "t": True}], ["t is not a number"]),
        ([{"n": "a", "t": 1e300, "v": 1}], ["time_stamp is outside the years 1 to 9999 in UTC"]),
    ],
)
def test_what_is_no_senml_is_rejected(pack: object, expected: list[str | None]) -> None:
    found = outcomes(pack, content_type=SENML)
    assert reasons(*found) == [[reason] if reason else [] for reason in expected]
    assert {code for each in codes(*found) for code in each} <= {Code.MAPPING_FAILED, Code.TIME_STAMP_OUT_OF_RANGE}


@pytest.mark.parametrize("pack", [[{"bn": "only a base"}], []])
def test_senml_without_a_value_is_an_empty_batch(pack: object) -> None:
    assert codes(*outcomes(pack, content_type=SENML)) == [[Code.EMPTY_BATCH]]


def test_a_rejected_record_of_senml_has_its_source() -> None:
    (rejected,) = outcomes([{"bn": "hall-3/", "n": "a", "t": 1e300, "v": 1}], content_type=SENML)
    assert rejected.source == "hall-3/a"


@pytest.mark.parametrize("pack", ['"bv": 1e999, "v": -1e999', '"bt": -1e999, "t": 1e999, "v": 1', '"t": 1e999, "v": 1'])
def test_infinities_in_senml_are_rejected(pack: str) -> None:
    found = outcomes(f'[{{"n": "a", "v": 1}}, {{"n": "b", {pack}}}]'.encode(), content_type=SENML)
    assert codes(*found) == [[], [Code.MAPPING_FAILED]]
    [reason] = reasons(found[1])[0]
    assert reason.endswith(" is beyond the range of binary64")


@given(json_values)
def test_any_json_has_outcomes_as_senml_and_as_cloudevents(value: object) -> None:
    for content_type in (SENML, CLOUDEVENTS):
        assert outcomes(value, content_type=content_type)
        assert outcomes([value, {"n": "x", "v": value, "data": value}], content_type=content_type)


# ---- CloudEvents 1.0 -------------------------------------------------------------------------------------------------

CLOUD_EVENT = {
    "specversion": "1.0",
    "type": "com.example.measured",
    "source": "/hall-3",
    "subject": "hall-3/thermometer-7",
    "id": "A234-1234-1234",
    "time": "2018-04-05T17:31:00Z",
    "datacontenttype": "application/json",
    "data": {"data": [20, 22], "unit": "°C"},
}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ("2018-04-05T17:31:00.000000", "hall-3/thermometer-7", [21.0], "°C")),
        ({"subject": None}, ("2018-04-05T17:31:00.000000", "/hall-3", [21.0], "°C")),
        ({"data": 5}, ("2018-04-05T17:31:00.000000", "hall-3/thermometer-7", [5.0], "")),
        ({"data": [5, 7]}, ("2018-04-05T17:31:00.000000", "hall-3/thermometer-7", [6.0], "")),
        (
            {"data": {"data": [1], "source": "own", "time_stamp": "2019-05-01T06:00:00-04:00"}},
            ("2019-05-01T10:00:00.000000", "own", [1.0], ""),
        ),
        (
            {"data": None, "data_base64": "eyJkYXRhIjogWzEsIDNdfQ=="},
            ("2018-04-05T17:31:00.000000", "hall-3/thermometer-7", [2.0], ""),
        ),
    ],
)
def test_the_data_of_a_cloud_event_is_an_event(changed: dict[str, Any], expected: tuple[Any, ...]) -> None:
    event = {name: value for name, value in (CLOUD_EVENT | changed).items() if value is not None}
    assert rows(*outcomes(event, content_type=CLOUDEVENTS)) == [expected]
    batch = "application/cloudevents-batch+json"
    assert rows(*outcomes([event, event], content_type=batch)) == [expected] * 2


_MISSING = "is missing: a CloudEvent has it as a string"
_NOT_BASE64 = (Code.MAPPING_FAILED, "data_base64 is not the base64 of JSON")


@pytest.mark.parametrize(
    ("changed", "code", "reason"),
    [
        ({"id": None}, Code.MISSING_FIELD, f"id {_MISSING}"),
        ({"type": ""}, Code.MISSING_FIELD, f"type {_MISSING}"),
        ({"source": 5}, Code.MISSING_FIELD, f"source {_MISSING}"),
        ({"specversion": 1}, Code.MISSING_FIELD, f"specversion {_MISSING}"),
        (
            {"specversion": "0.3"},
            Code.MAPPING_FAILED,
            "specversion is not 1.0, the supported version of CloudEvents",
        ),
        ({"time": None}, Code.MISSING_FIELD, "time_stamp is missing"),
        ({"data": None}, Code.MISSING_FIELD, "data is missing"),
        ({"data": "text"}, Code.DATA_NOT_ARRAY, "data is not an array"),
        ({"data_base64": "???"}, *_NOT_BASE64),
        ({"data_base64": 7}, *_NOT_BASE64),
        # With one character that base64 doesn't have, which a lenient decoder leaves out.
        ({"data_base64": "eyJk?YXRhIjogWzEsIDNdfQ=="}, *_NOT_BASE64),
        ({"data_base64": "aGVsbG8="}, *_NOT_BASE64),
    ],
)
def test_what_is_no_cloud_event_is_rejected(changed: dict[str, Any], code: Code, reason: str) -> None:
    event = {name: value for name, value in (CLOUD_EVENT | changed).items() if value is not None}
    found = outcomes(event, content_type=CLOUDEVENTS)
    assert (codes(*found), reasons(*found)) == ([[code]], [[reason]])


def test_what_is_no_object_is_no_cloud_event() -> None:
    found = outcomes([5, CLOUD_EVENT], content_type="application/cloudevents-batch+json")
    assert reasons(*found) == [["$ is not a CloudEvent, which is a JSON object"], []]
    assert codes(*found) == [[Code.NOT_OBJECT], []]
