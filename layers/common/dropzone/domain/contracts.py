"""Compiled data contracts: their rules, and which contract applies to which source.

They are compiled from `contracts/*.odcs.yaml` when the layer is built (docs/contracts.md). Pure: an event's outcome
depends only on its bytes, its arrival and its contract.
"""

import math
import re
from abc import abstractmethod
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter
from pydantic_core import SchemaError

from dropzone.domain.mapping import COMPILED, PayloadMapping
from dropzone.domain.outcomes import (
    MAX_VIOLATIONS,
    RULESET,
    Code,
    Measurement,
    Outcome,
    Rejection,
    Violation,
    excerpt,
)
from dropzone.domain.patterns import SourcePattern, as_regex, is_pattern, literal_beginning, specificity
from dropzone.domain.payloads import Event


class Severity(StrEnum):
    """What happens to an event that breaks the rule."""

    ERROR = "error"
    """The event is rejected."""
    WARNING = "warning"
    """The event is processed, with a flag."""


class Dimension(StrEnum):
    """The dimension of data quality that a rule checks, as named by the Open Data Contract Standard."""

    ACCURACY = "accuracy"
    COMPLETENESS = "completeness"
    CONFORMITY = "conformity"
    CONSISTENCY = "consistency"
    COVERAGE = "coverage"
    TIMELINESS = "timeliness"
    UNIQUENESS = "uniqueness"


type Keeps = Callable[[Measurement, Sequence[float], datetime], bool]
"""Whether an event that passes the basic rules passes another one, given its samples and its object's arrival."""


class Offender(NamedTuple):
    """An event that breaks a rule, its samples, and its object's arrival."""

    event: Measurement
    samples: Sequence[float]
    received_at: datetime


class BaseRule(BaseModel):
    """What all rules have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    severity: Severity = Severity.ERROR
    dimension: Dimension
    description: str = Field(default="", max_length=300)

    @abstractmethod
    def keeps(self) -> Keeps:
        """A function that checks an event against the rule. It reads no attributes of the model, which are slow."""

    @abstractmethod
    def violation(self, offender: Offender) -> Violation:
        """What is wrong with an event that breaks the rule."""

    def _broken(self, code: Code, field: str, fact: str, index: int | None = None) -> Violation:
        return Violation(code, field, f"{fact}: {self.description}" if self.description else fact, index, self.id)


class Minimum(BaseRule):
    """No sample is below the limit."""

    rule: Literal["minimum"] = "minimum"
    limit: FiniteFloat

    def keeps(self) -> Keeps:
        limit = self.limit
        return lambda event, _, __: event.aggregates.minimum >= limit

    def violation(self, offender: Offender) -> Violation:
        index = _first(offender.samples, lambda value: value < self.limit)
        fact = f"holds {offender.samples[index]!r} at index {index}, below the minimum of {self.limit!r}"
        return self._broken(Code.VALUE_BELOW_MINIMUM, "data", fact, index)


class Maximum(BaseRule):
    """No sample is above the limit."""

    rule: Literal["maximum"] = "maximum"
    limit: FiniteFloat

    def keeps(self) -> Keeps:
        limit = self.limit
        return lambda event, _, __: event.aggregates.maximum <= limit

    def violation(self, offender: Offender) -> Violation:
        index = _first(offender.samples, lambda value: value > self.limit)
        fact = f"holds {offender.samples[index]!r} at index {index}, above the maximum of {self.limit!r}"
        return self._broken(Code.VALUE_ABOVE_MAXIMUM, "data", fact, index)


class Sentinel(BaseRule):
    """No sample is one of the values by which the sender says that it has none."""

    rule: Literal["sentinel"] = "sentinel"
    values: frozenset[FiniteFloat] = Field(min_length=1, max_length=100)

    def keeps(self) -> Keeps:
        values = sorted(self.values)

        def keeps(event: Measurement, samples: Sequence[float], _: datetime) -> bool:
            # Most sentinels are outside the range of the samples, which needn't be searched then.
            place = bisect_left(values, event.aggregates.minimum)
            if place == len(values) or values[place] > event.aggregates.maximum:
                return True
            return self.values.isdisjoint(samples)

        return keeps

    def violation(self, offender: Offender) -> Violation:
        index = _first(offender.samples, self.values.__contains__)
        fact = f"holds {offender.samples[index]!r} at index {index}, which marks a missing value"
        return self._broken(Code.VALUE_SENTINEL, "data", fact, index)


class Samples(BaseRule):
    """The number of samples lies between two limits, both included."""

    rule: Literal["samples"] = "samples"
    minimum: int = Field(default=1, ge=1)
    maximum: int | None = Field(default=None, ge=1)

    def keeps(self) -> Keeps:
        minimum, maximum = self.minimum, math.inf if self.maximum is None else self.maximum
        return lambda event, _, __: minimum <= event.aggregates.sample_count <= maximum

    def violation(self, offender: Offender) -> Violation:
        count = offender.event.aggregates.sample_count
        if count < self.minimum:
            return self._broken(Code.SAMPLES_TOO_FEW, "data", f"holds {count} samples, fewer than {self.minimum}")
        return self._broken(Code.SAMPLES_TOO_MANY, "data", f"holds {count} samples, more than {self.maximum}")


class Units(BaseRule):
    """The unit is one of these; '' where the event names none."""

    rule: Literal["units"] = "units"
    allowed: tuple[Annotated[str, Field(max_length=50)], ...] = Field(min_length=1, max_length=100)

    def keeps(self) -> Keeps:
        allowed = self.allowed
        return lambda event, _, __: event.unit in allowed

    def violation(self, offender: Offender) -> Violation:
        expected = ", ".join(unit or "none" for unit in self.allowed)
        fact = f"is {excerpt(offender.event.unit)}" if offender.event.unit else "is missing"
        return self._broken(Code.UNIT_UNEXPECTED, "unit", f"{fact}, expected {expected}")


class RequiredTags(BaseRule):
    """The event has these tags."""

    rule: Literal["tags"] = "tags"
    names: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(min_length=1, max_length=16)

    def keeps(self) -> Keeps:
        names = frozenset(self.names)
        return lambda event, _, __: names <= event.tags.keys()

    def violation(self, offender: Offender) -> Violation:
        missing = [name for name in self.names if name not in offender.event.tags]
        return self._broken(Code.TAGS_MISSING, "tags", f"lacks {', '.join(missing)}")


def _check_pattern(pattern: str) -> str:
    try:
        _matcher(pattern)
    except SchemaError as error:
        message = f"is not a regular expression that can be used here: {str(error).splitlines()[-1].strip()}"
        raise ValueError(message) from error
    return pattern


def _matcher(pattern: str) -> Callable[[str], bool]:
    # pydantic's regular expressions take linear time, whatever the pattern.
    return TypeAdapter(Annotated[str, Field(pattern=f"^(?:{pattern})$")]).validator.isinstance_python


class SourceForm(BaseRule):
    """The whole of the source matches a regular expression."""

    rule: Literal["source"] = "source"
    pattern: Annotated[str, Field(max_length=200), AfterValidator(_check_pattern)]

    def keeps(self) -> Keeps:
        is_match = _matcher(self.pattern)
        return lambda event, _, __: is_match(event.source)

    def violation(self, offender: Offender) -> Violation:
        fact = f"is {excerpt(offender.event.source)}" if offender.event.source else "is missing"
        return self._broken(Code.SOURCE_UNEXPECTED, "source", f"{fact}, expected the form {self.pattern}")


class Ahead(BaseRule):
    """The instant is at most so far ahead of the arrival."""

    rule: Literal["ahead"] = "ahead"
    limit: timedelta = Field(ge=timedelta(0))

    def keeps(self) -> Keeps:
        limit = self.limit
        return lambda event, _, received_at: event.measured_at - received_at <= limit

    def violation(self, offender: Offender) -> Violation:
        ahead = offender.event.measured_at - offender.received_at
        fact = f"is {in_words(ahead)} ahead of its arrival, more than {in_words(self.limit)}"
        return self._broken(Code.TIME_STAMP_AHEAD, "time_stamp", fact)


class Behind(BaseRule):
    """The instant is at most so far behind the arrival."""

    rule: Literal["behind"] = "behind"
    limit: timedelta = Field(ge=timedelta(0))

    def keeps(self) -> Keeps:
        limit = self.limit
        return lambda event, _, received_at: received_at - event.measured_at <= limit

    def violation(self, offender: Offender) -> Violation:
        behind = offender.received_at - offender.event.measured_at
        fact = f"is {in_words(behind)} older than its arrival, more than {in_words(self.limit)}"
        return self._broken(Code.TIME_STAMP_TOO_OLD, "time_stamp", fact)


class Spread(BaseRule):
    """The standard deviation of the samples is at most the limit."""

    rule: Literal["spread"] = "spread"
    limit: FiniteFloat = Field(ge=0)

    def keeps(self) -> Keeps:
        limit = self.limit
        return lambda event, _, __: event.aggregates.std_dev <= limit

    def violation(self, offender: Offender) -> Violation:
        deviation = offender.event.aggregates.std_dev
        fact = f"has a standard deviation of {deviation:.6g}, above the maximum of {self.limit!r}"
        return self._broken(Code.VALUE_SPREAD, "data", fact)


Rule = Annotated[
    Minimum | Maximum | Sentinel | Samples | Units | RequiredTags | SourceForm | Ahead | Behind | Spread,
    Field(discriminator="rule"),
]


def _first(samples: Sequence[float], is_bad: Callable[[float], bool]) -> int:
    return next(index for index, value in enumerate(samples) if is_bad(value))


def in_words(span: timedelta) -> str:
    """A span as text, in the largest unit that fits into it at least once, such as `1.5 hours`."""
    seconds = span.total_seconds()
    unit, length = next((entry for entry in _UNITS if seconds >= entry[1]), ("second", 1))
    number = f"{seconds / length:.4g}"
    return f"{number} {unit}" if number == "1" else f"{number} {unit}s"


_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))
"""Units, largest first, with their lengths in seconds."""


DEFAULT = "default"
"""The identifier of the contract for sources that no other contract names."""

_CACHED_SOURCES = 10_000

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


class Contract(BaseModel):
    """The rules for the events of some sources."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: Identifier
    version: str = Field(pattern=r"^[A-Za-z0-9.+-]{1,32}$")
    sources: tuple[SourcePattern, ...] = ()
    """Patterns of sources, in which `*` is any text and `?` any character."""
    rules: tuple[Rule, ...] = Field(default=(), max_length=100)
    mapping: PayloadMapping | None = None
    """How to find the events in bodies sent to the contract by name; None for our own payload."""

    @cached_property
    def reference(self) -> str:
        """`id@version`, as recorded with outcomes; empty without a version."""
        return f"{self.id}@{self.version}" if self.version else ""

    @cached_property
    def validate_event(self) -> Callable[[Event, datetime], Outcome]:
        """A function that validates an event that passes the basic rules, given its object's arrival.

        It returns the event's measurement with a flag for each warning, or its rejection with each error.
        """
        reference = self.reference
        rules = [(rule.keeps(), rule) for rule in self.rules]

        def validate_event(event: Event, received_at: datetime) -> Outcome:
            measurement = event.measurement(reference)
            if not rules:
                return measurement
            samples = event.data
            broken = [rule for keeps, rule in rules if not keeps(measurement, samples, received_at)]
            if not broken:
                return measurement
            offender = Offender(measurement, samples, received_at)
            violations = [(rule.severity, rule.violation(offender)) for rule in broken]
            if errors := tuple(violation for severity, violation in violations if severity is Severity.ERROR):
                return Rejection(errors[:MAX_VIOLATIONS], measurement.source, reference, measurement.corrects)
            flags = tuple(violation for _, violation in violations)[:MAX_VIOLATIONS]
            return measurement._replace(flags=flags)

        return validate_event


class Contracts:
    """The contracts of a deployment, looked up by source or identifier."""

    def __init__(self, contracts: Sequence[Contract], ruleset: str) -> None:
        """`contracts` must include the default one; `ruleset` is the version of all rules together."""
        self.ruleset = ruleset
        """Changes with any contract and with the basic rules: whenever an event's outcome might change."""
        self._by_id = {contract.id: contract for contract in contracts}
        self.default = self._by_id[DEFAULT]
        self._exact = {
            source: contract for contract in contracts for source in contract.sources if not is_pattern(source)
        }
        self._by_beginning: defaultdict[str, list[_Pattern]] = defaultdict(list)
        for contract in contracts:
            for source in filter(is_pattern, contract.sources):
                matches = re.compile(as_regex(source)).match
                self._by_beginning[literal_beginning(source)].append(_Pattern(specificity(source), matches, contract))
        self._lengths = sorted({len(beginning) for beginning in self._by_beginning})
        self.of_source = lru_cache(_CACHED_SOURCES)(self._of_source)

    def __iter__(self) -> Iterator[Contract]:
        return iter(self._by_id.values())

    def named(self, identifier: str) -> Contract | None:
        """The contract with this identifier, if any."""
        return self._by_id.get(identifier)

    def expecting(self, source: str, decided_by: str) -> Contract:
        """The contract whose expectations apply to a source.

        It is the one that decided the source's last outcome (`decided_by`, a `reference`) if events are sent to that
        contract by name; otherwise, the one for the source.
        """
        named = self._by_id.get(decided_by.partition("@")[0])
        if named is not None and named is not self.default and (named.mapping is not None or not named.sources):
            return named
        return self.of_source(source)

    def _of_source(self, source: str) -> Contract:
        """The contract that names the source, else the one with the most specific pattern, else the default."""
        if contract := self._exact.get(source):
            return contract
        found = (
            pattern
            for length in self._lengths
            for pattern in self._by_beginning.get(source[:length], ())
            if pattern.matches(source)
        )
        best = max(found, key=attrgetter("specificity"), default=None)
        return self.default if best is None else best.contract


class _Pattern(NamedTuple):
    specificity: tuple[int, int]
    matches: Callable[[str], re.Match[str] | None]
    contract: Contract


BASIC = Contracts(
    # It has no version, so outcomes are recorded without a contract.
    [Contract.model_construct(id=DEFAULT, version="", sources=(), rules=(), mapping=None)],
    RULESET,
)
"""Only the basic rules."""


class CompiledContracts(BaseModel):
    """The contracts of a deployment: one JSON file, made by `make contracts`."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    contracts: tuple[Contract, ...]


def contracts_of(compiled: bytes) -> Contracts:
    """The contracts of a compiled file, with a ruleset that identifies them and the basic rules."""
    ruleset = f"{RULESET}.{sha256(compiled).hexdigest()[:8]}"
    return Contracts(CompiledContracts.model_validate_json(compiled, context=COMPILED).contracts, ruleset)
