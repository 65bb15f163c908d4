"""Limits that only hold together: times that end within others, memory that holds what was measured."""

import json

import pytest

from dropzone.adapters import s3
from dropzone_process import sweep
from unit.template.functions import functions
from unit.template.loading import PROJECT
from unit.template.stacks import PARAMETERS, Stack, deployed

API_GATEWAY_SECONDS = 29
FUNCTIONS = [function.name for function in functions()]


@pytest.fixture(params=list(PARAMETERS))
def stack(request: pytest.FixtureRequest) -> Stack:
    return deployed(request.param)


def timeout(stack: Stack, function: str) -> int:
    return int(stack.one(function)["Timeout"])


def test_every_function_knows_its_timeout(stack: Stack) -> None:
    given = {
        name: int(variables["CALL_SECONDS"])
        for name in FUNCTIONS
        if "CALL_SECONDS" in (variables := stack.one(name).get("Environment", {}).get("Variables", {}))
    }

    assert given == {name: timeout(stack, name) for name in given}
    assert given.keys() >= {"ProcessFunction", "SweepFunction", "QueryFunction", "MigrateFunction"}


def test_functions_behind_the_api_end_before_it_gives_up(stack: Stack) -> None:
    for name in ("IngestFunction", "QueryFunction", "WebFunction"):
        assert timeout(stack, name) < API_GATEWAY_SECONDS, name
    # Sweep has the schedule's time, and ends by itself on request.
    assert sweep.API_SECONDS < API_GATEWAY_SECONDS - 2


def test_ingest_outlasts_s3(stack: Stack) -> None:
    # A put is sent again for its timeout, and the last one may take as long again; the record comes before it.
    put = 2 * s3.Bucket.LONGEST_SECONDS
    assert put < timeout(stack, "IngestFunction")
    assert put + s3.S3IdempotencyStore.LONGEST_SECONDS < API_GATEWAY_SECONDS


def test_cloudformation_waits_for_the_migration(stack: Stack) -> None:
    assert int(stack.one("Migration")["ServiceTimeout"]) > timeout(stack, "MigrateFunction")


def test_a_message_stays_hidden_while_it_may_be_processed(stack: Stack) -> None:
    queue = stack.one("Queue")
    visibility = int(queue["VisibilityTimeout"])

    assert visibility >= 6 * timeout(stack, "ProcessFunction")
    # And is not kept for a shorter time than its tries take.
    assert int(queue["MessageRetentionPeriod"]) > visibility * int(queue["RedrivePolicy"]["maxReceiveCount"])


@pytest.mark.parametrize("name", ["own", "yours-iam", "yours-password"])
def test_the_sweep_leaves_an_object_to_the_queue_for_two_tries(name: str) -> None:
    stack = deployed(name)

    assert int(stack.parameters["SweepMinAge"]) > int(stack.parameters["QueueVisibilityTimeout"])


def test_scheduled_sweeps_do_not_meet() -> None:
    stack = deployed()
    amount, unit = stack.parameters["SweepRate"].split()

    assert unit == "minutes"
    assert timeout(stack, "SweepFunction") < int(amount) * 60


def test_process_has_the_memory_that_was_measured_and_half_as_much_again(stack: Stack) -> None:
    results = json.loads((PROJECT / "benchmarks" / "results.json").read_text(encoding="utf-8"))
    measured = results["subjects"]["memory"]
    peak = max(entry["ours"] for entry in measured)
    goals = {float(entry["goal"].removeprefix("≤ ")) for entry in measured if entry["goal"]}

    assert {entry["unit"] for entry in measured} == {"MB"}
    assert len(goals) == 1
    for name in ("ProcessFunction", "SweepFunction"):
        available = int(stack.one(name)["MemorySize"]) * 2**20 / 1e6
        # What the benchmark would let pass fits as well.
        assert available >= 1.5 * max(peak, *goals), name
