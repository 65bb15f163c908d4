"""What is in the artefacts: what their requirements name, of the versions in the lock, and our own packages."""

import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Mapping
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from artefact.build import PROJECT, Artefacts, build_into
from dropzone_local.sam import Builder, machine_architecture
from support.findings import show

LARGEST_LAYER = 40_000_000

# By artefact: where the source is, and the only packages of ours.
OURS = {
    "CommonLayer": ("layers/common", "dropzone"),
    "IngestFunction": ("functions/ingest", "dropzone_ingest"),
    "ProcessFunction": ("functions/process", "dropzone_process"),
    "SweepFunction": ("functions/process", "dropzone_process"),
    "NotifyFunction": ("functions/process", "dropzone_process"),
    "ReplayFunction": ("functions/process", "dropzone_process"),
    "QueryFunction": ("functions/query", "dropzone_query"),
    "WebFunction": ("functions/web", "dropzone_web"),
    "ArchiveFunction": ("functions/archive", "dropzone_archive"),
    "MigrateFunction": ("functions/migrate", "dropzone_migrate"),
}
NEVER = {
    "boto3",
    "botocore",
    "awslambdaric",
    "aws-sam-cli",
    "cfn-lint",
    "hypothesis",
    "moto",
    "mypy",
    "pip",
    "pytest",
    "ruff",
    "setuptools",
}
HEADER_BYTES, NEVER_COMPARED = 16, 0b01
"""Of bytecode (PEP 552): by the hash of its source, which Python doesn't compute again."""

MACHINES = {"x86_64": 62, "arm64": 183}
"""By architecture: the number in an ELF header (EM_X86_64, EM_AARCH64)."""

_NOT_FOR_LAMBDA = re.compile(
    r"tests?|docs?|examples?|\.git|\.pytest_cache|node_modules"
    r"|conftest\.py|test_.*\.py|.*_test\.py|.*\.(rst|ipynb)|README.*|Makefile|pyproject\.toml|uv\.lock"
)
# Wheels are taken as they come; these bring what their users' tests can use.
_BROUGHT_BY_WHEELS = ("annotated_types/test_cases.py", "sqlalchemy/testing/", "alembic/testing/", "alembic/templates/")


# For the other architecture all is built once more; tests/unit/local/test_sam.py asks whether its wheels are there.
@pytest.fixture(
    params=[pytest.param(name, marks=[] if name == machine_architecture() else pytest.mark.weekly) for name in MACHINES]
)
def built(request: pytest.FixtureRequest, artefacts: Artefacts, tmp_path_factory: pytest.TempPathFactory) -> Artefacts:
    """The build for one of the architectures: this machine's, and the other one."""
    if request.param == artefacts.architecture:
        return artefacts
    return build_into(tmp_path_factory.mktemp(request.param) / "build", request.param)


def contents(artefacts: Artefacts, name: str) -> Path:
    """The folder that Lambda gets to import from."""
    return artefacts.folder / name / "python" if name == "CommonLayer" else artefacts.folder / name


def distributions(folder: Path) -> dict[str, Path]:
    return {path.name.removesuffix(".dist-info"): path for path in folder.glob("*.dist-info")}


def installed(folder: Path) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for path in distributions(folder).values():
        metadata = Parser().parsestr((path / "METADATA").read_text(encoding="utf-8"))
        found[canonicalize_name(metadata["Name"])] = str(metadata["Version"])
    return found


def pinned(requirements: Path) -> Mapping[str, str]:
    lines = requirements.read_text(encoding="utf-8").splitlines()
    pins = (line.partition("==") for line in lines if line.strip() and not line.lstrip().startswith("#"))
    return {canonicalize_name(name): version for name, _, version in pins}


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_the_build_holds_the_layer_and_the_functions(artefacts: Artefacts) -> None:
    assert {path.name for path in artefacts.folder.iterdir()} == {*OURS, "MonitoringStack", "template.yaml"}
    assert {path.name for path in (artefacts.folder / "CommonLayer").iterdir()} == {"python"}
    assert "Resources" in json.loads(artefacts.template.read_text())  # JSON, which SAM reads ten times as fast as YAML


@pytest.mark.parametrize("name", OURS)
def test_an_artefact_holds_what_its_requirements_pin(artefacts: Artefacts, name: str) -> None:
    source, _ = OURS[name]
    found = installed(contents(artefacts, name))

    assert found == pinned(PROJECT / source / "requirements.txt")
    assert not found.keys() & NEVER


@pytest.mark.parametrize("name", OURS)
def test_an_artefact_s_top_level_is_known(artefacts: Artefacts, name: str) -> None:
    _, package = OURS[name]
    folder = contents(artefacts, name)
    theirs = {
        line.partition(",")[0].partition("/")[0]
        for path in distributions(folder).values()
        for line in (path / "RECORD").read_text(encoding="utf-8").splitlines()
    }

    own = {path.name for path in folder.iterdir()} - theirs
    assert own - {"__pycache__"} == {package, "requirements.txt"}


def test_migrate_s_artefact_holds_the_schema_s_statements(artefacts: Artefacts) -> None:
    package = Path("dropzone_migrate", "sql")
    ours = PROJECT / "functions" / "migrate" / package
    theirs = contents(artefacts, "MigrateFunction") / package

    statements = {path.name: path.read_bytes() for path in ours.iterdir()}
    assert {path.name: path.read_bytes() for path in theirs.iterdir()} == statements
    assert statements


@pytest.mark.parametrize("name", OURS)
def test_an_artefact_holds_no_test_and_no_document(artefacts: Artefacts, name: str) -> None:
    folder = contents(artefacts, name)
    found = [str(path.relative_to(folder)) for path in folder.rglob("*") if _NOT_FOR_LAMBDA.fullmatch(path.name)]

    assert [path for path in found if not path.startswith(_BROUGHT_BY_WHEELS)] == []


@pytest.mark.parametrize("name", OURS)
def test_an_artefact_brings_the_bytecode_of_its_sources(artefacts: Artefacts, name: str) -> None:
    folder = contents(artefacts, name)
    sources = [path for path in folder.rglob("*.py") if path.stem.isidentifier()]
    compiled = set(folder.rglob("*.pyc"))

    assert {Path(importlib.util.cache_from_source(str(path))) for path in sources} <= compiled
    for source in sources:
        header = Path(importlib.util.cache_from_source(str(source))).read_bytes()[:HEADER_BYTES]
        assert header[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(header[4:8], "little") == NEVER_COMPARED
        assert header[8:] == importlib.util.source_hash(source.read_bytes())


@pytest.mark.parametrize("name", OURS)
def test_an_artefact_holds_our_packages_as_they_are(artefacts: Artefacts, name: str) -> None:
    source, package = OURS[name]
    origin, copy = PROJECT / source / package, contents(artefacts, name) / package
    if Builder(PROJECT).fingerprint() != artefacts.fingerprint:
        pytest.skip("the sources have changed since they were built")

    def sources(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in files(folder)
            if "__pycache__" not in path.parts
        }

    assert sources(copy) == sources(origin)


def test_sizes(
    artefacts: Artefacts, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    sizes = {name: sum(path.stat().st_size for path in files(artefacts.folder / name)) for name in OURS}

    lines = [f"{name:<30} {size / 1e6:6.2f} MB" for name, size in sizes.items()]
    show(request.node, "sizes of the artefacts, unzipped", lines)
    for name, size in sizes.items():
        record_property(f"{name} bytes", size)
    assert sizes["CommonLayer"] < LARGEST_LAYER
    # Lambda's limit is 250 MB of function and layers, unzipped.
    assert all(size + sizes["CommonLayer"] < 100_000_000 for size in sizes.values())


def test_compiled_files_are_for_the_architecture(built: Artefacts) -> None:
    compiled = {path: header for path in files(built.folder) if (header := elf_header(path)) is not None}

    machines = {str(path): int.from_bytes(header[18:20], "little") for path, header in compiled.items()}
    assert {path: machine for path, machine in machines.items() if machine != MACHINES[built.architecture]} == {}
    assert {"obstore", "pydantic_core"} <= {path.parent.name for path in compiled}
    assert all(function.architectures == (built.architecture,) for function in built.functions().values())


def elf_header(path: Path) -> bytes | None:
    with path.open("rb") as file:
        header = file.read(20)
    return header if header.startswith(b"\x7fELF") else None
