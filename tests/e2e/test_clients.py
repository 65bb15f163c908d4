"""Clients that generators make of the document: each imports, type-checks, and does what it says against the stack."""

import os
import subprocess
from pathlib import Path

import pytest

from dropzone_openapi.build import TARGET
from e2e.client import Client

TOOLS = Path(__file__).parents[2] / "tools" / "clients"
PYTHON, NODE = TOOLS / ".venv" / "bin", TOOLS / "node_modules"
COMPILER_OPTIONS = [
    "--noEmit",
    "--strict",
    "--target",
    "es2022",
    "--module",
    "esnext",
    "--moduleResolution",
    "bundler",
    "--skipLibCheck",
]


def run(*command: str | Path, cwd: Path, **environment: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own tools
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not PYTHON.exists(), reason="`make clients` installs the generators")
def test_python_client_is_strictly_typed_and_every_call_succeeds(client: Client, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("post_hooks: []\n", encoding="utf-8")
    made = tmp_path / "made"
    run(
        *(PYTHON / "openapi-python-client", "generate", "--path", TARGET, "--output-path", made, "--config", config),
        cwd=tmp_path,
    )
    program = made / "use_client.py"
    program.write_text((TOOLS / "use_client.py").read_text(encoding="utf-8"), encoding="utf-8")

    # The generator reads a body of several kinds as if it were always there: without one, the call fails.
    reads_any_body = "[mypy-dropzone_client.api.processing.process_objects]\ndisable_error_code = union-attr\n"
    (made / "mypy.ini").write_text(f"[mypy]\nstrict = True\n{reads_any_body}", encoding="utf-8")
    run(PYTHON / "mypy", "dropzone_client", program, cwd=made)
    run(PYTHON / "python", program, client.endpoints.url, client.endpoints.api_key, cwd=made)


@pytest.mark.skipif(not NODE.exists(), reason="`make clients` installs the generators")
def test_typescript_compiles(tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(NODE)
    program = tmp_path / "use_client.ts"
    program.write_text((TOOLS / "use_client.ts").read_text(encoding="utf-8"), encoding="utf-8")

    run(NODE / ".bin" / "openapi-typescript", TARGET, "--output", tmp_path / "schema.d.ts", cwd=tmp_path)
    run(NODE / ".bin" / "tsc", *COMPILER_OPTIONS, program, cwd=tmp_path)


@pytest.mark.skipif(not NODE.exists(), reason="`make clients` installs the linters")
@pytest.mark.parametrize(
    "linter",
    [
        ["node", TOOLS / "redocly.mjs"],
        [NODE / ".bin" / "spectral", "lint", "--fail-severity", "warn", "--ruleset", TOOLS / "spectral.yaml"],
    ],
    ids=["redocly", "spectral"],
)
def test_linter_finds_nothing(linter: list[str | Path], tmp_path: Path) -> None:
    run(*linter, TARGET, cwd=tmp_path)


def test_head_answers_where_get_does(client: Client) -> None:
    for path, key in (("/health", None), ("/docs", None), ("/measurements", ""), ("/kpis", "")):
        got, head = client.request("GET", path, key=key), client.request("HEAD", path, key=key)
        assert (head.status_code, head.content) == (200, b""), path
        assert head.headers.get("etag") == got.headers.get("etag")


def test_trailing_slash_leads_to_the_same_status(client: Client) -> None:
    accepted = client.request("POST", "/ingest/", b'{"time_stamp": "2019-05-01T06:00:00Z", "data": [1]}')

    status = client.http.get(
        accepted.url.join(accepted.headers["location"]), headers={"x-api-key": client.endpoints.api_key}
    )

    assert accepted.status_code == 202
    assert status.json()["raw_id"] == accepted.json()["raw_id"]
