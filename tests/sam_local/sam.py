"""The commands `sam local invoke` and `sam local start-api`, on a copy of the build."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped] # comes with SAM's CLI

from artefact.build import Artefacts
from artefact.samples import BUCKET
from dropzone_local.environment import tool_environment
from dropzone_local.polling import wait_until
from dropzone_local.ports import LOOPBACK, find_free, is_free
from dropzone_local.service import Service

REGION: Final = "eu-central-1"

_INVOKE_SECONDS = 120.0
_START_SECONDS = 60.0
_SAM = Path(sys.executable).with_name("sam")
_CA_FILE = "dropzone-tests-ca.pem"
# The base image has these, which all others have to fit.
_LIBC = ("libc.so", "ld-linux")


@dataclass(frozen=True, slots=True)
class SamLocal:
    """The project as a developer would run it, with these of the template's parameters."""

    artefacts: Artefacts
    endpoint: str
    parameters: Mapping[str, str]
    folder: Path

    def invoke(
        self, function: str, event: Mapping[str, Any], *, options: tuple[str, ...] = (), **parameters: str
    ) -> Any:  # noqa: ANN401 - any JSON
        """Call a function once, in a container of its own, and return what it answered.

        An empty parameter is left to its default, since SAM takes no empty ones.
        """
        event_file = self.folder / "event.json"
        event_file.write_text(json.dumps(event), encoding="utf-8")
        command = [str(_SAM), "local", "invoke", function, "--event", str(event_file), *options]
        done = subprocess.run(  # noqa: S603 - our own command line
            [*command, *self._options(parameters)],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_INVOKE_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            raise AssertionError(f"sam local invoke printed no JSON: {done.stdout}\n{done.stderr}") from None

    @contextmanager
    def api(self) -> Iterator[tuple[str, Service]]:
        """Serve the API for the time of a with block. SIGTERM ends it: in the background, SIGINT does not."""
        port = find_free()
        service = Service(
            "sam local start-api", self.folder / "api.json", self.folder / "api.log", bound_to_parent=True
        )
        command = [str(_SAM), "local", "start-api", "--host", LOOPBACK, "--port", str(port)]
        try:
            service.spawn([*command, *self._options({})], self._environment)
            up = wait_until(lambda: not is_free(port) or not service.running, seconds=_START_SECONDS)
            assert up, service.failure("did not start")
            assert service.running, service.failure("ended at once")
            yield f"http://{LOOPBACK}:{port}", service
        finally:
            service.stop()

    def _options(self, parameters: Mapping[str, str]) -> list[str]:
        overrides = {"Architecture": self.artefacts.architecture, **self.parameters, **parameters}
        variables = self.folder / "variables.json"
        # SAM gives a reference to a resource the resource's logical name, where AWS gives the bucket's.
        changed = {"BRONZE_BUCKET": BUCKET}
        variables.write_text(json.dumps({"Parameters": changed}), encoding="utf-8")
        return [
            *("--template-file", str(self.artefacts.template), "--env-vars", str(variables)),
            *("--region", REGION, "--skip-pull-image"),
            *("--parameter-overrides", *(f"{name}={value}" for name, value in overrides.items() if value)),
        ]

    @property
    def _environment(self) -> dict[str, str]:
        # Of the account SAM asks the endpoint as well, and without one tries for long.
        return tool_environment(self.endpoint)


def prepare(artefacts: Artefacts, *, endpoint: str, authority: bytes, stand_in: bool) -> str:
    """Change a copy of the build as the package's docstring says, and return the authority's path in a container."""
    layer = artefacts.folder / "CommonLayer"
    (layer / "python" / _CA_FILE).write_bytes(authority)
    if stand_in:
        _add_libraries(layer)
    template = yaml_parse(artefacts.template.read_text(encoding="utf-8"))
    template["Globals"]["Function"]["Environment"]["Variables"]["AWS_ENDPOINT_URL"] = endpoint
    artefacts.template.write_text(json.dumps(template), encoding="utf-8")  # JSON is YAML
    return f"/opt/python/{_CA_FILE}"


def _add_libraries(layer: Path) -> None:
    folder = layer / "lib"
    folder.mkdir()
    for module in layer.rglob("*.so"):
        printed = subprocess.run(["ldd", str(module)], capture_output=True, text=True, check=True).stdout  # noqa: S603, S607
        for name, _, rest in (line.strip().partition(" => ") for line in printed.splitlines()):
            if rest and not name.startswith(_LIBC) and not (folder / name).exists():
                (folder / name).write_bytes(Path(rest.split()[0]).read_bytes())
