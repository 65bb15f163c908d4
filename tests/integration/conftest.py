"""One Postgres for the session; each test finds its tables empty."""

from collections.abc import Iterator
from functools import partial

import pytest

from dropzone_local.polling import wait_until
from dropzone_local.postgres import Postgres
from support.months import TABLES, dropped, months
from support.postgres import SilverInPostgres, running_postgres, silver_in_postgres


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def tables(postgres: Postgres) -> Iterator[SilverInPostgres]:
    with silver_in_postgres(postgres) as opened:
        yield opened


@pytest.fixture
def tables_in_months(tables: SilverInPostgres) -> Iterator[SilverInPostgres]:
    """The tables, which lose the months that the test makes: other tests expect its rows in the default."""
    before = {table: months(tables, table) for table in TABLES}
    yield tables
    tables.connection.run("ROLLBACK")
    tables.clear()
    for table in TABLES:
        for month in set(months(tables, table)) - set(before[table]):
            assert wait_until(partial(dropped, tables, table, month), seconds=20)
