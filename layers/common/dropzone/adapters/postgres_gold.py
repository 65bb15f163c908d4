"""Gold in Postgres: the schema's functions do the work (`gold_reads.sql`); they are asked, and their answers read."""

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any, Final

from dropzone.adapters.columns import ask
from dropzone.adapters.database import Database, StatementTimeoutError
from dropzone.domain.gold import Arrivals, Gaps, Kpi, Latency, Place, Pooled, Quality, Window
from dropzone.query_ports import TooMuchAskedError

MOST_PARTS = 1_000_000
"""The most quarter-hours of sources that one call pools: some seconds' work."""

MOST_EVENTS = 2_000_000
"""The most events that one call reads from silver, by the minute or where gold is stale: some seconds' work."""

# What Python's datetime can hold; a bucket may begin before that, or end after it.
_FIRST, _LAST = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"

_OFFSET = "extract(epoch FROM {0} AT TIME ZONE :tz - {0} AT TIME ZONE 'UTC')"
_ANSWER = f"""
SELECT bucket_start, {_OFFSET.format("bucket_start")} AS start_offset,
       bucket_end, {_OFFSET.format("bucket_end")} AS end_offset, {{columns}}
FROM (
    SELECT greatest(k.bucket_start, '{_FIRST}') AS bucket_start, least(k.bucket_end, '{_LAST}') AS bucket_end,
           {{columns}}
    FROM {{call}} AS k
) AS k
{{after}}
ORDER BY bucket_start, source LIMIT CAST(:limit AS integer)
"""  # noqa: S608 - our own words

_WINDOW = (
    "CAST(:granularity AS gold.granularity), CAST(:since AS timestamptz), CAST(:until AS timestamptz), "
    "CAST(:source AS text), CAST(:tz AS text)"
)
_AFTER = "WHERE (bucket_start, source) > (CAST(:after AS timestamptz), CAST(:after_source AS text))"
_PLACE = ["bucket_start", "start_offset", "bucket_end", "end_offset"]

_KPIS: Final = (
    f"gold.kpis({_WINDOW}, CAST(:expected AS double precision))",
    (
        "source, events, sample_count, mean, std_dev, min, max, first_measured_at, last_measured_at, gaps, "
        "longest_pause_seconds, expected_pause_seconds, gap_limit_seconds, "
        "processed, rejected, rejected_by_rule, latency_mean_ms, latency_max_ms"
    ),
)
_QUALITY: Final = (
    f"gold.quality({_WINDOW})",
    "source, processed, rejected, rejected_by_rule, latency_mean_ms, latency_max_ms, latency_p50_ms, latency_p95_ms",
)

_FLOATS = frozenset(
    {
        *("mean", "std_dev", "min", "max", "longest_pause_seconds", "expected_pause_seconds", "gap_limit_seconds"),
        *("latency_mean_ms", "latency_max_ms", "latency_p50_ms", "latency_p95_ms"),
    }
)

_COST: Final = f"SELECT kind, parts, events FROM gold.cost({_WINDOW}, CAST(:most AS bigint))"  # noqa: S608 - our own words

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
        self._weigh(window, {"measured", "arrived"})
        return [_kpi(row) for row in self._ask(*_KPIS, window, after, limit, expected=expected_seconds)]

    def quality(self, window: Window, *, after: Place | None = None, limit: int) -> list[Quality]:
        """See `Gold.quality`."""
        self._weigh(window, {"arrived"})
        return [_quality(row) for row in self._ask(*_QUALITY, window, after, limit)]

    def _ask(
        self, call: str, columns: str, window: Window, after: Place | None, limit: int, **others: object
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of an answer: where a bucket starts and ends, with the offsets of its zone, and these columns."""
        try:
            return ask(
                self._database,
                _ANSWER.format(call=call, columns=columns, after="" if after is None else _AFTER),
                [*_PLACE, *columns.split(", ")],
                _FLOATS,
                **_parameters(window),
                limit=limit,
                **({} if after is None else {"after": after[0], "after_source": after[1]}),
                **others,
            )
        except StatementTimeoutError as error:
            # It held more than gold knew of.
            raise TooMuchAskedError from error

    def _weigh(self, window: Window, kinds: Collection[str]) -> None:
        """Refuse what would take too long, by what gold knows of the range."""
        for kind, parts, events in self._database.run(_COST, **_parameters(window), most=MOST_PARTS + 1):
            if kind in kinds and (parts > MOST_PARTS or events > MOST_EVENTS):
                raise TooMuchAskedError


def _parameters(window: Window) -> dict[str, object]:
    return {
        "granularity": window.granularity.value,
        "since": window.since,
        "until": window.until,
        "source": window.source,
        "tz": window.tz,
    }


def _kpi(row: Sequence[Any]) -> Kpi:
    place, (source, events, samples, mean, std_dev, least, most, first, last, *others) = row[:4], row[4:]
    pooled = Pooled(mean, std_dev, least, most, _instant(first), _instant(last)) if events else None
    gaps, arrivals = others[:4], others[4:]
    return Kpi(*_bounds(place), source, events, samples, pooled, Gaps(*gaps), _arrivals(arrivals))


def _quality(row: Sequence[Any]) -> Quality:
    return Quality(*_bounds(row[:4]), row[4], _arrivals(row[5:]))


def _bounds(place: Sequence[Any]) -> tuple[datetime, datetime]:
    start, start_offset, end, end_offset = place
    return _local(_instant(start), start_offset), _local(_instant(end), end_offset)


def _local(instant: datetime, offset_seconds: float) -> datetime:
    """The instant on the clock of its zone, whose offset has no seconds in RFC 3339."""
    if not offset_seconds:
        return instant
    try:
        return instant.astimezone(timezone(timedelta(minutes=round(offset_seconds / 60))))
    except OverflowError:
        # Of the years 0 and 10000 there.
        return instant


def _arrivals(values: Sequence[Any]) -> Arrivals:
    processed, rejected, by_rule, *latency = values
    return Arrivals(processed, rejected, by_rule, Latency(*latency))


def _instant(text: str) -> datetime:
    # In UTC, as every session is.
    return datetime.fromisoformat(text)
