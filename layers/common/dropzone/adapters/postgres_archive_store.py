"""Moves months of silver in Postgres to files and back, by functions of the schema."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

from dropzone.adapters.database import Database, Run, StatementTimeoutError
from dropzone.adapters.silver_statements import json_text
from dropzone.domain.identifiers import earliest_raw_id
from dropzone.ports import (
    ARCHIVED_COLUMNS,
    ArchivedMonth,
    ArchivedType,
    ArchiveFiles,
    ArchivePart,
    FileDiffersError,
    MonthKind,
    SilverError,
    SilverTable,
)

_FETCHED: Final = 10_000

_MAX_EVENTS: Final = 4_000_000
"""The maximum number of events in a file of a month; with more, files are of a day, or of an hour."""

# In files, JSON is text.
_TYPES: Final[Mapping[ArchivedType, str]] = {
    "uuid": "uuid",
    "text": "text",
    "texts": "text[]",
    "json": "text",
    "instant": "timestamptz",
    "float": "float8",
    "integer": "integer",
}

_ORDER: Final[Mapping[SilverTable, str]] = {
    "measurements": "source, measured_at",
    "outcomes": "raw_id, item",
    "receipts": "raw_id",
}

# A sum, which doesn't depend on the order of rows.
_DIGEST: Final = "SELECT count(*), coalesce(sum(CAST(hashtextextended(CAST(row_of AS text), 0) AS numeric)), 0) FROM "

_BY_MONTH: Final = """
SELECT to_char(measured_at, 'YYYY-MM'), count(*) FROM outcomes
WHERE {} AND measured_at IS NOT NULL AND corrects_raw_id IS NULL GROUP BY 1
"""

_RECORD: Final = """
INSERT INTO archive.files (kind, month, relation, begins_at, ends_at, key, events, bytes, e_tag, sha256, by_month)
SELECT kind, month, :relation, CAST(:begins_at AS timestamptz), CAST(:ends_at AS timestamptz), :key,
       CAST(:events AS bigint), CAST(:bytes AS bigint), :e_tag, :sha256, CAST(:by_month AS jsonb)
FROM archive.months WHERE kind = :kind AND month = CAST(:month AS date) AND state = 'writing'
ON CONFLICT DO NOTHING
"""

_PUT_BACK: Final = """
SELECT archive.put_back(
    :relation, CAST(:begins_at AS timestamptz), CAST(:after AS bigint), CAST(:rows AS json), CAST(:of_month AS date)
)
"""

_HAS_PUT_BACK: Final = (
    "SELECT archive.has_put_back(:relation, CAST(:begins_at AS timestamptz), CAST(:of_month AS date))"
)

_WRITTEN: Final = """
SELECT key, events, sha256, CASE WHEN back_for IS NOT DISTINCT FROM CAST(:of_month AS date) THEN rows_back ELSE 0 END
FROM archive.files WHERE relation = :relation AND begins_at = CAST(:begins_at AS timestamptz)
"""

# A month during which a call ended may end the next call as well, so others come first.
_CLOSED: Final = """
SELECT closed FROM archive.closed(CAST(:kind AS text), CAST(:kept AS integer)) AS closed
LEFT JOIN archive.months ON kind = :kind AND month = closed ORDER BY coalesce(is_in_file, false), closed
"""

_CHANGED: Final = """
SELECT kind, month FROM archive.months AS m
WHERE state = 'reinstating'
   OR state = 'archived' AND (
       EXISTS (SELECT FROM archive.changes AS c WHERE c.kind = m.kind AND c.month = m.month)
       OR kind = 'arrived' AND EXISTS (SELECT FROM archive.requested AS r WHERE r.month = m.month AND until > now())
   )
ORDER BY kind, month
"""

_RUN: Final = "CAST(7308335 AS bigint)"
"""The advisory lock of a run; the same number as in archive.check_alone."""

_PAUSE_SECONDS: Final = 0.05
"""The pause between two attempts to get the lock."""

_MONTH: Final = "CAST(:kind AS text), CAST(:month AS date)"


class PostgresArchiveStore:
    """See `ArchiveStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin_run(self, timeout: float = 0.0) -> bool:
        ends = time.monotonic() + timeout
        while True:
            ((is_alone,),) = self._database.run(f"SELECT pg_try_advisory_lock({_RUN})")
            if is_alone or time.monotonic() >= ends:
                return bool(is_alone)
            time.sleep(_PAUSE_SECONDS)

    def end_run(self) -> None:
        self._database.run("SELECT pg_advisory_unlock_all()")

    def changed(self) -> list[ArchivedMonth]:
        return [ArchivedMonth(kind, month) for kind, month in self._database.run(_CHANGED)]

    def away(self, month: ArchivedMonth) -> list[ArchivePart]:
        self._call("begin_reinstating", month)
        return self._parts("away", month)

    def reinstate(self, month: ArchivedMonth, part: ArchivePart, files: ArchiveFiles) -> Iterator[None]:
        file: dict[str, object] = {"relation": part.relation, "begins_at": part.begins_at, "of_month": None}
        if month.kind == "measured" and part.relation == "outcomes":
            file["of_month"] = month.month
        if part.relation == "measurements":
            # One hour at a time, since other transactions wait for the lock of its day.
            begin = part.begins_at
            while begin < part.ends_at:
                end = min(begin + timedelta(hours=1), part.ends_at)
                derive = "SELECT archive.derive(CAST(:begin AS timestamptz), CAST(:end AS timestamptz))"
                self._database.run(derive, begin=begin, end=end)
                begin = end
                yield
        else:
            ((key, written, sha256, after),) = self._database.run(_WRITTEN, **file)
            for rows in files.read(part, sha256, after):
                ((after,),) = self._database.run(_PUT_BACK, **file, after=after, rows=rows)
                yield
            if after != written:
                raise FileDiffersError(f"{key} has {after} rows, and had {written} when it was written")
        self._database.run(_HAS_PUT_BACK, **file)

    def reopen(self, month: ArchivedMonth) -> None:
        self._call("reopen", month)

    def closed(self, kind: MonthKind, kept: int) -> list[ArchivedMonth]:
        return [ArchivedMonth(kind, month) for (month,) in self._database.run(_CLOSED, kind=kind, kept=kept)]

    def begin(self, month: ArchivedMonth) -> None:
        sql = f"SELECT archive.begin({_MONTH}, {_MAX_EVENTS})"
        self._database.run(sql, kind=month.kind, month=month.month)

    def unwritten(self, month: ArchivedMonth) -> list[ArchivePart]:
        return self._parts("unwritten", month)

    def write(self, month: ArchivedMonth, part: ArchivePart, files: ArchiveFiles) -> int:

        def work(run: Run) -> int:
            run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            file = files.write(part, _lines(run, part))
            ((rows, digest),) = run(_digest_of_table(part))
            found: Counter[str] = Counter()
            for text in files.read(part, file.sha256):
                ((number, sum_of_hashes),) = run(_digest_of_rows(part.relation), rows=text)
                found.update(rows=number, digest=int(sum_of_hashes))
            if (found["rows"], found["digest"]) != (rows, int(digest)):
                raise FileDiffersError(f"{file.key} has other rows than the table")
            by_month = run(_BY_MONTH.format(_of(part))) if part.relation == "outcomes" else ()
            run(
                _RECORD,
                **month._asdict(),
                **part._asdict(),
                **file._asdict(),
                events=rows,
                by_month=json_text(dict(by_month)),
            )
            return int(rows)

        self._mark_file(month, is_begun=True)
        is_too_long = False
        try:
            return self._database.transact(work)
        except StatementTimeoutError:
            # The mark stays, as when the call itself ends while writing a file.
            is_too_long = True
            raise
        finally:
            with suppress(SilverError):
                self._mark_file(month, is_begun=is_too_long)

    def finish(self, month: ArchivedMonth) -> str:
        return str(self._call("finish", month))

    def surplus(self) -> list[ArchivePart]:
        return [ArchivePart(*row) for row in self._database.run("SELECT * FROM archive.surplus()")]

    def remove_surplus(self, part: ArchivePart) -> None:
        sql = "SELECT archive.remove_surplus(CAST(:begins_at AS timestamptz))"
        self._database.run(sql, begins_at=part.begins_at)

    def _mark_file(self, month: ArchivedMonth, *, is_begun: bool) -> None:
        sql = f"SELECT archive.mark_file({_MONTH}, CAST(:is_begun AS boolean))"
        self._database.run(sql, **month._asdict(), is_begun=is_begun)

    def _call(self, function: str, month: ArchivedMonth) -> object:
        ((answer,),) = self._database.run(f"SELECT archive.{function}({_MONTH})", kind=month.kind, month=month.month)
        return answer

    def _parts(self, function: str, month: ArchivedMonth) -> list[ArchivePart]:
        sql = f"SELECT * FROM archive.{function}({_MONTH})"  # noqa: S608 - our own words
        return [ArchivePart(*row) for row in self._database.run(sql, kind=month.kind, month=month.month)]


def _of(part: ArchivePart) -> str:
    """The condition for a part's rows, with literals, since a cursor's declaration can't have parameters."""
    since, until = part.begins_at, part.ends_at
    if part.relation == "measurements":
        return f"measured_at >= '{since.isoformat()}' AND measured_at < '{until.isoformat()}'"
    return f"raw_id >= '{earliest_raw_id(since)}' AND raw_id < '{earliest_raw_id(until)}'"


def _columns(relation: SilverTable) -> str:
    columns = ARCHIVED_COLUMNS[relation].items()
    return ", ".join(f"CAST({name} AS text) AS {name}" if kind == "json" else name for name, kind in columns)


def _lines(run: Run, part: ArchivePart) -> Iterator[str]:
    """The rows of a part, as lines of JSON."""
    relation = part.relation
    rows = f"SELECT {_columns(relation)} FROM {relation} WHERE {_of(part)} ORDER BY {_ORDER[relation]}"  # noqa: S608 - our own words
    run(f"DECLARE export NO SCROLL CURSOR FOR SELECT CAST(row_to_json(row_of) AS text) FROM ({rows}) AS row_of")  # noqa: S608 - as above
    while lines := run(f"FETCH {_FETCHED} FROM export"):
        yield "\n".join([line for (line,) in lines])


def _digest_of_table(part: ArchivePart) -> str:
    rows = f"SELECT {_columns(part.relation)} FROM {part.relation} WHERE {_of(part)}"  # noqa: S608 - our own words
    return f"{_DIGEST} ({rows}) AS row_of"


def _digest_of_rows(relation: SilverTable) -> str:
    columns = ", ".join(f"{name} {_TYPES[kind]}" for name, kind in ARCHIVED_COLUMNS[relation].items())
    return f"{_DIGEST} json_to_recordset(CAST(:rows AS json)) AS row_of ({columns})"
