"""What `POST /process` takes: a batch of objects without a receipt, or objects to judge again."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from dropzone.domain.instants import parse_instant
from dropzone.domain.json_text import parse_json
from dropzone.domain.outcomes import MAX_VIOLATIONS, Code, Violation
from dropzone.http import body_bytes
from dropzone.problems import Broken
from dropzone.use_cases.replay import Arrived, Named, RejectedBy, Selection

MAX_OBJECTS = 1_000
"""The most objects of one call."""


class InvalidRequestError(ValueError):
    """The request's parameters are not what `POST /process` takes."""

    def __init__(self, broken: list[Broken]) -> None:
        """Carry what is wrong with each."""
        super().__init__("invalid request")
        self.broken = broken


def _is_instant(text: object) -> object:
    if isinstance(text, str) and isinstance(parse_instant(text), Violation):
        kind, message = "instant", "Input should be an ISO 8601 date and time with an offset"
        raise PydanticCustomError(kind, message)
    return text


Instant = Annotated[str, BeforeValidator(_is_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
"""An instant in any form that events may have."""


class _Parameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    limit: int = Field(default=100, ge=1, le=MAX_OBJECTS, description="The most objects of this call.")
    cursor: UUID | None = Field(default=None, description="Where an earlier answer's cursor says to go on.")

    @field_validator("limit", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        """Take a whole number as JSON has it, which 5.0 is as well; strict mode refuses what else is no integer."""
        return int(value) if type(value) is float and value.is_integer() else value


class ProcessBatch(_Parameters):
    """Process objects that have no receipt."""

    reprocess: Literal[False] = False


class _Replay(_Parameters):
    reprocess: Literal[True] = Field(description="Judge objects again, under today's rules.")
    dry_run: bool = Field(default=False, description="Only count what would change.")


class ReplayArrived(_Replay):
    """Judge objects again: those that arrived in a time, or of these those that a rule rejected."""

    since: Instant | None = Field(default=None, alias="from", description="Arrived at this instant or later.")
    until: Instant | None = Field(default=None, alias="to", description="Arrived before this instant.")
    code: Code | None = Field(default=None, description="With an event that this rule rejected.")

    def selection(self) -> Selection:
        """These objects."""
        since, until = (None if text is None else parse_instant(text) for text in (self.since, self.until))
        # Both were checked when they were read.
        assert not isinstance(since, Violation)  # noqa: S101
        assert not isinstance(until, Violation)  # noqa: S101
        return Arrived(since, until) if self.code is None else RejectedBy(self.code, since, until)


class ReplayNamed(_Replay):
    """Judge objects again: these."""

    raw_ids: Annotated[tuple[UUID, ...], Field(min_length=1, max_length=MAX_OBJECTS)]

    def selection(self) -> Selection:
        """These objects."""
        return Named(self.raw_ids)


Replay = ReplayArrived | ReplayNamed
ProcessRequest = ProcessBatch | Replay


def read_request(event: Mapping[str, Any]) -> ProcessRequest:
    """The parameters of a request: limit and cursor from its body or its query (the body's count), others its body's.

    Raises:
        NotJsonError: the body is not JSON.
        InvalidRequestError: a parameter is not what it should be.
    """
    body = body_bytes(event)
    given = parse_json(body) if body.strip() else {}
    if not isinstance(given, dict):
        raise InvalidRequestError([Broken("$", "request.not_object", "is not a JSON object")])
    kind: type[ProcessRequest] = ProcessBatch
    if given.get("reprocess") is True:
        kind = ReplayNamed if "raw_ids" in given else ReplayArrived
    try:
        # What stands in the query is text; what stands in the body must have JSON's types.
        in_query = _Parameters.model_validate_strings(event.get("queryStringParameters") or {})
        in_body = kind.model_validate_json(body if body.strip() else b"{}", strict=True)
    except ValidationError as error:
        raise InvalidRequestError(
            [
                Broken(".".join(map(str, entry["loc"])) or "$", f"request.{entry['type']}", entry["msg"])
                for entry in error.errors(include_input=False, include_url=False, include_context=False)
            ][:MAX_VIOLATIONS]
        ) from None
    missing = in_query.model_fields_set - in_body.model_fields_set
    return in_body.model_copy(update={name: getattr(in_query, name) for name in missing})
