"""`dropzone send` as people run it, on a live stack: stopped, killed, refused, and what status shows of it."""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dropzone.domain.identifiers import PREFIX
from dropzone_local.polling import wait_until
from e2e.cli import environment
from e2e.client import Client
from support.forked import dropzone

ROWS = 3_000
BATCH = 50


@dataclass
class Sender:
    """Runs `dropzone` in the folder with the stack's file."""

    client: Client
    folder: Path

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "dropzone_cli", *map(str, arguments)],
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __call__(self, *arguments: object, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        ran = dropzone([*map(str, arguments)], folder=self.folder, environment=environment(), given=given)
        assert b"Traceback" not in ran.stderr, ran.stderr.decode()
        assert self.client.endpoints.api_key.encode() not in ran.stdout + ran.stderr
        return ran

    def stop(self, arguments: Sequence[object], number: signal.Signals, after: int) -> tuple[int, int]:
        """Start it and stop it when so many batches were accepted; tell its exit code, and how many there are then."""
        process = self.start(*arguments)
        assert wait_until(lambda: self.accepted >= after, seconds=60, every=0.002)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert b"Traceback" not in err, err.decode()
        return process.returncode, self.accepted

    @property
    def resume_file(self) -> Path:
        return self.folder / "readings.csv.dropzone-resume"

    @property
    def accepted(self) -> int:
        """Batches in the resume file."""
        return self.resume_file.read_bytes().count(b'"raw_id"') if self.resume_file.exists() else 0

    def forget_one(self) -> None:
        """Tear the line of the resume file that names the batch which was accepted last."""
        text = self.resume_file.read_bytes()
        self.resume_file.write_bytes(text[: text.rindex(b'"raw_id"')])

    def objects(self, keys: set[str]) -> list[list[dict[str, Any]]]:
        """The events of each of these objects."""
        client, bucket = self.client.clients.s3(), self.client.endpoints.bucket
        found = []
        for key in keys:
            if not key.startswith(PREFIX):
                continue
            answer = client.get_object(Bucket=bucket, Key=key)
            # It was sent as gzip, and API Gateway has unpacked it.
            assert not answer.get("ContentEncoding")
            found.append([json.loads(line) for line in answer["Body"].read().splitlines()])
        return found


@pytest.fixture
def sender(client: Client, tmp_path: Path) -> Sender:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "stack.json").write_text(json.dumps(client.endpoints.document()))
    return Sender(client, tmp_path)


def test_stopped_and_killed_it_goes_on_and_every_event_arrives_once(sender: Sender) -> None:
    # GIVEN a CSV of some thousands of rows
    source = f"stopped-{uuid4()}"
    began = datetime(2031, 1, 1, tzinfo=UTC)
    rows = (f"{(began + timedelta(seconds=number)).isoformat()},{number}\n" for number in range(ROWS))
    (sender.folder / "readings.csv").write_text("time,value\n" + "".join(rows))
    before = sender.client.bronze_keys()
    command = ("send", "readings.csv", "--source", source, "--batch-size", BATCH, "--parallel", 2)

    # WHEN it is sent, interrupted, killed before its last answer is written down, and sent again each time
    interrupted, first = sender.stop(command, signal.SIGINT, after=8)
    killed, second = sender.stop(command, signal.SIGKILL, after=first + 12)
    sender.forget_one()
    ended = sender(*command, "--json")

    # THEN each run went on where the one before it stopped, and what had arrived is recognised
    assert (interrupted, killed, ended.returncode) == (130, -signal.SIGKILL, 0), ended.stderr.decode()
    printed = json.loads(ended.stdout)
    assert 8 <= first < second < ROWS / BATCH
    assert printed["accepted_earlier"] == (second - 1) * BATCH
    assert printed["accepted"] == ROWS - (second - 1) * BATCH
    assert printed["replayed_batches"] >= 1

    # AND every event is in bronze once
    objects = sender.objects(sender.client.bronze_keys() - before)
    ours = [events for events in objects if events[0].get("source") == source]
    assert len(ours) == ROWS // BATCH
    assert Counter(event["data"][0] for events in ours for event in events) == Counter(range(ROWS))

    # AND in silver
    status = sender("status", "--wait", "--sent", "readings.csv.dropzone-resume")
    assert status.returncode == 0, status.stdout.decode()
    assert status.stdout.count(f"\tprocessed\t{BATCH} events: {BATCH} processed\n".encode()) == ROWS // BATCH
    rows_ = sender.client.query(
        "SELECT count(*), sum(mean), min(measured_at), max(measured_at) FROM measurements WHERE source = :source",
        source=source,
    )
    assert rows_ == [[ROWS, sum(range(ROWS)), began, began + timedelta(seconds=ROWS - 1)]]

    # AND once more, there is nothing to do
    assert json.loads(sender(*command, "--json").stdout)["accepted"] == 0


def test_what_the_api_refuses_is_reported_with_its_lines_and_the_rest_arrives(sender: Sender) -> None:
    source = f"refused-{uuid4()}"
    good = json.dumps({"schema_version": 2, "time_stamp": "2031-02-01T00:00:00Z", "data": [1], "source": source})
    large = json.dumps({"time_stamp": "2031-02-01T00:00:00Z", "data": [], "note": "x" * 4_700_000})
    (sender.folder / "a.ndjson").write_text(f"{good}\n{large}\nnot JSON\n{good}\n")

    ran = sender("send", "a.ndjson", "--json")

    printed = json.loads(ran.stdout)
    assert ran.returncode == 1
    assert printed["accepted"] == 2
    assert sorted((problem["lines"], problem["status"]) for problem in printed["problems"]) == [
        ([2, 2], 413),
        ([3, 3], None),
    ]
    assert b"a.ndjson, line 2: 413, " in ran.stderr


def test_a_batch_from_stdin_its_rejections_and_their_bytes(sender: Sender) -> None:
    # GIVEN a batch of which some is no good
    source = f"mixed-{uuid4()}"
    texts = [
        f'{{"schema_version":2,"time_stamp":"2031-03-01T00:00:0{number}Z","data":{data},"source":"{source}"}}'
        for number, data in enumerate(["[1, 2]", "[]", '["x"]', "[3]"])
    ]
    sent = sender("send", "-", "--json", given=f"[{','.join(texts)}]".encode())
    (batch,) = json.loads(sent.stdout)["sent"]

    # WHEN it is looked up
    status = sender("status", "--wait", batch["raw_id"], "--json")
    lines = sender("status", batch["raw_id"], "--events").stdout.decode().splitlines()
    listed = sender("rejected", "list", "--source", source)
    shown = sender("rejected", "show", batch["raw_id"], "--item", 2)
    raw = sender("rejected", "show", batch["raw_id"], "--item", 2, "--raw")

    # THEN it is counted, and what was rejected is reported
    assert [ran.returncode for ran in (sent, status, listed, shown, raw)] == [0, 1, 0, 0, 0], listed.stderr.decode()
    (printed,) = json.loads(status.stdout)["statuses"]
    assert printed["counts"] == {"processed": 2, "superseded": 0, "rejected": 2}
    assert [(entry["item"], entry["violations"][0]["code"]) for entry in printed["rejections"]] == [
        (1, "data.empty"),
        (2, "data.not_numeric"),
    ]
    assert [line.split("\t")[1:3] for line in lines[1:]] == [
        ["0", "processed"],
        ["1", "rejected"],
        ["2", "rejected"],
        ["3", "processed"],
    ]
    assert [line.split("\t")[1:3] for line in listed.stdout.decode().splitlines()] == [
        [batch["raw_id"], "1"],
        [batch["raw_id"], "2"],
    ]
    assert b"violation\tdata.not_numeric" in shown.stdout
    assert raw.stdout.decode() == texts[2]


def test_what_was_rejected_is_corrected_and_resolved(sender: Sender) -> None:
    # GIVEN rows that `send` can't read, an event that breaks a rule, and what Telegraf sent with a bad time
    source, line = f"fixed-{uuid4()}", json.dumps
    (sender.folder / "log.csv").write_text(
        "time,value\n2031-04-01T00:00Z,1\n2031-04-01T00:01Z,n/a\n2031-04-01T00:02,3\n"
    )
    ran = sender("send", "log.csv", "--source", source)
    assert (ran.returncode, b"the API counts 2 of them as rejected" in ran.stdout) == (1, True), ran.stderr.decode()
    empty = line({"time_stamp": "2031-04-01T00:03Z", "data": [], "source": source}).encode()
    metric = {"fields": {"v": 5}, "name": "m", "tags": {"host": source}, "timestamp": "now"}
    accepted = [
        sender.client.request("POST", path, body, content_type="application/json").json()["raw_id"]
        for path, body in (("/ingest", empty), ("/ingest/telegraf", line({"metrics": [metric]}).encode()))
    ]
    assert sender("status", "--wait", *accepted, "--sent", "log.csv.dropzone-resume").returncode == 1

    # THEN all of them are in the figures, also those that were never sent
    def figures() -> list[tuple[int, int, int, int]]:
        answered = sender.client.request("GET", f"/quality?source={source}&granularity=day").json()["quality"]
        return [(one["received"], one["rejected"], one["resolved"], one["open"]) for one in answered]

    assert figures() == [(4, 3, 0, 3)]
    assert sender.client.request("GET", f"/sources?prefix={source}").json()["sources"][0]["last_day"]["rejected"] == 3

    # WHEN the rows are corrected in the file of rejects, and sent
    rejects = sender.folder / "log.csv.rejects.csv"
    rejects.write_text(rejects.read_text().replace("n/a", "2", 1).replace("00:02,", "00:02Z,", 1))
    assert sender("send", rejects.name, "--source", source).returncode == 0
    # AND the others in what is exported
    for name in (source, ""):
        exported = sender("rejected", "export", "--source", name, "--from", "1h", "--out", "bad.ndjson")
        assert exported.returncode == 0, exported.stderr.decode()
        lines = [json.loads(text) for text in (sender.folder / "bad.ndjson").read_text().splitlines()]
        ours = [one for one in lines if one["raw_id"] in accepted]
        for one in ours:
            one["event"] |= {"data": one["event"]["data"] or [4], "time_stamp": "2031-04-01T00:04Z"}
        (sender.folder / "fixed.ndjson").write_text("".join(line(one) + "\n" for one in ours))
        if ours:
            assert sender("send", "fixed.ndjson").returncode == 0
    sent = ["--sent", "log.csv.rejects.csv.dropzone-resume", "--sent", "fixed.ndjson.dropzone-resume"]
    for given in (sent[:2], sent[2:]):
        assert sender("status", "--wait", *given).returncode == 0

    # THEN every rejection is resolved, and every value is there
    assert figures() == [(7, 3, 3, 0)]
    assert not sender("rejected", "list", "--source", source).stdout
    rows = sender.client.query(
        "SELECT source, mean FROM measurements WHERE source LIKE :source ORDER BY 1, 2", source=f"{source}%"
    )
    assert rows == [[source, 1.0], [source, 2.0], [source, 3.0], [source, 4.0], [f"{source}/m/v", 5.0]]
    for raw_id in accepted:
        status = sender.client.request("GET", f"/ingest/{raw_id}").json()
        assert (status.get("resolved_by") or status["events"][0]["resolved_by"])["item"] == 0
