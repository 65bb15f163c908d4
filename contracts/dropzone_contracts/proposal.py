"""Proposes a contract for a source from its measurements."""

import math
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Any

import yaml

_SHARE = 0.01
"""The share of measurements on either side that is ignored for bounds, since sensors fail."""
_DIGITS = 2

_CLOCK = "the clock of the sender is probably wrong"
_UNUSUAL = "unusual for this source, by what it has sent so far"

_HEAD = """\
# Proposed from {number} measurements of {source}, {first} to {last}.
# Bounds are the hundredths of them, widened by as much as they span; correct what you know better.
# Rules flag events at first: severity error rejects them.
"""


def propose(source: str, measurements: Sequence[Mapping[str, Any]]) -> str:
    """A contract in YAML.

    `measurements` has at least one, as listed by `GET /measurements`.
    """
    instants = sorted(datetime.fromisoformat(str(measurement["measured_at"])) for measurement in measurements)
    minimum, maximum = _bounds(
        sorted(float(measurement["min"]) for measurement in measurements),
        sorted(float(measurement["max"]) for measurement in measurements),
    )
    units = sorted({str(measurement["unit"]) for measurement in measurements})
    fields: list[dict[str, Any]] = [
        {
            "name": "time_stamp",
            "logicalType": "timestamp",
            "quality": [_ours("clock-ahead", "timeliness", _CLOCK, "ahead", "PT1H")],
        },
        {
            "name": "data",
            "logicalType": "array",
            "items": {"name": "sample", "logicalType": "number"},
            "quality": [
                _ours("below-usual", "conformity", _UNUSUAL, "minimum", minimum),
                _ours("above-usual", "conformity", _UNUSUAL, "maximum", maximum),
            ],
        },
    ]
    if units != [""]:
        unit = {
            "id": "unit",
            "metric": "invalidValues",
            "arguments": {"validValues": units},
            "mustBe": 0,
            "severity": "warning",
            "dimension": "conformity",
            "description": "this source used another unit so far",
        }
        fields.append({"name": "unit", "logicalType": "string", "quality": [unit]})
    contract: dict[str, Any] = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": _identifier(source),
        "name": source,
        "version": "1.0.0",
        "status": "draft",
        "customProperties": [{"property": "sources", "value": [source]}],
        "schema": [{"name": "events", "logicalType": "object", "properties": fields}],
    }
    pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(instants) if later > earlier]
    if pauses:
        usual = round(median(pauses), 3)
        contract["slaProperties"] = [
            {"property": "frequency", "value": int(usual) if usual.is_integer() else usual, "unit": "s"}
        ]
    head = _HEAD.format(
        number=f"{len(measurements):,}",
        source=ascii(source),
        first=instants[0].isoformat(timespec="seconds"),
        last=instants[-1].isoformat(timespec="seconds"),
    )
    return head + yaml.safe_dump(contract, sort_keys=False, allow_unicode=True, width=120)


def _ours(identifier: str, dimension: str, description: str, rule: str, limit: object) -> dict[str, Any]:
    return {
        "id": identifier,
        "type": "custom",
        "engine": "dropzone",
        "implementation": {"rule": rule, "limit": limit},
        "severity": "warning",
        "dimension": dimension,
        "description": description,
    }


def _bounds(lowest: Sequence[float], highest: Sequence[float]) -> tuple[float, float]:
    low, high = lowest[_rank(_SHARE, lowest)], highest[_rank(1 - _SHARE, highest)]
    # If the values never change, a tenth of the value.
    span = min(high - low, 1e300) or abs(high) / 10 or 1.0
    step = 10.0 ** (math.floor(math.log10(span)) + 1 - _DIGITS)
    return _rounded(low - span, step, math.floor), _rounded(high + span, step, math.ceil)


def _rank(share: float, values: Sequence[float]) -> int:
    return round(share * (len(values) - 1))


def _rounded(value: float, step: float, towards: Any) -> float:  # noqa: ANN401 - math.floor or math.ceil
    if not math.isfinite(value / step):
        return max(-sys.float_info.max, min(sys.float_info.max, value))
    return float(f"{towards(value / step) * step:.12g}")


def _identifier(source: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-")[:64].strip("-") or "source"
