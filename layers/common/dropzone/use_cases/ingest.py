"""Ingest events: check that a body has some, and store its bytes unchanged."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import Any
from uuid import UUID

from dropzone.domain.body import (
    NotJsonError,
    UnpackedTooLargeError,
    bodies,
    check_utf_8,
    split,
    unpacked,
)
from dropzone.domain.formats import FORMATS
from dropzone.domain.identifiers import new_raw_id, received_at
from dropzone.domain.outcomes import (
    MAX_VIOLATIONS,
    ROOT,
    Code,
    Rejection,
    Violation,
    envelope_violations,
    has_envelope,
    is_client_rejection,
)
from dropzone.ports import (
    Bronze,
    BronzeUnavailableError,
    IdempotencyRecord,
    IdempotencyStore,
    RawIdTakenError,
    RawObject,
)

MAX_EVENTS = 100_000
"""The maximum number of events in one body. The smallest has 46 bytes, so the limit of bytes is reached first."""

KEYS_ARE_KEPT = timedelta(hours=24)
"""How long the record of an idempotency key is valid."""

_PUT_IS_DUE = timedelta(minutes=10)
"""No object is written under a record's identifier after this time: below the sweep's watermark, only its notification
would lead to it. The call that wrote the record has ended by then."""

_MAX_TRIES = 5
_OF_SEVERAL = frozenset({list, bytes})
"""The types of content with several events: an array, or lines."""
_LISTING_SECONDS = 5.0


EVENTS = "an event (an object with a string `time_stamp` and an array `data`) or a list of events"
"""What a body must be, unless its media type is in `FORMATS`."""


class EnvelopeError(ValueError):
    """No element of the body has the envelope of an event. The message says what the body must be."""

    def __init__(self, violations: list[Violation], expected: str = EVENTS) -> None:
        """`violations` are the first reasons."""
        super().__init__(expected)
        self.violations = violations


class TooLargeError(ValueError):
    """The body exceeds a limit, which the message names."""


class KeyReusedError(ValueError):
    """Another request used the idempotency key."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The body is in bronze under this identifier."""

    raw_id: UUID
    events: int | None
    """The number of events; None if its contract's mapping finds them later."""
    is_replayed: bool = False
    """Whether an earlier request with the same idempotency key stored it."""

    @property
    def received_at(self) -> datetime:
        return received_at(self.raw_id)


def ingest(raw: RawObject, *, limit: int, bronze: Bronze) -> Accepted:
    """Store events. When this returns, their bytes are in bronze; when it raises, nothing is guaranteed.

    If the identifier is taken, they are stored under a new one.

    Raises:
        TooLargeError: the body has more than `limit` bytes, compressed or not, or more than `MAX_EVENTS` events.
        NotGzipError: the body is gzip that is damaged or cut off.
        NotJsonError: the body is not JSON, or not UTF-8.
        EnvelopeError: no element has the envelope.
        BronzeUnavailableError: the body could not be stored.
    """
    _, events = check(raw, limit)
    for _ in range(_MAX_TRIES):
        try:
            bronze.put(raw)
        except RawIdTakenError:
            # Either the S3 client retried after a lost answer, or the identifier was used before. The existing object
            # may be a different one, so store this one under a new identifier.
            raw = replace(raw, raw_id=new_raw_id())
            continue
        return Accepted(raw.raw_id, events)
    raise BronzeUnavailableError(f"{_MAX_TRIES} identifiers in a row were taken")


def ingest_once(
    raw: RawObject, *, key: str, limit: int, bronze: Bronze, idempotency_store: IdempotencyStore
) -> Accepted:
    """Store events once, however often the same request is sent, even concurrently.

    First a record binds the key to the request and an identifier, then the body is stored under that identifier. If a
    request dies in between, the next one with the same key completes it; requests never wait for each other.

    Keys must be unique across clients.

    Raises:
        KeyReusedError: another request used the key.
        BronzeUnavailableError: the body or the record could not be stored.
        TooLargeError, NotGzipError, NotJsonError, EnvelopeError: as for `ingest`; the key stays unused.
    """
    content, events = check(raw, limit)
    raw_id, is_replayed = _recorded(key, digest(raw, content), bronze, idempotency_store)
    # If it is taken, it was by another request with this key, which had the same content.
    with suppress(RawIdTakenError):
        bronze.put(replace(raw, raw_id=raw_id))
    return Accepted(raw_id, events, is_replayed)


def digest(raw: RawObject, content: bytes) -> str:
    """The SHA-256 of a request's media type, contract and unpacked content: a retry may be compressed differently."""
    return sha256(f"{raw.content_type}\n{raw.contract}\n".encode() + content).hexdigest()


def check(raw: RawObject, limit: int) -> tuple[bytes, int | None]:
    """The unpacked content of a request that may be stored, and the number of its events, if known.

    Raises:
        TooLargeError, NotGzipError, NotJsonError, EnvelopeError: as for `ingest`.
    """
    if len(raw.body) > limit:
        raise TooLargeError(f"The body has {len(raw.body)} bytes; at most {limit} are accepted.")
    try:
        content = unpacked(raw.body, limit)
    except UnpackedTooLargeError as error:
        raise TooLargeError(f"Unpacked, the body has more than {limit} bytes, which is the limit.") from error
    if raw.contract:
        check_utf_8(content)
        _check_json(bodies(content, raw.content_type))
        return content, None
    items, payload_of = _items(content, raw.content_type)
    if len(items) > MAX_EVENTS:
        raise TooLargeError(f"The body has {len(items)} events; at most {MAX_EVENTS} are accepted.")
    # One item must look like an event, or report that the client could not build one.
    if not any(has_envelope(payload) or is_client_rejection(payload) for payload in map(payload_of, items)):
        check_utf_8(content)
        is_single = isinstance(items, tuple)
        payloads = [payload_of(item) for item in items[:MAX_VIOLATIONS]]
        if is_single and isinstance(payloads[0], NotJsonError):
            raise NotJsonError(str(payloads[0]))
        form = FORMATS.get(raw.content_type)
        raise EnvelopeError(_reasons(payloads, is_single=is_single), form.expected if form else EVENTS)
    return content, len(items)


def _check_json(texts: Iterator[Any]) -> None:
    """Reject a body without any JSON; what its mapping finds in the rest is validated when it is processed."""
    found = [*islice(texts, 1)]
    if not found:
        raise EnvelopeError(
            _reasons([], is_single=False), "JSON or NDJSON in the form that the contract's mapping expects"
        )
    if isinstance(found[0], NotJsonError) and all(isinstance(text, NotJsonError) for text in texts):
        raise NotJsonError(str(found[0]))


def _items(content: bytes, content_type: str) -> tuple[Sequence[Any], Callable[[Any], Any]]:
    """The events of a body, as returned by `split`; those in one of `FORMATS` are converted."""
    form = FORMATS.get(content_type)
    if form is None:
        return split(content, content_type)
    body = form.content(content)
    if isinstance(body, NotJsonError):
        raise NotJsonError(str(body))
    payloads = list(islice(form.payloads(body, datetime.now(UTC)), MAX_EVENTS + 1))
    return payloads if type(body) in _OF_SEVERAL else tuple(payloads), _with_text_time


def _with_text_time(payload: Any) -> Any:  # noqa: ANN401 - an event, or its rejection
    """An event with its time as text: formats yield instants, but the envelope requires a string."""
    if isinstance(payload, dict) and isinstance(payload.get("time_stamp"), datetime):
        return payload | {"time_stamp": payload["time_stamp"].isoformat()}
    return payload


def _reasons(payloads: Sequence[object], *, is_single: bool) -> list[Violation]:
    """Why none of the payloads is an event: each rule once, for the first payload that breaks it."""
    if not payloads:
        return [Violation(Code.EMPTY_BATCH, ROOT, "holds no event")]
    if is_single:
        only = payloads[0]
        return [*only.violations] if isinstance(only, Rejection) else envelope_violations(only)
    found: dict[tuple[Code, str], Violation] = {}
    for number, payload in enumerate(payloads):
        violations = payload.violations if isinstance(payload, Rejection) else envelope_violations(payload)
        for violation in violations:
            field = f"{ROOT}[{number}]" + (f".{violation.field}" if violation.field != ROOT else "")
            found.setdefault((violation.code, violation.field), replace(violation, field=field))
    return [*found.values()]


def _recorded(key: str, request_digest: str, bronze: Bronze, idempotency_store: IdempotencyStore) -> tuple[UUID, bool]:
    """The identifier in the key's record, and whether the record existed."""
    for _ in range(_MAX_TRIES):
        fresh = IdempotencyRecord(new_raw_id(), request_digest)
        existing = idempotency_store.put_if_absent(key, fresh)
        if existing is None:
            return fresh.raw_id, False
        raw_id = existing.record.raw_id
        age = datetime.now(UTC) - received_at(raw_id)
        if age < KEYS_ARE_KEPT:
            if existing.record.digest != request_digest:
                raise KeyReusedError
            if age < _PUT_IS_DUE or _is_in(bronze, raw_id):
                return raw_id, True
        if idempotency_store.replace(key, existing, fresh):
            return fresh.raw_id, False
    message = "other requests replaced the record of the idempotency key several times; send it again"
    raise BronzeUnavailableError(message)


def _is_in(bronze: Bronze, raw_id: UUID) -> bool:
    """Whether the object exists. It is listed, which needs no permission to read objects."""
    page = next(bronze.list_after(UUID(int=raw_id.int - 1), timeout=lambda: _LISTING_SECONDS), [])
    return any(listed.raw_id == raw_id for listed in page[:1])
