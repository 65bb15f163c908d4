"""Erasing a client's events as docs/operations.md says: from the log to bronze to silver, until nothing is left."""

import json
import os
import re
import subprocess
import sys
import textwrap
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from dropzone.domain.identifiers import object_key
from dropzone_local.environment import tool_environment
from e2e.client import Client

PROJECT = Path(__file__).parents[2]
CHAPTER = (
    (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8").split("## Erase a client's events")[1]
).split("\n## ")[0]
INSTANT = "2031-07-01T00:00:00Z"
LABELS = {"source": "the-erased-hall", "unit": "°C", "tags": {"line": "B"}}


def ingest_as_a_new_client(client: Client, name: str, data: list[float]) -> tuple[str, UUID]:
    """Send an event with a key of its own; the client's name, and the object's identifier."""
    gateway = client.clients.apigateway()
    key = gateway.create_api_key(name=name, enabled=True)
    plan = client.stack.deployment.outputs()["UsagePlanId"]
    gateway.create_usage_plan_key(usagePlanId=plan, keyId=key["id"], keyType="API_KEY")
    event = {"schema_version": 2, "time_stamp": INSTANT, "data": data, **LABELS}
    response = client.request("POST", "/ingest", json.dumps(event).encode(), key=key["value"])
    assert response.status_code == 202, response.text
    return unlisted(key["value"]), UUID(response.json()["raw_id"])


def unlisted(key: str) -> str:
    """The name of a client that no document lists."""
    return f"~{sha256(key.encode()).hexdigest()[:16]}"


def logged(client: Client, key: str) -> list[UUID]:
    """The identifiers that the document's query finds."""
    [query] = re.findall(r"fields raw_id \| filter (.*) \| limit", CHAPTER)
    wanted = dict(re.findall(r'(\w+) = "([^"]*)"', query.replace("NAME", key)))
    assert wanted.keys() == {"message", "client"}
    found = [json.loads(line) for line in client.log_lines(key, "Ingest")]
    return [UUID(line["raw_id"]) for line in found if wanted.items() <= line.items()]


def block(first_words: str) -> str:
    """The indented block of the chapter that begins so."""
    [found] = [part for part in CHAPTER.split("\n\n") if part.strip().startswith(first_words)]
    return textwrap.dedent(found)


def versions(client: Client, raw_id: UUID) -> int:
    """How many versions of an object bronze has, and markers of its deletion."""
    answer = client.clients.s3().list_object_versions(Bucket=client.endpoints.bucket, Prefix=object_key(raw_id))
    return len(answer.get("Versions", [])) + len(answer.get("DeleteMarkers", []))


def erase_in_bronze(client: Client, raw_ids: list[UUID]) -> None:
    """Run the document's command."""
    [program] = re.findall(r'python -c "\n(.*)"', block("uv run python -c"), re.DOTALL)
    subprocess.run(  # noqa: S603 - the document's
        [sys.executable, "-c", program, client.endpoints.bucket],
        input="\n".join(map(str, raw_ids)).encode(),
        env=tool_environment(client.endpoints.emulator_url, base={"PATH": os.defpath}),
        check=True,
    )


def erase_in_silver(client: Client, raw_ids: list[UUID]) -> None:
    """Run the document's statements."""
    with client.stack.postgres.connect() as connection:
        connection.run("CREATE TEMPORARY TABLE erased (raw_id uuid)")
        for raw_id in raw_ids:
            connection.run("INSERT INTO erased VALUES (:raw_id)", raw_id=raw_id)
        for statement in block("BEGIN;").split(";"):
            if statement.strip():
                connection.run(statement)


def current(client: Client) -> list[list[object]]:
    """What silver has of the instant."""
    return client.query(
        "SELECT raw_id, mean, source, unit, tags FROM measurements WHERE measured_at = :instant", instant=INSTANT
    )


def test_a_client_s_events_are_gone_and_others_stay(client: Client) -> None:
    # GIVEN events of two clients for one instant, of which one counts; it was deleted once, and so hidden
    others_key, others = ingest_as_a_new_client(client, "others", [1.0])
    their_key, theirs = ingest_as_a_new_client(client, "theirs", [2.0])
    assert [client.outcome(raw_id) for raw_id in (others, theirs)] == ["processed", "processed"]
    assert current(client) == [[theirs, 2.0, *LABELS.values()]]
    client.clients.s3().delete_object(Bucket=client.endpoints.bucket, Key=object_key(theirs))
    assert versions(client, theirs) == 2

    # WHEN the one's are erased as the document says
    found = logged(client, their_key)
    erase_in_bronze(client, found)
    erase_in_silver(client, found)

    # THEN they were found by the key, all of them and no other
    assert found == [theirs]
    assert logged(client, others_key) == [others]
    # AND nothing of them is left in bronze, in silver and for the API
    assert versions(client, theirs) == 0
    for table in ("receipts", "outcomes", "measurements"):
        assert client.query(f"SELECT 1 FROM {table} WHERE raw_id = :raw_id", raw_id=theirs) == []  # noqa: S608
    assert client.request("GET", f"/ingest/{theirs}").status_code == 404
    # AND the other's event is the measurement in its place
    assert versions(client, others) == 1
    assert current(client) == [[others, 1.0, *LABELS.values()]]
    assert client.request("GET", f"/ingest/{others}").json()["status"] == "processed"
    # AND nothing brings them back
    client.process_all(limit=1_000)
    assert client.query("SELECT 1 FROM receipts WHERE raw_id = :raw_id", raw_id=theirs) == []
    assert current(client) == [[others, 1.0, *LABELS.values()]]
