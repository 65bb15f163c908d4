"""The months of silver's tables, as tests look at them and drop them."""

from datetime import UTC, date, datetime
from typing import get_args

from pg8000.exceptions import DatabaseError

from dropzone.adapters.database import sqlstate
from dropzone.ports import SilverTable
from support.postgres import SilverInPostgres

TABLES: tuple[SilverTable, ...] = get_args(SilverTable)


def months(tables: SilverInPostgres, table: SilverTable) -> list[date]:
    """Those that have a partition, by their first day, in ascending order."""
    return [month for (month,) in tables.query("SELECT month FROM parts.months(:table)", table=table)]


def this_month_and_two_more(today: date | None = None) -> list[date]:
    today = today or datetime.now(UTC).date()
    return [date(today.year + month // 12, month % 12 + 1, 1) for month in range(today.month - 1, today.month + 2)]


def dropped(tables: SilverInPostgres, table: SilverTable, month: date) -> bool | None:
    """Drop a month, unless others use the table for longer than it waits."""
    try:
        tables.query("SELECT parts.drop_month(:table, :month)", table=table, month=month)
    except DatabaseError as error:
        if sqlstate(error) != "55P03":
            raise
        return None
    return True
