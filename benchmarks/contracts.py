"""What data contracts cost: rules beside none, a mapping beside our own payload."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from benchmarks.measuring import Entry, Goal, Work, alternate, entry, microseconds, per_second, repeated
from benchmarks.surroundings import Surroundings
from dropzone.adapters.contracts import deployed_contracts
from dropzone.domain.contracts import Contract, Contracts, Rule
from dropzone.domain.outcomes import Measurement
from dropzone.domain.validate import Contents

_EVENTS, _RUNS = 1_000, 30
_NOW = datetime(2026, 11, 24, 17, tzinfo=UTC)
_RULES: TypeAdapter[Rule] = TypeAdapter(Rule)
_THREE: list[Mapping[str, Any]] = [
    {"id": "cold", "rule": "minimum", "limit": -40, "dimension": "conformity"},
    {"id": "hot", "rule": "maximum", "limit": 60, "dimension": "conformity"},
    {"id": "none", "rule": "sentinel", "values": [-200, 85], "dimension": "completeness"},
]


def run(_: Surroundings) -> Iterator[Entry]:
    none, three = _contracts([]), _contracts(_THREE)
    for values in (10, 100):
        body = json.dumps([_event(number, values) for number in range(_EVENTS)]).encode()
        taken = alternate({"three": _on(body, three), "none": _on(body, none)}, _RUNS)
        goal = Goal("≤", 1.15)
        name = f"time with three rules, {values} floats"
        yield entry(name, microseconds(_EVENTS), taken["three"].cpu, taken["none"].cpu, goal, at=values)
    mapped = json.dumps([_metric(number) for number in range(_EVENTS)]).encode()
    ours = json.dumps([_as_ours(number) for number in range(_EVENTS)]).encode()
    deployed = deployed_contracts()
    taken = alternate({"mapped": _on(mapped, deployed, "telegraf"), "ours": _on(ours, deployed)}, _RUNS)
    yield entry("events by a mapping", per_second(_EVENTS), taken["mapped"].cpu, taken["ours"].cpu, Goal("≥", 0.5))


def _contracts(rules: list[Mapping[str, Any]]) -> Contracts:
    contract = Contract(id="default", version="1", rules=tuple(_RULES.validate_python(rule) for rule in rules))
    return Contracts([contract], "bench")


def _on(body: bytes, contracts: Contracts, contract: str = "") -> Work:
    def validated() -> None:
        contents = Contents(body, received_at=_NOW, contracts=contracts, contract=contract)
        assert all(isinstance(outcome, Measurement) for outcome in contents.outcomes())  # noqa: S101 - all are good

    return repeated(validated)


def _event(number: int, values: int) -> Mapping[str, Any]:
    return {
        "schema_version": 2,
        "time_stamp": _NOW.isoformat(),
        "data": [20 + (number + value) % 10 + 0.5 for value in range(values)],
        "source": f"hall-{number % 50}/thermometer",
    }


def _metric(number: int) -> Mapping[str, Any]:
    return {"fields": {"idle": number + 0.5}, "name": "cpu", "tags": {"host": f"h{number % 50}"}, "timestamp": number}


def _as_ours(number: int) -> Mapping[str, Any]:
    host = f"h{number % 50}"
    return {
        "schema_version": 2,
        "time_stamp": datetime.fromtimestamp(number, UTC).isoformat(),
        "data": [number + 0.5],
        "source": f"{host}/cpu/idle",
        "tags": {"metric": "cpu", "field": "idle", "host": host},
    }
