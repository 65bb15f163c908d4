"""The SAM command line: build and deploy."""

import hashlib
import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dropzone_local import processes
from dropzone_local.environment import REGION, tool_environment
from dropzone_local.errors import LocalStackError
from dropzone_local.files import exclusive, write_json

CONFIG_ENVIRONMENT = "local"
PACKED = "packed"
"""The folder in a build with the files that a deployment to this machine uploads."""

_PYTHON = (3, 13)
# The platforms whose wheels the Lambda runtime of this Python (glibc 2.34) can load.
_WHEEL_PLATFORMS = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_24", "manylinux_2_17", "manylinux2014")
_SOURCES = ("template.yaml", "monitoring.yaml", "samconfig.toml", "functions", "layers")
_UPLOADED = {"CodeUri", "ContentUri", "Location"}
_NOT_SOURCE = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"})
_KEPT_BUILDS = 4
# By default, SAM polls CloudFormation every five seconds, which suits AWS.
_POLL_SECONDS = "0.5"
_ERROR_LINES = 40


@dataclass(frozen=True, slots=True)
class Build:
    """The result of `sam build` for one state of the sources; immutable."""

    folder: Path
    fingerprint: str
    # Whether it existed already.
    reused: bool

    @property
    def template(self) -> Path:
        return self.folder / "template.yaml"


class Builder:
    """Builds the project's template for one architecture; each state of the sources only once."""

    def __init__(
        self, project: Path, *, builds: Path | None = None, architecture: str | None = None, for_host: bool = False
    ) -> None:
        """Builds the sources of `project`; results are stored in `builds`, which several stacks may share.

        `for_host` is for functions that run on this machine: on macOS, the build can't be loaded by Lambda.
        """
        self.project = project
        self.builds = builds or project / ".aws-sam" / "local"
        self.architecture = architecture or machine_architecture()
        self._host = sys.platform if for_host and sys.platform != "linux" else ""

    def build(self, begin: Callable[[], None] = lambda: None) -> Build:
        """Return the build of the current sources; call `begin` first if it has to be made."""
        if not (self.project / "template.yaml").is_file():
            raise LocalStackError(f"There is no template.yaml in {self.project}.")
        fingerprint = self.fingerprint()
        folder = self.builds / fingerprint
        with exclusive(self.builds / ".lock"):
            reused = (folder / "template.yaml").exists()
            if not reused:
                begin()
                self._run(folder)
            folder.touch()
            self._prune()
        return Build(folder, fingerprint, reused)

    def fingerprint(self) -> str:
        """Return a digest of everything that affects the result of the build."""
        digest = hashlib.sha256()
        sam = importlib.metadata.version("aws-sam-cli")
        for fact in (self.architecture, sam, platform.python_version(), self._host):
            digest.update(fact.encode() + b"\0")
        for path in self._sources():
            content = path.read_bytes()
            digest.update(f"{path.relative_to(self.project)}\0{len(content)}\0".encode())
            digest.update(content)
        return digest.hexdigest()[:16]

    def _sources(self) -> Iterator[Path]:
        for name in _SOURCES:
            top = self.project / name
            if top.is_file():
                yield top
            for folder, folders, files in top.walk():
                folders[:] = sorted(name for name in folders if name not in _NOT_SOURCE)
                yield from (folder / name for name in sorted(files) if not name.endswith(".pyc"))

    def _run(self, folder: Path) -> None:
        python = find_python()
        # SAM stores the data of its cache next to its build folder, so the folder has the same name for all builds.
        unfinished = self.builds / "unfinished" / "build"
        shutil.rmtree(unfinished, ignore_errors=True)
        _run_sam(
            [
                "build",
                *("--config-env", CONFIG_ENVIRONMENT),
                *("--template-file", str(self.project / "template.yaml")),
                *("--build-dir", str(unfinished)),
                *("--cached", "--cache-dir", str(self.builds / "cache"), "--parallel"),
                *("--parameter-overrides", f"Architecture={self.architecture}"),
            ],
            cwd=self.project,
            environment=tool_environment(first_on_path=python.parent) | pip_settings(self.architecture),
            log=self.builds / "sam-build.log",
        )
        if self._host:
            _install_for_host(unfinished, python)
        _write_as_json(unfinished / "template.yaml")
        _compile(unfinished, python)
        unfinished.rename(folder)

    def _prune(self) -> None:
        builds = [path.parent for path in self.builds.glob("*/template.yaml")]
        for folder in sorted(builds, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT_BUILDS:]:
            shutil.rmtree(folder, ignore_errors=True)


def deploy(build: Build, *, project: Path, endpoint: str, stack: str, parameters: Path, log: Path) -> None:
    """Deploy the build to the emulator; return when the stack is deployed.

    The parameters are passed in a file, since SAM would split values on the command line at spaces.
    """
    config = project / "samconfig.toml"
    _run_sam(
        [
            "deploy",
            *(["--config-file", str(config), "--config-env", CONFIG_ENVIRONMENT] if config.exists() else []),
            # As JSON: SAM reads the uploaded template again, and YAML is slow.
            *("--template-file", str(packed(build)), "--use-json"),
            *("--stack-name", stack, "--region", REGION, "--resolve-s3", "--s3-prefix", stack),
            *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"),
            *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
            *("--parameter-overrides", f"file://{parameters}"),
        ],
        cwd=build.folder,
        environment=tool_environment(endpoint) | {"SAM_CLI_POLL_DELAY": _POLL_SECONDS},
        log=log,
    )


def packed(build: Build) -> Path:
    """Return the build's template with its code as zip files, which SAM would make again for each deployment."""
    folder = build.folder / PACKED
    template = folder / "template.yaml"
    with exclusive(build.folder / ".lock"):
        if not template.exists():
            folder.mkdir(exist_ok=True)
            content = json.loads(build.template.read_text(encoding="utf-8"))
            for resource in content["Resources"].values():
                properties = resource.get("Properties", {})
                for name in _UPLOADED & properties.keys():
                    properties[name] = str(_zipped(build.folder / properties[name], folder))
            write_json(template, content)  # JSON is YAML
    return template


def _zipped(code: Path, folder: Path) -> Path:
    """Return a zip file of a folder; a file is returned unchanged."""
    if code.is_file():
        return code
    file = folder / f"{code.name}.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(code.rglob("*")):
            archive.write(path, path.relative_to(code))
    return file


def _install_for_host(folder: Path, python: Path) -> None:
    """Replace the packages for Lambda, which runs Linux, by this machine's."""
    for requirements in sorted(folder.glob("*/requirements.txt")) + sorted(folder.glob("*/python/requirements.txt")):
        if not requirements.read_text(encoding="utf-8").strip():
            continue
        where = ["--target", str(requirements.parent), "--upgrade", "--requirement", str(requirements)]
        processes.run(
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *where],
            environment=tool_environment(),
            failure="The functions' packages could not be installed for this machine.",
        )


def machine_architecture() -> str:
    """Return Lambda's name of this machine's architecture."""
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"


def pip_settings(architecture: str) -> dict[str, str]:
    """Return the settings that pip needs to collect wheels for a machine other than this one.

    For the other architecture, and on macOS, SAM requests only three kinds of wheels from pip (glibc 2.17, 2.28 and
    2.34, and the ABI of one Python), and reports packages with others, such as obstore's abi3 wheel for glibc 2.24, as
    unavailable. Pip adds these settings to SAM's own.
    """
    if sys.platform == "linux" and architecture == machine_architecture():
        return {}
    machine = {"arm64": "aarch64"}.get(architecture, architecture)
    return {
        "PIP_ONLY_BINARY": ":all:",
        "PIP_PLATFORM": " ".join(f"{tag}_{machine}" for tag in _WHEEL_PLATFORMS),
        "PIP_ABI": f"cp{_PYTHON[0]}{_PYTHON[1]} abi3 none",
        "PIP_IMPLEMENTATION": "cp",
        "PIP_PYTHON_VERSION": f"{_PYTHON[0]}.{_PYTHON[1]}",
    }


def find_python() -> Path:
    """Return a Python 3.13 that has pip, for `sam build`.

    The current environment is tried first. If uv made it without a seed, it has no pip; then the interpreter that the
    environment was made from is tried, and those on the PATH.
    """
    on_path = (shutil.which(name) for name in ("python3.13", "python3", "python"))
    base: str | None = getattr(sys, "_base_executable", None)
    for candidate in (sys.executable, base, *on_path):
        if candidate and _has_pip(Path(candidate)):
            return Path(candidate)
    raise LocalStackError(
        "sam build needs Python 3.13 with pip, and none was found.",
        hint="Install Python 3.13 so that python3.13 is on the PATH, or run: make install",
    )


def _has_pip(python: Path) -> bool:
    # pyenv's shims exist, but fail, for versions that are not chosen, so the interpreter has to be run.
    probe = f"import sys, pip; sys.exit(sys.version_info[:2] != {_PYTHON})"
    try:
        done = subprocess.run([str(python), "-c", probe], capture_output=True, check=False, timeout=20)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _write_as_json(template: Path) -> None:
    """Rewrite the built template as JSON, which is also YAML: `sam deploy` reads it several times, and YAML is slow."""
    from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]  # noqa: PLC0415 - only a build needs it

    content = yaml_parse(template.read_text(encoding="utf-8"))
    template.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _compile(folder: Path, python: Path) -> None:
    """Add bytecode to each source.

    SAM leaves it out, and Lambda can't store what it compiles, so every cold start would compile every module again.
    The bytecode is not checked against the sources, since an archive has other modification times.
    """
    where = ["--invalidation-mode", "unchecked-hash", "-s", str(folder), "-j", "0", str(folder)]
    processes.run([str(python), "-m", "compileall", "-q", *where], failure="The build can't be compiled.")


def _run_sam(arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str], log: Path) -> None:
    sam = Path(sys.executable).with_name("sam")
    if not sam.exists():
        raise LocalStackError("The SAM command line is missing.", hint="Run: make install")
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(  # noqa: S603 - our own command line
            [str(sam), *arguments],
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
        output.write(f"\nsam {arguments[0]}: exit {done.returncode} after {time.monotonic() - started:.1f} s\n")
    if done.returncode != 0:
        raise LocalStackError(
            f"sam {arguments[0]} failed.", detail=_telling_lines(log), hint=f"The whole output: {log}"
        )


def _telling_lines(log: Path) -> str:
    """Return the end of SAM's output, which has its error, without blank lines."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join([line for line in lines if line.strip()][-_ERROR_LINES:])
