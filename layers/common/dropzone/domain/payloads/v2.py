"""Version 2: as version 1, and who measured (`source`), in what `unit`, with what `tags`, and what it `corrects`.

Each may be absent.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticKnownError

from dropzone.domain.aggregates import aggregate
from dropzone.domain.outcomes import NO_TAGS, Measurement
from dropzone.domain.payloads.event import Corrects, Event, Instant, Samples

MAX_SOURCE, MAX_UNIT = 200, 50
MAX_TAGS, MAX_TAG_NAME, MAX_TAG_VALUE = 16, 64, 256
"""In characters; the tags by their number."""

# Postgres can't hold the first control character, and no page shows the others. ECMA-262's syntax, for JSON Schema.
_CLEAN = r"^[^\u0000-\u001f\u007f-\u009f]*$"


def _limit_tags(value: object) -> object:
    # Before the entries are validated, since pydantic would report each of many thousands.
    if isinstance(value, dict) and len(value) > MAX_TAGS:
        context = {"field_type": "Object", "max_length": MAX_TAGS, "actual_length": len(value)}
        raise PydanticKnownError("too_long", context)
    return value


def _without_default(schema: dict[str, Any]) -> None:
    # An event without a version is of this one only if it has one of its fields.
    del schema["default"]


Source = Annotated[str, Field(max_length=MAX_SOURCE, pattern=_CLEAN)]
Unit = Annotated[str, Field(max_length=MAX_UNIT, pattern=_CLEAN)]
Tags = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=MAX_TAG_NAME, pattern=_CLEAN)],
        Annotated[str, Field(max_length=MAX_TAG_VALUE, pattern=_CLEAN)],
    ],
    # The pattern of the names becomes `patternProperties`, which alone would let others pass.
    Field(max_length=MAX_TAGS, json_schema_extra={"additionalProperties": False}),
    BeforeValidator(_limit_tags),
]


class Labels(BaseModel):
    """What an event of version 1 hasn't; absent and null are the same."""

    model_config = ConfigDict(strict=True, frozen=True, defer_build=True)

    source: Source | None = Field(
        default=None, description="Who measured: part of the measurement's key. No control characters."
    )
    unit: Unit | None = Field(default=None, description="The unit of the samples, such as `°C`. No control characters.")
    tags: Tags | None = Field(default=None, description="Further labels. No control characters.")
    corrects: Corrects | None = Field(
        default=None,
        description="The rejected event that this one replaces. When this one is processed, that one is resolved, if "
        "it has the same source or none.",
    )


class EventV2(Event, Labels):
    """Version 2: as version 1, and who measured, in what unit, with what tags, and which rejected event it corrects.

    Each of the four may be absent or null. Events of one instant and one source are the same measurement: the last to
    arrive replaces the others. Other fields are stored, and not read.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "schema_version": 2,
                    "time_stamp": "2026-11-24T16:44:35.108Z",
                    "data": [21.5, 21.7],
                    "source": "hall-3/thermometer-7",
                    "unit": "°C",
                    "tags": {"line": "B"},
                },
                {
                    "schema_version": 2,
                    "time_stamp": "2026-11-24T16:44:35.108Z",
                    "data": [21.5, 21.7],
                    "corrects": {"raw_id": "01a20e71-e5a4-700b-bae4-431c79e16819", "item": 0},
                },
            ]
        }
    )

    schema_version: Literal[2] = Field(
        default=2,
        description=(
            "The payload's version: 2 if it is absent and the event has `source`, `unit`, `tags` or `corrects`."
        ),
        json_schema_extra=_without_default,
    )
    time_stamp: Instant
    data: Samples

    @property
    def named_source(self) -> str:
        """The source, '' for null."""
        return self.source or ""

    def measurement(self, contract: str = "") -> Measurement:
        """The event with '' for a source or unit that it doesn't name."""
        return Measurement(
            self.time_stamp,
            self.source or "",
            aggregate(self.data),
            self.unit or "",
            self.tags or NO_TAGS,
            (),
            contract,
            None if self.corrects is None else self.corrects.event_id,
        )
