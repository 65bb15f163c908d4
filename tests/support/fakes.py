"""The ports in memory, faithful to the real adapters (the contract suites hold them to that), and ways to break them.

A fake alone never fails. `HookedBronze` and `HookedSilver` go around any implementation, real or fake, and call a hook
before and after each call: the hook raises what shall go wrong, spends time, or takes notes.
"""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import batched
from uuid import UUID

from dropzone.domain.access import ClientsDocument
from dropzone.domain.contracts import BASIC, Contracts
from dropzone.domain.outcomes import Measurement, Outcome, ValidatedObject
from dropzone.ports import (
    HOURLY_ATTEMPTS,
    MAX_ATTEMPTS,
    OPEN_ATTEMPT,
    Backlog,
    Bronze,
    BronzeError,
    BronzeUnavailableError,
    IdempotencyRecord,
    ListedObject,
    ObjectMissingError,
    RawIdTakenError,
    RawObject,
    Receipt,
    Silver,
    StoredRecord,
    TimeLeft,
    Written,
)
from support.rows import Key, MeasurementRow, OutcomeRow, ReceiptRow

Hook = Callable[[str, Collection[UUID]], None]
"""Called with a method's name and the objects that the call is about."""


class ReaderDiedError(BaseException):
    """The end of the process (out of memory, killed, timed out): no code of ours may catch it."""


def no_hook(_method: str, _raw_ids: Collection[UUID]) -> None:
    """Do nothing."""


@dataclass(slots=True)
class InMemoryBronze:
    """Raw objects in a dictionary."""

    objects: dict[UUID, RawObject] = field(default_factory=dict)
    page_size: int = 1_000

    def put(self, raw: RawObject) -> None:
        if raw.raw_id in self.objects:
            raise RawIdTakenError(str(raw.raw_id))
        self.objects[raw.raw_id] = raw

    def read(self, raw_ids: Sequence[UUID], *, timeout: float) -> list[RawObject | BronzeError]:
        if timeout <= 0:
            return [BronzeUnavailableError("late") for _ in raw_ids]
        return [self.objects.get(raw_id) or ObjectMissingError(f"{raw_id} is not in bronze") for raw_id in raw_ids]

    def list_after(self, raw_id: UUID, *, timeout: TimeLeft) -> Iterator[list[ListedObject]]:
        listed = [ListedObject(key, len(self.objects[key].body)) for key in sorted(self.objects) if key > raw_id]
        pages = batched(listed, self.page_size, strict=False)
        while True:
            if timeout() <= 0:
                raise BronzeUnavailableError("late")
            page = next(pages, None)
            if page is None:
                return
            yield list(page)


@dataclass(slots=True)
class HookedBronze:
    """Another bronze, with hooks, and with objects that can't be read."""

    inner: Bronze
    before: Hook = no_hook
    after: Hook = no_hook
    unreadable: dict[UUID, BronzeError] = field(default_factory=dict)
    """What reading these objects gives instead of them."""
    deadly: set[UUID] = field(default_factory=set)
    """Objects that kill whoever reads them."""
    listed_after: list[UUID] = field(default_factory=list)
    """Where listings began."""
    reads: list[list[UUID]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """What reads and pages were given."""

    def put(self, raw: RawObject) -> None:
        self.before("put", [raw.raw_id])
        self.inner.put(raw)
        self.after("put", [raw.raw_id])

    def read(self, raw_ids: Sequence[UUID], *, timeout: float) -> list[RawObject | BronzeError]:
        self.reads.append(list(raw_ids))
        self.seconds.append(timeout)
        self.before("read", raw_ids)
        if not self.deadly.isdisjoint(raw_ids):
            raise ReaderDiedError
        found = [
            self.unreadable.get(raw_id, result)
            for raw_id, result in zip(raw_ids, self.inner.read(raw_ids, timeout=timeout), strict=True)
        ]
        self.after("read", raw_ids)
        return found

    def list_after(self, raw_id: UUID, *, timeout: TimeLeft) -> Iterator[list[ListedObject]]:
        self.listed_after.append(raw_id)

        def noted() -> float:
            self.seconds.append(timeout())
            return self.seconds[-1]

        for page in self.inner.list_after(raw_id, timeout=noted):
            self.before("list_after", [listed.raw_id for listed in page])
            yield page


@dataclass(slots=True)
class InMemoryClients:
    """A document of clients that is always current."""

    document: ClientsDocument = field(default_factory=ClientsDocument)

    def current(self) -> ClientsDocument:
        return self.document


@dataclass(slots=True)
class InMemoryIdempotencyStore:
    """The records of idempotency keys, in a dictionary; a record's version is how often the key was written."""

    records: dict[str, StoredRecord] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put_if_absent(self, key: str, record: IdempotencyRecord) -> StoredRecord | None:
        with self.lock:
            found = self.records.get(key)
            if found is None:
                self.records[key] = StoredRecord(record, "1")
            return found

    def replace(self, key: str, existing: StoredRecord, record: IdempotencyRecord) -> bool:
        with self.lock:
            if self.records.get(key) != existing:
                return False
            self.records[key] = StoredRecord(record, str(int(existing.version) + 1))
            return True


@dataclass(frozen=True, slots=True)
class _Receipt:
    items: int | None = None
    attempts: int = 0
    last_error: str | None = None
    retry_at: datetime | None = None

    @property
    def complete(self) -> bool:
        return self.items is not None


class InMemorySilver:
    """The tables as dictionaries; each call holds a lock, as a transaction that serializes would."""

    def __init__(self, *, retry_after: timedelta = timedelta(minutes=1), contracts: Contracts = BASIC) -> None:
        self.contracts = contracts
        self._pause = retry_after
        self._passed = timedelta(0)
        self._lock = threading.RLock()
        self._receipts: dict[UUID, _Receipt] = {}
        self._outcomes: dict[tuple[UUID, int], OutcomeRow] = {}
        self._measurements: dict[Key, MeasurementRow] = {}
        self._watermark = UUID(int=0)
        self._outdated: set[tuple[UUID, int]] = set()

    def outdate(self, raw_id: UUID, items: range) -> None:
        """Let outcomes be of the rules of before."""
        self._outdated |= {(raw_id, item) for item in items}

    def pass_time(self, duration: timedelta) -> None:
        """Advance its clock, which decides when retries are due."""
        self._passed += duration

    def _now(self) -> datetime:
        return datetime.now(UTC) + self._passed

    def receipts(self, raw_ids: Collection[UUID]) -> dict[UUID, Receipt]:
        with self._lock:
            known = {raw_id: self._receipts[raw_id] for raw_id in raw_ids if raw_id in self._receipts}
        return {raw_id: Receipt(receipt.complete, receipt.attempts) for raw_id, receipt in known.items()}

    def write_outcomes(self, validated: Sequence[ValidatedObject]) -> set[UUID]:
        with self._lock:
            taken = [entry for entry in validated if not self._receipt(entry.raw_id).complete]
            for entry in taken:
                self._receipts[entry.raw_id] = self._with_outcomes(self._receipt(entry.raw_id), entry)
                for item, outcome in enumerate(entry.outcomes, entry.first_item):
                    self._record(entry.raw_id, item, outcome)
            return {entry.raw_id for entry in taken if self._receipt(entry.raw_id).complete}

    def written(self, raw_ids: Collection[UUID]) -> dict[UUID, Written]:
        with self._lock:
            return {
                raw_id: found
                for raw_id in raw_ids
                if raw_id in self._receipts and not self._receipts[raw_id].complete
                if (found := self._written(raw_id)).items or found.outdated
            }

    def _written(self, raw_id: UUID) -> Written:
        own = {item: row for (owner, item), row in self._outcomes.items() if owner == raw_id}
        current = sorted(item for item in own if (raw_id, item) not in self._outdated)
        runs: list[range] = []
        for item in current:
            first = runs.pop().start if runs and runs[-1].stop == item else item
            runs.append(range(first, item + 1))
        rejected = [own[item] for item in current if own[item].measurement is None]
        flagged = sum(1 for item in current if own[item].violations) - len(rejected)
        codes = Counter(code for row in rejected for code in {violation.code for violation in row.violations})
        return Written(tuple(runs), len(rejected), codes, flagged, len(own) - len(current))

    def discard_outdated(self, raw_id: UUID, limit: int) -> int:
        with self._lock:
            if self._receipt(raw_id).complete:
                return 0
            discarded = sorted(key for key in self._outdated if key[0] == raw_id)[:limit]
            for key in discarded:
                self._outdated.discard(key)
                del self._outcomes[key]
            self._measurements.clear()
            for (owner, item), row in sorted(self._outcomes.items()):
                if row.measurement is not None:
                    self._measure(MeasurementRow(row.measurement, owner, item))
        return len(discarded)

    def _with_outcomes(self, receipt: _Receipt, entry: ValidatedObject) -> _Receipt:
        if entry.is_whole and all((entry.raw_id, item) in self._outcomes for item in range(entry.first_item)):
            return replace(receipt, items=entry.items, last_error=None, retry_at=None)
        later = self._now() + self._pause
        return replace(receipt, retry_at=max(receipt.retry_at or later, later))

    def _record(self, raw_id: UUID, item: int, outcome: Outcome) -> None:
        if (raw_id, item) in self._outcomes:
            return
        if isinstance(outcome, Measurement):
            self._outcomes[raw_id, item] = OutcomeRow(outcome, outcome.flags, outcome.source)
            self._measure(MeasurementRow(outcome, raw_id, item))
        else:
            self._outcomes[raw_id, item] = OutcomeRow(None, outcome.violations, outcome.source)

    def _measure(self, row: MeasurementRow) -> None:
        key = (row.measurement.measured_at, row.measurement.source)
        standing = self._measurements.get(key)
        if standing is None or (standing.raw_id, standing.item) <= (row.raw_id, row.item):
            self._measurements[key] = row

    def record_attempts(self, raw_ids: Collection[UUID], *, only_due: bool) -> set[UUID]:
        with self._lock:
            recorded = {raw_id for raw_id in raw_ids if self._may_be_tried(raw_id, only_due=only_due)}
            for raw_id in recorded:
                receipt = self._receipt(raw_id)
                attempts = receipt.attempts + 1
                self._receipts[raw_id] = replace(
                    receipt,
                    attempts=attempts,
                    last_error=OPEN_ATTEMPT,
                    retry_at=self._now() + self._pause_after(attempts),
                )
        return recorded

    def _pause_after(self, attempts: int) -> timedelta:
        if attempts < MAX_ATTEMPTS:
            return self._pause * (1 << (attempts - 1))
        return timedelta(hours=1) if attempts < MAX_ATTEMPTS + HOURLY_ATTEMPTS else timedelta(days=1)

    def _may_be_tried(self, raw_id: UUID, *, only_due: bool) -> bool:
        receipt = self._receipts.get(raw_id)
        return receipt is None or (not receipt.complete and (not only_due or self._is_due(receipt)))

    def _is_due(self, receipt: _Receipt) -> bool:
        return receipt.retry_at is not None and receipt.retry_at <= self._now()

    def _receipt(self, raw_id: UUID) -> _Receipt:
        return self._receipts.get(raw_id, _Receipt())

    def _incomplete(self, reasons: Mapping[UUID, str]) -> Iterator[tuple[UUID, _Receipt]]:
        for raw_id, reason in reasons.items():
            receipt = self._receipts.get(raw_id)
            if receipt is not None and not receipt.complete:
                yield raw_id, replace(receipt, last_error=reason)

    def release_attempts(self, reasons: Mapping[UUID, str], *, retry_now: bool = False) -> None:
        with self._lock:
            for raw_id, receipt in self._incomplete(reasons):
                retry_at = self._now() + (timedelta(0) if retry_now else self._pause)
                self._receipts[raw_id] = replace(receipt, attempts=max(receipt.attempts - 1, 0), retry_at=retry_at)

    def record_errors(self, reasons: Mapping[UUID, str]) -> None:
        with self._lock:
            self._receipts.update(self._incomplete(reasons))

    def due_for_retry(self, limit: int, *, exhausted: bool) -> list[UUID]:
        with self._lock:
            due = [
                (receipt.attempts, raw_id)
                for raw_id, receipt in self._receipts.items()
                if not receipt.complete and self._is_due(receipt) and (exhausted or receipt.attempts < MAX_ATTEMPTS)
            ]
        return [raw_id for _, raw_id in sorted(due)[:limit]]

    def backlog(self) -> Backlog:
        with self._lock:
            waiting = [receipt for receipt in self._receipts.values() if not receipt.complete]
        return Backlog(len(waiting), sum(receipt.attempts >= MAX_ATTEMPTS for receipt in waiting))

    def watermark(self) -> UUID:
        return self._watermark

    def advance_watermark(self, raw_id: UUID) -> None:
        with self._lock:
            self._watermark = max(self._watermark, raw_id)

    def receipt_rows(self) -> dict[UUID, ReceiptRow]:
        return {
            raw_id: ReceiptRow(receipt.complete, receipt.items, receipt.attempts, receipt.last_error)
            for raw_id, receipt in self._receipts.items()
        }

    def outcome_rows(self) -> dict[tuple[UUID, int], OutcomeRow]:
        return dict(self._outcomes)

    def measurement_rows(self) -> dict[Key, MeasurementRow]:
        return dict(self._measurements)


@dataclass(slots=True)
class HookedSilver:
    """Another silver, with hooks. One that raises before a call simulates a refusal, after it a lost answer."""

    inner: Silver
    before: Hook = no_hook
    after: Hook = no_hook

    @property
    def contracts(self) -> Contracts:
        return self.inner.contracts

    def _around[T](self, method: str, raw_ids: Collection[UUID], call: Callable[[], T]) -> T:
        self.before(method, raw_ids)
        result = call()
        self.after(method, raw_ids)
        return result

    def receipts(self, raw_ids: Collection[UUID]) -> dict[UUID, Receipt]:
        return self._around("receipts", raw_ids, lambda: self.inner.receipts(raw_ids))

    def write_outcomes(self, validated: Sequence[ValidatedObject]) -> set[UUID]:
        return self._around(
            "write_outcomes", [entry.raw_id for entry in validated], lambda: self.inner.write_outcomes(validated)
        )

    def written(self, raw_ids: Collection[UUID]) -> dict[UUID, Written]:
        return self._around("written", raw_ids, lambda: self.inner.written(raw_ids))

    def discard_outdated(self, raw_id: UUID, limit: int) -> int:
        return self._around("discard_outdated", [raw_id], lambda: self.inner.discard_outdated(raw_id, limit))

    def record_attempts(self, raw_ids: Collection[UUID], *, only_due: bool) -> set[UUID]:
        return self._around("record_attempts", raw_ids, lambda: self.inner.record_attempts(raw_ids, only_due=only_due))

    def release_attempts(self, reasons: Mapping[UUID, str], *, retry_now: bool = False) -> None:
        self._around(
            "release_attempts", list(reasons), lambda: self.inner.release_attempts(reasons, retry_now=retry_now)
        )

    def record_errors(self, reasons: Mapping[UUID, str]) -> None:
        self._around("record_errors", list(reasons), lambda: self.inner.record_errors(reasons))

    def due_for_retry(self, limit: int, *, exhausted: bool) -> list[UUID]:
        return self._around("due_for_retry", [], lambda: self.inner.due_for_retry(limit, exhausted=exhausted))

    def backlog(self) -> Backlog:
        return self._around("backlog", [], self.inner.backlog)

    def watermark(self) -> UUID:
        return self._around("watermark", [], self.inner.watermark)

    def advance_watermark(self, raw_id: UUID) -> None:
        self._around("advance_watermark", [raw_id], lambda: self.inner.advance_watermark(raw_id))
