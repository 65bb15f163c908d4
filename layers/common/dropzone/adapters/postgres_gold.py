"""Gold in Postgres: the schema's functions do the work (`gold_reads.sql`); they are asked, and their answers read."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from dropzone.adapters.columns import ask
from dropzone.adapters.database import Database
from dropzone.domain.gold import Arrivals, Gaps, Granularity, Kpi, Latency, Place, Pooled, Quality, Window
from dropzone.query_ports import TooMuchAskedError

MOST_PARTS = 1_000_000
"""The most quarters of sources that one call pools: some seconds' work."""

MOST_EVENTS = 2_000_000
"""The most measurements, and arrivals, that one call by the minute computes from: a few seconds' work."""

# What Python's datetime can hold; a bucket may begin before that, or end after it.
_FIRST, _LAST = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"
_LONGEST_DAY = timedelta(hours=36)

_ANSWER = f"""
SELECT * FROM (
    SELECT greatest(k.starts_at, '{_FIRST}') AS starts_at, least(k.ends_at, '{_LAST}') AS ends_at, {{columns}}
    FROM {{call}} AS k
) AS k
{{after}}
ORDER BY starts_at, source LIMIT CAST(:limit AS integer)
"""  # noqa: S608 - our own words

_WINDOW = (
    ":granularity, CAST(:since AS timestamptz), CAST(:until AS timestamptz), CAST(:source AS text), CAST(:tz AS text)"
)
_AFTER = "WHERE (starts_at, source) > (CAST(:after AS timestamptz), CAST(:after_source AS text))"

_KPIS: Final = (
    f"gold.kpis({_WINDOW}, CAST(:expected AS double precision))",
    (
        "source, events, samples, mean, std_dev, min, max, first, last, gaps, gap_longest, gap_expected, gap_limit, "
        "processed, rejected, rejected_by_rule, latency_mean_ms, latency_max_ms"
    ),
)
_QUALITY: Final = (
    f"gold.quality({_WINDOW})",
    "source, processed, rejected, rejected_by_rule, latency_mean_ms, latency_max_ms, latency_p50_ms, latency_p95_ms",
)

_FLOATS = frozenset(
    {
        *("mean", "std_dev", "min", "max", "gap_longest", "gap_expected", "gap_limit"),
        *("latency_mean_ms", "latency_max_ms", "latency_p50_ms", "latency_p95_ms"),
    }
)

_PARTS: Final = """
SELECT count(*), coalesce(sum(events), 0) FROM (
    SELECT {events} AS events FROM gold.{table}
    WHERE quarter >= CAST(:since AS timestamptz) AND quarter < CAST(:until AS timestamptz)
      AND (CAST(:source AS text) IS NULL OR source = :source)
    LIMIT CAST(:most AS integer)
) AS part
"""
_MEASURED: Final = _PARTS.format(table="measured", events="events")
_ARRIVED: Final = _PARTS.format(table="arrived", events="processed + rejected")

_DAY: Final = f"""
SELECT greatest(gold.day_start(day, :tz), '{_FIRST}'), least(gold.day_start(day + 1, :tz), '{_LAST}')
FROM (SELECT CAST(:day AS date) AS day) AS asked
"""  # noqa: S608 - our own words

_ZONE: Final = "SELECT FROM pg_timezone_names WHERE name = :name"


class PostgresGold:
    """Gold, read."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database
        self._zones = {"UTC"}

    def knows_zone(self, name: str) -> bool:
        """See `Gold.knows_zone`. Postgres reads all of its zones to tell; those that it has are remembered."""
        if name not in self._zones and self._database.run(_ZONE, name=name):
            self._zones.add(name)
        return name in self._zones

    def day(self, day: date, tz: str) -> tuple[datetime, datetime]:
        """See `Gold.day`."""
        ((begins, ends),) = self._database.run(_DAY, day=day, tz=tz)
        return begins, ends

    def kpis(
        self, window: Window, *, expected_seconds: float | None = None, after: Place | None = None, limit: int
    ) -> list[Kpi]:
        """See `Gold.kpis`."""
        self._weigh(window, _MEASURED)
        self._weigh(window, _ARRIVED)
        return [_kpi(row) for row in self._ask(*_KPIS, window, after, limit, expected=expected_seconds)]

    def quality(self, window: Window, *, after: Place | None = None, limit: int) -> list[Quality]:
        """See `Gold.quality`."""
        self._weigh(window, _ARRIVED)
        return [_quality(row) for row in self._ask(*_QUALITY, window, after, limit)]

    def _ask(
        self, call: str, columns: str, window: Window, after: Place | None, limit: int, **others: object
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of an answer: the instants at which a bucket starts and ends, and these columns."""
        return ask(
            self._database,
            _ANSWER.format(call=call, columns=columns, after="" if after is None else _AFTER),
            ["starts_at", "ends_at", *columns.split(", ")],
            _FLOATS,
            granularity=window.granularity.value,
            since=window.since,
            until=window.until,
            source=window.source,
            tz=window.tz,
            limit=limit,
            **({} if after is None else {"after": after[0], "after_source": after[1]}),
            **others,
        )

    def _weigh(self, window: Window, parts_of: str) -> None:
        """Refuse what would take too long, by what gold knows of the range; it doesn't know what has just changed."""
        by_minute = window.granularity is Granularity.MINUTE
        ((parts, events),) = self._database.run(
            parts_of,
            since=_shifted(window.since, -_LONGEST_DAY),
            until=_shifted(window.until, _LONGEST_DAY) if not by_minute else window.until,
            source=window.source,
            most=MOST_PARTS + 1,
        )
        if parts > MOST_PARTS or (by_minute and events > MOST_EVENTS):
            raise TooMuchAskedError


def _shifted(instant: datetime, by: timedelta) -> datetime:
    try:
        return instant + by
    except OverflowError:
        return instant


def _kpi(row: Sequence[Any]) -> Kpi:
    start, end, source, events, samples, mean, std_dev, least, most, first, last, *others = row
    pooled = Pooled(mean, std_dev, least, most, _instant(first), _instant(last)) if events else None
    gaps, arrivals = others[:4], others[4:]
    return Kpi(_instant(start), _instant(end), source, events, samples, pooled, Gaps(*gaps), _arrivals(arrivals))


def _quality(row: Sequence[Any]) -> Quality:
    start, end, source, *arrivals = row
    return Quality(_instant(start), _instant(end), source, _arrivals(arrivals))


def _arrivals(values: Sequence[Any]) -> Arrivals:
    processed, rejected, by_rule, *latency = values
    return Arrivals(processed, rejected, by_rule, Latency(*latency))


def _instant(text: str) -> datetime:
    # In UTC, as every session is.
    return datetime.fromisoformat(text)
