"""The most memory that the function Process takes: a process of its own, which is asked at its end.

    python -m benchmarks.memory

is that process: it reads the function's event, and prints the peak of its memory in bytes.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measuring import Entry, Goal
from benchmarks.surroundings import PROJECT, Surroundings
from benchmarks.workloads import fresh_instants, raw_ids, sqs_event

_LIMIT = Goal("≤", 400)
_OBJECTS = 1_000
_SIZE = 4 * 1024 * 1024
_MILLION = 1_000_000
_BATCHES, _EVENTS = 3, 70_000
# The others are quick to validate: it is their bytes that fill the memory.
_DENSE_EVERY = 50


def run(surroundings: Surroundings) -> Iterator[Entry]:
    stand_in = surroundings.stand_in
    stand_in.answer(_event(b"1.5", 3))
    yield Entry("memory, one small event", "MB", _peak(surroundings, sqs_event(raw_ids(1), 60)))

    stand_in.answer(_event(b"0.5,", 4 * _MILLION))
    event = sqs_event(raw_ids(1), 4 * _MILLION)
    yield Entry("memory, an event of a million values", "MB", _peak(surroundings, event), goal=_LIMIT)

    arrived = raw_ids(_OBJECTS)
    stand_in.answer(_event(b"1.5", 3, padded_to=_SIZE))
    # As many values as an event can have.
    dense = _event(b"0,1,", _SIZE - 100, padded_to=_SIZE)
    stand_in.store((raw_id, dense) for raw_id in arrived[::_DENSE_EVERY])
    peak = _peak(surroundings, sqs_event(arrived, _SIZE))
    yield Entry(f"memory, {_OBJECTS:,} objects of 4 MiB", "MB", peak, goal=_LIMIT)

    arrived = raw_ids(_BATCHES)
    stand_in.store((raw_id, _batch(_EVENTS)) for raw_id in arrived)
    peak = _peak(surroundings, sqs_event(arrived, _SIZE))
    yield Entry(f"memory, {_BATCHES} objects of {_EVENTS:,} events", "MB", peak, goal=_LIMIT)
    surroundings.empty_tables()


def _batch(events: int) -> bytes:
    """So many small events in an array, which is nearly as large as what ingest takes in."""
    lines = (b'{"time_stamp":"%s","data":[0]}' % instant.isoformat().encode() for instant in fresh_instants(events))
    return b"[" + b",".join(lines) + b"]"


def _event(values: bytes, size: int, padded_to: int = 0) -> bytes:
    """An event with values of that many bytes."""
    (instant,) = fresh_instants(1)
    data = (values * (size // len(values))).rstrip(b",")
    body = b'{"time_stamp": "%s", "data": [%s], "padding": "' % (instant.isoformat().encode(), data)
    return body + b"." * (padded_to - len(body) - 2) + b'"}'


def _peak(surroundings: Surroundings, event: dict[str, Any]) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory"],
        input=json.dumps(event),
        cwd=PROJECT,
        env={**surroundings.variables(), "CALL_SECONDS": "300", "PYTHONPATH": "tests"},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout.splitlines()[-1]) / 1e6


def _main() -> None:
    from dropzone_process.queue import handler  # noqa: PLC0415 - it is what is measured
    from support.lambda_context import Context  # noqa: PLC0415

    event = json.load(sys.stdin)
    answer = handler(event, Context(seconds_left=300))
    assert answer == {"batchItemFailures": []}, answer  # noqa: S101
    # Not by getrusage: what a process was started from counts there.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    sys.stdout.write(f"{int(kilobytes) * 1024}\n")


if __name__ == "__main__":
    _main()
