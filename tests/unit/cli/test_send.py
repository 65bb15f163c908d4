"""`dropzone send`: what arrives, how often, and what is reported; stopped anywhere, everything arrives once."""

import fcntl
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import Result

from dropzone_cli import output
from dropzone_cli.sending import batches, journal, workers
from dropzone_cli.sending.events import Event
from support.examples import examples
from support.factories import raw_id
from support.packing import gzipped
from unit.cli.harness import KEY, LOCAL, Cli, FakeIngest, document

pytestmark = pytest.mark.usefixtures("local")

CSV = "a.csv"
RESUME = Path("a.csv.dropzone-resume")


@pytest.fixture
def bronze() -> FakeIngest:
    return FakeIngest()


@pytest.fixture
def cli(bronze: FakeIngest) -> Cli:
    return Cli(bronze)


def write(rows: int, name: str = CSV, start: int = 0) -> None:
    """Write a CSV whose values are the numbers of its rows."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    times = ((began + timedelta(seconds=number)).isoformat() for number in range(start, start + rows))
    body = "".join(f"{time},{number}\n" for number, time in enumerate(times, start))
    if start:
        with Path(name).open("a") as file:
            file.write(body)
    else:
        Path(name).write_text("time,value\n" + body)


def values(bronze: FakeIngest) -> list[int]:
    """The values in bronze, in order, each as often as it is there."""
    return sorted(int(event["data"][0]) for event in bronze.events)


def refusal(status: int, headers: dict[str, str] | None = None, **problem: object) -> httpx.Response:
    return httpx.Response(status, headers=headers, json={"status": status, "title": "t", "detail": "d", **problem})


def lose(*numbers: int) -> Callable[[int], Exception | None]:
    """Lose the answers of these requests."""
    return lambda number: httpx.ReadError("reset") if number in numbers else None


def interrupt(cli: Cli, bronze: FakeIngest, at: int, *arguments: object, given: bytes | None = None) -> Result:
    """Send until the request of this number (from 0), whose answer does not arrive."""
    bronze.fault = lambda number: KeyboardInterrupt() if number == at else None
    result = cli("send", *arguments, given=given)
    bronze.fault = lose()
    return result


# ---- what arrives


def test_a_csv_arrives(cli: Cli, bronze: FakeIngest) -> None:
    write(25)

    result = cli("send", CSV, "--batch-size", 10)

    assert result.exit_code == 0
    assert values(bronze) == [*range(25)]
    assert sorted(len(body.splitlines()) for body in bronze.objects.values()) == [5, 10, 10]
    assert result.stdout.startswith("25 events accepted in 3 batches: ")
    for request in bronze.requests:
        assert request.url.path.endswith("/ingest")
        assert request.headers["x-api-key"] == KEY
        assert request.headers["content-type"] == "application/x-ndjson"
        assert request.headers["content-encoding"] == "gzip"
    assert len({request.headers["idempotency-key"] for request in bronze.requests}) == 3


def test_unpacked(cli: Cli, bronze: FakeIngest) -> None:
    write(2)

    assert cli("send", CSV, "--no-gzip").exit_code == 0
    assert "content-encoding" not in bronze.requests[0].headers
    assert bronze.requests[0].content.count(b"\n") == 2


@pytest.mark.parametrize("packed", [False, True])
def test_stdin_arrives(cli: Cli, bronze: FakeIngest, packed: bool) -> None:
    text = b'[{"time_stamp": "2026-01-01T00:00:00Z",\n "data": [1.50]}, {"x": 2}]'

    result = cli("send", "-", given=gzipped(text) if packed else text)

    assert result.exit_code == 0
    assert [*bronze.objects.values()] == [b'{"time_stamp": "2026-01-01T00:00:00Z",  "data": [1.50]}\n{"x": 2}\n']
    assert [*Path().iterdir()] == [Path(".local")]


def test_several_files_arrive_and_none_shares_a_batch(cli: Cli, bronze: FakeIngest) -> None:
    write(3, "1.csv")
    Path("2.json").write_text('{"data": [3]}')
    Path("3.ndjson.gz").write_bytes(gzipped(b'{"data": [4]}\n{"data": [5]}'))

    result = cli("send", "*.csv", "2.json", "3.*", "--json")

    assert result.exit_code == 0
    assert values(bronze) == [*range(6)]
    assert sorted((sent["input"], sent["events"], sent["lines"]) for sent in document(result)["sent"]) == [
        ("1.csv", 3, [2, 4]),
        ("2.json", 1, [1, 1]),
        ("3.ndjson.gz", 2, [1, 2]),
    ]


def test_options_reach_the_rows(cli: Cli, bronze: FakeIngest) -> None:
    Path(CSV).write_text("when;t;who;u;hall\n2026-07-01 12:00;1;s;K;3\n2026-07-01 12:00;2;s;K;3\n")

    columns = ["--time-column=when", "--value-column=t", "--source-column=who", "--unit-column=u", "--tag-column=hall"]
    result = cli(
        "send", CSV, *columns, "--tag=site=A=B", "--timezone=Europe/Berlin", "--merge-rows", "--delimiter=;", "-fcsv"
    )

    assert result.exit_code == 0
    assert bronze.events == [
        {
            "schema_version": 2,
            "time_stamp": "2026-07-01T10:00:00Z",
            "data": [1, 2],
            "source": "s",
            "unit": "K",
            "tags": {"site": "A=B", "hall": "3"},
        }
    ]


def test_one_at_a_time_keeps_the_order(cli: Cli, bronze: FakeIngest) -> None:
    write(50)

    cli("send", CSV, "--parallel", 1, "--batch-size", 7)

    assert [int(event["data"][0]) for event in bronze.events] == [*range(50)]


def test_requests_run_at_once_and_no_more_than_were_asked_for(cli: Cli, bronze: FakeIngest) -> None:
    write(300)
    together = threading.Barrier(3, timeout=60)
    counted = threading.Lock()
    running, most = 0, 0
    take = cli.api

    def handle(request: httpx.Request) -> httpx.Response:
        nonlocal running, most
        with counted:
            running += 1
            most = max(most, running)
        together.wait()
        with counted:
            running -= 1
        return take(request)

    cli.api = handle  # type: ignore[assignment]

    assert cli("send", CSV, "--parallel", 3, "--batch-size", 10).exit_code == 0
    assert most == 3
    assert values(bronze) == [*range(300)]


def test_the_reader_does_not_run_ahead_of_the_requests(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches wait in memory, so that few may."""
    write(1_000)
    made: list[int] = []
    init = batches.Batch.__init__

    def counted(self: batches.Batch, *arguments: Any) -> None:  # noqa: ANN401
        init(self, *arguments)
        made.append(self.number)

    monkeypatch.setattr(batches.Batch, "__init__", counted)
    ahead: list[int] = []
    take = cli.api

    def handle(request: httpx.Request) -> httpx.Response:
        ahead.append(len(made) - len(ahead))
        return take(request)

    cli.api = handle  # type: ignore[assignment]
    cli("send", CSV, "--parallel", 2, "--batch-size", 5)

    assert len(ahead) == 200
    assert max(ahead) <= 2 + 2 + 1


# ---- retries


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 507, 520, 524, 599])
def test_what_may_pass_is_tried_again_with_the_same_key_and_bytes(cli: Cli, bronze: FakeIngest, status: int) -> None:
    write(3)
    bronze.answers = [refusal(status), refusal(status)]

    result = cli("send", CSV)

    assert result.exit_code == 0
    assert len(bronze.requests) == 3
    assert len({(request.headers["idempotency-key"], request.content) for request in bronze.requests}) == 1
    assert values(bronze) == [0, 1, 2]


def test_pauses_are_by_chance_and_grow(cli: Cli, bronze: FakeIngest, monkeypatch: pytest.MonkeyPatch) -> None:
    write(1)
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return high

    monkeypatch.setattr("random.uniform", uniform)
    bronze.answers = [refusal(503) for _ in range(8)]

    assert cli("send", CSV).exit_code == 0
    assert asked == [(0, longest) for longest in (1, 2, 4, 8, 16, 20, 20, 20)]
    assert cli.slept == [1, 2, 4, 8, 16, 20, 20, 20]


def test_an_answer_that_got_lost_makes_no_double(cli: Cli, bronze: FakeIngest) -> None:
    write(30)
    bronze.fault = lose(1)

    result = cli("send", CSV, "--batch-size", 10, "--parallel", 1)

    assert result.exit_code == 0
    assert values(bronze) == [*range(30)]
    assert "1 batch of these had arrived before" in result.stdout


def test_patience_is_an_option(cli: Cli, bronze: FakeIngest) -> None:
    write(1)
    bronze.answers = [refusal(503) for _ in range(100)]

    result = cli("send", CSV, "--retry-for", 200)

    assert result.exit_code == 3
    assert 150 < sum(cli.slept) <= 200
    assert "Continue with the same command." in result.stderr


def test_a_connection_that_is_gone_for_a_while_is_waited_for_once_it_was_there(cli: Cli, bronze: FakeIngest) -> None:
    write(20)
    down = [httpx.ConnectError("refused") for _ in range(9)]
    bronze.fault = lambda number: None if number else bronze.answers.extend(down)

    assert cli("send", CSV, "--batch-size", 10, "--parallel", 1).exit_code == 0
    assert values(bronze) == [*range(20)]


def test_an_api_that_was_never_there_is_reported_soon(cli: Cli, bronze: FakeIngest) -> None:
    write(1)
    bronze.answers = [httpx.ConnectError("refused") for _ in range(9)]

    result = cli("send", CSV, "--parallel", 1)

    assert (result.exit_code, len(bronze.requests)) == (3, 3)
    assert "make up" in result.stderr


# ---- what is refused


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_a_batch_that_is_refused_is_reported_with_its_lines_and_the_rest_goes_on(
    cli: Cli, bronze: FakeIngest, status: int
) -> None:
    write(30)
    bronze.answers = [refusal(status, detail="It is \x1b[31mnot right.")]

    result = cli("send", CSV, "--batch-size", 10, "--parallel", 1)

    assert result.exit_code == 1
    assert values(bronze) == [*range(10, 30)]
    assert result.stderr.startswith(f"a.csv, lines 2 to 11: {status}, It is \\x1b[31mnot right.\n")
    assert "10 events refused, in 1 batch" in result.stdout
    # The same command tries it again, and it alone.
    assert cli("send", CSV, "--batch-size", 10).exit_code == 0
    assert values(bronze) == [*range(30)]
    assert len(bronze.requests) == 4


def test_the_first_problem_ends_it_where_that_is_wanted(cli: Cli, bronze: FakeIngest) -> None:
    write(100)
    bronze.answers = [refusal(422)]

    result = cli("send", CSV, "--batch-size", 1, "--parallel", 1, "--fail-fast")

    assert result.exit_code == 1
    assert len(bronze.requests) == 1
    assert "Continue with the same command." in result.stderr


def test_a_line_that_is_no_event_ends_it_where_that_is_wanted(cli: Cli, bronze: FakeIngest) -> None:
    Path(CSV).write_text("time,value\n2026-01-01T00:00Z,1\nx,2\n2026-01-01T00:00Z,3\n")

    result = cli("send", CSV, "--batch-size", 1, "--fail-fast")

    assert result.exit_code == 1
    assert set(values(bronze)) <= {1}


@pytest.mark.parametrize("status", [401, 403, 404, 405, 415])
def test_what_would_refuse_every_batch_ends_it(cli: Cli, bronze: FakeIngest, status: int) -> None:
    write(100)
    bronze.answers = [refusal(status)] * 100

    result = cli("send", CSV, "--batch-size", 1, "--parallel", 2)

    assert result.exit_code == 3
    assert len(bronze.requests) <= 4
    assert str(status) in result.stderr


def test_a_quota_that_is_used_up_ends_it_and_later_it_goes_on(cli: Cli, bronze: FakeIngest) -> None:
    write(20)
    quota = refusal(429, type="urn:dropzone:problem:quota-exceeded")
    bronze.fault = lambda number: quota if number == 1 else None

    assert cli("send", CSV, "--batch-size", 10, "--parallel", 1).exit_code == 3
    assert cli("send", CSV, "--batch-size", 10, "--parallel", 1).exit_code == 0
    assert values(bronze) == [*range(20)]


def test_an_answer_of_another_server_is_no_promise(cli: Cli, bronze: FakeIngest) -> None:
    write(1)
    for answer in (
        httpx.Response(200, json={}),
        httpx.Response(202, json={}),
        httpx.Response(202, text="<html>"),
        httpx.Response(202, json={"raw_id": "x", "items": 1}),
    ):
        bronze.answers = [answer]
        result = cli("send", CSV)
        assert result.exit_code == 3
        assert "is not Dropzone's API" in result.stderr
    assert "accepted by an earlier run" not in cli("send", CSV).stdout


def test_an_api_that_counts_otherwise_is_reported(cli: Cli, bronze: FakeIngest) -> None:
    write(2)
    identifier = "01a20e71-e5a4-700b-bae4-431c79e16819"
    bronze.answers = [httpx.Response(202, json={"raw_id": identifier, "items": 1})]

    result = cli("send", CSV)

    assert result.exit_code == 1
    assert f"counts 1 events in {identifier}, where 2 were sent" in result.stderr


def test_lines_that_are_no_events_are_reported_and_the_rest_arrives(cli: Cli, bronze: FakeIngest) -> None:
    Path(CSV).write_text("time,value\n2026-01-01T00:00Z,1\n" + "x,2\n" * 30 + "2026-01-01T00:00Z,3\n")

    result = cli("send", CSV)
    printed = document(cli("send", CSV, "--again", "--json"))

    assert result.exit_code == 1
    assert result.stderr.count("a.csv, line ") == 20
    assert "There are more of these" in result.stderr
    assert "30 places in the input that can't be sent as an event" in result.stdout
    assert (printed["unreadable"], len(printed["problems"]), printed["accepted"]) == (30, 30, 2)
    assert printed["problems"][0]["lines"] == [3, 3]
    assert values(bronze) == [1, 1, 3, 3]


def test_an_input_that_breaks_is_reported_and_the_others_arrive(cli: Cli, bronze: FakeIngest) -> None:
    Path("1.json").write_text('[{"data":[0]},\n{"data":[1]},\n{"data":[2]},,')
    Path("2.json").write_text('{"data":[7]}')
    Path("3.csv").write_text("")

    result = cli("send", "1.json", "2.json", "3.csv", "--batch-size", 2)

    assert result.exit_code == 1
    assert values(bronze) == [0, 1, 2, 7]
    assert "1.json, lines 1 to 3: an array starts here and has no end: something may be missing" in result.stderr
    assert "3.csv, line 1: there is no header" in result.stderr
    # Repaired, it goes on with what did not arrive.
    Path("1.json").write_text('[{"data":[0]},\n{"data":[1]},\n{"data":[2]},\n{"data":[3]}]')
    assert cli("send", "1.json", "--batch-size", 2).exit_code == 0
    assert values(bronze) == [0, 1, 2, 3, 7]


# ---- stopped, and going on


@pytest.mark.parametrize("done", [0, 1, 3])
def test_an_interrupted_run_tells_what_it_did_and_goes_on(cli: Cli, bronze: FakeIngest, done: int) -> None:
    write(50)

    result = interrupt(cli, bronze, done, CSV, "--batch-size", 10, "--parallel", 1)

    assert result.exit_code == 130
    assert result.stdout.startswith(f"{done * 10} events accepted in ")
    assert "Continue with the same command." in result.stderr
    result = cli("send", CSV, "--batch-size", 10, "--parallel", 1)
    assert result.exit_code == 0
    assert f"{50 - done * 10} events accepted in" in result.stdout
    # What was taken in when the answer did not arrive is recognised.
    assert "1 batch of these had arrived before" in result.stdout
    assert values(bronze) == [*range(50)]


def test_requests_on_their_way_get_their_answers(cli: Cli, bronze: FakeIngest, monkeypatch: pytest.MonkeyPatch) -> None:
    write(100)
    together, stopping = threading.Barrier(3, timeout=60), threading.Event()
    take, fail = cli.api, workers.WorkerPool.fail

    def note(pool: workers.WorkerPool, error: BaseException) -> None:
        fail(pool, error)
        stopping.set()

    monkeypatch.setattr(workers.WorkerPool, "fail", note)

    def handle(request: httpx.Request) -> httpx.Response:
        if together.wait() == 0:
            raise KeyboardInterrupt
        assert stopping.wait(60)  # or others would begin
        time.sleep(0.5)
        return take(request)

    cli.api = handle  # type: ignore[assignment]

    result = cli("send", CSV, "--batch-size", 1, "--parallel", 3, "--json")

    assert result.exit_code == 130
    printed = document(result)
    assert (printed["interrupted"], printed["accepted"], len(bronze.objects)) == (True, 2, 2)
    cli.api = take
    assert json.loads(cli("send", CSV, "--batch-size", 1, "--json").stdout)["accepted_earlier"] == 2


def test_nobody_waits_for_another_try_of_what_is_interrupted(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    write(100)
    monkeypatch.setattr(cli, "sleep", None)  # real pauses
    together = threading.Barrier(2, timeout=60)

    def handle(_: httpx.Request) -> httpx.Response:
        if together.wait() == 0:
            time.sleep(0.3)
            raise KeyboardInterrupt
        return refusal(503, {"Retry-After": "60"})

    cli.api = handle  # type: ignore[assignment]
    began = time.monotonic()

    assert cli("send", CSV, "--batch-size", 1, "--parallel", 2).exit_code == 130
    assert time.monotonic() - began < 30


def test_what_was_sent_is_not_sent_again(cli: Cli, bronze: FakeIngest) -> None:
    write(20)
    cli("send", CSV, "--batch-size", 10)

    result = cli("send", CSV, "--batch-size", 10)

    assert result.exit_code == 0
    assert len(bronze.requests) == 2
    assert "20 events accepted by an earlier run" in result.stdout
    assert "--again sends everything again" in result.stderr


def test_again_sends_all_of_it(cli: Cli, bronze: FakeIngest) -> None:
    write(20)
    cli("send", CSV)

    assert cli("send", CSV, "--again").exit_code == 0
    assert values(bronze) == sorted([*range(20)] * 2)
    # And then it is known again.
    assert "0 events accepted" in cli("send", CSV).stdout


def test_without_the_resume_file_the_same_keys_are_used_at_any_time(
    cli: Cli, bronze: FakeIngest, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(20)
    cli("send", CSV, "--batch-size", 5)
    RESUME.unlink()
    monkeypatch.setattr("time.time", lambda: 2e9)

    result = cli("send", CSV, "--batch-size", 5)

    assert "4 batches of these had arrived before" in result.stdout
    assert values(bronze) == [*range(20)]


def test_without_resuming_each_run_is_one_of_its_own(cli: Cli, bronze: FakeIngest) -> None:
    write(2)
    for _ in range(2):
        assert cli("send", CSV, "--no-resume").exit_code == 0
        assert cli("send", "-", given=b'{"data":[7]}').exit_code == 0

    assert values(bronze) == [0, 0, 1, 1, 7, 7]
    assert not RESUME.exists()


def test_a_file_that_grew_sends_what_is_new(cli: Cli, bronze: FakeIngest) -> None:
    write(25)
    cli("send", CSV, "--batch-size", 10)
    write(10, start=25)

    result = cli("send", CSV, "--batch-size", 10)

    assert result.exit_code == 0
    assert result.stdout.startswith("10 events accepted in 1 batch")
    assert values(bronze) == [*range(35)]
    # It is at its end, and what is at its end has no options to go on with.
    assert "35 events accepted by an earlier run" in cli("send", CSV, "--batch-size", 7).stdout


def test_a_file_that_grew_goes_on_where_it_was_stopped(cli: Cli, bronze: FakeIngest) -> None:
    write(20)
    cli("send", CSV, "--batch-size", 10)
    write(30, start=20)
    bronze.answers = [refusal(422)]
    assert cli("send", CSV, "--batch-size", 10, "--parallel", 1).exit_code == 1
    assert values(bronze) == [*range(20), *range(30, 50)]

    result = cli("send", CSV, "--batch-size", 10)

    assert result.stdout.startswith("10 events accepted in 1 batch")
    assert values(bronze) == [*range(50)]


@pytest.mark.parametrize("change", ["first", "last", "shorter", "broken"])
def test_a_finished_file_with_other_content_is_another_one(cli: Cli, bronze: FakeIngest, change: str) -> None:
    write(20)
    cli("send", CSV, "--batch-size", 10)
    text = Path(CSV).read_text()
    new = {
        "first": text.replace("+00:00,0\n", "+00:00,100\n"),
        "last": text.replace("+00:00,19\n", "+00:00,100\n"),
        "shorter": "".join(text.splitlines(keepends=True)[:11]),
        "broken": text.replace("2026-01-01T00:00:03+00:00,3\n", "\N{SNOWMAN},3\n"),
    }[change]
    Path(CSV).write_bytes(new.encode("cp1252", "ignore") if change == "broken" else new.encode())

    result = cli("send", CSV, "--batch-size", 10)

    assert result.exit_code == (1 if change == "broken" else 0)
    assert "a.csv has changed since it was sent: it is sent as a new input." in result.stderr
    sent = [int(line.rpartition(",")[2]) for line in new.splitlines()[1:] if line.startswith("2026")]
    assert values(bronze) == sorted([*range(20), *sent])


def test_there_and_back_again(cli: Cli, bronze: FakeIngest) -> None:
    """Of one instant, the last to arrive is the measurement: the first content must arrive a second time."""
    for value in (1, 2, 1):
        Path("e.json").write_text(f'{{"data": [{value}]}}')
        assert cli("send", "e.json").exit_code == 0

    assert [event["data"] for event in bronze.events] == [[1], [2], [1]]


@pytest.mark.parametrize("change", ["other", "shorter", "rotated"])
def test_an_unfinished_file_with_other_content_is_a_new_input(cli: Cli, bronze: FakeIngest, change: str) -> None:
    write(30)
    interrupt(cli, bronze, 2, CSV, "--batch-size", 10, "--parallel", 1)
    before = values(bronze)
    text = Path(CSV).read_text()
    match change:
        case "other":
            Path(CSV).write_text(text.replace("+00:00,15\n", "+00:00,99\n"))
        case "shorter":
            write(10)
        case _:
            Path(CSV).write_text("".join(text.splitlines(keepends=True)[:1]))
            write(5, start=100)

    result = cli("send", CSV, "--batch-size", 10)

    assert result.exit_code == 0
    assert "a.csv has changed since it was sent: it is sent as a new input." in result.stderr
    new = {"other": [*range(15), 99, *range(16, 30)], "shorter": [*range(10)], "rotated": [*range(100, 105)]}[change]
    assert values(bronze) == sorted([*before, *new])
    assert "0 events accepted" in cli("send", CSV, "--batch-size", 10).stdout


@pytest.mark.parametrize("options", [["--batch-size=7"], ["--batch-bytes=99"], ["--no-gzip"], ["--parallel=3"]])
def test_a_run_goes_on_with_other_batches(cli: Cli, bronze: FakeIngest, options: list[str]) -> None:
    """What was cut stays cut, also the batch whose answer did not arrive."""
    write(30)
    interrupt(cli, bronze, 1, CSV, "--batch-size=10", "--parallel=1")

    result = cli("send", CSV, *options)

    assert result.exit_code == 0
    assert "1 batch of these had arrived before" in result.stdout
    assert values(bronze) == [*range(30)]


@pytest.mark.parametrize(
    "options", [["--source=s"], ["--timezone=UTC"], ["--merge-rows"], ["--unit=K"], ["--missing=5"], ["--tag=a=b"]]
)
def test_other_options_are_another_run_and_neither_hinders_the_other(
    cli: Cli, bronze: FakeIngest, options: list[str]
) -> None:
    write(20)
    interrupt(cli, bronze, 1, CSV, "--batch-size=5", "--parallel=1")
    other = cli("send", CSV, "--batch-size=5", *options)
    assert "a.csv was sent before, with other options or to another stack." in other.stderr

    result = cli("send", CSV, "--batch-size=5")

    assert "5 events accepted by an earlier run" in result.stdout
    assert "15 events accepted in 3 batches" in result.stdout
    assert values(bronze) == sorted([*range(20), *(set(range(20)) - ({5} if options == ["--missing=5"] else set()))])
    assert cli("send", CSV, *options).stdout.startswith("0 events accepted")


def test_a_wide_file_is_sent_once_for_each_column(cli: Cli, bronze: FakeIngest) -> None:
    rows = "".join(f"2026-01-01T00:{minute:02d}Z,{minute},{minute + 100}\n" for minute in range(30))
    Path(CSV).write_text("time,temp,hum\n" + rows)
    commands = [
        ("send", CSV, f"--value-column={name}", f"--source=x/{name}", "--batch-size=7") for name in ("temp", "hum")
    ]
    for command in commands:
        assert cli(*command).stdout.startswith("30 events accepted")
    with Path(CSV).open("a") as file:
        file.write("2026-01-01T00:30Z,30,130\n")

    for command in commands:
        assert cli(*command).stdout.startswith("1 event accepted")

    assert values(bronze) == sorted([*range(31), *range(100, 131)])


def test_each_stack_has_a_run_of_its_own(cli: Cli, bronze: FakeIngest, local: Path) -> None:
    write(30)
    bronze.fault = lambda number: KeyboardInterrupt() if number == 2 else None
    cli("send", CSV, "--batch-size=10", "--parallel", 1)
    local.write_text(json.dumps(LOCAL | {"url": "http://127.0.0.1:4566/other"}))

    result = cli("send", CSV, "--batch-size=10")

    assert result.stdout.startswith("30 events accepted")
    assert "a.csv was sent before, with other options or to another stack." in result.stderr
    # And the first stack gets what it lacks.
    local.write_text(json.dumps(LOCAL))
    assert cli("send", CSV, "--batch-size=10").stdout.startswith("10 events accepted")


def test_what_one_stack_has_another_one_has_not(cli: Cli, bronze: FakeIngest, local: Path) -> None:
    write(5)
    cli("send", CSV)
    local.write_text(json.dumps(LOCAL | {"url": "http://127.0.0.1:4566/other"}))

    result = cli("send", CSV)

    assert result.stdout.startswith("5 events accepted in 1 batch")
    assert values(bronze) == sorted([*range(5)] * 2)


def test_one_resume_file_for_all_inputs(cli: Cli, bronze: FakeIngest) -> None:
    write(20, "1.csv")
    Path("2.ndjson").write_text('{"data":[20]}\n{"data":[21]}')
    assert (
        interrupt(cli, bronze, 1, "1.csv", "2.ndjson", "--resume=r", "--batch-size=10", "--parallel=1").exit_code == 130
    )

    result = cli("send", "1.csv", "2.ndjson", "--resume=r", "--batch-size=10")

    assert result.stdout.startswith("12 events accepted in 2 batches")
    assert values(bronze) == [*range(22)]
    assert sorted(path.name for path in Path().iterdir()) == [".local", "1.csv", "2.ndjson", "r"]
    assert "22 events accepted by an earlier run" in cli("send", "2.ndjson", "1.csv", "--resume=r").stdout


def test_again_in_one_resume_file(cli: Cli, bronze: FakeIngest) -> None:
    write(3, "1.csv")
    write(5, "2.csv")
    cli("send", "1.csv", "--resume=r")
    write(4, "1.csv")
    cli("send", "1.csv", "2.csv", "--resume=r", "--again")

    assert "9 events accepted by an earlier run" in cli("send", "1.csv", "2.csv", "--resume=r").stdout
    assert values(bronze) == sorted([*range(3), *range(4), *range(5)])


def test_stdin_goes_on_where_it_is_given_again(cli: Cli, bronze: FakeIngest) -> None:
    text = b"".join(b'{"data":[%d]}\n' % number for number in range(30))
    assert interrupt(cli, bronze, 1, "-", "--resume=r", "--batch-size=10", "--parallel=1", given=text).exit_code == 130

    assert cli("send", "-", "--resume=r", "--batch-size=10", given=text).exit_code == 0
    assert values(bronze) == [*range(30)]


def test_stdin_of_the_second_day_is_sent_on_the_second_day(cli: Cli, bronze: FakeIngest) -> None:
    def day(first: int, rows: int) -> bytes:
        return b"".join(b'{"data":[%d]}\n' % number for number in range(first, first + rows))

    assert cli("send", "-", "--resume=r", "--batch-size=10", given=day(0, 25)).exit_code == 0
    second = cli("send", "-", "--resume=r", "--batch-size=10", given=day(100, 25))
    again = cli("send", "-", "--resume=r", "--batch-size=10", given=day(100, 25))

    assert (second.exit_code, again.exit_code) == (0, 0)
    assert second.stdout.startswith("25 events accepted")
    assert again.stdout.startswith("0 events accepted")
    # One that begins like the day before goes on behind that.
    third = cli("send", "-", "--resume=r", "--batch-size=10", given=day(100, 12) + day(200, 3))
    assert third.stdout.startswith("5 events accepted")
    assert values(bronze) == sorted([*range(25), *range(100, 125), 110, 111, *range(200, 203)])


def test_two_at_one_input_are_one_too_many(cli: Cli, bronze: FakeIngest) -> None:
    write(2)
    cli("send", CSV)
    with RESUME.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

        result = cli("send", CSV, "--again")

    assert result.exit_code == 2
    assert "Another dropzone send is using" in result.stderr
    assert len(bronze.requests) == 1
    assert cli("send", CSV, "--again").exit_code == 0


@pytest.mark.parametrize("content", [b"time,value\n", b"{}\n", b"[]", b"\xff\n", b'{"resume_file_of": "x"}\n'])
def test_what_is_no_resume_file_stays_as_it_is(cli: Cli, bronze: FakeIngest, content: bytes) -> None:
    write(2)
    RESUME.write_bytes(content)

    for options in ([], ["--again"], ["--dry-run"]):
        result = cli("send", CSV, *options)
        assert result.exit_code == (0 if options == ["--dry-run"] else 2)
    assert "is not a resume file" in cli("send", CSV).stderr
    assert RESUME.read_bytes() == content
    assert bronze.requests == []


def test_a_resume_file_that_was_changed_is_refused(cli: Cli, bronze: FakeIngest) -> None:
    write(20)
    cli("send", CSV, "--batch-size", 10)
    text = RESUME.read_text()
    RESUME.write_text(text.replace('"events": 10', '"events": "ten"'))

    assert cli("send", CSV, "--batch-size", 10).exit_code == 2
    assert len(bronze.requests) == 2


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self").is_dir(), reason="root may write anywhere")
def test_a_place_that_cant_be_written_is_reported_before_anything_is_sent(cli: Cli, bronze: FakeIngest) -> None:
    write(2)
    for place in ("no/such/folder/r", "/proc/self/r"):
        result = cli("send", CSV, "--resume", place)
        assert result.exit_code == 2
        assert "--no-resume" in result.stderr
    assert bronze.requests == []


def test_a_full_disk_ends_it_and_nothing_is_lost(cli: Cli, bronze: FakeIngest, monkeypatch: pytest.MonkeyPatch) -> None:
    write(30)
    whole = journal._write_line
    calls = 0

    def full(file: Any, line: Any) -> None:  # noqa: ANN401
        nonlocal calls
        calls += 1
        if calls == 5:  # the file itself, the run, a batch, that it was accepted or the next one, and this
            os.write(file.fileno(), b'{"of": 0, "bat')
            raise OSError(28, "No space left on device")
        whole(file, line)

    monkeypatch.setattr(journal, "_write_line", full)
    result = cli("send", CSV, "--batch-size", 10, "--parallel", 1)
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr

    assert cli("send", CSV, "--batch-size", 10).exit_code == 0
    assert values(bronze) == [*range(30)]
    # The torn line is gone.
    assert cli("send", CSV, "--batch-size", 10).stdout.startswith("0 events accepted")


def test_nothing_comes_behind_a_line_that_was_torn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may have had its answer at the same time."""
    whole = journal._write_line

    def full(file: Any, _: object) -> None:  # noqa: ANN401
        monkeypatch.setattr(journal, "_write_line", whole)
        os.write(file.fileno(), b'{"of": 0, "bat')
        raise OSError(28, "No space left on device")

    first, second, third = (batches.Batch(number, [Event(b"x", 1, 1)]) for number in range(3))
    opened = journal.Journal(tmp_path / "r")
    run = opened.run("a", "stack", {})
    for batch in (first, second, third):
        opened.add(run, batch)
    opened.accept(run, first, raw_id())
    monkeypatch.setattr(journal, "_write_line", full)
    opened.accept(run, second, raw_id())
    opened.accept(run, third, raw_id())
    assert "No space left" in str(opened.error)
    opened.close()

    assert len(journal.raw_ids(tmp_path / "r")) == 1


def test_the_resume_file_holds_no_secret_and_no_data(cli: Cli) -> None:
    write(3)
    cli("send", CSV)

    text = RESUME.read_text()
    assert KEY not in text
    assert "2026-01-01T00" not in text.replace(json.loads(text.splitlines()[1])["began"], "")


def stop(at: int, kind: str, number: int) -> httpx.Response | BaseException | None:
    """What a run is stopped with, or only disturbed."""
    if number != at:
        return None
    return refusal(403) if kind == "refuse" else httpx.ReadError("reset") if kind == "lose" else KeyboardInterrupt()


@settings(max_examples=examples(40))
@given(
    rows=st.integers(1, 60),
    size=st.integers(1, 15),
    parallel=st.integers(1, 4),
    stops=st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["interrupt", "refuse", "lose", "tear"])), max_size=4),
    cut=st.floats(0, 1),
)
def test_however_often_it_is_stopped_every_event_arrives_once(
    rows: int, size: int, parallel: int, stops: list[tuple[int, str]], cut: float
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write(rows)
        bronze = FakeIngest()
        patch.setenv("DROPZONE_URL", "http://127.0.0.1:1")
        patch.setenv("DROPZONE_API_KEY", KEY)
        cli = Cli(bronze)
        command = ("send", CSV, "--batch-size", size, "--parallel", parallel)
        for number, kind in stops:
            bronze.fault = partial(stop, len(bronze.requests) + number, kind)
            cli(*command)
            if kind == "tear":  # as a machine does that loses its power
                beginning, _, rest = RESUME.read_bytes().partition(b"\n")
                RESUME.write_bytes(beginning + b"\n" + rest[: int(len(rest) * cut)])
        bronze.fault = lose()

        result = cli(*command)

        assert result.exit_code == 0, result.output
        assert values(bronze) == [*range(rows)]


# ---- what is reported


def test_a_dry_run_tells_and_sends_nothing(cli: Cli, bronze: FakeIngest, local: Path) -> None:
    local.unlink()
    Path(CSV).write_text("time,value,unit\n2026-01-01T00:00Z,1,K\n2026-01-01T00:01Z,2,K\nx,1,K\n")

    reason = "the time 'x' is not an ISO 8601 date and time; --time-format names another form"

    result = cli("send", CSV, "--dry-run", "--batch-size", 1)
    printed = document(cli("send", CSV, "-", "--dry-run", "--json", given='{"a": 1}'))

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "a.csv: CSV: time from 'time', data from 'value', unit from 'unit'",
        '  first: {"schema_version": 2, "time_stamp": "2026-01-01T00:00Z", "data": [1], "unit": "K"}',
        "  2 events in 2 batches, 152 bytes before compression",
        f"time.unreadable\t1\t4\ta.csv\t{reason}",
        "a.csv: 3 lines read before the first problem, 0 after it",
    ]
    assert f"a.csv, line 4: {reason}" in result.stderr
    assert [(one["input"], one["format"], one["events"], one["batches"]) for one in printed["inputs"]] == [
        ("a.csv", "csv", 2, 1),
        ("stdin", "json", 1, 1),
    ]
    assert (printed["events"], printed["batches"], printed["bytes"]) == (3, 2, 161)
    assert printed["problems"] == [
        {"input": "a.csv", "lines": [4, 4], "events": 0, "status": None, "code": "time.unreadable", "reason": reason}
    ]
    assert [(one["code"], one["count"], one["first_line"]) for one in printed["totals"]] == [("time.unreadable", 1, 4)]
    assert bronze.requests == []
    assert not RESUME.exists()


def test_a_summary_as_json(cli: Cli, bronze: FakeIngest) -> None:
    write(30)
    bronze.answers = [refusal(413, detail="Too large.")]
    bronze.fault = lose(1)

    result = cli("send", CSV, "--batch-size", 10, "--parallel", 1, "--json")

    printed = document(result)
    sent = printed.pop("sent")
    sizes = printed.pop("bytes"), printed.pop("bytes_sent")
    assert printed.pop("seconds") > 0
    assert printed.pop("events_per_second") > 0
    assert printed == {
        "dry_run": False,
        "interrupted": False,
        "accepted": 20,
        "accepted_earlier": 0,
        "refused": 10,
        "reported": 0,
        "unreadable": 0,
        "waiting": 0,
        "missing": 0,
        "batches": 2,
        "replayed_batches": 1,
        "refused_batches": 1,
        "lines": {"a.csv": 31},
        "totals": [
            {
                "input": "a.csv",
                "code": "api.413",
                "severity": "problem",
                "count": 1,
                "events": 10,
                "first_line": 2,
                "reason": "Too large.",
            }
        ],
        "problems": [
            {
                "input": "a.csv",
                "lines": [2, 11],
                "events": 10,
                "status": 413,
                "code": "api.413",
                "reason": "Too large.",
            }
        ],
        "resume_files": [str(RESUME)],
        "rejects_files": ["a.csv.rejects.ndjson"],
    }
    assert sizes[0] == sum(map(len, bronze.objects.values())) > sizes[1] > 0
    assert [(one["lines"], one["events"], one["replayed"]) for one in sent] == [
        ([12, 21], 10, True),
        ([22, 31], 10, False),
    ]
    assert [one["raw_id"] for one in sent] == [str(identifier) for identifier in bronze.objects]


def test_it_says_how_to_ask_what_became_of_it(cli: Cli, bronze: FakeIngest) -> None:
    write(50)

    few, many = cli("send", CSV, "--batch-size", 25), cli("send", CSV, "--batch-size", 1, "--again")

    first, second = list(bronze.objects)[:2]
    assert {f"dropzone status --wait {first} {second}", f"dropzone status --wait {second} {first}"} & {
        few.stderr.strip().rpartition(": ")[2]
    }
    assert f"dropzone status --wait --sent {RESUME}" in many.stderr


def test_nothing_to_send(cli: Cli) -> None:
    Path("e.ndjson").write_text("\n")

    result = cli("send", "e.ndjson")

    assert (result.exit_code, "There was nothing to send." in result.stderr) == (0, True)


def test_plain_lines_where_there_is_no_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    write(100)
    monkeypatch.setattr(output, "_LINE_EVERY_SECONDS", 0)

    result = cli("send", CSV, "--batch-size", 50, "--parallel", 1)

    lines = [line for line in result.stderr.splitlines() if line.startswith("Sent: ")]
    assert [line.partition("/s")[2] for line in lines] == [", 100%", ", 100%"]
    assert lines[0].startswith("Sent: 50 events, ")
    assert ", 0/s" not in result.stderr
    assert "\x1b" not in result.stderr


def test_a_bar_on_a_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    write(100)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")

    result = cli("send", CSV, "--batch-size", 50)

    assert "100%" in result.stderr
    assert "100 events, " in result.stderr
    assert result.exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["send"],
        ["send", "absent.csv"],
        ["send", "*.nothing"],
        ["send", "."],
        ["send", CSV, "--batch-size", "0"],
        ["send", CSV, "--batch-size", "100001"],
        ["send", CSV, "--batch-bytes", "0"],
        ["send", CSV, "--parallel", "0"],
        ["send", CSV, "--format", "xml"],
        ["send", CSV, "--retry-for", "0"],
        ["send", CSV, "--resume", "x", "--no-resume"],
        ["send", CSV, "--time-column", "absent"],
        ["send", CSV, "--source", "x", "--source-column", "value"],
        ["send", CSV, "--unit", "x", "--unit-column", "value"],
        ["send", CSV, "--source", "x" * 201],
        ["send", CSV, "--source", "\udcff"],
        ["send", CSV, "--unit", "\x07"],
        ["send", CSV, "--tag", "no-value"],
        ["send", CSV, "--tag", "=x"],
        ["send", CSV, *(f"--tag=t{number}=x" for number in range(17))],
        ["send", CSV, "--timezone", "Nowhere"],
        ["send", CSV, "--delimiter", "ab"],
        ["send", CSV, "--delimiter", '"'],
        ["send", CSV, "--encoding", "rot13"],
        ["send", CSV, "--encoding", "base64"],
        ["send", CSV, "--time-format", "%Q"],
        ["send", CSV, "--time-format", "epoch"],
        ["send", CSV, "--decimal", "x"],
        ["send", CSV, "--ambiguous", "both"],
        ["send", CSV, "--skip-lines", "-1"],
        ["send", CSV, "--linger", "-1"],
        ["send", CSV, "--date-column", "absent"],
        ["send", CSV, "--source-pattern", "{absent}"],
        ["send", CSV, "--per-column", "--merge-rows"],
        ["send", CSV, "--profile", "absent"],
        ["send", CSV, "--encoding", "nope"],
        ["send", "e.json", "--timezone", "UTC"],
        ["send", "e.json", "--source", "x"],
    ],
)
def test_wrong_calls_send_nothing(cli: Cli, bronze: FakeIngest, arguments: list[str]) -> None:
    write(1)
    Path("e.json").write_text('{"data": [1]}')

    result = cli(*arguments)

    assert result.exit_code == 2
    assert bronze.requests == []
    assert not RESUME.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_resume_file_is_closed_when_its_input_is_sent(cli: Cli, bronze: FakeIngest) -> None:
    for number in range(30):
        Path(f"{number:02}.csv").write_text(f"time,value\n2026-01-01T00:00:00Z,{number}\n")
    most = 0

    def look(*_: object) -> None:
        nonlocal most
        files = [link.resolve().name for link in Path("/proc/self/fd").iterdir()]
        most = max(most, sum(name.endswith(".dropzone-resume") for name in files))

    bronze.fault = look
    assert cli("send", "*.csv", "--parallel", 2).exit_code == 0
    assert 1 <= most <= 10
