"""Shared parts of answers.

An answer is a typed dictionary: mypy checks what a function returns against it, the API document is generated from it,
and it costs nothing at run time.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, NotRequired, TypedDict, get_type_hints, is_typeddict
from uuid import UUID

from pydantic import ConfigDict, Field, with_config

from dropzone.domain.outcomes import Code

EXAMPLE_RAW_ID, EXAMPLE_ARRIVAL = "01a20e71-e5a4-700b-bae4-431c79e16819", "2026-11-24T16:44:35.108Z"
EXAMPLE_INSTANT, EXAMPLE_WRITTEN = "2019-05-01T10:00:00Z", "2026-11-24T16:44:36.201544Z"


def answer[T: type](*examples: dict[str, Any]) -> Callable[[T], T]:
    """Declare that an answer has no other fields, and add examples."""
    return with_config(ConfigDict(extra="forbid", json_schema_extra={"examples": [*examples]} if examples else None))


closed = with_config(ConfigDict(extra="forbid"))
"""A decorator that declares that an answer has no other fields."""

Count = Annotated[int, Field(ge=0)]
RawId = Annotated[UUID, Field(description="A UUIDv7: sorting by it sorts by time of arrival.")]
Cursor = Annotated[str, Field(description="Request the next page with this cursor; absent on the last page.")]
Item = Annotated[int, Field(ge=0, description="The event's position in its object, counted from 0.")]


@closed
class EventReference(TypedDict):
    """An event: its object, and its position in it."""

    raw_id: RawId
    item: Item


ResolvedBy = Annotated[
    EventReference, Field(description="Only for a rejected event: the processed event that corrects it.")
]
SourceOfEvent = Annotated[str, Field(description="Empty if the event names none.")]
SourceOfBucket = Annotated[str, Field(description="Empty for events that name no source, or none that could be read.")]
Share = Annotated[float | None, Field(description="The share of received events; null if none was received.")]
MillisecondText = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""An instant formatted by `gateway.milliseconds`."""
Arrival = Annotated[MillisecondText, Field(description="When the object was received, to the millisecond.")]


@closed
class Violation(TypedDict):
    """A broken rule, or an invalid parameter."""

    field: Annotated[str, Field(description="The field that breaks the rule; `$` is the whole body.")]
    code: Annotated[
        str,
        Field(
            description=(
                f"Stable. Of an event one of: {', '.join(f'`{code}`' for code in Code)}; of parameters `request.…`."
            )
        ),
    ]
    message: str
    index: NotRequired[
        Annotated[int, Field(ge=0, description="For `data`: the index of the first sample that breaks the rule.")]
    ]
    rule: NotRequired[Annotated[str, Field(description="For a rule of a data contract: its identifier.")]]


EXAMPLE_CONTRACT = "default@1.0.0"

Flags = Annotated[
    Sequence[str], Field(description="The codes of its data contract's warnings about it.", examples=[[]])
]
ContractReference = Annotated[
    str, Field(description="The data contract that validated the event, as `id@version`.", examples=[EXAMPLE_CONTRACT])
]


EXAMPLE_VIOLATION = {"code": "data.empty", "field": "data", "message": "is empty: at least one number is needed"}

Archived = Annotated[
    Sequence[str],
    Field(
        description=(
            "The archived months (UTC) in the range. They are not listed, except for what has changed "
            "since; absent if there are none."
        ),
        examples=[["2019-04", "2019-05"]],
    ),
]


@cache
def fields_of(answer: type) -> Mapping[str, object]:
    """The fields of an answer and their types; nested fields are named by their path (`gaps.count`)."""
    return {
        f"{name}.{inner}" if inner else name: field
        for name, kind in get_type_hints(answer).items()
        for inner, field in (fields_of(kind) if is_typeddict(kind) else {"": kind}).items()
    }
