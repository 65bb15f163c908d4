"""The parameters and the answer of `POST /process`: process objects without a receipt, or replay objects."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, NotRequired, TypedDict
from uuid import UUID

from pydantic import BeforeValidator, ConfigDict, Field

from dropzone.api.answers import EXAMPLE_ARRIVAL, EXAMPLE_RAW_ID, Count, answer, closed
from dropzone.api.gateway import body_bytes
from dropzone.api.parameters import Instant, Request
from dropzone.api.problems import FieldError, InvalidRequestError
from dropzone.domain.body import parse_json
from dropzone.domain.identifiers import POSITION_PATTERN, Cursor, parse_cursor, received_at
from dropzone.domain.outcomes import Code
from dropzone.use_cases.replay import Arrived, DecidedBy, Named, RejectedBy, Selection

MAX_OBJECTS = 1_000
"""The maximum number of objects in one call."""

Arrivals = tuple[datetime | None, datetime | None]


def _whole(value: object) -> object:
    """Convert 5.0 to the integer 5, which are the same in JSON; strict mode rejects other numbers."""
    return int(value) if type(value) is float and value.is_integer() else value


_Limit = Annotated[
    int,
    Field(ge=1, le=MAX_OBJECTS, description="The maximum number of objects to process in this call.", examples=[100]),
    BeforeValidator(_whole),
]


class _BatchInQuery(Request):
    limit: _Limit = 100
    cursor: UUID | None = Field(
        default=None, description="The cursor of the previous response.", examples=[EXAMPLE_RAW_ID]
    )


class _ReplayInQuery(Request):
    limit: _Limit = 100
    cursor: str | None = Field(
        default=None,
        pattern=POSITION_PATTERN,
        description=(
            "The cursor of the previous response: after an object (`<raw_id>`), or within an object of "
            "many events (`<raw_id>.<item>`)."
        ),
        examples=[EXAMPLE_RAW_ID],
    )

    @property
    def after(self) -> Cursor | None:
        return None if self.cursor is None else parse_cursor(self.cursor)


class ProcessBatch(_BatchInQuery):
    """Process objects that have no outcomes yet."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"limit": 100}]})

    IN_QUERY: ClassVar = _BatchInQuery

    # Determines which model is used. Not a Literal, which would accept 0 as False.
    reprocess: bool = Field(default=False, json_schema_extra={"const": False})


class _Replay(_ReplayInQuery):
    IN_QUERY: ClassVar = _ReplayInQuery

    reprocess: bool = Field(
        description="Replay objects: validate them again with today's rules.", json_schema_extra={"const": True}
    )
    dry_run: bool = Field(default=False, description="Count what would change, and write nothing.")


class ReplayArrived(_Replay):
    """Replay the objects that arrived in a period, or only those with an event that a rule rejected."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reprocess": True, "from": EXAMPLE_ARRIVAL, "dry_run": True}]}
    )

    since: Instant | None = Field(
        default=None, alias="from", description="Only objects received at or after this instant."
    )
    until: Instant | None = Field(default=None, alias="to", description="Only objects received before this instant.")
    code: Code | None = Field(default=None, description="Only objects with an event that this rule rejected.")

    def arrivals(self) -> Arrivals:
        return self.since, self.until

    def selection(self) -> Selection:
        return Arrived(self.since, self.until) if self.code is None else RejectedBy(self.code, self.since, self.until)


class ReplayDecided(_Replay):
    """Replay the objects that have an outcome by any version of a contract, decided by rules other than today's."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reprocess": True, "contract": "default", "dry_run": True}]}
    )

    contract: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="The identifier of the contract, which may no longer exist."
    )
    since: Instant | None = Field(
        default=None, alias="from", description="Only objects received at or after this instant."
    )
    until: Instant | None = Field(default=None, alias="to", description="Only objects received before this instant.")

    def arrivals(self) -> Arrivals:
        return self.since, self.until

    def selection(self) -> Selection:
        return DecidedBy(self.contract, self.since, self.until)


class ReplayNamed(_Replay):
    """Replay these objects."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reprocess": True, "raw_ids": [EXAMPLE_RAW_ID]}]})

    raw_ids: list[UUID] = Field(min_length=1, max_length=MAX_OBJECTS)

    def arrivals(self) -> Arrivals:
        """The arrival of the first object, and no end."""
        return received_at(min(self.raw_ids)), None

    def selection(self) -> Selection:
        return Named(tuple(self.raw_ids))


Replay = ReplayArrived | ReplayDecided | ReplayNamed
ProcessRequest = ProcessBatch | Replay


def read_request(event: Mapping[str, Any]) -> ProcessRequest:
    """Read the parameters: limit and cursor from the body or the query (the body wins), others from the body.

    Raises:
        NotJsonError: the body is not JSON.
        InvalidRequestError: parameters are invalid; it lists each of them.
    """
    body = body_bytes(event)
    given = parse_json(body) if body.strip() else {}
    if not isinstance(given, dict):
        raise InvalidRequestError([FieldError("$", "request.invalid", "is not a JSON object")])
    kind: type[ProcessRequest] = ProcessBatch
    if given.get("reprocess") is True:
        kind = ReplayNamed if "raw_ids" in given else ReplayDecided if "contract" in given else ReplayArrived
    # Values in the query are text; those in the body must have JSON types.
    in_query = kind.IN_QUERY.from_query(event.get("queryStringParameters") or {})
    in_body = kind.from_json(body if body.strip() else b"{}")
    of_query = in_query.model_fields_set - in_body.model_fields_set
    return in_body.model_copy(update={name: getattr(in_query, name) for name in of_query})


@closed
class Changes(TypedDict):
    """Event counts by what the replay changed (with `dry_run`: would change)."""

    same: Count
    new: Count
    now_processed: Count
    now_rejected: Count
    other_figures: Count
    other_flags: Count
    other_reasons: Count
    gone: Count


@answer({"checked": 1, "processed": 1, "failed": 0})
class Counts(TypedDict):
    """The objects that this call processed: checked = processed + failed."""

    checked: Count
    processed: Annotated[int, Field(ge=0, description="Objects in which no event was rejected.")]
    failed: Annotated[int, Field(ge=0, description="Objects in which an event was rejected. They stay in bronze.")]
    changes: NotRequired[Annotated[Changes, Field(description="Only with `reprocess`.")]]
    unread: NotRequired[
        Annotated[
            int,
            Field(
                ge=0,
                description="Only with `reprocess`: objects that could not be replayed; their outcomes are unchanged.",
            ),
        ]
    ]
    cursor: NotRequired[
        Annotated[
            str,
            Field(
                pattern=POSITION_PATTERN,
                description=(
                    "Present if the call reached its limit or ran out of time: pass it to the next call. "
                    "`<raw_id>` is the last object that was looked at. With `reprocess` it may be a position "
                    "within an object of many events, `<raw_id>.<item>`: the next call continues with "
                    "that event, and counts the object when its last event has been replayed."
                ),
            ),
        ]
    ]
