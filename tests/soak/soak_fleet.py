"""20,000 objects replayed by fleet under new rules, with a stack of their own."""

from pathlib import Path

import pytest

from dropzone_local.stack import LocalStack
from e2e.client import Client
from e2e.fleet import Size, replay_under_new_rules
from resilience.reports import TITLE
from support.findings import show


def test_20_000_objects_are_replayed_under_new_rules(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    size = Size(arrived=20_000, arriving=500, range_objects=2_000, seconds=1_200)
    with LocalStack(tmp_path / "stack") as stack, Client(stack) as client:
        show(request.node, TITLE, replay_under_new_rules(client, size, tmp_path / "nothing"))
