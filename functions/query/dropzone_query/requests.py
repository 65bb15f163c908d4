"""The parameters that the routes take in their queries."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from dropzone.domain.identifiers import earliest_raw_id
from dropzone.domain.labels import MAX_SOURCE
from dropzone.domain.outcomes import Code
from dropzone.parameters import NO_NUL, Instant, instant

_ITEM = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\.[0-9]{1,9}$"
"""An object and an item of it."""


class StatusRequest(BaseModel):
    """What `GET /ingest/{raw_id}` takes in its query."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    limit: int = Field(default=100, ge=1, le=1_000, description="The most events of a batch.")
    cursor: int = Field(
        default=-1,
        ge=-1,
        le=2**31 - 1,
        description="The item after which to go on, as an earlier answer's cursor says.",
    )


class RejectionsRequest(BaseModel):
    """What `GET /rejections` takes in its query."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    code: Code | None = Field(default=None, description="Rejected by this rule.")
    source: str | None = Field(
        default=None, max_length=MAX_SOURCE, pattern=NO_NUL, description="Of this source; empty: of none."
    )
    since: Instant | None = Field(default=None, alias="from", description="Arrived at this instant or later.")
    until: Instant | None = Field(default=None, alias="to", description="Arrived before this instant.")
    limit: int = Field(default=100, ge=1, le=1_000, description="The most events.")
    cursor: str | None = Field(
        default=None, pattern=_ITEM, description="Where to go on, as an earlier answer's cursor says."
    )

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
