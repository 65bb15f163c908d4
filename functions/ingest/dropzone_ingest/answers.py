"""What `POST /ingest` answers."""

from typing import Annotated, Literal, NotRequired, TypedDict

from pydantic import Field

from dropzone.api.answers import EXAMPLE_ARRIVAL, EXAMPLE_RAW_ID, Arrival, RawId, answer


@answer({"raw_id": EXAMPLE_RAW_ID, "status": "accepted", "received_at": EXAMPLE_ARRIVAL, "items": 1})
class Accepted(TypedDict):
    """The body is stored; its events will be processed."""

    raw_id: RawId
    status: Literal["accepted"]
    received_at: Arrival
    items: NotRequired[
        Annotated[int, Field(ge=1, description="How many events it holds; absent if a contract's mapping finds them.")]
    ]
