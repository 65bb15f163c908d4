"""What `POST /process` takes: a batch of objects without a receipt, or objects to judge again."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, field_validator

from dropzone.domain.json_text import parse_json
from dropzone.domain.outcomes import Code
from dropzone.http import body_bytes
from dropzone.parameters import Instant, instant, invalid_request
from dropzone.problems import Broken, InvalidRequestError
from dropzone.use_cases.replay import Arrived, Named, RejectedBy, Selection

MAX_OBJECTS = 1_000
"""The most objects of one call."""


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

    # Which model is read is decided by this; a Literal would take 0 for False.
    reprocess: Annotated[bool, WithJsonSchema({"type": "boolean", "const": False, "default": False})] = False


class _Replay(_Parameters):
    reprocess: Annotated[
        bool,
        WithJsonSchema({"type": "boolean", "const": True, "description": "Judge objects again, under today's rules."}),
    ]
    dry_run: bool = Field(default=False, description="Only count what would change.")


class ReplayArrived(_Replay):
    """Judge objects again: those that arrived in a time, or of these those that a rule rejected."""

    since: Instant | None = Field(default=None, alias="from", description="Arrived at this instant or later.")
    until: Instant | None = Field(default=None, alias="to", description="Arrived before this instant.")
    code: Code | None = Field(default=None, description="With an event that this rule rejected.")

    def selection(self) -> Selection:
        """These objects."""
        since, until = instant(self.since), instant(self.until)
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
    # pydantic's JSON reader takes no notice of a field that stands under its name instead of its alias.
    if hidden := given.keys() & {name for name, field in kind.model_fields.items() if field.alias not in {None, name}}:
        message = "Extra inputs are not permitted"
        raise InvalidRequestError([Broken(name, "request.extra_forbidden", message) for name in sorted(hidden)])
    try:
        # What stands in the query is text; what stands in the body must have JSON's types.
        in_query = _Parameters.model_validate_strings(event.get("queryStringParameters") or {})
        in_body = kind.model_validate_json(body if body.strip() else b"{}", strict=True)
    except ValidationError as error:
        raise invalid_request(error) from None
    missing = in_query.model_fields_set - in_body.model_fields_set
    return in_body.model_copy(update={name: getattr(in_query, name) for name in missing})
