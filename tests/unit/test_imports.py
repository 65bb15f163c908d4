"""What a function's start must not take the time to import."""

import subprocess
import sys

import pytest

MODULES = [
    "dropzone_ingest.handler",
    "dropzone_process.queue",
    "dropzone_process.sweep",
    "dropzone_query.handler",
    "dropzone_web.handler",
    "dropzone_migrate.handler",
]


@pytest.mark.parametrize("module", MODULES)
def test_no_function_imports_pydantic(module: str) -> None:
    code = f"import sys, {module}; print('pydantic' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own command line

    assert (done.stdout, done.stderr) == ("False\n", "")
