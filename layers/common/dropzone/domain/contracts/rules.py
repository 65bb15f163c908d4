"""The rules that a contract may state: each a model that is checked when it is compiled, and validates an event."""

import math
from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, override

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat
from pydantic_core import SchemaError, SchemaValidator, core_schema

from dropzone.domain.outcomes import Code, Measurement, Violation, excerpt


class Severity(StrEnum):
    """What an event that breaks the rule becomes."""

    ERROR = "error"
    """Rejected."""
    WARNING = "warning"
    """Processed, and flagged."""


class Dimension(StrEnum):
    """What the rule says of the data's quality, in the terms of the Open Data Contract Standard."""

    ACCURACY = "accuracy"
    COMPLETENESS = "completeness"
    CONFORMITY = "conformity"
    CONSISTENCY = "consistency"
    COVERAGE = "coverage"
    TIMELINESS = "timeliness"
    UNIQUENESS = "uniqueness"


type Keeps = Callable[[Measurement, Sequence[float], datetime], bool]
"""Whether an event that keeps the basic rules keeps another one, given its samples and its object's arrival."""


class BaseRule(BaseModel):
    """What all rules have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    severity: Severity = Severity.ERROR
    dimension: Dimension
    description: str = Field(default="", max_length=300)

    @abstractmethod
    def keeps(self) -> Keeps:
        """Whether an event keeps the rule: a function, since a model's attributes are slow."""

    @abstractmethod
    def violation(self, event: Measurement, samples: Sequence[float], received_at: datetime) -> Violation:
        """What is wrong with an event that breaks the rule, given its samples and its object's arrival."""

    def _broken(self, code: Code, field: str, fact: str, index: int | None = None) -> Violation:
        return Violation(code, field, f"{fact}: {self.description}" if self.description else fact, index, self.id)


class Minimum(BaseRule):
    """No sample is below the limit."""

    rule: Literal["minimum"] = "minimum"
    limit: FiniteFloat

    @override
    def keeps(self) -> Keeps:
        limit = self.limit
        return lambda event, _, __: event.aggregates.minimum >= limit

    @override
    def violation(self, event: Measurement, samples: Sequence[float], received_at: datetime) -> Violation:
        index = _first(samples, lambda value: value < self.limit)
        fact = f"holds {samples[index]!r} at index {index}, below the minimum of {self.limit!r}"
        return self._broken(Code.VALUE_BELOW_MINIMUM, "data", fact, index)


class Maximum(BaseRule):
    """No sample is above the limit."""

    rule: Literal["maximum"] = "maximum"
    limit: FiniteFloat

    @override
    def keeps(self) -> Keeps:
        limit = self.limit
        return lambda event, _, __: event.aggregates.maximum <= limit

    @override
    def violation(self, event: Measurement, samples: Sequence[float], received_at: datetime) -> Violation:
        index = _first(samples, lambda value: value > self.limit)
        fact = f"holds {samples[index]!r} at index {index}, above the maximum of {self.limit!r}"
        return self._broken(Code.VALUE_ABOVE_MAXIMUM, "data", fact, index)


class Sentinel(BaseRule):
    """No sample is one of the values by which the sender says that it has none."""

    rule: Literal["sentinel"] = "sentinel"
    values: frozenset[FiniteFloat] = Field(min_length=1, max_length=100)

    @override
    def keeps(self) -> Keeps:
        values = sorted(self.values)

        def keeps(event: Measurement, samples: Sequence[float], _: datetime) -> bool:
            # Most stand far from what is measured: then the samples needn't be looked through.
            place = bisect_left(values, event.aggregates.minimum)
            if place == len(values) or values[place] > event.aggregates.maximum:
                return True
            return self.values.isdisjoint(samples)

        return keeps

    @override
    def violation(self, event: Measurement, samples: Sequence[float], received_at: datetime) -> Violation:
        index = _first(samples, self.values.__contains__)
        fact = f"holds {samples[index]!r} at index {index}, which marks a missing value"
        return self._broken(Code.VALUE_SENTINEL, "data", fact, index)


class Samples(BaseRule):
    """The number of samples lies between two limits, both included."""

    rule: Literal["samples"] = "samples"
    minimum: int = Field(default=1, ge=1)
    maximum: int | None = Field(default=None, ge=1)

    @override
    def keeps(self) -> Keeps:
        minimum, maximum = self.minimum, math.inf if self.maximum is None else self.maximum
        return lambda event, _, __: minimum <= event.aggregates.sample_count <= maximum

    @override
    def violation(self, event: Measurement, samples: Sequence[float], received_at: datetime) -> Violation:
        count = event.aggregates.sample_count
        if count < self.minimum:
            return self._broken(Code.SAMPLES_TOO_FEW, "data", f"holds {count} samples, fewer than {self.minimum}")
        return self._broken(Code.SAMPLES_TOO_MANY, "data", f"holds {count} samples, more than {self.maximum}")


class Units(BaseRule):
    """The unit is one of these; '' where the event names none."""

    rule: Literal["units"] = "units"
    allowed: tuple[Annotated[str, Field(max_length=50)], ...] = Field(min_length=1, max_length=100)

    @override
    def keeps(self) -> Keeps:
        allowed = self.allowed
        return lambda event, _, __: event.unit in allowed

    @override
    def violation(self, event: Measurement, samples: Sequence[float], received_at: datetime) -> Violation:
        expected = ", ".join(unit or "none" for unit in self.allowed)
        fact = f"is {excerpt(event.unit)}" if event.unit else "is missing"
        return self._broken(Code.UNIT_UNEXPECTED, "unit", f"{fact}, expected {expected}")


class RequiredTags(BaseRule):
    """The event has these tags."""

    rule: Literal["tags"] = "tags"
    names: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(min_length=1, max_length=16)

    @override
    def keeps(self) -> Keeps:
        names = frozenset(self.names)
        return lambda event, _, __: names <= event.tags.keys()

    @override
    def violation(self, event: Measurement, samples: Sequence[float], received_at: datetime) -> Violation:
        missing = [name for name in self.names if name not in event.tags]
        return self._broken(Code.TAGS_MISSING, "tags", f"lacks {', '.join(missing)}")


def _check_pattern(pattern: str) -> str:
    try:
        _matcher(pattern)
    except SchemaError as error:
        message = f"is not a regular expression that can be used here: {str(error).splitlines()[-1].strip()}"
        raise ValueError(message) from error
    return pattern


def _matcher(pattern: str) -> SchemaValidator:
    # The engine of pydantic takes linear time, whatever the pattern.
    return SchemaValidator(core_schema.str_schema(pattern=f"^(?:{pattern})$"))


class SourcePattern(BaseRule):
    """The whole of the source matches a regular expression."""

    rule: Literal["source"] = "source"
    pattern: Annotated[str, Field(max_length=200), AfterValidator(_check_pattern)]

    @override
    def keeps(self) -> Keeps:
        is_match = _matcher(self.pattern).isinstance_python
        return lambda event, _, __: is_match(event.source)

    @override
    def violation(self, event: Measurement, samples: Sequence[float], received_at: datetime) -> Violation:
        fact = f"is {excerpt(event.source)}" if event.source else "is missing"
        return self._broken(Code.SOURCE_UNEXPECTED, "source", f"{fact}, expected the form {self.pattern}")


class Ahead(BaseRule):
    """The instant is at most so far ahead of the arrival."""

    rule: Literal["ahead"] = "ahead"
    limit: timedelta = Field(ge=timedelta(0))

    @override
    def keeps(self) -> Keeps:
        limit = self.limit
        return lambda event, _, received_at: event.measured_at - received_at <= limit

    @override
    def violation(self, event: Measurement, samples: Sequence[float], received_at: datetime) -> Violation:
        ahead = event.measured_at - received_at
        fact = f"is {in_words(ahead)} ahead of its arrival, more than {in_words(self.limit)}"
        return self._broken(Code.TIME_STAMP_AHEAD, "time_stamp", fact)


class Behind(BaseRule):
    """The instant is at most so far behind the arrival."""

    rule: Literal["behind"] = "behind"
    limit: timedelta = Field(ge=timedelta(0))

    @override
    def keeps(self) -> Keeps:
        limit = self.limit
        return lambda event, _, received_at: received_at - event.measured_at <= limit

    @override
    def violation(self, event: Measurement, samples: Sequence[float], received_at: datetime) -> Violation:
        behind = received_at - event.measured_at
        fact = f"is {in_words(behind)} older than its arrival, more than {in_words(self.limit)}"
        return self._broken(Code.TIME_STAMP_TOO_OLD, "time_stamp", fact)


class Spread(BaseRule):
    """The standard deviation of the samples is at most the limit."""

    rule: Literal["spread"] = "spread"
    limit: FiniteFloat = Field(ge=0)

    @override
    def keeps(self) -> Keeps:
        limit = self.limit
        return lambda event, _, __: event.aggregates.std_dev <= limit

    @override
    def violation(self, event: Measurement, samples: Sequence[float], received_at: datetime) -> Violation:
        deviation = event.aggregates.std_dev
        fact = f"has a standard deviation of {deviation:.6g}, above the maximum of {self.limit!r}"
        return self._broken(Code.VALUE_SPREAD, "data", fact)


Rule = Annotated[
    Minimum | Maximum | Sentinel | Samples | Units | RequiredTags | SourcePattern | Ahead | Behind | Spread,
    Field(discriminator="rule"),
]


def _first(samples: Sequence[float], is_bad: Callable[[float], bool]) -> int:
    return next(index for index, value in enumerate(samples) if is_bad(value))


def in_words(span: timedelta) -> str:
    """A span as people say it, in the largest unit of which it has at least one."""
    seconds = span.total_seconds()
    unit, length = next((entry for entry in _UNITS if seconds >= entry[1]), ("second", 1))
    number = f"{seconds / length:.4g}"
    return f"{number} {unit}" if number == "1" else f"{number} {unit}s"


_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))
"""From the largest on, in seconds."""
