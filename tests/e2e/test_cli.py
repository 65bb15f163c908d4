"""The command line as people run it, on a live stack."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from dropzone.domain.identifiers import new_raw_id, object_key
from e2e.cli import REJECTED, Cli, good, make
from e2e.client import Client


@pytest.fixture
def cli(client: Client, tmp_path: Path) -> Iterator[Cli]:
    """On the stack whose queue flows."""
    cli = make(client, tmp_path)
    cli.empty(client.endpoints.dlq_url)
    yield cli
    cli.empty(client.endpoints.dlq_url)


def test_status_waits_for_the_outcomes(cli: Cli) -> None:
    first, second, bad = (
        cli.client.ingest(body) for body in (b'{"time_stamp": "2021-02-01T00:00Z", "data": [1]}',) * 2 + (REJECTED,)
    )

    fine = cli("status", "--wait", first, second)
    mixed = cli("status", "--wait", first, second, bad, unknown := uuid4())

    assert fine.returncode == 0
    assert mixed.returncode == 1
    rows = [line.split("\t") for line in mixed.stdout.decode().splitlines()]
    assert [(row[0], row[1]) for row in rows] == [
        (str(first), "superseded"),
        (str(second), "processed"),
        (str(bad), "rejected"),
        (str(unknown), "unknown"),
    ]
    assert f"superseded by {second}" in rows[0][2]
    assert "data.not_numeric" in rows[2][2]


def test_a_redriven_object_is_processed(cli: Cli) -> None:
    # GIVEN an object whose notification was lost, but for a dead letter
    endpoints = cli.client.endpoints
    raw_id = new_raw_id()
    cli.client.clients.s3().put_object(Bucket=endpoints.bucket, Key=f"elsewhere/{raw_id}", Body=good())
    cli.client.clients.s3().copy_object(
        Bucket=endpoints.bucket,
        Key=object_key(raw_id),
        CopySource={"Bucket": endpoints.bucket, "Key": f"elsewhere/{raw_id}"},
    )
    cli.client.clients.s3().delete_object(Bucket=endpoints.bucket, Key=f"elsewhere/{raw_id}")
    cli.client.outcome(raw_id)
    cli.client.query("DELETE FROM receipts WHERE raw_id = :id", id=raw_id)
    cli.client.query("DELETE FROM outcomes WHERE raw_id = :id", id=raw_id)
    cli.die(raw_id)

    # WHEN it is redriven
    assert cli.document("dlq", "redrive", raw_id)["redriven"] == 1

    # THEN the normal path completes it
    assert cli("status", "--wait", raw_id).returncode == 0


def test_rejected_events_and_their_exact_bytes(cli: Cli, tmp_path: Path) -> None:
    raw_id, other = cli.client.ingest(REJECTED), cli.client.ingest(b'{"time_stamp": "x", "data": [1]}')
    assert {cli.client.outcome(raw_id), cli.client.outcome(other)} == {"rejected"}

    listed = cli.document("rejected", "list", "--code", "data.not_numeric", "--from", "1h", "--limit", 100)
    found = [entry for entry in listed["rejections"] if entry["raw_id"] == str(raw_id)]
    assert [violation["code"] for violation in found[0]["violations"]] == ["time_stamp.not_iso8601", "data.not_numeric"]
    assert str(other) not in {entry["raw_id"] for entry in listed["rejections"]}
    assert cli.document("rejected", "list", "--to", "2000-01-01") == {"rejections": []}

    assert cli("rejected", "show", raw_id, "--raw").stdout == REJECTED
    assert cli("rejected", "show", raw_id, "--output", tmp_path / "event").returncode == 0
    assert (tmp_path / "event").read_bytes() == REJECTED
    shown = cli("rejected", "show", raw_id).stdout.decode()
    assert "status\trejected\n" in shown
    assert shown.rstrip().endswith(REJECTED.decode())


def test_rejected_events_go_on_from_a_cursor(cli: Cli) -> None:
    wanted = [cli.client.ingest(REJECTED) for _ in range(3)]
    assert {cli.client.outcome(raw_id) for raw_id in wanted} == {"rejected"}

    first = cli.document("rejected", "list", "--limit", 2)
    rest = cli.document("rejected", "list", "--limit", 1, "--cursor", first["cursor"])

    shown = [entry["raw_id"] for page in (first, rest) for entry in page["rejections"]]
    assert shown == [*map(str, reversed(wanted))]


def test_replay_by_an_unknown_rule_is_a_wrong_call(cli: Cli) -> None:
    ran = cli("replay", "--code", "data.nope")

    assert (ran.returncode, ran.stdout) == (2, b"")
    assert b"data.empty" in ran.stderr


@pytest.mark.parametrize(("options", "marker"), [([], "<title>Dropzone</title>"), (["--docs"], "swagger-ui")])
def test_open_leads_to_the_page_or_to_swagger(cli: Cli, options: list[str], marker: str) -> None:
    url = cli.document("open", "--no-browser", *options)["url"]

    page = cli.client.http.get(url)

    assert page.status_code == 200
    assert marker in page.text


def test_a_wrong_key_and_a_stack_that_is_down(cli: Cli) -> None:
    file = cli.folder.parents[1] / ".local" / "stack.json"
    endpoints = cli.client.endpoints.document()

    file.write_text(json.dumps(endpoints | {"api_key": "wrong"}))
    ran = cli("sweep")
    assert (ran.returncode, ran.stdout) == (3, b"")
    assert b"403" in ran.stderr

    file.write_text(json.dumps(endpoints | {"url": "http://127.0.0.1:9", "emulator_url": "http://127.0.0.1:9"}))
    for command in (("sweep",), ("dlq", "list")):
        ran = cli(*command)
        assert (ran.returncode, ran.stdout) == (3, b"")
        assert b"make up" in ran.stderr

    file.unlink()
    assert cli("sweep").returncode == 3
