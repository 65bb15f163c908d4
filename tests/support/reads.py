"""A database for reads, which answers with given rows and remembers what it was asked."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic_core import to_json

from dropzone.ports import SilverError

Row = Mapping[str, Any]

_KINDS = {
    "gold.kpis(": "kpis",
    "gold.quality(": "quality",
    "gold.sources(": "sources",
    "FROM receipts": "objects",
    "AS superseded_by": "events",
    "AS superseded,": "counts",
    "outcome = 'rejected'\n": "rejections",
    "FROM measurements\n": "measurements",
}
"""What a query reads, by a text in it."""


@dataclass(slots=True)
class Rows:
    """Rows of each read, as its answer has them."""

    measurements: Sequence[Row] = ()
    kpis: Sequence[Row] = ()
    quality: Sequence[Row] = ()
    sources: Sequence[Row] = ()
    rejections: Sequence[Row] = ()
    objects: Sequence[Row] = ()
    events: Sequence[Row] = ()
    counts: Sequence[Row] = ({"processed": 1, "superseded": 0, "rejected": 0},)
    archived: Sequence[str] = ()
    """Months."""
    asked_of_archive: list[dict[str, Any]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The parameters of each read, and its SQL."""
    refusal: SilverError | None = None
    parts: int = 0
    """What gold says that a range holds."""

    def use_time_left(self, _: Callable[[], float]) -> None:
        """It takes none."""

    def run(self, sql: str, **parameters: Any) -> list[list[Any]]:  # noqa: ANN401 - any parameter's
        """Answer a query."""
        if "pg_timezone_names" in sql:
            return [[]] if parameters["name"] in {"UTC", "Europe/Berlin"} else []
        if "gold.day_start" in sql:
            return [list(_day(parameters["day"], parameters["tz"]))]
        if "FROM archive.months" in sql and "receipts" not in sql:
            self.asked_of_archive.append(parameters)
            return [[month] for month in self.archived]
        if "gold.cost" in sql:
            return [[self.parts > parameters["most_parts"]]]
        self.asked.append({**parameters, "sql": sql})
        if self.refusal is not None:
            raise self.refusal
        kind = next(kind for mark, kind in _KINDS.items() if mark in sql)
        rows: Sequence[Row] = getattr(self, kind)
        if kind == "events":
            rows = [row for row in rows if row["item"] > parameters["after"]]
        # The newest are read in steps, of which each has its own.
        if kind == "measurements":
            rows = _within(rows, "measured_at", parameters.get("since"), parameters.get("until"))
        elif kind == "rejections":
            rows = _within(rows, "raw_id", parameters["since"], parameters["before"])
        flat = [dict(_flat(row)) for row in rows[: parameters.get("limit")]]
        columns = re.findall(r'json_agg\("([^"]+)"\)', sql)
        # An offset of zero, where a bucket's bounds have one.
        answer = [[row.get(column, 0 if "_offset" in column else None) for row in flat] for column in columns]
        return [[to_json(answer).decode()]]


def _within(rows: Sequence[Row], key: str, since: Any, until: Any) -> Sequence[Row]:  # noqa: ANN401 - what the key has
    return [row for row in rows if (since is None or row[key] >= since) and (until is None or row[key] < until)]


def _day(day: date, tz: str) -> Iterator[datetime]:
    for each in (day, day + timedelta(days=1)):
        yield datetime.combine(each, time(), ZoneInfo(tz)).astimezone(UTC)


def _flat(row: Row) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if name in {"gaps", "latency_ms", "last_day", "counts"}:
            yield from ((f"{name}.{part}", each) for part, each in value.items())
        else:
            yield name, value
