"""A Python that sees what Lambda's has: the standard library, boto3 and the runtime client, and nothing else."""

import importlib.metadata
import json
import os
import subprocess
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from artefact.build import Function

_BROUGHT_BY_LAMBDA = ("awslambdaric", "boto3")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An environment without packages, and a folder in place of Lambda's /var/runtime."""

    python: Path
    runtime: Path
    bytecode: Path

    def variables(self, function: Function) -> dict[str, str]:
        """What makes it see the function and its layers, in Lambda's order: before what the runtime brings.

        Bytecode goes elsewhere: on Lambda these folders can't be written to, and here they are to stay as they are.
        """
        return {"PYTHONPATH": self._path(function), "PYTHONPYCACHEPREFIX": str(self.bytecode)}

    def _path(self, function: Function) -> str:
        layers = [layer / "python" for layer in function.layers]
        return os.pathsep.join(map(str, [function.folder, *layers, self.runtime]))

    def tell(self, function: Function, program: str) -> dict[str, Any]:
        """Run a program where the function runs, without any variable of it, and return the JSON that it prints."""
        done = subprocess.run(  # noqa: S603 - our own command line
            [str(self.python), "-c", program],
            cwd=function.folder,
            env=self.variables(function),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        printed: dict[str, Any] = json.loads(done.stdout)
        return printed


def make_interpreter(folder: Path) -> Interpreter:
    """Make one, with links to the distributions that it needs, of the versions in the lock."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder / "python")
    runtime = folder / "runtime"
    runtime.mkdir()
    for distribution in _closure(_BROUGHT_BY_LAMBDA).values():
        for top in _tops(distribution):
            (runtime / top.name).symlink_to(top)
    return Interpreter(folder / "python" / "bin" / "python", runtime, folder / "bytecode")


def _closure(names: tuple[str, ...]) -> Mapping[str, importlib.metadata.Distribution]:
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found[name] = importlib.metadata.distribution(name)
        requirements = map(Requirement, found[name].requires or ())
        waiting += [one.name for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


def _tops(distribution: importlib.metadata.Distribution) -> set[Path]:
    """The files and folders of a distribution that lie in site-packages itself."""
    site = Path(str(distribution.locate_file("")))
    names = {Path(file).parts[0] for file in distribution.files or () if Path(file).parts[0] != ".."}
    return {site / name for name in names if name != "__pycache__"}
