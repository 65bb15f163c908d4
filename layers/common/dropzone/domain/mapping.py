"""Map any sender's JSON to events: JMESPath finds the events of a body, and the fields of each."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from enum import StrEnum
from functools import cache, cached_property, partial
from importlib import import_module
from types import ModuleType
from typing import Annotated, Any, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from dropzone.domain.instants import OUT_OF_RANGE, epoch_instant, parse_instant
from dropzone.domain.outcomes import ROOT, Code, Rejection, Violation

MAX_EVENTS = 100_000
"""The maximum number of events that a mapping may find in a body; the same as ingest's limit."""


class TimeFormat(StrEnum):
    """How a sender writes an instant."""

    ISO8601 = "iso8601"
    """With an offset, as in our own payload; without one if the mapping has a time zone."""
    SECONDS = "epoch_s"
    MILLISECONDS = "epoch_ms"
    MICROSECONDS = "epoch_us"
    NANOSECONDS = "epoch_ns"


_DIGITS = {
    TimeFormat.SECONDS: 0,
    TimeFormat.MILLISECONDS: 3,
    TimeFormat.MICROSECONDS: 6,
    TimeFormat.NANOSECONDS: 9,
}
"""The decimal digits of a second in the unit of each epoch format."""


COMPILED = "compiled"
"""The validation context of compiled contracts: they were checked when they were compiled."""

MAX_LENGTH = 1_000


class MappingError(ValueError):
    """An expression can't be evaluated. The message quotes nothing of the body."""


@cache
def _jmespath() -> ModuleType:
    """Imported on first use: it takes longer than reading all contracts, and most objects don't need JMESPath."""
    return import_module("dropzone.domain.expressions")


def _search(text: str) -> Callable[[Any], Any]:
    found: Callable[[Any], Any] = _jmespath().search(text)
    return found


def _check(text: str, info: ValidationInfo) -> str:
    if info.context != COMPILED:
        _search(text)
    return text


def _check_zone(name: str, info: ValidationInfo) -> str:
    try:
        if info.context != COMPILED:
            ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("is not a time zone of the IANA database") from error
    return name


JMESPath = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH), AfterValidator(_check)]


class _Part(NamedTuple):
    event: dict[str, Any]
    """Shared by all parts of the event."""
    part: Any


class PayloadMapping(BaseModel):
    """How to find the events of a body.

    The expressions of fields see the event plus two names: `_body`, the whole body, and `_part`, one of `parts`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    events: JMESPath = "@"
    """Finds the event of a body, or an array of events."""
    parts: JMESPath | None = None
    """Finds an array in an event: each of its elements, as `_part`, makes a separate event."""
    time_stamp: JMESPath
    data: JMESPath
    source: JMESPath | None = None
    unit: JMESPath | None = None
    tags: Mapping[Annotated[str, Field(min_length=1, max_length=64)], JMESPath] = Field(default={}, max_length=16)
    time_format: TimeFormat = TimeFormat.ISO8601
    time_zone: Annotated[str, AfterValidator(_check_zone)] | None = None

    @model_validator(mode="after")
    def _zones_are_of_text(self) -> Self:
        if self.time_zone and self.time_format is not TimeFormat.ISO8601:
            raise ValueError("an epoch has no time zone")
        return self

    def candidates(self, body: Any) -> Iterator[Any]:  # noqa: ANN401 - any JSON
        """The values to make events of; a rejection for each event whose parts can't be found."""
        try:
            found = self._events(body)
        except _jmespath().ERRORS as error:
            yield _unmapped(error)
            return
        for event in found if type(found) is list else [] if found is None else [found]:
            if self._parts is None:
                yield {**event, "_body": body} if type(event) is dict else event
                continue
            try:
                parts = self._parts(event)
            except _jmespath().ERRORS as error:
                yield _unmapped(error)
                if isinstance(error, MappingError):
                    return  # each of the following events may cost as much
                continue
            # One copy shared by all parts: a copy for each would take quadratic time.
            shared = {**(event if type(event) is dict else {}), "_body": body}
            for part in parts if type(parts) is list else []:
                yield _Part(shared, part)

    def payload(self, candidate: Any, *, keeps_time: bool = False) -> dict[str, Any] | Rejection:  # noqa: ANN401
        """The payload of an event, of version 2, still to be validated; a rejection if it can't be mapped.

        Args:
            candidate: one of `candidates`.
            keeps_time: keep a time that can't be converted as it is, so that people can correct it.
        """
        if type(candidate) is _Part:
            candidate.event["_part"] = candidate.part
            candidate = candidate.event
        try:
            payload: dict[str, Any] = {"schema_version": 2}
            for name, search in self._fields:
                if (value := search(candidate)) is not None:
                    payload[name] = value
            tags = {name: value for name, search in self._tags if (value := search(candidate)) is not None}
        except _jmespath().ERRORS as error:
            return _unmapped(error)
        if tags:
            payload["tags"] = tags
        if "data" in payload and type(payload["data"]) is not list:
            payload["data"] = [payload["data"]]
        if "time_stamp" in payload:
            instant = self._instant(payload["time_stamp"])
            if not isinstance(instant, Violation):
                payload["time_stamp"] = instant
            elif not keeps_time:
                return Rejection((instant,))
        return payload

    @cached_property
    def _events(self) -> Callable[[Any], Any]:
        return _search(self.events)

    @cached_property
    def _parts(self) -> Callable[[Any], Any] | None:
        return None if self.parts is None else _search(self.parts)

    @cached_property
    def _fields(self) -> list[tuple[str, Callable[[Any], Any]]]:
        stated = {"time_stamp": self.time_stamp, "data": self.data, "source": self.source, "unit": self.unit}
        return [(name, _search(text)) for name, text in stated.items() if text is not None]

    @cached_property
    def _tags(self) -> list[tuple[str, Callable[[Any], Any]]]:
        return [(name, _search(text)) for name, text in self.tags.items()]

    @cached_property
    def _instant(self) -> Callable[[Any], Any]:
        """Converts to an instant of our payload; a value that isn't one is kept: the basic rules reject it."""
        if self.time_format is not TimeFormat.ISO8601:
            return partial(epoch_instant, digits=_DIGITS[self.time_format])
        return _as_it_is if self.time_zone is None else partial(_local_instant, zone=ZoneInfo(self.time_zone))


def _as_it_is(value: Any) -> Any:  # noqa: ANN401 - any JSON
    return value


def _local_instant(value: Any, zone: ZoneInfo) -> Any:  # noqa: ANN401 - any JSON
    if type(value) is not str:
        return value
    # Local if it has no offset. In the hour that repeats when clocks go back, the first one.
    local = parse_instant(f"{value}Z")
    if isinstance(local, Violation):
        return value
    try:
        return local.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError:
        return OUT_OF_RANGE


def _unmapped(error: Exception) -> Rejection:
    reason = str(error) if isinstance(error, MappingError) else _jmespath().wrong_type(error) or type(error).__name__
    message = f"can't be mapped as its contract says: {reason}"
    return Rejection((Violation(Code.MAPPING_FAILED, ROOT, message),))
