"""What `sam build` made, and what the built template says of each function.

SAM itself reads it, as `sam local` does, but for the variables: SAM gives up on a condition where one of the branches
is an attribute of a resource, which CloudFormation doesn't.
"""

import json
import logging
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dropzone_local.sam import PACKED, Builder, machine_architecture
from unit.template.intrinsics import Evaluator
from unit.template.loading import defaults, resources

PROJECT = Path(__file__).parents[2]
EVENTS = PROJECT / "events"

_PSEUDO_PARAMETERS = {"AWS::StackName": "dropzone", "AWS::Region": "eu-central-1", "AWS::AccountId": "123456789012"}


@dataclass(frozen=True, slots=True)
class Function:
    """One function, as the built template describes it."""

    name: str
    handler: str
    folder: Path
    layers: tuple[Path, ...]
    architectures: tuple[str, ...]
    memory: int
    timeout: int
    variables: Mapping[str, str]

    @property
    def module(self) -> str:
        """The handler's module."""
        return self.handler.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Artefacts:
    """A build of this test run's own, which nobody else's build takes away."""

    folder: Path
    architecture: str
    fingerprint: str

    @property
    def template(self) -> Path:
        """The built template."""
        return self.folder / "template.yaml"

    def functions(self, **parameters: str) -> Mapping[str, Function]:
        """Read the template, and the functions' variables with these parameters, which change nothing else of them.

        A reference to another resource reads as that one's name.
        """
        fixed = {"Architecture": self.architecture, "DatabaseHost": "127.0.0.1"}
        variables = _variables(self.template, fixed | parameters)
        return {
            entry.name: _function(entry, variables[entry.name])
            for entry in _read(self.template, frozenset(fixed.items()))
        }


def build_into(folder: Path, architecture: str | None = None) -> Artefacts:
    """Build the project as it is now, unless that was done before, and copy the result."""
    architecture = architecture or machine_architecture()
    foreign = architecture != machine_architecture()
    project = _copy_of_sources(PROJECT / ".aws-sam" / architecture) if foreign else PROJECT
    build = Builder(project, architecture=architecture).build()
    shutil.copytree(build.folder, folder, ignore=shutil.ignore_patterns(PACKED, ".lock"))
    return Artefacts(folder, architecture, build.fingerprint)


def _copy_of_sources(folder: Path) -> Path:
    """A project of its own: SAM throws away the dependencies of every other build of a project when it builds."""
    for name in ("template.yaml", "monitoring.yaml", "samconfig.toml"):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, folder)
    for name in ("functions", "layers"):
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@cache
def _read(template: Path, parameters: frozenset[tuple[str, str]]) -> list[Any]:
    """SAM's functions of a template, for which it takes a second."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SAM calls what it has deprecated itself
        logging.getLogger("samcli").setLevel(logging.WARNING)
        from samcli.lib.providers.sam_function_provider import (  # type: ignore[import-untyped]  # noqa: PLC0415 - it takes a second
            SamFunctionProvider,
        )
        from samcli.lib.providers.sam_stack_provider import (  # type: ignore[import-untyped]  # noqa: PLC0415
            SamLocalStackProvider,
        )

        stacks, _ = SamLocalStackProvider.get_stacks(str(template), parameter_overrides=dict(parameters))
        return list(SamFunctionProvider(stacks).get_all())


_parsed = cache(lambda template: json.loads(template.read_text(encoding="utf-8")))


def _variables(template: Path, parameters: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Every function's variables, as CloudFormation sets them."""
    document = _parsed(template)
    evaluator = Evaluator(document, {**_PSEUDO_PARAMETERS, **defaults(document), **parameters})
    common = document["Globals"]["Function"].get("Environment", {}).get("Variables", {})
    return {
        name: {key: str(evaluator.value(value)) for key, value in {**common, **own}.items()}
        for name, entry in resources(document, "AWS::Serverless::Function").items()
        for own in [entry["Properties"].get("Environment", {}).get("Variables", {})]
    }


def _function(entry: Any, variables: Mapping[str, str]) -> Function:  # noqa: ANN401 - SAM's own carries no types that hold
    return Function(
        name=entry.name,
        handler=entry.handler,
        folder=Path(entry.codeuri),
        layers=tuple(Path(layer.codeuri) for layer in entry.layers),
        architectures=tuple(entry.architectures),
        memory=int(entry.memory),
        timeout=int(entry.timeout),
        variables=variables,
    )
