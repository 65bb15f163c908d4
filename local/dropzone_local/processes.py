"""Processes identified by pid and start time, so that a process with a reused pid is never mistaken for ours."""

import contextlib
import subprocess
from collections.abc import Iterable, Mapping, Sequence

import psutil

from dropzone_local.errors import LocalStackError

# psutil computes the start time from the boot time, which changes by some milliseconds with clock corrections.
_BIRTH_TOLERANCE = 0.5
_MAX_DETAIL = 2_000


def identity(process: psutil.Process) -> Mapping[str, float]:
    """The identity of a process for `find`."""
    return {"pid": process.pid, "born": process.create_time()}


def find(document: object) -> psutil.Process | None:
    """Return the process with an identity if it is running: not ended, not a zombie, and not another with its pid."""
    match document:
        case {"pid": int(pid), "born": int() | float() as born}:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                is_same = abs(process.create_time() - born) < _BIRTH_TOLERANCE
                return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
    return None


def tree(process: psutil.Process | None) -> list[psutil.Process]:
    """Return a process and all its descendants."""
    if process is None:
        return []
    with contextlib.suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return [process]


def run(
    command: Sequence[str],
    *,
    failure: str,
    hint: str = "",
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> None:
    """Run a command, and wait until it ends.

    Raises:
        LocalStackError: it failed; the error has this message, and the end of its output.
    """
    done = subprocess.run(  # noqa: S603 - our own command line
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout,
    )
    if done.returncode != 0:
        raise LocalStackError(failure, detail=done.stdout.strip()[-_MAX_DETAIL:], hint=hint)


def end(process: psutil.Process | None, *, grace: float) -> None:
    """Ask the process to stop, and kill it if it hasn't after `grace` seconds."""
    if process is None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
    _, left = psutil.wait_procs([process], timeout=grace)
    kill(left)


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill the processes at once, and wait until they are gone."""
    doomed = list(processes)
    for process in doomed:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(doomed, timeout=30)
