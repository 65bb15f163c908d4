"""What the functions talk to: a stand-in for S3 and a real Postgres, started when first asked for, ended at the end."""

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Self
from uuid import UUID

from pg8000.native import Connection

from benchmarks.measuring import Clock
from benchmarks.workloads import BUCKET
from dropzone.adapters.database import Database, open_database
from dropzone.adapters.postgres_silver import PostgresSilver
from dropzone.adapters.s3 import S3Bronze
from dropzone.domain.identifiers import object_key
from dropzone_local.ports import LOOPBACK, find_free
from dropzone_local.postgres import Postgres
from dropzone_migrate.migrations import migrate
from support.postgres import PASSWORD, database_settings, migrate_settings

PROJECT = Path(__file__).parents[1]
REGION = "eu-central-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENGbPxRfiCY"}

_TABLES = "receipts, outcomes, measurements, gold.measured, gold.arrived, gold.measured_stale, gold.arrived_stale"


class StandIn:
    """The stand-in for S3, in a process of its own that ends with this one."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.stand_in"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - it is piped
        self.port = int(self._process.stdout.readline())

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def answer(self, body: bytes) -> None:
        """Set the answer to every key that was never put."""
        self._send("PUT", body)

    def store(self, objects: Iterable[tuple[UUID, bytes]]) -> None:
        lines = ((f"/{BUCKET}/{object_key(raw_id)} {len(body)}\n".encode(), body) for raw_id, body in objects)
        self._send("POST", b"".join(part for line in lines for part in line))

    def _send(self, verb: str, body: bytes) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, self.port)
        connection.request(verb, "/", body)
        connection.getresponse().read()
        connection.close()

    def stop(self) -> None:
        self._process.communicate()


class Surroundings:
    """Everything that is outside of the functions."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def folder(self) -> Path:
        """For files; removed at the end."""
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="dropzone-benchmarks-")))

    @cached_property
    def stand_in(self) -> StandIn:
        stand_in = StandIn()
        self._stack.callback(stand_in.stop)
        return stand_in

    def bronze(self) -> S3Bronze:
        """The adapter that reads and writes S3."""
        return S3Bronze(BUCKET, region=REGION, endpoint=self.stand_in.endpoint)

    @cached_property
    def postgres(self) -> Postgres:
        """A server as it comes, durable, with the tables in it."""
        server = Postgres(self.folder / "postgres", port=find_free(), password=PASSWORD, bound_to_parent=True)
        self._stack.callback(server.stop)
        server.start()
        migrate(migrate_settings(server))
        return server

    @cached_property
    def second_database(self) -> str:
        """The name of another database on the same server, with the same tables."""
        return self.new_database("second")

    def new_database(self, name: str) -> str:
        """Make one more; returns its name."""
        with self.postgres.connect("postgres") as connection:
            connection.run(f"CREATE DATABASE {name}")
        migrate(migrate_settings(self.postgres, database_name=name))
        return name

    @contextmanager
    def open(self, user: str = "dropzone_writer", database: str | None = None) -> Iterator[Database]:
        """A connection of a role of the functions, as theirs."""
        name = database or self.postgres.database
        settings = database_settings(self.postgres, database_name=name, database_user=user, call_seconds=300)
        with closing(open_database(settings)) as opened:
            yield opened

    @contextmanager
    def silver(self, database: str | None = None) -> Iterator[PostgresSilver]:
        """The adapter that the functions use, signed in as the writer."""
        with self.open(database=database) as opened:
            yield PostgresSilver(opened, retry_after=timedelta(seconds=60))

    @contextmanager
    def connect(self, database: str | None = None) -> Iterator[Connection]:
        """A connection of the superuser, who has all the time in the world."""
        with self.postgres.connect(database) as connection:
            connection._usock.settimeout(None)  # noqa: SLF001 - pg8000 offers no other way
            yield connection

    def empty_tables(self, database: str | None = None) -> None:
        """Make them as new."""
        with self.connect(database) as connection:
            connection.run(f"TRUNCATE {_TABLES} CASCADE")
            connection.run("CHECKPOINT")

    def variables(self, user: str = "dropzone_writer") -> dict[str, str]:
        """What the functions' environment says, but for Lambda's own."""
        return {
            **CREDENTIALS,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "BRONZE_BUCKET": BUCKET,
            "BRONZE_ENDPOINT_URL": self.stand_in.endpoint,
            "DATABASE_HOST": LOOPBACK,
            "DATABASE_PORT": str(self.postgres.port),
            "DATABASE_NAME": self.postgres.database,
            "DATABASE_USER": user,
            "DATABASE_AUTH": "password",
            "DATABASE_PASSWORD": PASSWORD,
            "DATABASE_TLS": "disable",
            "CALL_SECONDS": "60",
            "SWEEP_RETRY_SECONDS": "60",
            "MAX_RECEIVE_COUNT": "60",
            "SWEEP_MIN_AGE_SECONDS": "0",
            "MAX_BODY_BYTES": "4194304",
            "DEFAULT_SCOPES": "ingest,read,operate",
            "ROLE_AUTH": "password",
            "POWERTOOLS_LOG_LEVEL": "INFO",
            "POWERTOOLS_METRICS_NAMESPACE": "Dropzone",
            "PYDANTIC_DISABLE_PLUGINS": "__all__",
        }


def run_all(connection: Connection, statements: str, **values: object) -> None:
    """Run statements one after the other, each with those of the values that it names."""
    for statement in filter(None, map(str.strip, statements.split(";"))):
        connection.run(statement, **{name: value for name, value in values.items() if f":{name}" in statement})


def clock_of(connection: Connection | Database) -> Clock:
    """The processor's time of this process and of every server process that talks to it. Linux's alone."""
    rows = connection.run("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'") or []
    files = [Path(f"/proc/{pid}/schedstat") for (pid,) in rows]
    return lambda: time.process_time() + sum(int(file.read_text().split()[0]) for file in files) / 1e9


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Run with these variables beside those that are there."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def silence() -> Iterator[None]:
    """Let what is written to standard output go nowhere: the functions' logs and metrics."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
