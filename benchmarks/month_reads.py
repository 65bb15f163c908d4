"""Reads and replays of 36 months beside the same of tables without partitions: above all what has no bound in time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle
from uuid import UUID

from benchmarks.filling import refresh_gold
from benchmarks.measuring import MILLISECONDS, Entry, alternate, entries, repeated
from benchmarks.store import BY_BOTH, fresh
from benchmarks.surroundings import Surroundings, clock_of
from dropzone.adapters.database import Database
from dropzone.adapters.postgres_outcome_store import PostgresOutcomeStore
from dropzone.domain.access import Access, Scope
from dropzone.domain.identifiers import new_raw_id
from dropzone.domain.outcomes import ValidatedObject
from dropzone.queries.buckets import Granularity
from dropzone.queries.kpis import KpisRequest, read_kpis
from dropzone.queries.measurements import MeasurementsRequest, read_measurements
from dropzone.queries.quality import QualityRequest, read_quality
from dropzone.queries.rejections import RejectionsRequest, read_rejections
from dropzone.queries.sources import SourcesRequest, read_sources
from dropzone.queries.status import StatusRequest, read_status

_REPLAYED = 1_000
"""Objects of a replay, of one event each."""

_READS, _REPLAYS = 60, 10

_READER = Access("benchmarks", frozenset({Scope.READ}))


class _Senders:
    """Bronze, which nobody asks about objects that are processed."""

    def sender(self, _: UUID) -> str:
        return ""


def reading(surroundings: Surroundings, databases: Mapping[str, str], days: int) -> Iterator[Entry]:
    """Measure.

    Args:
        surroundings: where the databases are.
        databases: their names, of `ours` and of `plain`, with the same events in them.
        days: for which there are events.
    """
    together = tuple(outcome for one in _spread(100, days) for outcome in one.outcomes)
    batch = ValidatedObject(new_raw_id(), together)
    chunks = {"one day": _spread(_REPLAYED, 1, before=days // 2), "all months": _spread(_REPLAYED, days)}
    for database in databases.values():
        with surroundings.silver(database) as silver:
            for stored in ([batch], *chunks.values()):
                silver.write_outcomes(stored)
        with surroundings.connect(database) as connection:
            refresh_gold(connection)
            connection.run("VACUUM ANALYZE")
    objects = {name: cycle(_some_objects(surroundings, database)) for name, database in databases.items()}
    asked: Mapping[str, Callable[[str, Database], object]] = {
        "status of an object": lambda name, database: _status(database, next(objects[name])),
        "status of 100 events of all months": lambda _, database: _status(database, batch.raw_id),
        "sources": lambda _, database: read_sources(database, SourcesRequest(), reads=None),
        "KPIs of a day": lambda _, database: read_kpis(
            database, KpisRequest(granularity=Granularity.QUARTER_HOUR), reads=None
        ),
        "quality of a day": lambda _, database: read_quality(
            database, QualityRequest(granularity=Granularity.QUARTER_HOUR), reads=None
        ),
        "newest rejections": lambda _, database: read_rejections(database, RejectionsRequest(), reads=None),
        "newest measurements": lambda _, database: read_measurements(database, MeasurementsRequest(), reads=None),
    }
    replayed = {
        f"replay of {_REPLAYED:,} objects of {name}": lambda _, database, chunk=chunk: PostgresOutcomeStore(
            database
        ).replace(chunk)
        for name, chunk in chunks.items()
    }
    with ExitStack() as stack:
        readers, writers = (
            {name: stack.enter_context(surroundings.open(user, database)) for name, database in databases.items()}
            for user in ("dropzone_reader", "dropzone_writer")
        )
        for connection in (*readers.values(), *writers.values()):
            connection.run("SELECT 1")  # connects
        clock = clock_of(stack.enter_context(surroundings.connect()))
        for of_all, opened, runs in ((asked, readers, _READS), (replayed, writers, _REPLAYS)):
            for subject, work in of_all.items():
                contestants = {
                    name: repeated(partial(work, name, database), cpu=clock) for name, database in opened.items()
                }
                yield from entries(subject, MILLISECONDS, alternate(contestants, runs), by_cpu=BY_BOTH)


def _status(database: Database, raw_id: UUID) -> object:
    return read_status(database, _Senders(), raw_id, StatusRequest(), access=_READER, gzip=False)


def _spread(number: int, days: int, *, before: int = 0) -> Sequence[ValidatedObject]:
    """Objects that arrived when they were measured, evenly in so many days, which end so many days ago."""
    end = datetime.now(UTC) - timedelta(days=before)
    step = timedelta(days=days) / number
    instants = [end - step * place for place in range(number, 0, -1)]
    return [
        one._replace(raw_id=new_raw_id(int(instant.timestamp() * 1e9)))
        for one, instant in zip(fresh(instants), instants, strict=True)
    ]


def _some_objects(surroundings: Surroundings, database: str) -> list[UUID]:
    with surroundings.connect(database) as connection:
        rows = connection.run("SELECT raw_id FROM receipts WHERE items = 1 ORDER BY random() LIMIT 200")
    return [raw_id for (raw_id,) in rows or []]
