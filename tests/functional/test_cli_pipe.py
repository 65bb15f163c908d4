"""`dropzone send -` with a pipe that stays open: events arrive soon, and signals lose none."""

import fcntl
import gzip
import json
import os
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dropzone_local.polling import wait_until
from support.factories import raw_id
from support.http_server import Request, serving

KEY = "k3y-that-nobody-may-see"


@dataclass(slots=True)
class Server:
    """A stand-in for the API, which keeps the batches that it accepts."""

    url: str = ""
    batches: list[list[dict[str, Any]]] = field(default_factory=list)
    is_down: bool = False
    may_answer: threading.Event = field(default_factory=threading.Event)
    asked: int = 0

    def __post_init__(self) -> None:
        self.may_answer.set()


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Ingest(Request):
        def respond(self) -> None:
            lines = gzip.decompress(self.body()).splitlines()
            state.asked += 1
            state.may_answer.wait(60)
            if state.is_down:
                self.answer(503)
                return
            state.batches.append([json.loads(line) for line in lines])
            with suppress(ConnectionError):  # of one who waited no longer
                self.answer(202, json.dumps({"raw_id": str(raw_id()), "items": len(lines)}).encode())

    with serving(Ingest) as state.url:
        yield state


class Piped:
    """`dropzone send -` in a process of its own."""

    def __init__(self, server: Server, folder: Path, *options: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DROPZONE_")}
        environment |= {"DROPZONE_URL": server.url, "DROPZONE_API_KEY": KEY}
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "dropzone_cli", "send", "-", *options],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def write(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    @property
    def unread(self) -> int:
        """Bytes that the pipe holds."""
        assert self.process.stdin is not None
        return int.from_bytes(fcntl.ioctl(self.process.stdin, termios.FIONREAD, bytes(4)), sys.byteorder)

    def end(self, number: signal.Signals | None = None) -> tuple[int, str, str]:
        if number is not None:
            self.process.send_signal(number)
            out, err = self.process.stdout.read(), self.process.stderr.read()  # type: ignore[union-attr]
        else:
            out, err = self.process.communicate(timeout=60)
        code = self.process.wait(60)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        assert b"Traceback" not in err, err.decode()
        return code, out.decode(), err.decode()


def event(number: int) -> str:
    return json.dumps({"time_stamp": "2026-01-01T00:00:00Z", "data": [number]}) + "\n"


def arrived(server: Server) -> list[int]:
    return sorted(event["data"][0] for batch in server.batches for event in batch if "data" in event)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_events_of_a_pipe_arrive_while_it_is_open_and_a_signal_loses_none(
    server: Server,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    piped = Piped(server, tmp_path, "--linger", "0.2")
    for at in range(3):
        piped.write(event(at))
        assert wait_until(lambda at=at: arrived(server) == [*range(at + 1)], seconds=60, every=0.02)  # type: ignore[misc]
    slow = Piped(server, tmp_path, "--linger", "3600")
    slow.write("".join(event(at) for at in range(100, 110)) + event(110)[:-9])
    assert wait_until(lambda: not slow.unread, seconds=60, every=0.02)
    assert arrived(server) == [*range(3)]

    code, out, err = piped.end(number)
    slow_code, _, slow_err = slow.end(number)

    assert (code, slow_code) == (130, 130)
    assert "3 events accepted in 3 batches" in out
    assert "Stopping: sending what was read." in err
    assert "continue from" not in err
    assert arrived(server) == [*range(3), *range(100, 110)]
    assert "stdin, line 11: has no line end" in slow_err
    [torn] = [event for batch in server.batches for event in batch if "data" not in event]
    assert torn["client_rejected"]["lines"] == [11, 11]


def test_what_was_read_from_a_pipe_and_could_not_be_sent_is_kept(server: Server, tmp_path: Path) -> None:
    server.is_down = True
    piped = Piped(server, tmp_path, "--retry-for", "1")
    piped.write(event(1) + event(2))

    code, _, err = piped.end()

    assert code == 3
    assert "stdin, lines 1 to 2: was read but could not be sent" in err
    kept = [json.loads(line) for line in (tmp_path / "stdin.rejects.ndjson").read_text().splitlines()]
    assert [(one["event"]["data"], one["code"]) for one in kept] == [
        ([1], "batch.not_sent"),
        ([2], "batch.not_sent"),
    ]


def kept(folder: Path) -> list[int]:
    lines = (folder / "stdin.rejects.ndjson").read_text().splitlines()
    return sorted(json.loads(line)["event"]["data"][0] for line in lines)


def test_a_second_signal_keeps_what_was_read_and_not_sent(server: Server, tmp_path: Path) -> None:
    # GIVEN a request without an answer, a batch that waits behind it, another without room, and many that were not read
    server.may_answer.clear()
    piped = Piped(server, tmp_path, "--batch-size", "2", "--parallel", "1", "--format", "ndjson")
    piped.write("".join(map(event, range(200))))
    assert wait_until(lambda: server.asked > 0 and not piped.unread, seconds=60, every=0.02)

    # WHEN it is interrupted twice
    piped.process.send_signal(signal.SIGINT)
    assert piped.process.stderr is not None
    assert b"Stopping: sending what was read." in piped.process.stderr.readline()
    code, out, err = piped.end(signal.SIGTERM)
    server.may_answer.set()

    # THEN all of it is in the rejects, also what may have arrived
    assert code == 130, err
    assert kept(tmp_path) == [*range(200)]
    assert "200 events refused, in 100 batches" in out


def test_an_input_that_is_stopped_early_and_given_again_is_no_other(server: Server, tmp_path: Path) -> None:
    options = ("--resume", "r", "--batch-size", "2", "--format", "ndjson")
    first = Piped(server, tmp_path, *options)
    first.write("".join(map(event, range(6))))
    assert first.end()[0] == 0

    # Between two batches, and in the middle of one.
    for number in (2, 3):
        again = Piped(server, tmp_path, *options)
        again.write("".join(map(event, range(number))))
        assert wait_until(lambda again=again: not again.unread, seconds=60, every=0.02)  # type: ignore[misc]
        code, _, err = again.end(signal.SIGINT)
        assert code == 130
        assert "is not what was sent" not in err

    assert kept(tmp_path) == [2]
    last = Piped(server, tmp_path, *options)
    last.write("".join(map(event, range(8))))
    assert last.end()[0] == 0
    assert arrived(server) == [*range(8)]
