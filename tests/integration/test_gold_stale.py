"""How long gold has been stale, for an alarm: whoever writes silver may ask."""

import pytest

from dropzone.adapters.postgres_upkeep import PostgresGoldStore
from dropzone.domain.outcomes import ValidatedObject
from support.factories import measurement, raw_ids
from support.postgres import SilverInPostgres

DAY = 86_400


def forget(tables: SilverInPostgres) -> None:
    """Have nothing stale."""
    tables.query("DELETE FROM gold.measured_stale")
    tables.query("DELETE FROM gold.arrived_stale")


@pytest.mark.parametrize("table", ["measured_stale", "arrived_stale"])
@pytest.mark.parametrize(
    ("marked", "seconds"),
    [("now() - interval '90 minutes'", 5_400), ("now() - interval '9 days'", DAY), ("'-infinity'::timestamptz", DAY)],
)
def test_the_oldest_stale_part_of_either_kind_counts(
    tables: SilverInPostgres, table: str, marked: str, seconds: int
) -> None:
    store = PostgresGoldStore(tables.open())
    forget(tables)
    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], (measurement(),))])
    assert store.stale_seconds() == pytest.approx(0, abs=60)

    tables.query(f"UPDATE gold.{table} SET marked_at = {marked}")  # noqa: S608 - the test's own

    assert store.stale_seconds() == pytest.approx(seconds, abs=60)


def test_where_nothing_is_stale_it_is_nothing(tables: SilverInPostgres) -> None:
    forget(tables)

    assert PostgresGoldStore(tables.open()).stale_seconds() == 0


def test_what_arrived_and_was_measured_is_stale_at_once(tables: SilverInPostgres) -> None:
    forget(tables)

    tables.silver().write_outcomes([ValidatedObject(raw_ids(1)[0], (measurement(),))])

    for table in ("measured_stale", "arrived_stale"):
        assert len(tables.query(f"SELECT FROM gold.{table}")) == 1


def test_what_a_discarded_outcome_counted_for_is_stale(tables: SilverInPostgres) -> None:
    # GIVEN an object of which a part was written under other rules
    (identifier,) = raw_ids(1)
    tables.silver().write_outcomes([ValidatedObject(identifier, (measurement(),), is_whole=False)])
    tables.outdate(identifier, range(1))
    forget(tables)

    # WHEN that is discarded
    assert tables.silver().discard_outdated(identifier, 10) == 1

    # THEN gold has to count again what arrived, and what was measured
    for table in ("measured_stale", "arrived_stale"):
        assert len(tables.query(f"SELECT FROM gold.{table}")) == 1, table
