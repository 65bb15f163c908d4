"""Runs the revisions (Alembic, forward only) in the transaction of an open connection."""

from pathlib import Path
from typing import Any

import pg8000.dbapi
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool


def upgrade(connection: pg8000.dbapi.Connection, revisions: Path) -> None:
    """Upgrade the database to the newest revision, without a commit.

    Raises:
        pg8000.exceptions.Error: the database refused a statement.
        alembic.util.CommandError: the database has an unknown revision.
    """
    engine = create_engine(
        "postgresql+pg8000://", creator=lambda: _Lent(connection), poolclass=NullPool, hide_parameters=True
    )
    configuration = Config()
    configuration.set_main_option("script_location", str(revisions))
    try:
        with engine.connect() as lent:
            configuration.attributes["connection"] = lent
            command.upgrade(configuration, "head")
    except DBAPIError as error:
        raise (error.orig or error) from None


class _Lent:
    """A connection whose transaction can't be ended.

    SQLAlchemy would roll it back on connecting, and on returning a connection.
    """

    def __init__(self, connection: pg8000.dbapi.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the connection has
        return getattr(self._connection, name)

    def commit(self) -> None:
        """Ignored."""

    def rollback(self) -> None:
        """Ignored."""

    def close(self) -> None:
        """Ignored."""
