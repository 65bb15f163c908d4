"""The environments of child processes: never the user's AWS account, never more than needed."""

import os
from collections.abc import Mapping
from pathlib import Path

REGION = "us-east-1"
ACCESS_KEY = "test"
SECRET_KEY = "test"  # noqa: S105 - the emulator takes any, and no account is ever behind it

# Variables that could lead to a real account, another configuration of the tools, or another Python's packages.
_DROPPED_PREFIXES = ("AWS_", "SAM_", "BOTO", "PYTHON", "PG", "DROPZONE_")
_DROPPED = frozenset({"VIRTUAL_ENV", "TMPDIR", "__PYVENV_LAUNCHER__"})


def tool_environment(
    endpoint: str | None = None, *, first_on_path: Path | None = None, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment for `sam` and `uv`.

    The user's proxies, certificates and package indexes are kept. All AWS settings are replaced: a mistake leads to a
    closed port on this machine, not to somebody's account.
    """
    source = os.environ if base is None else base
    kept = {
        name: value for name, value in source.items() if not name.startswith(_DROPPED_PREFIXES) and name not in _DROPPED
    }
    if first_on_path is not None:
        kept["PATH"] = os.pathsep.join([str(first_on_path), kept.get("PATH", os.defpath)])
    return kept | {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": endpoint or "http://127.0.0.1:9",
        "SAM_CLI_TELEMETRY": "0",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PYTHONUTF8": "1",
    }


def bare_environment(home: Path) -> dict[str, str]:
    """Return the minimum that a server needs. The functions inherit it from the emulator."""
    return {"HOME": str(home), "LANG": "C.UTF-8", "PATH": os.defpath, "TZ": "UTC"}
