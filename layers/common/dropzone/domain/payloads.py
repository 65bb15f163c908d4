"""The versions of the payload: a model for each, all of which convert to the same canonical measurement.

Also what a client reports instead of an event (docs/adr/0025). docs/evolution.md explains how the version of an event
is determined, and what a version may change.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, PlainValidator, ValidationError
from pydantic_core import PydanticCustomError, PydanticKnownError

from dropzone.domain.aggregates import aggregate
from dropzone.domain.instants import parse_instant
from dropzone.domain.outcomes import (
    CLIENT_REJECTED,
    NO_TAGS,
    Code,
    EventId,
    Measurement,
    Rejection,
    Violation,
    excerpt,
    violations_in,
)

VERSION_FIELD = "schema_version"
MAX_SOURCE, MAX_UNIT = 200, 50
MAX_TAGS, MAX_TAG_NAME, MAX_TAG_VALUE = 16, 64, 256
"""Limits in characters; `MAX_TAGS` is the number of tags."""


def _instant(value: object) -> datetime:
    if type(value) is datetime:
        return value  # from a mapping: JSON has no such type
    if type(value) is not str:
        raise PydanticCustomError("string_type", "is not a string")
    parsed = parse_instant(value)
    if isinstance(parsed, Violation):
        raise PydanticCustomError(parsed.code, parsed.message)
    return parsed


Instant = Annotated[
    datetime,
    PlainValidator(_instant, json_schema_input_type=str),
    Field(
        description=(
            "The instant, ISO 8601 with an offset: `YYYY-MM-DD`, then `T`, `t` or a space, `hh:mm`, optional `:ss` "
            "and a fraction, then `Z` or `±hh:mm`, `±hhmm`, `±hh`. Digits past the microsecond are cut."
        )
    ),
]
Samples = Annotated[
    list[Annotated[float, Field(allow_inf_nan=False)]],
    FailFast(),
    Field(min_length=1, description="The samples: numbers only, each within the range of a 64-bit float."),
]


_RAW_ID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"


class Corrects(BaseModel):
    """The rejected event that this one corrects: when this event is processed, that rejection is resolved."""

    model_config = ConfigDict(strict=True, frozen=True, defer_build=True)

    raw_id: str = Field(pattern=_RAW_ID, description="The object of the rejected event: a UUIDv7.")
    item: int = Field(ge=0, le=2**31 - 1, description="Its position in the object, counted from 0.")

    @property
    def event_id(self) -> EventId:
        return EventId(UUID(self.raw_id), self.item)


class Event(BaseModel):
    """The base of every version: validates an event strictly, and ignores undeclared fields."""

    model_config = ConfigDict(strict=True, frozen=True, defer_build=True)

    time_stamp: Instant
    data: Samples

    @property
    @abstractmethod
    def named_source(self) -> str:
        """Empty if the event names none."""

    @abstractmethod
    def measurement(self, contract: str = "") -> Measurement:
        """The event in its canonical form, validated by a contract."""

    @classmethod
    def read(cls, event: dict[str, Any]) -> Self | Rejection:
        """A valid event, or its rejection by the basic rules. Accepts any JSON object."""
        try:
            # Same as `model_validate`, whose handling of options takes a tenth of an event's time.
            valid: Self = cls.__pydantic_validator__.validate_python(event)
        except ValidationError as error:
            violations = violations_in(error, event)
        else:
            return valid
        read = cls.model_fields.keys() - {violation.field for violation in violations}
        source = event.get("source") if "source" in read else None
        corrects = event.get("corrects") if "corrects" in read else None
        return Rejection(
            tuple(violations), source or "", corrects=corrects and Corrects.model_validate(corrects).event_id
        )


class EventV1(Event):
    """Version 1: an instant and its samples. Other fields are stored but not read."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2]}]}
    )

    schema_version: Literal[1] = Field(
        default=1,
        description=(
            "The payload version. If absent, it is 1 for an event without `source`, `unit`, `tags` and `corrects`."
        ),
    )
    time_stamp: Instant
    data: Samples

    @property
    def named_source(self) -> str:
        """Always empty: this version has no source."""
        return ""

    def measurement(self, contract: str = "") -> Measurement:
        """The event in its canonical form, with an empty source."""
        return Measurement(self.time_stamp, "", aggregate(self.data), "", NO_TAGS, (), contract)


# Postgres can't store NUL, and pages can't show the other control characters. In ECMA-262's syntax, for JSON Schema.
_CLEAN = r"^[^\u0000-\u001f\u007f-\u009f]*$"


def _limit_tags(value: object) -> object:
    # Checked before the entries are validated, since pydantic would report each of many thousands.
    if isinstance(value, dict) and len(value) > MAX_TAGS:
        context = {"field_type": "Object", "max_length": MAX_TAGS, "actual_length": len(value)}
        raise PydanticKnownError("too_long", context)
    return value


def _without_default(schema: dict[str, Any]) -> None:
    # An event without a version has this version only if it has one of its fields.
    del schema["default"]


Source = Annotated[str, Field(max_length=MAX_SOURCE, pattern=_CLEAN)]
Unit = Annotated[str, Field(max_length=MAX_UNIT, pattern=_CLEAN)]
Tags = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=MAX_TAG_NAME, pattern=_CLEAN)],
        Annotated[str, Field(max_length=MAX_TAG_VALUE, pattern=_CLEAN)],
    ],
    # The pattern of the names becomes `patternProperties`, which would allow other names, too.
    Field(max_length=MAX_TAGS, json_schema_extra={"additionalProperties": False}),
    BeforeValidator(_limit_tags),
]


class Labels(BaseModel):
    """What an event of version 1 hasn't; absent and null are the same."""

    model_config = ConfigDict(strict=True, frozen=True, defer_build=True)

    source: Source | None = Field(
        default=None, description="The source: part of the measurement's key. No control characters."
    )
    unit: Unit | None = Field(default=None, description="The unit of the samples, such as `°C`. No control characters.")
    tags: Tags | None = Field(default=None, description="Additional labels. No control characters.")
    corrects: Corrects | None = Field(
        default=None,
        description=(
            "The rejected event that this one corrects. When this event is processed, that rejection is "
            "resolved, if it has the same source or none."
        ),
    )


class EventV2(Event, Labels):
    """Version 2: version 1 plus the source, unit and tags of the measurement, and the rejected event that it corrects.

    Each of the four may be absent or null. Events with the same instant and source are the same measurement: the last
    to arrive replaces the others. Other fields are stored but not read.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "schema_version": 2,
                    "time_stamp": "2026-11-24T16:44:35.108Z",
                    "data": [21.5, 21.7],
                    "source": "hall-3/thermometer-7",
                    "unit": "°C",
                    "tags": {"line": "B"},
                },
                {
                    "schema_version": 2,
                    "time_stamp": "2026-11-24T16:44:35.108Z",
                    "data": [21.5, 21.7],
                    "corrects": {"raw_id": "01a20e71-e5a4-700b-bae4-431c79e16819", "item": 0},
                },
            ]
        }
    )

    schema_version: Literal[2] = Field(
        default=2,
        description=(
            "The payload version. If absent, it is 2 for an event with `source`, `unit`, `tags` or `corrects`."
        ),
        json_schema_extra=_without_default,
    )
    time_stamp: Instant
    data: Samples

    @property
    def named_source(self) -> str:
        """The source; empty if absent or null."""
        return self.source or ""

    def measurement(self, contract: str = "") -> Measurement:
        """The event in its canonical form; a source or unit that it doesn't name is empty."""
        return Measurement(
            self.time_stamp,
            self.source or "",
            aggregate(self.data),
            self.unit or "",
            self.tags or NO_TAGS,
            (),
            contract,
            None if self.corrects is None else self.corrects.event_id,
        )


_OF_VERSION_2 = frozenset(Labels.model_fields)

VERSIONS: Mapping[int | None, type[Event]] = MappingProxyType({1: EventV1, 2: EventV2})

READERS: Mapping[int | None, Callable[[dict[str, Any]], Event | Rejection]] = {
    number: version.read for number, version in VERSIONS.items()
}
"""`Event.read` of each version, looked up once: attribute access is slow on pydantic classes."""


def version_of(event: Mapping[str, Any]) -> int | None:
    """The version that an event names (2.0 is 2, as in JSON); None if it is not an integer.

    An event that names none has version 2 if it has a field of that version, and version 1 otherwise (docs/adr/0019).
    """
    if VERSION_FIELD not in event:
        return 1 if _OF_VERSION_2.isdisjoint(event) else 2
    version = event[VERSION_FIELD]
    # In Python, True is an int; infinity is not an integer.
    is_number = type(version) is int or (isinstance(version, float) and version.is_integer())
    return int(version) if is_number else None


_MAX_REASON, _MAX_MESSAGE = 200, 500


class ClientReason(BaseModel):
    """Why there is no event."""

    model_config = ConfigDict(strict=True, frozen=True, defer_build=True)

    code: str = Field(pattern=r"^[a-z0-9_.]{1,64}$", description="An error code of the client's own.")
    reason: str = Field(description=f"A text for people. The first {_MAX_REASON} characters are shown.")
    lines: Annotated[list[int], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="The first and last line numbers in the input."
    )
    text: str | None = Field(default=None, description="The text of the lines, possibly truncated.")


class ClientRejection(BaseModel):
    """Input lines from which the client could not build an event. They count as one rejected event.

    The outcome is a rejection with the code `client.rejected`, which a later event can correct.
    """

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        defer_build=True,
        json_schema_extra={
            "examples": [
                {
                    "client_rejected": {
                        "code": "row.not_number",
                        "reason": "'n/a' in the column 'temp' is not a number",
                        "lines": [37, 37],
                        "text": "2026-11-24T16:44:35Z,n/a",
                    },
                    "source": "hall-3/thermometer-7",
                }
            ]
        },
    )

    client_rejected: ClientReason
    source: Source | None = Field(default=None, description="The source, if known.")


def client_rejection(payload: dict[str, Any]) -> Rejection:
    """The rejection that a client reports, even if the report itself is not valid."""
    try:
        report = ClientRejection.model_validate(payload)
    except ValidationError:
        report = None
    reason = "gives no readable reason"
    if report is not None:
        reason = f"{report.client_rejected.code}: {excerpt(report.client_rejected.reason, _MAX_REASON)}"
    message = f"the client could not build an event; {reason}"[:_MAX_MESSAGE]
    violation = Violation(Code.CLIENT_REJECTED, CLIENT_REJECTED, message)
    return Rejection((violation,), (report and report.source) or "")
