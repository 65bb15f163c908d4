"""One connection to Postgres per container: made when it is needed, made again when it broke."""

import json
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from pg8000.core import CoreConnection
from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from dropzone.ports import RowRefusedError, SilverConflictError, SilverError, SilverUnavailableError
from dropzone.settings import DatabaseSettings

RDS_CA = Path(__file__).parents[1] / "rds-ca.pem"
"""The certificate authorities of RDS; they are trusted beside the system's, where no others are given."""

_LONGEST_CONNECT_SECONDS = 3.0

_CONFLICTS = frozenset({"40P01", "40001"})
_ROW_CLASSES = ("22", "23")
# The server ended the connection (shut down, crashed, is starting), or has become a replica in a failover: its name
# may lead to the new primary by now.
_BROKEN = ("08", "57P", "25006")

Row = list[Any]


class Run(Protocol):
    """Runs a statement of a transaction and returns its rows."""

    def __call__(self, sql: str, **parameters: object) -> list[Row]:
        """Run it; raises as `Database.run` does."""


class Database:
    """Runs single statements, each a transaction of its own, and says in this project's errors how one failed."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        """Take the way to connect; nothing is connected yet."""
        self._connect = connect
        self._connection: Connection | None = None

    def run(self, sql: str, **parameters: object) -> list[Row]:
        """Run a statement and return its rows; on a connection that turns out broken, once more on a new one.

        Raises:
            SilverConflictError: 40P01, 40001.
            RowRefusedError: SQLSTATE classes 22 and 23.
            SilverUnavailableError: everything else.
        """
        if self._connection is None:
            return self._attempt(sql, parameters)
        try:
            return self._attempt(sql, parameters)
        except _ConnectionBrokenError:
            return self._attempt(sql, parameters)

    def transact[T](self, work: Callable[[Run], T]) -> T:
        """Run several statements as one transaction; `work` gets what runs each of them.

        On a connection that turns out broken, all of it once more on a new one.

        Raises:
            SilverError: as for `run`; everything is rolled back.
        """
        fresh = self._connection is None
        try:
            return self._transact_once(work)
        except _ConnectionBrokenError:
            if fresh:
                raise
            return self._transact_once(work)

    def _transact_once[T](self, work: Callable[[Run], T]) -> T:
        self._attempt("BEGIN", {})
        try:
            result = work(lambda sql, **parameters: self._attempt(sql, parameters))
            self._attempt("COMMIT", {})
        except BaseException:
            # A connection in the middle of a transaction is of no use; its end is the surest way to roll back.
            self.close()
            raise
        return result

    def _attempt(self, sql: str, parameters: Mapping[str, object]) -> list[Row]:
        try:
            if self._connection is None:
                self._connection = self._connect()
            rows: list[Row] | None = self._connection.run(sql, **parameters)
        except DatabaseError as error:
            # Without the cause: the server's details quote the row.
            raise self._translated(error) from None
        except (InterfaceError, OSError) as error:
            self.close()
            message = f"{error} ({error.__cause__})" if error.__cause__ else str(error)
            raise _ConnectionBrokenError(message) from error
        return rows or []

    def _translated(self, error: DatabaseError) -> SilverError:
        fields = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        state = str(fields.get("C", ""))
        if state in _CONFLICTS:
            return SilverConflictError(state)
        if state.startswith(_ROW_CLASSES):
            where = " ".join(str(fields[key]) for key in ("t", "c", "n") if key in fields)
            return RowRefusedError(f"SQLSTATE {state} {where}".rstrip())
        message = f"SQLSTATE {state or 'unknown'}: {fields.get('M', '')}"
        if self._connection is None or state.startswith(_BROKEN):
            self.close()
            return _ConnectionBrokenError(message)
        return SilverUnavailableError(message)

    def close(self) -> None:
        """End the connection, if there is one; a broken one as well."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except (InterfaceError, OSError):
                # It was broken already, which is why it is being closed.
                return


class _ConnectionBrokenError(SilverUnavailableError):
    """The connection can't be used any more, or can't be made."""


def open_database(settings: DatabaseSettings) -> Database:
    """The database of these settings; nothing is connected yet."""
    return Database(connector(settings, Connection))


def connector[C: CoreConnection](settings: DatabaseSettings, kind: type[C]) -> Callable[[], C]:
    """The way to connect, with one of pg8000's two kinds of connection.

    Each connection signs in anew, since a token ends after 15 minutes.
    Of the function's timeout a statement gets half, and a silent network three quarters, so that there is time left to
    say so; a connection is given up after a third, and three seconds at most.
    """
    call_seconds = settings.call_seconds

    def connect() -> C:
        user, password = _credentials(settings)
        sock = socket.create_connection(
            (settings.database_host, settings.database_port), timeout=min(call_seconds / 3, _LONGEST_CONNECT_SECONDS)
        )
        try:
            sock.settimeout(call_seconds * 0.75)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection: C = kind(
                user,
                host=settings.database_host,
                sock=sock,
                database=settings.database_name,
                password=password,
                ssl_context=_tls(settings),
                application_name=settings.aws_lambda_function_name,
                startup_params={"TimeZone": "UTC", "statement_timeout": f"{int(call_seconds / 2 * 1000)}"},
            )
        except BaseException:
            sock.close()
            raise
        return connection

    return connect


def _credentials(settings: DatabaseSettings) -> tuple[str, str]:
    """User and password: the one given, the secret's, or a token of RDS, which is signed here and not fetched."""
    if settings.database_auth == "password" and settings.database_password is not None:
        return settings.database_user, settings.database_password.get_secret_value()
    # Not at the top: neither is needed on a local stack, and each costs a start a good part of a second.
    import boto3  # noqa: PLC0415

    if settings.database_secret_arn is not None and settings.database_auth == "password":
        secrets = boto3.client("secretsmanager", region_name=settings.aws_region)
        secret = json.loads(secrets.get_secret_value(SecretId=settings.database_secret_arn)["SecretString"])
        return secret["username"], secret["password"]
    token = boto3.client("rds", region_name=settings.aws_region).generate_db_auth_token(
        DBHostname=settings.database_host, Port=settings.database_port, DBUsername=settings.database_user
    )
    return settings.database_user, token


def _tls(settings: DatabaseSettings) -> ssl.SSLContext | bool:
    """A context that verifies the server's name and chain, or False: pg8000's own defaults verify nothing."""
    if settings.database_tls == "disable":
        return False
    if settings.database_ca_file is not None:
        return ssl.create_default_context(cafile=settings.database_ca_file)
    context = ssl.create_default_context()
    context.load_verify_locations(RDS_CA)
    return context
