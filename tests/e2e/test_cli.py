"""The command line as people run it, a process of its own, on a live stack."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from dropzone.domain.identifiers import new_raw_id, object_key
from dropzone_local.polling import wait_until
from e2e.client import Client
from support.factories import s3_event

_seconds = count()
REJECTED = b'{"time_stamp": "2021-03-01", "data": ["\\u001b[31m"], "note": "\xc2\xb0C"}'


def good() -> bytes:
    second = next(_seconds)
    return f'{{"time_stamp": "2021-01-01T{second // 60:02}:{second % 60:02}Z", "data": [1, 2, 3]}}'.encode()


@dataclass
class Cli:
    """Runs `dropzone` in a folder below the one with the stack's file."""

    client: Client
    folder: Path

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[bytes]:
        """Run it, with what would lead elsewhere in its environment."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DROPZONE_")}
        ran = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "dropzone_cli", *map(str, arguments)],
            cwd=self.folder,
            env=environment | {"AWS_PROFILE": "nobody", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )
        said = ran.stdout + ran.stderr
        assert self.client.endpoints.api_key.encode() not in said
        assert b"Traceback" not in said
        return ran

    def document(self, *arguments: object) -> Any:  # noqa: ANN401 - JSON
        """Run it with --json, and read what it prints."""
        ran = self(*arguments, "--json")
        assert ran.returncode == 0, ran.stderr.decode()
        return json.loads(ran.stdout)

    def die(self, *raw_ids: UUID, body: str | None = None) -> None:
        """Put a notification of these objects, or another message, into the dead-letter queue."""
        endpoints = self.client.endpoints
        self.client.clients.sqs().send_message(
            QueueUrl=endpoints.dlq_url, MessageBody=body or json.dumps(s3_event(*raw_ids, bucket=endpoints.bucket))
        )

    def messages(self, url: str) -> dict[str, int]:
        """How many messages there are, in sight and out of it."""
        attributes = self.client.clients.sqs().get_queue_attributes(
            QueueUrl=url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return {name.removeprefix("ApproximateNumberOfMessages"): int(number) for name, number in attributes.items()}

    def empty(self, url: str) -> None:
        """Delete all messages of a queue."""
        self.client.clients.sqs().purge_queue(QueueUrl=url)


def make(client: Client, folder: Path) -> Cli:
    below = folder / "some" / "where"
    below.mkdir(parents=True)
    (folder / ".local").mkdir()
    (folder / ".local" / "stack.json").write_text(json.dumps(client.endpoints.document()))
    return Cli(client, below)


@pytest.fixture
def cli(client: Client, tmp_path: Path) -> Iterator[Cli]:
    """On the stack whose queue flows."""
    cli = make(client, tmp_path)
    cli.empty(client.endpoints.dlq_url)
    yield cli
    cli.empty(client.endpoints.dlq_url)


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


def test_replay_by_an_unknown_rule_is_a_wrong_call(cli: Cli) -> None:
    ran = cli("replay", "--code", "data.nope")

    assert (ran.returncode, ran.stdout) == (2, b"")
    assert b"data.empty" in ran.stderr


def test_sweep_takes_what_waits(waiting: Cli) -> None:
    for body in (good(), REJECTED, good(), good()):
        waiting.client.ingest(body)

    some = waiting.document("sweep", "--limit", 3)
    rest = waiting("sweep", "--cursor", some["cursor"])

    assert (some["checked"], some["processed"], some["failed"]) == (3, 2, 1)
    assert rest.stdout == b"1 object checked: 1 processed, 0 rejected\n"


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
    assert wait_until(lambda: waiting.messages(endpoints.dlq_url) == {"": 0, "NotVisible": 0}, seconds=10)
