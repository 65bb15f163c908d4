"""What the parameters of requests have in common: how they are declared, read and refused.

A request is a Struct, and each field's annotation says how it is read. pydantic's core reads them, whose error types
are part of the contract. pydantic itself is not imported: that and its models were 60 ms of a cold start.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple, get_args

from msgspec import Struct
from msgspec.structs import FieldInfo, fields
from pydantic_core import CoreConfig, CoreSchema, PydanticCustomError, SchemaValidator, ValidationError
from pydantic_core import core_schema as core

from dropzone.domain.instants import parse_instant
from dropzone.domain.outcomes import MAX_VIOLATIONS, Violation
from dropzone.domain.payloads.v2 import MAX_SOURCE
from dropzone.problems import Broken, InvalidRequestError

_LONGEST_NAME = 40


class Parameter(NamedTuple):
    """How a parameter is read, and what the API's document says of it: stands in the annotation of a request's field.

    A field whose default is None takes null as well.
    """

    schema: CoreSchema
    description: str | None = None


def one_of(kind: type[StrEnum]) -> CoreSchema:
    """A value of an enumeration, which the API's document has by its name."""
    return core.enum_schema(kind, list(kind), sub_type="str", ref=kind.__name__)


def _is_instant(text: object) -> object:
    if isinstance(text, str) and isinstance(parse_instant(text), Violation):
        kind, message = "instant", "Input should be an ISO 8601 date and time with an offset"
        raise PydanticCustomError(kind, message)
    return text


INSTANT = core.no_info_before_validator_function(
    _is_instant, core.str_schema(), metadata={"pydantic_js_updates": {"format": "date-time"}}
)
"""An instant in any form that events may have, as text."""

# A time, and the offset behind it.
_SPACE_FOR_PLUS = re.compile(
    r"([Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?) ([0-9]{2}(?::?[0-9]{2})?)\Z", re.ASCII
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def with_plus(text: str) -> str:
    """An instant from an address, whose `+` arrives as a space where it was not escaped."""
    return _SPACE_FOR_PLUS.sub(r"\1+\2", text)


def _is_instant_or_date(text: object) -> object:
    if not isinstance(text, str):
        return text
    text = with_plus(text)
    if _DATE.fullmatch(text):
        try:
            date.fromisoformat(text)
        except ValueError:
            kind, message = "instant", "Input should be a day that the calendar has"
            raise PydanticCustomError(kind, message) from None
        return text
    return _is_instant(text)


INSTANT_OR_DATE = core.no_info_before_validator_function(
    _is_instant_or_date,
    core.union_schema(
        [core.str_schema(metadata={"pydantic_js_updates": {"format": written}}) for written in ("date-time", "date")]
    ),
)
"""An instant as above, or a date alone, as text; of a query."""

SOURCE = core.str_schema(max_length=MAX_SOURCE, pattern="^[^\\x00]*$")
"""A source, as Postgres can be asked for it: without NUL."""


def instant(text: str | None) -> datetime | None:
    """The instant of a parameter that was checked when it was read."""
    if text is None:
        return None
    parsed = parse_instant(text)
    assert isinstance(parsed, datetime)  # noqa: S101 - it was checked
    return parsed


def instant_or_date(text: str | None) -> datetime | date | None:
    """What a parameter of `INSTANT_OR_DATE` says, which was checked when it was read."""
    return date.fromisoformat(text) if text is not None and _DATE.fullmatch(text) else instant(text)


def schema_of(request: type[Struct]) -> CoreSchema:
    """How a request is read."""
    return core.model_fields_schema({each.name: _field(each) for each in fields(request)})


def _field(info: FieldInfo) -> core.ModelField:
    _, parameter = get_args(info.type)
    schema, description = parameter
    if info.default is None:
        schema = core.nullable_schema(schema)
    if not info.required:
        schema = core.with_default_schema(schema, default=info.default)
    told = {} if description is None else {"description": description}
    return core.model_field(schema, validation_alias=info.encode_name, metadata={"pydantic_js_updates": told})


@cache
def _validator(request: type[Struct]) -> SchemaValidator:
    """When it is first asked for: a cold start needs one of many."""
    return SchemaValidator(schema_of(request), CoreConfig(extra_fields_behavior="forbid", hide_input_in_errors=True))


def read_query[T: Struct](request: type[T], query: Mapping[str, str]) -> T:
    """A request whose parameters stand in a query.

    Raises:
        InvalidRequestError: a parameter is not what it should be.
    """
    return request(**given_in_query(request, query))


def given_in_query(request: type[Struct], query: Mapping[str, str]) -> dict[str, Any]:
    """The parameters that a query has: texts.

    Raises:
        InvalidRequestError: a parameter is not what it should be.
    """
    texts: Any = query
    try:
        return _given(_validator(request).validate_strings(texts))
    except ValidationError as error:
        raise _invalid_request(error) from None


def given_in_json(request: type[Struct], body: bytes) -> dict[str, Any]:
    """The parameters that a JSON object has, of JSON's types.

    Raises:
        InvalidRequestError: a parameter is not what it should be.
    """
    try:
        return _given(_validator(request).validate_json(body, strict=True))
    except ValidationError as error:
        raise _invalid_request(error) from None


def _given(read: tuple[dict[str, Any], None, set[str]]) -> dict[str, Any]:
    """Of what a validator read: all values, with the defaults; those that would be extra; the names of those given."""
    values, _, names = read
    return {name: values[name] for name in names}


def _invalid_request(error: ValidationError) -> InvalidRequestError:
    """What is wrong with parameters, without the values."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return InvalidRequestError(
        [Broken(_name(entry["loc"]), f"request.{entry['type']}", entry["msg"]) for entry in found[:MAX_VIOLATIONS]]
    )


def _name(location: tuple[int | str, ...]) -> str:
    """The name of a parameter, which the client may have made up: the first of it, escaped to printable ASCII."""
    name = ".".join(map(str, location))
    return ascii(name[:_LONGEST_NAME])[1:-1] + ("..." if len(name) > _LONGEST_NAME else "") or "$"
