"""The committed document against the live stack, attacked by schemathesis."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dropzone_openapi.build import TARGET
from e2e.client import Client
from support.examples import examples, explores

TESTS = Path(__file__).parents[1]
DOCUMENT: dict[str, Any] = json.loads(TARGET.read_text())

# Every check of schemathesis runs, but for these.
LEFT_OUT = {
    "missing_required_header": "the command line's --header sends the key all the same; test_refusals.py leaves it out",
    "unsupported_method": "API Gateway answers a method that it doesn't know itself, with its 403 for unknown routes",
}


@pytest.mark.hypothesis  # which schemathesis is made of: `make explore` runs it as well
def test_every_answer_is_one_that_the_document_declares_and_none_is_a_5xx(
    waiting_client: Client, tmp_path: Path
) -> None:
    # What is made of each limit in the document is tried each time, what is made at random where it is random.
    is_random = explores()
    # Its pytest plugin doesn't run under pytest 9, so that its command line does the work.
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", str(TARGET)),
        *("--url", waiting_client.endpoints.url),
        *("--header", f"x-api-key: {waiting_client.endpoints.api_key}"),
        *("--checks", "all", "--exclude-checks", ",".join(LEFT_OUT)),
        *("--phases", "examples,coverage" + ",fuzzing" * is_random),
        *("--max-examples", str(examples(10)), "--no-color"),
        # Of 10 s: on a busy machine, a function takes longer to start.
        *("--request-timeout", "60"),
        *([] if is_random else ["--generation-deterministic"]),
    ]

    environment = os.environ | {"SCHEMATHESIS_HOOKS": "e2e.schemathesis_hooks", "PYTHONPATH": str(TESTS)}
    done = subprocess.run(  # noqa: S603
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=500
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{sum(map(len, DOCUMENT['paths'].values()))} selected" in done.stdout
    assert "No issues found" in done.stdout or "passed" in done.stdout


def test_the_served_document_is_the_committed_one(waiting_client: Client) -> None:
    response = waiting_client.request("GET", "/openapi.json", key=None)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == DOCUMENT
