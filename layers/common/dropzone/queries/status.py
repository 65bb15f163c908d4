"""`GET /ingest/{raw_id}`: what has become of an object, and of its events."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, NotRequired, Protocol, TypedDict, cast
from uuid import UUID

from pydantic import Field
from pydantic_core import to_json

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
from dropzone.api.pages import fitting
from dropzone.api.parameters import Request
from dropzone.api.problems import ProblemError
from dropzone.api.response import milliseconds
from dropzone.domain.access import Access, Scope
from dropzone.domain.identifiers import received_at
from dropzone.domain.patterns import as_like
from dropzone.ports import MAX_ATTEMPTS
from dropzone.queries.rows import read


class State(StrEnum):
    """What has become of an object."""

    ACCEPTED = "accepted"
    PROCESSED = "processed"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"
    STUCK = "stuck"


EventState = Literal[State.PROCESSED, State.SUPERSEDED, State.REJECTED]
"""The states of an event with an outcome."""


class StatusRequest(Request):
    """The parameters of `GET /ingest/{raw_id}`."""

    limit: int = Field(default=100, ge=1, le=1_000, description="The most events of a batch.", examples=[10])
    cursor: int = Field(
        default=-1,
        ge=-1,
        le=2**31 - 1,
        description="The item after which to go on, as an earlier answer's cursor says.",
        examples=[99],
    )


class _Outcome(TypedDict, total=False):
    """What is known of an event, by its state."""

    measured_at: Annotated[datetime, Field(description="Of a processed event, as all that follows: in UTC.")]
    source: SourceOfEvent
    mean: float
    std_dev: Annotated[float, Field(ge=0, description="The population's.")]
    sample_count: Annotated[int, Field(ge=1)]
    min: float
    max: float
    unit: SourceOfEvent
    tags: Mapping[str, str]
    warnings: Annotated[
        Sequence[Violation],
        Field(description="Of a processed event: every rule of severity `warning` that it breaks, 10 at most."),
    ]
    superseded_by: Annotated[UUID, Field(description="The object with the event that replaced it.")]
    violations: Annotated[
        Sequence[Violation], Field(description="Of a rejected event: every rule that it breaks, 10 at most.")
    ]
    resolved_by: ResolvedBy
    contract: ContractReference


@closed
class EventStatus(_Outcome):
    """The status of one event of several."""

    item: Item
    status: EventState


@closed
class EventCounts(TypedDict):
    """How many events are in each state."""

    processed: Count
    superseded: Count
    rejected: Count


class _Object(TypedDict):
    """What silver knows of an object as a whole."""

    status: Annotated[
        State,
        Field(
            description=(
                "`accepted`: stored, not processed yet. `processed`: its measurement is in silver. `superseded`: it "
                "was processed, and a later event for the same instant and source replaced it. `rejected`: it breaks "
                "rules. `stuck`: five attempts failed, which `last_error` explains; it is retried hourly, then daily. "
                "Of several events: `processed` if one is in silver at least, `rejected` if all are."
            )
        ),
    ]
    settled_at: NotRequired[Annotated[datetime, Field(description="When its last event got its outcome.")]]
    items: NotRequired[Annotated[int, Field(ge=1, description="Of a processed object: how many events it holds.")]]
    counts: NotRequired[EventCounts]
    attempts: NotRequired[Annotated[int, Field(ge=0, description="Attempts that failed.")]]
    last_error: NotRequired[Annotated[str, Field(description="Why the last one failed.")]]


_OPEN: Final = {"raw_id": None, "item": None}
"""Of an event that isn't a resolved rejection: by what it is resolved."""

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
    """The status of an object: of a single event all of it, of several their counts and a page of them."""

    raw_id: RawId
    received_at: Arrival
    events: NotRequired[Annotated[Sequence[EventStatus], Field(description="Of several events: a page of them.")]]
    cursor: NotRequired[Annotated[int, Field(ge=0, description="Where to go on: there if there are more events.")]]


_READABLE: Final = "(CAST(:reads AS text[]) IS NULL OR coalesce(o.source, '') LIKE ANY (CAST(:reads AS text[])))"

# Which event has the place of an instant and source: that of silver, or, of an archived month, the last one.
_IN_PLACE: Final = """LEFT JOIN LATERAL (
        SELECT raw_id, item FROM measurements AS kept
        WHERE kept.measured_at = o.measured_at AND kept.source = o.source AND NOT gold.is_archived(o.measured_at)
        UNION ALL
        SELECT raw_id, item FROM (
            SELECT raw_id, item FROM outcomes AS last
            WHERE last.measured_at = o.measured_at AND last.source = o.source AND last.outcome = 'processed'
              AND gold.is_archived(o.measured_at)
            ORDER BY raw_id DESC, item DESC LIMIT 1
        ) AS last
    ) AS m ON true"""

_OBJECT: Final = f"""
SELECT CASE WHEN settled_at IS NULL THEN CASE WHEN attempts < {MAX_ATTEMPTS} THEN 'accepted' ELSE 'stuck' END
            WHEN current > 0 THEN 'processed' WHEN processed > 0 THEN 'superseded' ELSE 'rejected' END AS status,
       settled_at, current AS "counts.processed",
       CASE WHEN settled_at IS NULL THEN NULL WHEN CAST(:reads AS text[]) IS NULL THEN items ELSE total END AS items,
       processed - current AS "counts.superseded", total - processed AS "counts.rejected",
       CASE WHEN settled_at IS NULL THEN attempts END AS attempts,
       CASE WHEN settled_at IS NULL THEN last_error END AS last_error
FROM receipts CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE m.raw_id = o.raw_id AND m.item = o.item) AS current,
           count(*) FILTER (WHERE o.outcome = 'processed') AS processed, count(*) AS total
    FROM outcomes AS o {_IN_PLACE}
    WHERE o.raw_id = CAST(:raw_id AS uuid) AND receipts.settled_at IS NOT NULL AND {_READABLE}
) AS outcome
WHERE raw_id = CAST(:raw_id AS uuid)
"""  # noqa: S608 - our own words

_EVENTS: Final = f"""
SELECT item, status, measured_at, source, mean, std_dev, sample_count, min, max, unit, tags,
       CASE WHEN status = 'superseded' THEN current END AS superseded_by,
       CASE WHEN status <> 'rejected' AND violations <> '[]' THEN violations END AS warnings,
       CASE WHEN status = 'rejected' THEN violations END AS violations, nullif(contract, '') AS contract,
       "resolved_by.raw_id", "resolved_by.item"
FROM (
    SELECT o.item, m.raw_id AS current, o.violations, o.contract, event.*,
           fix.raw_id AS "resolved_by.raw_id", fix.item AS "resolved_by.item",
           CASE WHEN o.outcome = 'rejected' THEN 'rejected'
                WHEN m.raw_id = o.raw_id AND m.item = o.item THEN 'processed' ELSE 'superseded' END AS status
    FROM outcomes AS o
    {_IN_PLACE}
    LEFT JOIN LATERAL (
        SELECT o.measured_at, o.source, o.mean, o.std_dev, o.sample_count, o.min, o.max, o.unit, o.tags
    ) AS event ON o.outcome = 'processed'
    LEFT JOIN LATERAL gold.resolved_by(o.raw_id, o.item) AS fix ON o.outcome <> 'processed'
    WHERE o.raw_id = CAST(:raw_id AS uuid) AND o.item > CAST(:after AS integer) AND {_READABLE}
    ORDER BY o.item LIMIT CAST(:limit AS integer)
) AS event ORDER BY item
"""  # noqa: S608 - our own words


class Senders(Protocol):
    """Which objects bronze has, and who sent them."""

    def sender(self, raw_id: UUID) -> str | None:
        """Who sent an object: empty if that is not recorded, None if there is no such object.

        Raises:
            BronzeUnavailableError: bronze could not be read.
        """


def read_status(
    database: Database, bronze: Senders, raw_id: UUID, request: StatusRequest, *, access: Access, gzip: bool
) -> ObjectStatus:
    """The status of an object; of a processed one by silver alone.

    Of several events, a page: those after the cursor that fit into an answer, compressed or not. Who may read some
    sources sees their events, and who sent the object all of them.

    Raises:
        ProblemError: there is no such object, or it was deleted before it was processed.
        BronzeUnavailableError, SilverUnavailableError: bronze or silver could not be read.
    """
    sees_all = access.reads is None and Scope.READ in access.scopes
    is_own = not sees_all and bronze.sender(raw_id) == access.client
    if not sees_all and not is_own and Scope.READ not in access.scopes:
        raise ProblemError(problems.NO_SUCH_OBJECT)
    reads = None if sees_all or is_own else as_like(access.reads)
    known = [_there(row) for row in read(database, _Object, _OBJECT, raw_id=str(raw_id), reads=reads)]
    if reads is not None and not (known and known[0].get("items")):
        # What is not processed yet has no source that could be compared.
        raise ProblemError(problems.NO_SUCH_OBJECT)
    found: dict[str, Any] = {
        "raw_id": raw_id,
        "status": State.ACCEPTED,
        "received_at": milliseconds(received_at(raw_id)),
    }
    found |= known[0] if known else {}
    counts = found.pop("counts", None)
    if "settled_at" not in found:
        if bronze.sender(raw_id) is None:
            raise ProblemError(problems.OBJECT_GONE if known else problems.NO_SUCH_OBJECT)
        return cast("ObjectStatus", found)
    rows = read(
        database, EventStatus, _EVENTS, raw_id=str(raw_id), after=request.cursor, limit=request.limit + 1, reads=reads
    )
    events = [_there(row) for row in rows]
    if found["items"] == 1:
        return cast(
            "ObjectStatus", {name: value for name, value in (events or [{}])[0].items() if name != "item"} | found
        )
    shown = events[: request.limit]
    shown = shown[: len(fitting((to_json(event).decode() for event in shown), gzip=gzip))]
    found |= {"counts": counts, "events": shown}
    if len(shown) < len(events):
        found["cursor"] = shown[-1]["item"]
    return cast("ObjectStatus", found)


def _there(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row tells: null is what isn't there."""
    return {name: value for name, value in row.items() if value is not None and value != _OPEN}
