"""Files to committed rows, beside the way of the seed: one at a time, with `statistics`, each with its commit."""

import json
import os
import statistics
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from uuid import UUID

from pg8000.native import Connection

from benchmarks.measuring import Entry, Goal, Work, alternate, entry, per_second, prepared
from benchmarks.surroundings import Surroundings
from benchmarks.workloads import batches, fresh_bodies, raw_ids
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.domain.outcomes import ValidatedObject
from dropzone.domain.validate import validate
from dropzone.use_cases.objects import MAX_CHUNK_OBJECTS

_EVENTS = 5_000
_VALUES = 100
_LONGEST = 1 << 16
"""Of a file: far more than such an event has."""

_SEEDS_TABLE = """
CREATE TABLE seeds_table (time_stamp timestamptz PRIMARY KEY, mean double precision, std_dev double precision)
"""
_SEEDS_UPSERT = """
INSERT INTO seeds_table (time_stamp, mean, std_dev) VALUES (CAST(:time_stamp AS timestamptz), :mean, :std_dev)
ON CONFLICT (time_stamp) DO UPDATE SET mean = excluded.mean, std_dev = excluded.std_dev
"""


def run(surroundings: Surroundings) -> Iterator[Entry]:
    with surroundings.silver() as silver, surroundings.connect() as connection:
        connection.run(_SEEDS_TABLE)
        taken = alternate(
            {"ours": _ours(surroundings.folder, silver), "seed": _the_seeds(surroundings.folder, connection)}
        )
        connection.run("DROP TABLE seeds_table")
    surroundings.empty_tables()
    yield entry("the seed's way", per_second(_EVENTS), taken["ours"].wall, taken["seed"].wall, Goal("≥", 20))


Files = Sequence[tuple[UUID, str]]


def _files(folder: Path) -> Files:
    """New events, each in a file of its own."""
    files = [(raw_id, folder / f"{raw_id}.json") for raw_id in raw_ids(_EVENTS)]
    for (_, file), body in zip(files, fresh_bodies(_EVENTS, _VALUES), strict=True):
        file.write_bytes(body)
    return [(raw_id, str(file)) for raw_id, file in files]


def _ours(folder: Path, silver: PostgresSilver) -> Work:
    def validate_and_store(files: Files) -> None:
        processed = 0
        for batch in batches(files, MAX_CHUNK_OBJECTS):
            processed += len(
                silver.write_outcomes([ValidatedObject(raw_id, validate(_read(path))) for raw_id, path in batch])
            )
        assert processed == _EVENTS  # noqa: S101

    return prepared(partial(_files, folder), validate_and_store)


def _the_seeds(folder: Path, connection: Connection) -> Work:
    def one_at_a_time(files: Files) -> None:
        for _, path in files:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123 - as one writes it
                event = json.load(file)
            connection.run(
                _SEEDS_UPSERT,
                time_stamp=event["time_stamp"],
                mean=statistics.mean(event["data"]),
                std_dev=statistics.pstdev(event["data"]),
            )

    return prepared(partial(_files, folder), one_at_a_time)


def _read(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, _LONGEST)
    finally:
        os.close(file)
