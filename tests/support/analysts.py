"""docs/analysts.md: its queries by name, and the login that it makes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pg8000.native import Connection

from dropzone.adapters.database import connector
from dropzone_local.postgres import Postgres
from support.postgres import database_settings

DOCUMENT = (Path(__file__).parents[2] / "docs" / "analysts.md").read_text(encoding="utf-8")
_BLOCKS = re.findall(r"```sql\n(?:-- ([^\n]*)\n)?(.*?)```", DOCUMENT, re.DOTALL)
QUERIES = {name: sql.strip().rstrip(";") for name, sql in _BLOCKS if name}
TOOLS = {"grafana", "quicksight"}
QUESTIONS = QUERIES.keys() - TOOLS


@contextmanager
def signed_in(server: Postgres) -> Iterator[Connection]:
    """Alice, as the document makes her; gone again afterwards."""
    (login,) = (sql for name, sql in _BLOCKS if not name and sql.startswith("CREATE ROLE alice"))
    with server.connect() as owner:
        for statement in filter(None, map(str.strip, login.split(";"))):
            owner.run(statement)
        settings = database_settings(server, database_user="alice", database_password="…")  # noqa: S106 - as the document has it
        connection = connector(settings, Connection)(20.0)
        try:
            yield connection
        finally:
            connection.close()
            owner.run("DROP ROLE alice")


def rows_of(connection: Connection, sql: str) -> list[dict[str, Any]]:
    """The rows of a query by the names of its columns."""
    rows = connection.run(sql)
    return [dict(zip((column["name"] for column in connection.columns or ()), row, strict=True)) for row in rows or []]
