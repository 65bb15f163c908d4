"""The oracle for minutes: cycle after cycle of faults, of a seed that may be given (DROPZONE_SOAK_SEED)."""

import os
import secrets
import time
from pathlib import Path

import pytest

from resilience.oracle import DOOMED, POISONS, Oracle
from resilience.reports import announce, assert_that_it_meant_something

SECONDS = float(os.environ.get("DROPZONE_SOAK_SECONDS", "300"))
SEED = int(os.environ.get("DROPZONE_SOAK_SEED", secrets.randbelow(1_000_000)))


def test_acknowledged_events_are_processed_despite_minutes_of_failures(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    ends = time.monotonic() + SECONDS
    with Oracle(tmp_path / "stack", SEED) as oracle:
        try:
            oracle.suffer(lambda cycles: cycles > 0 and time.monotonic() > ends)
            oracle.recover()
            oracle.check()
        finally:
            announce(request, oracle.report)
    assert len(oracle.incomplete) == POISONS + DOOMED
    assert_that_it_meant_something(oracle.report, events=int(SECONDS / 2))
