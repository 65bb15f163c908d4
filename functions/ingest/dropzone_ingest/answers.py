"""What `POST /ingest` answers."""

from typing import Annotated, Literal, TypedDict

from pydantic import Field

from dropzone.api.answers import Arrival, RawId, closed


@closed
class Accepted(TypedDict):
    """The body is stored; its events will be processed."""

    raw_id: RawId
    status: Literal["accepted"]
    received_at: Arrival
    items: Annotated[int, Field(ge=1, description="How many events it holds.")]
