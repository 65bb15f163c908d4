"""Upgrade the database to the newest revision and set the roles, in one transaction, by one caller at a time.

Alembic is imported only if there are revisions to run.
"""

import time
from contextlib import closing
from pathlib import Path

import pg8000.dbapi
from pg8000.exceptions import DatabaseError, Error

from dropzone.adapters.database import connector, describe_error, sqlstate
from dropzone.settings import MigrateSettings
from dropzone_migrate.roles import set_roles

REVISIONS = Path(__file__).parent / "revisions"

# Reserved for the response to CloudFormation; in a short call, half of the time is.
_ANSWER_SECONDS = 30

# Seconds between attempts to sign in by token.
_PAUSES = (2, 4, 8, 16, 30)

# "invalid password", and the state if the server's rules don't allow passwords for this user.
_REFUSED = frozenset({"28P01", "28000"})

# Our own advisory lock: concurrent migrations wait for each other.
_LOCK = 0x64726F70

_TOO_OLD = (
    "The database has revision {revision} of the schema, from before the first release, and this version starts at "
    "{oldest}: use an empty database. On the local stack, `make clean` removes the old one, with all data."
)

_CHANGED = (
    "The database's schema is not the one that revision {revision} makes in this version, as may happen between "
    "versions before the first release ({reason}): use an empty database. On the local stack, `make clean` removes the "
    "old one, with all data."
)

# SQLSTATEs of statements that don't fit the schema: a function or view returns something else; a table, column or
# function is missing, or exists already; a type is different.
_DOES_NOT_FIT = frozenset(("42P13", "42P16", "42P01", "42703", "42883", "42P07", "42701", "42723", "42804"))


class MigrationError(Exception):
    """The schema can't be upgraded. The message is safe to show."""


def head() -> str:
    """The newest revision in this artefact."""
    return max(_revisions())


def _revisions() -> list[str]:
    """Our revisions, which are numbers: Alembic's file names start with the revision."""
    return [path.name.partition("_")[0] for path in (REVISIONS / "versions").glob("*.py")]


def migrate(settings: MigrateSettings) -> str:
    """Upgrade the database to the newest revision; returns the resulting revision.

    A later revision, left by a deploy that is being rolled back, is kept: the previous functions work with it.

    Raises:
        MigrationError: the migration failed, with the reason in the message. Nothing was changed.
        SilverUnavailableError: there are no credentials to sign in with.
    """
    ends = time.monotonic() + settings.call_seconds
    try:
        with closing(_sign_in(settings)) as connection:
            cursor = connection.cursor()
            _limit(connection, cursor, ends - time.monotonic(), settings)
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            # Set after getting the lock, since another migration may take long.
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", (_milliseconds(settings.lock_seconds),))
            revision = _current_revision(cursor)
            if revision is not None and revision < min(_revisions()):
                raise MigrationError(_TOO_OLD.format(revision=revision, oldest=min(_revisions())))
            if revision is None or revision < head():
                _upgrade(connection, revision)
                revision = head()
            set_roles(cursor, settings)
            connection.commit()
    except Error as error:
        # Without the cause, which would be logged: the server's details quote rows.
        reason = describe_error(error) if isinstance(error, DatabaseError) else f"{error}"
        raise MigrationError(f"{type(error).__name__}: {reason}") from None
    return revision


def _sign_in(settings: MigrateSettings) -> pg8000.dbapi.Connection:
    """Sign in according to the settings; by token if RDS refuses the password.

    The creator of a role becomes a member of it. The first migration creates roles that are members of rds_iam, and RDS
    accepts only tokens from direct and indirect members of rds_iam.
    """
    if settings.database_auth == "iam":
        return _sign_in_by_token(settings)
    try:
        return connector(settings, pg8000.dbapi.Connection)(settings.call_seconds)
    except DatabaseError as error:
        if settings.role_auth != "iam" or sqlstate(error) not in _REFUSED:
            raise
        by_password = describe_error(error)
    try:
        return _sign_in_by_token(settings.model_copy(update={"database_auth": "iam"}))
    except DatabaseError as error:
        message = (
            f"the secret's password was refused ({by_password}), and then a token of RDS ({describe_error(error)})"
        )
        raise MigrationError(message) from None


def _sign_in_by_token(settings: MigrateSettings) -> pg8000.dbapi.Connection:
    """Sign in by token, with retries: in a first deploy, the IAM permission may be only seconds old."""
    ends, pauses = time.monotonic() + settings.call_seconds / 3, iter(_PAUSES)
    while True:
        try:
            return connector(settings, pg8000.dbapi.Connection)(settings.call_seconds)
        except DatabaseError as error:
            pause = next(pauses, None)
            if pause is None or time.monotonic() + pause > ends or sqlstate(error) not in _REFUSED:
                raise
            time.sleep(pause)


def _limit(
    connection: pg8000.dbapi.Connection, cursor: pg8000.dbapi.Cursor, left: float, settings: MigrateSettings
) -> None:
    """Set timeouts of the transaction and its statements that leave time to report."""
    seconds = max(left - _ANSWER_SECONDS, left / 2)
    cursor.execute(
        "SELECT set_config('transaction_timeout', %s, true), set_config('statement_timeout', %s, true)",
        (_milliseconds(seconds), _milliseconds(min(settings.statement_seconds or seconds, seconds))),
    )
    # A long statement sends nothing. pg8000 offers no other access to the socket, which it may have wrapped in TLS.
    connection._usock.settimeout((seconds + left) / 2)  # noqa: SLF001


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1_000:.0f}"


def _current_revision(cursor: pg8000.dbapi.Cursor) -> str | None:
    """Alembic's revision of this database; None if it has none, several, or one that is not a number."""
    cursor.execute("SELECT to_regclass('alembic_version') IS NOT NULL")
    if cursor.fetchone() != [True]:
        return None
    cursor.execute("SELECT version_num FROM alembic_version")
    match cursor.fetchall():
        case [[str(revision)]] if revision.isdecimal():
            return revision
    return None


def _upgrade(connection: pg8000.dbapi.Connection, revision: str | None) -> None:
    # Imported here: Alembic and SQLAlchemy take longer to import than everything else.
    from dropzone_migrate.upgrade import upgrade  # noqa: PLC0415

    try:
        upgrade(connection, REVISIONS)
    except DatabaseError as error:
        if revision is None or sqlstate(error) not in _DOES_NOT_FIT:
            raise
        raise MigrationError(_CHANGED.format(revision=revision, reason=describe_error(error))) from None
