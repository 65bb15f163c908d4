"""`GET /ingest/{raw_id}`: the status of an object and its events."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, NotRequired, Protocol, TypedDict, cast
from uuid import UUID

from pydantic import Field
from pydantic_core import to_json

from dropzone.adapters.archived import archived_at
from dropzone.adapters.database import Database
from dropzone.api import problems
from dropzone.api.answers import (
    EXAMPLE_ARRIVAL,
    EXAMPLE_CONTRACT,
    EXAMPLE_INSTANT,
    EXAMPLE_RAW_ID,
    EXAMPLE_VIOLATION,
    EXAMPLE_WRITTEN,
    Arrival,
    ContractReference,
    Count,
    Item,
    RawId,
    ResolvedBy,
    SourceOfEvent,
    Violation,
    answer,
    closed,
)
from dropzone.api.gateway import milliseconds
from dropzone.api.pages import fitting
from dropzone.api.parameters import Request
from dropzone.api.problems import ProblemError
from dropzone.domain.access import Access, Scope
from dropzone.domain.identifiers import received_at
from dropzone.domain.patterns import as_like
from dropzone.ports import MAX_ATTEMPTS
from dropzone.queries.rows import read


class State(StrEnum):
    """The state of an object."""

    ACCEPTED = "accepted"
    PROCESSED = "processed"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"
    STUCK = "stuck"
    ARCHIVED = "archived"


EventState = Literal[State.PROCESSED, State.SUPERSEDED, State.REJECTED]
"""The states of an event with an outcome."""


class StatusRequest(Request):
    """The parameters of `GET /ingest/{raw_id}`."""

    limit: int = Field(
        default=100, ge=1, le=1_000, description="The maximum number of events to return.", examples=[10]
    )
    cursor: int = Field(
        default=-1,
        ge=-1,
        le=2**31 - 1,
        description="Return events after this item: the cursor of the previous page.",
        examples=[99],
    )


class _Outcome(TypedDict, total=False):
    """The fields of an event, depending on its state."""

    measured_at: Annotated[
        datetime, Field(description="In UTC. Like the fields that follow, only for a processed event.")
    ]
    source: SourceOfEvent
    mean: float
    std_dev: Annotated[float, Field(ge=0, description="The population standard deviation.")]
    sample_count: Annotated[int, Field(ge=1)]
    min: float
    max: float
    unit: SourceOfEvent
    tags: Mapping[str, str]
    warnings: Annotated[
        Sequence[Violation],
        Field(description="Only for a processed event: every rule of severity `warning` that it breaks, at most 10."),
    ]
    superseded_by: Annotated[UUID, Field(description="The object that holds the event that replaced it.")]
    may_be_superseded: Annotated[
        Literal[True],
        Field(
            description=(
                "Only for a processed event whose measurement is archived: later events of its month are "
                "archived too, and one of them may have replaced it."
            )
        ),
    ]
    violations: Annotated[
        Sequence[Violation], Field(description="Only for a rejected event: every rule that it breaks, at most 10.")
    ]
    resolved_by: ResolvedBy
    contract: ContractReference


@closed
class EventStatus(_Outcome):
    """The status of one of several events."""

    item: Item
    status: EventState


@closed
class EventCounts(TypedDict):
    """The number of events in each state."""

    processed: Count
    superseded: Count
    rejected: Count


class _Object(TypedDict):
    """The fields of an object as a whole, from silver."""

    status: Annotated[
        State,
        Field(
            description=(
                "`accepted`: stored, not processed yet. `processed`: its measurement is in silver. "
                "`superseded`: it was processed, and a later event with the same instant and source "
                "replaced it. `rejected`: it breaks rules. `stuck`: five attempts failed, see "
                "`last_error`; it is retried hourly, later daily. `archived`: it was processed, and its "
                "outcomes were moved to files at `archived_at`; an operator can restore them (dropzone "
                "archive --restore), and GET /rejections still lists its rejected events. An object with "
                "several events is `processed` if at least one is in silver, and `rejected` if all are "
                "rejected."
            )
        ),
    ]
    settled_at: NotRequired[Annotated[datetime, Field(description="When the last of its events got an outcome.")]]
    items: NotRequired[
        Annotated[int, Field(ge=1, description="Only for a processed object: the number of its events.")]
    ]
    counts: NotRequired[EventCounts]
    attempts: NotRequired[Annotated[int, Field(ge=0, description="The number of failed attempts.")]]
    last_error: NotRequired[Annotated[str, Field(description="Why the last attempt failed.")]]


class _Known(TypedDict):
    """What determines how to read a status."""

    status: State
    """The status if the object is not processed yet."""
    settled_at: datetime | None
    items: int | None
    attempts: int
    last_error: str | None
    first: datetime | None
    """The instant of the object's first measurement; `last` is that of the last one."""
    last: datetime | None
    has_rejections: bool
    is_archived: bool
    """Whether some of its measurements are, or may be, archived."""


_OPEN: Final = {"raw_id": None, "item": None}
"""The value of `resolved_by` for an event that isn't a resolved rejection."""

_EXAMPLE_OUTCOME: Final = {
    "status": "processed",
    "measured_at": EXAMPLE_INSTANT,
    "source": "",
    "mean": 1.0,
    "std_dev": 1.0,
    "sample_count": 2,
    "min": 0.0,
    "max": 2.0,
    "unit": "",
    "tags": {},
    "contract": EXAMPLE_CONTRACT,
}
_EXAMPLE_OBJECT: Final = {
    "raw_id": EXAMPLE_RAW_ID,
    "status": "processed",
    "received_at": EXAMPLE_ARRIVAL,
    "settled_at": EXAMPLE_WRITTEN,
}


@answer(
    {**_EXAMPLE_OBJECT, "items": 1, **_EXAMPLE_OUTCOME},
    {
        **_EXAMPLE_OBJECT,
        "items": 2,
        "counts": {"processed": 1, "superseded": 0, "rejected": 1},
        "events": [
            {"item": 0, **_EXAMPLE_OUTCOME},
            {"item": 1, "status": "rejected", "contract": EXAMPLE_CONTRACT, "violations": [EXAMPLE_VIOLATION]},
        ],
    },
)
class ObjectStatus(_Object, _Outcome):
    """The status of an object: a single event's outcome, or the counts of several events and a page of them."""

    raw_id: RawId
    received_at: Arrival
    archived_at: NotRequired[
        Annotated[datetime, Field(description="Only for an archived object: when it was archived.")]
    ]
    events: NotRequired[
        Annotated[Sequence[EventStatus], Field(description="Only for an object with several events: a page of them.")]
    ]
    cursor: NotRequired[
        Annotated[int, Field(ge=0, description="Request the next events with this cursor; absent on the last page.")]
    ]


# Determines what else to read, and from which months: those between the object's first and last measurement. A
# statement is planned for each month that it might read, which takes longer than reading one.
_OBJECT: Final = f"""
SELECT CASE WHEN attempts < {MAX_ATTEMPTS} THEN 'accepted' ELSE 'stuck' END AS status, settled_at, items, attempts,
       last_error, first, last, coalesce(has_rejections, false) AS has_rejections, EXISTS (
           SELECT FROM archive.months
           WHERE kind = 'measured' AND state <> 'writing'
             AND month BETWEEN archive.month_of(first) AND archive.month_of(last)
       ) AS is_archived
FROM receipts CROSS JOIN LATERAL (
    SELECT min(measured_at) AS first, max(measured_at) AS last, bool_or(outcome = 'rejected') AS has_rejections
    FROM outcomes WHERE raw_id = CAST(:raw_id AS uuid) AND receipts.settled_at IS NOT NULL
) AS outcome
WHERE raw_id = CAST(:raw_id AS uuid)
"""  # noqa: S608 - our own words

# The current event of an instant and source: the one in silver or, in an archived month, the last one.
_IN_SILVER: Final = """
        SELECT raw_id, item FROM measurements AS kept
        WHERE kept.measured_at = o.measured_at AND kept.source = o.source
          AND kept.measured_at BETWEEN CAST(:first AS timestamptz) AND CAST(:last AS timestamptz)"""
_IN_ARCHIVE: Final = f"""{_IN_SILVER} AND NOT archive.is_archived(o.measured_at)
        UNION ALL
        SELECT raw_id, item FROM (
            SELECT raw_id, item FROM outcomes AS last
            WHERE last.measured_at = o.measured_at AND last.source = o.source AND last.outcome = 'processed'
              AND archive.is_archived(o.measured_at)
            ORDER BY raw_id DESC, item DESC LIMIT 1
        ) AS last"""  # noqa: S608 - our own words

# Whether files have later events of the archived month that the table doesn't have.
_LATER_IN_FILES: Final = """EXISTS (
           SELECT FROM archive.files JOIN archive.months USING (kind, month)
           WHERE relation = 'outcomes' AND state <> 'writing' AND ends_at > uuid_extract_timestamp(o.raw_id)
             AND archive.is_archived(event.measured_at)
             AND by_month ? to_char(event.measured_at AT TIME ZONE 'UTC', 'YYYY-MM')
             AND NOT archive.month_of(event.measured_at) = ANY (in_table_for)
       )"""
_NONE_IN_FILES: Final = "false"

_RESOLVED: Final = "LEFT JOIN LATERAL gold.resolved_by(o.raw_id, o.item) AS fix ON o.outcome = 'rejected'"
_NONE_REJECTED: Final = "CROSS JOIN (SELECT CAST(NULL AS uuid) AS raw_id, CAST(NULL AS integer) AS item) AS fix"

_EVENT: Final = """
    SELECT o.*, m.raw_id AS current,
           CASE WHEN o.outcome = 'rejected' THEN 'rejected'
                WHEN m.raw_id = o.raw_id AND m.item = o.item THEN 'processed' ELSE 'superseded' END AS status
    FROM outcomes AS o LEFT JOIN LATERAL ({in_place}
    ) AS m ON true
    WHERE o.raw_id = CAST(:raw_id AS uuid)
      AND (CAST(:reads AS text[]) IS NULL OR coalesce(o.source, '') LIKE ANY (CAST(:reads AS text[])))
"""

_COUNTS: Final = f"""
SELECT count(*) FILTER (WHERE status = 'processed') AS processed,
       count(*) FILTER (WHERE status = 'superseded') AS superseded,
       count(*) FILTER (WHERE status = 'rejected') AS rejected
FROM ({_EVENT}) AS event
"""  # noqa: S608 - our own words

_EVENTS: Final = f"""
SELECT o.item, status, event.*, CASE WHEN status = 'superseded' THEN current END AS superseded_by,
       CASE WHEN status = 'processed' AND {{later}} THEN true END AS may_be_superseded,
       CASE WHEN status <> 'rejected' AND violations <> '[]' THEN violations END AS warnings,
       CASE WHEN status = 'rejected' THEN violations END AS violations, nullif(contract, '') AS contract,
       fix.raw_id AS "resolved_by.raw_id", fix.item AS "resolved_by.item"
FROM ({_EVENT} AND o.item > CAST(:after AS integer) ORDER BY o.item LIMIT CAST(:limit AS integer)) AS o
LEFT JOIN LATERAL (
    SELECT o.measured_at, o.source, o.mean, o.std_dev, o.sample_count, o.min, o.max, o.unit, o.tags
) AS event ON status <> 'rejected'
{{resolved}}
ORDER BY o.item
"""  # noqa: S608 - our own words


class Senders(Protocol):
    """Looks up the senders of objects in bronze."""

    def sender(self, raw_id: UUID) -> str | None:
        """The client that sent an object: empty if it is not recorded, None if there is no such object.

        Raises:
            BronzeUnavailableError: bronze could not be read.
        """


def read_status(
    database: Database, bronze: Senders, raw_id: UUID, request: StatusRequest, *, access: Access, gzip: bool
) -> ObjectStatus:
    """The status of an object; if it is processed, only silver is read.

    Several events are returned in pages: those after the cursor that fit into an answer, compressed or not. A client
    sees the events of the sources that it may read, and all events of objects that it sent.

    Raises:
        ProblemError: there is no such object, or it was deleted before it was processed.
        BronzeUnavailableError, SilverUnavailableError: bronze or silver could not be read.
    """
    sees_all = access.reads is None and Scope.READ in access.scopes
    is_own = not sees_all and bronze.sender(raw_id) == access.client
    if not sees_all and not is_own and Scope.READ not in access.scopes:
        raise ProblemError(problems.NO_SUCH_OBJECT)
    reads = None if sees_all or is_own else as_like(access.reads)
    found: dict[str, Any] = {"raw_id": raw_id, "received_at": milliseconds(received_at(raw_id))}
    known = next(iter(read(database, _Known, _OBJECT, raw_id=str(raw_id))), None)
    if known is not None and known["settled_at"] is not None:
        return cast("ObjectStatus", found | _processed(database, raw_id, known, request, reads=reads, gzip=gzip))
    if reads is not None:
        # An object that is not processed yet has no sources to compare.
        raise ProblemError(problems.NO_SUCH_OBJECT)
    if bronze.sender(raw_id) is None:
        raise ProblemError(problems.OBJECT_GONE if known else problems.NO_SUCH_OBJECT)
    if known is None:
        if (since := archived_at(database, raw_id)) is not None:
            return cast("ObjectStatus", found | {"status": State.ARCHIVED, "archived_at": since})
        return cast("ObjectStatus", found | {"status": State.ACCEPTED})
    return cast("ObjectStatus", found | _there({name: known[name] for name in ("status", "attempts", "last_error")}))


def _processed(
    database: Database, raw_id: UUID, known: _Known, request: StatusRequest, *, reads: list[str] | None, gzip: bool
) -> dict[str, Any]:
    """The status of a processed object, including only events that may be read."""
    asked: dict[str, Any] = {"raw_id": str(raw_id), "reads": reads, "first": known["first"], "last": known["last"]}
    parts = {
        "in_place": _IN_ARCHIVE if known["is_archived"] else _IN_SILVER,
        "later": _LATER_IN_FILES if known["is_archived"] else _NONE_IN_FILES,
        "resolved": _RESOLVED if known["has_rejections"] else _NONE_REJECTED,
    }
    (counts,) = read(database, EventCounts, _COUNTS.format(**parts), **asked)
    items = known["items"] if reads is None else counts["processed"] + counts["superseded"] + counts["rejected"]
    if not items:
        raise ProblemError(problems.NO_SUCH_OBJECT)
    state = next((State(name) for name in ("processed", "superseded") if counts[name]), State.REJECTED)
    found: dict[str, Any] = {"status": state, "settled_at": known["settled_at"], "items": items}
    rows = read(database, EventStatus, _EVENTS.format(**parts), after=request.cursor, limit=request.limit + 1, **asked)
    events = [_there(row) for row in rows]
    if items == 1:
        return {name: value for name, value in (events or [{}])[0].items() if name != "item"} | found
    shown = events[: request.limit]
    shown = shown[: len(fitting((to_json(event).decode() for event in shown), gzip=gzip))]
    found |= {"counts": counts, "events": shown}
    if len(shown) < len(events):
        found["cursor"] = shown[-1]["item"]
    return found


def _there(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without the fields that are null."""
    return {name: value for name, value in row.items() if value is not None and value != _OPEN}
