"""What an update or a deletion of the stack does to data: listed, and safe."""

import pytest

from unit.template.loading import Template, resources
from unit.template.stacks import PARAMETERS, deployed

RETAINED = {
    "BronzeBucket": "RetainExceptOnCreate",
    "BronzeBucketPolicy": "RetainExceptOnCreate",
    "Database": "Snapshot",
    # Not data, but other APIs of the account may have come to rely on it.
    "ApiGatewayAccount": "RetainExceptOnCreate",
    "ApiGatewayLogsRole": "RetainExceptOnCreate",
}
"""All that a deletion leaves. Everything else goes: queues too, whose messages only say what is in bronze.

Nothing is retained that a first deploy made and rolls back: the next one would find its name taken.
"""

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
        replaced = template["Resources"][name]["UpdateReplacePolicy"]
        assert replaced == policy.removesuffix("ExceptOnCreate")


@pytest.mark.parametrize("name", PARAMETERS)
def test_what_a_deletion_leaves(name: str) -> None:
    kept = {key for key, entry in deployed(name).resources.items() if entry.get("DeletionPolicy", "Delete") != "Delete"}

    expected = {
        "own": RETAINED.keys(),
        "yours-iam": RETAINED.keys() - {"Database"},
        "yours-password": RETAINED.keys() - {"Database"},
        "local": {"BronzeBucket", "BronzeBucketPolicy"},
    }
    assert kept == expected[name]


def test_an_update_that_would_start_with_an_empty_database_or_bucket_is_refused() -> None:
    # CloudFormation doesn't replace what has a name of its own.
    assert deployed().one("Database")["DBInstanceIdentifier"] == "dropzone-prod-silver-1"
    assert deployed().one("BronzeBucket")["BucketName"] == "dropzone-prod-bronze-111122223333-eu-central-1"


def test_nothing_is_in_the_way_of_a_first_deploy_s_rollback(template: Template) -> None:
    assert not [name for name, entry in template["Resources"].items() if entry.get("DeletionPolicy") == "Retain"]
    assert deployed().one("Database")["DeletionProtection"] == "false"


def test_a_name_that_s3_refuses_fails_before_there_is_a_database(template: Template) -> None:
    # No rule sees the stack's name. S3 says what is wrong with it as the bucket is made.
    assert "BronzeBucket" in template["Resources"]["Database"]["DependsOn"]
