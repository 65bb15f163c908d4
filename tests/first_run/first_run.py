"""Try the first commands of the README on unusual machines: each works, or says what to do. See README.md here."""

from __future__ import annotations

import argparse
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PROJECT = Path(__file__).resolve().parents[2]
STEP_SECONDS = 540
# How this machine reaches the package index is not what is tried.
KEPT = re.compile(r"(PIP|UV|SSL|REQUESTS)_.*|.*_CA_BUNDLE|LANG", re.IGNORECASE)
NOTHING: Mapping[str, str] = MappingProxyType({})
NOT_KEPT = {"UV", "UV_PROJECT_ENVIRONMENT", "UV_RUN_RECURSION_DEPTH"}


class FailedError(Exception):
    """A command did something else than it should."""


@dataclass
class Machine:
    """A user, the tools on the PATH, and a folder for everything."""

    folder: Path
    user: int | None = None
    group: int | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path) -> Machine:
        """Take this machine as it is, and `nobody` in place of root."""
        machine = cls(folder)
        if os.geteuid() == 0:
            entry = pwd.getpwnam("nobody")
            machine.user, machine.group = entry.pw_uid, entry.pw_gid
        folder.chmod(0o755)
        tools = folder / "bin"
        tools.mkdir()
        machine.link(tools, "uv")
        python = machine.python(Path(sys.base_prefix), Path(getattr(sys, "_base_executable", sys.executable)))
        kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name) and name not in NOT_KEPT}
        machine.environment = kept | {
            "HOME": str(machine.own(folder / "home")),
            "PATH": f"{tools}:{python.parent}:/usr/bin:/bin",
            "UV_CACHE_DIR": str(machine.own(folder / "uv-cache")),
        }
        return machine

    def own(self, folder: Path) -> Path:
        """Make a folder of the user's."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.user is not None and self.group is not None:
            os.chown(folder, self.user, self.group)
        return folder

    @staticmethod
    def link(tools: Path, *names: str) -> None:
        """Put programs of this machine into a folder for the PATH."""
        for name in names:
            if found := shutil.which(name):
                (tools / name).symlink_to(Path(found).resolve())

    def python(self, prefix: Path, executable: Path) -> Path:
        """Return a Python that the user may run: a copy, where the one that is there is in root's home."""
        if self.user is None or not prefix.is_relative_to("/root"):
            return executable
        copy = self.folder / prefix.name
        shutil.copytree(prefix, copy, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "test"))
        old, new = f"{prefix}/lib".encode() + b"\0", f"{copy}/lib".encode() + b"\0"
        if len(new) > len(old):
            raise FailedError(f"{copy} is a longer name than {prefix}: choose a shorter TMPDIR.")
        for file in (copy / "bin" / executable.name, *copy.glob("lib/*.so*")):  # they name the library's folder
            if file.is_file() and not file.is_symlink():
                file.write_bytes(file.read_bytes().replace(old, new.ljust(len(old), b"\0")))
        return copy / "bin" / executable.name

    @cached_property
    def older_python(self) -> Path:
        """A Python 3.12 or 3.11 that the user may run."""
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        candidates = [
            shutil.which("python3.12"),
            *map(str, pyenv.glob("3.12*/bin/python3.12")),
            shutil.which("python3.11"),
        ]
        for name in filter(None, candidates):
            asked = "import sys; print(sys.base_prefix, sys.executable, sep='\\n')"
            ran = subprocess.run([name, "-c", asked], capture_output=True, text=True, check=False)
            if ran.returncode == 0:
                prefix, executable = map(Path, ran.stdout.split("\n")[:2])
                return self.python(prefix, executable)
        raise FailedError("There is neither Python 3.12 nor 3.11 here to try it with.")

    def run(
        self, command: list[str], folder: Path, environment: Mapping[str, str] = NOTHING, *, umask: int = 0o022
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the user."""
        return subprocess.run(
            command,
            cwd=folder,
            env={**self.environment, **environment},
            user=self.user,
            group=self.group,
            extra_groups=None if self.user is None else [],
            umask=umask,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=STEP_SECONDS,
            check=False,
        )

    def clone(self, name: str) -> Clone:
        """Clone the project, as it is committed."""
        folder = self.folder / "mit Blank und ü" / name
        if not folder.exists():
            self.own(folder.parent)
            # As root, who owns the project; then it is the user's.
            git = ["git", "-c", f"safe.directory={PROJECT}/.git", "clone", "--quiet", str(PROJECT), str(folder)]
            subprocess.run(git, check=True)
            for path in (folder, *folder.rglob("*")):
                if self.user is not None and self.group is not None:
                    os.chown(path, self.user, self.group, follow_symlinks=False)
        return Clone(self, folder)


@dataclass
class Clone:
    """A clone of the project."""

    machine: Machine
    folder: Path

    def make(self, target: str, environment: Mapping[str, str] = NOTHING, *, umask: int = 0o022) -> str:
        """Run a target, which works."""
        ran = self.machine.run(["make", target], self.folder, environment, umask=umask)
        if ran.returncode:
            raise FailedError(f"make {target} ended with {ran.returncode}:\n{ran.stdout[-2_000:]}{ran.stderr[-4_000:]}")
        return ran.stdout

    def refuses(self, target: str, word: str, environment: Mapping[str, str]) -> None:
        """Run a target, which can't work, and says what to do in its last words."""
        ran = self.machine.run(["make", target], self.folder, environment)
        said = [line for line in ran.stderr.splitlines() if line.strip() and not line.startswith("make: ***")]
        last = " ".join(said[-2:])
        if ran.returncode == 0 or "Traceback" in ran.stderr or word not in last:
            raise FailedError(f"make {target} ended with {ran.returncode}, and said:\n{ran.stderr[-4_000:]}")

    def first_run(self, environment: Mapping[str, str] = NOTHING, *, umask: int = 0o022) -> None:
        """Start the stack, send the demo's day, and end it."""
        try:
            self.make("up", environment, umask=umask)
            said = self.make("demo", {**environment, "ARGS": "--no-live"}, umask=umask)
            if not re.search(r"Sent \d+ events", said):
                raise FailedError(f"make demo said:\n{said[-2_000:]}")
            self.make("status", environment, umask=umask)
        finally:
            down = self.machine.run(["make", "down"], self.folder, environment)
        if "The local stack is down" not in down.stdout:
            raise FailedError(f"make down said:\n{down.stdout}{down.stderr}")
        left = self.machine.run(["make", "status"], self.folder, environment)
        if left.returncode == 0:
            raise FailedError("make down left the stack up.")


def another_user(machine: Machine) -> None:
    """As nobody, in a path with a blank and ü; before that, what needs no installation."""
    clone = machine.clone("one")
    for target in ("help", "down", "status", "clean"):
        clone.make(target)
    clone.first_run()


def umask(machine: Machine) -> None:
    """With umask 077."""
    machine.clone("one").first_run(umask=0o077)


def read_only_home(machine: Machine) -> None:
    """With a HOME that can't be written."""
    home = machine.folder / "read-only-home"
    home.mkdir(mode=0o555)
    environment = dict(machine.environment)
    machine.environment.pop("UV_CACHE_DIR")
    try:
        clone = machine.clone("one")
        clone.make("install", {"HOME": str(home)})
        clone.first_run({"HOME": str(home)})
        shutil.rmtree(clone.folder / ".uv" / "cache", ignore_errors=True)
    finally:
        machine.environment = environment


def tmpdir(machine: Machine) -> None:
    """With TMPDIR elsewhere, in a path with a blank."""
    machine.clone("one").first_run({"TMPDIR": str(machine.own(machine.folder / "tmp dir"))})


def aws_settings(machine: Machine) -> None:
    """With AWS_PROFILE and AWS_ENDPOINT_URL of another account."""
    settings = {"AWS_PROFILE": "production", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "eu-west-1"}
    machine.clone("one").first_run(settings)


def dead_proxy(machine: Machine) -> None:
    """Behind a dead proxy: a first installation says so, and what is installed works."""
    dead = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), "http://127.0.0.1:9")
    machine.clone("one").first_run(dead)
    empty = {"UV_CACHE_DIR": str(machine.own(machine.folder / "empty-cache")), "UV_HTTP_RETRIES": "0"}
    machine.clone("offline").refuses("up", "package index", dead | empty)


def ports(machine: Machine) -> None:
    """With its port taken: one of last time is replaced, one that was asked for is an error."""
    clone = machine.clone("one")
    settings = clone.folder / ".local" / "settings.json"
    if not settings.exists():
        clone.first_run()
    port = int(re.findall(r'"emulator_port": (\d+)', settings.read_text())[0])
    with _taken(port):
        clone.first_run()
        clone.refuses("up", "free one", {"DROPZONE_PORT": str(port)})


@contextmanager
def _taken(port: int) -> Iterator[None]:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the server that had it has just ended
        taken.bind(("127.0.0.1", port))
        taken.listen()
        yield


def two_clones(machine: Machine) -> None:
    """Two clones at once."""
    clones = [machine.clone("one"), machine.clone("two")]
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(clone.first_run) for clone in clones]:
            done.result()


def older_python(machine: Machine) -> None:
    """With a Python before 3.13 alone, and no uv: 3.13 is fetched, or the last words say what is missing."""
    tools = machine.folder / "older-bin"
    tools.mkdir()
    coreutils = [path.name for path in Path("/usr/bin").iterdir() if not path.name.startswith(("python", "uv", "pip"))]
    machine.link(tools, *coreutils)
    clone = machine.clone("older")
    environment = {"PATH": f"{tools}:{machine.older_python.parent}", "UV_HTTP_RETRIES": "0"}
    if machine.run(["make", "install"], clone.folder, environment).returncode == 0:
        clone.first_run(environment)
    else:
        clone.refuses("up", "Python 3.13", environment)
    clone.make("down", environment)


def command_line_alone(machine: Machine) -> None:
    """The command line by itself, on Python 3.11 or 3.12: uv tool install ./cli."""
    clone = machine.clone("one")
    places = {f"UV_TOOL_{name}DIR": str(machine.own(machine.folder / f"tools{name}")) for name in ("", "BIN_")}
    install = ["uv", "tool", "install", "--quiet", "--python", str(machine.older_python), "./cli"]
    for command in (
        install,
        [f"{places['UV_TOOL_BIN_DIR']}/dropzone", "--version"],
        [f"{places['UV_TOOL_BIN_DIR']}/dropzone", "send", "--dry-run", "events/readings.csv"],
    ):
        ran = machine.run(command, clone.folder, places)
        if ran.returncode:
            raise FailedError(f"{command} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")


SCENARIOS: dict[str, Callable[[Machine], None]] = {
    scenario.__name__: scenario
    for scenario in (
        another_user,
        umask,
        read_only_home,
        tmpdir,
        aws_settings,
        dead_proxy,
        ports,
        two_clones,
        older_python,
        command_line_alone,
    )
}


def main() -> int:
    """Run the scenarios, and return 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="some of the scenarios")
    parser.add_argument("--list", action="store_true", help="name all")
    arguments = parser.parse_args()
    if arguments.list:
        for name, scenario in SCENARIOS.items():
            print(f"{name:<20} {scenario.__doc__}")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="fr"))
    machine = Machine.make(folder)
    failed = 0
    for name in arguments.names or SCENARIOS:
        started = time.monotonic()
        try:
            SCENARIOS[name](machine)
        except (FailedError, OSError, subprocess.SubprocessError) as error:
            failed += 1
            print(f"FAILED {name}: {error}", flush=True)
        else:
            print(f"ok {time.monotonic() - started:6.0f} s  {name}: {SCENARIOS[name].__doc__}", flush=True)
    if failed:
        print(f"Everything is kept in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
