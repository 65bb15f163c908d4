"""Where a function runs: what it can see, and what its import does."""

import pytest

from artefact.build import Artefacts, Function
from artefact.interpreter import Interpreter

FUNCTIONS = [
    *("IngestFunction", "ProcessFunction", "SweepFunction", "QueryFunction", "WebFunction", "MigrateFunction"),
    *("NotifyFunction", "ArchiveFunction"),
]

NOT_ON_LAMBDA = [
    "pytest",
    "moto",
    "mypy",
    "samcli",
    "hypothesis",
    "cryptography",
    "dropzone_local",
    "pip",
    "psutil",
]

_FIND = """
import importlib.util, json, sys
found = {name: importlib.util.find_spec(name) for name in %r}
print(json.dumps({name: spec and spec.origin for name, spec in found.items()}))
"""

# The interpreter tells a hook of what it is about to do; a hook that raises forbids it.
_IMPORT = """
import os, sys

FORBIDDEN = ("socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.fork")

def forbid(event, arguments):
    writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    # The interpreter's own bytecode is opened below this folder, and then by its number.
    bytecode = writes and (isinstance(arguments[0], int) or str(arguments[0]).startswith(str(sys.pycache_prefix)))
    if event in FORBIDDEN or (writes and not bytecode):
        raise RuntimeError(f"at import: {event} {arguments}")

def collections():
    return sum(generation["collections"] for generation in gc.get_stats())

sys.addaudithook(forbid)
import gc, importlib, json
module = %r
importlib.import_module(module.partition(".")[0])
before = collections()
importlib.import_module(module)
print(json.dumps({"modules": sorted(sys.modules), "collections": collections() - before}))
"""


@pytest.fixture(params=FUNCTIONS)
def function(request: pytest.FixtureRequest, artefacts: Artefacts) -> Function:
    return artefacts.functions()[request.param]


def test_a_function_sees_itself_its_layer_and_what_lambda_brings(function: Function, interpreter: Interpreter) -> None:
    brought = ["awslambdaric", "boto3", "botocore"]
    names = [function.module.partition(".")[0], "dropzone", "obstore", *brought, *NOT_ON_LAMBDA]

    found = interpreter.tell(function, _FIND % names)

    [layer] = function.layers
    folders = {name: str(origin).rpartition("/" + name)[0] for name, origin in found.items() if origin}
    assert folders == {
        function.module.partition(".")[0]: str(function.folder),
        "dropzone": str(layer / "python"),
        "obstore": str(layer / "python"),
        **dict.fromkeys(brought, str(interpreter.runtime)),
    }


def test_the_import_reads_no_variable_and_does_no_input_or_output(function: Function, interpreter: Interpreter) -> None:
    found = interpreter.tell(function, _IMPORT % function.module)

    assert function.module in found["modules"]
    # It takes most of a second, and is needed for a secret or a token alone.
    assert "boto3" not in found["modules"]
    # Each looks through all that was imported before.
    assert found["collections"] == 0


def test_notify_finds_the_clients_of_its_channels(artefacts: Artefacts, interpreter: Interpreter) -> None:
    # urllib3 is there with botocore, which Lambda brings.
    import_them = (
        "import dropzone.adapters.channels, json; print(json.dumps({'from': dropzone.adapters.channels.SOURCE}))"
    )

    assert interpreter.tell(artefacts.functions()["NotifyFunction"], import_them) == {"from": "dropzone"}


def test_the_hook_forbids() -> None:
    with pytest.raises(RuntimeError, match=r"at import: socket\.getaddrinfo"):
        _run_here("socket.getaddrinfo")


def _run_here(event: str) -> None:
    namespace: dict[str, object] = {}
    source = _IMPORT.partition("sys.addaudithook")[0]
    exec(source, namespace)  # noqa: S102 - our own program, above
    forbid = namespace["forbid"]
    assert callable(forbid)
    forbid(event, ("localhost", 80))
