"""Silver with months of its own."""

from collections.abc import Iterator
from functools import partial

import pytest

from dropzone_local.polling import wait_until
from support.months import TABLES, dropped, months, this_month_and_two_more
from support.postgres import SilverInPostgres


@pytest.fixture
def tables_in_months(tables: SilverInPostgres) -> Iterator[SilverInPostgres]:
    """The tables, which lose the months that the test makes: other tests expect its rows in the default."""
    for table in TABLES:
        # A month may have begun since the server was migrated.
        if this_month_and_two_more()[-1] not in months(tables, table):
            tables.query("SELECT parts.add_months(:table)", table=table)
    before = {table: months(tables, table) for table in TABLES}
    yield tables
    tables.connection.run("ROLLBACK")
    tables.clear()
    for table in TABLES:
        for month in set(months(tables, table)) - set(before[table]):
            assert wait_until(partial(dropped, tables, table, month), seconds=60)
