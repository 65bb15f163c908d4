"""The command line in a process of its own that has imported all of it before.

What `dropzone` imports takes three quarters of a command's processor time. A server that has done so forks for each.
"""

import contextlib
import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

_IMPORTED = [
    *("dropzone_cli.api", "dropzone_cli.aws", "dropzone_cli.keys", "dropzone_cli.main", "dropzone_cli.output"),
    *("dropzone_cli.sending.batches", "dropzone_cli.sending.uploader", "dropzone_cli.target"),
    # What these and their packages import at their first use.
    *("boto3.s3.inject", "boto3.session", "encodings.idna", "httpcore", "httpx", "pydantic.json_schema"),
    *("rich._emoji_codes", "typer._adapters"),
]

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload([__name__, *_IMPORTED])


def dropzone(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], given: bytes = b"", timeout: float = 120
) -> subprocess.CompletedProcess[bytes]:
    """Run `dropzone` in a folder, with an environment and what a pipe gives it, as `subprocess.run` does."""
    with TemporaryDirectory() as kept:
        pipe, out, err = Path(kept, "pipe"), Path(kept, "out"), Path(kept, "err")
        os.mkfifo(pipe)
        process = _server.Process(target=_run, args=(list(arguments), folder, dict(environment), pipe, out, err))
        process.start()
        with contextlib.suppress(BrokenPipeError):  # it may end without reading
            pipe.write_bytes(given)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(arguments), timeout)
        return subprocess.CompletedProcess(list(arguments), process.exitcode, out.read_bytes(), err.read_bytes())


def _run(arguments: list[str], folder: Path, environment: dict[str, str], pipe: Path, out: Path, err: Path) -> None:
    for number, file, mode in ((0, pipe, os.O_RDONLY), (1, out, os.O_WRONLY), (2, err, os.O_WRONLY)):
        opened = os.open(file, mode | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0)  # multiprocessing has taken it away
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["dropzone", *arguments]
    runpy.run_module("dropzone_cli", run_name="__main__")
