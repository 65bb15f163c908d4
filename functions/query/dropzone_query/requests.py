"""The parameters that the routes take in their queries."""

from typing import Annotated
from uuid import UUID

from msgspec import Struct, field
from pydantic_core import core_schema as core

from dropzone.domain.identifiers import earliest_raw_id
from dropzone.domain.outcomes import Code
from dropzone.parameters import INSTANT, SOURCE, Parameter, instant, one_of

_ITEM = core.str_schema(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\.[0-9]{1,9}$")
"""An object and an item of it."""


class StatusRequest(Struct, frozen=True, kw_only=True):
    """What `GET /ingest/{raw_id}` takes in its query."""

    limit: Annotated[int, Parameter(core.int_schema(ge=1, le=1_000), "The most events of a batch.")] = 100
    cursor: Annotated[
        int,
        Parameter(
            core.int_schema(ge=-1, le=2**31 - 1), "The item after which to go on, as an earlier answer's cursor says."
        ),
    ] = -1


class RejectionsRequest(Struct, frozen=True, kw_only=True):
    """What `GET /rejections` takes in its query."""

    code: Annotated[Code | None, Parameter(one_of(Code), "Rejected by this rule.")] = None
    source: Annotated[str | None, Parameter(SOURCE, "Of this source; empty: of none.")] = None
    since: Annotated[str | None, Parameter(INSTANT, "Arrived at this instant or later.")] = field(
        default=None, name="from"
    )
    until: Annotated[str | None, Parameter(INSTANT, "Arrived before this instant.")] = field(default=None, name="to")
    limit: Annotated[int, Parameter(core.int_schema(ge=1, le=1_000), "The most events.")] = 100
    cursor: Annotated[str | None, Parameter(_ITEM, "Where to go on, as an earlier answer's cursor says.")] = None

    @property
    def since_id(self) -> UUID | None:
        """The identifier from which on to look."""
        return _bound(self.since)

    @property
    def before_id(self) -> UUID | None:
        """The identifier below which to look."""
        return _bound(self.until)

    @property
    def after(self) -> tuple[UUID, int] | None:
        """The object and the item after which to go on."""
        if self.cursor is None:
            return None
        raw_id, _, item = self.cursor.partition(".")
        return UUID(raw_id), int(item)


def _bound(text: str | None) -> UUID | None:
    """The first identifier of an instant."""
    given = instant(text)
    return None if given is None else earliest_raw_id(given)
