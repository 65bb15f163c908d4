"""A function under AWS's emulator of Lambda's runtime interface, which `aws-sam-cli` carries, without a container."""

import importlib.util
import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from artefact.build import Function
from artefact.interpreter import Interpreter
from dropzone_local.environment import bare_environment
from dropzone_local.polling import wait_until
from dropzone_local.ports import LOOPBACK, find_free, is_free
from dropzone_local.service import Service

REGION: Final = "eu-central-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "token-of-an-execution-role",
}

_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RunningFunction:
    """One container of a function, in Lambda's words: it starts with its first call, and keeps what it holds."""

    function: Function
    service: Service
    port: int
    runtime_port: int

    def invoke(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Call it; one call at a time, since two at once crash the emulator."""
        answer = httpx.post(
            f"http://{LOOPBACK}:{self.port}/2015-03-31/functions/function/invocations",
            content=json.dumps(event).encode(),
            timeout=self.function.timeout + 10,
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    def succeed(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Call it, where it may not raise."""
        result = self.invoke(event)
        assert not {"errorMessage", "errorType"} & result.keys(), f"{result}\n{self.log}"
        return result

    @property
    def log(self) -> str:
        """Everything that the function and the emulator wrote."""
        return self.service.log_file.read_text(encoding="utf-8", errors="replace")

    @property
    def log_lines(self) -> list[dict[str, Any]]:
        """The function's own lines, which are JSON."""
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]


@contextmanager
def running(
    function: Function,
    interpreter: Interpreter,
    folder: Path,
    variables: Mapping[str, str],
    inherited: Mapping[str, str] | None = None,
) -> Iterator[RunningFunction]:
    """Run a function for the time of a with block, with the template's variables and other values for some of them.

    On the local stack it inherits more.
    """
    unknown = variables.keys() - function.variables.keys()
    assert not unknown, f"the template gives {function.name} no {unknown}"
    folder.mkdir(parents=True)
    port = find_free()
    runtime_port = find_free(avoid=port)
    service = Service(function.name, folder / "process.json", folder / "log", bound_to_parent=True, grace=5)
    environment = {**_of_lambda(function, interpreter), **(inherited or {}), **function.variables, **variables}
    try:
        service.spawn(
            [
                # The supervisor is not to see the function's variables, and the function is to start in its own folder.
                *("env", "-i", "-C", str(function.folder), *(f"{name}={value}" for name, value in environment.items())),
                str(_emulator()),
                *("--runtime-interface-emulator-address", f"{LOOPBACK}:{port}"),
                *("--runtime-api-address", f"{LOOPBACK}:{runtime_port}"),
                *(str(interpreter.python), "-m", "awslambdaric", function.handler),
            ],
            bare_environment(folder),
        )
        listening = wait_until(lambda: not is_free(port) or not service.running, seconds=_START_SECONDS, every=0.01)
        assert listening, service.failure("did not start")
        assert service.running, service.failure("ended at once")
        yield RunningFunction(function, service, port, runtime_port)
    finally:
        service.stop()


def _of_lambda(function: Function, interpreter: Interpreter) -> dict[str, str]:
    """What Lambda itself sets."""
    return {
        **CREDENTIALS,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": f"dropzone-{function.name}",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(function.timeout),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/dropzone-{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/07/20/[$LATEST]0123456789abcdef",
        "LAMBDA_TASK_ROOT": str(function.folder),
        "LAMBDA_RUNTIME_DIR": str(interpreter.runtime),
        "_HANDLER": function.handler,
        "TZ": ":UTC",
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        **interpreter.variables(function),
    }


def _emulator() -> Path:
    spec = importlib.util.find_spec("samcli")
    assert spec is not None
    assert spec.origin is not None
    machine = "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"
    return Path(spec.origin).parent / "local" / "rapid" / f"aws-lambda-rie-{machine}"
