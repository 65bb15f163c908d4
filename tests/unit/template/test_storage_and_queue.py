"""Bronze and the queue: closed, encrypted, over TLS only, patient."""

from typing import Any

import pytest

from unit.template.intrinsics import Evaluator
from unit.template.loading import Template, defaults, load_template, resources
from unit.template.stacks import PARAMETERS, deployed

SIX_HOURS = 6 * 3_600
FOURTEEN_DAYS = 14 * 24 * 3_600

BUCKETS = sorted(resources(load_template(), "AWS::S3::Bucket"))
QUEUES = sorted(resources(load_template(), "AWS::SQS::Queue"))


def numbers(template: Template) -> dict[str, int]:
    return {name: int(value) for name, value in defaults(template).items() if value.isdigit()}


@pytest.mark.parametrize("name", BUCKETS)
def test_a_bucket_is_closed_and_encrypted_and_stays(template: Template, name: str) -> None:
    bucket = template["Resources"][name]
    properties = bucket["Properties"]

    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    [encryption] = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in {"AES256", "aws:kms"}
    assert bucket["DeletionPolicy"] == "RetainExceptOnCreate"
    assert bucket["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("name", QUEUES)
def test_a_queue_is_encrypted_and_keeps_messages_as_long_as_can_be(template: Template, name: str) -> None:
    properties = template["Resources"][name]["Properties"]

    assert properties["SqsManagedSseEnabled"] is True
    assert properties["MessageRetentionPeriod"] == FOURTEEN_DAYS


def test_bronze_keeps_versions_and_ends_what_they_hide() -> None:
    bucket = deployed().one("BronzeBucket")

    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    # What is current never ends by itself, but for the records of idempotency keys, and what was told.
    assert {
        rule["Prefix"]: rule["ExpirationInDays"]
        for rule in bucket["LifecycleConfiguration"]["Rules"]
        if [key for key in rule if key.startswith("Expiration")]
    } == {"idempotency/": 2, "notifications/": 30}
    assert bucket["LifecycleConfiguration"]["Rules"][0]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}


@pytest.mark.parametrize("days", ["0", "90", "365"])
def test_bronze_goes_to_cheaper_storage_by_parameter(days: str) -> None:
    rules = deployed("own", ("BronzeArchiveDays", days)).one("BronzeBucket")["LifecycleConfiguration"]["Rules"]

    moves = [(rule["Prefix"], rule["Transitions"]) for rule in rules if "Transitions" in rule]
    # Instant retrieval: anything slower would leave replays without what they read.
    expected = [("raw/", [{"StorageClass": "GLACIER_IR", "TransitionInDays": days}])]
    assert moves == ([] if days == "0" else expected)


@pytest.mark.parametrize("name", PARAMETERS)
def test_only_ingest_writes_bronze(name: str) -> None:
    statements = deployed(name).one("BronzeBucketPolicy")["PolicyDocument"]["Statement"]

    # Nothing is allowed to anybody here: rights are in the functions' roles.
    assert {statement["Effect"] for statement in statements} == {"Deny"}
    [refusal] = [statement for statement in statements if statement["Sid"] == "WrittenByIngestOnly"]
    assert refusal == {
        "Sid": "WrittenByIngestOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": ["arn:aws:s3:::BronzeBucket/raw/*", "arn:aws:s3:::BronzeBucket/idempotency/*"],
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": "IngestFunctionRole.Arn"}},
    }
    [others] = [statement for statement in statements if statement["Sid"] == "NotificationsWrittenBySweepOnly"]
    assert others == {
        **refusal,
        "Sid": "NotificationsWrittenBySweepOnly",
        "Resource": "arn:aws:s3:::BronzeBucket/notifications/*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": "SweepFunctionRole.Arn"}},
    }
    [archive] = [statement for statement in statements if statement["Sid"] == "ArchiveWrittenByArchiveOnly"]
    assert archive == {
        **refusal,
        "Sid": "ArchiveWrittenByArchiveOnly",
        "Resource": "arn:aws:s3:::BronzeBucket/silver/*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": "ArchiveFunctionRole.Arn"}},
    }
    assert deployed(name).one("IngestFunction")["Role"] == "IngestFunctionRole.Arn"


def refused_in_plain_text(policy: dict[str, Any]) -> list[Any]:
    """The resources of which a policy refuses everything that is asked without TLS."""
    return [
        statement["Resource"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
        and statement["Principal"] == "*"
        and statement["Action"] in {"s3:*", "sqs:*"}
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    ]


@pytest.mark.parametrize("name", BUCKETS)
def test_a_bucket_is_reached_over_tls_only(template: Template, name: str) -> None:
    policies = [entry["Properties"] for entry in resources(template, "AWS::S3::BucketPolicy").values()]

    [policy] = [policy for policy in policies if policy["Bucket"] == {"Ref": name}]
    arn = f"arn:${{AWS::Partition}}:s3:::${{{name}}}"
    assert refused_in_plain_text(policy) == [[{"Fn::Sub": arn}, {"Fn::Sub": f"{arn}/*"}]]


@pytest.mark.parametrize("name", QUEUES)
def test_a_queue_is_reached_over_tls_only(template: Template, name: str) -> None:
    policies = [entry["Properties"] for entry in resources(template, "AWS::SQS::QueuePolicy").values()]

    covering = [policy for policy in policies if {"Ref": name} in policy["Queues"]]
    assert [refused_in_plain_text(policy) for policy in covering] == [[{"Fn::GetAtt": [name, "Arn"]}]]


@pytest.mark.parametrize("name", ["QueuePolicy", "NotificationQueuePolicy"])
def test_only_this_bucket_of_this_account_may_send_to_the_queue(template: Template, name: str) -> None:
    statements = template["Resources"][name]["Properties"]["PolicyDocument"]["Statement"]

    [allowed] = [statement for statement in statements if statement["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "s3.amazonaws.com"}
    assert allowed["Action"] == "sqs:SendMessage"
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    bucket_name = template["Resources"]["BronzeBucket"]["Properties"]["BucketName"]["Fn::Sub"]
    source = allowed["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
    assert source == "arn:${AWS::Partition}:s3:::" + bucket_name


def test_the_queue_takes_s3_s_test_event_before_the_bucket_is_made(template: Template) -> None:
    assert template["Resources"]["BronzeBucket"]["DependsOn"] == ["QueuePolicy", "NotificationQueuePolicy"]


def test_bronze_notifies_the_queue_of_what_ingest_writes(template: Template) -> None:
    configuration = template["Resources"]["BronzeBucket"]["Properties"]["NotificationConfiguration"]

    assert {
        queue["Queue"]["Fn::GetAtt"][0]: (queue["Event"], queue["Filter"]["S3Key"]["Rules"])
        for queue in configuration["QueueConfigurations"]
    } == {
        name: ("s3:ObjectCreated:*", [{"Name": "prefix", "Value": prefix}, {"Name": "suffix", "Value": ".json"}])
        for name, prefix in (("Queue", "raw/"), ("NotificationQueue", "notifications/"))
    }


def test_the_queue_gives_up_to_a_dead_letter_queue_after_hours(template: Template) -> None:
    queue = template["Resources"]["Queue"]["Properties"]
    values = numbers(template)

    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]},
        "maxReceiveCount": {"Ref": "MaxReceiveCount"},
    }
    process = template["Resources"]["ProcessFunction"]["Properties"]["Environment"]["Variables"]
    assert process["MAX_RECEIVE_COUNT"] == {"Ref": "MaxReceiveCount"}
    assert queue["VisibilityTimeout"] == {"Ref": "QueueVisibilityTimeout"}
    assert values["QueueVisibilityTimeout"] * values["MaxReceiveCount"] >= SIX_HOURS


def test_the_queue_feeds_process_in_batches_that_may_fail_in_part(cloudformation: Template) -> None:
    properties = resources(cloudformation, "AWS::Lambda::EventSourceMapping")["ProcessFunctionQueue"]["Properties"]

    assert properties["FunctionName"] == {"Ref": "ProcessFunction"}
    assert properties["EventSourceArn"] == {"Fn::GetAtt": ["Queue", "Arn"]}
    assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert properties["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "ProcessConcurrency"}}
    assert properties["BatchSize"] == {"Ref": "BatchSize"}
    assert properties["MaximumBatchingWindowInSeconds"] == {"Ref": "BatchWindow"}


def test_notifications_are_delivered_one_by_one_and_tried_for_hours(
    template: Template, cloudformation: Template
) -> None:
    mapping = resources(cloudformation, "AWS::Lambda::EventSourceMapping")["NotifyFunctionQueue"]["Properties"]
    queue = template["Resources"]["NotificationQueue"]["Properties"]

    assert (mapping["EventSourceArn"], mapping["BatchSize"]) == ({"Fn::GetAtt": ["NotificationQueue", "Arn"]}, 1)
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["NotificationDeadLetterQueue", "Arn"]}
    assert numbers(template)["NotificationRetry"] * queue["RedrivePolicy"]["maxReceiveCount"] == SIX_HOURS
    timeout = template["Resources"]["NotifyFunction"]["Properties"]["Timeout"]
    assert template["Parameters"]["NotificationRetry"]["MinValue"] >= 6 * timeout


@pytest.mark.parametrize("enabled", ["true", "false"])
def test_the_queue_feeds_process_by_parameter(template: Template, cloudformation: Template, enabled: str) -> None:
    mapping = resources(cloudformation, "AWS::Lambda::EventSourceMapping")["ProcessFunctionQueue"]
    evaluator = Evaluator(template, defaults(template) | {"ProcessEnabled": enabled})

    assert str(evaluator.value(mapping["Properties"]["Enabled"])).lower() == enabled


def test_a_big_batch_has_time_to_fill(template: Template) -> None:
    values = numbers(template)

    assert values["BatchSize"] <= 10 or values["BatchWindow"] >= 1
