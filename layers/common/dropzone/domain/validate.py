"""From the bytes of a raw object to the outcome of each of its events."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from dropzone.domain.body import JSON, NotGzipError, UnpackedTooLargeError, split, unpacked
from dropzone.domain.contracts import BASIC, Contracts
from dropzone.domain.outcomes import Code, Outcome, Rejection, Violation
from dropzone.domain.payloads import VERSION_FIELD, VERSIONS, version_of
from dropzone.domain.payloads.event import Event
from dropzone.domain.violations import ROOT, envelope_violations

MAX_UNPACKED_BYTES = 16 * 1024 * 1024
"""The limit of an unpacked object. Ingest's own limit is lower, and may have been another."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def validate(body: bytes, content_type: str = JSON) -> tuple[Outcome, ...]:
    """The outcome of each event of an object."""
    return tuple(Contents(body, content_type).outcomes())


class Contents:
    """The events of an object, whose outcomes are computed one at a time.

    Takes any bytes; an object without an event has one outcome, its rejection.
    """

    def __init__(
        self,
        body: bytes,
        content_type: str = JSON,
        *,
        received_at: datetime = _EPOCH,
        contracts: Contracts = BASIC,
    ) -> None:
        """Unpack and parse a body.

        Args:
            body: as it was received, packed with gzip or not.
            content_type: its media type, in lower case, without parameters; what is not NDJSON is read as JSON.
            received_at: when it arrived.
            contracts: with the rules beside the basic ones.
        """
        self._received_at, self._contracts = received_at, contracts
        self._events: Sequence[Any] = ()
        self._outcome_of: Callable[[Any], Outcome] = self._whole
        try:
            body = unpacked(body, MAX_UNPACKED_BYTES)
        except NotGzipError as error:
            self._events = (_rejected(Code.NOT_GZIP, f"is gzip that {error}"),)
        except UnpackedTooLargeError as error:
            self._events = (_rejected(Code.TOO_LARGE, f"{error}"),)
        else:
            self._events, payload_of = split(body, content_type)
            if self._events:
                self._outcome_of = lambda event: self._validate_event(payload_of(event))
            else:
                self._events = (_NO_EVENT,)
        self.size = len(body)
        """Bytes of the unpacked body."""

    def __len__(self) -> int:
        """The number of events."""
        return len(self._events)

    def outcomes(self, first: int = 0, end: int | None = None) -> Iterator[Outcome]:
        """The outcomes of the events from item `first` on, before item `end`, by the current rules."""
        return map(self._outcome_of, self._events[first:end])

    def _whole(self, rejection: Rejection) -> Outcome:
        """The rejection of an object in which no event can be found."""
        return rejection._replace(contract=self._contracts.default.reference)

    def _validate_event(self, payload: Any) -> Outcome:  # noqa: ANN401 - what JSON held
        event = _read(payload)
        source = event.source if isinstance(event, Rejection) else event.named_source
        contract = self._contracts.of_source(source)
        if isinstance(event, Rejection):
            return event._replace(contract=contract.reference)
        return contract.validate_event(event, self._received_at)


def _read(payload: Any) -> Event | Rejection:  # noqa: ANN401 - what JSON held
    if type(payload) is not dict:
        return Rejection(tuple(envelope_violations(payload)))
    version = VERSIONS.get(version_of(payload))
    if version is None:
        numbers = ", ".join(map(str, VERSIONS))
        return _rejected(Code.UNSUPPORTED_VERSION, f"names no known version of the payload ({numbers})", VERSION_FIELD)
    return version.read(payload)


def _rejected(code: Code, message: str, field: str = ROOT) -> Rejection:
    return Rejection((Violation(code, field, message),))


_NO_EVENT = _rejected(Code.EMPTY_BATCH, "holds no event")
