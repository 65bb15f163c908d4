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

# Whatever the range and the order, this reads no more than a page, along the primary key.
_EVERY_SOURCE = """
SELECT {row} FROM measurements AS m
WHERE {conditions}
ORDER BY measured_at {order}, source {order} LIMIT CAST(:limit AS integer)
"""

# The primary key begins with the instant. Gold knows in which quarters of an hour a source measured at all: those alone
# are looked into, one after the other, until the page is full. Those that it will know are looked into by themselves:
# to put them in order with the others, all would be read first.
_IN_QUARTERS = """(
    SELECT m.* FROM {quarters} AS part CROSS JOIN LATERAL (
        SELECT * FROM measurements AS m
        WHERE measured_at >= part.quarter AND measured_at < part.quarter + interval '15 minutes'
          AND source = :source AND {{conditions}}
        ORDER BY measured_at {{order}}
    ) AS m
    ORDER BY part.quarter {{order}}, measured_at {{order}} LIMIT CAST(:limit AS integer)
)"""
_KNOWN = "(SELECT quarter FROM gold.measured WHERE source = :source AND {quarters})"
_STALE = """(
    SELECT DISTINCT quarter FROM gold.measured_stale AS stale
    WHERE {quarters}
      AND NOT EXISTS (SELECT FROM gold.measured AS kept WHERE kept.quarter = stale.quarter AND kept.source = :source)
)"""
_ONE_SOURCE = f"""
SELECT {{row}}
FROM ({_IN_QUARTERS.format(quarters=_KNOWN)} UNION ALL {_IN_QUARTERS.format(quarters=_STALE)}) AS m
ORDER BY measured_at {{order}} LIMIT CAST(:limit AS integer)
"""  # noqa: S608 - our own words


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
        bounds = _Bounds(newest_first=newest_first)
        bounds.add(">=", "since", since)
        bounds.add("<", "until", until)
        bounds.start_after(after)
        rows = ask(
            self._database,
            (_EVERY_SOURCE if source is None else _ONE_SOURCE).format(
                row=_ROW,
                order="DESC" if newest_first else "ASC",
                conditions=" AND ".join(bounds.conditions) or "true",
                quarters=" AND ".join(bounds.quarters) or "true",
            ),
            _COLUMNS,
            _FLOATS,
            limit=limit,
            **bounds.parameters,
            **({} if source is None else {"source": source}),
        )
        return [_standing(row) for row in rows]

    def at(
        self, instant: datetime, *, source: str | None = None, after: Place | None = None, limit: int
    ) -> list[Standing]:
        """See `Measurements.at`."""
        bounds = _Bounds(newest_first=False)
        bounds.add("=", "instant", instant)
        bounds.start_after(after)
        if source is not None:
            bounds.conditions.append("source = :source")
            bounds.parameters["source"] = source
        rows = ask(
            self._database,
            _EVERY_SOURCE.format(row=_ROW, order="ASC", conditions=" AND ".join(bounds.conditions)),
            _COLUMNS,
            _FLOATS,
            limit=limit,
            **bounds.parameters,
        )
        return [_standing(row) for row in rows]


class _Bounds:
    """Conditions on measurements, and on the quarters of an hour that hold such measurements."""

    def __init__(self, *, newest_first: bool) -> None:
        self._newest_first = newest_first
        self.conditions: list[str] = []
        self.quarters: list[str] = []
        self.parameters: dict[str, object] = {}

    def add(self, relation: str, name: str, instant: datetime | None) -> None:
        """What is measured so, related to an instant."""
        if instant is not None:
            self.conditions.append(f"m.measured_at {relation} CAST(:{name} AS timestamptz)")
            self._quarters(name, ahead=relation == ">=")
            self.parameters[name] = instant

    def start_after(self, place: Place | None) -> None:
        """What comes after a place, in the order that is asked for."""
        if place is not None:
            relation = "<" if self._newest_first else ">"
            self.conditions.append(
                f"(m.measured_at, m.source) {relation} (CAST(:after AS timestamptz), CAST(:after_source AS text))"
            )
            self._quarters("after", ahead=not self._newest_first)
            self.parameters |= {"after": place[0], "after_source": place[1]}

    def _quarters(self, name: str, *, ahead: bool) -> None:
        self.quarters.append(f"quarter {'>=' if ahead else '<='} gold.quarter_of(CAST(:{name} AS timestamptz))")


def _standing(row: Sequence[Any]) -> Standing:
    measured_at, source, mean, std_dev, count, minimum, maximum, unit, tags, raw_id, item, updated_at = row
    aggregates = Aggregates(mean, std_dev, count, minimum, maximum)
    measurement = Measurement(datetime.fromisoformat(measured_at), source, aggregates, unit, tags)
    return Standing(measurement, UUID(raw_id), item, datetime.fromisoformat(updated_at))
