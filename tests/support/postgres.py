"""A real Postgres, migrated by the real migrations, and a look at its tables."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection, identifier

from dropzone.adapters.database import Database, open_database
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.domain.aggregates import Aggregates
from dropzone.domain.contracts import BASIC, Contracts
from dropzone.domain.outcomes import Code, Measurement, Violation
from dropzone.settings import DatabaseSettings, MigrateSettings
from dropzone_local.polling import wait_until
from dropzone_local.ports import LOOPBACK, find_free
from dropzone_local.postgres import SUPERUSER, Postgres
from dropzone_migrate.migrations import migrate
from support.rows import Key, MeasurementRow, OutcomeRow, ReceiptRow

PASSWORD = "correct-horse-battery-staple"  # noqa: S105 - of a server that lives as long as the tests

RETRY_AFTER = timedelta(seconds=100)
"""The pause after a first try; far longer than any test takes."""

# A crash of the machine may cost a test's data. Autovacuum gives way to who waits for the deadlock's time: that is
# shorter than the time in which a month is made or not.
_FAST = ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "deadlock_timeout = '50ms'")

_numbers = count(1)


class _Kept:
    """A superuser's connection that tests have one after the other: a new one reads the catalogue again, for 30 ms."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._exit = ExitStack()
        self._connection: Connection | None = None

    def like_new(self) -> Connection:
        """Return the connection as it was at first, or another one where the test before ended it, or the server."""
        if self._connection is not None:
            try:
                self._connection.run("ROLLBACK")
                self._connection.run("DISCARD ALL")
            except (DatabaseError, InterfaceError, OSError):
                self.close()
        if self._connection is None:
            self._connection = self._exit.enter_context(self._server.connect())
        return self._connection

    def close(self) -> None:
        """Close the connection."""
        self._connection = None
        self._exit.close()


_kept: dict[int, _Kept] = {}
"""Of each server of `running_postgres`, by its port."""


@contextmanager
def running_postgres(directory: Path) -> Iterator[Postgres]:
    """Run a server for the time of a with block; it ends with this process, however that ends."""
    server = Postgres(directory, port=find_free(), password=PASSWORD, bound_to_parent=True)
    try:
        server.start()
        with server.connect() as connection:
            for setting in _FAST:
                connection.run(f"ALTER SYSTEM SET {setting}")
            connection.run("SELECT pg_reload_conf()")
        migrate(migrate_settings(server))
        with closing(_Kept(server)) as _kept[server.port]:
            yield server
    finally:
        _kept.pop(server.port, None)
        server.stop()


@contextmanager
def empty_database(server: Postgres) -> Iterator[str]:
    """Make a database with nothing in it."""
    name = f"empty_{next(_numbers)}"
    with server.connect("postgres") as connection:
        connection.run(f"CREATE DATABASE {identifier(name)}")
        yield name
        connection.run(f"DROP DATABASE {identifier(name)} WITH (FORCE)")


def database_settings(server: Postgres, **changes: Any) -> DatabaseSettings:  # noqa: ANN401 - any field's
    """How the functions reach it, as the writer."""
    return DatabaseSettings.of(_settings(server, database_user="dropzone_writer") | changes)


def migrate_settings(server: Postgres, **changes: Any) -> MigrateSettings:  # noqa: ANN401 - any field's
    """How migrate reaches it, as the owner."""
    # A migration takes a second, and many on a busy machine.
    values = _settings(server, database_user=SUPERUSER, role_auth="password", call_seconds=300)
    return MigrateSettings.of(values | changes)


def _settings(server: Postgres, **others: object) -> dict[str, object]:
    return {
        "database_host": LOOPBACK,
        "database_port": server.port,
        "database_name": server.database,
        "database_auth": "password",
        "database_password": PASSWORD,
        "database_tls": "disable",
        "aws_region": "eu-central-1",
        "call_seconds": 120,  # of calls that aren't about time, on a machine that may be busy
        **others,
    }


def writer_environment(server: Postgres) -> dict[str, str]:
    """What the environment of a function that writes says of the database."""
    return {
        "DATABASE_HOST": LOOPBACK,
        "DATABASE_PORT": str(server.port),
        "DATABASE_NAME": server.database,
        "DATABASE_USER": "dropzone_writer",
        "DATABASE_AUTH": "password",
        "DATABASE_PASSWORD": PASSWORD,
        "DATABASE_TLS": "disable",
    }


def months_opened(database: Database, work: Callable[[], object]) -> list[str]:
    """The partitions that work locks on this connection, by their names; it is rolled back."""
    database.run("BEGIN")
    work()
    rows = database.run(
        "SELECT relname FROM pg_locks JOIN pg_class ON pg_class.oid = relation WHERE pid = pg_backend_pid()"
        " AND relkind = 'r' AND relnamespace = CAST('parts' AS regnamespace) ORDER BY relname"
    )
    database.run("ROLLBACK")
    return [name for (name,) in rows]


@dataclass(slots=True)
class SilverInPostgres:
    """The tables, looked at and prepared by the superuser, and ways to connect as the functions do."""

    server: Postgres
    connection: Connection
    opened: list[Database] = field(default_factory=list)

    def open(self, **changes: Any) -> Database:  # noqa: ANN401 - any setting's
        """Make a database of the adapter's; it connects when it is used."""
        database = open_database(database_settings(self.server, **changes))
        self.opened.append(database)
        return database

    def silver(self, *, reuse: bool = False, contracts: Contracts = BASIC) -> PostgresSilver:
        """Make another silver, with a connection of its own, or with the first one."""
        database = self.opened[0] if reuse and self.opened else self.open()
        return PostgresSilver(database, retry_after=RETRY_AFTER, contracts=contracts)

    def query(self, sql: str, **parameters: object) -> list[Any]:
        """Run a statement as the superuser."""
        return list(self.connection.run(sql, **parameters) or [])

    def clear(self) -> None:
        """Empty the tables, gold, which otherwise has what an earlier test left until its next refresh, and the
        archive, whose months gold leaves alone.
        """
        for table in ("receipts", "outcomes", "measurements", "replays"):
            self.query(f"DELETE FROM {table}")  # noqa: S608 - our own names
        for table in ("measured", "arrived", "source", "measured_stale", "arrived_stale"):
            self.query(f"DELETE FROM gold.{table}")  # noqa: S608 - our own names
        for table in ("months", "layouts", "changes", "requested"):
            self.query(f"DELETE FROM archive.{table}")  # noqa: S608 - our own names
        self.query("UPDATE sweep SET watermark = '00000000-0000-0000-0000-000000000000'")

    def pass_time(self, duration: timedelta) -> None:
        """Advance the clock that decides when retries are due."""
        self.query("UPDATE receipts SET retry_at = retry_at - CAST(:duration AS interval)", duration=duration)

    def outdate(self, raw_id: UUID, items: range) -> None:
        """Let outcomes be of the rules of before."""
        self.query(
            "UPDATE outcomes SET ruleset = 'older' WHERE raw_id = :raw_id AND item >= :first AND item < :end",
            raw_id=raw_id,
            first=items.start,
            end=items.stop,
        )

    def await_waiting(self, number: int) -> None:
        """Wait until so many of the functions' statements wait for a lock."""
        # Not from pg_stat_activity, of which a transaction keeps what it saw first.
        sql = "SELECT FROM pg_locks WHERE NOT granted"
        assert wait_until(lambda: len(self.query(sql)) >= number or None, seconds=60, every=0.01)

    def hold(self, instant: datetime) -> None:
        """Begin a transaction that whoever measures this instant has to wait for, after it wrote its receipts."""
        self.query("BEGIN")
        self.query(
            "INSERT INTO measurements (measured_at, mean, std_dev, sample_count, min, max, raw_id, item)"
            " VALUES (:instant, 0, 0, 1, 0, 0, gen_random_uuid(), 0)",
            instant=instant,
        )

    def receipt_rows(self) -> dict[UUID, ReceiptRow]:
        rows = self.query("SELECT raw_id, settled_at IS NOT NULL, items, attempts, last_error FROM receipts")
        return {row[0]: ReceiptRow(*row[1:]) for row in rows}

    def outcome_rows(self) -> dict[tuple[UUID, int], OutcomeRow]:
        rows = self.query(
            "SELECT raw_id, item, outcome, violations, measured_at, source, mean, std_dev, sample_count, min, max,"
            " unit, tags FROM outcomes"
        )
        return {
            (row[0], row[1]): OutcomeRow(
                _measurement(row[4:]) if row[2] == "processed" else None,
                tuple(Violation(**{**entry, "code": Code(entry["code"])}) for entry in row[3]),
                row[5],
            )
            for row in rows
        }

    def measurement_rows(self) -> dict[Key, MeasurementRow]:
        rows = self.query(
            "SELECT raw_id, item, measured_at, source, mean, std_dev, sample_count, min, max, unit, tags"
            " FROM measurements"
        )
        return {(row[2], row[3]): MeasurementRow(_measurement(row[2:]), row[0], row[1]) for row in rows}


def _measurement(columns: list[Any]) -> Measurement:
    measured_at, source, *aggregates, unit, tags = columns
    return Measurement(measured_at, source, Aggregates(*aggregates), unit, tags)


@contextmanager
def silver_in_postgres(server: Postgres) -> Iterator[SilverInPostgres]:
    """Open the tables, empty."""
    kept = _kept.get(server.port)
    with nullcontext(kept.like_new()) if kept else server.connect() as connection:
        connection.run("SET TimeZone TO 'UTC'")
        tables = SilverInPostgres(server, connection)
        tables.clear()
        yield tables
        for database in tables.opened:
            database.close()
