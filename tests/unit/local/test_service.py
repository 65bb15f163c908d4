"""A server under its supervisor, which leaves nothing of it behind."""

import os
import sys
from pathlib import Path

import psutil

from dropzone_local import processes
from dropzone_local.polling import wait_until
from dropzone_local.service import Service

# A server whose child takes no SIGTERM, in a session of its own.
SERVER = """
import subprocess, sys, time
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, start_new_session=True)
process.stdout.readline()
print(process.pid, flush=True)
time.sleep(600)
"""


def test_a_child_that_takes_no_sigterm_ends_with_the_parent_that_the_server_is_bound_to(tmp_path: Path) -> None:
    service = Service("A server", tmp_path / "state.json", tmp_path / "log", bound_to_parent=True, grace=1.0)
    service.spawn([sys.executable, "-c", SERVER], os.environ)
    log = tmp_path / "log"
    assert wait_until(lambda: log.read_text(encoding="utf-8").endswith("\n"), seconds=60)
    child = psutil.Process(int(log.read_text(encoding="utf-8")))
    identity = processes.identity(child)

    try:
        # WHEN the parent is gone, which closes the other end
        assert service._started is not None
        assert service._started.stdin is not None
        service._started.stdin.close()

        assert wait_until(lambda: processes.find(identity) is None, seconds=60)
    finally:
        processes.kill([child])
        service.stop()
