"""One Postgres for the session; each test finds its tables empty."""

from collections.abc import Iterator

import pytest

from dropzone_local.postgres import Postgres
from support.postgres import SilverInPostgres, running_postgres, silver_in_postgres


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def tables(postgres: Postgres) -> Iterator[SilverInPostgres]:
    with silver_in_postgres(postgres) as opened:
        yield opened
