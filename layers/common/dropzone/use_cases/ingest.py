"""Ingest events: check that there are some, store their bytes as they were sent."""

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
"""The limit of events in one body. The smallest valid one has 46 bytes, so the limit of bytes is reached before."""

KEYS_ARE_KEPT = timedelta(hours=24)
"""How long the record of an idempotency key is valid."""

_PUT_IS_DUE = timedelta(minutes=10)
"""After that, no object is written under the identifier of a record: below the sweep's watermark, only its notification
would find it. The call that wrote the record has ended by then."""

_MAX_TRIES = 5
_OF_SEVERAL = frozenset({list, bytes})
"""The types of a content that holds several events: an array, or lines."""
_LISTING_SECONDS = 5.0


EVENTS = "an event (an object with a string `time_stamp` and an array `data`) or a list of events"
"""What a body must be, but for those of `FORMATS`."""


class EnvelopeError(ValueError):
    """No element of the body has the envelope of an event; the message says what the body must be."""

    def __init__(self, violations: list[Violation], expected: str = EVENTS) -> None:
        """`violations` has the first reasons."""
        super().__init__(expected)
        self.violations = violations


class TooLargeError(ValueError):
    """The body exceeds a limit; the message says which."""


class KeyReusedError(ValueError):
    """Another request used the idempotency key."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The body is in bronze under this identifier."""

    raw_id: UUID
    events: int | None
    """How many events it holds; None if its contract's mapping finds them later."""
    is_replayed: bool = False
    """Whether an earlier request with the same idempotency key stored it."""

    @property
    def received_at(self) -> datetime:
        return received_at(self.raw_id)


def ingest(raw: RawObject, *, limit: int, bronze: Bronze) -> Accepted:
    """Store events; when this returns, their bytes are in bronze. When it raises, nothing was promised.

    If the identifier is taken, they have a new one.

    Raises:
        TooLargeError: it has more bytes than the limit, packed or not, or more events than `MAX_EVENTS`.
        NotGzipError: gzip that is damaged or cut off.
        NotJsonError: not JSON, or not UTF-8.
        EnvelopeError: no element has the envelope.
        BronzeUnavailableError: it could not be stored.
    """
    _, events = check(raw, limit)
    for _ in range(_MAX_TRIES):
        try:
            bronze.put(raw)
        except RawIdTakenError:
            # Either the S3 client's own retry after a lost answer, or an identifier that was used before. The object
            # there may be another one, so store this one under a new identifier.
            raw = replace(raw, raw_id=new_raw_id())
            continue
        return Accepted(raw.raw_id, events)
    raise BronzeUnavailableError(f"{_MAX_TRIES} identifiers in a row were taken")


def ingest_once(
    raw: RawObject, *, key: str, limit: int, bronze: Bronze, idempotency_store: IdempotencyStore
) -> Accepted:
    """Store events once, however often the same request is sent, also concurrently.

    First a record binds the key to the request and an identifier, then the body is stored under that identifier. If a
    request dies between the two, the next one with its key completes it; none waits for another.

    No two clients may share a key.

    Raises:
        KeyReusedError: another request used the key.
        BronzeUnavailableError: it could not be stored, or the record couldn't.
        TooLargeError, NotGzipError, NotJsonError, EnvelopeError: as for `ingest`; the key stays unused.
    """
    content, events = check(raw, limit)
    raw_id, is_replayed = _recorded(key, digest(raw, content), bronze, idempotency_store)
    # Taken by another request with this key, which had the same content.
    with suppress(RawIdTakenError):
        bronze.put(replace(raw, raw_id=raw_id))
    return Accepted(raw_id, events, is_replayed)


def digest(raw: RawObject, content: bytes) -> str:
    """Identifies a request's media type, contract and unpacked content: a client may compress again when it retries."""
    return sha256(f"{raw.content_type}\n{raw.contract}\n".encode() + content).hexdigest()


def check(raw: RawObject, limit: int) -> tuple[bytes, int | None]:
    """The unpacked content of a submission that may be stored, and the number of its events, if known.

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
    # Something may be an event, or reports that there is none.
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
    """Refuse a body of which nothing is JSON; what its mapping makes of the rest shows when it is processed."""
    found = [*islice(texts, 1)]
    if not found:
        raise EnvelopeError(
            _reasons([], is_single=False), "JSON or NDJSON in the form that the contract's mapping expects"
        )
    if isinstance(found[0], NotJsonError) and all(isinstance(text, NotJsonError) for text in texts):
        raise NotJsonError(str(found[0]))


def _items(content: bytes, content_type: str) -> tuple[Sequence[Any], Callable[[Any], Any]]:
    """The events of a body, as `split` returns them; those of `FORMATS` converted."""
    form = FORMATS.get(content_type)
    if form is None:
        return split(content, content_type)
    body = form.content(content)
    if isinstance(body, NotJsonError):
        raise NotJsonError(str(body))
    payloads = list(islice(form.payloads(body, datetime.now(UTC)), MAX_EVENTS + 1))
    return payloads if type(body) in _OF_SEVERAL else tuple(payloads), _with_text_time


def _with_text_time(payload: Any) -> Any:  # noqa: ANN401 - an event, or its rejection
    """An event with its time as text: formats yield instants, and the envelope has a string."""
    if isinstance(payload, dict) and isinstance(payload.get("time_stamp"), datetime):
        return payload | {"time_stamp": payload["time_stamp"].isoformat()}
    return payload


def _reasons(payloads: Sequence[object], *, is_single: bool) -> list[Violation]:
    """Why none of the payloads is an event: each rule once, at the first payload that breaks it."""
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
    """Whether the object exists. By listing, which needs no right to read objects."""
    page = next(bronze.list_after(UUID(int=raw_id.int - 1), timeout=lambda: _LISTING_SECONDS), [])
    return any(listed.raw_id == raw_id for listed in page[:1])
