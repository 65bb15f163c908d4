"""Run one server, and leave nothing of it behind. Started as a separate script by `service.py`.

The supervisor is the server's parent. It ends the server and all its descendants on SIGTERM and, if it is bound to its
parent, when the process that holds the other end of its standard input is gone, for whatever reason: a killed pytest
run leaves no server. On Linux, the supervisor also adopts descendants that lose their parent, and the kernel ends the
server if the supervisor itself is killed.

It imports nothing from this package, so it starts in some milliseconds, whatever the state of the source tree.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LEFTOVERS_GRACE = 3.0


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _start(command: list[str], stop_signal: signal.Signals) -> subprocess.Popen[bytes]:
    supervisor = os.getpid()

    def die_with_the_supervisor() -> None:
        _prctl(_PR_SET_PDEATHSIG, stop_signal)
        if os.getppid() != supervisor:
            os._exit(1)

    # The supervisor has one thread, so preexec_fn is safe here.
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=die_with_the_supervisor)  # noqa: S603, PLW1509


def _write(path: Path, child: int) -> None:
    document = {
        name: {"pid": pid, "born": psutil.Process(pid).create_time()}
        for name, pid in (("supervisor", os.getpid()), ("server", child))
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(document), encoding="utf-8")
    temporary.replace(path)


def _wait(child: subprocess.Popen[bytes], signals: int, *, bound_to_parent: bool) -> None:
    """Return when the child has ended, or has to end."""
    watched = [signals, *([sys.stdin.fileno()] if bound_to_parent else [])]
    while child.poll() is None:
        ready, _, _ = select.select(watched, [], [])
        if signals in ready and any(number != signal.SIGCHLD for number in os.read(signals, 64)):
            return
        if bound_to_parent and sys.stdin.fileno() in ready and not os.read(sys.stdin.fileno(), 64):
            return


def _end_child(child: subprocess.Popen[bytes], stop_signal: signal.Signals, grace: float) -> None:
    if child.poll() is None:
        child.send_signal(stop_signal)
    try:
        child.wait(timeout=grace)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _end_leftovers(descendants: list[psutil.Process]) -> None:
    """End the server's remaining descendants, which this process has adopted if the system supports it."""
    left = {process.pid: process for process in [*descendants, *psutil.Process().children(recursive=True)]}
    for process in left.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(list(left.values()), timeout=_LEFTOVERS_GRACE)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=_LEFTOVERS_GRACE)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="file that is to name both processes")
    parser.add_argument("--bound-to-parent", action="store_true", help="end when standard input ends")
    parser.add_argument("--stop-signal", default="SIGTERM", help="what asks the server to stop")
    parser.add_argument("--grace", type=float, default=20.0, help="seconds until it is killed")
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def main() -> int:
    """Run the server until it ends or has to end; return its exit code."""
    arguments = _arguments()
    stop_signal = signal.Signals[arguments.stop_signal]
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    child = _start(arguments.command, stop_signal)
    _write(arguments.state, child.pid)
    _wait(child, readable, bound_to_parent=arguments.bound_to_parent)
    descendants = psutil.Process().children(recursive=True)
    _end_child(child, stop_signal, arguments.grace)
    _end_leftovers([process for process in descendants if process.pid != child.pid])
    return child.returncode


if __name__ == "__main__":
    sys.exit(main())
