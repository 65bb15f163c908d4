"""Silver in 36 months: writing beside tables without partitions, growth to five million rows, bytes of an event."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise

from benchmarks.measuring import Entry, Goal, alternate, entries, microseconds
from benchmarks.month_reads import reading
from benchmarks.store import BY_BOTH, storing
from benchmarks.surroundings import Surroundings, clock_of
from dropzone_migrate.statements import SQL

MONTHS = 36
_TABLES = ("receipts", "outcomes", "measurements")

_BATCHES = {1: 400, 10: 300, 100: 100, 1_000: 40}
"""Events, and how often: a statement of few is over in less than a millisecond."""

_COST, _FLAT = Goal("≤", 1.1), Goal("≤", 1.2)

_STEPS = (100_000, 1_000_000, 5_000_000)
_MOST = _STEPS[-1]
_TO_READ = 200_000
_DAYS = 1_000
_AT_ONCE = 250_000

# One in fifty was rejected. Arrivals and measurements fill the months evenly, in order.
_FILL = f"""
WITH event AS MATERIALIZED (
    SELECT n, uuidv7(before) AS raw_id, now() + before AS measured_at, n % 50 = 0 AS is_rejected,
           random(-50, 50) AS mean
    FROM generate_series(CAST(:begin AS integer), CAST(:last AS integer)) AS n,
         LATERAL (
             SELECT (CAST(n AS float8) / :most - 1) * interval '{_DAYS} days' - interval '1 day' AS before
         ) AS place
), receipt AS (
    INSERT INTO receipts (raw_id, items, settled_at) SELECT raw_id, 1, now() FROM event
), outcome AS (
    INSERT INTO outcomes (raw_id, item, outcome, violations, measured_at, source, mean, std_dev, sample_count, min, max,
                          contract, ruleset)
    SELECT raw_id, 0, 'processed', '[]', measured_at, '', mean, 1, 100, mean, mean, 'default@1.0.0', '5.6a3e0b95'
    FROM event WHERE NOT is_rejected
    UNION ALL
    SELECT raw_id, 0, 'rejected', CAST('[{{"code": "data.empty", "message": "is empty"}}]' AS jsonb),
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'default@1.0.0', '5.6a3e0b95'
    FROM event WHERE is_rejected
)
INSERT INTO measurements (measured_at, source, mean, std_dev, sample_count, min, max, raw_id, item)
SELECT measured_at, '', mean, 1, 100, mean, mean, raw_id, 0 FROM event WHERE NOT is_rejected
"""  # noqa: S608 - our own number

_BYTES = """
SELECT sum(bytes) FROM parts.months(CAST(:relation AS text))
"""

_numbers = count()


def run(surroundings: Surroundings) -> Iterator[Entry]:
    many, plain, small = (surroundings.new_database(name) for name in ("many", "plain", "small"))
    for database in (many, small):
        _add_months(surroundings, database)
    _without_partitions(surroundings, plain)
    yield from _beside_plain_tables(surroundings, many, plain)
    yield from _reading(surroundings, many, plain)
    yield from _growing(surroundings, many, small)


def _add_months(surroundings: Surroundings, database: str) -> None:
    with surroundings.connect(database) as connection:
        for table in _TABLES:
            connection.run(
                "SELECT parts.add_month(:table, CAST(date_trunc('month', now()) - number * interval '1 month' AS date))"
                " FROM generate_series(1, CAST(:most AS integer)) AS number",
                table=table,
                most=MONTHS - 3,
            )


def _without_partitions(surroundings: Surroundings, database: str) -> None:
    """Replace the tables by others with the same columns, indexes and triggers."""
    with surroundings.connect(database) as connection:
        for table in _TABLES:
            connection.run(f"CREATE TABLE plain_{table} (LIKE {table} INCLUDING ALL)")
            connection.run(f"DROP TABLE {table} CASCADE")
            connection.run(f"ALTER TABLE plain_{table} RENAME TO {table}")
            connection.run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO dropzone_writer")
            connection.run(f"GRANT SELECT ON {table} TO dropzone_reader")
        connection.run((SQL / "gold_refresh.sql").read_text(encoding="utf-8"))


def _beside_plain_tables(surroundings: Surroundings, many: str, plain: str) -> Iterator[Entry]:
    with (
        surroundings.silver(many) as ours,
        surroundings.silver(plain) as theirs,
        surroundings.connect(many) as connection,
    ):
        for silver in (ours, theirs):
            silver.watermark()  # connects
        clock = clock_of(connection)
        cases = {f"{events:,} events": (_recent(events), events, runs) for events, runs in _BATCHES.items()}
        cases["100 events of all months"] = (_of_all_months, 100, _BATCHES[100])
        for name, (instants, events, runs) in cases.items():
            works = {
                "ours": storing(ours.write_outcomes, instants, clock),
                "plain": storing(theirs.write_outcomes, instants, clock),
            }
            taken = alternate(works, runs)
            yield from entries(f"{MONTHS} months, {name}", microseconds(events), taken, _COST, by_cpu=BY_BOTH)


def _reading(surroundings: Surroundings, many: str, plain: str) -> Iterator[Entry]:
    for database in (many, plain):
        surroundings.empty_tables(database)
        _fill(surroundings, database, 0, _TO_READ, _TO_READ)
    yield from reading(surroundings, {"ours": many, "plain": plain}, _DAYS)


def _growing(surroundings: Surroundings, many: str, small: str) -> Iterator[Entry]:
    """Fill all months to five million rows; at each step, time chunks beside months that stay almost empty."""
    for database in (many, small):
        surroundings.empty_tables(database)
    with (
        surroundings.silver(many) as ours,
        surroundings.silver(small) as theirs,
        surroundings.connect(many) as connection,
    ):
        for silver in (ours, theirs):
            silver.watermark()  # connects
        works = {
            name: storing(silver.write_outcomes, _recent(100), clock_of(connection))
            for name, silver in (("ours", ours), ("small", theirs))
        }
        for filled, rows in pairwise((0, *_STEPS)):
            _fill(surroundings, many, filled, rows, _MOST)
            name = f"{MONTHS} months, {rows:,} rows there"
            yield from entries(name, microseconds(100), alternate(works, 100), _FLAT, at=rows, by_cpu=BY_BOTH)
    with surroundings.connect(many) as connection:
        for table in _TABLES:
            ((size,),) = connection.run(_BYTES, relation=table) or []
            yield Entry(f"{MONTHS} months, {table}", "bytes/event", float(size) / _MOST)


def _fill(surroundings: Surroundings, database: str, begin: int, end: int, most: int) -> None:
    with surroundings.connect(database) as connection:
        for first in range(begin, end, _AT_ONCE):
            connection.run(_FILL, begin=first, last=min(first + _AT_ONCE, end) - 1, most=most)
        connection.run("VACUUM ANALYZE")
        connection.run("CHECKPOINT")


def _recent(events: int) -> Callable[[], Sequence[datetime]]:
    """Instants of this month that were never used."""

    def instants() -> Sequence[datetime]:
        begin = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return [begin + timedelta(milliseconds=next(_numbers)) for _ in range(events)]

    return instants


def _of_all_months() -> Sequence[datetime]:
    """A hundred instants that were never used, of all months in turn."""
    return [instant - timedelta(days=30 * (number % (MONTHS - 3))) for number, instant in enumerate(_recent(100)())]
