"""What a contract expects of its sources over time. No event is rejected for it."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

_Seconds = Annotated[float, Field(gt=0, le=100 * 366 * 86_400, allow_inf_nan=False)]


class Expectations(BaseModel):
    """What one contract expects of its sources; None for what it doesn't define.

    Compiled into a separate file: expectations don't affect outcomes, so they are not part of the ruleset.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: str
    version: str
    interval_seconds: _Seconds | None = None
    """The interval between events: `frequency`."""
    latency_seconds: _Seconds | None = None
    """The time from a measurement to its arrival: `latency`."""
    retention_seconds: _Seconds | None = None
    """The minimum time that measurements are kept: `retention`."""
    unchanged_seconds: _Seconds | None = None
    """How long all samples may stay the same: `unchanged`."""
    rejected_share: Annotated[float, Field(ge=0, lt=1)] | None = None
    """The share of rejected events among those of the last 24 hours: `rejectedShare`."""


EXPECTATIONS = TypeAdapter(tuple[Expectations, ...])
"""The expectations of all contracts of a deployment, in the order of `contracts.json`."""


class Expectation(StrEnum):
    """An expectation that a source can break. Without a contract's frequency, its usual interval is expected."""

    SILENT = "silent"
    """Two events are missing."""
    STUCK = "stuck"
    """Its samples have been the same for longer than `unchanged`."""
    REJECTED_SHARE = "rejected_share"
    """The share of its events that were rejected is higher than expected."""
    LATENCY = "latency"
    """The median of its last twenty measurements took longer to arrive."""
