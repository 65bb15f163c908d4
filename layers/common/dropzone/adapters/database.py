"""One connection to Postgres per container, opened when needed and reopened after it broke."""

import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from pg8000.core import CoreConnection
from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection, PreparedStatement

from dropzone.ports import RowRefusedError, SilverConflictError, SilverError, SilverUnavailableError, TimeLeft
from dropzone.settings import DatabaseSettings

RDS_CA = Path(__file__).parents[1] / "rds-ca.pem"
"""The certificate authorities of RDS, trusted in addition to the system's if no others are given."""

_LONGEST_CONNECT_SECONDS = 3.0
_LEAST_SECONDS = 0.1

# Shares of the time left. At worst a statement waits twice, to be parsed and to be executed, and both fit. Its timeout
# is set again, which costs a round trip, only when it leaves the band around its share.
_STATEMENT_SHARE, _STATEMENT_BAND = 0.4, (0.3, 0.45)
_SILENCE_SHARE = 0.75

_TIMED_OUT = "57014"
_CONFLICTS = frozenset({"40P01", "40001"})
_ROW_CLASSES = ("22", "23")
# The server ended the connection (shut down, crashed, is starting), or has become a replica in a failover: its name
# may resolve to the new primary by now.
_BROKEN = ("08", "57P", "25006")
# The server no longer knows a prepared statement, or its plan is for a table that has changed.
_OUTDATED = ("26", "0A000")
# Messages of these classes describe the server, the schema or the statement. Others may quote a row's values.
_TELLING = ("08", "0A", "25", "28", "2B", "3D", "3F", "42", "53", "54", "55", "57", "58")

Row = list[Any]


class Run(Protocol):
    """Runs a statement of a transaction and returns its rows."""

    def __call__(self, sql: str, **parameters: object) -> list[Row]:
        """Run the statement; raises the same errors as `Database.run`."""


class Database:
    """Runs single statements, each in its own transaction, and raises the errors of `ports`.

    Each call ends within the time left, whatever the server and the network do.
    """

    def __init__(self, connect: Callable[[float], Connection], time_left: TimeLeft) -> None:
        """Connects lazily with `connect`, which is called with a timeout in seconds."""
        self._connect, self._time_left = connect, time_left
        self._connection: Connection | None = None
        self._prepared: dict[str, PreparedStatement] = {}
        self._statement_seconds = 0.0

    def use_time_left(self, time_left: TimeLeft) -> None:
        """Limit the following statements to the time left in the current call."""
        self._time_left = time_left

    def run(self, sql: str, **parameters: object) -> list[Row]:
        """Run a statement and return its rows. If the connection turns out to be broken, retry once on a new one.

        Raises:
            SilverConflictError: SQLSTATE 40P01 or 40001.
            RowRefusedError: SQLSTATE class 22 or 23.
            SilverUnavailableError: any other error.
        """
        return self._once_more(lambda: self._attempt(sql, parameters))

    def run_prepared(self, sql: str, **parameters: object) -> list[Row]:
        """Same as `run`, for a long statement that runs often: driver and server parse it once per connection.

        The server may also plan it only once, so its best plan should not depend on its parameters.
        """
        return self._once_more(lambda: self._attempt(sql, parameters, prepared=True))

    def transact[T](self, work: Callable[[Run], T]) -> T:
        """Run several statements as one transaction; `work` is called with a function that runs a statement.

        If the connection turns out to be broken, the whole transaction is retried once on a new one.

        Raises:
            SilverError: as for `run`; everything is rolled back.
        """
        return self._once_more(lambda: self._transact_once(work))

    def _once_more[T](self, work: Callable[[], T]) -> T:
        if self._connection is not None:
            with suppress(ConnectionBrokenError):
                return work()
        return work()

    def _transact_once[T](self, work: Callable[[Run], T]) -> T:
        self._attempt("BEGIN", {})
        try:
            result = work(lambda sql, **parameters: self._attempt(sql, parameters))
            self._attempt("COMMIT", {})
        except BaseException:
            # Closing the connection is the most reliable way to roll back.
            self.close()
            raise
        return result

    def _attempt(self, sql: str, parameters: Mapping[str, object], *, prepared: bool = False) -> list[Row]:
        try:
            connection = self._in_time()
            rows: list[Row] | None = (
                self._prepare(sql, connection).run(**parameters) if prepared else connection.run(sql, **parameters)
            )
        except DatabaseError as error:
            # Without the cause, since the server's details quote the row.
            raise self._translated(error, (*_BROKEN, *_OUTDATED) if prepared else _BROKEN) from None
        except (InterfaceError, OSError) as error:
            self.close()
            raise ConnectionBrokenError(f"{error} ({error.__cause__})" if error.__cause__ else str(error)) from error
        return rows or []

    def _prepare(self, sql: str, connection: Connection) -> PreparedStatement:
        if sql not in self._prepared:
            self._prepared[sql] = connection.prepare(sql)
        return self._prepared[sql]

    def _in_time(self) -> Connection:
        """The connection, opened if there is none, with timeouts that end a statement in time."""
        left = self._time_left()
        if left < _LEAST_SECONDS:
            raise SilverUnavailableError("no time is left in this call")
        if self._connection is None:
            self._connection, self._statement_seconds = self._connect(left), left * _STATEMENT_SHARE
            left = max(self._time_left(), _LEAST_SECONDS)
        # pg8000 offers no other access to the socket, which it may have wrapped in TLS.
        self._connection._usock.settimeout(left * _SILENCE_SHARE)  # noqa: SLF001
        lowest, highest = (left * share for share in _STATEMENT_BAND)
        if not lowest <= self._statement_seconds <= highest:
            seconds = left * _STATEMENT_SHARE
            self._connection.run(f"SET statement_timeout = {int(seconds * 1000)}")
            self._statement_seconds = seconds
        return self._connection

    def _translated(self, error: DatabaseError, broken: tuple[str, ...]) -> SilverError:
        state, message = sqlstate(error), describe_error(error)
        if state in _CONFLICTS:
            return SilverConflictError(state)
        if state.startswith(_ROW_CLASSES):
            return RowRefusedError(message)
        if self._connection is None or state.startswith(broken):
            self.close()
            return ConnectionBrokenError(message)
        if state == _TIMED_OUT:
            return StatementTimeoutError(message)
        return SilverUnavailableError(message)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        self._prepared.clear()
        if connection is not None:
            try:
                connection.close()
            except (InterfaceError, OSError):
                # The connection was already broken, which is why it is being closed.
                return


class StatementTimeoutError(SilverUnavailableError):
    """The statement exceeded its timeout (57014)."""


class ConnectionBrokenError(SilverUnavailableError):
    """The connection can no longer be used, or can't be opened."""


def sqlstate(error: DatabaseError) -> str:
    """The SQLSTATE of a server's error; empty if it has none."""
    return str(_fields(error).get("C", ""))


def describe_error(error: DatabaseError) -> str:
    """A description for logs that quotes no row: without the server's details, and with its message only if harmless.

    An internal error (XX) is described by the function in Postgres's source that raised it.
    """
    fields, state = _fields(error), sqlstate(error)
    where = "".join(f" {fields[key]}" for key in ("t", "c", "n") if key in fields)
    if state.startswith("XX") and "R" in fields:
        where += f" in {fields['R']}"
    message = f": {fields.get('M', '')}" if state.startswith(_TELLING) else ""
    return f"SQLSTATE {state or 'unknown'}{where}{message}"


def _fields(error: DatabaseError) -> Mapping[str, object]:
    return error.args[0] if error.args and isinstance(error.args[0], dict) else {}


def open_database(settings: DatabaseSettings) -> Database:
    """The database for these settings, not connected yet. Until `use_time_left`, a call may take the whole timeout."""
    return Database(connector(settings, Connection), lambda: settings.call_seconds)


def connector[C: CoreConnection](settings: DatabaseSettings, kind: type[C]) -> Callable[[float], C]:
    """A function that connects within a number of seconds, with one of pg8000's two kinds of connection.

    Each connection gets new credentials, since a token expires after 15 minutes. Getting them and connecting may take
    a third of the seconds each (connecting at most three seconds). A statement may take two fifths of the time left,
    and a silent network three quarters, so that there is time to report it.
    """

    def connect(seconds: float) -> C:
        ends = time.monotonic() + seconds
        user, password = _credentials(settings, seconds / 3)
        sock = socket.create_connection(
            (settings.database_host, settings.database_port), timeout=min(seconds / 3, _LONGEST_CONNECT_SECONDS)
        )
        try:
            sock.settimeout(max(ends - time.monotonic(), _LEAST_SECONDS) * _SILENCE_SHARE)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            # Send a statement's last bytes at once. Otherwise they wait for the server's delayed acknowledgement of the
            # others, which costs every chunk of some hundred events 40 milliseconds.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection: C = kind(
                user,
                host=settings.database_host,
                sock=sock,
                database=settings.database_name,
                password=password,
                ssl_context=_tls(settings),
                application_name=settings.aws_lambda_function_name,
                startup_params={"TimeZone": "UTC", "statement_timeout": f"{int(seconds * _STATEMENT_SHARE * 1000)}"},
            )
        except BaseException:
            sock.close()
            raise
        return connection

    return connect


def _credentials(settings: DatabaseSettings, seconds: float) -> tuple[str, str]:
    """User and password: from the settings, from the secret, or an RDS token, which is signed locally.

    Raises:
        SilverUnavailableError: they are not available at the moment; the error doesn't reveal them.
    """
    if settings.database_auth == "password" and settings.database_password is not None:
        return settings.database_user, settings.database_password.get_secret_value()
    # Not imported at the top: a local stack needs neither, and each adds a good part of a second to a start.
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        if settings.database_secret_arn is not None and settings.database_auth == "password":
            config = Config(connect_timeout=seconds / 2, read_timeout=seconds / 2, retries={"total_max_attempts": 1})
            secrets = boto3.client("secretsmanager", region_name=settings.aws_region, config=config)
            secret = json.loads(secrets.get_secret_value(SecretId=settings.database_secret_arn)["SecretString"])
            return secret["username"], secret["password"]
        token = boto3.client("rds", region_name=settings.aws_region).generate_db_auth_token(
            DBHostname=settings.database_host, Port=settings.database_port, DBUsername=settings.database_user
        )
    except ClientError as error:
        reason = f"AWS answered {error.response.get('Error', {}).get('Code', '')}"
    except (BotoCoreError, LookupError, TypeError, ValueError) as error:
        # The last three: the secret doesn't have the expected form.
        reason = type(error).__name__
    else:
        return settings.database_user, token
    raise ConnectionBrokenError(f"no credentials for the database: {reason}")


def _tls(settings: DatabaseSettings) -> ssl.SSLContext | bool:
    """A context that verifies the server's name and chain, or False without TLS; pg8000's default verifies nothing."""
    if settings.database_tls == "disable":
        return False
    if settings.database_ca_file is not None:
        return ssl.create_default_context(cafile=settings.database_ca_file)
    context = ssl.create_default_context()
    context.load_verify_locations(RDS_CA)
    return context
