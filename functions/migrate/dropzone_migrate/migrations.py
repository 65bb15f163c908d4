"""Runs the revisions (Alembic, forward only) and sets the roles, in one transaction, one caller at a time."""

from pathlib import Path

import pg8000.dbapi
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from pg8000.exceptions import DatabaseError
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from dropzone.adapters.database import connector, told
from dropzone.settings import MigrateSettings
from dropzone_migrate.roles import set_roles

# Any number that nothing else in the database locks; two migrations at once wait for each other at it.
_LOCK = 0x64726F70


class MigrationError(Exception):
    """The database refused a statement; the message is what may be shown of the reason."""


def config() -> Config:
    """Alembic's configuration: where the revisions are."""
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent / "revisions"))
    return configuration


def head() -> str:
    """The newest revision in this artefact."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    assert revision is not None  # noqa: S101 - there is a first revision
    return revision


def migrate(settings: MigrateSettings) -> str:
    """Bring the database to the newest revision, which it may have already, and answer that.

    Raises:
        MigrationError: with the reason; everything is as it was before.
        SilverUnavailableError: there are no credentials to sign in with.
    """
    connect = connector(settings, pg8000.dbapi.Connection)
    engine = create_engine(
        "postgresql+pg8000://",
        creator=lambda: connect(settings.call_seconds),
        poolclass=NullPool,
        hide_parameters=True,
    )
    try:
        with engine.connect() as connection, connection.begin():
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            _upgrade(connection)
            set_roles(connection, settings)
    except DBAPIError as error:
        # Without the cause: the server's details quote rows, and would be logged with it.
        reason = told(error.orig) if isinstance(error.orig, DatabaseError) else f"{error.orig}"
        message = f"{type(error).__name__}: {reason}"
        raise MigrationError(message) from None
    return head()


def _upgrade(connection: Connection) -> None:
    configuration = config()
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, "head")
