"""The command line on a stack whose queue feeds nothing: what waits, dead letters, replays."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropzone.domain.identifiers import new_raw_id, object_key
from dropzone_local.polling import wait_until
from e2e.cli import REJECTED, Cli, good, make
from e2e.client import Client


@pytest.fixture
def waiting(waiting_client: Client, tmp_path: Path) -> Iterator[Cli]:
    """On the stack whose queue feeds nothing."""
    cli = make(waiting_client, tmp_path)
    endpoints = waiting_client.endpoints
    waiting_client.process_all(limit=1000)
    cli.empty(endpoints.dlq_url)
    cli.empty(endpoints.queue_url)
    yield cli
    cli.empty(endpoints.dlq_url)
    cli.empty(endpoints.queue_url)
    waiting_client.process_all(limit=1000)


def test_status_of_what_waits(waiting: Cli) -> None:
    raw_id = waiting.client.ingest(good())

    ran = waiting("status", raw_id, "--wait", "--timeout", "1")

    assert (ran.returncode, ran.stdout.split(b"\t")[1]) == (4, b"accepted")
    assert b"still waiting after 1 s" in ran.stderr


def test_dead_letters_are_listed_and_redriven(waiting: Cli) -> None:
    # GIVEN dead letters of an object that waits, one that was processed meanwhile, one that is missing, and garbage
    client = waiting.client
    completed = client.ingest(good())
    client.process_all(limit=1000)
    incomplete, missing = client.ingest(good()), new_raw_id()
    waiting.empty(client.endpoints.queue_url)
    waiting.die(incomplete)
    waiting.die(completed)
    waiting.die(missing)
    waiting.die(completed, incomplete)
    waiting.die(body="garbage")
    dlq, queue = client.endpoints.dlq_url, client.endpoints.queue_url

    # WHEN they are listed
    listed = waiting.document("dlq", "list")

    # THEN each has its reason, and all are in sight
    assert sorted((message["reason"], len(message["objects"])) for message in listed["messages"]) == [
        ("accepted", 1),
        ("done meanwhile: processed", 1),
        ("done meanwhile: processed; accepted", 2),
        ("not understood", 0),
        ("object missing", 1),
    ]
    assert waiting.messages(dlq) == {"": 5, "NotVisible": 0}

    # WHEN a redrive is tried
    tried = waiting.document("dlq", "redrive", "--dry-run")

    # THEN nothing has happened
    assert (tried["redriven"], tried["dropped"]) == (4, 1)
    assert (waiting.messages(dlq), waiting.messages(queue)[""]) == ({"": 5, "NotVisible": 0}, 0)

    # WHEN one is chosen
    one = waiting("dlq", "redrive", missing)

    # THEN it alone is sent again
    assert one.stdout.decode().splitlines()[0] == "1 message redriven"
    assert (waiting.messages(dlq), waiting.messages(queue)[""]) == ({"": 4, "NotVisible": 0}, 1)

    # WHEN the rest is redriven
    rest = waiting.document("dlq", "redrive")

    # THEN what was processed is dropped, and everything else is in the queue
    assert (rest["redriven"], rest["dropped"], rest["not_understood"]) == (3, 1, 1)
    assert (waiting.messages(dlq), waiting.messages(queue)[""]) == ({"": 0, "NotVisible": 0}, 4)
    assert waiting("dlq", "list").stderr.decode() == "No dead letters.\n"


def test_a_page_and_more_is_redriven(waiting: Cli) -> None:
    for number in range(23):
        waiting.die(body=f"garbage {number}")
    queue = waiting.client.endpoints.queue_url

    assert waiting.document("dlq", "redrive", "--limit", 12)["redriven"] == 12
    assert waiting.messages(queue)[""] == 12
    assert waiting.document("dlq", "redrive")["redriven"] == 11
    assert waiting.messages(queue)[""] == 23


def test_purge(waiting: Cli) -> None:
    waiting.die(body="garbage")
    waiting.die(raw_id := waiting.client.ingest(good()))
    dlq = waiting.client.endpoints.dlq_url

    refused = waiting("dlq", "purge")
    assert (refused.returncode, waiting.messages(dlq)[""]) == (2, 2)
    assert b"--yes" in refused.stderr

    assert waiting.document("dlq", "purge", "--yes") == {"purged": 2}
    assert waiting.messages(dlq)[""] == 0
    assert object_key(raw_id) in waiting.client.bronze_keys()


def test_replay_tells_what_would_change_and_changes_it(waiting: Cli) -> None:
    # GIVEN outcomes that today's rules would not give
    client = waiting.client
    raw_ids = [client.ingest(good()) for _ in range(5)]
    client.process_all(limit=1000)
    wrong, absent = raw_ids[1], raw_ids[3]
    client.query("UPDATE outcomes SET mean = 17 WHERE raw_id = :id", id=wrong)
    client.query("UPDATE measurements SET mean = 17 WHERE raw_id = :id", id=wrong)
    client.query("DELETE FROM outcomes WHERE raw_id = :id", id=absent)
    names = [part for raw_id in raw_ids for part in ("--raw-id", raw_id)]

    # WHEN a replay is tried
    tried = waiting.document("replay", *names, "--dry-run")

    # THEN it tells, and nothing has changed
    changes = {"same": 3, "other_figures": 1, "new": 1}
    assert {kind: number for kind, number in tried["changes"].items() if number} == changes
    assert client.query("SELECT mean FROM measurements WHERE raw_id = :id", id=wrong) == [[17.0]]

    # WHEN it is run
    done = waiting("replay", *names)

    # THEN it has changed, and is reported in words
    assert done.returncode == 0
    assert [line.split(maxsplit=1) for line in done.stdout.decode().splitlines()] == [
        ["5", "objects replayed"],
        ["3", "unchanged"],
        ["1", "validated for the first time"],
        ["1", "processed with other figures"],
    ]
    assert client.query("SELECT mean FROM measurements WHERE raw_id = :id", id=wrong) == [[2.0]]
    assert waiting.document("replay", *names, "--dry-run")["changes"]["same"] == 5


def test_replay_goes_on_from_where_it_stopped(waiting: Cli) -> None:
    since = waiting.client.ingest(good())
    for _ in range(4):
        waiting.client.ingest(good())
    waiting.client.process_all(limit=1000)
    names = waiting.document("status", since)["statuses"][0]["received_at"]

    first = waiting.document("replay", "--from", names, "--limit", 2, "--dry-run")
    rest = waiting.document("replay", "--from", names, "--cursor", first["cursor"], "--dry-run")

    assert (first["checked"], rest["checked"], "cursor" in rest) == (2, 3, False)


def test_sweep_takes_what_waits(waiting: Cli) -> None:
    for body in (good(), REJECTED, good(), good()):
        waiting.client.ingest(body)

    some = waiting.document("sweep", "--limit", 3)
    rest = waiting("sweep", "--cursor", some["cursor"])

    assert (some["checked"], some["processed"], some["failed"]) == (3, 2, 1)
    assert rest.stdout == b"1 object checked: 1 processed, 0 rejected\n"


def test_two_redrives_at_once(waiting: Cli) -> None:
    raw_ids = [new_raw_id() for _ in range(24)]
    for raw_id in raw_ids:
        waiting.die(raw_id)
    command = [sys.executable, "-m", "dropzone_cli", "dlq", "redrive", "--json"]

    both = [subprocess.Popen(command, cwd=waiting.folder, stdout=subprocess.PIPE) for _ in range(2)]  # noqa: S603
    counts = [json.loads(process.communicate(timeout=120)[0]) for process in both]

    assert [process.returncode for process in both] == [0, 0]
    endpoints = waiting.client.endpoints
    assert sum(count["redriven"] for count in counts) == waiting.messages(endpoints.queue_url)[""] >= 24
    assert wait_until(lambda: waiting.messages(endpoints.dlq_url) == {"": 0, "NotVisible": 0}, seconds=60)
