"""Version 1: an instant and its samples."""

from typing import Literal

from pydantic import ConfigDict, Field

from dropzone.domain.aggregates import aggregate
from dropzone.domain.outcomes import NO_TAGS, Measurement
from dropzone.domain.payloads.event import Event, Instant, Samples


class EventV1(Event):
    """Version 1: an instant and its samples. Other fields are stored, and not read."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"time_stamp": "2019-05-01T06:00:00-04:00", "data": [0, 2]}]}
    )

    schema_version: Literal[1] = Field(
        default=1,
        description=(
            "The payload's version: 1 if it is absent and the event has no `source`, `unit`, `tags` or `corrects`."
        ),
    )
    time_stamp: Instant
    data: Samples

    @property
    def named_source(self) -> str:
        """None: ''."""
        return ""

    def measurement(self, contract: str = "") -> Measurement:
        """The event with the source ''."""
        return Measurement(self.time_stamp, "", aggregate(self.data), "", NO_TAGS, (), contract)
