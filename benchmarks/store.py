"""Validated events to three tables, committed, beside one `unnest` upsert into one table."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import pairwise

from pg8000.native import Connection

from benchmarks.filling import fill
from benchmarks.measuring import Clock, Entry, Goal, Work, alternate, entries, entry, microseconds, per_second, prepared
from benchmarks.surroundings import Surroundings, clock_of
from benchmarks.workloads import fresh_bodies, fresh_instants, raw_ids
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.domain.outcomes import Measurement, ValidatedObject
from dropzone.domain.validate import validate

EVENTS = 1_000
BY_BOTH = "by CPU of both ends"
_RUNS = 30
"""Many short ones: a statement is over in some 20 ms, and a server has more on its mind than a client."""

_GOAL, _FLAT = Goal("≥", 0.85), Goal("≤", 1.3)
_STEPS = (1_000, 10_000, 100_000, 300_000, 1_000_000)
_AT_EACH_STEP = 25

# With the seed's key alone: the second index, by source, is ours.
_REFERENCE_TABLE = "CREATE TABLE reference (LIKE measurements INCLUDING DEFAULTS, PRIMARY KEY (measured_at, source))"
_REFERENCE = """
INSERT INTO reference AS m (measured_at, source, mean, std_dev, sample_count, min, max, unit, tags, raw_id, item)
SELECT * FROM unnest(
    CAST(:measured_at AS timestamptz[]), CAST(:source AS text[]), CAST(:mean AS float8[]), CAST(:std_dev AS float8[]),
    CAST(:sample_count AS integer[]), CAST(:min AS float8[]), CAST(:max AS float8[]), CAST(:unit AS text[]),
    CAST(:tags AS jsonb[]), CAST(:raw_id AS uuid[]), CAST(:item AS integer[])
)
ON CONFLICT (measured_at, source) DO UPDATE
    SET mean = excluded.mean, std_dev = excluded.std_dev, sample_count = excluded.sample_count,
        min = excluded.min, max = excluded.max, unit = excluded.unit, tags = excluded.tags, raw_id = excluded.raw_id,
        item = excluded.item, updated_at = now()
"""

Batch = Sequence[ValidatedObject]
Instants = Callable[[], Sequence[datetime]]


def run(surroundings: Surroundings) -> Iterator[Entry]:
    with surroundings.silver() as silver, surroundings.connect() as connection:
        yield from _beside_one_table(surroundings, silver, connection)
        with surroundings.silver(surroundings.second_database) as small:
            yield from _growing(surroundings, silver, small)
    surroundings.empty_tables()


def _beside_one_table(surroundings: Surroundings, silver: PostgresSilver, connection: Connection) -> Iterator[Entry]:
    connection.run(_REFERENCE_TABLE)
    silver.watermark()  # connects
    clock = clock_of(connection)
    same = fresh_instants(EVENTS)
    cases: dict[str, Instants] = {"ascending keys": never_used, "all conflict": lambda: same}
    for name, instants in cases.items():
        surroundings.empty_tables()
        theirs = storing(partial(upsert, connection), instants, clock)
        taken = alternate({"ours": storing(silver.write_outcomes, instants, clock), "theirs": theirs}, _RUNS)
        yield from entries(f"store, {name}", per_second(EVENTS), taken, _GOAL, by_cpu=BY_BOTH)
    connection.run("DROP TABLE reference")


def _growing(surroundings: Surroundings, silver: PostgresSilver, small: PostgresSilver) -> Iterator[Entry]:
    """Fill the tables to a million rows; at each step, time statements beside the same on tables that stay small."""
    surroundings.empty_tables()
    for filled, rows in pairwise((0, *_STEPS)):
        fill(surroundings, filled, rows)
        surroundings.empty_tables(surroundings.second_database)
        taken = alternate(
            {"ours": storing(silver.write_outcomes), "small": storing(small.write_outcomes)}, _AT_EACH_STEP
        )
        ours, reference = taken["ours"].wall, taken["small"].wall
        yield entry(f"store, {rows:,} rows there", microseconds(EVENTS), ours, reference, _FLAT, at=rows)


def never_used() -> Sequence[datetime]:
    """Instants of a batch, after all that came before."""
    return fresh_instants(EVENTS)


def storing(
    store: Callable[[Batch], object], instants: Instants = never_used, clock: Clock = time.process_time
) -> Work:
    """The work of storing one batch."""
    return prepared(lambda: fresh(instants()), store, clock)


def fresh(instants: Sequence[datetime]) -> Batch:
    """Validated objects that have just arrived, one for each instant."""
    (like,) = validate(fresh_bodies(1, 100)[0])
    assert isinstance(like, Measurement)  # noqa: S101
    return [
        ValidatedObject(raw_id, (like._replace(measured_at=instant),))
        for raw_id, instant in zip(raw_ids(len(instants)), instants, strict=True)
    ]


def upsert(connection: Connection, batch: Batch) -> None:
    """The reference: a column an array, which the driver writes out value by value."""
    measurements = [outcome for one in batch for outcome in one.outcomes if isinstance(outcome, Measurement)]
    connection.run(
        _REFERENCE,
        measured_at=[one.measured_at for one in measurements],
        source=[one.source for one in measurements],
        mean=[one.aggregates.mean for one in measurements],
        std_dev=[one.aggregates.std_dev for one in measurements],
        sample_count=[one.aggregates.sample_count for one in measurements],
        min=[one.aggregates.minimum for one in measurements],
        max=[one.aggregates.maximum for one in measurements],
        unit=[one.unit for one in measurements],
        tags=["{}"] * len(measurements),
        raw_id=[one.raw_id for one in batch],
        item=[0] * len(measurements),
    )
