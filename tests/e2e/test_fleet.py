"""`dropzone replay --fleet`, on the real state machine, while events arrive."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from dropzone_local.polling import wait_until
from e2e.client import Client
from support.background import in_background

BEGAN = "2023-05-01"
ARRIVED, ARRIVING = 240, 40

MEASURED = """
SELECT measured_at, source, mean, std_dev, sample_count, min, max, raw_id, item FROM measurements
WHERE source = 'fleet' ORDER BY 1
"""


def event(number: int) -> bytes:
    return json.dumps(
        {"schema_version": 2, "source": "fleet", "time_stamp": f"{BEGAN}T{number // 60:02}:{number % 60:02}:00Z",
         "data": [number, number + 2]}
    ).encode()  # fmt: skip


def dropzone(client: Client, *arguments: str) -> subprocess.Popen[bytes]:
    root = client.stack.root
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "dropzone_cli", "replay", "--json", *arguments],
        env={"PATH": "", "DROPZONE_ROOT": str(root), "PYTHONPATH": str(Path(__file__).parents[2] / "cli")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(process: subprocess.Popen[bytes]) -> tuple[int, Any]:
    out, err = process.communicate(timeout=120)
    assert out, err.decode()
    return process.returncode, json.loads(out)


def ask(client: Client, action: str, **payload: object) -> Any:  # noqa: ANN401 - JSON
    answer = client.clients.lambda_().invoke(
        FunctionName=client.endpoints.replay_function, Payload=json.dumps({"action": action, **payload}).encode()
    )
    said = answer["Payload"].read()
    assert not answer.get("FunctionError"), said
    return json.loads(said)


def test_a_paused_fleet_goes_on_while_events_arrive(client: Client) -> None:
    # GIVEN objects whose outcomes are of other rules, and wrong
    raw_ids = [client.ingest(event(number)) for number in range(ARRIVED)]
    for raw_id in raw_ids:
        client.outcome(raw_id)
    right = client.query(MEASURED)
    client.query("UPDATE outcomes SET ruleset = 'old', mean = -1 WHERE source = 'fleet'")
    client.query("UPDATE measurements SET mean = -1 WHERE source = 'fleet'")
    since = f"{BEGAN}T00:00:00Z"
    replay_id = ask(client, "begin", since=since)["replay_id"]
    while not (planned := ask(client, "plan", replay_id=replay_id, range_objects=40))["is_planned"]:
        pass
    assert planned["ranges"] >= ARRIVED // 40

    # WHEN a fleet is paused while its first calls wait for a lock, and goes on while others arrive
    with client.stack.postgres.connect() as connection:
        connection.run("BEGIN")
        connection.run("SELECT pg_advisory_xact_lock_shared(7308333, day) FROM generate_series(0, 63) AS day")
        first = dropzone(client, "--fleet", "--yes", "--from", since)
        wait_until(lambda: connection.run("SELECT FROM pg_locks WHERE NOT granted") or None, seconds=60)
        code, _ = ended(dropzone(client, "--pause", replay_id))
        assert code == 0
        connection.run("COMMIT")
    code, paused = ended(first)
    assert (code, paused["state"]) == (1, "paused")
    assert paused["done"] < paused["ranges"]
    arriving = in_background(lambda: [client.ingest(event(ARRIVED + number)) for number in range(ARRIVING)])
    code, report = ended(dropzone(client, "--fleet", "--yes", "--from", since))

    # THEN silver is what it is without them
    assert (code, report["replay_id"], report["state"]) == (0, replay_id, "done")
    assert report["done"] == report["ranges"] >= paused["done"] >= 1
    assert report["changes"]["other_figures"] >= ARRIVED
    for raw_id in arriving.result(120):
        client.outcome(raw_id)
    measured = client.query(MEASURED)
    assert measured[:ARRIVED] == right
    assert len(measured) == ARRIVED + ARRIVING
