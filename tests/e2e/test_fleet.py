"""`dropzone replay --fleet` on the real state machine, under new rules, while events arrive."""

from pathlib import Path

import pytest

from e2e.client import Client
from e2e.fleet import Size, replay_under_new_rules


def test_a_killed_and_paused_fleet_goes_on_under_new_rules_while_events_arrive(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    replay_under_new_rules(client, Size(arrived=240, arriving=40, range_objects=40, seconds=120), tmp_path)
