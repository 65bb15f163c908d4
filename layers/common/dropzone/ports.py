"""Ports of the use cases: bronze (raw objects), silver (clean rows), gold, and their errors.

Each error is either transient (worth a retry) or terminal for one object. Every call of a store in Postgres may raise
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

    # Ingest needs none: it would slow down its start.
    from dropzone.domain.contracts import Contracts
    from dropzone.domain.expectations import Expectation
    from dropzone.domain.identifiers import Cursor
    from dropzone.domain.notifications import Change, Channel

TimeLeft = Callable[[], float]
"""Returns the seconds left in this call."""


class BronzeError(Exception):
    """Bronze could not do what was asked."""


class BronzeUnavailableError(BronzeError):
    """Transient: throttled, out of reach, or failing."""


class RawIdTakenError(BronzeError):
    """An object of this identifier exists; objects are immutable, so it was not changed."""


class ObjectMissingError(BronzeError):
    """There is no such object (any more)."""


SilverTable = Literal["receipts", "outcomes", "measurements"]
"""The tables of silver that are partitioned by month."""


class SilverError(Exception):
    """Silver could not do what was asked. Nothing was half written."""


class SilverUnavailableError(SilverError):
    """Transient, and of the infrastructure: the database is down, failing over, or not deployed yet."""


class SilverConflictError(SilverError):
    """Transient: a deadlock or a serialization failure. The same call may be made again at once."""


class RowRefusedError(SilverError):
    """Terminal for a row of this call: the database refuses it (SQLSTATE class 22 or 23)."""


@dataclass(frozen=True, slots=True)
class RawObject:
    """An object as bronze holds it."""

    raw_id: UUID
    body: bytes
    content_type: str
    correlation_id: str
    """The id of the request that sent it, or empty."""
    content_encoding: str = ""
    """`gzip` if the body is compressed."""
    contract: str = ""
    """The data contract that it was sent to by name, or empty."""
    client: str = ""
    """Who sent it, or empty."""
    writes: tuple[str, ...] | None = None
    """Patterns of the sources that its key might write when it arrived; None for all."""


class ListedObject(NamedTuple):
    """An object as a listing of bronze shows it; size in bytes."""

    raw_id: UUID
    size: int


class Bronze(Protocol):
    """The raw objects, immutable, in order of arrival."""

    def put(self, raw: RawObject) -> None:
        """Store an object that was never there before.

        Raises:
            RawIdTakenError: an object of that identifier exists.
            BronzeUnavailableError: it could not be stored, or it is unknown whether it was.
        """

    def read(self, raw_ids: Sequence[UUID], *, timeout: float) -> list[RawObject | BronzeError]:
        """Read objects, concurrently if that is faster: for each identifier its object or an error, in order.

        What is not read after `timeout` seconds is unavailable.
        """

    def list_after(self, raw_id: UUID, *, timeout: TimeLeft) -> Iterator[list[ListedObject]]:
        """List the objects that arrived after `raw_id`, in order of arrival, in pages read on demand.

        `timeout` returns how many seconds the next page may take.

        Raises:
            BronzeUnavailableError: while iterating.
        """


class ClientStore(Protocol):
    """The document of clients."""

    def current(self) -> ClientsDocument:
        """The document, at most a minute old; an empty one if there is none.

        Raises:
            BronzeUnavailableError: it can't be read, or is not valid. Nobody may do anything then.
        """


class IdempotencyRecord(NamedTuple):
    """A request's record under its idempotency key: the object's identifier, and a digest of the request."""

    raw_id: UUID
    digest: str


class StoredRecord(NamedTuple):
    """A record, and its version, so that only this one is replaced."""

    record: IdempotencyRecord
    version: str


class IdempotencyStore(Protocol):
    """The records of idempotency keys. Each call may raise BronzeUnavailableError."""

    def put_if_absent(self, key: str, record: IdempotencyRecord) -> StoredRecord | None:
        """Store the record if the key is new; otherwise return the existing record."""

    def replace(self, key: str, existing: StoredRecord, record: IdempotencyRecord) -> bool:
        """Replace an existing record; False if it has changed meanwhile."""


MAX_ATTEMPTS = 5
"""After so many attempts an unprocessed object is exhausted: `stuck` in its status, and retried rarely."""

HOURLY_ATTEMPTS = 24
"""So many attempts on an exhausted object are an hour apart, the following ones a day."""

OPEN_ATTEMPT = "An attempt is running, or its process ended without a result: out of memory, timeout or crash."
"""The error of an attempt that has not reported its end."""


class Receipt(NamedTuple):
    """The receipt of an object: whether it has all its outcomes, and the attempts recorded for it."""

    complete: bool
    attempts: int


@dataclass(frozen=True, slots=True)
class Written:
    """The outcomes that are written of an object without all of them."""

    items: tuple[range, ...] = ()
    """The events with an outcome under the current rules, in order."""
    rejected: int = 0
    codes: Mapping[Code, int] = field(default_factory=dict)
    """How many of them each rule rejected."""
    flagged: int = 0
    """How many of them have warnings."""
    outdated: int = 0
    """The number of outcomes under other rules."""


class Backlog(NamedTuple):
    """Numbers of objects that have a receipt, and not all of their outcomes."""

    waiting: int
    """All of them."""
    exhausted: int
    """Those of them with `MAX_ATTEMPTS` attempts or more."""


class Silver(Protocol):
    """Receipts, outcomes and measurements. Each call is one transaction."""

    @property
    def contracts(self) -> "Contracts":
        """By which events are validated; outcomes are recorded with their ruleset."""

    def receipts(self, raw_ids: Collection[UUID]) -> dict[UUID, Receipt]:
        """The receipts of those of these objects that have one."""

    def write_outcomes(self, validated: Sequence[ValidatedObject]) -> set[UUID]:
        """Write the outcomes and receipts of objects and upsert their measurements, where the last arrival wins.

        Objects with all their outcomes are left as they are. Returns the objects that have all of them since this call:
        a part completes an object if it is the last one, and all events before it have their outcomes.

        Raises:
            RowRefusedError: the database refuses a row; nothing of the call was written.
        """

    def written(self, raw_ids: Collection[UUID]) -> dict[UUID, Written]:
        """What is written of those of these objects that have some outcomes, and not all."""

    def discard_outdated(self, raw_id: UUID, limit: int) -> int:
        """Delete up to `limit` outcomes that an incomplete object has under other rules; returns how many it deleted.

        Their measurements are derived again from the outcomes that are left.
        """

    def record_attempts(self, raw_ids: Collection[UUID], *, only_due: bool) -> set[UUID]:
        """Record the start of an attempt on each of these objects, which shows if the process dies.

        With `only_due`, skips objects whose next attempt is not due: of two concurrent sweeps, one gets each object.
        Processed objects are always skipped. Returns the objects whose attempt was recorded.

        An earlier attempt that never reported its end doesn't count if the database was restarted since it began: it
        may have ended with the database.
        """

    def release_attempts(self, reasons: Mapping[UUID, str], *, retry_now: bool = False) -> None:
        """Take back attempts that failed through no fault of the object: they don't count.

        The next attempt is due after the first pause, or now. Where the database can't be reached, the error is raised
        and the release made with the next call that reaches it.
        """

    def record_errors(self, reasons: Mapping[UUID, str]) -> None:
        """Record on receipts why the last attempt failed; processed objects are skipped."""

    def due_for_retry(self, limit: int, *, exhausted: bool) -> list[UUID]:
        """Unprocessed objects whose next attempt is due, those with the fewest attempts first.

        The pause doubles with each attempt. Exhausted objects are due hourly, after a day daily, and left out unless
        `exhausted` is set.
        """

    def backlog(self) -> "Backlog":
        """The unprocessed objects that were tried."""

    def watermark(self) -> UUID:
        """Every object in bronze up to this one has a receipt."""

    def advance_watermark(self, raw_id: UUID) -> None:
        """Raise the watermark; a lower one is ignored."""


class Decided(NamedTuple):
    """The objects that were found among those of a page, in order of arrival."""

    raw_ids: list[UUID]
    reached: UUID | None
    """The last object of the page; None if there is no further one."""


class OutcomeStore(Protocol):
    """The outcomes of events, for replays. Each call is one transaction."""

    @property
    def contracts(self) -> "Contracts":
        """By which events are validated; outcomes are recorded with their ruleset."""

    def outcomes(self, validated: Sequence[ValidatedObject]) -> dict[UUID, tuple[Outcome | None, ...]]:
        """The outcomes that objects, or these parts of them, have now, in the order of their items.

        None for an item that has no outcome; objects without any are left out.
        """

    def archived_months(self, since: "datetime | None", until: "datetime | None") -> list[str]:
        """The months of a time of arrival whose outcomes are in files and can't be replaced, such as `2026-05`."""

    def replace(self, validated: Sequence[ValidatedObject]) -> None:
        """Replace the outcomes of objects, or of these parts of them.

        The last part of an object also deletes the outcomes after it, and completes the object if all events before it
        have their outcomes. Each object may be given once.

        Measurements of every instant and source of the old or the new outcomes are derived again from the last
        processed outcome: if an event is now rejected, its measurement is deleted, and the one before it returns.

        Raises:
            RowRefusedError: the database refuses a row; nothing of the call was written.
        """

    def rejected_by(self, code: Code, *, after: UUID, before: UUID | None) -> list[UUID]:
        """Objects with an event that this rule rejected, in order of arrival, between the two; a page of them."""

    def decided_by(self, contract: str, *, after: UUID, before: UUID | None) -> "Decided":
        """Look at a page of objects between the two, for those with an outcome of this contract under another ruleset.

        The contract is given by its identifier; whatever its version was.
        """


class Wanted(NamedTuple):
    """Which objects a replay by fleet replays."""

    since: "datetime"
    until: "datetime | None" = None
    """None: up to the time when it begins."""
    contract: str | None = None
    """Only those with an outcome of this contract, of any version, under another ruleset."""
    dry_run: bool = False
    is_sweep: bool = False
    """Process those without a receipt, in place of replaying."""


class FleetReplay(NamedTuple):
    """A replay or sweep by fleet."""

    since: "datetime"
    until: "datetime"
    contract: str | None
    dry_run: bool
    ruleset: str
    """The rules by which it was begun."""
    planned_until: "datetime"
    """Ranges exist up to here."""
    is_paused: bool
    is_sweep: bool
    """Whether objects without a receipt are processed, in place of replaying all."""


class FleetRange(NamedTuple):
    """A range of arrival: `until` is left out."""

    since: "datetime"
    until: "datetime"
    cursor: "Cursor | None"
    """Where to go on; None at its beginning."""
    is_done: bool


class RangeProgress(NamedTuple):
    """What was done of a range."""

    before: "Cursor | None"
    """Where its cursor was."""
    cursor: "Cursor | None"
    is_done: bool
    checked: int
    rejected: int
    unread: int
    changes: Mapping[str, int]
    """Events by what changed for them."""


class FleetReport(NamedTuple):
    """The sums over all ranges of a replay."""

    ranges: int
    done: int
    objects: int
    """Those that have a receipt, of a sweep all in bronze, counted when the ranges were made."""
    checked: int
    rejected: int
    unread: int
    changes: Mapping[str, int]


class FleetStore(Protocol):
    """Replays by fleet: their ranges, and how far each is. Each call is one transaction."""

    def begin(self, wanted: Wanted, ruleset: str) -> UUID:
        """Begin a replay; or, if one of the same objects and rules is unfinished, go on with it, unpaused."""

    def replay(self, replay_id: UUID) -> FleetReplay | None:
        """The replay, if there is one of this name."""

    def first_beyond(self, since: "datetime", until: "datetime", objects: int) -> UUID | None:
        """Of the objects with a receipt that arrived in a time, the one after so many; None if there are no more."""

    def add_range(self, replay_id: UUID, since: "datetime", until: "datetime", objects: int | None = None) -> None:
        """Add a range that begins where those that are planned end; no other is added.

        Without `objects`, those that have a receipt are counted.
        """

    def pending(self, replay_id: UUID, limit: int) -> list[int]:
        """The numbers of ranges that are not done, in order."""

    def range(self, replay_id: UUID, number: int) -> FleetRange | None:
        """A range, if there is one of this number."""

    def advance(self, replay_id: UUID, number: int, progress: RangeProgress) -> bool:
        """Record what was done of a range, unless another call moved its cursor; whether it was recorded."""

    def report(self, replay_id: UUID) -> FleetReport:
        """The sums; a replay whose ranges are all done is finished from then on."""

    def pause(self, replay_id: UUID) -> None:
        """Let the calls that are at it end soon."""

    def delete_old(self, before: "datetime") -> int:
        """Delete what has not got further since an instant; how many."""


class Standing(NamedTuple):
    """How the sources do by one of the expectations."""

    broken: int
    """How many sources break it."""
    changed: int
    """For how many that has changed since the last time."""


class ExpectationStore(Protocol):
    """What is expected of sources over time, and what of it they break. Each call is one transaction."""

    def deploy(self) -> None:
        """Write what the deployed contracts expect."""

    def unassigned(self, ruleset: str, limit: int) -> Sequence[tuple[str, str]]:
        """Sources whose contract is to be looked up, each with the contract that decided its last event."""

    def assign(self, ruleset: str, contracts: Mapping[str, str]) -> None:
        """Keep the identifiers of contracts by source."""

    def check(self) -> Mapping["Expectation", Standing]:
        """Compare sources with what is expected of them, keep what is broken, and write a notification of each change.

        Empty where another call is at it.
        """

    def unsent(self, limit: int) -> Sequence[tuple[str, bytes]]:
        """The oldest batches of changes that were not handed over: their identifiers, and the JSON of their changes."""

    def sent(self, batch_id: str) -> None:
        """Forget a batch, which was handed over."""

    def unsent_seconds(self) -> float:
        """For how long the oldest batch has not been handed over; 0 without one."""


class UndeliverableError(Exception):
    """A notification could not be delivered; the message may be logged."""


class Notifications(Protocol):
    """Batches of changes on their way to a channel. Each call may raise BronzeUnavailableError."""

    def put(self, channel: "Channel", batch_id: str, changes: bytes) -> None:
        """Write a batch, which begins its delivery; a batch that is there already is left as it is."""

    def read(self, channel: "Channel", batch_id: str) -> bytes:
        """The changes of a batch."""


class Deliver(Protocol):
    """Delivers a batch of changes, one at least; raises UndeliverableError where it can't."""

    def __call__(self, batch_id: str, changes: "Sequence[Change]") -> None:
        """Deliver it. What was delivered in part is delivered again, with the same identifiers."""


class Months(NamedTuple):
    """What became of the months that a table of silver needed."""

    made: int
    missing: int
    """So many could not be made, since others used the table."""


class PartitionStore(Protocol):
    """The months of silver's tables."""

    def add_months(self, table: SilverTable) -> Months:
        """Make a table's months ahead, and one of which the default has many rows. It is one transaction.

        Writers don't wait, but for those of the months that it moves rows of.
        """


class GoldStore(Protocol):
    """Refreshes gold."""

    def stale_seconds(self) -> float:
        """The age in seconds of the oldest stale bucket: 0 if there is none, a day at most."""

    def refresh(self, max_events: int) -> int:
        """Compute stale buckets of about `max_events` events again, at least one; returns how many.

        It is one transaction, and waits for no lock.
        """


MonthKind = Literal["measured", "arrived"]
"""Of measurements, by their own instant; or of outcomes and receipts, by arrival."""

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
"""The columns of a file of the archive: those of the table, all of them."""


class ArchivedMonth(NamedTuple):
    """A month of UTC, by its first day."""

    kind: MonthKind
    month: "date"

    def __str__(self) -> str:
        """Such as `2026-05 of arrival`."""
        return f"{self.month:%Y-%m}{' of arrival' if self.kind == 'arrived' else ''}"


class ArchivePart(NamedTuple):
    """What a file of the archive holds: the rows of a table from one instant on, and before another."""

    relation: SilverTable
    begins_at: "datetime"
    ends_at: "datetime"


class WrittenFile(NamedTuple):
    """A file in the bucket."""

    key: str
    bytes: int
    e_tag: str
    sha256: str
    """Of what was sent, in hexadecimal digits."""


class ArchiveFiles(Protocol):
    """The files of the archive."""

    def write(self, part: ArchivePart, rows: Iterator[str]) -> WrittenFile:
        """Write a file in place of the one that there may be, of rows as lines of JSON, many in each text.

        Raises:
            BronzeUnavailableError: it could not be stored.
        """

    def read(self, part: ArchivePart, sha256: str, after: int = 0) -> Iterator[str]:
        """The rows of a file that follow so many, as arrays in JSON; none before all of it is known to be as written.

        Raises:
            BronzeUnavailableError: it could not be read.
            FileDiffersError: it has other contents than this digest's, or is damaged.
        """


class FileDiffersError(Exception):
    """A file doesn't have what the table has, or had when it was written: nothing is dropped, or forgotten."""


class ArchiveStore(Protocol):
    """Months of silver, on their way to files and back. A call is a transaction or as it says, and may be repeated."""

    def begin_run(self, timeout: float = 0.0) -> bool:
        """Whether no other run is at work, or the one that is ends within so many seconds.

        If so, none begins until this one's session ends, or `end_run`.
        """

    def end_run(self) -> None:
        """Let another run begin."""

    def changed(self) -> list[ArchivedMonth]:
        """Months in files that have changed since, or that are being reinstated."""

    def away(self, month: ArchivedMonth) -> list[ArchivePart]:
        """The files to read until a month is back, in this order. Begins to bring it back."""

    def reinstate(self, month: ArchivedMonth, part: ArchivePart, files: ArchiveFiles) -> Iterator[None]:
        """Put back what a file has of a month; of measurements, by deriving them from the outcomes that are back.

        Each step is a transaction. If no more are taken, the next call goes on with the rows that follow.

        Raises:
            FileDiffersError: it is not the file that was written.
            BronzeUnavailableError: it could not be read.
        """

    def reopen(self, month: ArchivedMonth) -> None:
        """Let a month that is back be as if it was never archived; gold is computed again."""

    def closed(self, kind: MonthKind, kept: int) -> list[ArchivedMonth]:
        """Months that ended so many months ago, are not archived, and may be: nothing of them is under way."""

    def begin(self, month: ArchivedMonth) -> None:
        """Mark every change of the month from now on; not if it is no longer closed."""

    def unwritten(self, month: ArchivedMonth) -> list[ArchivePart]:
        """The files of a month to write: smaller ones than before, if a call ended in the midst of one."""

    def write(self, month: ArchivedMonth, part: ArchivePart, files: ArchiveFiles) -> int:
        """Write a file, compare it with the table, and record it; returns how many rows it has.

        Raises:
            FileDiffersError: it has something else.
            BronzeUnavailableError: it could not be stored or read.
        """

    def finish(self, month: ArchivedMonth) -> str:
        """Drop a month if its files have it; returns how that ended.

        `archived`; `changed` if it has changed since it began, and so has to begin again; `open` if it is no longer
        closed; `early` if too many of its outcomes are of months of measurements that are not archived yet;
        `not_begun` if it isn't being written.
        """

    def surplus(self) -> list[ArchivePart]:
        """Files of arrival whose outcomes the table still has for months of measurements that are archived by now."""

    def remove_surplus(self, part: ArchivePart) -> None:
        """Remove these outcomes from the table."""
