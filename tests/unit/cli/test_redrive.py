"""`dropzone dlq`: nothing is lost, what is completed is dropped, everything else goes the normal way again."""

import json
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import pytest

from dropzone_cli import redrive
from dropzone_cli.queue import Message, Queue
from dropzone_cli.redrive import Redrive
from support.factories import raw_id, raw_ids, s3_event, s3_test_event
from unit.cli.harness import Cli, FakeApi, Stack, document

ACCEPTED = {"status": "accepted", "attempts": 2, "last_error": "the database \x1b[31m was away"}
STUCK = {"status": "stuck", "attempts": 5, "last_error": "its process died"}


def notification(stack: Stack, *identifiers: UUID) -> str:
    return json.dumps(s3_event(*identifiers, bucket=stack.bucket))


def test_the_list_tells_why_and_leaves_all_of_it(cli: Cli, api: FakeApi, stack: Stack) -> None:
    waiting, stuck, completed, missing = raw_ids(4)
    api.statuses = {waiting: ACCEPTED, stuck: STUCK, completed: {"status": "rejected", "violations": []}}
    for identifier in (waiting, stuck, completed, missing):
        stack.die(identifier)
    stack.die(stuck, missing)
    stack.die(body="\x1b garbage".replace("\x1b", "!"))
    stack.die(body=json.dumps(s3_test_event()))
    before = stack.dead

    result = cli("dlq", "list")

    assert result.exit_code == 0
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in result.stdout.splitlines()}
    assert rows[str(waiting)][2:] == ["2", "accepted: the database \\x1b[31m was away"]
    assert rows[str(stuck)][3] == "stuck: its process died"
    assert rows[str(completed)][3] == "done meanwhile: rejected"
    assert rows[str(missing)][3] == "object missing"
    assert rows[f"{stuck} +1"][2:] == ["5", "stuck: its process died; object missing"]
    reasons = [line.split("\t")[-1] for line in result.stdout.splitlines() if line.startswith("-")]
    assert sorted(reasons) == ["an S3 test event", "not understood"]
    assert "7 dead letters." in result.stderr
    assert stack.dead == before


def test_the_list_as_json(cli: Cli, api: FakeApi, stack: Stack) -> None:
    stuck, missing = raw_ids(2)
    api.statuses = {stuck: STUCK}
    message_id = stack.die(stuck, missing)

    listed = document(cli("dlq", "list", "--json"))

    (message,) = listed["messages"]
    assert (listed["approximate_messages"], listed["approximate_in_flight"]) == (1, 0)
    assert message["message_id"] == message_id
    assert message["receives"] == 1
    assert 0 <= message["age_seconds"] < 60
    assert message["objects"] == [{"raw_id": str(stuck), **STUCK}, {"raw_id": str(missing), "status": "missing"}]


def test_the_list_is_bounded(cli: Cli, stack: Stack) -> None:
    for number in range(25):
        stack.die(body=str(number))

    result = cli("dlq", "list", "--limit", 12)

    assert len(result.stdout.splitlines()) == 12
    assert "12 dead letters shown of about 25" in result.stderr
    assert len(stack.dead) == 25


def test_the_list_is_there_also_when_the_api_is_not(cli: Cli, api: FakeApi, stack: Stack) -> None:
    identifier = raw_id()
    stack.die(identifier)
    api.answers = [httpx.Response(503, json={"detail": "Postgres is away"})] * 100

    result = cli("dlq", "list")

    assert result.exit_code == 3
    assert result.stdout.split("\t")[0] == str(identifier)
    assert result.stdout.rstrip().endswith("not known")
    assert "Postgres is away" in result.stderr


def test_an_empty_list(cli: Cli, stack: Stack) -> None:
    assert stack.dead == []
    result = cli("dlq", "list")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No dead letters.\n")


def test_redrive_takes_all_of_it(cli: Cli, api: FakeApi, stack: Stack) -> None:
    waiting, stuck, missing = raw_ids(3)
    api.statuses = {waiting: ACCEPTED, stuck: STUCK}
    for identifier in (waiting, stuck, missing):
        stack.die(identifier)
    stack.die(body="garbage")
    before = stack.dead

    result = cli("dlq", "redrive")

    assert result.exit_code == 0
    assert "4 messages redriven" in result.stdout
    assert "1 are not understood and 1 name a missing object" in result.stderr
    assert (stack.dead, stack.queued) == ([], before)


@pytest.mark.parametrize("status", ["processed", "superseded", "rejected"])
def test_what_was_processed_meanwhile_is_dropped(cli: Cli, api: FakeApi, stack: Stack, status: str) -> None:
    identifier = raw_id()
    api.statuses = {identifier: {"status": status}}
    stack.die(identifier)

    counts = document(cli("dlq", "redrive", "--json"))

    assert (counts["redriven"], counts["dropped"]) == (0, 1)
    assert (stack.dead, stack.queued) == ([], [])


@pytest.mark.parametrize(
    ("statuses", "dropped"),
    [
        (["processed", "rejected"], True),
        (["processed", "accepted"], False),
        (["processed", "stuck"], False),
        (["processed", None], False),
    ],
)
def test_a_message_of_several_objects_is_dropped_only_when_all_are_processed(
    cli: Cli, api: FakeApi, stack: Stack, statuses: list[str | None], *, dropped: bool
) -> None:
    identifiers = raw_ids(2)
    api.statuses = {
        identifier: {"status": status} for identifier, status in zip(identifiers, statuses, strict=True) if status
    }
    stack.die(*identifiers)

    cli("dlq", "redrive")

    assert stack.dead == []
    assert stack.queued == ([] if dropped else [notification(stack, *identifiers)])


def test_a_dry_run_does_nothing(cli: Cli, api: FakeApi, stack: Stack) -> None:
    waiting, completed = raw_ids(2)
    api.statuses = {waiting: ACCEPTED, completed: {"status": "processed"}}
    stack.die(waiting)
    stack.die(completed)
    before = stack.dead

    result = cli("dlq", "redrive", "--dry-run")

    assert "1 message would be redriven" in result.stdout
    assert "1 message would be dropped" in result.stdout
    assert (stack.dead, stack.queued) == (before, [])


def test_chosen_ones_alone(cli: Cli, api: FakeApi, stack: Stack) -> None:
    first, second, third, absent = raw_ids(4)
    api.statuses = {first: ACCEPTED, second: ACCEPTED, third: ACCEPTED}
    for identifier in (first, second, third):
        stack.die(identifier)
    stack.die(body="garbage")

    result = cli("dlq", "redrive", first, third, absent)

    assert result.exit_code == 1
    assert f"{absent}: no dead letter names it" in result.stderr
    assert stack.queued == sorted([notification(stack, first), notification(stack, third)])
    assert stack.dead == sorted([notification(stack, second), "garbage"])


def test_a_limit(cli: Cli, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for identifier in raw_ids(25):
        stack.die(identifier)
    received: list[int] = []
    receive = Queue.receive

    def counted(queue: Queue, seconds: int) -> list[Message]:
        messages = receive(queue, seconds)
        received.append(len(messages))
        return messages

    monkeypatch.setattr(Queue, "receive", counted)

    counts = document(cli("dlq", "redrive", "--limit", 13, "--json"))

    assert counts["redriven"] == 13
    assert received == [10, 10], "no more than are needed"
    assert (len(stack.dead), len(stack.queued)) == (12, 13)


def test_more_than_one_page(cli: Cli, stack: Stack) -> None:
    for identifier in raw_ids(57):
        stack.die(identifier)

    counts = document(cli("dlq", "redrive", "--json"))

    assert counts["redriven"] == 57
    assert (len(stack.dead), len(stack.queued)) == (0, 57)


def test_messages_that_are_too_large_for_one_call_together(cli: Cli, stack: Stack) -> None:
    # GIVEN ten messages that SQS takes alone, and not in one batch
    for number in range(10):
        stack.die(body=f"{number}{'x' * 150_000}")
    before = stack.dead

    counts = document(cli("dlq", "redrive", "--json"))

    assert counts["redriven"] == 10
    assert (stack.dead, stack.queued) == ([], before)


def test_of_a_large_queue_little_is_held(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redrive, "_HELD", 20)
    for number in range(45):
        stack.die(body=str(number))
    work = run(stack, dry_run=True)

    assert work.report.redriven == 45
    assert len(work._held) == 20
    # Those get back into sight by themselves.
    assert Queue(stack.sqs, stack.dlq_url).counts().in_flight == 25


def no_statuses(identifiers: Sequence[UUID]) -> Mapping[UUID, dict[str, Any] | None]:
    return dict.fromkeys(identifiers)


class Recorded(Queue):
    """A queue whose calls are noted, and which fails where a test says so."""

    def __init__(self, stack: Stack, url: str, name: str, log: list[str]) -> None:
        super().__init__(stack.sqs, url)
        self.name, self.log = name, log
        self.fails: dict[str, BaseException] = {}

    def _note(self, call: str) -> None:
        self.log.append(f"{call} {self.name}")
        if call in self.fails:
            raise self.fails[call]

    def send(self, messages: Sequence[Message]) -> tuple[list[Message], list[str]]:
        self._note("send")
        return super().send(messages)

    def delete(self, messages: Sequence[Message]) -> list[Message]:
        self._note("delete")
        return super().delete(messages)


def make(stack: Stack, **options: Any) -> tuple[Redrive, Recorded, Recorded]:  # noqa: ANN401 - of Redrive
    log: list[str] = []
    dlq, queue = Recorded(stack, stack.dlq_url, "dlq", log), Recorded(stack, stack.queue_url, "queue", log)
    return Redrive(dlq=dlq, queue=queue, bucket=stack.bucket, statuses=no_statuses, **options), dlq, queue


def run(stack: Stack, **options: Any) -> Redrive:  # noqa: ANN401 - of Redrive
    work, _, _ = make(stack, **options)
    work.run()
    return work


def test_it_is_sent_before_it_is_deleted(stack: Stack) -> None:
    stack.die(raw_id())
    work, dlq, _ = make(stack)

    work.run()

    assert dlq.log == ["send queue", "delete dlq"]


@pytest.mark.parametrize("failure", [RuntimeError("no network"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["send", "delete"])
def test_a_redrive_that_ends_half_way_loses_nothing(stack: Stack, call: str, failure: BaseException) -> None:
    identifiers = raw_ids(3)
    for identifier in identifiers:
        stack.die(identifier)
    before = stack.dead
    work, dlq, queue = make(stack)
    (queue if call == "send" else dlq).fails[call] = failure

    with pytest.raises(type(failure)):
        work.run()

    assert stack.dead == before  # and in sight at once
    assert stack.queued == ([] if call == "send" else before)


def test_what_sqs_does_not_take_stays(cli: Cli, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Queue, "send", lambda _, messages: (messages[:1], ["6ba7b810-9dad-41d1-80b4-00c04fd430c8"]))
    for identifier in raw_ids(3):
        stack.die(identifier)

    result = cli("dlq", "redrive")

    assert result.exit_code == 1
    assert "1 message redriven" in result.stdout
    assert "2 messages could not be sent" in result.stderr
    assert len(stack.dead) == 2


def test_what_sqs_does_not_delete_is_reported(cli: Cli, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Queue, "delete", lambda _, messages: messages[1:])
    stack.die(raw_id())

    result = cli("dlq", "redrive")

    assert result.exit_code == 1
    assert "1 message could not be deleted" in result.stderr


def test_what_comes_back_meanwhile_is_not_taken_again(stack: Stack) -> None:
    """A message that fails at once and is a dead letter again must not keep the redrive going for ever."""
    stack.die(body="poison")
    sent: list[str] = []

    class Returning(Recorded):
        def send(self, messages: Sequence[Message]) -> tuple[list[Message], list[str]]:
            assert len(sent) < 5, "it goes on for ever"
            for message in messages:
                sent.append(stack.sqs.send_message(QueueUrl=stack.dlq_url, MessageBody=message.body)["MessageId"])
            return [*messages], [*sent]

    dlq = Queue(stack.sqs, stack.dlq_url)
    work = Redrive(dlq, Returning(stack, stack.queue_url, "", []), stack.bucket, no_statuses)

    assert work.run().redriven == 1
    assert stack.dead == ["poison"]


def test_an_api_out_of_reach_leaves_all_of_it(cli: Cli, api: FakeApi, stack: Stack) -> None:
    for identifier in raw_ids(3):
        stack.die(identifier)
    api.answers = [httpx.ConnectError("refused")] * 100
    before = stack.dead

    result = cli("dlq", "redrive")

    assert (result.exit_code, result.stdout) == (3, "")
    assert (stack.dead, stack.queued) == (before, [])


def test_twice_at_once_is_harmless(stack: Stack) -> None:
    identifiers = raw_ids(60)
    for identifier in identifiers:
        stack.die(identifier)

    with ThreadPoolExecutor() as pool:
        reports = [future.result().report for future in [pool.submit(run, stack) for _ in range(3)]]

    assert sum(report.redriven for report in reports) >= 60
    assert stack.dead == []
    assert set(stack.queued) == {notification(stack, identifier) for identifier in identifiers}


def test_ctrl_c_releases_what_is_held(cli: Cli, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for identifier in raw_ids(15):
        stack.die(identifier)
    delete, calls = Queue.delete, []

    def interrupted(queue: Queue, messages: Sequence[Message]) -> list[Message]:
        gone = delete(queue, messages)
        calls.append(gone)
        signal.raise_signal(signal.SIGINT)
        return gone

    monkeypatch.setattr(Queue, "delete", interrupted)

    result = cli("dlq", "redrive")

    assert result.exit_code == 130
    assert "10 messages redriven" in result.stdout
    assert (len(stack.dead), len(stack.queued), len(calls)) == (5, 10, 1)


def test_purge_asks_nobody_who_is_not_there(cli: Cli, stack: Stack) -> None:
    stack.die(body="garbage")

    result = cli("dlq", "purge")

    assert result.exit_code == 2
    assert "1 dead letter" in result.stderr
    assert "--yes" in result.stderr
    assert stack.dead == ["garbage"]


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 0), ("n\n", 1, 2), ("\n", 1, 2)])
def test_purge_asks_first(
    cli: Cli, stack: Stack, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: int
) -> None:
    for number in range(2):
        stack.die(body=str(number))
    monkeypatch.setattr("dropzone_cli.session.can_ask", lambda: True)

    result = cli("dlq", "purge", given=answer)

    assert result.exit_code == code
    assert "About 2 dead letters of the stack measurements" in result.stderr
    assert "Raw objects stay in bronze" in result.stderr
    assert len(stack.dead) == left


def test_purge_with_yes(cli: Cli, stack: Stack) -> None:
    stack.die(body="garbage")

    assert document(cli("dlq", "purge", "--yes", "--json")) == {"purged": 1}
    assert stack.dead == []
    assert cli("dlq", "purge").stdout == "No dead letters.\n"


def test_an_interrupted_purge_deletes_nothing(cli: Cli, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.die(body="garbage")
    monkeypatch.setattr("dropzone_cli.session.can_ask", lambda: True)

    result = cli("dlq", "purge", given="")  # as Ctrl-D

    assert result.exit_code == 130
    assert stack.dead == ["garbage"]
