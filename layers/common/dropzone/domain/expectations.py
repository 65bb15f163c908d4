"""What a contract expects of its sources over time: nothing that an event is rejected for."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

_Seconds = Annotated[float, Field(gt=0, le=100 * 366 * 86_400, allow_inf_nan=False)]


class Expectations(BaseModel):
    """Of the sources of one contract; None where it states none.

    Compiled into a file of their own: they decide nothing of an event, and so are no part of the ruleset.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: str
    version: str
    interval_seconds: _Seconds | None = None
    """From one event to the next: `frequency`."""
    latency_seconds: _Seconds | None = None
    """From a measurement to its arrival: `latency`."""
    retention_seconds: _Seconds | None = None
    """How long measurements are kept at least: `retention`."""
    unchanged_seconds: _Seconds | None = None
    """How long every sample may be the same: `unchanged`."""
    rejected_share: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Of the events that arrived in the last 24 hours: `rejectedShare`."""


EXPECTATIONS = TypeAdapter(tuple[Expectations, ...])
"""Of all contracts of a deployment, in the order of `contracts.json`."""


class Expectation(StrEnum):
    """An expectation that a source can break. Without a contract's frequency, its usual interval is expected."""

    SILENT = "silent"
    """Two events are missing."""
    STUCK = "stuck"
    """Its samples have been the same for longer than `unchanged`."""
    REJECTED_SHARE = "rejected_share"
    """More of its events were rejected."""
    LATENCY = "latency"
    """The median of its last twenty measurements took longer to arrive."""
