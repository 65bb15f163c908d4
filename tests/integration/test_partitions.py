"""The months of silver's tables: made ahead and late, moved into, dropped, and out of everybody's way."""

import re
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from dropzone.adapters.postgres_upkeep import PostgresPartitionStore
from dropzone.domain.aggregates import aggregate
from dropzone.domain.identifiers import earliest_raw_id, new_raw_id
from dropzone.domain.outcomes import Measurement, ValidatedObject
from dropzone.ports import Months, SilverTable, SilverUnavailableError
from dropzone.use_cases.upkeep import add_months
from support.months import TABLES, months, this_month_and_two_more
from support.postgres import SilverInPostgres

MARCH, APRIL = datetime(2019, 3, 1, tzinfo=UTC), datetime(2019, 4, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


@pytest.fixture
def silver(tables_in_months: SilverInPostgres) -> SilverInPostgres:
    return tables_in_months


def process_objects(tables: SilverInPostgres, *arrivals: tuple[datetime, datetime]) -> list[UUID]:
    """Write objects of an event each: when it arrived, and when it was measured."""
    raw_ids = [new_raw_id(int(arrived.timestamp() * 1e9)) for arrived, _ in arrivals]
    tables.silver().write_outcomes(
        [
            ValidatedObject(raw_id, (Measurement(measured_at, "", aggregate([1])),))
            for raw_id, (_, measured_at) in zip(raw_ids, arrivals, strict=True)
        ]
    )
    return raw_ids


def places(tables: SilverInPostgres, table: SilverTable) -> list[str]:
    """The partitions that hold the table's rows, by key."""
    key = "measured_at" if table == "measurements" else "raw_id"
    return [
        place
        for (place,) in tables.query(f"SELECT tableoid::regclass::text FROM {table} ORDER BY {key}")  # noqa: S608 - our own names
    ]


def add(tables: SilverInPostgres, table: SilverTable, *, least: int = 0, most: int = 100) -> list[int]:
    (row,) = tables.query(
        "SELECT made, missing FROM parts.add_months(:table, 2, :least, :most)", table=table, least=least, most=most
    )
    return list(row)


@pytest.mark.parametrize("table", TABLES)
def test_this_month_and_the_next_two_are_there(tables: SilverInPostgres, table: SilverTable) -> None:
    # As of when the server was made and migrated, which may have been before midnight.
    ((made,),) = tables.query("SELECT CAST(modification AS date) FROM pg_stat_file('PG_VERSION')")
    assert months(tables, table)[-3:] == this_month_and_two_more(made)


@pytest.mark.parametrize("table", TABLES)
def test_a_month_that_is_missing_is_made_once(silver: SilverInPostgres, table: SilverTable) -> None:
    last = this_month_and_two_more()[-1]
    silver.query("SELECT parts.drop_month(:table, :last)", table=table, last=last)
    store = PostgresPartitionStore(silver.open())

    assert store.add_months(table) == Months(1, 0)
    assert months(silver, table)[-1] == last
    assert add_months(store, time_left=lambda: 60) == Months(0, 0)


def test_rows_go_to_their_months_by_the_microsecond_and_the_identifier(silver: SilverInPostgres) -> None:
    for table in TABLES:
        silver.query("SELECT parts.add_month(:table, :march)", table=table, march=MARCH.date())
    moments = [(at, at) for at in (MARCH - MOMENT * 1000, MARCH, APRIL - MOMENT * 1000, APRIL)]
    process_objects(silver, *moments)

    for table in TABLES:
        inside, outside = f"parts.{table}_2019_03", f"parts.{table}_default"
        assert places(silver, table) == [outside, inside, inside, outside]
    bounds = silver.query("SELECT since, until FROM parts.bounds('receipts', :march)", march=MARCH.date())
    assert bounds == [[str(earliest_raw_id(MARCH)), str(earliest_raw_id(APRIL))]]


@pytest.mark.parametrize("table", TABLES)
def test_a_late_month_takes_its_rows_from_the_default(silver: SilverInPostgres, table: SilverTable) -> None:
    # GIVEN rows of a month that has no partition, one of the next, and gold that has all of them
    days = [MARCH + timedelta(days=day) for day in range(31)]
    process_objects(silver, *((at, at) for at in [*days, APRIL]))
    silver.query("SELECT gold.refresh(1000000, interval '0')")
    before = silver.measurement_rows(), silver.outcome_rows(), silver.receipt_rows()

    # WHEN the schedule finds enough of them
    made = add(silver, table, least=31)

    # THEN they are in a partition of their own, unchanged, and no bucket is stale
    assert made == [1, 0]
    assert places(silver, table) == [f"parts.{table}_2019_03"] * 31 + [f"parts.{table}_default"]
    assert (silver.measurement_rows(), silver.outcome_rows(), silver.receipt_rows()) == before
    assert silver.query("SELECT FROM gold.measured_stale UNION ALL SELECT FROM gold.arrived_stale") == []
    assert add(silver, table, least=31) == [0, 0]


def test_a_month_with_few_rows_or_too_many_stays_in_the_default(silver: SilverInPostgres) -> None:
    process_objects(silver, *((MARCH, MARCH + timedelta(days=day)) for day in range(20)))

    assert add(silver, "measurements", least=21) == [0, 0]
    assert add(silver, "measurements", least=1, most=19) == [0, 0]


@pytest.mark.parametrize("table", TABLES)
def test_nobody_waits_for_who_makes_a_month(silver: SilverInPostgres, table: SilverTable) -> None:
    # GIVEN a transaction that has made a month and not ended
    silver.query("BEGIN")
    silver.query("SELECT parts.add_month(:table, :march)", table=table, march=MARCH.date())

    # WHEN an event of a month that has a partition is written and read
    now = datetime.now(UTC)
    with silver.server.connect() as other:
        other.run("SET lock_timeout = '5s'")
        for statement in (
            "INSERT INTO receipts (raw_id) VALUES (:raw_id)",
            "INSERT INTO outcomes (raw_id, item, outcome, violations, ruleset) SELECT :raw_id, 0, 'rejected', '[]', 1",
        ):
            other.run(statement, raw_id=new_raw_id())
        other.run("SELECT FROM measurements WHERE measured_at = :now", now=now)

    # THEN nothing waited, and the month is there at the end
    silver.query("COMMIT")
    assert MARCH.date() in months(silver, table)


@pytest.mark.parametrize("table", TABLES)
def test_who_makes_a_month_waits_for_nobody_long(silver: SilverInPostgres, table: SilverTable) -> None:
    # GIVEN rows that would be moved, while somebody uses the default
    process_objects(silver, (MARCH, MARCH))
    with silver.server.connect() as other:
        other.run("BEGIN")
        other.run(f"SELECT FROM parts.{table}_default FOR UPDATE")

        # THEN the month is missing, for now
        assert add(silver, table, least=1) == [0, 1]
        assert MARCH.date() not in months(silver, table)

        # AND made when that has ended
        other.run("COMMIT")
    assert add(silver, table, least=1) == [1, 0]


def test_two_that_make_months_at_once_do_not_meet(silver: SilverInPostgres) -> None:
    process_objects(silver, (MARCH, MARCH))
    silver.query("BEGIN")
    assert add(silver, "measurements", least=1) == [1, 0]

    with silver.server.connect() as other:
        assert other.run("SELECT made, missing FROM parts.add_months('measurements', 2, 1, 100)") == [[0, 0]]
    silver.query("COMMIT")


@pytest.mark.parametrize("excluded", ["nestloop", "hashjoin", "mergejoin"])
def test_a_month_is_dropped_under_any_plan(silver: SilverInPostgres, excluded: str) -> None:
    # Without nested loops, every relation's name is looked at: those of months, and others.
    last = months(silver, "measurements")[-1]
    with silver.server.connect() as other:
        other.run("CREATE TEMPORARY TABLE of_2019_13 ()")
        other.run(f"SET enable_{excluded} = off")
        assert other.run("SELECT parts.drop_month('measurements', :last)", last=last) == [[True]]
        assert other.run("SELECT parts.drop_month('measurements', :last)", last=last) == [[False]]
        other.run("SELECT parts.add_months('measurements')")


def test_a_month_that_is_dropped_leaves_gold_and_the_others(silver: SilverInPostgres) -> None:
    silver.query("SELECT parts.add_month('measurements', :march)", march=MARCH.date())
    process_objects(silver, (MARCH, MARCH), (APRIL, APRIL))
    silver.query("SELECT gold.refresh(1000000, interval '0')")

    dropped = [
        silver.query("SELECT parts.drop_month('measurements', :month)", month=month)
        for month in (MARCH.date(), APRIL.date())
    ]

    assert dropped == [[[True]], [[False]]]
    assert [key[0] for key in silver.measurement_rows()] == [APRIL]
    assert silver.query("SELECT bucket_start FROM gold.measured ORDER BY 1") == [[MARCH], [APRIL]]
    assert silver.query("SELECT FROM gold.measured_stale") == []
    assert len(silver.outcome_rows()) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT parts.drop_month('measurements', '2019-03-01')",
        "SELECT parts.add_month('measurements', '2019-03-01')",
        "SELECT FROM parts.measurements_default",
    ],
)
def test_the_functions_reach_partitions_by_their_tables_alone(tables: SilverInPostgres, statement: str) -> None:
    with pytest.raises(SilverUnavailableError, match="42501"):
        tables.open().run(statement)


def test_what_is_written_often_locks_no_month_but_its_own(silver: SilverInPostgres) -> None:
    # GIVEN many months, and a connection whose statement is planned for any parameters
    for number in range(6):
        month = date(2018, 1 + number, 1)
        for table in TABLES:
            silver.query("SELECT parts.add_month(:table, :month)", table=table, month=month)
    writer = silver.silver()
    database = silver.opened[-1]
    database.run("SET plan_cache_mode = force_generic_plan")
    now = datetime.now(UTC)

    # WHEN it writes an event, and waits for one of them at the end
    silver.query(
        "CREATE FUNCTION public.keep_locks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config("
        "'dropzone.locks', (SELECT string_agg(DISTINCT relation::regclass::text, ',') FROM pg_locks"
        " WHERE pid = pg_backend_pid() AND relation::regclass::text LIKE 'parts.%'), false); RETURN NULL; END $$"
    )
    silver.query("CREATE TRIGGER locks AFTER INSERT ON measurements EXECUTE FUNCTION public.keep_locks()")
    try:
        for second in range(2):
            at = now - timedelta(seconds=second)
            writer.write_outcomes([ValidatedObject(new_raw_id(), (Measurement(at, "", aggregate([1])),))])
        ((locked,),) = database.run("SELECT current_setting('dropzone.locks')")
    finally:
        silver.query("DROP TRIGGER locks ON measurements")
        silver.query("DROP FUNCTION public.keep_locks")

    # THEN it had three partitions, and their indexes
    this = f"{now:%Y_%m}"
    assert all(this in name for name in str(locked).split(","))
    assert {f"parts.{table}_{this}" for table in TABLES} <= set(str(locked).split(","))


@pytest.mark.parametrize(
    ("sql", "read"),
    [
        ("SELECT FROM measurements WHERE measured_at >= :since AND measured_at < :until", {"measurements"}),
        ("SELECT FROM outcomes WHERE raw_id >= :first AND raw_id < :beyond", {"outcomes"}),
        ("SELECT FROM receipts WHERE raw_id = ANY (CAST(:raw_ids AS uuid[]))", {"receipts"}),
    ],
)
def test_a_range_reads_its_months_alone(silver: SilverInPostgres, sql: str, read: set[str]) -> None:
    for month in (MARCH, APRIL):
        for table in TABLES:
            silver.query("SELECT parts.add_month(:table, :month)", table=table, month=month.date())
    values = {
        "since": MARCH,
        "until": APRIL,
        "first": earliest_raw_id(MARCH),
        "beyond": earliest_raw_id(APRIL),
        "raw_ids": f"{{{earliest_raw_id(MARCH)}}}",
    }
    asked = {name: value for name, value in values.items() if f":{name}" in sql}

    plan = " ".join(line for (line,) in silver.query(f"EXPLAIN ANALYZE {sql}", **asked))

    scanned = set(re.findall(r"((?:receipts|outcomes|measurements)_(?:default|\d{4}_\d\d))", plan))
    assert scanned == {f"{table}_2019_03" for table in read}
