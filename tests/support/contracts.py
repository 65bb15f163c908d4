"""Contracts for tests, and for each of their codes a rule and an event that breaks it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from dropzone.domain.contracts import DEFAULT, Contract, Contracts, Rule
from dropzone.domain.outcomes import Code

ARRIVED = datetime(2026, 11, 24, 17, tzinfo=UTC)
"""When the events below arrive, 15 minutes after they are measured."""
EVENT: Mapping[str, Any] = {
    "schema_version": 2,
    "time_stamp": (ARRIVED - timedelta(minutes=15)).isoformat(),
    "data": [20.5, 21.5],
    "source": "hall-3/thermometer-7",
    "unit": "°C",
    "tags": {"line": "B"},
}

OF_MAPPINGS = frozenset({Code.UNKNOWN_CONTRACT, Code.MAPPING_FAILED, Code.TIME_STAMP_NOT_EPOCH})
"""Codes of bodies that are mapped; unit/contracts/test_mappings.py has an input for each."""

OF_KEYS = frozenset({Code.SOURCE_NOT_ALLOWED})
"""Codes of events whose key is bound to sources; unit/domain/test_access.py has an input for each."""

_RULES: TypeAdapter[Rule] = TypeAdapter(Rule)

BROKEN: Mapping[Code, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    Code.VALUE_BELOW_MINIMUM: ({"rule": "minimum", "limit": -40}, {"data": [21, -41]}),
    Code.VALUE_ABOVE_MAXIMUM: ({"rule": "maximum", "limit": 60}, {"data": [21, 61]}),
    Code.VALUE_SENTINEL: ({"rule": "sentinel", "values": [-200, 85]}, {"data": [21, 85.0]}),
    Code.VALUE_SPREAD: ({"rule": "spread", "limit": 5}, {"data": [10, 30]}),
    Code.SAMPLES_TOO_FEW: ({"rule": "samples", "minimum": 2}, {"data": [21]}),
    Code.SAMPLES_TOO_MANY: ({"rule": "samples", "maximum": 2}, {"data": [21, 21, 21]}),
    Code.UNIT_UNEXPECTED: ({"rule": "units", "allowed": ["°C", "K"]}, {"unit": "°F"}),
    Code.TAGS_MISSING: ({"rule": "tags", "names": ["line"]}, {"tags": {}}),
    Code.SOURCE_UNEXPECTED: ({"rule": "source", "pattern": "hall-[0-9]/.+"}, {"source": "hall/7"}),
    Code.TIME_STAMP_AHEAD: ({"rule": "ahead", "limit": "PT1H"}, {"time_stamp": "2026-11-24T18:00:01Z"}),
    Code.TIME_STAMP_TOO_OLD: ({"rule": "behind", "limit": "P1D"}, {"time_stamp": "2026-11-23T16:59:59Z"}),
}
"""By code: a rule that `EVENT` keeps, and what has to change in the event for it to be broken."""


def rule(stated: Mapping[str, Any]) -> Rule:
    """A rule, of which just what is given matters."""
    return _RULES.validate_python({"id": "the-rule", "dimension": "conformity", **stated})


def contract(identifier: str = DEFAULT, *rules: Mapping[str, Any], sources: tuple[str, ...] = ()) -> Contract:
    """A contract of version 1."""
    return Contract(id=identifier, version="1", sources=sources, rules=tuple(map(rule, rules)))


def contracts(*others: Contract) -> Contracts:
    """These, and a default one without rules where there is none among them."""
    has_default = any(other.id == DEFAULT for other in others)
    return Contracts(others if has_default else [contract(), *others], "test")
