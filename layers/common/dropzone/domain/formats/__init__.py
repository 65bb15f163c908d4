"""Media types that need no contract: SenML, CloudEvents, and InfluxDB's line protocol."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from dropzone.domain.body import JSON, LINE_PROTOCOL, bodies, without_mark
from dropzone.domain.formats import cloudevents, line_protocol, senml
from dropzone.domain.outcomes import Rejection


class Format(NamedTuple):
    """How to find the events of a body."""

    payloads: Callable[[Any, datetime], Iterator[dict[str, Any] | Rejection]]
    """Yields a payload of version 2, or a rejection, for each event of a body's content, given its arrival."""
    expected: str
    """What a body must be, as text for error messages."""
    is_json: bool = True

    def content(self, text: bytes) -> Any:  # noqa: ANN401 - any JSON
        """The content of an unpacked body: a JSON value or a `NotJsonError`; bytes for a format that is not JSON."""
        return next(bodies(text, JSON)) if self.is_json else without_mark(text)


_SENML = Format(senml.payloads, "a SenML pack: an array of records, of which one has a value")

FORMATS: Mapping[str, Format] = {
    "application/senml+json": _SENML,
    "application/sensml+json": _SENML,
    "application/cloudevents+json": Format(
        cloudevents.payloads, "a CloudEvent 1.0 whose data is an event, a number, or an array of numbers"
    ),
    "application/cloudevents-batch+json": Format(
        cloudevents.payloads, "an array of CloudEvents 1.0, of which one has an event or numbers as data"
    ),
    LINE_PROTOCOL: Format(
        line_protocol.payloads,
        f"InfluxDB's line protocol with a numeric field; JSON has the header Content-Type: {JSON}",
        is_json=False,
    ),
}
"""Formats by media type."""
