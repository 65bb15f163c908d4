from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from dropzone_local import processes
from dropzone_local.errors import LocalStackError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_process_is_known_by_its_pid_and_its_birth() -> None:
    process = psutil.Process()

    assert processes.find(processes.identity(process)) == process


def test_a_pid_that_was_given_out_again_is_a_stranger() -> None:
    identity = processes.identity(psutil.Process())

    assert processes.find({**identity, "born": identity["born"] - 60}) is None
    assert processes.tree(None) == []


def test_a_process_that_has_ended_is_not_alive(child: subprocess.Popen[bytes]) -> None:
    identity = processes.identity(psutil.Process(child.pid))

    child.kill()
    child.wait()

    assert processes.find(identity) is None


def test_a_zombie_is_not_alive(child: subprocess.Popen[bytes]) -> None:
    identity = processes.identity(psutil.Process(child.pid))

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert processes.find(identity) is None


@pytest.mark.parametrize("document", [None, {}, [], {"pid": "1", "born": 1.0}, {"pid": 1}, {"born": 2.0}, "text"])
def test_a_document_of_another_form_names_no_process(document: object) -> None:
    assert processes.find(document) is None


def test_ending_kills_what_does_not_stop_when_asked() -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", stubborn], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout is not None
        process.stdout.readline()
        started = psutil.Process(process.pid)

        processes.end(started, grace=0.1)

        assert not started.is_running()


@pytest.mark.parametrize("stream", ["1", "2"])
def test_a_command_that_fails_is_reported_with_what_it_printed(stream: str) -> None:
    command = ["sh", "-c", f"echo no space left >&{stream}; exit 3"]

    with pytest.raises(LocalStackError) as raised:
        processes.run(command, failure="It could not be made.", hint="Make room.")

    assert (raised.value.message, raised.value.detail, raised.value.hint) == (
        "It could not be made.",
        "no space left",
        "Make room.",
    )
