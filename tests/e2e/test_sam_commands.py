"""SAM's own commands against the local stack: the environment leads them there, and they need nothing else."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dropzone_local.deployment import STACK_NAME
from dropzone_local.environment import REGION, tool_environment
from dropzone_local.stack import PROJECT
from e2e.client import EXAMPLE, Client


def sam(client: Client, *arguments: str) -> str:
    """Run it, and return what it printed."""
    done = subprocess.run(  # noqa: S603 - our own command line
        [str(Path(sys.executable).with_name("sam")), *arguments, "--stack-name", STACK_NAME, "--region", REGION],
        env=tool_environment(client.endpoints.emulator_url),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def sam_list(client: Client, what: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(sam(client, "list", what, "--output", "json"))
    return listed


def test_list_stack_outputs(client: Client) -> None:
    outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in sam_list(client, "stack-outputs")}

    assert outputs["BronzeBucketName"] == client.endpoints.bucket
    assert outputs["ApiId"] in client.endpoints.url


@pytest.mark.weekly  # SAM takes three seconds of a processor for it
def test_list_resources(client: Client) -> None:
    resources = {entry["LogicalResourceId"]: entry["PhysicalResourceId"] for entry in sam_list(client, "resources")}

    assert resources["BronzeBucket"] == client.endpoints.bucket
    assert resources["Queue"].rpartition("/")[2] == client.endpoints.queue_url.rpartition("/")[2]
    assert resources.keys() >= {"IngestFunction", "ProcessFunction", "SweepFunction", "WebFunction", "MigrateFunction"}


@pytest.mark.weekly  # SAM takes three seconds of a processor for it
def test_list_endpoints(client: Client) -> None:
    [api] = [entry for entry in sam_list(client, "endpoints") if entry["LogicalResourceId"] == "Api"]

    assert api["PhysicalResourceId"] in client.endpoints.url
    routes = {method.partition("[")[0] for method in api["Methods"]}
    assert routes >= {"/ingest", "/process", "/health", "/docs"}


@pytest.mark.weekly  # SAM takes three seconds of a processor for it
def test_logs(client: Client) -> None:
    raw_id = client.ingest(EXAMPLE)
    assert client.outcome(raw_id) == "processed"
    for function in ("Ingest", "Process"):
        assert client.log_lines(str(raw_id), function)

    assert str(raw_id) in sam(client, "logs")
    assert '"accepted"' in sam(client, "logs", "--name", "IngestFunction", "--filter", f'"{raw_id}"')


def test_remote_invoke(client: Client) -> None:
    printed = sam(
        client, "remote", "invoke", "WebFunction", "--event-file", str(PROJECT / "events" / "api-health.json")
    )

    answer = json.loads(printed[printed.index("{") :])
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {"status": "ok"}
