"""Versions of the payload: what each reads, and that another touches nothing else."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import Field

import dropzone.domain.validate as validate_module
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.outcomes import Code, EventId, Measurement, Rejection, Violation
from dropzone.domain.payloads import READERS, VERSIONS, Event, EventV2
from dropzone.domain.validate import validate

INSTANT = datetime(2019, 5, 1, 10, tzinfo=UTC)
FIGURES = Aggregates(1.0, 1.0, 2, 0.0, 2.0)


def event(**fields: object) -> bytes:
    return json.dumps({"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2], **fields}).encode()


def test_version_2_reads_source_unit_and_tags() -> None:
    tags = {"line": "B", "shift": ""}
    (outcome,) = validate(event(schema_version=2, source="hall-3/°7", unit="°C", tags=tags, other=[1]))
    assert outcome == Measurement(INSTANT, "hall-3/°7", FIGURES, "°C", tags)


@pytest.mark.parametrize("absent", [{}, {"source": None, "unit": None, "tags": None}, {"source": "", "tags": {}}])
def test_absent_and_null_are_the_same(absent: dict[str, object]) -> None:
    assert validate(event(schema_version=2, **absent)) == (Measurement(INSTANT, "", FIGURES, "", {}),)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (5, "is not an object"),
        ({"": "a"}, "has a name that is empty"),
        ({"x" * 65: "a"}, "has a name that is longer than 64 characters"),
        ({"a": "x" * 257}, "has a value that is longer than 256 characters"),
        ({"a": 1}, "has a value that is not a string"),
    ],
)
def test_what_is_wrong_with_tags_is_said_of_a_name_or_a_value(tags: object, message: str) -> None:
    (outcome,) = validate(event(schema_version=2, tags=tags))

    assert isinstance(outcome, Rejection)
    assert [violation.message for violation in outcome.violations] == [message]


def test_a_time_that_is_no_string_is_said_to_be_none() -> None:
    (outcome,) = validate(event(time_stamp=5))

    assert isinstance(outcome, Rejection)
    assert [violation.message for violation in outcome.violations] == ["is not a string"]


def test_the_schema_leaves_open_which_version_an_event_without_one_has() -> None:
    assert "default" not in EventV2.model_json_schema()["properties"]["schema_version"]


def test_version_1_reads_none_of_them() -> None:
    assert validate(event(schema_version=1, source=5, unit=[], tags="x")) == (Measurement(INSTANT, "", FIGURES),)


@pytest.mark.parametrize(
    "labels", [{"source": "a"}, {"unit": "V"}, {"tags": {"line": "B"}}, {"source": None}, {"corrects": None}]
)
def test_an_event_with_a_field_of_version_2_and_no_version_is_of_version_2(labels: dict[str, object]) -> None:
    assert validate(event(**labels)) == validate(event(schema_version=2, **labels))
    assert validate(event(**dict.fromkeys(labels, 5))) == validate(event(schema_version=2, **dict.fromkeys(labels, 5)))


CORRECTED = EventId(UUID("01a20e71-e5a4-700b-bae4-431c79e16819"), 3)
CORRECTS = {"raw_id": str(CORRECTED.raw_id).upper(), "item": 3}


def test_an_event_names_the_one_that_it_corrects_whatever_becomes_of_it() -> None:
    outcomes = validate(event(schema_version=2, corrects=CORRECTS)) + validate(event(data=[], corrects=CORRECTS))
    assert [(type(outcome), outcome.corrects) for outcome in outcomes] == [
        (Measurement, CORRECTED),
        (Rejection, CORRECTED),
    ]
    others = validate(event(schema_version=2, corrects=None)) + validate(event(schema_version=1, corrects=CORRECTS))
    assert [outcome.corrects for outcome in others] == [None, None]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (5, "is not a JSON object"),
        ({"item": 0}, "names no event: its raw_id is missing"),
        ({**CORRECTS, "raw_id": "x"}, "names no event: its raw_id is not a UUIDv7"),
        ({**CORRECTS, "item": -1}, "names no event: its item is below 0"),
        ({**CORRECTS, "item": "1"}, "names no event: its item is not an integer"),
    ],
)
def test_what_is_wrong_with_a_reference_is_reported(named: object, message: str) -> None:
    assert validate(event(data=[], corrects=named)) == (
        Rejection(
            (
                Violation(Code.CORRECTS_INVALID, "corrects", message),
                Violation(Code.DATA_EMPTY, "data", "is empty: at least one number is needed"),
            )
        ),
    )


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_may_be_written_as_a_float(version: int) -> None:
    assert validate(event(schema_version=float(version), source="a")) == validate(
        event(schema_version=version, source="a")
    )


def test_labels_may_be_as_long_as_their_limits() -> None:
    tags = {f"{number:064}": "x" * 256 for number in range(16)}
    (outcome,) = validate(event(schema_version=2, source="s" * 200, unit="u" * 50, tags=tags))
    assert outcome == Measurement(INSTANT, "s" * 200, FIGURES, "u" * 50, tags)


def test_every_violation_is_found_and_the_source_is_kept() -> None:
    # GIVEN an event with all that can be wrong, and one whose source alone can be read
    everything = validate(event(schema_version=2, time_stamp="now", data=[], source=5, unit=5, tags=5))
    the_rest = validate(event(schema_version=2, data=[], source="sensor-1"))

    # THEN all is said, and who measured is known where that can be read
    (outcome,) = everything
    assert isinstance(outcome, Rejection)
    assert {violation.code for violation in outcome.violations} == {
        Code.TIME_STAMP_NOT_ISO8601,
        Code.DATA_EMPTY,
        Code.SOURCE_INVALID,
        Code.UNIT_INVALID,
        Code.TAGS_INVALID,
    }
    assert outcome.source == ""
    (outcome,) = the_rest
    assert isinstance(outcome, Rejection)
    assert outcome.source == "sensor-1"


def test_messages_quote_no_label() -> None:
    marker = "MARKER" * 100
    (outcome,) = validate(event(schema_version=2, source=marker, unit=marker, tags={marker: marker}))
    assert isinstance(outcome, Rejection)
    assert "MARKER" not in str(outcome)


def test_another_version_touches_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN a version 99, which calls its samples by another name
    class EventV99(Event):
        data: list[float] = Field(validation_alias="samples")
        device: str = ""

        @property
        def named_source(self) -> str:
            return self.device

        def measurement(self, contract: str = "") -> Measurement:
            mean, std_dev = self.data
            return Measurement(INSTANT, self.device, Aggregates(mean, std_dev, 1, mean, mean), contract=contract)

    before = [validate(event()), validate(event(schema_version=2, source="a"))]

    # WHEN it is registered
    monkeypatch.setattr(validate_module, "READERS", {**READERS, 99: EventV99.read})

    # THEN its events are read, and those of the others as before
    assert validate(event(schema_version=99, samples=[5.0, 0.0], device="x")) == (
        Measurement(INSTANT, "x", Aggregates(5.0, 0.0, 1, 5.0, 5.0)),
    )
    assert [validate(event()), validate(event(schema_version=2, source="a"))] == before


def test_an_unknown_version_says_which_are_known() -> None:
    known = ", ".join(map(str, VERSIONS))
    (outcome,) = validate(event(schema_version=99))
    assert isinstance(outcome, Rejection)
    assert outcome.violations == (
        Violation(Code.UNSUPPORTED_VERSION, "schema_version", f"names no known version of the payload ({known})"),
    )
