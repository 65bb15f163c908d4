"""A stack that moves to another database, and is deleted: what comes along, and what stays behind."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dropzone.domain.identifiers import object_key
from dropzone_local.deployment import STACK_NAME
from dropzone_local.stack import LocalStack, Options
from e2e.client import EXAMPLE, Client
from unit.template.test_data_survives import RETAINED

ROW = ["2019-05-01 10:00:00+00", 1.0, 1.0]

# What an account can be asked for: the service, the operation, and where the names are in its answer.
INVENTORY: dict[str, tuple[str, str, str, str]] = {
    "buckets": ("s3", "list_buckets", "Buckets", "Name"),
    "queues": ("sqs", "list_queues", "QueueUrls", ""),
    "functions": ("lambda", "list_functions", "Functions", "FunctionName"),
    "layers": ("lambda", "list_layers", "Layers", "LayerName"),
    "event sources": ("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
    "roles": ("iam", "list_roles", "Roles", "RoleName"),
    "APIs": ("apigateway", "get_rest_apis", "items", "name"),
    "keys": ("apigateway", "get_api_keys", "items", "id"),
    "plans": ("apigateway", "get_usage_plans", "items", "id"),
    "log groups": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "schedules": ("scheduler", "list_schedules", "Schedules", "Name"),
    "secrets": ("secretsmanager", "list_secrets", "SecretList", "Name"),
    "alarms": ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "databases": ("rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
    "network interfaces": ("ec2", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
}

NOT_MADE_HERE = {"alarms", "databases", "network interfaces", "secrets"}
"""What the stack doesn't make on this machine. It is looked for all the same."""


@pytest.fixture
def moving_client(stack_root: Path) -> Iterator[Client]:
    """A client of a stack in which only POST /process processes anything."""
    options = Options(parameters={"ProcessEnabled": "false", "SweepMinAge": "86400"})
    with LocalStack(stack_root / "moving", options) as stack, Client(stack) as client:
        yield client


def inventory(client: Client) -> set[tuple[str, str]]:
    """All that the account has, but for what SAM keeps to deploy with."""
    found = set()
    for kind, (service, operation, key, name) in INVENTORY.items():
        for entry in every(client.clients.of(service), operation, key):
            found.add((kind, str(entry[name] if name else entry)))
    return {(kind, name) for kind, name in found if "aws-sam-cli-managed" not in name}


def every(service: Any, operation: str, key: str) -> Iterator[Any]:  # noqa: ANN401 - a client of any service
    """All entries of a listing, page after page."""
    call: Callable[[], dict[str, Any]] = getattr(service, operation)
    if not service.can_paginate(operation):
        yield from call().get(key, [])
        return
    for page in service.get_paginator(operation).paginate():
        yield from page.get(key, [])


def resources(client: Client) -> dict[str, str]:
    """The stack's resources, each with the name that it has in the account."""
    pages = client.clients.cloudformation().get_paginator("list_stack_resources").paginate(StackName=STACK_NAME)
    return {
        entry["LogicalResourceId"]: entry["PhysicalResourceId"]
        for page in pages
        for entry in page["StackResourceSummaries"]
    }


def move(client: Client, database: str) -> None:
    """Deploy the same stack with another database."""
    with client.stack.postgres.connect() as connection:
        connection.run(f"CREATE DATABASE {database}")
    options = client.stack.options
    client.stack.options = replace(options, parameters={**options.parameters, "DatabaseName": database})
    client.endpoints = client.stack.up()


def rows(client: Client, database: str) -> list[list[Any]]:
    """The measurements in a database."""
    with client.stack.postgres.connect(database) as connection:
        return list(connection.run("SELECT measured_at::text, mean, std_dev FROM measurements"))


def test_a_stack_moves_to_an_empty_database_and_its_deletion_leaves_data_alone(moving_client: Client) -> None:
    # GIVEN a stack with an event in its database
    raw_id = moving_client.ingest(EXAMPLE)
    assert moving_client.process()["processed"] == 1
    first = moving_client.stack.postgres.database

    # WHEN it is deployed with an empty one
    move(moving_client, "elsewhere")

    # THEN that has the schema, and whatever is in bronze comes along
    assert rows(moving_client, "elsewhere") == []
    assert moving_client.process()["processed"] == 1
    assert rows(moving_client, "elsewhere") == [ROW]

    # WHEN the stack is deleted
    made, before = resources(moving_client), inventory(moving_client)
    assert {kind for kind, _ in before} >= INVENTORY.keys() - NOT_MADE_HERE
    cloudformation = moving_client.clients.cloudformation()
    cloudformation.delete_stack(StackName=STACK_NAME)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=STACK_NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )

    # THEN nothing is left but what the template retains, with all that is in it
    bucket = moving_client.endpoints.bucket
    kept = RETAINED.keys() & made.keys()
    assert kept == {"BronzeBucket", "BronzeBucketPolicy"}
    assert {name for _, name in inventory(moving_client)} == {made["BronzeBucket"]} == {bucket}
    assert "WrittenByIngestOnly" in moving_client.clients.s3().get_bucket_policy(Bucket=bucket)["Policy"]
    assert object_key(raw_id) in moving_client.bronze_keys()
    assert rows(moving_client, first) == rows(moving_client, "elsewhere") == [ROW]
