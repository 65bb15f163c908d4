"""MiniStack, the AWS emulator, in its own Python environment, on the loopback interface only."""

import hashlib
import os
import shutil
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from dropzone_local import processes
from dropzone_local.environment import ACCESS_KEY, REGION, SECRET_KEY, bare_environment, tool_environment
from dropzone_local.errors import LocalStackError
from dropzone_local.files import exclusive
from dropzone_local.ports import LOOPBACK
from dropzone_local.service import Service

ACCOUNT = "000000000000"

_PROGRAM = Path(__file__).parents[1] / "dropzone_emulator" / "__main__.py"
_HEALTH_SECONDS = 2.0
_SAVE_SECONDS = 60.0
_SAVE_PATH = "/_dropzone/save"
"""The path in dropzone_emulator, which this environment can't import."""
# httpx would load the certificates of all authorities for each request, which takes longer than the response.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Emulator:
    """An emulator; its state under `directory` is kept after it ends."""

    def __init__(
        self,
        directory: Path,
        *,
        port: int,
        project: Path,
        bound_to_parent: bool = False,
        enforce_iam: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """The emulator of `project`, not started yet.

        If IAM is not enforced, any credentials are accepted. The functions have `variables` in their environment.
        """
        self.directory = directory
        self.port = port
        self._project = project
        self._enforce_iam = enforce_iam
        self._variables = variables or {}
        self._temporary = directory / "tmp"
        self.state = directory / "state"
        self.objects = directory / "objects"
        self.service = Service(
            name="The AWS emulator",
            state_file=directory / "process.json",
            log_file=directory / "emulator.log",
            bound_to_parent=bound_to_parent,
        )

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def healthy(self) -> bool:
        return self.service.running and self._answers()

    def start(self) -> None:
        """Start the emulator with its last state, and wait until it is ready."""
        python = ensure_environment(self._project)
        shutil.rmtree(self._temporary, ignore_errors=True)
        for folder in (self._temporary, self.state, self.objects):
            folder.mkdir(parents=True, exist_ok=True)
        self._move_state_to_port()
        self.service.spawn([str(python), "-P", str(_PROGRAM)], self._environment())
        if not self.service.wait_ready(self._answers, every=0.05):
            failure = self.service.failure("did not become ready")
            self.stop()
            raise failure

    def save(self) -> None:
        """Have the emulator write its state, which it has again after a crash."""
        httpx.post(
            f"{self.endpoint}{_SAVE_PATH}", timeout=_SAVE_SECONDS, trust_env=False, verify=_NO_TLS
        ).raise_for_status()

    def stop(self) -> None:
        """Stop the emulator gracefully: it writes its state."""
        self.service.stop()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def kill(self) -> None:
        """Kill the emulator, like a crash: unwritten state is lost, objects are not."""
        self.service.kill()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def restart(self) -> None:
        self.stop()
        self.start()

    def forget(self) -> None:
        """Delete everything on disk: state and objects. The emulator must not be running."""
        for folder in (self.state, self.objects):
            shutil.rmtree(folder, ignore_errors=True)

    def _move_state_to_port(self) -> None:
        """Change the port in the last state to the current one: the emulator finds no queue under another URL."""
        stamp = self.directory / "state-port"
        now = f"{LOOPBACK}:{self.port}"
        before = stamp.read_text(encoding="utf-8") if stamp.exists() else now
        if before != now:
            for path in self.state.glob("*.json"):
                content = path.read_text(encoding="utf-8")
                if before in content:
                    path.write_text(content.replace(before, now), encoding="utf-8")
        stamp.write_text(now, encoding="utf-8")

    def _environment(self) -> dict[str, str]:
        return bare_environment(self.directory) | {
            **self._variables,
            "AUTH": str(self._enforce_iam).lower(),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "BIND_HOST": LOOPBACK,
            "DOCKER_HOST": f"unix://{self.directory / 'no-docker.sock'}",  # never look for containers
            "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            "MINISTACK_HOST": LOOPBACK,
            "MINISTACK_REGION": REGION,
            "PERSIST_STATE": "1",
            "PYTHONUNBUFFERED": "1",
            "S3_DATA_DIR": str(self.objects),
            "S3_PERSIST": "1",
            "SFTP_ENABLED": "0",
            "STATE_DIR": str(self.state),
            "TMPDIR": str(self._temporary),
        }

    def _answers(self) -> bool:
        return answers(f"{self.endpoint}/_ministack/ready", _HEALTH_SECONDS)


def answers(url: str, seconds: float) -> bool:
    """Whether a server on this machine responds with success in time."""
    try:
        return httpx.get(url, timeout=seconds, trust_env=False, verify=_NO_TLS).is_success
    except httpx.HTTPError:
        return False


def ensure_environment(project: Path) -> Path:
    """Return the interpreter of the emulator's environment, which is created or updated from its lock if needed."""
    home = project / "local" / "emulator"
    venv = home / ".venv"
    python = venv / "bin" / "python"
    wanted = hashlib.sha256((home / "uv.lock").read_bytes()).hexdigest()
    stamp = venv / "dropzone.lock.sha256"

    def current() -> bool:
        return python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted

    if current():
        return python
    with exclusive(home / ".sync.lock"):
        if not current():
            _sync(home, find_uv(project))
            stamp.write_text(wanted, encoding="utf-8")
    return python


def find_uv(project: Path) -> Path:
    """Return uv: the one that runs this process, the one on the PATH, or the one that the Makefile installed."""
    candidates = (os.environ.get("UV"), shutil.which("uv"), str(project / ".uv" / "bin" / "uv"))
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return Path(candidate)
    raise LocalStackError("uv is missing.", hint="Run: make install")


def _sync(home: Path, uv: Path) -> None:
    environment = tool_environment()
    environment.pop("UV_PROJECT_ENVIRONMENT", None)
    processes.run(
        [str(uv), "sync", "--project", str(home), "--locked", "--quiet", "--python", sys.executable],
        environment=environment,
        failure="The emulator's Python environment could not be made.",
        hint="It needs the package index: check the network, and the proxy (HTTPS_PROXY).",
    )
