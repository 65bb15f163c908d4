"""What the parameters of requests have in common."""

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from dropzone.domain.instants import parse_instant
from dropzone.domain.outcomes import MAX_VIOLATIONS, Violation
from dropzone.problems import Broken, InvalidRequestError

NO_NUL = "^[^\\x00]*$"
"""The pattern of texts that Postgres can be asked for."""

_LONGEST_NAME = 40


def invalid_request(error: ValidationError) -> InvalidRequestError:
    """What a model found wrong, without the values."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return InvalidRequestError(
        [Broken(_field(entry["loc"]), f"request.{entry['type']}", entry["msg"]) for entry in found[:MAX_VIOLATIONS]]
    )


def _field(location: tuple[int | str, ...]) -> str:
    """The name of a parameter, which the client may have made up: the first of it, escaped to printable ASCII."""
    name = ".".join(map(str, location))
    return ascii(name[:_LONGEST_NAME])[1:-1] + ("..." if len(name) > _LONGEST_NAME else "") or "$"


def _is_instant(text: object) -> object:
    if isinstance(text, str) and isinstance(parse_instant(text), Violation):
        kind, message = "instant", "Input should be an ISO 8601 date and time with an offset"
        raise PydanticCustomError(kind, message)
    return text


Instant = Annotated[str, BeforeValidator(_is_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
"""An instant in any form that events may have."""


def instant(text: str | None) -> datetime | None:
    """The instant of a parameter that was checked when it was read."""
    if text is None:
        return None
    parsed = parse_instant(text)
    assert isinstance(parsed, datetime)  # noqa: S101 - `Instant` is checked
    return parsed
