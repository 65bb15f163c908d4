"""The sweep behind a queue that has done its work: it lists every object once, and finds its receipt."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from benchmarks.measuring import Entry, Series, entry, per_second
from benchmarks.surroundings import CREDENTIALS, Surroundings, environment
from benchmarks.workloads import raw_ids
from dropzone.use_cases.sweep import sweep

_OBJECTS = 50_000
_RUNS = 5

_RECEIPTS = """
INSERT INTO receipts (raw_id, items, settled_at) SELECT raw_id, 1, now() FROM unnest(CAST(:raw_ids AS uuid[])) AS raw_id
"""


def run(surroundings: Surroundings) -> Iterator[Entry]:
    arrived = raw_ids(_OBJECTS)
    surroundings.stand_in.store((raw_id, b"{}") for raw_id in arrived)
    with surroundings.connect() as connection:
        connection.run(_RECEIPTS, raw_ids=[*map(str, arrived)])
        connection.run("VACUUM ANALYZE receipts")
    bronze = surroundings.bronze()
    with environment(CREDENTIALS), surroundings.silver() as silver:

        def work() -> None:
            result = sweep(
                bronze=bronze,
                silver=silver,
                limit=_OBJECTS,
                min_age=timedelta(0),
                after=UUID(int=arrived[0].int - 1),
                time_left=lambda: 600.0,
                retry_exhausted=False,
            )
            assert (result.cursor, result.checked) == (None, 0)  # noqa: S101 - all were listed, and none was processed

        work()
        taken = Series.of(work, _RUNS)
    surroundings.empty_tables()
    yield entry("sweep past objects that have receipts", per_second(_OBJECTS, "objects"), taken)
