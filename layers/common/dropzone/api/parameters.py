"""Parameters of requests: shared types, and reading them from a query or a body."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Self
from urllib.parse import unquote
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from dropzone.api.problems import FieldError, InvalidRequestError
from dropzone.domain.instants import parse_instant
from dropzone.domain.outcomes import MAX_VIOLATIONS
from dropzone.domain.payloads import MAX_SOURCE

_LONGEST_NAME = 40

_CODES = {
    "missing": "missing",
    "extra_forbidden": "unknown",
    "time_zone": "time_zone",
    **dict.fromkeys(
        (
            *("greater_than", "greater_than_equal", "less_than", "less_than_equal", "int_parsing_size"),
            *("finite_number", "too_short", "too_long", "string_too_short", "string_too_long"),
        ),
        "out_of_range",
    ),
}
"""Our codes by pydantic's error types; all others are `invalid`."""


class Request(BaseModel):
    """The base of all parameter models. Undeclared parameters are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _parsed(cls, parameters: object) -> object:
        """Have JSON parsed first: pydantic's JSON reader ignores a field given by its name instead of rejecting it."""
        return parameters

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Read parameters from a query, where all values are text.

        Raises:
            InvalidRequestError: parameters are invalid; it lists each of them.
        """
        try:
            return cls.model_validate_strings(query)
        except ValidationError as error:
            raise invalid_request(_entries(error)) from None

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Read parameters from a JSON object, with JSON types.

        Raises:
            InvalidRequestError: parameters are invalid; it lists each of them.
        """
        try:
            return cls.model_validate_json(body, strict=True)
        except ValidationError as error:
            raise invalid_request(_entries(error)) from None


# A time, followed by a space instead of `+`, and the offset.
_SPACE_FOR_PLUS = re.compile(
    r"([Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?) ([0-9]{2}(?::?[0-9]{2})?)\Z", re.ASCII
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def with_plus(text: str) -> str:
    """An instant from a URL, where an unescaped `+` arrives as a space."""
    return _SPACE_FOR_PLUS.sub(r"\1+\2", text)


def _instant(value: object) -> datetime:
    found = parse_instant(value) if isinstance(value, str) else None
    if not isinstance(found, datetime):
        raise PydanticCustomError("instant", "Input should be of the form YYYY-MM-DDThh:mm[:ss[.f]] with an offset")
    return found


def _instant_in_path(value: str) -> datetime:
    # Paths arrive as sent: colons and signs may be escaped.
    return _instant(with_plus(unquote(value)))


def _raw_id(value: str) -> UUID:
    if not _UUID.fullmatch(value):
        raise PydanticCustomError("uuid", "is not a UUID")
    return UUID(value)


def _instant_or_date(value: object) -> datetime | date:
    text = with_plus(value) if isinstance(value, str) else ""
    if not _DATE.fullmatch(text):
        return _instant(text)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise PydanticCustomError("instant", "Input should be a date that exists") from None


def _zone(name: str) -> str:
    if not _ZONE.fullmatch(name):
        raise PydanticCustomError("time_zone", ZONE_EXPECTED)
    return name


_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,30}(?:/[A-Za-z0-9_+-]{1,30}){0,2}", re.ASCII)
ZONE_EXPECTED = "Input should be the IANA name of a time zone, such as Europe/Berlin"

Instant = Annotated[datetime, PlainValidator(_instant, json_schema_input_type=datetime)]
"""An instant in any of the forms that events may use."""

InstantInPath = Annotated[datetime, PlainValidator(_instant_in_path, json_schema_input_type=datetime)]

RawIdInPath = Annotated[UUID, PlainValidator(_raw_id, json_schema_input_type=UUID)]

InstantOrDate = Annotated[datetime | date, PlainValidator(_instant_or_date, json_schema_input_type=datetime | date)]
"""An instant or a date, in a query."""

SourceFilter = Annotated[str, Field(max_length=MAX_SOURCE, pattern="^[^\\x00]*$")]
"""A source; without NUL, which Postgres can't compare."""

ZoneName = Annotated[str, AfterValidator(_zone)]
"""A well-formed name of a time zone; whether it exists is checked by the database."""


def invalid_request(entries: Sequence[Mapping[str, Any]]) -> InvalidRequestError:
    """The errors of pydantic converted to ours: with our codes, and without values."""
    return InvalidRequestError(
        FieldError(_name(entry["loc"]), f"request.{_CODES.get(entry['type'], 'invalid')}", entry["msg"])
        for entry in entries[:MAX_VIOLATIONS]
    )


def unknown_parameter(name: str) -> dict[str, Any]:
    """An error in pydantic's form for a parameter that a request doesn't declare."""
    return {"type": "extra_forbidden", "loc": (name,), "msg": "Extra inputs are not permitted"}


def _entries(error: ValidationError) -> Sequence[Mapping[str, Any]]:
    return error.errors(include_input=False, include_url=False, include_context=False)


def _name(location: tuple[int | str, ...]) -> str:
    """A parameter's name, shortened and escaped to printable ASCII: the client may have made it up."""
    name = ".".join(map(str, location))
    return ascii(name[:_LONGEST_NAME])[1:-1] + ("..." if len(name) > _LONGEST_NAME else "") or "$"
