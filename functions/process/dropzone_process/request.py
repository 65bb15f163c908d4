"""What `POST /process` takes: a batch of objects without a receipt, or objects to judge again."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from msgspec import Struct, field
from msgspec.structs import fields
from pydantic_core import CoreSchema
from pydantic_core import core_schema as core

from dropzone.domain.json_text import parse_json
from dropzone.domain.outcomes import Code
from dropzone.domain.positions import POSITION_PATTERN, Cursor, parse_cursor
from dropzone.http import body_bytes
from dropzone.parameters import INSTANT, Parameter, given_in_json, given_in_query, instant, one_of
from dropzone.problems import Broken, InvalidRequestError
from dropzone.use_cases.replay import Arrived, Named, RejectedBy, Selection

MAX_OBJECTS = 1_000
"""The most objects of one call."""


def _whole(value: object) -> object:
    """Take a whole number as JSON has it, which 5.0 is as well; strict mode refuses what else is no integer."""
    return int(value) if type(value) is float and value.is_integer() else value


_LIMIT = Parameter(
    core.no_info_before_validator_function(_whole, core.int_schema(ge=1, le=MAX_OBJECTS)),
    "The most objects of this call.",
)
_CURSOR = Parameter(core.uuid_schema(), "Where an earlier answer's cursor says to go on.")
_REPLAY_CURSOR = Parameter(
    core.str_schema(pattern=POSITION_PATTERN),
    "Where an earlier answer's cursor says to go on: behind an object (`<raw_id>`), or within one of many events "
    "(`<raw_id>.<item>`).",
)
_RAW_IDS = core.tuple_schema([core.uuid_schema()], variadic_item_index=0, min_length=1, max_length=MAX_OBJECTS)


def _flag(*, is_set: bool) -> CoreSchema:
    # Which request is read is decided by this; a literal would take 0 for False.
    return core.bool_schema(metadata={"pydantic_js_updates": {"const": is_set}})


class _BatchInQuery(Struct, frozen=True, kw_only=True):
    limit: Annotated[int, _LIMIT] = 100
    cursor: Annotated[UUID | None, _CURSOR] = None


class _ReplayInQuery(Struct, frozen=True, kw_only=True):
    limit: Annotated[int, _LIMIT] = 100
    cursor: Annotated[str | None, _REPLAY_CURSOR] = None

    @property
    def after(self) -> Cursor | None:
        """Where to go on."""
        return None if self.cursor is None else parse_cursor(self.cursor)


class ProcessBatch(_BatchInQuery, frozen=True, kw_only=True):
    """Process objects that have no receipt."""

    reprocess: Annotated[bool, Parameter(_flag(is_set=False))] = False


class _Replay(_ReplayInQuery, frozen=True, kw_only=True):
    reprocess: Annotated[bool, Parameter(_flag(is_set=True), "Judge objects again, under today's rules.")]
    dry_run: Annotated[bool, Parameter(core.bool_schema(), "Only count what would change.")] = False


class ReplayArrived(_Replay, frozen=True, kw_only=True):
    """Judge objects again: those that arrived in a time, or of these those that a rule rejected."""

    since: Annotated[str | None, Parameter(INSTANT, "Arrived at this instant or later.")] = field(
        default=None, name="from"
    )
    until: Annotated[str | None, Parameter(INSTANT, "Arrived before this instant.")] = field(default=None, name="to")
    code: Annotated[Code | None, Parameter(one_of(Code), "With an event that this rule rejected.")] = None

    def selection(self) -> Selection:
        """These objects."""
        since, until = instant(self.since), instant(self.until)
        return Arrived(since, until) if self.code is None else RejectedBy(self.code, since, until)


class ReplayNamed(_Replay, frozen=True, kw_only=True):
    """Judge objects again: these."""

    raw_ids: Annotated[tuple[UUID, ...], Parameter(_RAW_IDS)]

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
    if hidden := given.keys() & {each.name for each in fields(kind) if each.encode_name != each.name}:
        message = "Extra inputs are not permitted"
        raise InvalidRequestError([Broken(name, "request.extra_forbidden", message) for name in sorted(hidden)])
    # What stands in the query is text; what stands in the body must have JSON's types.
    of_query = _BatchInQuery if kind is ProcessBatch else _ReplayInQuery
    in_query = given_in_query(of_query, event.get("queryStringParameters") or {})
    in_body = given_in_json(kind, body if body.strip() else b"{}")
    return kind(**(in_query | in_body))
