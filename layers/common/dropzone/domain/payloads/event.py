"""Shared parts of the payload versions."""

from abc import abstractmethod
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, FailFast, Field, PlainValidator, ValidationError
from pydantic_core import PydanticCustomError

from dropzone.domain.instants import parse_instant
from dropzone.domain.outcomes import EventId, Measurement, Rejection, Violation
from dropzone.domain.violations import violations_in


def _instant(value: object) -> datetime:
    if type(value) is datetime:
        return value  # of a mapping: JSON has none
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
    Field(min_length=1, description="The samples: numbers alone, each within the range of binary64."),
]


_RAW_ID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"


class Corrects(BaseModel):
    """The rejected event that this one replaces: when this one is processed, that rejection is resolved."""

    model_config = ConfigDict(strict=True, frozen=True, defer_build=True)

    raw_id: str = Field(pattern=_RAW_ID, description="The rejected event's object: a UUIDv7.")
    item: int = Field(ge=0, le=2**31 - 1, description="Its place in it, from 0.")

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
        """A valid event, or its rejection by the basic rules. Takes any JSON object."""
        try:
            # As `model_validate`, whose options that nobody gives take a tenth of the time of an event.
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
