"""Least privilege: each function has exactly what it needs, on exactly its resources."""

import pytest

from unit.template.intrinsics import broken_rules
from unit.template.loading import load_template
from unit.template.stacks import (
    IN_THE_NETWORK,
    ON_AWS,
    OUTSIDE,
    PARAMETERS,
    USERS,
    YOURS_IAM,
    Stack,
    deployed,
    leaves,
)

STACKS = pytest.mark.parametrize("name", PARAMETERS)

OBJECTS = "arn:aws:s3:::BronzeBucket/raw/*"
ARCHIVE = "arn:aws:s3:::BronzeBucket/silver/*"
NOTIFICATIONS = "arn:aws:s3:::BronzeBucket/notifications/*"
RECORDS = "arn:aws:s3:::BronzeBucket/idempotency/*"
CLIENTS = "arn:aws:s3:::BronzeBucket/access/clients.json"
READS_BRONZE = {("s3:GetObject", OBJECTS), ("s3:ListBucket", "arn:aws:s3:::BronzeBucket")}


def takes_messages(queue: str) -> set[tuple[str, str]]:
    return {(f"sqs:{verb}", f"{queue}.Arn") for verb in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")}


EXECUTIONS = "arn:aws:states:eu-central-1:111122223333:execution:dropzone-prod-replay/*"
WILDCARDS = {
    OBJECTS: "Objects have names of their own; the prefix is as narrow as they can be named.",
    RECORDS: "As for objects: a name for each idempotency key.",
    ARCHIVE: "As for objects: a name for each day.",
    NOTIFICATIONS: "As for objects: a name for each batch of changes.",
    EXECUTIONS: "Executions get their names when they start.",
    "*": "EC2 lists network interfaces on * only, and nobody knows their names before they are made.",
}
MANAGED_POLICIES = {
    "AWSXRayDaemonWriteAccess": "X-Ray knows no resources to write to. Only with Tracing.",
    "service-role/AmazonAPIGatewayPushToCloudWatchLogs": "API Gateway's own, for every API of the account.",
}
"""Policies of AWS's, which name no resources, each with its reason. None that SAM gives: they cover every queue."""


def writes_logs(function: str) -> set[tuple[str, str]]:
    group = function.replace("Function", "Logs") + ".Arn"
    return {("logs:CreateLogStream", group), ("logs:PutLogEvents", group)}


def makes_interfaces(name: str) -> set[tuple[str, str]]:
    """What Lambda needs where a function is in a network: AWSLambdaVPCAccessExecutionRole, version 3, without logs."""
    verbs = [
        *("CreateNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets", "DeleteNetworkInterface"),
        *("AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"),
    ]
    return {(f"ec2:{verb}", "*") for verb in verbs} if name in ON_AWS else set()


def signs_in(stack: Stack, function: str) -> set[tuple[str, str]]:
    """What a function needs to reach the database, with these parameters."""
    rights = set()
    by_token = stack.parameters["DatabaseAuth"] == "iam"
    if by_token:
        resource = "Database.DbiResourceId" if "Database" in stack.resources else stack.parameters["DatabaseResourceId"]
        user = USERS.get(function, stack.parameters["DatabaseMasterUser"])
        rights.add(("rds-db:connect", f"arn:aws:rds-db:eu-central-1:111122223333:dbuser:{resource}/{user}"))
    # The migrations' password, which RDS may come to refuse, is tried before a token.
    secret = stack.parameters["DatabaseSecretArn"]
    if secret and (function == "MigrateFunction" or not by_token):
        rights.add(("secretsmanager:GetSecretValue", secret))
    return rights


@STACKS
def test_each_function_may_do_what_it_needs_and_nothing_else(name: str) -> None:
    stack = deployed(name)

    assert stack.rights("IngestFunction") == writes_logs("IngestFunction") | {
        ("s3:PutObject", OBJECTS),
        ("s3:PutObject", RECORDS),
        ("s3:GetObject", RECORDS),
        ("s3:GetObject", CLIENTS),
        ("s3:ListBucket", "arn:aws:s3:::BronzeBucket"),
    }
    assert stack.rights("WebFunction") == writes_logs("WebFunction")
    in_network = makes_interfaces(name)
    migrates = writes_logs("MigrateFunction") | signs_in(stack, "MigrateFunction")
    assert stack.rights("MigrateFunction") == migrates | in_network
    archive = {("s3:GetObject", ARCHIVE), ("s3:PutObject", ARCHIVE)} | signs_in(stack, "ArchiveFunction")
    assert stack.rights("ArchiveFunction") == writes_logs("ArchiveFunction") | archive | in_network
    for function in USERS.keys() - {"ArchiveFunction"}:
        # Process and Replay have no clients.
        own = set() if function in {"ProcessFunction", "ReplayFunction"} else {("s3:GetObject", CLIENTS)}
        own |= takes_messages("Queue") if function == "ProcessFunction" else set()
        own |= {("s3:PutObject", NOTIFICATIONS)} if function == "SweepFunction" else set()
        reads = READS_BRONZE | signs_in(stack, function) | own
        assert stack.rights(function) == writes_logs(function) | reads | in_network
    machine = "arn:aws:states:eu-central-1:111122223333:stateMachine:dropzone-prod-replay"
    assert stack.rights("ReplayMachine") == {
        ("lambda:InvokeFunction", "ReplayFunction.Arn"),
        ("states:StartExecution", machine),
        ("states:DescribeExecution", EXECUTIONS),
        ("states:StopExecution", EXECUTIONS),
    }


NOTIFIES = {
    *writes_logs("NotifyFunction"),
    *takes_messages("NotificationQueue"),
    ("s3:GetObject", NOTIFICATIONS),
    ("events:PutEvents", "arn:aws:events:eu-central-1:111122223333:event-bus/default"),
}
WEBHOOK = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:webhook"
READS_WEBHOOK = {("secretsmanager:GetSecretValue", arn) for arn in (WEBHOOK, f"{WEBHOOK}-??????")}
KEY = "arn:aws:kms:eu-central-1:111122223333:key/yours"
TOPIC = "arn:aws:sns:eu-central-1:111122223333:pager"


@pytest.mark.parametrize(
    ("changes", "channels", "more"),
    [
        ((), "events,,", set()),
        (
            (("EventBus", "plant"),),
            "events,,",
            {("events:PutEvents", "arn:aws:events:eu-central-1:111122223333:event-bus/plant")},
        ),
        ((("NotificationTopicArn", TOPIC),), "events,topic,", {("sns:Publish", TOPIC)}),
        (
            (("NotificationTopicArn", TOPIC), ("NotificationTopicKeyArn", KEY)),
            "events,topic,",
            {("sns:Publish", TOPIC), ("kms:Decrypt", KEY), ("kms:GenerateDataKey", KEY)},
        ),
        ((("WebhookSecretArn", WEBHOOK),), "events,,webhook", READS_WEBHOOK),
        (
            (("WebhookSecretArn", WEBHOOK), ("WebhookSecretKeyArn", KEY)),
            "events,,webhook",
            {*READS_WEBHOOK, ("kms:Decrypt", KEY)},
        ),
    ],
)
def test_notify_may_reach_the_channels_of_the_parameters(
    changes: tuple[tuple[str, str], ...], channels: str, more: set[tuple[str, str]]
) -> None:
    stack = deployed("own", *changes)

    always = (
        NOTIFIES
        if ("EventBus", "plant") not in changes
        else {right for right in NOTIFIES if right[0] != "events:PutEvents"}
    )
    assert stack.rights("NotifyFunction") == always | more
    assert stack.one("SweepFunction")["Environment"]["Variables"]["NOTIFICATION_CHANNELS"] == channels
    given = stack.one("NotifyFunction")["Environment"]["Variables"]["NOTIFICATION_TOPIC_ARN"]
    assert given == next((resource for action, resource in more if action == "sns:Publish"), "")


@STACKS
def test_lambda_makes_network_interfaces_and_the_functions_code_may_not(name: str) -> None:
    stack = deployed(name)
    denied = {
        role: (statement["Resource"], statement["Condition"], set(statement["Action"]))
        for role in stack.of("AWS::IAM::Role")
        for statement in stack.statements(role)
        if statement["Effect"] == "Deny"
    }

    code = {"ArnLike": {"lambda:SourceFunctionArn": "arn:aws:lambda:eu-central-1:111122223333:function:*"}}
    actions = {action for action, _ in makes_interfaces(name)} | {"ec2:DetachNetworkInterface"}
    expected = {f"{function}Role": (["*"], code, actions) for function in IN_THE_NETWORK}
    assert denied == (expected if name in ON_AWS else {})


@STACKS
def test_every_role_has_the_boundary_where_there_is_one(name: str) -> None:
    boundary = "arn:aws:iam::111122223333:policy/boundary"
    bounded = deployed(name, ("PermissionsBoundaryArn", boundary)).of("AWS::IAM::Role")

    assert {properties["PermissionsBoundary"] for properties in bounded.values()} == {boundary}
    assert not [entry for entry in deployed(name).of("AWS::IAM::Role").values() if "PermissionsBoundary" in entry]


@pytest.mark.parametrize("name", ["yours-iam", "yours-password"])
def test_a_secret_of_yours_may_have_a_key_of_yours(name: str) -> None:
    key = "arn:aws:kms:eu-central-1:111122223333:key/yours"
    stack = deployed(name, ("DatabaseSecretKeyArn", key))

    for function in IN_THE_NETWORK:
        reads = ("secretsmanager:GetSecretValue", YOURS_IAM["DatabaseSecretArn"]) in stack.rights(function)
        assert (("kms:Decrypt", key) in stack.rights(function)) is reads
        for statement in stack.statements(f"{function}Role"):
            if "kms:Decrypt" in statement["Action"]:
                service = {"kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com"}
                assert statement["Condition"] == {"StringEquals": service}


@STACKS
def test_every_function_has_a_role_of_its_own(name: str) -> None:
    functions = deployed(name).of("AWS::Lambda::Function")

    assert functions.keys() == IN_THE_NETWORK | OUTSIDE
    assert {function: entry["Role"] for function, entry in functions.items()} == {
        function: f"{function}Role.Arn" for function in functions
    }


@STACKS
def test_roles_are_for_one_service(name: str) -> None:
    for role, properties in deployed(name).of("AWS::IAM::Role").items():
        [statement] = properties["AssumeRolePolicyDocument"]["Statement"]
        [service] = leaves(statement["Principal"])
        services = ("lambda", "scheduler", "apigateway", "states")
        assert service in {f"{name}.amazonaws.com" for name in services}
        assert (service == "lambda.amazonaws.com") is (role.removesuffix("Role") in IN_THE_NETWORK | OUTSIDE)


@STACKS
def test_no_right_is_wider_than_it_must_be(name: str) -> None:
    stack = deployed(name)

    for role in stack.of("AWS::IAM::Role"):
        for statement in stack.statements(role):
            assert not [action for action in statement["Action"] if "*" in action]
            assert "*" not in statement["Resource"] or all(name.startswith("ec2:") for name in statement["Action"])
            assert not [resource for resource in statement["Resource"] if "*" in resource and resource not in WILDCARDS]


@STACKS
@pytest.mark.parametrize("tracing", ["Disabled", "Active"])
def test_policies_of_aws_are_those_that_have_no_narrower_form(name: str, tracing: str) -> None:
    stack = deployed(name, ("Tracing", tracing))
    given = {
        (role, policy.removeprefix("arn:aws:iam::aws:policy/"))
        for role, properties in stack.of("AWS::IAM::Role").items()
        for policy in properties.get("ManagedPolicyArns", [])
    }

    assert {policy for _, policy in given} <= MANAGED_POLICIES.keys()
    traced = {role for role, policy in given if "XRay" in policy}
    assert bool(traced) is (tracing == "Active")


@STACKS
def test_names_are_listed_under_raw_only(name: str) -> None:
    stack = deployed(name)

    for function in USERS.keys() - {"ArchiveFunction"} | {"IngestFunction"}:
        [listing] = [entry for entry in stack.statements(function + "Role") if "s3:ListBucket" in entry["Action"]]
        assert listing["Condition"] == {"StringLikeIfExists": {"s3:prefix": "raw/*"}}


@STACKS
def test_readers_of_objects_get_404_for_a_missing_one(name: str) -> None:
    # S3 answers 404 only to those who may list the bucket with no prefix in the request; to others 403.
    stack = deployed(name)
    readers = 0
    for role in stack.of("AWS::IAM::Role"):
        statements = stack.statements(role)
        if any("s3:GetObject" in entry["Action"] for entry in statements):
            if role in {"NotifyFunctionRole", "ArchiveFunctionRole"}:
                # What they read is there, or they are called again: 403 says as much.
                continue
            readers += 1
            [listing] = [entry for entry in statements if "s3:ListBucket" in entry["Action"]]
            assert all(operator.endswith("IfExists") for operator in listing.get("Condition", {}))
    assert readers == len(USERS)


def test_no_password_is_in_a_variable() -> None:
    for name in PARAMETERS:
        for function in deployed(name).of("AWS::Lambda::Function").values():
            assert "DATABASE_PASSWORD" not in function["Environment"]["Variables"]


def test_functions_know_the_secret_only_where_they_sign_in_with_it() -> None:
    for name in PARAMETERS:
        functions = deployed(name).of("AWS::Lambda::Function")
        given = {
            function
            for function, entry in functions.items()
            if entry["Environment"]["Variables"].get("DATABASE_SECRET_ARN")
        }
        expected = {"yours-iam": {"MigrateFunction"}, "yours-password": IN_THE_NETWORK}
        assert given == expected.get(name, set())


@STACKS
def test_each_function_signs_in_as_its_own_user(name: str) -> None:
    functions = deployed(name).of("AWS::Lambda::Function")

    for function, user in USERS.items():
        assert functions[function]["Environment"]["Variables"]["DATABASE_USER"] == user
    migrate = functions["MigrateFunction"]["Environment"]["Variables"]
    assert migrate["DATABASE_USER"] == deployed(name).parameters["DatabaseMasterUser"]
    assert migrate["DATABASE_AUTH"] == ("iam" if name == "own" else "password")
    for function in OUTSIDE:
        assert not [key for key in functions[function]["Environment"]["Variables"] if key.startswith("DATABASE")]


def test_only_this_api_and_this_schedule_call_functions() -> None:
    stack = deployed()

    for permission in stack.of("AWS::Lambda::Permission").values():
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert permission["SourceArn"].startswith("arn:aws:execute-api:eu-central-1:111122223333:Api/")
    for function in ("SweepFunction", "ArchiveFunction"):
        assert stack.statements(f"{function}ScheduleRole") == [
            {"Effect": "Allow", "Action": ["lambda:InvokeFunction"], "Resource": [f"{function}.Arn"]}
        ]


def test_without_a_secret_the_migrations_sign_in_by_token() -> None:
    stack = deployed("yours-iam", ("DatabaseSecretArn", ""), ("DatabaseMasterUser", "owner"))

    variables = stack.one("MigrateFunction")["Environment"]["Variables"]
    assert (variables["DATABASE_AUTH"], variables["DATABASE_USER"]) == ("iam", "owner")
    assert broken_rules(load_template(), stack.parameters) == []
    rights = stack.rights("MigrateFunction") - makes_interfaces("yours-iam") - writes_logs("MigrateFunction")
    assert {action for action, _ in rights} == {"rds-db:connect"}
