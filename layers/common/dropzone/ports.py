"""What the use cases need of the outside world: bronze (raw objects) and silver (clean rows), and how each can fail.

Every error is transient (worth another try, by whoever called) or terminal for one object.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from uuid import UUID

from dropzone.domain.outcomes import Code, Outcome, ValidatedObject

TimeLeft = Callable[[], float]
"""Returns the seconds left in this call."""


class BronzeError(Exception):
    """Bronze could not do what was asked."""


class BronzeUnavailableError(BronzeError):
    """Transient: throttled, out of reach, or failing. Another try may do."""


class RawIdTakenError(BronzeError):
    """An object stands there already; objects are immutable, so it was left as it is."""


class ObjectMissingError(BronzeError):
    """There is no such object (any more)."""


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
    """The id of the request that brought it; '' where it came another way."""
    content_encoding: str = ""
    """`gzip` where the body is packed, as its sender sent it."""


class ListedObject(NamedTuple):
    """An object as a listing of bronze shows it; size in bytes."""

    raw_id: UUID
    size: int


class Bronze(Protocol):
    """The raw objects, immutable, in order of arrival."""

    def put(
        self, raw_id: UUID, body: bytes, *, content_type: str, correlation_id: str, content_encoding: str = ""
    ) -> None:
        """Store an object that was never there before.

        Raises:
            RawIdTakenError: an object of that identifier stands there.
            BronzeUnavailableError: it could not be stored, or nobody can tell whether it was.
        """

    def read(self, raw_ids: Sequence[UUID], *, timeout: float) -> list[RawObject | BronzeError]:
        """Read objects, at once where that is faster: for each identifier its object or what kept it, in order.

        What is not read after `timeout` seconds is unavailable.
        """

    def list_after(self, raw_id: UUID, *, timeout: TimeLeft) -> Iterator[list[ListedObject]]:
        """List the objects that arrived after `raw_id`, in order of arrival, in pages read as they are asked for.

        `timeout` returns how many seconds the next page may take.

        Raises:
            BronzeUnavailableError: while iterating.
        """


class IdempotencyRecord(NamedTuple):
    """What is recorded of a request under its idempotency key: the identifier of the object, the digest of the body."""

    raw_id: UUID
    digest: str


class StoredRecord(NamedTuple):
    """A record as it was found, and its version, so that only this one is replaced."""

    record: IdempotencyRecord
    version: str


class IdempotencyStore(Protocol):
    """The records of idempotency keys. Each call may raise BronzeUnavailableError."""

    def put_if_absent(self, key: str, record: IdempotencyRecord) -> StoredRecord | None:
        """Store the record if the key is new; otherwise return the existing record."""

    def replace(self, key: str, existing: StoredRecord, record: IdempotencyRecord) -> bool:
        """Replace the record that was found; False if it has changed meanwhile."""


MAX_ATTEMPTS = 5
"""Attempts after which an object that was not settled is exhausted: `stuck` in its status, and retried rarely."""

HOURLY_ATTEMPTS = 24
"""So many attempts on an exhausted object are an hour apart, the others a day."""

OPEN_ATTEMPT = "An attempt is running, or its process ended without a result: out of memory, timeout or crash."
"""The error of an attempt that has not reported its end."""


class Receipt(NamedTuple):
    """What silver knows of an object: whether it has all its outcomes, and the tries recorded for it."""

    settled: bool
    attempts: int


@dataclass(frozen=True, slots=True)
class Written:
    """What silver holds of an object that is not settled."""

    items: tuple[range, ...] = ()
    """Of its events, those with an outcome under today's rules, in order."""
    rejected: int = 0
    codes: Mapping[Code, int] = field(default_factory=dict)
    """How many of these events each rule rejected."""
    outdated: int = 0
    """How many outcomes it has under other rules."""


class Silver(Protocol):
    """Receipts, outcomes and measurements. Each call is one transaction.

    Each may raise SilverUnavailableError and SilverConflictError.
    """

    def receipts(self, raw_ids: Collection[UUID]) -> dict[UUID, Receipt]:
        """The receipts of those of these objects that have one."""

    def write_outcomes(self, validated: Sequence[ValidatedObject]) -> set[UUID]:
        """Write the outcomes and receipts of objects and upsert their measurements, where the last arrival wins.

        Objects that are settled already are left as they are. A part of an object settles it if it is the last, and
        all events before it have their outcomes. Returns those that this call settled.

        Raises:
            RowRefusedError: the database refuses a row; nothing of the call was written.
        """

    def written(self, raw_ids: Collection[UUID]) -> dict[UUID, Written]:
        """Of these objects, those that aren't settled and of which parts are written."""

    def discard_outdated(self, raw_id: UUID, limit: int) -> int:
        """Remove outcomes of an unsettled object that were written under other rules; how many were, up to a limit.

        What they measured is derived again from the outcomes that are left.
        """

    def record_attempts(self, raw_ids: Collection[UUID], *, only_due: bool) -> set[UUID]:
        """Record that an attempt on each of these objects begins, so that a reader's death leaves a trace.

        With `only_due`, leaves out those whose time for another attempt has not come: of two sweeps at once, one gets
        each object. Settled objects are always left out. Returns those whose attempt was recorded.

        An earlier attempt that never reported its end doesn't count if the database was restarted since it began: it
        may have ended with the database.
        """

    def release_attempts(self, reasons: Mapping[UUID, str], *, retry_now: bool = False) -> None:
        """Take back attempts that failed through no fault of the object: they don't count.

        The next attempt is due after the first pause, or now. Where the database can't be reached, the error is raised
        and the release made with the next call that reaches it.
        """

    def record_errors(self, reasons: Mapping[UUID, str]) -> None:
        """Record on the receipts of unsettled objects why their last attempt failed."""

    def due_for_retry(self, limit: int, *, exhausted: bool) -> list[UUID]:
        """Unsettled objects whose next attempt is due, those with the fewest attempts first.

        The pause doubles with each attempt. Exhausted objects are due hourly, after a day daily, and left out unless
        `exhausted` is set.
        """

    def exhausted(self) -> int:
        """How many objects were tried `MAX_ATTEMPTS` times or more, and aren't settled."""

    def watermark(self) -> UUID:
        """Every object in bronze up to this one has a receipt."""

    def advance_watermark(self, raw_id: UUID) -> None:
        """Raise the watermark; it never sinks."""


class OutcomeStore(Protocol):
    """The outcomes of events, for validating again. Each call is one transaction.

    Each may raise SilverUnavailableError and SilverConflictError.
    """

    def outcomes(self, validated: Sequence[ValidatedObject]) -> dict[UUID, tuple[Outcome | None, ...]]:
        """The outcomes that objects, or these parts of them, have now, in the order of their items.

        None for an item that has no outcome; objects without any are left out.
        """

    def replace(self, validated: Sequence[ValidatedObject]) -> None:
        """Put these outcomes in the place of those that objects, or these parts of them, had.

        A part that is an object's last one also removes the outcomes behind it, and settles the object, if all events
        before it have their outcomes. Of each object one part at most.

        The measurement of every instant and source that the old or the new outcomes touch is derived anew, from its
        greatest processed outcome: one whose event is now rejected goes, and the one before it returns.

        Raises:
            RowRefusedError: the database refuses a row; nothing of the call was written.
        """

    def rejected_by(self, code: Code, *, after: UUID, before: UUID | None) -> list[UUID]:
        """Objects with an event that this rule rejected, in order of arrival, between the two; a page of them."""


class Presence(Protocol):
    """Which objects bronze has."""

    def exists(self, raw_id: UUID) -> bool:
        """Whether there is such an object.

        Raises:
            BronzeUnavailableError: nobody can tell.
        """


class GoldStore(Protocol):
    """What keeps gold near silver. May raise SilverUnavailableError and SilverConflictError."""

    def stale_seconds(self) -> float:
        """For how long the oldest stale bucket has been stale: 0 where there is none, a day at most."""

    def refresh(self, max_events: int) -> int:
        """Compute stale buckets again, in one transaction, without waiting for anybody; how many were.

        One at least; beyond that, buckets of about so many events.
        """
