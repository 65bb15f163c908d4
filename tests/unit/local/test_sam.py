from __future__ import annotations

import json
import subprocess
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from dropzone_local import sam
from dropzone_local.sam import Build, Builder, machine_architecture, pip_settings
from dropzone_local.stack import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


SOURCES = ["template.yaml", "monitoring.yaml", "functions/one/app.py", "layers/common/requirements.txt"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in SOURCES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return tmp_path


def fingerprint(project: Path, architecture: str = "x86_64") -> str:
    return Builder(project, architecture=architecture).fingerprint()


@pytest.mark.parametrize("name", SOURCES)
def test_a_change_of_a_source_asks_for_a_new_build(project: Path, name: str) -> None:
    before = fingerprint(project)

    (project / name).write_text("changed", encoding="utf-8")

    assert fingerprint(project) != before


def test_a_renamed_source_asks_for_a_new_build(project: Path) -> None:
    before = fingerprint(project)

    (project / "functions/one/app.py").rename(project / "functions/one/other.py")

    assert fingerprint(project) != before


@pytest.mark.parametrize(
    "name", ["functions/one/__pycache__/app.cpython-313.pyc", "functions/one/app.pyc", "README.md"]
)
def test_what_does_not_reach_the_build_asks_for_none(project: Path, name: str) -> None:
    before = fingerprint(project)

    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text("anything", encoding="utf-8")

    assert fingerprint(project) == before


def test_each_architecture_has_a_build_of_its_own(project: Path) -> None:
    assert fingerprint(project, "arm64") != fingerprint(project, "x86_64")


@pytest.mark.parametrize(("system", "machine"), [("linux", "x86_64"), ("darwin", "arm64")])
def test_pip_gets_a_platform_for_another_kind_of_machine(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str
) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)

    assert "manylinux_2_24_aarch64" in pip_settings("arm64")["PIP_PLATFORM"].split()
    assert (pip_settings("x86_64") == {}) is (system == "linux")


@pytest.mark.parametrize("machine", ["x86_64", "arm64"])
def test_pip_finds_a_wheel_of_each_package_for_another_machine(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    # GIVEN what pip takes for Lambda where it runs on another machine
    monkeypatch.setattr("platform.machine", lambda: "arm64" if machine == "x86_64" else "x86_64")
    given = pip_settings(machine)
    platforms = given["PIP_PLATFORM"].split()
    abis = [abi for abi in given["PIP_ABI"].split() if abi != "none"]
    taken = {*cpython_tags((3, 13), abis, platforms), *compatible_tags((3, 13), "cp313", platforms)}

    # WHEN it is asked for what the layer and the functions pin
    lock = tomllib.loads((PROJECT / "uv.lock").read_text(encoding="utf-8"))
    wheels = {
        f"{package['name']}=={package['version']}": [entry["url"].rpartition("/")[2] for entry in package["wheels"]]
        for package in lock["package"]
        if "wheels" in package
    }
    pinned = {
        line.split()[0]
        for file in [*PROJECT.glob("layers/*/requirements.txt"), *PROJECT.glob("functions/*/requirements.txt")]
        for line in file.read_text(encoding="utf-8").splitlines()
        if "==" in line
    }

    # THEN there is a wheel of each, and some are compiled
    assert {"obstore", "arro3-core", "sqlalchemy"} <= {pin.partition("==")[0] for pin in pinned}
    found = {pin for pin in pinned for wheel in wheels[pin] if parse_wheel_filename(wheel)[-1] & taken}
    assert pinned - found == set()


def build_of(project: Path, monkeypatch: pytest.MonkeyPatch, platform: str, *, for_host: bool) -> list[str]:
    """Build, and return the folders that pip was run for after SAM."""
    installed = []

    def run_sam(arguments: Sequence[str], **_others: object) -> None:
        folder = Path(arguments[arguments.index("--build-dir") + 1])
        for name in ("CommonLayer/python", "MigrateFunction", "WebFunction"):
            (folder / name).mkdir(parents=True)
            (folder / name / "requirements.txt").write_text("" if name == "WebFunction" else "pydantic==2.13.5\n")
        (folder / "template.yaml").touch()

    def run(command: Sequence[str], **_others: object) -> subprocess.CompletedProcess[str]:
        if "pip" in command:
            installed.append(Path(command[command.index("--target") + 1]).relative_to(unfinished).as_posix())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(sam, "_run_sam", run_sam)
    monkeypatch.setattr(sam, "find_python", lambda: Path("/usr/bin/python3.13"))
    monkeypatch.setattr("dropzone_local.sam.subprocess.run", run)
    builder = Builder(project, architecture="arm64", for_host=for_host)
    unfinished = builder.builds / "unfinished" / "build"
    builder.build()
    return installed


def test_on_a_mac_the_local_stack_has_the_macs_packages(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build_of(project, monkeypatch, "darwin", for_host=True) == ["MigrateFunction", "CommonLayer/python"]


@pytest.mark.parametrize(("platform", "for_host"), [("darwin", False), ("linux", True)])
def test_a_build_for_lambda_keeps_its_packages(
    project: Path, monkeypatch: pytest.MonkeyPatch, platform: str, *, for_host: bool
) -> None:
    assert build_of(project, monkeypatch, platform, for_host=for_host) == []


def test_a_macs_builds_for_itself_and_for_lambda_are_two(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert Builder(project).fingerprint() != Builder(project, for_host=True).fingerprint()


@pytest.mark.parametrize(("machine", "name"), [("x86_64", "x86_64"), ("aarch64", "arm64"), ("arm64", "arm64")])
def test_architectures_have_lambdas_names(monkeypatch: pytest.MonkeyPatch, machine: str, name: str) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)

    assert machine_architecture() == name


def test_a_deployment_asks_the_emulator_more_often_than_it_would_ask_aws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environments = []

    def run_sam(_arguments: Sequence[str], *, environment: Mapping[str, str], **_others: object) -> None:
        environments.append(environment)

    monkeypatch.setattr(sam, "_run_sam", run_sam)
    (tmp_path / "template.yaml").write_text('{"Resources": {}}', encoding="utf-8")

    sam.deploy(
        Build(tmp_path, "fingerprint", reused=True),
        project=tmp_path,
        endpoint="http://127.0.0.1:4566",
        stack="dropzone",
        parameters=tmp_path / "parameters.yaml",
        log=tmp_path / "log",
    )

    assert [float(environment["SAM_CLI_POLL_DELAY"]) < 1 for environment in environments] == [True]


def test_code_is_zipped_once_and_other_files_are_uploaded_as_they_are(tmp_path: Path) -> None:
    build = Build(tmp_path, "fingerprint", reused=True)
    for name in ("IngestFunction/handler.py", "CommonLayer/python/dropzone/api.py", "Monitoring.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    properties = {
        "Ingest": {"CodeUri": "IngestFunction"},
        "Layer": {"ContentUri": "CommonLayer"},
        "Monitoring": {"Location": "Monitoring.yaml"},
        "Queue": {},
    }
    resources = {name: {"Properties": value} for name, value in properties.items()}
    build.template.write_text(json.dumps({"Resources": resources}))

    template = sam.packed(build)
    made = template.stat().st_mtime_ns

    packed = json.loads(template.read_text())["Resources"]
    with zipfile.ZipFile(packed["Ingest"]["Properties"]["CodeUri"]) as ingest:
        assert ingest.read("handler.py") == b"IngestFunction/handler.py"
    with zipfile.ZipFile(packed["Layer"]["Properties"]["ContentUri"]) as layer:
        assert "python/dropzone/api.py" in layer.namelist()
    assert packed["Monitoring"]["Properties"] == {"Location": str(tmp_path / "Monitoring.yaml")}
    assert sam.packed(build).stat().st_mtime_ns == made
