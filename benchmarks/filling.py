"""Fills silver's tables from within Postgres, in a small part of the time that the functions would take."""

from pg8000.native import Connection

from benchmarks.surroundings import Surroundings
from benchmarks.workloads import FIRST_INSTANT

MOST = 5_000_000
"""Rows."""

_AT_ONCE = 250_000

# As the functions write them, a second apart, in order, and before everything that arrives later. One in fifty was
# rejected.
_FILL = """
WITH event AS MATERIALIZED (
    SELECT n, uuidv7((n - :most) * interval '1 second') AS raw_id,
           CAST(:before AS timestamptz) + (n - :most) * interval '1 second' AS measured_at,
           n % 50 = 0 AS is_rejected, random(-50, 50) AS mean
    FROM generate_series(CAST(:begin AS integer), CAST(:last AS integer)) AS n
), receipt AS (
    INSERT INTO receipts (raw_id, items, settled_at) SELECT raw_id, 1, now() FROM event
), outcome AS (
    INSERT INTO outcomes (raw_id, item, outcome, violations, measured_at, source, mean, std_dev, sample_count, min, max,
                          ruleset)
    SELECT raw_id, 0, 'processed', '[]', measured_at, '', mean, 1, 100, mean, mean, 1 FROM event WHERE NOT is_rejected
    UNION ALL
    SELECT raw_id, 0, 'rejected', jsonb_build_array(jsonb_build_object(
               'code', CASE WHEN n % 1000 = 0 THEN 'data.not_finite' ELSE 'data.empty' END,
               'field', 'data', 'message', 'is empty: at least one number is needed')),
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1
    FROM event WHERE is_rejected
)
INSERT INTO measurements (measured_at, source, mean, std_dev, sample_count, min, max, raw_id, item)
SELECT measured_at, '', mean, 1, 100, mean, mean, raw_id, 0 FROM event WHERE NOT is_rejected
"""


STORE_EVENTS = """
INSERT INTO receipts (raw_id, items, settled_at) SELECT raw_id, 1, at + interval '3 seconds' FROM event;
INSERT INTO outcomes (
    raw_id, item, outcome, violations, measured_at, source, mean, std_dev, sample_count, min, max, ruleset
) SELECT raw_id, 0, 'processed', '[]', at, source, mean, std_dev, 10, mean - std_dev, mean + std_dev, 2
FROM event WHERE NOT is_bad;
INSERT INTO outcomes (raw_id, item, outcome, violations, source, ruleset)
SELECT raw_id, 0, 'rejected', '[{"code": "data.empty", "field": "data", "message": "is empty"}]', source, 2
FROM event WHERE is_bad;
INSERT INTO measurements (measured_at, source, mean, std_dev, sample_count, min, max, raw_id, item)
SELECT at, source, mean, std_dev, 10, mean - std_dev, mean + std_dev, raw_id, 0 FROM event WHERE NOT is_bad;
DROP TABLE event;
"""
"""Stores what a temporary table of events has, each in an object of its own."""


def fill(surroundings: Surroundings, begin: int, end: int) -> None:
    """Add the rows from one number (from 0) up to another, then let the server tidy up."""
    with surroundings.connect() as connection:
        for number in range(begin, end, _AT_ONCE):
            last = min(number + _AT_ONCE, end) - 1
            connection.run(_FILL, begin=number, last=last, most=MOST, before=FIRST_INSTANT)
        connection.run("VACUUM ANALYZE")
        connection.run("CHECKPOINT")


def refresh_gold(connection: Connection) -> None:
    """Compute what is stale, as the sweeps do bit by bit."""
    while connection.run("SELECT gold.refresh(160000, interval '0 seconds')") != [[0]]:
        pass
