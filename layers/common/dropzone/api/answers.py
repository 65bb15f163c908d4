"""Shared parts of answers.

An answer is a typed dictionary: mypy compares it with what a function returns, the API's document is generated from it,
and it costs nothing at run time.
"""

from typing import Annotated, NotRequired, TypedDict
from uuid import UUID

from pydantic import ConfigDict, Field, with_config

from dropzone.domain.outcomes import Code

closed = with_config(ConfigDict(extra="forbid"))
"""A decorator: the answer has no other fields."""

Count = Annotated[int, Field(ge=0)]
RawId = Annotated[UUID, Field(description="A UUIDv7: its order is the order of arrival.")]
Arrival = Annotated[
    str, Field(description="When it arrived, to the millisecond.", json_schema_extra={"format": "date-time"})
]
"""Written by `response.milliseconds`."""


@closed
class Violation(TypedDict):
    """A broken rule, or an invalid parameter."""

    field: Annotated[str, Field(description="The field; `$` is the whole body.")]
    code: Annotated[
        str,
        Field(
            description=(
                f"Stable. Of an event one of: {', '.join(f'`{code}`' for code in Code)}; of parameters `request.…`."
            )
        ),
    ]
    message: str
    index: NotRequired[Annotated[int, Field(ge=0, description="In data: the index of the first offender.")]]
