"""docs/analysts.md: the login, each of the ten questions, and the tools' queries, as an analyst runs them."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pg8000.exceptions import DatabaseError
from pg8000.native import Connection

from dropzone.domain.aggregates import aggregate
from dropzone.domain.outcomes import Code, Measurement, Rejection, ValidatedObject, Violation
from dropzone_migrate.roles import DOCUMENTED
from support.analysts import DOCUMENT, QUERIES, QUESTIONS, TOOLS, rows_of, signed_in
from support.factories import raw_ids
from support.postgres import SilverInPostgres

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)
"""Of a day that all relative times of the document hold."""
MINUTE = timedelta(minutes=1)
FAR = datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)
SOURCE = "hall-2/thermometer"

Ask = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def analyst(tables: SilverInPostgres) -> Iterator[Connection]:
    with signed_in(tables.server) as connection:
        yield connection


@pytest.fixture(params=[False, True], ids=["stale", "computed"])
def ask(tables: SilverInPostgres, analyst: Connection, request: pytest.FixtureRequest) -> Ask:
    for table in ("measured", "arrived", "measured_stale", "arrived_stale"):
        tables.query(f"DELETE FROM gold.{table}")  # noqa: S608 - our own names

    def call(name: str) -> list[dict[str, Any]]:
        if request.param:
            tables.query("SELECT gold.refresh(1000000, interval '0')")
        return rows_of(analyst, QUERIES[name])

    return call


def measured(at: datetime, *values: float, source: str = SOURCE, site: str = "north") -> Measurement:
    return Measurement(at, source, aggregate(values), "°C", {"site": site})


def process_objects(tables: SilverInPostgres, *outcomes: Measurement | Rejection) -> ValidatedObject:
    entry = ValidatedObject(raw_ids(1)[0], outcomes)
    tables.silver().write_outcomes([entry])
    return entry


def test_there_are_ten_questions() -> None:
    assert len(QUESTIONS) == 10
    assert QUERIES.keys() >= TOOLS


def test_latest(tables: SilverInPostgres, ask: Ask) -> None:
    now = datetime.now(UTC)
    process_objects(
        tables, measured(now - MINUTE, 1), measured(now - 2 * MINUTE, 2), measured(now - MINUTE, 3, source="b")
    )
    process_objects(tables, measured(now - timedelta(days=8), 4, source="old"), measured(FAR, 9))

    assert [(row["source"], row["mean"], row["unit"]) for row in ask("latest")] == [
        ("b", 3.0, "°C"),
        (SOURCE, 1.0, "°C"),
    ]


def test_hour_by_hour(tables: SilverInPostgres, ask: Ask) -> None:
    process_objects(tables, measured(NOON, 1, 3), measured(NOON + MINUTE, 5, 7), measured(NOON + 60 * MINUTE, 9))
    process_objects(tables, measured(NOON, 100, source="other"))

    found = ask("hour by hour")

    assert [(row["bucket_start"], row["events"], float(row["mean"])) for row in found] == [
        (NOON, 2, 4.0),
        (NOON + 60 * MINUTE, 1, 9.0),
    ]
    assert float(found[0]["std_dev"]) == 2.236
    assert (found[0]["min"], found[0]["max"]) == (1.0, 7.0)


def test_day_by_day(tables: SilverInPostgres, ask: Ask) -> None:
    midnight = NOON.astimezone(ZoneInfo("Europe/Berlin")).replace(hour=0).astimezone(UTC)
    process_objects(tables, measured(midnight, 1), measured(midnight - MINUTE, 3), measured(midnight + MINUTE, 3))

    assert [(row["day"], row["events"], row["mean"]) for row in ask("day by day")] == [
        (datetime.combine(NOON - timedelta(days=1), time()), 1, 3.0),
        (datetime.combine(NOON, time()), 2, 2.0),
    ]


def test_a_site(tables: SilverInPostgres, ask: Ask) -> None:
    wind = Measurement(NOON, "yard/wind", aggregate([1000.0]), "m/s", {"site": "north"})
    process_objects(
        tables, measured(NOON, 1, 3), measured(NOON, 5, 7, source="b"), measured(NOON + MINUTE, 100, site="south"), wind
    )

    assert ask("a site") == [{"samples": 4, "mean": 4.0, "std_dev": 5**0.5}]


def test_silent(tables: SilverInPostgres, ask: Ask) -> None:
    now = datetime.now(UTC)
    hours = [now - number * timedelta(hours=1) for number in range(3, 6)]
    process_objects(tables, *(measured(now - number * MINUTE, 1) for number in (1, 2, 3)))
    process_objects(tables, *(measured(at, 1, source="silent") for at in hours))
    # A clock that is ahead is no sign of life.
    process_objects(tables, *(measured(at, 1, source="silent in 2106") for at in [*hours, FAR]))

    row, ahead = sorted(ask("silent"), key=lambda row: str(row["source"]))
    assert (ahead["source"], ahead["last_seen"]) == ("silent in 2106", hours[0])

    assert row["source"] == "silent"
    assert row["silent_for"] >= timedelta(hours=3)


def test_gaps(tables: SilverInPostgres, ask: Ask) -> None:
    process_objects(tables, *(measured(NOON + minute * MINUTE, 1) for minute in (0, 1, 2, 4, 5, 15)))

    assert ask("gaps") == [{"bucket_start": NOON, "source": SOURCE, "gaps": 2, "longest_seconds": 600.0}]


def test_outliers(tables: SilverInPostgres, ask: Ask) -> None:
    process_objects(tables, *(measured(NOON + minute * MINUTE, 20 + minute % 3) for minute in range(59)))
    process_objects(tables, measured(NOON + 59 * MINUTE, 90))

    assert [(row["measured_at"], row["mean"]) for row in ask("outliers")] == [(NOON + 59 * MINUTE, 90.0)]


def test_rejected(tables: SilverInPostgres, ask: Ask) -> None:
    def bad(*codes: Code) -> Rejection:
        return Rejection(tuple(Violation(code, "data", "is bad") for code in codes), SOURCE)

    process_objects(tables, measured(NOON, 1), bad(Code.DATA_EMPTY), bad(Code.DATA_EMPTY), bad(Code.UNIT_INVALID))

    [row] = ask("rejected")

    assert (row["source"], row["received"], float(row["percent"])) == (SOURCE, 4, 75.0)
    assert row["rules"] == "data.empty 2, unit.invalid 1"


def test_latency(tables: SilverInPostgres, ask: Ask) -> None:
    process_objects(tables, measured(NOON, 1), measured(NOON + MINUTE, 1))
    tables.query("UPDATE receipts SET settled_at = uuid_extract_timestamp(raw_id) + interval '2 seconds'")

    [row] = ask("latency")

    assert (row["source"], row["events"], row["longest"]) == (SOURCE, 2, 2000.0)
    assert row["p50"] == row["p95"] == pytest.approx(2000, rel=0.1)


def test_lineage(tables: SilverInPostgres, ask: Ask) -> None:
    first = process_objects(tables, measured(NOON, 1))
    second = process_objects(tables, measured(NOON - MINUTE, 2), measured(NOON, 3))

    found = [(row["raw_id"], row["item"], row["mean"], row["is_current"]) for row in ask("lineage")]

    assert found == [(second.raw_id, 1, 3.0, True), (first.raw_id, 0, 1.0, False)]


def test_grafana(tables: SilverInPostgres, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    process_objects(tables, measured(NOON, 1, 3), measured(NOON, 5, source="b"))
    sql = QUERIES["grafana"]
    for macro, instant in (("$__timeFrom()", NOON - 5 * MINUTE), ("$__timeTo()", NOON + 5 * MINUTE)):
        assert macro in sql
        sql = sql.replace(macro, f"'{instant.isoformat()}'")
    monkeypatch.setitem(QUERIES, "grafana", sql)

    assert [(row["time"], row["metric"], row["low"], row["high"]) for row in ask("grafana")] == [
        (NOON, "b", 5.0, 5.0),
        (NOON, SOURCE, 1.0, 3.0),
    ]


def test_quicksight(tables: SilverInPostgres, ask: Ask) -> None:
    now = datetime.now(UTC)
    process_objects(tables, measured(now, 1, 3), measured(now - timedelta(days=200), 9))

    assert [(row["source"], row["sample_count"], row["mean"]) for row in ask("quicksight")] == [(SOURCE, 2, 2.0)]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM measurements",
        "UPDATE outcomes SET ruleset = 0",
        "INSERT INTO receipts (raw_id) VALUES (gen_random_uuid())",
        "SELECT gold.refresh()",
        "DELETE FROM gold.measured",
        "CREATE TABLE own (id integer)",
        "CREATE TABLE gold.own (id integer)",
        "GRANT dropzone_writer TO alice",
    ],
)
def test_an_analyst_only_reads(analyst: Connection, sql: str) -> None:
    analyst.run("SET default_transaction_read_only = off")
    with pytest.raises(DatabaseError) as raised:
        analyst.run(sql)
    assert raised.value.args[0]["C"] == "42501"


def test_an_analyst_is_read_only_by_default(analyst: Connection) -> None:
    assert analyst.run("SHOW default_transaction_read_only") == [["on"]]
    assert analyst.run("SELECT count(*) FROM gold.kpis_daily") == [[0]]


def test_nobody_signs_in_as_the_group(tables: SilverInPostgres) -> None:
    assert tables.query("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'dropzone_analyst'") == [[False]]


RELATIONS = """
SELECT c.oid, c.relnamespace::regnamespace || '.' || c.relname AS name FROM pg_class AS c
WHERE c.relnamespace::regnamespace::text IN ('public', 'gold', 'archive') AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
"""


@pytest.mark.parametrize("role", ["dropzone_analyst", "dropzone_reader"])
def test_who_reads_sees_what_is_documented_and_nothing_else(tables: SilverInPostgres, role: str) -> None:
    seen = tables.query(
        f"SELECT name FROM ({RELATIONS}) AS relation WHERE has_table_privilege('{role}', oid, 'SELECT')"  # noqa: S608 - our own words
    )
    names = {name.removeprefix("public.") for (name,) in seen}

    assert names == set(DOCUMENTED)
    assert all(f"`{name}`" in DOCUMENT for name in names)


def test_all_that_is_in_the_catalogue_is_described(tables: SilverInPostgres) -> None:
    relations = f"({RELATIONS} AND c.relname <> 'alembic_version') AS relation"
    assert tables.query(f"SELECT name FROM {relations} WHERE obj_description(oid, 'pg_class') IS NULL") == []  # noqa: S608
    columns = tables.query(
        f"SELECT name || '.' || attname FROM {relations} JOIN pg_attribute ON attrelid = oid"  # noqa: S608 - our own words
        " WHERE attnum > 0 AND NOT attisdropped AND col_description(oid, attnum) IS NULL"
    )
    assert columns == []
    undescribed = "obj_description(to_regnamespace(name), 'pg_namespace') IS NULL"
    schemas = "unnest(ARRAY['public', 'gold', 'archive']) AS name"
    assert tables.query(f"SELECT name FROM {schemas} WHERE {undescribed}") == []  # noqa: S608 - our own words


def test_figures_say_their_unit(tables: SilverInPostgres) -> None:
    columns = dict(
        tables.query(
            f"SELECT attname, col_description(oid, attnum) FROM ({RELATIONS}) AS relation"  # noqa: S608 - our own words
            " JOIN pg_attribute ON attrelid = oid"
            " WHERE attnum > 0 AND atttypid IN ('float8'::regtype, 'timestamptz'::regtype)"
        )
    )
    assert all(
        re.search("unit of the measurement|seconds|milliseconds|from 0 to 1|UTC", said) for said in columns.values()
    )
    assert "population" in columns["std_dev"]
