"""`GET /rejections`: rejected events and the rules that they broke, the last arrival first."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, NotRequired, TypedDict
from uuid import UUID

from pydantic import Field
from pydantic_core import to_json

from dropzone.adapters.database import Database
from dropzone.api.answers import (
    EXAMPLE_ARRIVAL,
    EXAMPLE_CONTRACT,
    EXAMPLE_RAW_ID,
    EXAMPLE_VIOLATION,
    EXAMPLE_WRITTEN,
    Arrival,
    ContractReference,
    Cursor,
    EventReference,
    Item,
    RawId,
    Violation,
    answer,
    closed,
)
from dropzone.api.parameters import InstantOrDate, Request, SourceFilter
from dropzone.domain.identifiers import earliest_raw_id, received_at
from dropzone.domain.outcomes import Code
from dropzone.domain.patterns import as_like
from dropzone.queries.ranges import FIRST, ZoneOfDates, bounds, newest
from dropzone.queries.rows import read


class RejectionsRequest(Request):
    """What `GET /rejections` takes in its query."""

    code: Code | None = Field(default=None, description="Only events rejected by this rule.", examples=["data.empty"])
    source: SourceFilter | None = Field(
        default=None,
        description="Only this source; empty for events that name no source.",
        examples=["hall-1/thermometer"],
    )
    since: InstantOrDate | None = Field(
        default=None,
        alias="from",
        description="Received at or after this instant, or from the start of this day.",
        examples=["2026-11-24"],
    )
    until: InstantOrDate | None = Field(
        default=None,
        alias="to",
        description="Received before this instant, or until the end of this day.",
        examples=[EXAMPLE_ARRIVAL],
    )
    tz: ZoneOfDates = "UTC"
    resolved: Literal["false", "true", "all"] = Field(
        default="false",
        description="`false`: open rejections, which no processed event corrects. `true`: resolved ones. `all`: both.",
        examples=["all"],
    )
    limit: int = Field(
        default=100, ge=1, le=1_000, description="The maximum number of events to return.", examples=[10]
    )
    cursor: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9]{1,9}$",
        description="The cursor of the previous page.",
        examples=[f"{EXAMPLE_RAW_ID}.0"],
    )


@closed
class Rejection(TypedDict):
    """A rejected event with its reasons."""

    raw_id: RawId
    item: Item
    received_at: Arrival
    processed_at: datetime
    contract: ContractReference
    ruleset: Annotated[str, Field(description="The version of the basic rules and contracts that rejected the event.")]
    source: Annotated[str, Field(description="Empty if the event names none, or none that can be read.")]
    violations: Annotated[Sequence[Violation], Field(min_length=1)]
    resolved_by: Annotated[
        EventReference | None,
        Field(description="The processed event that corrects it; null while the rejection is open."),
    ]


@answer(
    {
        "rejections": [
            {
                "raw_id": EXAMPLE_RAW_ID,
                "item": 0,
                "received_at": EXAMPLE_ARRIVAL,
                "processed_at": EXAMPLE_WRITTEN,
                "contract": EXAMPLE_CONTRACT,
                "ruleset": "4.6a3e0b95",
                "source": "",
                "violations": [EXAMPLE_VIOLATION],
                "resolved_by": None,
            }
        ]
    }
)
class RejectionsPage(TypedDict):
    """A page of rejected events, the newest first."""

    rejections: Sequence[Rejection]
    cursor: NotRequired[Cursor]


_REJECTIONS: Final = """
SELECT raw_id, item, to_char(uuid_extract_timestamp(raw_id), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS received_at,
       processed_at, contract, ruleset, coalesce(source, '') AS source, violations, resolved_by
FROM outcomes LEFT JOIN LATERAL (
    SELECT json_build_object('raw_id', fix.raw_id, 'item', fix.item) AS resolved_by
    FROM gold.resolved_by(outcomes.raw_id, outcomes.item, CAST(:corrections_since AS uuid)) AS fix
) AS fixed ON true
WHERE outcome = 'rejected'
  AND (:resolved = 'all' OR (resolved_by IS NOT NULL) = (:resolved = 'true'))
  AND (CAST(:pattern AS jsonb) IS NULL OR violations @> CAST(:pattern AS jsonb))
  AND (CAST(:source AS text) IS NULL OR coalesce(source, '') = :source)
  AND (CAST(:reads AS text[]) IS NULL OR coalesce(source, '') LIKE ANY (CAST(:reads AS text[])))
  AND (CAST(:since AS uuid) IS NULL OR raw_id >= CAST(:since AS uuid))
  AND (CAST(:before AS uuid) IS NULL OR raw_id < CAST(:before AS uuid))
  AND (CAST(:after AS uuid) IS NULL OR raw_id <= CAST(:after AS uuid))
  AND (CAST(:after AS uuid) IS NULL OR raw_id < CAST(:after AS uuid) OR item > CAST(:after_item AS integer))
ORDER BY raw_id DESC, item LIMIT CAST(:limit AS integer)
"""


def _corrections_since(since: datetime | None) -> UUID:
    """The earliest arrival of corrections of events that arrived since `since`: they refer to an existing rejection.

    It is a day earlier, since clocks may differ.
    """
    return UUID(int=0) if since is None else earliest_raw_id(since - min(timedelta(days=1), since - FIRST))


def read_rejections(database: Database, request: RejectionsRequest, *, reads: tuple[str, ...] | None) -> RejectionsPage:
    """A page of rejected events: the last arrived object first, and the events of each in order.

    Raises:
        InvalidRequestError: there is no such time zone.
    """
    after, _, after_item = (request.cursor or "").partition(".")

    def rows(since: datetime | None, until: datetime | None, limit: int) -> list[Rejection]:
        return read(
            database,
            Rejection,
            _REJECTIONS,
            pattern=None if request.code is None else to_json([{"code": request.code}]).decode(),
            source=request.source,
            reads=as_like(reads),
            resolved=request.resolved,
            since=None if since is None else str(earliest_raw_id(since)),
            corrections_since=str(_corrections_since(since)),
            before=None if until is None else str(earliest_raw_id(until)),
            after=after or None,
            after_item=int(after_item) if after_item else None,
            limit=limit,
        )

    before = received_at(UUID(after)) if after else None
    found = newest(rows, *bounds(database, request), request.limit + 1, before=before)
    page: RejectionsPage = {"rejections": found[: request.limit]}
    if len(found) > request.limit:
        last = found[request.limit - 1]
        page["cursor"] = f"{last['raw_id']}.{last['item']}"
    return page
