"""Reads of the measurements that stand, page by page; by a role that can do nothing else."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from dropzone.adapters.columns import ask
from dropzone.adapters.database import Database
from dropzone.adapters.rows import MEASURED
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.gold import Place, Standing
from dropzone.domain.outcomes import Measurement

_COLUMNS = [*MEASURED.split(", "), "raw_id", "item", "updated_at"]
_ROW = ", ".join(_COLUMNS)
_FLOATS = frozenset({"mean", "std_dev", "min", "max"})

# Whatever the range, the order and the source, this reads no more than a page, along one of two indexes.
_PAGE = """
SELECT {row} FROM measurements AS m
WHERE {conditions}
ORDER BY measured_at {order}, source {order} LIMIT CAST(:limit AS integer)
"""


class PostgresMeasurements:
    """The measurements that stand."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    def page(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        source: str | None = None,
        after: Place | None = None,
        newest_first: bool = True,
        limit: int,
    ) -> list[Standing]:
        """See `Measurements.page`."""
        conditions = _Conditions()
        conditions.add("measured_at >=", "since", since)
        conditions.add("measured_at <", "until", until)
        conditions.add("source =", "source", source)
        conditions.start_after(after, newest_first=newest_first)
        return self._read(conditions, "DESC" if newest_first else "ASC", limit)

    def at(
        self, instant: datetime, *, source: str | None = None, after: Place | None = None, limit: int
    ) -> list[Standing]:
        """See `Measurements.at`."""
        conditions = _Conditions()
        conditions.add("measured_at =", "instant", instant)
        conditions.add("source =", "source", source)
        conditions.start_after(after, newest_first=False)
        return self._read(conditions, "ASC", limit)

    def _read(self, conditions: "_Conditions", order: str, limit: int) -> list[Standing]:
        sql = _PAGE.format(row=_ROW, order=order, conditions=" AND ".join(conditions.sql) or "true")
        rows = ask(self._database, sql, _COLUMNS, _FLOATS, limit=limit, **conditions.parameters)
        return [_standing(row) for row in rows]


class _Conditions:
    """What measurements have to be like, and the parameters of that."""

    def __init__(self) -> None:
        self.sql: list[str] = []
        self.parameters: dict[str, object] = {}

    def add(self, what: str, name: str, value: datetime | str | None) -> None:
        """Compare a column with a value, if there is one."""
        if value is not None:
            self.sql.append(f"{what} CAST(:{name} AS {'text' if isinstance(value, str) else 'timestamptz'})")
            self.parameters[name] = value

    def start_after(self, place: Place | None, *, newest_first: bool) -> None:
        """Go on after a place, in the order that is asked for."""
        if place is not None:
            relation = "<" if newest_first else ">"
            # The first is implied by the second, and is what the index by source can start at.
            self.add(f"measured_at {relation}=", "after", place[0])
            self.sql.append(
                f"(measured_at, source) {relation} (CAST(:after AS timestamptz), CAST(:after_source AS text))"
            )
            self.parameters["after_source"] = place[1]


def _standing(row: Sequence[Any]) -> Standing:
    measured_at, source, mean, std_dev, count, minimum, maximum, unit, tags, raw_id, item, updated_at = row
    aggregates = Aggregates(mean, std_dev, count, minimum, maximum)
    measurement = Measurement(datetime.fromisoformat(measured_at), source, aggregates, unit, tags)
    return Standing(measurement, UUID(raw_id), item, datetime.fromisoformat(updated_at))
