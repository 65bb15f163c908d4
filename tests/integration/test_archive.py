"""A closed month goes to files, whole or not at all, and comes back when it changes."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Timer
from typing import Any
from uuid import UUID

import duckdb
import pytest

from dropzone.adapters.database import StatementTimeoutError
from dropzone.adapters.postgres_archive_store import PostgresArchiveStore
from dropzone.adapters.postgres_fleet_store import PostgresFleetStore
from dropzone.adapters.postgres_outcome_store import PostgresOutcomeStore
from dropzone.adapters.postgres_upkeep import PostgresGoldStore
from dropzone.adapters.silver_statements import LockedDays
from dropzone.api.problems import ProblemError
from dropzone.domain.access import Access, Scope
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.contracts import BASIC
from dropzone.domain.identifiers import earliest_raw_id, new_raw_id
from dropzone.domain.outcomes import Code, EventId, Measurement, Rejection, ValidatedObject, Violation
from dropzone.ports import (
    ARCHIVED_COLUMNS,
    ArchivedMonth,
    ArchivePart,
    BronzeUnavailableError,
    FileDiffersError,
    RangeProgress,
    RowRefusedError,
    SilverError,
    Wanted,
    WrittenFile,
)
from dropzone.queries.status import EventStatus, ObjectStatus, Senders, StatusRequest, read_status
from dropzone.use_cases import archive_months as use_case
from dropzone.use_cases.archive_months import ArchiveResult, archive_months
from dropzone_archive import parquet
from dropzone_archive.files import key_of, sha256_of
from dropzone_local.polling import wait_until
from support.background import in_background
from support.months import months
from support.postgres import SilverInPostgres

MAY = ArchivedMonth("measured", date(2019, 5, 1))
FIRST = datetime(2019, 5, 1, tzinfo=UTC)
JUNE = datetime(2019, 6, 1, tzinfo=UTC)
FLAG = Violation(Code.VALUE_ABOVE_MAXIMUM, "data", "too high")


class Folder:
    """Files in a folder, and what happens before and after one is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before: Callable[[date], None] = lambda _: None
        self.after: Callable[[Path], None] = lambda _: None
        self.after_rows: list[int] = []
        """After how many rows each reading began."""

    def path_of(self, part: ArchivePart) -> Path:
        path = self.path / key_of(part)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, part: ArchivePart, rows: Iterator[str]) -> WrittenFile:
        path = self.path_of(part)
        self.before(part.begins_at.date())
        parquet.write(path, part.relation, rows)
        self.after(path)
        return WrittenFile(key_of(part), path.stat().st_size, "tag", sha256_of(path))

    def read(self, part: ArchivePart, sha256: str, after: int = 0) -> Iterator[str]:
        self.after_rows.append(after)
        if sha256_of(self.path_of(part)) != sha256:
            raise FileDiffersError("other contents")
        return parquet.read(self.path_of(part), after)

    def rows(self, month: str = "2019-05") -> list[tuple[Any, ...]]:
        """The measurements, as another library reads them."""
        files = f"'{self.path}/silver/measurements/month={month}/*.parquet'"
        return duckdb.execute(
            f"SELECT {COLUMNS} FROM {files} ORDER BY measured_at, source"  # noqa: S608 - our own words
        ).fetchall()


COLUMNS = (
    "epoch_us(measured_at), source, mean, std_dev, sample_count, min, max, unit, tags, flags, raw_id, item,"
    " epoch_us(updated_at)"
)


DOCUMENT, OPERATIONS = (
    (Path(__file__).parents[2] / "docs" / name).read_text() for name in ("analysts.md", "operations.md")
)


@dataclass
class Archive:
    """The archive of these tables, in a folder."""

    tables: SilverInPostgres
    files: Folder

    def store(self) -> PostgresArchiveStore:
        return PostgresArchiveStore(self.tables.open(database_user="dropzone_archiver"))

    def run(self, months: int = 1, *, seconds: float = 900) -> ArchiveResult:
        return archive_months(months, store=self.store(), files=self.files, time_left=lambda: seconds)

    def in_files_of(self, events: int) -> None:
        """Begin to write May, in files of at most so many events."""
        self.tables.query("SELECT archive.begin('measured', '2019-05-01', :events)", events=events)

    def refresh_gold(self) -> None:
        for kind in ("measured", "arrived"):
            sql = f"UPDATE gold.{kind}_stale SET marked_at = marked_at - interval '1 hour'"  # noqa: S608 - our own words
            self.tables.query(sql)
        while PostgresGoldStore(self.tables.open()).refresh(1_000_000):
            pass

    def process(self, *measurements: Measurement, raw_id: UUID | None = None, refresh: bool = True) -> UUID:
        raw_id = raw_id or new_raw_id()
        self.tables.silver().write_outcomes([ValidatedObject(raw_id, measurements)])
        if refresh:
            self.refresh_gold()
        return raw_id

    def silver(self) -> list[Any]:
        """What the files have to have, as the table has it."""
        return [
            tuple(row)
            for row in self.tables.query(
                "SELECT CAST(1000000 * extract(epoch FROM measured_at) AS bigint), source, mean, std_dev, sample_count,"
                " min, max, unit, CAST(tags AS text), flags, CAST(raw_id AS text), item,"
                " CAST(1000000 * extract(epoch FROM updated_at) AS bigint)"
                " FROM measurements WHERE measured_at < '2019-06-01Z' ORDER BY measured_at, source COLLATE \"C\""
            )
        ]

    def gold(self) -> list[Any]:
        return self.tables.query("SELECT * FROM gold.measured_now ORDER BY bucket_start, source")

    def partitions(self) -> list[date]:
        return months(self.tables, "measurements")

    def state(self) -> list[Any]:
        return self.tables.query("SELECT kind, month, state FROM archive.months ORDER BY kind DESC, month")


@pytest.fixture
def archive(tables_in_months: SilverInPostgres, tmp_path: Path) -> Archive:
    return Archive(tables_in_months, Folder(tmp_path))


def measured(at: datetime, mean: float = 1.5, source: str = "boiler-7", **others: Any) -> Measurement:  # noqa: ANN401 - any field's
    return Measurement(at, source, Aggregates(mean, 0.1, 3, mean - 1, mean + 1), **others)


ODD = (
    measured(FIRST, -0.0, "", unit="°C", tags={"b": 'a "quote"', "a": "ü\x1f"}, flags=(FLAG,)),
    measured(FIRST, 1e308, "z"),
    measured(FIRST + timedelta(microseconds=1), 5e-324, "a,b'; --"),
    measured(JUNE - timedelta(microseconds=1), 0.1 + 0.2, "日本"),
)


def test_a_closed_month_is_in_files_and_gold_stays(archive: Archive) -> None:
    archive.process(*ODD, measured(JUNE), measured(FIRST - timedelta(microseconds=1)))
    gold, before = archive.gold(), archive.silver()
    archive.tables.query("SET TimeZone = 'Asia/Kolkata'")  # what the sessions of people may have

    result = archive.run()

    assert (result.waiting, result.rows) == (0, 6)
    assert result.archived == [ArchivedMonth("measured", date(2019, month, 1)) for month in (4, 5, 6)]
    assert archive.silver() == []
    assert archive.files.rows("2019-0[45]") == before
    assert archive.gold() == gold
    assert archive.run() == ArchiveResult()


def test_the_partition_of_a_month_is_dropped(archive: Archive) -> None:
    archive.tables.query("SELECT parts.add_month('measurements', '2019-05-01')")
    archive.process(*ODD)
    gold = archive.gold()
    assert archive.partitions()[0] == MAY.month

    archive.run()
    assert MAY.month not in archive.partitions()
    # One that comes back has a partition again.
    archive.process(measured(FIRST, 9.0, "late"))
    archive.run()
    assert MAY.month in archive.partitions()
    archive.refresh_gold()
    archive.run()

    assert MAY.month not in archive.partitions()
    assert archive.silver() == []
    assert len(archive.gold()) == len(gold) + 1


def test_files_are_sorted_and_compressed(archive: Archive) -> None:
    archive.process(*(measured(FIRST + timedelta(minutes=n), source=f"s{n % 3}") for n in range(30)))

    archive.run()

    file = f"'{archive.files.path}/silver/measurements/month=2019-05/2019-05-01.parquet'"
    kept = duckdb.execute(f"SELECT source, measured_at FROM {file}").fetchall()  # noqa: S608 - our own words
    assert kept == sorted(kept)
    assert len(kept) == 30
    compression = duckdb.execute(f"SELECT DISTINCT compression FROM parquet_metadata({file})").fetchall()  # noqa: S608 - as above
    assert compression == [("ZSTD",)]


def test_analysts_read_files_as_the_document_says(archive: Archive) -> None:
    archive.process(measured(FIRST, 1.0), measured(FIRST + timedelta(days=1), 2.0), measured(JUNE, 9.0))
    archive.run()
    query = re.search(r"^    (SELECT [^;]*read_parquet[^;]*);$", DOCUMENT, re.MULTILINE)
    assert query

    sql = query[1].replace("s3://BUCKET", str(archive.files.path)).replace("2026-05", "2019-05")
    assert duckdb.execute(sql).fetchall() == [("boiler-7", 2, 1.5)]


def test_months_that_stay_are_left_alone(archive: Archive) -> None:
    this_month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    last_month = (this_month - timedelta(days=1)).replace(day=1)
    archive.process(measured(this_month), measured(last_month), measured(last_month - timedelta(microseconds=1)))

    assert archive.run(0) == ArchiveResult()
    assert [month for _, month in archive.run(1).archived] == [(last_month - timedelta(days=1)).date().replace(day=1)]
    assert archive.tables.query("SELECT count(*) FROM measurements") == [[2]]


def test_a_month_waits_for_gold(archive: Archive) -> None:
    archive.process(*ODD, refresh=False)

    assert archive.run() == ArchiveResult()
    archive.refresh_gold()
    assert archive.run().archived == [MAY]


class NoBronze:
    """Is not asked: all is processed."""

    def sender(self, raw_id: UUID) -> str | None:
        raise NotImplementedError(raw_id)


class DiedError(Exception):
    """In place of the end of a process."""


@pytest.mark.parametrize("day", [1, 31])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_that_dies_loses_nothing_and_the_next_one_ends_it(archive: Archive, day: int, moment: str) -> None:
    archive.process(*ODD)
    archive.in_files_of(3)
    before = archive.silver()

    def die(what: date | Path) -> None:
        if f"2019-05-{day:02}" in str(what):
            raise DiedError

    setattr(archive.files, moment, die)
    with pytest.raises(DiedError):
        archive.run()
    assert archive.silver() == before
    setattr(archive.files, moment, lambda _: None)
    written: list[date] = []
    archive.files.before = written.append

    assert archive.run().archived == [MAY]

    assert [each.day for each in written] == [*range(day, 32)]
    assert (archive.silver(), archive.files.rows()) == ([], before)


@pytest.mark.parametrize(
    "fault",
    [
        "mean = -mean",
        "tags = 'null'",
        "source = 'another'",
        "measured_at = measured_at + INTERVAL 1 MICROSECOND",
        "flags = ['value.spread']",
        "raw_id = '019aa0c0-0000-7000-8000-000000000000'",
    ],
)
def test_a_file_that_differs_from_the_table_drops_nothing(archive: Archive, fault: str) -> None:
    archive.process(*ODD)
    before = archive.silver()

    def damage(path: Path) -> None:
        duckdb.execute(f"CREATE OR REPLACE TABLE damaged AS SELECT * FROM '{path}'")  # noqa: S608 - our own words
        duckdb.execute(f"UPDATE damaged SET {fault} WHERE source = 'z'")  # noqa: S608 - our own words
        duckdb.execute(f"COPY damaged TO '{path}' (FORMAT parquet)")

    archive.files.after = damage
    assert_differs(archive.run(), MAY, "2019-05-01")
    assert archive.silver() == before
    assert archive.state() == [[*MAY, "writing"]]


def assert_differs(result: ArchiveResult, month: ArchivedMonth, message: str) -> None:
    [(failed, error)] = result.errors.items()
    assert (failed, type(error)) == (month, FileDiffersError)
    assert message in str(error)


def test_a_month_that_fails_holds_no_other_up(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    april, june = (measured(FIRST.replace(month=month)) for month in (4, 6))
    archive.process(april, *ODD, june)
    archive.run()
    for late in (april, *ODD, june):
        archive.process(late._replace(source="late"))
    reinstate = PostgresArchiveStore.reinstate

    def fail(store: PostgresArchiveStore, month: ArchivedMonth, *others: Any, **named: Any) -> Iterator[None]:  # noqa: ANN401 - whatever it is called with
        if month == MAY:
            # As it ends: with the connection, and so the lock of the run.
            store._database.close()
            raise BronzeUnavailableError("its file is not there")
        return reinstate(store, month, *others, **named)

    monkeypatch.setattr(PostgresArchiveStore, "reinstate", fail)
    result = archive.run()

    assert [month.month.month for month in result.reinstated] == [4, 6]
    assert [*result.errors] == [MAY]
    assert result.waiting == 1
    monkeypatch.setattr(PostgresArchiveStore, "reinstate", reinstate)
    assert archive.run().reinstated == [MAY]


def test_a_run_waits_until_its_connection_of_before_is_gone(archive: Archive) -> None:
    before, now = archive.store(), archive.store()
    assert before.begin_run()
    assert not now.begin_run()

    ending = Timer(0.2, before._database.close)
    ending.start()
    assert now.begin_run(timeout=60)
    ending.join()


def test_a_run_ends_where_another_has_taken_over(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use_case, "_HANDOVER_SECONDS", 0.1)
    archive.process(*ODD, measured(JUNE))
    store, another = archive.store(), archive.store()

    def take_over(_: date) -> None:
        store._database.close()
        assert wait_until(another.begin_run, seconds=60)
        raise BronzeUnavailableError("it went away")

    archive.files.before = take_over
    with pytest.raises(BronzeUnavailableError, match="away"):
        archive_months(1, store=store, files=archive.files, time_left=lambda: 900)
    assert archive.state() == [[*MAY, "writing"]]


def test_a_month_that_changes_while_it_is_written_begins_again(archive: Archive) -> None:
    archive.process(*ODD)
    archive.in_files_of(3)
    late = measured(FIRST + timedelta(days=2), 7.0, "late")

    def arrive(day: date) -> None:
        if day.day == 20:
            archive.process(late)

    archive.files.before = arrive
    assert archive.run().changed == [MAY]
    assert archive.state() == []
    archive.in_files_of(3)
    before = archive.silver()
    archive.files.before = lambda _: None

    assert archive.run().archived == [MAY]
    assert archive.files.rows() == before
    assert len(before) == len(ODD) + 1


def test_the_pause_after_an_archived_event_is_known(archive: Archive) -> None:
    archive.process(measured(JUNE - timedelta(minutes=1)))
    archive.run()
    archive.process(measured(datetime.now(UTC).replace(microsecond=0)))
    reader = archive.tables.open(database_user="dropzone_reader")

    sql = "SELECT longest_pause_seconds FROM gold.kpis('day', now() - interval '1 day', now() + interval '1 day')"
    [[seconds]] = reader.run(sql)

    assert seconds > timedelta(days=365).total_seconds()


def test_a_pause_ends_at_the_last_event_before_archived_or_not(archive: Archive) -> None:
    archive.process(measured(JUNE - timedelta(minutes=1)))
    archive.run()
    # GIVEN one of before, in a month that is back or not gone yet
    archive.process(measured(FIRST - timedelta(days=1)), measured(JUNE + timedelta(minutes=1)))
    reader = archive.tables.open(database_user="dropzone_reader")

    sql = "SELECT longest_pause_seconds FROM gold.kpis('day', '2019-06-01Z', '2019-06-02Z')"
    assert reader.run(sql) == [[120.0]]


def test_a_late_event_of_an_archived_month_is_in_gold_and_in_the_file(archive: Archive) -> None:
    raw_id = archive.process(*ODD)
    archive.run()
    gold = archive.gold()

    archive.process(measured(FIRST, 9.0, "late"), measured(FIRST, 8.0, "z"))

    # Gold doesn't take what is left of the bucket for all of it.
    assert archive.gold() == gold
    assert archive.run().reinstated == [MAY]
    archive.refresh_gold()
    before = archive.silver()
    assert {row[1]: row[2] for row in before if row[0] == before[0][0]} == {"": 0.0, "late": 9.0, "z": 8.0}
    counted = {row[1]: row[2] for row in archive.gold()}
    assert counted == {"": 1, "late": 1, "z": 1, "a,b'; --": 1, "日本": 1}
    assert archive.run().archived == [MAY]
    assert archive.files.rows() == before
    assert archive.silver() == []
    assert str(raw_id) in {row[10] for row in before}


def test_a_partition_for_late_events_of_an_archived_month_does_no_harm(archive: Archive) -> None:
    archive.process(*ODD)
    archive.run()
    late = [measured(FIRST + timedelta(minutes=n), 9.0, f"late-{n}") for n in range(3)]
    archive.process(*late)

    # GIVEN as many of them that the month gets a partition, which holds no others
    assert archive.tables.query("SELECT made FROM parts.add_months('measurements', 2, 0, 100)") == [[1]]
    assert MAY.month in archive.partitions()
    assert (len(archive.silver()), archive.state()) == (len(late), [[*MAY, "archived"]])

    # WHEN the month comes back
    assert archive.run().reinstated == [MAY]
    archive.refresh_gold()
    before = archive.silver()
    assert len(before) == len(ODD) + len(late)

    # THEN it goes again, with its partition and all its events
    assert archive.run().archived == [MAY]
    assert archive.files.rows() == before
    assert (archive.silver(), MAY.month in archive.partitions()) == ([], False)


def test_an_earlier_event_that_comes_late_does_not_replace_an_archived_one(archive: Archive) -> None:
    earlier = new_raw_id()
    archive.process(measured(FIRST, 2.0))
    archive.run()

    archive.process(measured(FIRST, 1.0), raw_id=earlier)

    archive.run()
    assert [row[2] for row in archive.silver()] == [2.0]


def test_a_replay_that_rejects_archived_events_takes_them_out_of_the_file(archive: Archive) -> None:
    raw_id = archive.process(measured(FIRST))
    archive.process(measured(FIRST, source="kept"))
    archive.run()
    rejected = Rejection((Violation(Code.DATA_EMPTY, "data", "empty"),), "boiler-7")

    outcome_store = PostgresOutcomeStore(archive.tables.open(), BASIC)
    outcome_store.replace([ValidatedObject(raw_id, (rejected,))])

    assert archive.run().reinstated == [MAY]
    archive.refresh_gold()
    archive.run()
    assert [row[1] for row in archive.files.rows()] == ["kept"]
    assert [row[1] for row in archive.gold()] == ["kept"]


def test_a_reinstatement_goes_on_where_it_ended(archive: Archive) -> None:
    archive.process(*ODD)
    archive.run()
    before = archive.files.rows()
    archive.tables.query("INSERT INTO archive.changes VALUES ('measured', '2019-05-01')")
    store = archive.store()
    for _ in store.reinstate(MAY, store.away(MAY)[0], archive.files):
        pass
    archive.tables.query("DELETE FROM archive.changes")
    gold = archive.gold()

    # Neither by gold, nor as a month that is closed.
    archive.refresh_gold()
    assert archive.gold() == gold
    assert archive.store().closed("measured", 1) == []
    assert archive.run().reinstated == [MAY]
    assert [row[:-1] for row in archive.silver()] == [row[:-1] for row in before]


def test_the_status_of_archived_events_stays(archive: Archive) -> None:
    first = archive.process(measured(FIRST, 1.0), measured(FIRST + timedelta(days=1), 1.0))
    second = archive.process(measured(FIRST, 2.0))

    def statuses() -> list[Any]:
        reader, access = archive.tables.open(database_user="dropzone_reader"), Access("client", frozenset(Scope))
        return [
            read_status(reader, NoBronze(), raw_id, StatusRequest(), access=access, gzip=False)
            for raw_id in (first, second)
        ]

    before = statuses()
    assert before[0]["counts"] == {"processed": 1, "superseded": 1, "rejected": 0}
    assert before[1]["status"] == "processed"
    archive.run()

    assert archive.silver() == []
    assert statuses() == before


def test_a_run_beside_another_does_nothing(archive: Archive) -> None:
    archive.process(*ODD)
    before = archive.silver()
    others: list[ArchiveResult] = []

    def run_beside(_: date) -> None:
        if not others:
            others.append(in_background(archive.run).result(60))

    archive.files.before = run_beside
    ends = archive.run()

    assert (ends.archived, others) == ([MAY], [ArchiveResult(is_beside_another=True)])
    assert (archive.silver(), archive.files.rows()) == ([], before)


def test_the_archiver_may_not_change_silver(archive: Archive) -> None:
    archive.process(*ODD)
    database = archive.tables.open(database_user="dropzone_archiver")

    for sql in (
        "DELETE FROM measurements",
        "DELETE FROM archive.months",
        "DELETE FROM receipts",
        "INSERT INTO outcomes SELECT FROM outcomes",
        "DROP TABLE measurements",
    ):
        with pytest.raises(SilverError, match="42501"):
            database.run(sql)
    with pytest.raises(SilverError, match="42501"):
        archive.tables.open().run("SELECT archive.finish('measured', '2019-05-01')")


def test_a_run_without_time_leaves_the_rest(archive: Archive) -> None:
    archive.process(*ODD)

    result = archive.run(seconds=25)

    assert (result.archived, result.waiting) == ([], 1)


# What arrived in April 2019, and its measurements of May: both are closed.
ARRIVED = ArchivedMonth("arrived", date(2019, 4, 1))
APRIL = datetime(2019, 4, 30, 23, 59, 59, tzinfo=UTC)


def raw_id_at(arrival: datetime, number: int = 0) -> UUID:
    return UUID(int=earliest_raw_id(arrival).int + number)


def arrive(archive: Archive, number: int, *outcomes: Measurement | Rejection) -> UUID:
    """Process an object of April."""
    raw_id = raw_id_at(APRIL, number)
    archive.tables.silver().write_outcomes([ValidatedObject(raw_id, outcomes)])
    archive.refresh_gold()
    return raw_id


def swept(archive: Archive) -> None:
    """Have the sweep's watermark behind all of it."""
    archive.tables.silver().advance_watermark(earliest_raw_id(datetime.now(UTC)))


def table(archive: Archive, relation: str) -> list[Any]:
    return archive.tables.query(f"SELECT CAST(o AS text) FROM {relation} AS o ORDER BY raw_id")  # noqa: S608 - our own names


BAD = Rejection((Violation(Code.DATA_EMPTY, "data", "empty"),), "boiler-7")


def test_outcomes_and_receipts_go_to_files_and_come_back_as_they_were(archive: Archive) -> None:
    archive.tables.query(
        "SELECT parts.add_month(relation, '2019-04-01') FROM unnest(ARRAY['outcomes', 'receipts']) AS relation"
    )
    arrive(archive, 1, *ODD)
    arrive(archive, 2, BAD)
    arrive(archive, 3, measured(FIRST, 7.0, "boiler-7", corrects=EventId(raw_id_at(APRIL, 2), 0)))
    swept(archive)
    outcomes, receipts, gold = table(archive, "outcomes"), table(archive, "receipts"), arrivals(archive)

    assert archive.run().archived == [MAY, ARRIVED]

    # THEN gold stays, and what was rejected, and its correction
    assert arrivals(archive) == gold
    assert archive.tables.query("SELECT outcome, item FROM outcomes ORDER BY raw_id") == [
        ["rejected", 0],
        ["processed", 0],
    ]
    assert table(archive, "receipts") == []
    assert archive.tables.query("SELECT month FROM parts.months('receipts') WHERE month = '2019-04-01'") == []
    files = archive.files.path / "silver" / "outcomes" / "month=2019-04"
    assert duckdb.execute(f"SELECT outcome, count(*) FROM '{files}/*.parquet' GROUP BY 1 ORDER BY 1").fetchall() == [  # noqa: S608 - our own words
        ("processed", 5),
        ("rejected", 1),
    ]
    assert archive.run() == ArchiveResult()

    # WHEN somebody asks for the month
    archive.tables.query("SELECT archive.request('2019-04-01', 7)")
    assert archive.run().reinstated == [ARRIVED]

    # THEN all is back, and stays
    archive.refresh_gold()
    assert (table(archive, "outcomes"), table(archive, "receipts")) == (outcomes, receipts)
    assert arrivals(archive) == gold
    assert archive.run() == ArchiveResult()
    archive.tables.query("UPDATE archive.requested SET until = now()")
    assert archive.run().archived == [ARRIVED]


def arrivals(archive: Archive) -> list[Any]:
    archive.refresh_gold()
    return archive.tables.query("SELECT * FROM gold.arrived_now ORDER BY bucket_start, source")


def test_files_have_all_columns_of_their_table(archive: Archive) -> None:
    for relation, columns in ARCHIVED_COLUMNS.items():
        assert set(columns) == {
            name
            for (name,) in archive.tables.query(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_schema = 'public' AND table_name = :name",
                name=relation,
            )
        }


def test_a_month_of_arrival_waits_until_all_of_it_is_processed(archive: Archive) -> None:
    arrive(archive, 1, *ODD)
    assert archive.run().archived == [MAY]

    # An object without a receipt may lie before the end of the month.
    archive.tables.silver().advance_watermark(raw_id_at(APRIL, 5))
    assert archive.run() == ArchiveResult()
    swept(archive)
    archive.tables.silver().record_attempts([raw_id_at(APRIL, 2)], only_due=False)
    archive.refresh_gold()
    assert archive.run() == ArchiveResult()
    archive.tables.silver().write_outcomes([ValidatedObject(raw_id_at(APRIL, 2), (BAD,))])
    assert archive.run() == ArchiveResult()
    archive.refresh_gold()

    assert archive.run().archived == [ARRIVED]


@pytest.mark.parametrize("what", ["an attempt", "a request"])
def test_what_comes_before_a_closed_month_is_begun_keeps_it_open(archive: Archive, what: str) -> None:
    arrive(archive, 1, *ODD)
    swept(archive)
    archive.run()
    archive.tables.query("DELETE FROM archive.months WHERE kind = 'arrived'")
    arrive(archive, 1, *ODD)
    store = archive.store()
    assert store.closed("arrived", 1) == [ARRIVED]

    if what == "an attempt":
        archive.tables.silver().record_attempts([raw_id_at(APRIL, 2)], only_due=False)
        archive.refresh_gold()
    else:
        archive.tables.query("SELECT archive.request('2019-04-01', 7)")
    store.begin(ARRIVED)

    assert (archive.state(), store.unwritten(ARRIVED), store.finish(ARRIVED)) == ([[*MAY, "archived"]], [], "not_begun")


def test_a_request_is_kept_whatever_the_archive_does_at_that_moment(archive: Archive) -> None:
    arrive(archive, 1, *ODD)
    swept(archive)
    archive.run()
    # Its mark went with the month.
    archive.tables.query("INSERT INTO archive.requested VALUES ('2019-04-01', now() + interval '1 day')")

    assert archive.run().reinstated == [ARRIVED]


def test_a_month_of_arrival_waits_for_replays_by_fleet(archive: Archive) -> None:
    arrive(archive, 1, *ODD)
    swept(archive)
    fleet = PostgresFleetStore(archive.tables.open())
    replay_id = fleet.begin(Wanted(APRIL, JUNE), BASIC.ruleset)
    store = archive.store()
    assert archive.run().archived == [MAY]

    fleet.add_range(replay_id, APRIL, JUNE, 1)
    fleet.advance(replay_id, 0, RangeProgress(None, None, is_done=True, checked=1, rejected=0, unread=0, changes={}))
    assert archive.run().archived == [ARRIVED]
    assert store.closed("arrived", 1) == []


def test_an_abandoned_replay_by_fleet_holds_no_month(archive: Archive) -> None:
    arrive(archive, 1, *ODD)
    swept(archive)
    fleet = PostgresFleetStore(archive.tables.open())
    replay_id = fleet.begin(Wanted(APRIL, JUNE), BASIC.ruleset)
    fleet.pause(replay_id)
    archive.tables.query("UPDATE replays SET active_at = now() - interval '6 days 23 hours'")
    assert archive.run().archived == [MAY]

    archive.tables.query("UPDATE replays SET active_at = now() - interval '7 days'")
    assert archive.run().archived == [ARRIVED]


def test_a_replay_that_meets_the_archive_is_refused(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    raw_id = arrive(archive, 1, *ODD)
    swept(archive)

    def meet(*given: Any, **others: Any) -> LockedDays:  # noqa: ANN401 - whatever it is called with
        assert archive.run().archived == [MAY, ARRIVED]
        return LockedDays(*given, **others)

    monkeypatch.setattr("dropzone.adapters.postgres_outcome_store.LockedDays", meet)
    with pytest.raises(RowRefusedError, match="archived"):
        PostgresOutcomeStore(archive.tables.open(), BASIC).replace([ValidatedObject(raw_id, (BAD,))])


def test_another_file_brings_no_month_back(archive: Archive) -> None:
    arrive(archive, 1, *ODD)
    arrive(archive, 2, measured(FIRST, 3.0, "z"))
    swept(archive)
    archive.run()
    archive.tables.query("SELECT archive.request('2019-04-01', 7)")
    path = archive.files.path / "silver" / "outcomes" / "month=2019-04" / "2019-04-01.parquet"
    whole = path.read_bytes()
    duckdb.execute(f"CREATE OR REPLACE TABLE other AS SELECT * REPLACE (mean + 1 AS mean) FROM '{path}'")  # noqa: S608 - our own words
    duckdb.execute(f"COPY other TO '{path}' (FORMAT parquet)")

    assert_differs(archive.run(), ARRIVED, "other contents")
    assert archive.state() == [[*MAY, "archived"], [*ARRIVED, "reinstating"]]
    assert archive.tables.query("SELECT count(*) FROM outcomes") == [[0]]
    path.write_bytes(whole)
    assert archive.run().reinstated == [ARRIVED]


def test_a_file_of_which_fewer_rows_are_read_brings_no_month_back(archive: Archive) -> None:
    arrive(archive, 1, *ODD)
    swept(archive)
    archive.run()
    archive.tables.query("SELECT archive.request('2019-04-01', 7)")
    archive.tables.query("UPDATE archive.files SET events = events + 1 WHERE relation = 'receipts'")

    assert_differs(archive.run(), ARRIVED, "has 1 rows, and had 2 when it was written")
    assert archive.state() == [[*MAY, "archived"], [*ARRIVED, "reinstating"]]


def test_a_file_that_takes_longer_than_a_call_is_gone_on_with(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_BATCH_ROWS", 2)
    arrive(archive, 1, *ODD)
    swept(archive)
    outcomes = table(archive, "outcomes")
    archive.run()
    archive.process(measured(FIRST, 9.0, "late"))
    archive.files.after_rows.clear()

    def step(month: ArchivedMonth) -> None:
        store = archive.store()
        next(store.reinstate(month, store.away(month)[0], archive.files))

    # GIVEN a run that ended in the file on behalf of May, and one that did so as its own month came back
    step(MAY)
    archive.tables.query("SELECT archive.request('2019-04-01', 7)")
    step(ARRIVED)
    assert archive.run().reinstated == [ARRIVED, MAY]

    # THEN what the second had put back was not read again; that of the first was for another purpose
    assert archive.files.after_rows == [0, 0, 2, 0]
    assert [row for row in table(archive, "outcomes") if "late" not in row[0]] == outcomes
    archive.refresh_gold()
    assert len(archive.silver()) == len(ODD) + 1


def is_in_file(archive: Archive) -> object:
    [[found]] = archive.tables.query("SELECT is_in_file FROM archive.months")
    return found


def test_a_month_of_which_a_file_took_longer_than_a_call_goes_on_in_smaller_ones(archive: Archive) -> None:
    archive.process(*ODD, measured(JUNE))
    before, after = archive.silver(), ArchivedMonth("measured", JUNE.date())
    archive.in_files_of(3)
    store = archive.store()
    store.write(MAY, store.unwritten(MAY)[0], archive.files)
    assert store.closed("measured", 1) == [MAY, after]
    for minutes in (60, 5, 5):
        # A process that ended in the midst of a file.
        archive.tables.query("SELECT archive.mark_file('measured', '2019-05-01', true)")
        assert store.closed("measured", 1) == [after, MAY]
        store.begin(MAY)
        [[now]] = archive.tables.query(
            "SELECT file_minutes FROM archive.months JOIN archive.layouts USING (kind, month, file_minutes)"
        )
        assert now == minutes
    first, second, *_, last = (Path(key_of(part)).stem for part in store.unwritten(MAY))
    assert (first, second, last) == ("2019-05-02", "2019-05-02T0005", "2019-05-31T2355")

    # Not one that failed and said so: also before Postgres knows that its connection has ended, which has the lock.
    def fail(_: date) -> None:
        archive.tables.query("SELECT pg_advisory_lock(7308335)")
        raise BronzeUnavailableError("it went away")

    archive.files.before = fail
    with pytest.raises(BronzeUnavailableError):
        store.write(MAY, store.unwritten(MAY)[0], archive.files)
    assert is_in_file(archive) is False
    archive.tables.query("SELECT pg_advisory_unlock(7308335)")

    # But one of which a statement took longer than the call has.
    def time_out(_: Path) -> None:
        raise StatementTimeoutError("SQLSTATE 57014")

    archive.files.before, archive.files.after = lambda _: None, time_out
    with pytest.raises(StatementTimeoutError):
        store.write(MAY, store.unwritten(MAY)[0], archive.files)
    assert is_in_file(archive) is True
    archive.files.after = lambda _: None
    archive.tables.query("UPDATE archive.months SET file_minutes = 1440, is_in_file = false")
    assert archive.run().archived == [MAY, after]
    assert archive.tables.query("SELECT file_minutes FROM archive.months WHERE month = '2019-05-01'") == [[1440]]
    assert archive.files.rows() == before


def test_archived_objects_are_processed_ones_for_the_queue_and_the_sweep(archive: Archive) -> None:
    raw_ids = [arrive(archive, 1, *ODD), arrive(archive, 2, BAD)]
    swept(archive)
    archive.run()

    known = archive.tables.silver().receipts([*raw_ids, new_raw_id()])

    assert {raw_id: receipt.complete for raw_id, receipt in known.items()} == dict.fromkeys(raw_ids, True)


def test_a_replay_of_archived_objects_is_refused(archive: Archive) -> None:
    raw_id = arrive(archive, 1, measured(FIRST))
    arrive(archive, 2, measured(FIRST, source="kept"))
    swept(archive)
    archive.run()
    outcome_store = PostgresOutcomeStore(archive.tables.open(), BASIC)

    with pytest.raises(RowRefusedError, match="archived"):
        outcome_store.replace([ValidatedObject(raw_id, (BAD,))])

    archive.tables.query("SELECT archive.request('2019-04-01', 7)")
    assert archive.run().reinstated == [ARRIVED]
    outcome_store.replace([ValidatedObject(raw_id, (BAD,))])
    # The month of the measurement is derived again.
    assert archive.run().reinstated == [MAY]
    archive.refresh_gold()
    assert archive.run().archived == [MAY]
    assert [row[1] for row in archive.files.rows()] == ["kept"]


def test_many_outcomes_that_come_back_get_a_partition(archive: Archive) -> None:
    arrive(archive, 1, *ODD)
    swept(archive)
    archive.run()
    archive.tables.query("UPDATE archive.files SET by_month = '{\"2019-05\": 10000}' WHERE relation = 'outcomes'")
    archive.process(measured(FIRST, 9.0, "late"))

    assert archive.run().reinstated == [MAY]

    assert archive.tables.query("SELECT count(*) FROM parts.outcomes_2019_04") == [[len(ODD)]]


def test_outcomes_that_stayed_go_after_their_measurements(archive: Archive) -> None:
    arrive(archive, 1, *ODD)
    correction = arrive(archive, 2, measured(FIRST, 2.0, corrects=EventId(raw_id_at(APRIL, 9), 0)))
    swept(archive)
    store = archive.store()
    store.begin(ARRIVED)
    for part in store.unwritten(ARRIVED):
        store.write(ARRIVED, part, archive.files)
    assert store.finish(ARRIVED) == "archived"
    assert archive.tables.query("SELECT count(*) FROM outcomes") == [[len(ODD) + 1]]

    # A run may end in between.
    store.begin(MAY)
    for part in store.unwritten(MAY):
        store.write(MAY, part, archive.files)
    assert store.finish(MAY) == "archived"
    assert archive.tables.query("SELECT count(*) FROM outcomes") == [[len(ODD) + 1]]

    archive.run()
    assert archive.tables.query("SELECT raw_id FROM outcomes") == [[correction]]
    archive.process(measured(FIRST, 9.0, "late"))
    archive.run()
    assert len(archive.silver()) == len(ODD) + 2


def test_a_late_event_finds_the_archived_outcomes_of_its_month(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_BATCH_ROWS", 2)
    arrive(archive, 1, *ODD)
    arrive(archive, 2, measured(FIRST, 3.0, "z"), measured(JUNE, source="of another month"))
    swept(archive)
    archive.run()
    before = archive.files.rows()
    late = measured(FIRST + timedelta(days=3), 9.0, "late")
    archive.process(late)

    assert archive.run().reinstated == [MAY]
    archive.refresh_gold()
    assert [row[:-1] for row in archive.silver() if row[1] != "late"] == [row[:-1] for row in before]
    # A replay that rejects the last event of an instant finds the one before.
    assert archive.tables.query("SELECT count(*) FROM outcomes WHERE source = 'z'") == [[2]]
    assert archive.tables.query("SELECT max(measured_at) < '2019-06-01Z' FROM outcomes") == [[True]]
    assert archive.run().archived == [MAY]

    assert len(archive.files.rows()) == len(before) + 1
    # What was put back for the month is gone with it.
    assert archive.tables.query("SELECT source FROM outcomes") == [["late"]]
    archive.process(measured(FIRST, 4.0, "later"))
    assert archive.run().reinstated == [MAY]
    assert len(archive.silver()) == len(before) + 2


def test_outcomes_of_measurements_that_stay_stay(archive: Archive) -> None:
    this_month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    arrive(archive, 1, measured(this_month, 1.0), measured(FIRST))
    second = archive.process(measured(this_month, 2.0))
    swept(archive)
    assert archive.run().archived == [MAY, ARRIVED]

    # The last event of an instant is rejected: the one before, which has arrived in April, returns.
    PostgresOutcomeStore(archive.tables.open(), BASIC).replace([ValidatedObject(second, (BAD,))])

    assert archive.tables.query("SELECT mean FROM measurements WHERE measured_at = :at", at=this_month) == [[1.0]]


def test_too_many_outcomes_that_would_stay_are_waited_for(archive: Archive) -> None:
    this_month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    arrive(archive, 1, measured(this_month, 1.0), measured(this_month + timedelta(seconds=1)))
    swept(archive)
    store = archive.store()
    store.begin(ARRIVED)
    for part in store.unwritten(ARRIVED):
        store.write(ARRIVED, part, archive.files)

    assert archive.tables.query("SELECT archive.finish('arrived', '2019-04-01', 1)") == [["early"]]
    assert archive.tables.query("SELECT archive.finish('arrived', '2019-04-01', 2)") == [["archived"]]


def test_what_stays_takes_the_place_of_its_month(archive: Archive) -> None:
    arrive(archive, 1, *ODD)
    arrive(archive, 2, BAD)
    swept(archive)
    archive.run()
    outcomes = table(archive, "outcomes")

    def finish() -> object:
        store = archive.store()
        store.begin(ARRIVED)
        for part in store.unwritten(ARRIVED):
            store.write(ARRIVED, part, archive.files)
        [[ended]] = archive.tables.query("SELECT archive.finish('arrived', '2019-04-01', least_rows => 1)")
        return ended

    # Also of a month whose outcomes have taken it before.
    for _ in range(2):
        archive.tables.query("SELECT archive.request('2019-04-01', 7)")
        assert archive.run().reinstated == [ARRIVED]
        archive.refresh_gold()
        archive.tables.query("UPDATE archive.requested SET until = now()")
        assert finish() == "archived"
        assert table(archive, "outcomes") == outcomes
        assert archive.tables.query("SELECT count(*) FROM parts.outcomes_2019_04") == [[1]]

    archive.tables.query("DELETE FROM archive.months WHERE kind = 'arrived'")
    arrive(archive, 3, BAD)

    def change(_: date) -> None:
        archive.tables.query("INSERT INTO archive.changes VALUES ('arrived', '2019-04-01')")

    archive.files.before = change
    assert finish() == "changed"
    assert archive.tables.query("SELECT relname FROM pg_class WHERE relname LIKE '%next'") == []


def test_the_status_of_an_archived_object_says_so(archive: Archive) -> None:
    raw_id = arrive(archive, 1, *ODD)
    swept(archive)
    archive.run()
    reader = archive.tables.open(database_user="dropzone_reader")

    def status(bronze: Senders, *scopes: Scope, reads: tuple[str, ...] | None = None) -> ObjectStatus:
        access = Access("client", frozenset(scopes), reads=reads)
        return read_status(reader, bronze, raw_id, StatusRequest(), access=access, gzip=False)

    found = status(HasBronze(), *Scope)
    assert (found["status"], found["received_at"]) == ("archived", "2019-04-30T23:59:59.000Z")
    assert datetime.now(UTC) - found["archived_at"] < timedelta(minutes=5)
    assert status(HasBronze(), Scope.INGEST) == found
    # Who reads some sources may not know whether it has an event of them.
    for bronze, reads in ((HasBronze("another"), ("boiler-7",)), (HasBronze(None), None)):
        with pytest.raises(ProblemError, match="not-found"):
            status(bronze, *Scope, reads=reads)


def test_a_status_says_where_an_archived_event_may_have_replaced_another(archive: Archive) -> None:
    first = arrive(archive, 1, measured(FIRST, 1.0), measured(datetime.now(UTC), source="of now"))
    later = str(archive.process(measured(FIRST, 2.0), raw_id=raw_id_at(FIRST + timedelta(days=9))))
    swept(archive)
    archive.run()
    reader = archive.tables.open(database_user="dropzone_reader")

    def superseded_by(event: EventStatus) -> str | None:
        return str(event["superseded_by"]) if "superseded_by" in event else None

    def events() -> list[tuple[str, bool, str | None]]:
        access = Access("client", frozenset(Scope), reads=None)
        found = read_status(reader, HasBronze(), first, StatusRequest(), access=access, gzip=False)
        return [
            (event["status"], event.get("may_be_superseded", False), superseded_by(event)) for event in found["events"]
        ]

    archive.tables.query("SELECT archive.request('2019-04-01', 7)")
    assert archive.run().reinstated == [ARRIVED]
    assert events() == [("processed", True, None), ("processed", False, None)]

    archive.tables.query("SELECT archive.request('2019-05-01', 7)")
    assert archive.run().reinstated == [ArchivedMonth("arrived", date(2019, 5, 1))]
    assert events() == [("superseded", False, later), ("processed", False, None)]


@dataclass
class HasBronze:
    """Has each object, of this sender; none where it is None."""

    client: str | None = "client"

    def sender(self, _: UUID) -> str | None:
        return self.client


def test_a_file_has_a_day_or_an_hour_where_there_are_too_many_events(archive: Archive) -> None:
    archive.process(*ODD)
    before = archive.silver()
    archive.in_files_of(1)
    names = [Path(key_of(part)).stem for part in archive.store().unwritten(MAY)]
    assert (names[:2], names[12], len(names)) == (["2019-05-01", "2019-05-01T0005"], "2019-05-01T01", 31 * 288)
    # Of so many, what is left is found at once, since others wait for it: a look at each pair of files would run into
    # the statement's time limit.
    archive.tables.query(
        "INSERT INTO archive.files (kind, month, relation, begins_at, ends_at, key, events, bytes, e_tag, sha256)"
        " SELECT 'measured', '2019-05-01', relation, begins_at, ends_at, 'key', 0, 1, 'tag', repeat('0', 64)"
        " FROM archive.unwritten('measured', '2019-05-01') WHERE begins_at <> '2019-05-31T23:50Z'"
    )
    assert [Path(key_of(part)).stem for part in archive.store().unwritten(MAY)] == ["2019-05-31T2350"]
    for table in ("months", "layouts"):
        archive.tables.query(f"DELETE FROM archive.{table}")  # noqa: S608 - our own names
    archive.in_files_of(3)

    assert archive.run().archived == [MAY]

    assert archive.files.rows() == before
    assert len([*archive.files.path.glob("silver/measurements/*/*")]) == 31
    archive.process(measured(FIRST, 4.0, "later"))
    assert archive.run().reinstated == [MAY]
    assert len(archive.silver()) == len(before) + 1

    # One file would do now, beside those of days.
    archive.refresh_gold()
    assert archive.run().archived == [MAY]
    assert len(archive.files.rows()) == len(before) + 1


def test_a_source_whose_measurements_are_archived_is_as_before(archive: Archive) -> None:
    for minute in range(3):
        arrive(archive, minute, measured(FIRST + timedelta(minutes=minute)))
    swept(archive)

    def source() -> Any:  # noqa: ANN401 - a row
        archive.refresh_gold()
        return archive.tables.query(
            "SELECT source, state, first_measured_at, last_measured_at, last_arrived_at, usual_interval_seconds"
            " FROM gold.sources()"
        )

    before = source()
    assert before[0][2:4] == [FIRST, FIRST + timedelta(minutes=2)]
    assert archive.run().archived == [MAY, ARRIVED]
    assert source() == before

    # The last one is rejected after all: gold has to catch up.
    last_of_all = archive.process(measured(datetime.now(UTC)))
    PostgresOutcomeStore(archive.tables.open(), BASIC).replace([ValidatedObject(last_of_all, (BAD,))])
    assert archive.tables.query("SELECT last_measured_at FROM gold.sources()") == [[before[0][3]]]

    # An older one comes late, and is archived as well; and one of the archived quarter of an hour.
    older = FIRST - timedelta(days=300)
    archive.process(measured(older), measured(FIRST + timedelta(seconds=90)))
    [[_, _, first, last, *_]] = source()
    assert (first, last) == (older, before[0][3])
    assert len(archive.run().archived) == 1
    [[_, _, first, last, *_]] = source()
    assert (first, last) == (older, before[0][3])


def test_erased_events_are_in_no_file_after_their_month_was_back(archive: Archive) -> None:
    erased, kept = arrive(archive, 1, measured(FIRST, 1.0)), arrive(archive, 2, measured(FIRST, 2.0, "kept"))
    swept(archive)
    archive.run()
    archive.tables.query("SELECT archive.request('2019-04-01', 7)")
    assert archive.run().reinstated == [ARRIVED]

    # As docs/operations.md says.
    steps = re.findall(
        r"^       (BEGIN;.*?COMMIT;|INSERT INTO archive.changes.*?;)", OPERATIONS, re.DOTALL | re.MULTILINE
    )
    assert len(steps) == 2
    archive.tables.query("CREATE TEMPORARY TABLE erased AS SELECT CAST(:raw_id AS uuid) AS raw_id", raw_id=erased)
    for step in steps:
        archive.tables.query(step)
    archive.tables.query("DROP TABLE erased")
    archive.tables.query("UPDATE archive.requested SET until = now()")
    assert archive.run().reinstated == [MAY]
    archive.refresh_gold()
    assert archive.run().archived == [MAY, ARRIVED]

    for relation in ("measurements", "outcomes", "receipts"):
        files = f"{archive.files.path}/silver/{relation}/*/*.parquet"
        assert duckdb.execute(f"SELECT raw_id FROM '{files}'").fetchall() == [(str(kept),)]  # noqa: S608 - our own words


def test_a_database_that_is_filled_again_archives_over_the_files(archive: Archive) -> None:
    outcomes: dict[int, Sequence[Measurement | Rejection]] = {1: ODD, 2: (BAD,), 3: (measured(FIRST, 5.0, "z"),)}

    def fill() -> None:
        for number, each in outcomes.items():
            arrive(archive, number, *each)
        swept(archive)

    fill()
    archive.run()
    before, gold = [row[:-1] for row in archive.files.rows()], archive.gold()
    archive.tables.clear()

    fill()
    assert [row[:-1] for row in archive.silver()] == before
    assert archive.run().archived == [MAY, ARRIVED]

    assert ([row[:-1] for row in archive.files.rows()], archive.gold()) == (before, gold)
    assert len([*archive.files.path.glob("silver/*/*/*")]) == 3
