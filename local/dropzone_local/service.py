"""A server under a supervisor: start, stop, kill, and find it again from another process."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from dropzone_local import processes
from dropzone_local.errors import LocalStackError
from dropzone_local.files import read_json, write_json
from dropzone_local.polling import wait_until
from dropzone_local.processes import Identity

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_START_SECONDS = 60.0
_READY_SECONDS = 60.0
# Beyond the supervisor's own grace: it needs some time to end what is left.
_MARGIN = 10.0
_LOG_TAIL_LINES = 15


@dataclass(slots=True)
class Service:
    """One server process of the stack, known by a state file in the stack's directory."""

    name: str
    state_file: Path
    log_file: Path
    bound_to_parent: bool
    stop_signal: str = "SIGTERM"
    grace: float = 20.0
    _started: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def spawn(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the server; return once its process exists, not when it is ready."""
        self.state_file.parent.mkdir(parents=True, exist_ok=True)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self.state_file.unlink(missing_ok=True)
        supervised = [
            *(sys.executable, "-P", str(_SUPERVISOR)),
            *("--state", str(self.state_file), "--stop-signal", self.stop_signal, "--grace", str(self.grace)),
            *(["--bound-to-parent"] if self.bound_to_parent else []),
            "--",
            *command,
        ]
        with self.log_file.open("ab") as log:
            supervisor = subprocess.Popen(  # noqa: S603 - our own command line
                supervised,
                env=dict(environment),
                stdin=subprocess.PIPE if self.bound_to_parent else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started = supervisor
        born = wait_until(
            lambda: self.state_file.exists() or supervisor.poll() is not None, seconds=_START_SECONDS, every=0.01
        )
        if not born or not self.state_file.exists():
            self.stop()
            raise self.failure("could not be started")

    def wait_ready(self, answers: Callable[[], bool], *, every: float) -> bool:
        """Wait until the server answers, or has ended; whether it runs and answers."""

        def ready_or_dead() -> bool | None:
            return True if answers() or not self.running else None

        wait_until(ready_or_dead, seconds=_READY_SECONDS, every=every)
        return self.running and answers()

    @property
    def supervisor(self) -> Identity | None:
        """The supervisor's process, as the state file names it."""
        return Identity.parse(read_json(self.state_file).get("supervisor"))

    @property
    def server(self) -> Identity | None:
        """The server's process, as the state file names it."""
        return Identity.parse(read_json(self.state_file).get("server"))

    @property
    def running(self) -> bool:
        return self.server is not None and self.server.alive

    def processes(self) -> list[psutil.Process]:
        """Return every living process of this service: supervisor, server, and what the server started."""
        found: dict[int, psutil.Process] = {}
        for identity in (self.supervisor, self.server):
            if identity is not None:
                found |= {process.pid: process for process in identity.tree()}
        return list(found.values())

    def adopt(self, server: Identity) -> None:
        """Take over a server of ours whose supervisor and state file are gone."""
        write_json(self.state_file, {"server": server.document()})

    def stop(self) -> None:
        """End the server, with whatever it started; nothing happens when nothing runs."""
        started = self.processes()
        supervisor, server = self.supervisor, self.server
        if supervisor is not None:
            processes.end(supervisor.process(), grace=self.grace + _MARGIN)
        if server is not None:  # the supervisor was killed, or half of the service is dead
            processes.end(server.process(), grace=self.grace)
        processes.kill(process for process in started if process.is_running())
        self._forget()

    def kill(self) -> None:
        """Kill the server with SIGKILL, as a crash would, and wait until all of it is gone."""
        server, supervisor = self.server, self.supervisor
        if server is not None:
            process = server.process()
            processes.kill([process] if process is not None else [])
        if supervisor is not None:
            wait_until(lambda: not supervisor.alive, seconds=_MARGIN)
        self._forget()

    def failure(self, what: str) -> LocalStackError:
        """Return an error that shows the end of the server's log."""
        detail = tail(self.log_file, _LOG_TAIL_LINES)
        return LocalStackError(f"{self.name} {what}.", hint=f"Its log: {self.log_file}", detail=detail)

    def _forget(self) -> None:
        started, self._started = self._started, None
        if started is not None:
            if started.stdin is not None:
                started.stdin.close()
            if started.poll() is None:
                started.terminate()
            started.wait(timeout=self.grace + _MARGIN)
        self.state_file.unlink(missing_ok=True)


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a log; nothing when there is none."""
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
