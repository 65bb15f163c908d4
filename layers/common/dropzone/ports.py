"""Ports of the use cases: bronze (raw objects), silver (clean rows), gold, and their errors.

Each error is either transient (worth a retry) or terminal for one object. Every call to a store in Postgres may raise
SilverUnavailableError and SilverConflictError.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol
from uuid import UUID

from dropzone.domain.access import ClientsDocument
from dropzone.domain.outcomes import Code, Outcome, ValidatedObject

if TYPE_CHECKING:
    from datetime import date, datetime

    # Ingest doesn't need these: importing them would slow down its start.
    from dropzone.domain.contracts import Contracts
    from dropzone.domain.expectations import Expectation
    from dropzone.domain.identifiers import Cursor
    from dropzone.domain.notifications import Change, Channel

TimeLeft = Callable[[], float]
"""Returns the seconds left in this call."""


class BronzeError(Exception):
    """A call to bronze failed."""


class BronzeUnavailableError(BronzeError):
    """Transient: throttled, unreachable, or failing."""


class RawIdTakenError(BronzeError):
    """An object with this identifier exists; objects are immutable, so it was not changed."""


class ObjectMissingError(BronzeError):
    """The object does not exist (any more)."""


SilverTable = Literal["receipts", "outcomes", "measurements"]
"""The tables of silver that are partitioned by month."""


class SilverError(Exception):
    """A call to silver failed. Nothing was partly written."""


class SilverUnavailableError(SilverError):
    """Transient, in the infrastructure: the database is down, failing over, or not deployed yet."""


class SilverConflictError(SilverError):
    """Transient: a deadlock or a serialization failure. The same call may be repeated at once."""


class RowRefusedError(SilverError):
    """Terminal for a row of this call, which the database refuses (SQLSTATE class 22 or 23)."""


@dataclass(frozen=True, slots=True)
class RawObject:
    """An object as stored in bronze."""

    raw_id: UUID
    body: bytes
    content_type: str
    correlation_id: str
    """The identifier of the request that sent it, or empty."""
    content_encoding: str = ""
    """`gzip` if the body is compressed."""
    contract: str = ""
    """The data contract that it was sent to by name, or empty."""
    client: str = ""
    """The client that sent it, or empty."""
    writes: tuple[str, ...] | None = None
    """Patterns of the sources that its key was allowed to write at arrival; None for all."""


class ListedObject(NamedTuple):
    """An object in a listing of bronze; `size` is in bytes."""

    raw_id: UUID
    size: int


class Bronze(Protocol):
    """The raw objects, immutable, in order of arrival."""

    def put(self, raw: RawObject) -> None:
        """Store a new object.

        Raises:
            RawIdTakenError: an object with this identifier exists.
            BronzeUnavailableError: it could not be stored, or it is unknown whether it was.
        """

    def read(self, raw_ids: Sequence[UUID], *, timeout: float) -> list[RawObject | BronzeError]:
        """Read objects, concurrently if that is faster: returns an object or an error for each identifier, in order.

        Objects not read after `timeout` seconds have a BronzeUnavailableError.
        """

    def list_after(self, raw_id: UUID, *, timeout: TimeLeft) -> Iterator[list[ListedObject]]:
        """List the objects that arrived after `raw_id`, in order of arrival, in pages read on demand.

        `timeout` returns the number of seconds that the next page may take.

        Raises:
            BronzeUnavailableError: while iterating.
        """


class ClientStore(Protocol):
    """Reads the clients document."""

    def current(self) -> ClientsDocument:
        """The document, at most a minute old; an empty one if there is none.

        Raises:
            BronzeUnavailableError: it can't be read, or is not valid. No request may be allowed then.
        """


class IdempotencyRecord(NamedTuple):
    """A request's record under its idempotency key: the object's identifier, and a digest of the request."""

    raw_id: UUID
    digest: str


class StoredRecord(NamedTuple):
    """A record and its version, which makes a replacement conditional."""

    record: IdempotencyRecord
    version: str


class IdempotencyStore(Protocol):
    """The records of idempotency keys. Each call may raise BronzeUnavailableError."""

    def put_if_absent(self, key: str, record: IdempotencyRecord) -> StoredRecord | None:
        """Store the record if the key is new; otherwise return the existing record."""

    def replace(self, key: str, existing: StoredRecord, record: IdempotencyRecord) -> bool:
        """Replace an existing record; returns False if it has changed in the meantime."""


MAX_ATTEMPTS = 5
"""The number of attempts after which an unprocessed object is exhausted: its status is `stuck`, retries are rare."""

HOURLY_ATTEMPTS = 24
"""The number of attempts on an exhausted object that are an hour apart; the following ones are a day apart."""

OPEN_ATTEMPT = "An attempt is running, or its process ended without a result: out of memory, timeout or crash."
"""The error recorded for an attempt that has not reported its end."""


class Receipt(NamedTuple):
    """The receipt of an object: whether it has all its outcomes, and the attempts recorded for it."""

    complete: bool
    attempts: int


@dataclass(frozen=True, slots=True)
class Written:
    """The outcomes written so far for an incomplete object."""

    items: tuple[range, ...] = ()
    """The events with an outcome under the current rules, in order."""
    rejected: int = 0
    codes: Mapping[Code, int] = field(default_factory=dict)
    """The number of these events that each rule rejected."""
    flagged: int = 0
    """The number of these events with warnings."""
    outdated: int = 0
    """The number of outcomes under other rules."""


class Backlog(NamedTuple):
    """Numbers of objects with a receipt, but without all of their outcomes."""

    waiting: int
    """All of these objects."""
    exhausted: int
    """The ones with `MAX_ATTEMPTS` attempts or more."""


class Silver(Protocol):
    """Receipts, outcomes and measurements. Each call is one transaction."""

    @property
    def contracts(self) -> "Contracts":
        """The contracts to validate events by; outcomes are recorded with their ruleset."""

    def receipts(self, raw_ids: Collection[UUID]) -> dict[UUID, Receipt]:
        """The receipts of these objects; objects without one are left out."""

    def write_outcomes(self, validated: Sequence[ValidatedObject]) -> set[UUID]:
        """Write the outcomes and receipts of objects and upsert their measurements, where the last arrival wins.

        Objects that have all their outcomes are unchanged. Returns the objects that this call completed: a part
        completes an object if it is the last one, and all events before it have outcomes.

        Raises:
            RowRefusedError: the database refuses a row; nothing of the call was written.
        """

    def written(self, raw_ids: Collection[UUID]) -> dict[UUID, Written]:
        """What is written for these objects; only objects with some, but not all, of their outcomes."""

    def discard_outdated(self, raw_id: UUID, limit: int) -> int:
        """Delete up to `limit` outcomes that an incomplete object has under other rules; returns how many it deleted.

        Their measurements are derived again from the remaining outcomes.
        """

    def record_attempts(self, raw_ids: Collection[UUID], *, only_due: bool) -> set[UUID]:
        """Record the start of an attempt on each of these objects, as evidence if the process dies.

        With `only_due`, objects whose next attempt is not due are skipped: of two concurrent sweeps, one gets each
        object. Processed objects are always skipped. Returns the objects whose attempt was recorded.

        An earlier attempt without a reported end doesn't count if the database has restarted since it started: the
        restart may have ended it.
        """

    def release_attempts(self, reasons: Mapping[UUID, str], *, retry_now: bool = False) -> None:
        """Uncount attempts whose failure was not caused by the object.

        The next attempt is due after the first pause, or now. If the database can't be reached, the error is raised,
        and the next call that reaches it makes the release.
        """

    def record_errors(self, reasons: Mapping[UUID, str]) -> None:
        """Record why the last attempt failed on the objects' receipts; processed objects are skipped."""

    def due_for_retry(self, limit: int, *, exhausted: bool) -> list[UUID]:
        """Unprocessed objects whose next attempt is due, those with the fewest attempts first.

        The pause doubles with each attempt. Exhausted objects are due hourly, after a day daily, and left out unless
        `exhausted` is set.
        """

    def backlog(self) -> "Backlog":
        """The number of unprocessed objects with a receipt."""

    def watermark(self) -> UUID:
        """The identifier up to which every object in bronze has a receipt."""

    def advance_watermark(self, raw_id: UUID) -> None:
        """Raise the watermark; a lower one is ignored."""


class Decided(NamedTuple):
    """The matching objects of a page, in order of arrival."""

    raw_ids: list[UUID]
    reached: UUID | None
    """The last object of the page; None on the last page."""


class OutcomeStore(Protocol):
    """The outcomes of events, for replays. Each call is one transaction."""

    @property
    def contracts(self) -> "Contracts":
        """The contracts to validate events by; outcomes are recorded with their ruleset."""

    def outcomes(self, validated: Sequence[ValidatedObject]) -> dict[UUID, tuple[Outcome | None, ...]]:
        """The current outcomes of objects, or of these parts of them, in the order of their items.

        None for an item that has no outcome; objects without any are left out.
        """

    def archived_months(self, since: "datetime | None", until: "datetime | None") -> list[str]:
        """The months of arrival in this range, such as `2026-05`, whose outcomes are in files and can't be replaced."""

    def replace(self, validated: Sequence[ValidatedObject]) -> None:
        """Replace the outcomes of objects, or of these parts of them.

        The last part of an object also deletes the outcomes after it, and completes the object if all events before it
        have outcomes. Each object may be given only once.

        The measurement of every instant and source of the old and new outcomes is derived again from the last processed
        outcome: if an event is now rejected, its measurement is deleted, and the previous one, if any, is restored.

        Raises:
            RowRefusedError: the database refuses a row; nothing of the call was written.
        """

    def rejected_by(self, code: Code, *, after: UUID, before: UUID | None) -> list[UUID]:
        """A page of the objects between the two with an event that this rule rejected, in order of arrival."""

    def decided_by(self, contract: str, *, after: UUID, before: UUID | None) -> "Decided":
        """Search a page of objects between the two for outcomes of this contract under another ruleset.

        The contract is given by its identifier, and matches in any version.
        """


class Wanted(NamedTuple):
    """The objects to replay by fleet."""

    since: "datetime"
    until: "datetime | None" = None
    """The end of the range; None for the time when the replay starts."""
    contract: str | None = None
    """If given, only objects with an outcome of this contract, of any version, under another ruleset."""
    dry_run: bool = False
    is_sweep: bool = False
    """Process objects without a receipt instead of replaying."""


class FleetReplay(NamedTuple):
    """A replay or sweep by fleet."""

    since: "datetime"
    until: "datetime"
    contract: str | None
    dry_run: bool
    ruleset: str
    """The ruleset when it started."""
    planned_until: "datetime"
    """The instant up to which ranges exist."""
    is_paused: bool
    is_sweep: bool
    """Whether objects without a receipt are processed instead of replaying all."""


class FleetRange(NamedTuple):
    """A range of arrival, excluding `until`."""

    since: "datetime"
    until: "datetime"
    cursor: "Cursor | None"
    """Where to continue; None at the start."""
    is_done: bool


class RangeProgress(NamedTuple):
    """Progress made in a range."""

    before: "Cursor | None"
    """The previous cursor."""
    cursor: "Cursor | None"
    is_done: bool
    checked: int
    rejected: int
    unread: int
    changes: Mapping[str, int]
    """The number of events by the change of their outcome."""


class FleetReport(NamedTuple):
    """The sums over all ranges of a replay."""

    ranges: int
    done: int
    objects: int
    """Objects with a receipt (for a sweep, all in bronze), counted when the ranges were made."""
    checked: int
    rejected: int
    unread: int
    changes: Mapping[str, int]


class FleetStore(Protocol):
    """Replays by fleet: their ranges and progress. Each call is one transaction."""

    def begin(self, wanted: Wanted, ruleset: str) -> UUID:
        """Start a replay; or, if one of the same objects and rules is unfinished, continue it, unpaused."""

    def replay(self, replay_id: UUID) -> FleetReplay | None:
        """The replay with this identifier, if any."""

    def first_beyond(self, since: "datetime", until: "datetime", objects: int) -> UUID | None:
        """The object after the first `objects` ones with a receipt that arrived in this range, if there is one."""

    def add_range(self, replay_id: UUID, since: "datetime", until: "datetime", objects: int | None = None) -> None:
        """Add a range that starts where the planned ones end; any other is ignored.

        Without `objects`, the objects with a receipt are counted.
        """

    def pending(self, replay_id: UUID, limit: int) -> list[int]:
        """The numbers of ranges that are not done, in order."""

    def range(self, replay_id: UUID, number: int) -> FleetRange | None:
        """The range with this number, if any."""

    def advance(self, replay_id: UUID, number: int, progress: RangeProgress) -> bool:
        """Record progress in a range, unless another call moved its cursor; returns whether it was recorded."""

    def report(self, replay_id: UUID) -> FleetReport:
        """The sums; if all ranges are done, the replay is marked as finished."""

    def pause(self, replay_id: UUID) -> None:
        """Have the running calls end soon."""

    def delete_old(self, before: "datetime") -> int:
        """Delete replays without progress since an instant; returns how many."""


class Standing(NamedTuple):
    """How many sources break an expectation."""

    broken: int
    """The number of sources that break it."""
    changed: int
    """The number of sources that have started or stopped breaking it since the last check."""


class ExpectationStore(Protocol):
    """What is expected of sources over time, and which expectations they break. Each call is one transaction."""

    def deploy(self) -> None:
        """Write the expectations of the deployed contracts."""

    def unassigned(self, ruleset: str, limit: int) -> Sequence[tuple[str, str]]:
        """Sources whose contract has to be looked up, each with the contract that decided its last event."""

    def assign(self, ruleset: str, contracts: Mapping[str, str]) -> None:
        """Store the identifiers of contracts by source."""

    def check(self) -> Mapping["Expectation", Standing]:
        """Check sources against their expectations, store the broken ones, and write a notification of each change.

        Empty if another call is doing so.
        """

    def unsent(self, limit: int) -> Sequence[tuple[str, bytes]]:
        """The oldest batches of changes that were not handed over: their identifiers, and their changes as JSON."""

    def sent(self, batch_id: str) -> None:
        """Delete a batch that was handed over."""

    def unsent_seconds(self) -> float:
        """The age in seconds of the oldest batch that was not handed over; 0 if there is none."""


class UndeliverableError(Exception):
    """A notification could not be delivered. The message is safe to log."""


class Notifications(Protocol):
    """Batches of changes to be delivered to a channel. Each call may raise BronzeUnavailableError."""

    def put(self, channel: "Channel", batch_id: str, changes: bytes) -> None:
        """Write a batch, which starts its delivery; an existing batch is unchanged."""

    def read(self, channel: "Channel", batch_id: str) -> bytes:
        """The changes of a batch."""


class Deliver(Protocol):
    """Delivers a batch of at least one change; raises UndeliverableError if it can't."""

    def __call__(self, batch_id: str, changes: "Sequence[Change]") -> None:
        """Deliver the batch. A partly delivered one is delivered again, with the same identifiers."""


class Months(NamedTuple):
    """How many of the months that tables of silver need were made."""

    made: int
    missing: int
    """The number of months that could not be made, since the table was in use."""


class PartitionStore(Protocol):
    """The months of silver's tables."""

    def add_months(self, table: SilverTable) -> Months:
        """Make a table's next months, and a month with many rows in the default partition. It is one transaction.

        Only writers of months whose rows it moves have to wait.
        """


class GoldStore(Protocol):
    """Refreshes gold."""

    def stale_seconds(self) -> float:
        """The age in seconds of the oldest stale bucket: 0 if there is none, a day at most."""

    def refresh(self, max_events: int) -> int:
        """Recompute stale buckets of about `max_events` events, at least one bucket; returns how many.

        It is one transaction, and does not wait for locks.
        """


MonthKind = Literal["measured", "arrived"]
"""Months of measurements by their instant, or months of outcomes and receipts by arrival."""

ArchivedType = Literal["uuid", "text", "texts", "json", "instant", "float", "integer"]

_FIGURES: Final[Mapping[str, ArchivedType]] = {
    "measured_at": "instant",
    "source": "text",
    "mean": "float",
    "std_dev": "float",
    "sample_count": "integer",
    "min": "float",
    "max": "float",
}

ARCHIVED_COLUMNS: Final[Mapping[SilverTable, Mapping[str, ArchivedType]]] = {
    "measurements": {
        **_FIGURES,
        "unit": "text",
        "tags": "json",
        "flags": "texts",
        "raw_id": "uuid",
        "item": "integer",
        "updated_at": "instant",
    },
    "outcomes": {
        "raw_id": "uuid",
        "item": "integer",
        "outcome": "text",
        "violations": "json",
        **_FIGURES,
        "processed_at": "instant",
        "contract": "text",
        "ruleset": "text",
        "unit": "text",
        "tags": "json",
        "corrects_raw_id": "uuid",
        "corrects_item": "integer",
    },
    "receipts": {
        "raw_id": "uuid",
        "items": "integer",
        "settled_at": "instant",
        "attempts": "integer",
        "last_error": "text",
        "retry_at": "instant",
        "tried_at": "instant",
    },
}
"""The columns of the archive's files: all columns of each table."""


class ArchivedMonth(NamedTuple):
    """A month in UTC, given by its first day."""

    kind: MonthKind
    month: "date"

    def __str__(self) -> str:
        """The month as text, such as `2026-05 of arrival`."""
        return f"{self.month:%Y-%m}{' of arrival' if self.kind == 'arrived' else ''}"


class ArchivePart(NamedTuple):
    """The content of an archive file: the rows of a table from `begins_at` on, and before `ends_at`."""

    relation: SilverTable
    begins_at: "datetime"
    ends_at: "datetime"


class WrittenFile(NamedTuple):
    """A file in the bucket."""

    key: str
    bytes: int
    e_tag: str
    sha256: str
    """The SHA-256 of the bytes sent, in hexadecimal."""


class ArchiveFiles(Protocol):
    """The files of the archive."""

    def write(self, part: ArchivePart, rows: Iterator[str]) -> WrittenFile:
        """Write a file, replacing an existing one. Each text of `rows` has many lines of JSON, one per row.

        Raises:
            BronzeUnavailableError: it could not be stored.
        """

    def read(self, part: ArchivePart, sha256: str, after: int = 0) -> Iterator[str]:
        """The rows of a file after the first `after` ones, as JSON arrays; the digest is verified before the first one.

        Raises:
            BronzeUnavailableError: it could not be read.
            FileDiffersError: its content doesn't have this digest, or is damaged.
        """


class FileDiffersError(Exception):
    """A file doesn't match the table, or the file that was written: nothing is dropped or deleted."""


class ArchiveStore(Protocol):
    """Months of silver being moved to files and back. Calls are transactions unless noted, and may be repeated."""

    def begin_run(self, timeout: float = 0.0) -> bool:
        """Start a run, unless another is active and doesn't end within `timeout` seconds; returns whether it started.

        No other run can start until this one's session ends, or `end_run` is called.
        """

    def end_run(self) -> None:
        """Allow another run to start."""

    def changed(self) -> list[ArchivedMonth]:
        """Archived months that have changed since, or that are being reinstated."""

    def away(self, month: ArchivedMonth) -> list[ArchivePart]:
        """Start reinstating a month; returns the files still to be read, in order."""

    def reinstate(self, month: ArchivedMonth, part: ArchivePart, files: ArchiveFiles) -> Iterator[None]:
        """Restore a file's rows of a month; measurements are derived from the restored outcomes.

        Each step is a transaction. If the iterator is not exhausted, the next call continues with the following rows.

        Raises:
            FileDiffersError: it is not the file that was written.
            BronzeUnavailableError: it could not be read.
        """

    def reopen(self, month: ArchivedMonth) -> None:
        """Mark a restored month as not archived; its gold is computed again."""

    def closed(self, kind: MonthKind, kept: int) -> list[ArchivedMonth]:
        """Months that may be archived: they ended `kept` months ago or earlier, and have no pending work."""

    def begin(self, month: ArchivedMonth) -> None:
        """Track all changes to the month from now on, unless it is no longer closed."""

    def unwritten(self, month: ArchivedMonth) -> list[ArchivePart]:
        """The files of a month still to be written: smaller ones than before if a call ended while writing one."""

    def write(self, month: ArchivedMonth, part: ArchivePart, files: ArchiveFiles) -> int:
        """Write a file, compare it with the table, and record it; returns its number of rows.

        Raises:
            FileDiffersError: the file differs from the table.
            BronzeUnavailableError: it could not be stored or read.
        """

    def finish(self, month: ArchivedMonth) -> str:
        """Drop a month from the tables if its files are complete; returns the result.

        `archived`; `changed` if it has changed since it started, and so has to start again; `open` if it is no longer
        closed; `early` if too many of its outcomes belong to months of measurements that are not archived yet;
        `not_begun` if it isn't being written.
        """

    def surplus(self) -> list[ArchivePart]:
        """Files of arrival whose outcomes are still in the table, though their months of measurements are archived."""

    def remove_surplus(self, part: ArchivePart) -> None:
        """Remove these outcomes from the table."""
