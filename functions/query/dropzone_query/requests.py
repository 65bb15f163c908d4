"""The parameters that the routes take in their queries."""

from uuid import UUID

from pydantic import Field

from dropzone.api.parameters import InstantOrDate, Request, SourceFilter
from dropzone.domain.outcomes import Code
from dropzone_query.gold_requests import ZoneOfDates


class StatusRequest(Request):
    """What `GET /ingest/{raw_id}` takes in its query."""

    limit: int = Field(default=100, ge=1, le=1_000, description="The most events of a batch.")
    cursor: int = Field(
        default=-1,
        ge=-1,
        le=2**31 - 1,
        description="The item after which to go on, as an earlier answer's cursor says.",
    )


class RejectionsRequest(Request):
    """What `GET /rejections` takes in its query."""

    code: Code | None = Field(default=None, description="Rejected by this rule.")
    source: SourceFilter | None = Field(default=None, description="Of this source; empty: of none.")
    since: InstantOrDate | None = Field(
        default=None, alias="from", description="Arrived at this instant or later, or from this day on."
    )
    until: InstantOrDate | None = Field(
        default=None, alias="to", description="Arrived before this instant, or up to this day, with all of it."
    )
    tz: ZoneOfDates = "UTC"
    limit: int = Field(default=100, ge=1, le=1_000, description="The most events.")
    cursor: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9]{1,9}$",
        description="Where to go on, as an earlier answer's cursor says.",
    )

    @property
    def after(self) -> tuple[UUID, int] | None:
        """The object and the item after which to go on."""
        if self.cursor is None:
            return None
        raw_id, _, item = self.cursor.partition(".")
        return UUID(raw_id), int(item)
