"""The mission's load: 10 events a second for minutes, and a burst. What was seen is shown; too slow is a failure."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropzone_local.stack import LocalStack
from resilience.reports import TITLE
from soak.load import Load, percentile
from support.findings import show

SECONDS = float(os.environ.get("DROPZONE_SOAK_SECONDS", "300"))
PER_SECOND = 10
GOAL_SECONDS = 3.0
BURST = 2_000
IN_FLIGHT = 32
PROMISED = {"202", "429", "503"}


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """A stack as `make up` makes it, warm."""
    with LocalStack(tmp_path / "stack") as stack:
        load = Load(stack)
        load.warm_up()
        yield load


def test_ten_events_a_second(load: Load, request: pytest.FixtureRequest) -> None:
    load.at_rate(PER_SECOND, SECONDS, threads=IN_FLIGHT)
    latencies = [*load.await_rows().values()]
    show(request.node, TITLE, [*load.lines(f"{PER_SECOND} events a second for {SECONDS:.0f} s", latencies)])
    load.check()
    assert load.answers == {"202": int(PER_SECOND * SECONDS)}
    assert percentile(latencies, 99) < GOAL_SECONDS


def test_a_burst(load: Load, request: pytest.FixtureRequest) -> None:
    seconds = load.burst(BURST, in_flight=IN_FLIGHT)
    latencies = [*load.await_rows().values()]
    title = f"{BURST} events at {IN_FLIGHT} in flight, {BURST / seconds:.0f} a second"
    show(request.node, TITLE, [*load.lines(title, latencies)])
    load.check()
    assert load.answers.keys() <= PROMISED
    assert load.answers["202"] > 0
