"""Take events in: check that they may be taken, store their bytes as they came."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

from dropzone.domain.batches import is_ndjson, lines
from dropzone.domain.encodings import GZIP, UnpackedTooLargeError, is_gzip, unpacked
from dropzone.domain.envelope import check_envelope
from dropzone.domain.identifiers import new_raw_id, received_at
from dropzone.domain.json_text import parse_json
from dropzone.domain.outcomes import Code, Violation
from dropzone.domain.violations import ROOT
from dropzone.ports import Bronze, BronzeUnavailableError, IdempotencyRecord, IdempotencyStore, RawIdTakenError

MAX_EVENTS = 100_000
"""The most events of one body. The smallest that is clean has 46 bytes: the limit of bytes is reached before."""

KEYS_ARE_KEPT = timedelta(hours=24)
"""How long an idempotency key stands for its request."""

_PUT_IS_DUE = timedelta(minutes=10)
"""From then on, nobody writes an object under the identifier of a record: below the sweep's watermark, only its
notification would find it. No call that wrote the record still runs."""

_MAX_TRIES = 5
_LISTING_SECONDS = 5.0


class EnvelopeError(ValueError):
    """The payload is JSON, and no event; or there is none in it."""

    def __init__(self, violations: list[Violation]) -> None:
        """Carry what is wrong with it."""
        super().__init__("the payload is no event")
        self.violations = violations


class TooLargeError(ValueError):
    """There is more in the body than is taken at once; the message says what."""


class KeyReusedError(ValueError):
    """The idempotency key stands for another request."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What a client sent."""

    body: bytes
    """As received."""
    content_type: str
    """Its media type, in lower case, without parameters; kept with the object."""
    correlation_id: str = ""
    """Kept with the object, and logged wherever it is processed."""

    @property
    def content_encoding(self) -> str:
        """`gzip` where the body is packed; kept with the object."""
        return GZIP if is_gzip(self.body) else ""

    @property
    def digest(self) -> str:
        """What tells two submissions apart."""
        kind = f"{self.content_type}\n{self.content_encoding}\n".encode()
        return sha256(kind + self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Accepted:
    """The obligation: the body stands in bronze under this identifier."""

    raw_id: UUID
    events: int
    is_replayed: bool = False
    """Whether an earlier request with the same idempotency key got the same answer."""

    @property
    def received_at(self) -> datetime:
        """When it arrived, to the millisecond."""
        return received_at(self.raw_id)


def ingest(submission: Submission, *, limit: int, bronze: Bronze) -> Accepted:
    """Store events; when this returns, their bytes are in bronze. When it raises, nothing was promised.

    Args:
        submission: what came.
        limit: the most bytes of a body, unpacked.
        bronze: where it goes.

    Raises:
        TooLargeError: over the limit.
        NotGzipError: packed, and damaged or cut off.
        NotJsonError: not JSON.
        EnvelopeError: JSON, but no event.
        BronzeUnavailableError: it could not be stored.
    """
    events = count_events(submission, limit)
    for _ in range(_MAX_TRIES):
        raw_id = new_raw_id()
        try:
            _put(raw_id, submission, bronze)
        except RawIdTakenError:
            # The client's own retry after an answer that got lost, or an identifier that was used before. Which of
            # the two can't be told, so that the object which stands there may not be this one: store it under another.
            continue
        return Accepted(raw_id, events)
    message = f"{_MAX_TRIES} identifiers in a row were taken"
    raise BronzeUnavailableError(message)


def ingest_once(
    submission: Submission, *, key: str, limit: int, bronze: Bronze, idempotency_store: IdempotencyStore
) -> Accepted:
    """Store events once, however often and however many times at once the same request comes.

    First a record binds the key to the submission and an identifier, then the body goes to that identifier. So a
    request that died between the two is completed by the next one with its key, and nobody waits for anybody.

    Args:
        submission: what came.
        key: the idempotency key, which no two clients share.
        limit: the most bytes of a body, unpacked.
        bronze: where it goes.
        idempotency_store: the records of keys.

    Raises:
        KeyReusedError: the key stands for another submission.
        BronzeUnavailableError: it could not be stored, or the record couldn't.
        TooLargeError, NotGzipError, NotJsonError, EnvelopeError: as for `ingest`; the key then stands for nothing.
    """
    events = count_events(submission, limit)
    raw_id, is_replayed = _recorded(key, submission.digest, bronze, idempotency_store)
    # Taken: by another request with this key, which had the same body.
    with suppress(RawIdTakenError):
        _put(raw_id, submission, bronze)
    return Accepted(raw_id, events, is_replayed)


def count_events(submission: Submission, limit: int) -> int:
    """How many events a submission holds, where it may be taken in; a single one has to have the envelope.

    Raises:
        TooLargeError, NotGzipError, NotJsonError, EnvelopeError: as for `ingest`.
    """
    body = submission.body
    if len(body) > limit:
        message = f"The body has {len(body)} bytes; at most {limit} are taken."
        raise TooLargeError(message)
    try:
        body = unpacked(body, limit)
    except UnpackedTooLargeError as error:
        message = f"Unpacked, the body has more than {limit} bytes, which is what is taken at most."
        raise TooLargeError(message) from error
    if is_ndjson(submission.content_type):
        events = sum(1 for _ in lines(body))
    else:
        payload = parse_json(body)
        if type(payload) is not list:
            if violations := check_envelope(payload):
                raise EnvelopeError(violations)
            return 1
        events = len(payload)
    if events == 0:
        raise EnvelopeError([Violation(Code.EMPTY_BATCH, ROOT, "holds no event")])
    if events > MAX_EVENTS:
        message = f"The body has {events} events; at most {MAX_EVENTS} are taken."
        raise TooLargeError(message)
    return events


def _recorded(key: str, digest: str, bronze: Bronze, idempotency_store: IdempotencyStore) -> tuple[UUID, bool]:
    """The identifier that the key stands for, and whether it did so before."""
    for _ in range(_MAX_TRIES):
        fresh = IdempotencyRecord(new_raw_id(), digest)
        existing = idempotency_store.put_if_absent(key, fresh)
        if existing is None:
            return fresh.raw_id, False
        raw_id = existing.record.raw_id
        age = datetime.now(UTC) - received_at(raw_id)
        if age < KEYS_ARE_KEPT:
            if existing.record.digest != digest:
                raise KeyReusedError
            if age < _PUT_IS_DUE or _is_in(bronze, raw_id):
                return raw_id, True
        if idempotency_store.replace(key, existing, fresh):
            return fresh.raw_id, False
    message = "others replaced the record of the idempotency key, again and again"
    raise BronzeUnavailableError(message)


def _is_in(bronze: Bronze, raw_id: UUID) -> bool:
    """Whether the object is there, told by listing, for which nobody needs to read objects."""
    page = next(bronze.list_after(UUID(int=raw_id.int - 1), timeout=lambda: _LISTING_SECONDS), [])
    return any(listed.raw_id == raw_id for listed in page[:1])


def _put(raw_id: UUID, submission: Submission, bronze: Bronze) -> None:
    bronze.put(
        raw_id,
        submission.body,
        content_type=submission.content_type,
        correlation_id=submission.correlation_id,
        content_encoding=submission.content_encoding,
    )
