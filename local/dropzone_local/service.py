"""A server run by a supervisor: start, stop, kill, and find it again from another process."""

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

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_START_SECONDS = 60.0
_READY_SECONDS = 60.0
# In addition to the supervisor's own grace period: it needs some time to end what is left.
_MARGIN = 10.0
_LOG_TAIL_LINES = 15


@dataclass(slots=True)
class Service:
    """A server process of the stack, recorded in a state file in the stack's directory."""

    name: str
    state_file: Path
    log_file: Path
    bound_to_parent: bool
    stop_signal: str = "SIGTERM"
    grace: float = 20.0
    _started: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def spawn(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the server; return when its process exists, which is before it is ready."""
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
        """Wait until the server answers, or has ended; return whether it is running and answers."""

        def ready_or_dead() -> bool | None:
            return True if answers() or not self.running else None

        wait_until(ready_or_dead, seconds=_READY_SECONDS, every=every)
        return self.running and answers()

    @property
    def supervisor(self) -> psutil.Process | None:
        """The supervisor's process, if it is running."""
        return processes.find(read_json(self.state_file).get("supervisor"))

    @property
    def server(self) -> psutil.Process | None:
        """The server's process, if it is running."""
        return processes.find(read_json(self.state_file).get("server"))

    @property
    def running(self) -> bool:
        return self.server is not None

    def processes(self) -> list[psutil.Process]:
        """Return all running processes of this service: supervisor, server, and the server's descendants."""
        return list({*processes.tree(self.supervisor), *processes.tree(self.server)})

    def adopt(self, server: psutil.Process) -> None:
        """Take over one of our servers whose supervisor and state file are gone."""
        write_json(self.state_file, {"server": processes.identity(server)})

    def stop(self) -> None:
        """Stop the server and its descendants, if they are running."""
        started = self.processes()
        processes.end(self.supervisor, grace=self.grace + _MARGIN)
        processes.end(self.server, grace=self.grace)  # if the supervisor was killed
        processes.kill(process for process in started if process.is_running())
        self._forget()

    def kill(self) -> None:
        """Kill the server with SIGKILL, like a crash, and wait until all its processes are gone."""
        if server := self.server:
            processes.kill([server])
        wait_until(lambda: self.supervisor is None, seconds=_MARGIN)
        self._forget()

    def failure(self, what: str) -> LocalStackError:
        """Return an error with the end of the server's log."""
        log = self.log_file.read_text(encoding="utf-8", errors="replace") if self.log_file.exists() else ""
        detail = "\n".join(log.splitlines()[-_LOG_TAIL_LINES:])
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
