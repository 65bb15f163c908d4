"""`GET /sources`: who measures, since when and until when, and who is late or silent."""

from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from pydantic import Field

from dropzone.adapters.columns import ask
from dropzone.adapters.database import Database
from dropzone.api.parameters import Request, SourceFilter
from dropzone.domain.payloads.v2 import MAX_SOURCE


class SourceState(StrEnum):
    """How a source does, by its usual interval."""

    OK = "ok"
    LATE = "late"
    """One event is missing: it has been quiet for more than one and a half times its usual interval."""
    SILENT = "silent"
    """Two are: more than two and a half times; or nothing was measured up to now."""


class SourcesRequest(Request):
    """What `GET /sources` takes in its query."""

    prefix: SourceFilter = Field(default="", description="Sources whose names begin so.")
    state: SourceState | None = Field(default=None, description="Sources in this state.")
    limit: int = Field(default=100, ge=1, le=1_000, description="The most sources.")
    cursor: str | None = Field(
        default=None,
        pattern=f"^\\.[^\\x00]{{0,{MAX_SOURCE}}}$",
        description="Where to go on, as an earlier answer's cursor says.",
    )


class LastDay(NamedTuple):
    """What arrived in the last 24 hours, by whole quarters of an hour."""

    received: int
    rejected: int
    rejected_share: float | None
    """Of those received; None where none was."""


class Source(NamedTuple):
    """A source, as of now: what its clock says of the future doesn't count yet."""

    source: str
    """Empty where events name none, or none that could be read."""
    state: SourceState
    first_measured_at: datetime | None
    last_measured_at: datetime | None
    """None where nothing was measured up to now."""
    last_received_at: datetime | None
    """Also of events that were rejected."""
    usual_interval_seconds: float | None
    """The median of its last twenty pauses; None where it measured once at most."""
    last_day: LastDay


_COLUMNS: Final = (
    *("source", "state", "first_measured_at", "last_measured_at", "last_arrived_at", "usual_interval_seconds"),
    *("events_of_last_day", "rejected_of_last_day"),
)

_SOURCES: Final = f"""
SELECT {", ".join(_COLUMNS)} FROM gold.sources(
    CAST(:prefix AS text), CAST(:state AS text), CAST(:after AS text), CAST(:limit AS bigint)
) ORDER BY source
"""  # noqa: S608 - our own words


def read_sources(database: Database, request: SourcesRequest) -> list[Source]:
    """The sources that are asked for, by their names; one more than the limit where there are more.

    Raises:
        SilverUnavailableError: the database is out of reach.
    """
    rows = ask(
        database,
        _SOURCES,
        _COLUMNS,
        {"usual_interval_seconds"},
        prefix=request.prefix,
        state=request.state,
        after=request.cursor and request.cursor[1:],
        limit=request.limit + 1,
    )
    return [
        Source(
            source,
            SourceState(state),
            _instant(first),
            _instant(last),
            _instant(received_at),
            interval,
            LastDay(received, rejected, rejected / received if received else None),
        )
        for source, state, first, last, received_at, interval, received, rejected in rows
    ]


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def cursor_after(source: Source) -> str:
    """The cursor that leads behind a source."""
    return f".{source.source}"
