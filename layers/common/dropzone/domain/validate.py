"""Validate the bytes of a raw object: the outcome of each of its events."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

from dropzone.domain.body import JSON, NotGzipError, NotJsonError, UnpackedTooLargeError, bodies, split, unpacked
from dropzone.domain.contracts import BASIC, Contracts
from dropzone.domain.formats import FORMATS, Format
from dropzone.domain.mapping import MAX_EVENTS, PayloadMapping
from dropzone.domain.outcomes import (
    CLIENT_REJECTED,
    ROOT,
    Code,
    Outcome,
    Rejection,
    Violation,
    envelope_violations,
    excerpt,
    is_client_rejection,
)
from dropzone.domain.patterns import matcher
from dropzone.domain.payloads import READERS, VERSION_FIELD, Event, client_rejection, version_of

MAX_UNPACKED_BYTES = 16 * 1024 * 1024
"""The maximum size of an unpacked object, in bytes. Ingest's limit is lower, but may have been different before."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def validate(body: bytes, content_type: str = JSON) -> tuple[Outcome, ...]:
    """The outcome of each event of an object."""
    return tuple(Contents(body, content_type).outcomes())


class Contents:
    """The events of an object. Their outcomes are computed one at a time.

    Accepts any bytes; an object without an event has one outcome, a rejection.
    """

    def __init__(
        self,
        body: bytes,
        content_type: str = JSON,
        *,
        received_at: datetime = _EPOCH,
        contracts: Contracts = BASIC,
        contract: str = "",
        writes: tuple[str, ...] | None = None,
    ) -> None:
        """Unpack and parse a body.

        Args:
            body: the bytes as received, compressed with gzip or not.
            content_type: the media type, in lower case, without parameters; unknown ones are read as JSON.
            received_at: the time of arrival.
            contracts: the contracts to validate by, in addition to the basic rules.
            contract: the contract that the body was sent to by name; if empty, that of each event's source applies.
            writes: patterns of the sources that the key was allowed to write at arrival; None for all.
        """
        self._received_at, self._contracts = received_at, contracts
        self._named = contracts.named(contract)
        self._may_write = None if writes is None else matcher(writes)
        # Not a bound method: that would be a cycle, which keeps the body alive until garbage collection.
        self._events: Sequence[Any] = ()
        self._has_events = False
        self._payload_of: Callable[[Any], Any] = _as_it_is
        """Converts an event to the payload to validate."""
        self._shown: Callable[[Any], Any] = _as_it_is
        """Converts an event to the payload to show."""
        self.size = len(body)
        """The size of the unpacked body, in bytes."""
        try:
            body = unpacked(body, MAX_UNPACKED_BYTES)
        except NotGzipError as error:
            self._events = (_rejected(Code.NOT_GZIP, f"is gzip that {error}"),)
        except UnpackedTooLargeError as error:
            self._events = (_rejected(Code.TOO_LARGE, f"{error}"),)
        else:
            self.size = len(body)
            if contract and self._named is None:
                self._events = (_rejected(Code.UNKNOWN_CONTRACT, "was sent to a contract that is not deployed"),)
            else:
                self._find_events(body, content_type)

    def _find_events(self, body: bytes, content_type: str) -> None:
        if self._named is not None and self._named.mapping is not None:
            self._map_events(body, content_type, self._named.mapping)
        elif (form := FORMATS.get(content_type)) is not None:
            self._convert_events(body, form)
        else:
            self._events, self._payload_of = split(body, content_type)
            self._shown = self._payload_of
        if self._events:
            self._has_events = True
        else:
            self._events, self._payload_of = (_NO_EVENT,), _as_it_is

    def _map_events(self, body: bytes, content_type: str, mapping: PayloadMapping) -> None:
        payload_of = mapping.payload
        self._events = _all(bodies(body, content_type), mapping.candidates)
        self._shown = partial(payload_of, keeps_time=True)
        self._payload_of = lambda event: event if isinstance(event, (Rejection, NotJsonError)) else payload_of(event)

    def _convert_events(self, body: bytes, form: Format) -> None:
        received_at = self._received_at
        self._events = _all([form.content(body)], lambda content: form.payloads(content, received_at))

    def __len__(self) -> int:
        return len(self._events)

    def outcomes(self, first: int = 0, end: int | None = None) -> Iterator[Outcome]:
        """The outcomes of the events from item `first` up to, but not including, `end`, by the current rules."""
        validate_payload = self._validate_event if self._has_events else self._whole
        payload_of = self._payload_of
        for event in self._events[first:end]:
            yield validate_payload(payload_of(event))

    def event(self, item: int) -> Any:  # noqa: ANN401 - any JSON
        """The item as it is validated: the bytes of a line of NDJSON, otherwise a JSON value; None if there is none.

        Mapped bodies, SenML, CloudEvents and line protocol are converted to payloads.
        """
        if item >= len(self._events):
            return None
        event = self._events[item]
        payload = event if isinstance(event, (Rejection, NotJsonError)) else self._shown(event)
        if isinstance(payload, (Rejection, NotJsonError)):
            return None
        return event if isinstance(event, bytes) else payload

    def _whole(self, rejection: Rejection) -> Rejection:
        """A rejection that doesn't depend on a source's contract, such as that of an object without an event."""
        return rejection._replace(contract=(self._named or self._contracts.default).reference)

    def _validate_event(self, payload: Any) -> Outcome:  # noqa: ANN401 - what JSON held
        event = payload if type(payload) is Rejection else _read(payload)
        if self._may_write is not None and (refused := self._of_another(event)):
            return refused
        if isinstance(event, Rejection):
            contract = self._named or self._contracts.of_source(event.source)
            return event._replace(contract=contract.reference)
        contract = self._named or self._contracts.of_source(event.named_source)
        return contract.validate_event(event, self._received_at)

    def _of_another(self, event: Event | Rejection) -> Rejection | None:
        """The rejection of an event whose source its key may not write; it counts for no source."""
        if isinstance(event, Rejection):
            source, is_known = event.source, bool(event.source)
        else:
            source, is_known = event.named_source, True
        if not is_known or self._may_write is None or self._may_write(source):
            return None
        message = f"is {excerpt(source)}, which the key may not write" if source else "is missing: the key needs one"
        violation = Violation(Code.SOURCE_NOT_ALLOWED, "source", message)
        return self._whole(Rejection((violation,)))


def _as_it_is(payload: Any) -> Any:  # noqa: ANN401 - what JSON held
    return payload


def _all(values: Iterable[Any], events_of: Callable[[Any], Iterator[Any]]) -> Sequence[Any]:
    """The events of all bodies, still to be converted, up to the maximum number in an object."""
    found: list[Any] = []
    for body in values:
        found += islice([body] if isinstance(body, NotJsonError) else events_of(body), MAX_EVENTS + 1 - len(found))
        if len(found) > MAX_EVENTS:
            return (_rejected(Code.TOO_LARGE, f"has more than {MAX_EVENTS} events"),)
    return found


def _read(payload: Any) -> Event | Rejection:  # noqa: ANN401 - what JSON held
    if type(payload) is not dict:
        return Rejection(tuple(envelope_violations(payload)))
    if CLIENT_REJECTED in payload and is_client_rejection(payload):
        return client_rejection(payload)
    read = READERS.get(version_of(payload))
    if read is None:
        numbers = ", ".join(map(str, READERS))
        return _rejected(Code.UNSUPPORTED_VERSION, f"names no known version of the payload ({numbers})", VERSION_FIELD)
    return read(payload)


def _rejected(code: Code, message: str, field: str = ROOT) -> Rejection:
    return Rejection((Violation(code, field, message),))


_NO_EVENT = _rejected(Code.EMPTY_BATCH, "holds no event")
