"""Media types with events of their own, which need no contract: SenML and CloudEvents."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from dropzone.domain.formats import cloudevents, senml
from dropzone.domain.outcomes import Rejection

type Read = Callable[[Any, datetime], Iterator[dict[str, Any] | Rejection]]
"""From a value of JSON, and its arrival, to a payload of version 2 for each event, or its rejection."""

FORMATS: Mapping[str, Read] = {
    "application/senml+json": senml.payloads,
    "application/sensml+json": senml.payloads,
    "application/cloudevents+json": cloudevents.payloads,
    "application/cloudevents-batch+json": cloudevents.payloads,
}
"""By media type."""
