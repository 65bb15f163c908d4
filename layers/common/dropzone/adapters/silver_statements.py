"""Shared parts of statements that write silver: columns and parameters, derived measurements, and locks of days.

The numbers of a chunk's events are passed as one array per column, the rest as one JSON parameter (docs/adr/0004).

A measurement is derived from the outcomes of its key, and a transaction sees only committed ones. So a transaction that
replaces outcomes locks the days of the old and new instants exclusively; all others share them (docs/adr/0022). Days
are locked in ascending order, before any row, and rows of `receipts` before others, which prevents deadlocks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_json

from dropzone.adapters.database import Row, Run
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.outcomes import Code, EventId, Measurement, Outcome, Rejection, ValidatedObject, Violation
from dropzone.ports import SilverConflictError

MEASURED = "measured_at, source, mean, std_dev, sample_count, min, max, unit, tags"
"""The columns that `outcomes` and `measurements` have in common."""

DECIDED = f"raw_id, item, outcome, violations, {MEASURED}, contract, corrects_raw_id, corrects_item"
"""The columns of `outcomes` that follow from the event and the rules."""

COMPLETE = """object AS (
    SELECT raw_id, CASE
        WHEN first_item = 0 THEN items
        WHEN first_item = (SELECT count(*) FROM outcomes AS o WHERE o.raw_id = object.raw_id AND o.item < first_item)
        THEN items END AS items
    FROM unnest(CAST(:raw_ids AS uuid[]), CAST(:first_items AS integer[]), CAST(:items AS integer[]))
        AS object (raw_id, first_item, items)
)"""
"""A common table expression of objects, with `object_parameters`. `items` is null if the object stays incomplete."""

FIRST_PARTS = """object AS (
    SELECT * FROM unnest(CAST(:raw_ids AS uuid[]), CAST(:items AS integer[])) AS object (raw_id, items)
)"""
"""`COMPLETE` for objects from their first item on. It reads no table: a statement that is planned once locks all
partitions of each table that it reads, but only those of its rows in a table that it only inserts into."""

EVENTS = """(
    SELECT raw_id, item, CASE WHEN mean IS NULL THEN 'rejected' ELSE 'processed' END AS outcome, contract,
           coalesce(violations, '[]') AS violations, measured_at, source, mean, std_dev, sample_count, min, max,
           coalesce(unit, '') AS unit, coalesce(tags, '{}') AS tags, corrects_raw_id, corrects_item
    FROM ROWS FROM (
        unnest(
            CAST(:event_raw_ids AS uuid[]), CAST(:event_items AS integer[]), CAST(:instants AS timestamptz[]),
            CAST(:means AS float8[]), CAST(:std_devs AS float8[]), CAST(:sample_counts AS integer[]),
            CAST(:minima AS float8[]), CAST(:maxima AS float8[])
        ),
        json_to_recordset(CAST(:labels AS json)) AS (
            violations jsonb, source text, unit text, tags jsonb, contract text, corrects_raw_id uuid,
            corrects_item integer
        )
    ) AS one (
        raw_id, item, measured_at, mean, std_dev, sample_count, min, max, violations, source, unit, tags, contract,
        corrects_raw_id, corrects_item
    )
) AS event"""
"""A FROM item of events as rows of `outcomes`, with `event_parameters`. Values that most events lack are not sent."""

FLAGS = """CASE WHEN violations = '[]' THEN '{}'
    ELSE ARRAY(SELECT DISTINCT v ->> 'code' FROM jsonb_array_elements(violations) AS v ORDER BY 1) END AS flags"""
"""The codes of a processed outcome's violations, for the column `flags` of `measurements`."""

REPLACED = """
    mean = excluded.mean, std_dev = excluded.std_dev, sample_count = excluded.sample_count, min = excluded.min,
    max = excluded.max, unit = excluded.unit, tags = excluded.tags, flags = excluded.flags, raw_id = excluded.raw_id,
    item = excluded.item,
    updated_at = now()
"""
"""The SET clause by which a later event replaces a measurement."""


def object_parameters(validated: Sequence[ValidatedObject]) -> dict[str, str]:
    """Objects, the first item of these outcomes, and the number of items if they include the last one."""
    return {
        "raw_ids": uuid_array(one.raw_id for one in validated),
        "first_items": array_text([one.first_item for one in validated]),
        "items": array_text([one.items if one.is_whole else None for one in validated]),
    }


def event_parameters(validated: Sequence[ValidatedObject]) -> dict[str, str]:
    """The events of objects, one row of `outcomes` for each."""
    events = [
        (one.raw_id, item, outcome) for one in validated for item, outcome in enumerate(one.outcomes, one.first_item)
    ]
    figures = [_figures(outcome) for _, _, outcome in events]
    return {
        "event_raw_ids": array_text([raw_id for raw_id, _, _ in events]),
        "event_items": array_text([item for _, item, _ in events]),
        **{name: array_text([row[place] for row in figures]) for place, name in enumerate(_FIGURES)},
        "labels": json_text([_labels(outcome) for _, _, outcome in events]),
    }


def outcome_of(violations: list[dict[str, Any]], corrected: Sequence[Any], figures: Sequence[Any]) -> Outcome:
    """The outcome of a row: its violations, what it corrects (object and item), its `MEASURED`; not its contract."""
    measured_at, source, *aggregates, unit, tags = figures
    corrects = None if corrected[0] is None else EventId(*corrected)
    broken = tuple(Violation(**{**entry, "code": Code(entry["code"])}) for entry in violations)
    if measured_at is None:
        return Rejection(broken, source or "", corrects=corrects)
    return Measurement(measured_at, source, Aggregates(*aggregates), unit, tags, broken, corrects=corrects)


def json_text(value: object) -> str:
    """A value as the text of a JSON parameter."""
    return to_json(value).decode()


def uuid_array(raw_ids: Iterable[UUID]) -> str:
    """Identifiers as the text of a uuid[] parameter."""
    return array_text(list(raw_ids))


def array_text(values: list[Any]) -> str:
    """Numbers, instants, identifiers or None as the text of an array parameter. Not for texts: escapes differ.

    A number that is not finite becomes null, which is never valid here: in an array, Postgres would accept it as it is.
    """
    return f"{{{to_json(values, inf_nan_mode='null').decode()[1:-1]}}}"


_FIGURES = ("instants", "means", "std_devs", "sample_counts", "minima", "maxima")
_NO_FIGURES = (None,) * len(_FIGURES)


def _figures(outcome: Outcome) -> Sequence[datetime | float | None]:
    return _NO_FIGURES if isinstance(outcome, Rejection) else (outcome.measured_at, *outcome.aggregates)


def _labels(outcome: Outcome) -> dict[str, Any]:
    labels: dict[str, Any] = {"source": outcome.source, "contract": outcome.contract}
    if outcome.corrects is not None:
        labels["corrects_raw_id"], labels["corrects_item"] = outcome.corrects
    if isinstance(outcome, Rejection):
        labels["violations"] = _entries(outcome.violations)
        return labels
    if outcome.flags:
        labels["violations"] = _entries(outcome.flags)
    if outcome.unit:
        labels["unit"] = outcome.unit
    if outcome.tags:
        labels["tags"] = outcome.tags
    return labels


def _entries(violations: Iterable[Violation]) -> list[dict[str, Any]]:
    return [{key: value for key, value in asdict(each).items() if value is not None} for each in violations]


# In an archived month, no row is deleted that a trigger would see, so the change is recorded here. Without the bounds
# (those of the keys), the deletion would be planned for every month.
_DERIVE: Final = f"""
WITH key AS (
    SELECT DISTINCT * FROM json_to_recordset(CAST(:keys AS json)) AS k (measured_at timestamptz, source text)
), best AS (
    SELECT o.* FROM key CROSS JOIN LATERAL (
        SELECT {MEASURED}, {FLAGS}, raw_id, item FROM outcomes
        WHERE outcome = 'processed' AND measured_at = key.measured_at AND source = key.source
        ORDER BY raw_id DESC, item DESC LIMIT 1
    ) AS o
), gone AS (
    DELETE FROM measurements USING key
    WHERE measurements.measured_at = key.measured_at AND measurements.source = key.source
      AND measurements.measured_at BETWEEN CAST(:first AS timestamptz) AND CAST(:last AS timestamptz)
      AND NOT EXISTS (SELECT FROM best WHERE best.measured_at = key.measured_at AND best.source = key.source)
), archived AS (
    INSERT INTO archive.changes (kind, month)
    SELECT DISTINCT kind, month FROM archive.months JOIN key ON archive.month_of(measured_at) = month
    WHERE kind = 'measured'
)
INSERT INTO measurements AS m ({MEASURED}, flags, raw_id, item)
SELECT {MEASURED}, flags, raw_id, item FROM best
ON CONFLICT (measured_at, source) DO UPDATE SET {REPLACED}
"""  # noqa: S608 - the columns are this project's own


def derive(run: Run, touched: Iterable[Row]) -> None:
    """Derive the measurement of each key from its last processed outcome; delete it if there is none.

    A key is an instant, as Postgres writes it, and a source. Keys without an instant are ignored. This transaction must
    have locked their days.
    """
    keys = [
        {"measured_at": measured_at, "source": source} for measured_at, source, *_ in touched if measured_at is not None
    ]
    if keys:
        # In Postgres's format, in UTC and the years 1 to 9999, texts sort like their instants.
        instants = [key["measured_at"] for key in keys]
        run(_DERIVE, keys=json_text(keys), first=min(instants), last=max(instants))


_DAYS: Final = 64
"""The number of locks for days, which are shared modulo this number: whatever instants a client sends, a transaction
doesn't hold more locks than a server has room for (64 for each connection that it allows)."""

_CLASS: Final = 7308333
"""The first number of the advisory locks, which nothing else uses."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

DAY: Final = f"CAST(floor(extract(epoch FROM measured_at) / 86400) AS integer) & {_DAYS - 1}"
"""The second number of the advisory lock for a row."""

SHARED: Final = f"""locked AS MATERIALIZED (
    SELECT pg_advisory_xact_lock_shared({_CLASS}, day) FROM unnest(CAST(:days AS integer[])) AS day
)"""  # noqa: S608 - the number is this project's own
"""A common table expression that locks `days`, for a statement that reads it before it writes."""

_SHARE: Final = f"WITH {SHARED} SELECT FROM locked"

_LOCK: Final = f"""
WITH day AS (
    SELECT unnest(CAST(:days AS integer[])) AS day UNION SELECT {DAY} FROM {{rows}} WHERE measured_at IS NOT NULL
)
SELECT day, pg_advisory_xact_lock({_CLASS}, day) FROM (SELECT day FROM day ORDER BY day) AS ordered
"""  # noqa: S608 - the numbers are this project's own

# A separate statement, since a statement sees only what was committed when it started, before the wait.
_RECEIPTS: Final = "SELECT FROM receipts WHERE raw_id = ANY (CAST(:raw_ids AS uuid[])) ORDER BY raw_id FOR UPDATE"


def days_of(validated: Iterable[ValidatedObject]) -> str:
    """The days of these outcomes, in ascending order, as the text of an integer[] parameter."""
    days = {
        (outcome.measured_at - _EPOCH).days & _DAYS - 1
        for one in validated
        for outcome in one.outcomes
        if isinstance(outcome, Measurement)
    }
    return array_text(sorted(days))


def share_days(run: Run, *, days: str, raw_ids: str) -> None:
    """Lock days in shared mode, and receipts, before a transaction's other statements."""
    run(_SHARE, days=days)
    run(_RECEIPTS, raw_ids=raw_ids)


class LockedDays:
    """The days that a transaction has locked exclusively."""

    def __init__(
        self, run: Run, rows: str, parameters: Mapping[str, object], *, raw_ids: str, days: str = "{}"
    ) -> None:
        """Lock `days` and the days of rows of `outcomes`, then the receipts of these objects.

        `rows` is a FROM item with these parameters. This must be the first statement of its transaction.
        """
        self._days = {day for day, _ in run(_LOCK.format(rows=rows), days=days, **parameters)}
        run(_RECEIPTS, raw_ids=raw_ids)

    def check(self, removed: Sequence[Row]) -> None:
        """Check that the days of removed rows of `outcomes` (the last column) are locked.

        Raises:
            SilverConflictError: another transaction wrote some of the rows before this one had locked their receipts.
        """
        if not {day for *_, day in removed if day is not None} <= self._days:
            raise SilverConflictError("outcomes changed while their days were being locked")
