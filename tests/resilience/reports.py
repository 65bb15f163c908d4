"""What runs saw: shown at the end of the test run, and too little of it is a failure."""

from collections.abc import Iterator, Mapping

import pytest

from resilience.faulty_s3 import Weather
from resilience.oracle import Report
from support.findings import show

TITLE = "what the run saw"

FAULTS = (
    "postgres killed",
    "connections cut in the middle",
    "deadlocks",
    "serialization failures",
    "database out of memory",
    "notifications dropped",
    "notifications duplicated",
    "notifications reordered",
    "process killed",
    "ingest killed",
    "readers killed by a poison",
    "objects deleted",
    *Weather,
)


def announce(request: pytest.FixtureRequest, report: Report) -> None:
    """Keep a report for the end of the run, and for whoever reads the results."""
    show(request.node, TITLE, report.lines())
    for name, number in {**report.events, **report.faults, **report.seconds}.items():
        request.node.user_properties.append((str(name), number))


def assert_that_it_meant_something(report: Report, *, events: int) -> None:
    """Fail where too little happened for the result to mean anything."""
    few = [*_few(report.faults, dict.fromkeys(FAULTS, 1))]
    wanted = {
        "acknowledged": events,
        "rejected": events // 10,
        "superseded": events // 4,
        "processed": 5,
        "stuck": 1,
        "events refused": events // 25,
        "requests sent again": 1,
        "dead letters redriven": 1,
        "long objects replayed": 1,
    }
    few += _few(report.events, wanted)
    assert not few, f"too little happened to mean anything: {'; '.join(few)}"


def _few(seen: Mapping[str, int], wanted: Mapping[str, int]) -> Iterator[str]:
    return (
        f"{seen.get(name, 0)} {name}, {number} wanted" for name, number in wanted.items() if seen.get(name, 0) < number
    )
