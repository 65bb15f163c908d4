"""Every 202 is kept, whatever fails: the oracle on the local stack, in the form that `make test` has time for."""

from pathlib import Path

import pytest

from resilience.oracle import DOOMED, POISONS, Oracle
from resilience.reports import announce, assert_that_it_meant_something

SEED = 20261124


def test_acknowledged_events_are_processed_despite_failures(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The replay reads bronze as the functions do, with the credentials of its environment.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with Oracle(tmp_path / "stack", SEED) as oracle:
        try:
            # A third of the events that `make soak` sends; each fault all the same.
            oracle.suffer(lambda cycles: cycles >= 1, pause=0.45)
            oracle.recover()
            oracle.check()
        finally:
            announce(request, oracle.report)
    assert len(oracle.incomplete) == POISONS + DOOMED
    assert_that_it_meant_something(oracle.report, events=33)
