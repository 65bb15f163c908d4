"""A contract, and the choice among them by an event's source."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cached_property, lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from dropzone.domain.contracts.mapping import COMPILED, PayloadMapping
from dropzone.domain.contracts.rules import Rule, Severity
from dropzone.domain.outcomes import MAX_VIOLATIONS, RULESET, Outcome, Rejection
from dropzone.domain.patterns import SourcePattern, as_regex, is_pattern, literal_beginning, specificity
from dropzone.domain.payloads import Event

DEFAULT = "default"
"""The contract of the sources that no other one names."""

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
    """How the events of bodies that were sent to the contract by name are found; None for our own payload."""

    @cached_property
    def reference(self) -> str:
        """What an outcome is recorded with: `id@version`."""
        return f"{self.id}@{self.version}" if self.version else ""

    @cached_property
    def validate_event(self) -> Callable[[Event, datetime], Outcome]:
        """The measurement of an event, with a flag for each warning, or its rejection with each error.

        A function of an event that keeps the basic rules, and of its object's arrival.
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
            violations = [(rule.severity, rule.violation(measurement, samples, received_at)) for rule in broken]
            if errors := tuple(violation for severity, violation in violations if severity is Severity.ERROR):
                return Rejection(errors[:MAX_VIOLATIONS], measurement.source, reference, measurement.corrects)
            flags = tuple(violation for _, violation in violations)[:MAX_VIOLATIONS]
            return measurement._replace(flags=flags)

        return validate_event


class Contracts:
    """The contracts of a deployment, and which of them holds for a source."""

    def __init__(self, contracts: Sequence[Contract], ruleset: str) -> None:
        """Take contracts, of which one is the default, and the version of all rules together."""
        self.ruleset = ruleset
        """Changes whenever an event might be decided differently: with any contract, and with the basic rules."""
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
        """The contract with an identifier."""
        return self._by_id.get(identifier)

    def expecting(self, source: str, decided_by: str) -> Contract:
        """The contract that says what is expected of a source over time.

        Args:
            source: whose.
            decided_by: the `reference` that the source's last outcome was recorded with. If that contract is one that
                events are sent to by name, it is the source's.
        """
        named = self._by_id.get(decided_by.partition("@")[0])
        if named is not None and named is not self.default and (named.mapping is not None or not named.sources):
            return named
        return self.of_source(source)

    def _of_source(self, source: str) -> Contract:
        """The contract of a source: that which names it, else that with the most specific pattern, else the default."""
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
    # Without a version: outcomes are recorded with no contract.
    [Contract.model_construct(id=DEFAULT, version="", sources=(), rules=(), mapping=None)],
    RULESET,
)
"""The basic rules alone."""


class CompiledContracts(BaseModel):
    """The contracts of a deployment: one JSON file, made by `make contracts`."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    contracts: tuple[Contract, ...]


def contracts_of(compiled: bytes) -> Contracts:
    """The contracts of a compiled file, and the ruleset that names them together with the basic rules."""
    ruleset = f"{RULESET}.{sha256(compiled).hexdigest()[:8]}"
    return Contracts(CompiledContracts.model_validate_json(compiled, context=COMPILED).contracts, ruleset)
