"""Months of measurements in Postgres, on their way to files and back; the schema's own functions change them."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from dropzone.adapters.database import Database, Run
from dropzone.ports import ArchivedRow, ArchiveFiles, FileDiffersError, SourceDigest, WrittenFile

_FETCHED: Final = 10_000

_LOCK_CLASS: Final = 7308335
"""The first number of the advisory lock of a day's file."""

_MICROSECONDS: Final = "CAST(1000000 * extract(epoch FROM {}) AS bigint)"

# In UTC, and as a literal: a cursor's declaration takes no parameters.
_OF_DAY: Final = "measured_at >= archive.start_of('{day}') AND measured_at < archive.start_of(date '{day}' + 1)"

_EXPORT: Final = f"""
DECLARE export NO SCROLL CURSOR FOR
SELECT {_MICROSECONDS.format("measured_at")}, source, mean, std_dev, sample_count, min, max, unit, CAST(tags AS text),
       flags, CAST(raw_id AS text), item, {_MICROSECONDS.format("updated_at")}
FROM measurements WHERE {_OF_DAY} ORDER BY source, measured_at
"""  # noqa: S608 - the columns are this project's own

# As `dropzone_archive.parquet` digests a row of a file.
_DIGESTS: Final = f"""
SELECT source, count(*), sum(sample_count),
       sum(CAST(CAST('x' || encode(substring(sha256(
           int8send({_MICROSECONDS.format("measured_at")}) || float8send(mean) || float8send(std_dev)
           || int4send(sample_count) || float8send(min) || float8send(max) || int4send(item)
           || int8send({_MICROSECONDS.format("updated_at")}) || convert_to(concat_ws(
               E'\\x1f', raw_id, source, unit, CAST(tags AS text), array_to_string(flags, ',')
           ), 'UTF8')
       ) FROM 1 FOR 7), 'hex') AS bit(56)) AS bigint))
FROM measurements WHERE {_OF_DAY} GROUP BY source
"""  # noqa: S608 - the columns are this project's own

_RECORD: Final = """
INSERT INTO archive.files (month, day, key, events, bytes, e_tag)
SELECT month, CAST(:day AS date), :key, CAST(:events AS bigint), CAST(:bytes AS bigint), :e_tag
FROM archive.months WHERE month = CAST(:month AS date) AND state = 'writing'
ON CONFLICT DO NOTHING
"""

_CHANGED: Final = """
SELECT month FROM archive.months AS m
WHERE state = 'reinstating'
   OR state = 'archived' AND EXISTS (SELECT FROM archive.changes AS c WHERE c.month = m.month)
ORDER BY month
"""

_TO_REINSTATE: Final = "SELECT day FROM archive.files WHERE month = CAST(:month AS date) ORDER BY day"

_TO_WRITE: Final = """
SELECT CAST(day AS date)
FROM generate_series(
    CAST(CAST(:month AS date) AS timestamp), CAST(:month AS date) + interval '1 month - 1 day', interval '1 day'
) AS series (day)
WHERE NOT EXISTS (SELECT FROM archive.files WHERE files.day = CAST(series.day AS date))
ORDER BY day
"""


class PostgresArchiveStore:
    """See `ArchiveStore`."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    def changed(self) -> list[date]:
        """See `ArchiveStore.changed`."""
        return self._dates(_CHANGED)

    def days_to_reinstate(self, month: date) -> list[date]:
        """See `ArchiveStore.days_to_reinstate`."""
        return self._dates(_TO_REINSTATE, month=month)

    def reinstate(self, month: date, day: date) -> None:
        """See `ArchiveStore.reinstate`."""
        self._database.run("SELECT archive.reinstate(CAST(:month AS date), CAST(:day AS date))", month=month, day=day)

    def reopen(self, month: date) -> None:
        """See `ArchiveStore.reopen`."""
        self._database.run("SELECT archive.reopen(CAST(:month AS date))", month=month)

    def closed(self, kept: int) -> list[date]:
        """See `ArchiveStore.closed`."""
        return self._dates("SELECT * FROM archive.closed(CAST(:kept AS integer))", kept=kept)

    def begin(self, month: date) -> None:
        """See `ArchiveStore.begin`."""
        self._database.run("SELECT archive.begin(CAST(:month AS date))", month=month)

    def days_to_write(self, month: date) -> list[date]:
        """See `ArchiveStore.days_to_write`."""
        return self._dates(_TO_WRITE, month=month)

    def write(self, month: date, day: date, files: ArchiveFiles) -> int | None:
        """See `ArchiveStore.write`."""

        def work(run: Run) -> int | None:
            run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            lock = "SELECT pg_try_advisory_xact_lock(CAST(:class AS integer), CAST(:day AS date) - date '1970-01-01')"
            ((is_mine,),) = run(lock, **{"class": _LOCK_CLASS, "day": day})
            if not is_mine:
                return None
            file = files.write(day, _rows(run, day))
            digests = {
                source: SourceDigest(events, int(samples), int(digest))
                for source, events, samples, digest in run(_DIGESTS.format(day=day))
            }
            _compare(day, file, digests)
            events = sum(of_source.events for of_source in digests.values())
            run(_RECORD, month=month, day=day, key=file.key, events=events, bytes=file.bytes, e_tag=file.e_tag)
            return events

        return self._database.transact(work)

    def finish(self, month: date) -> str:
        """See `ArchiveStore.finish`."""
        ((end,),) = self._database.run("SELECT archive.finish(CAST(:month AS date))", month=month)
        return str(end)

    def _dates(self, sql: str, **parameters: object) -> list[date]:
        return [day for (day,) in self._database.run(sql, **parameters)]


def _rows(run: Run, day: date) -> Iterator[Sequence[ArchivedRow]]:
    run(_EXPORT.format(day=day))
    while rows := run(f"FETCH {_FETCHED} FROM export"):
        yield [ArchivedRow(*row) for row in rows]


def _compare(day: date, file: WrittenFile, digests: dict[str, SourceDigest]) -> None:
    if file.sources != digests:
        differ = sum(file.sources.get(source) != digests.get(source) for source in {*file.sources, *digests})
        message = f"the file of {day} has other rows than the table, of {differ} sources"
        raise FileDiffersError(message)
