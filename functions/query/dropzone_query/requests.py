"""The parameters that the routes take in their queries."""

from typing import Annotated
from uuid import UUID

from msgspec import Struct, field
from pydantic_core import core_schema as core

from dropzone.domain.outcomes import Code
from dropzone.parameters import INSTANT_OR_DATE, SOURCE, Parameter, one_of
from dropzone_query.gold_requests import ZONE_OF_DATES

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
    since: Annotated[
        str | None, Parameter(INSTANT_OR_DATE, "Arrived at this instant or later, or from this day on.")
    ] = field(default=None, name="from")
    until: Annotated[
        str | None, Parameter(INSTANT_OR_DATE, "Arrived before this instant, or up to this day, with all of it.")
    ] = field(default=None, name="to")
    tz: Annotated[str, ZONE_OF_DATES] = "UTC"
    limit: Annotated[int, Parameter(core.int_schema(ge=1, le=1_000), "The most events.")] = 100
    cursor: Annotated[str | None, Parameter(_ITEM, "Where to go on, as an earlier answer's cursor says.")] = None

    @property
    def after(self) -> tuple[UUID, int] | None:
        """The object and the item after which to go on."""
        if self.cursor is None:
            return None
        raw_id, _, item = self.cursor.partition(".")
        return UUID(raw_id), int(item)
