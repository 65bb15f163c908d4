"""What an update or a deletion of the stack does to data: listed, and safe."""

import pytest

from unit.template.loading import Template, resources
from unit.template.stacks import PARAMETERS, deployed

RETAINED = {
    "BronzeBucket": "Retain",
    "Database": "Snapshot",
    # Not data, but other APIs of the account may have come to rely on it.
    "ApiGatewayAccount": "Retain",
    "ApiGatewayLogsRole": "Retain",
}
"""All that a deletion leaves. Everything else goes: queues too, whose messages only say what is in bronze."""

STATEFUL = {
    "AWS::DynamoDB::Table",
    "AWS::EFS::FileSystem",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::S3::Bucket",
}


def test_what_holds_data_is_kept(template: Template) -> None:
    kept = {
        name: entry["DeletionPolicy"]
        for name, entry in template["Resources"].items()
        if entry.get("DeletionPolicy", "Delete") != "Delete"
    }

    assert kept == RETAINED
    for kind in STATEFUL:
        assert resources(template, kind).keys() <= RETAINED.keys()


def test_a_replacement_keeps_what_a_deletion_keeps(template: Template) -> None:
    for name, policy in RETAINED.items():
        assert template["Resources"][name]["UpdateReplacePolicy"] == policy


@pytest.mark.parametrize("name", PARAMETERS)
def test_what_a_deletion_leaves(name: str) -> None:
    kept = {key for key, entry in deployed(name).resources.items() if entry.get("DeletionPolicy", "Delete") != "Delete"}

    expected = {
        "own": RETAINED.keys(),
        "yours-iam": RETAINED.keys() - {"Database"},
        "yours-password": RETAINED.keys() - {"Database"},
        "local": {"BronzeBucket"},
    }
    assert kept == expected[name]


def test_an_update_that_would_start_with_an_empty_database_or_bucket_is_refused() -> None:
    # CloudFormation doesn't replace what has a name of its own.
    assert deployed().one("Database")["DBInstanceIdentifier"] == "dropzone-prod-silver"
    assert deployed().one("BronzeBucket")["BucketName"] == "dropzone-prod-bronze-111122223333-eu-central-1"
