"""The schedule's sweep finds what no notification told of; a deletion of the stack leaves the data."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dropzone.domain.identifiers import object_key
from dropzone_local.deployment import STACK_NAME
from dropzone_local.stack import LocalStack, Options
from e2e.client import EXAMPLE, Client


@pytest.fixture(scope="module")
def sweeping_client(stack_root: Path) -> Iterator[Client]:
    """A client of a stack in which only the schedule's sweep processes anything."""
    options = Options(parameters={"ProcessEnabled": "false", "SweepMinAge": "1", "SweepRate": "1 minute"})
    with LocalStack(stack_root / "sweeping", options) as stack, Client(stack) as client:
        yield client


def test_the_schedule_finds_an_object_without_a_notification_and_a_deletion_keeps_data(
    sweeping_client: Client,
) -> None:
    # GIVEN an object that the queue doesn't bring
    raw_id = sweeping_client.ingest(EXAMPLE)

    # THEN the schedule's sweep settles it within its minute
    sweeping_client.deadline_seconds = 100
    assert sweeping_client.outcome(raw_id) == "processed"

    # WHEN the stack is deleted
    cloudformation = sweeping_client.clients.cloudformation()
    cloudformation.delete_stack(StackName=STACK_NAME)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=STACK_NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )

    # THEN bronze and silver stay
    assert object_key(raw_id) in sweeping_client.bronze_keys()
    assert sweeping_client.query("SELECT measured_at::text, mean, std_dev FROM measurements") == [
        ["2019-05-01 10:00:00+00", 1.0, 1.0]
    ]
