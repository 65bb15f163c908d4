"""The stack's own database and network, or yours: private, encrypted, backed up, and open to the functions alone."""

import pytest

from dropzone_migrate.roles import READER, WRITER
from unit.template.loading import Template, defaults
from unit.template.stacks import IN_THE_NETWORK, ON_AWS, OUTSIDE, PARAMETERS, USERS, YOURS_IAM, deployed

GIB = 1024**3

# PostgreSQL on RDS: max_connections = LEAST({DBInstanceClassMemory/9531392}, 5000). DBInstanceClassMemory is what is
# left when RDS and the operating system have had theirs; of 1 GiB (db.t4g.micro), a quarter is a careful guess.
BYTES_PER_CONNECTION = 9_531_392
MEMORY = {"db.t4g.micro": GIB}
SHARE_LEFT = 0.75
# superuser_reserved_connections, and rds.rds_superuser_reserved_connections.
RESERVED = 3 + 2
# While a deploy replaces containers, the old ones hold their connections until they are frozen out.
GENERATIONS = 2


def test_the_database_is_encrypted_private_and_backed_up() -> None:
    database = deployed().one("Database")

    assert database["StorageEncrypted"] is True
    assert database["PubliclyAccessible"] is False
    assert int(database["BackupRetentionPeriod"]) >= 7
    assert database["AutoMinorVersionUpgrade"] is True
    assert database["EnablePerformanceInsights"] is True
    assert set(database["EnableCloudwatchLogsExports"]) == {"postgresql", "upgrade"}
    assert database["CopyTagsToSnapshot"] is True
    assert int(database["MaxAllocatedStorage"]) > int(database["AllocatedStorage"])
    assert database["VPCSecurityGroups"] == ["DatabaseSecurityGroup"]


def test_the_database_takes_tls_only_and_logs_no_values() -> None:
    stack = deployed()
    parameters = stack.one("DatabaseParameters")

    assert stack.one("Database")["DBParameterGroupName"] == "DatabaseParameters"
    assert parameters["Parameters"]["rds.force_ssl"] == "1"
    assert parameters["Parameters"]["log_parameter_max_length"] == "0"
    assert parameters["Parameters"]["log_parameter_max_length_on_error"] == "0"
    assert parameters["Family"] == "postgres" + stack.one("Database")["EngineVersion"].partition(".")[0]


def test_the_database_signs_in_with_tokens_and_keeps_its_own_secret() -> None:
    database = deployed().one("Database")

    assert database["EnableIAMDatabaseAuthentication"] is True
    assert database["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in database


@pytest.mark.parametrize(
    ("parameter", "field", "value", "default"),
    [
        ("DatabaseMultiAz", "MultiAZ", "true", "false"),
        ("DatabaseDeletionProtection", "DeletionProtection", "false", "true"),
        ("DatabaseBackupDays", "BackupRetentionPeriod", "35", "7"),
        ("DatabaseInstanceClass", "DBInstanceClass", "db.r8g.large", "db.t4g.micro"),
        ("DatabaseStorage", "AllocatedStorage", "100", "20"),
    ],
)
def test_the_database_is_as_its_parameters_say(parameter: str, field: str, value: str, default: str) -> None:
    assert deployed().one("Database")[field] == default
    assert deployed("own", (parameter, value)).one("Database")[field] == value


def test_storage_that_a_parameter_allows_may_still_grow(template: Template) -> None:
    most = template["Parameters"]["DatabaseStorage"]["MaxValue"]

    assert int(deployed().one("Database")["MaxAllocatedStorage"]) >= 1.1 * most  # RDS asks for a tenth


def test_the_database_s_logs_end_and_are_there_before_rds_would_make_them() -> None:
    stack = deployed()
    database = stack.resources["Database"]
    name = database["Properties"]["DBInstanceIdentifier"]

    for kind in database["Properties"]["EnableCloudwatchLogsExports"]:
        [group] = [
            group
            for group, properties in stack.of("AWS::Logs::LogGroup").items()
            if properties.get("LogGroupName") == f"/aws/rds/instance/{name}/{kind}"
        ]
        assert stack.one(group)["RetentionInDays"]
        assert group in database["DependsOn"]


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name != "own"])
def test_with_your_database_the_stack_makes_neither_database_nor_network(name: str) -> None:
    kinds = {entry["Type"] for entry in deployed(name).resources.values()}

    assert not [kind for kind in kinds if kind.startswith(("AWS::RDS::", "AWS::EC2::"))]


def test_subnets_are_private_and_in_two_zones() -> None:
    stack = deployed()
    subnets = stack.of("AWS::EC2::Subnet")
    kinds = [entry["Type"] for entry in stack.resources.values()]

    assert len({properties["AvailabilityZone"] for properties in subnets.values()}) == len(subnets) == 2
    assert not [name for name, properties in subnets.items() if properties.get("MapPublicIpOnLaunch")]
    # No way out: nothing that could be one, and no route.
    ways_out = {
        "AWS::EC2::InternetGateway",
        "AWS::EC2::NatGateway",
        "AWS::EC2::Route",
        "AWS::EC2::VPCGatewayAttachment",
    }
    assert not ways_out.intersection(kinds)
    associated = {entry["SubnetId"] for entry in stack.of("AWS::EC2::SubnetRouteTableAssociation").values()}
    assert associated == subnets.keys() == set(stack.one("DatabaseSubnets")["SubnetIds"])


def test_the_database_and_the_endpoint_let_the_functions_in_and_nobody_else() -> None:
    stack = deployed()

    for group, port in (("DatabaseSecurityGroup", "5432"), ("EndpointSecurityGroup", "443")):
        [rule] = stack.one(group)["SecurityGroupIngress"]
        assert rule["SourceSecurityGroupId"] == "FunctionsSecurityGroup"
        assert str(rule["FromPort"]) == str(rule["ToPort"]) == port
        assert rule["IpProtocol"] == "tcp"
        [out] = stack.one(group)["SecurityGroupEgress"]
        assert out["CidrIp"] == "127.0.0.1/32"
    assert "SecurityGroupIngress" not in stack.one("FunctionsSecurityGroup")
    assert not stack.of("AWS::EC2::SecurityGroupIngress")


def test_the_functions_reach_the_database_and_endpoints_only() -> None:
    rules = deployed().of("AWS::EC2::SecurityGroupEgress")

    assert {rule["GroupId"] for rule in rules.values()} == {"FunctionsSecurityGroup"}
    # S3's endpoint has no group, and its addresses no name in a template: the port is open, and no route leads out.
    assert {
        (str(rule["FromPort"]), rule.get("DestinationSecurityGroupId") or rule["CidrIp"]) for rule in rules.values()
    } == {
        ("5432", "DatabaseSecurityGroup"),
        ("443", "0.0.0.0/0"),
    }


def test_the_s3_endpoint_lets_bronze_be_read_and_cloudformation_be_answered() -> None:
    endpoint = deployed().one("S3Endpoint")

    assert endpoint["VpcEndpointType"] == "Gateway"
    assert endpoint["RouteTableIds"] == ["PrivateRoutes"]
    allowed = {
        (action, resource)
        for statement in endpoint["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        for resource in ([statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"])
    }
    bucket = "arn:aws:s3:::BronzeBucket"
    assert allowed == {
        ("s3:GetObject", bucket),
        ("s3:ListBucket", bucket),
        ("s3:GetObject", f"{bucket}/raw/*"),
        ("s3:ListBucket", f"{bucket}/raw/*"),
        # The region's own: anybody may have a bucket whose name only begins so.
        ("s3:PutObject", "arn:aws:s3:::cloudformation-custom-resource-response-eucentral1/*"),
    }


def test_the_secrets_endpoint_reads_one_secret() -> None:
    endpoint = deployed().one("SecretsEndpoint")

    assert endpoint["VpcEndpointType"] == "Interface"
    assert endpoint["PrivateDnsEnabled"] is True
    assert endpoint["SecurityGroupIds"] == ["EndpointSecurityGroup"]
    [statement] = endpoint["PolicyDocument"]["Statement"]
    assert statement["Action"] == "secretsmanager:GetSecretValue"
    assert statement["Resource"] == "Database.MasterUserSecret.SecretArn"
    assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": "111122223333"}}


def test_the_migration_waits_for_its_ways_to_the_database_to_the_secret_and_back() -> None:
    waits_for = set(deployed().one("Migration")["Network"].split())

    associations = deployed().of("AWS::EC2::SubnetRouteTableAssociation").keys()
    egress = deployed().of("AWS::EC2::SecurityGroupEgress").keys()
    assert waits_for == {"S3Endpoint", "SecretsEndpoint", *associations, *egress}


@pytest.mark.parametrize("name", PARAMETERS)
def test_functions_that_use_the_database_are_in_its_network_where_there_is_one(name: str) -> None:
    functions = deployed(name).of("AWS::Lambda::Function")
    networks = {
        "own": {"SubnetIds": ["PrivateSubnetA", "PrivateSubnetB"], "SecurityGroupIds": ["FunctionsSecurityGroup"]},
        "yours-iam": {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]},
        "yours-password": {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]},
    }

    for function in IN_THE_NETWORK:
        assert functions[function].get("VpcConfig") == networks.get(name)
    for function in OUTSIDE:
        assert "VpcConfig" not in functions[function]


def test_your_public_database_needs_no_network() -> None:
    functions = deployed("yours-iam", ("SubnetIds", ""), ("SecurityGroupIds", "")).of("AWS::Lambda::Function")

    assert not [function for function, properties in functions.items() if "VpcConfig" in properties]


def test_functions_use_the_database_of_the_parameters() -> None:
    for name, host in (("own", "Database.Endpoint.Address"), ("yours-iam", YOURS_IAM["DatabaseHost"])):
        functions = deployed(name).of("AWS::Lambda::Function")
        for function in IN_THE_NETWORK:
            variables = functions[function]["Environment"]["Variables"]
            assert variables["DATABASE_HOST"] == host
            assert variables["DATABASE_TLS"] == "verify-full"


def test_the_users_are_those_that_migrations_make() -> None:
    assert set(USERS.values()) == {WRITER, READER}
    assert USERS["QueryFunction"] == READER


def caps(template: Template) -> int:
    """The most connections that the functions open at once: one each container, and Migrate's one."""
    values = defaults(template)
    return sum(int(values[name]) for name in ("ProcessConcurrency", "SweepConcurrency", "QueryConcurrency")) + 1


@pytest.mark.parametrize("name", ON_AWS)
def test_every_function_with_connections_is_capped_by_its_parameter(name: str) -> None:
    stack = deployed(name)
    [mapping] = stack.of("AWS::Lambda::EventSourceMapping").values()
    reserved = {
        function: properties["ReservedConcurrentExecutions"]
        for function, properties in stack.of("AWS::Lambda::Function").items()
        if "ReservedConcurrentExecutions" in properties
    }

    assert mapping["ScalingConfig"]["MaximumConcurrency"] == stack.parameters["ProcessConcurrency"]
    assert reserved == {
        "SweepFunction": stack.parameters["SweepConcurrency"],
        "QueryFunction": stack.parameters["QueryConcurrency"],
    }


def test_the_functions_caps_are_below_the_database_s_connections(template: Template) -> None:
    memory = MEMORY[defaults(template)["DatabaseInstanceClass"]]
    by_the_formula = min(memory // BYTES_PER_CONNECTION, 5_000)
    connections = int(by_the_formula * SHARE_LEFT) - RESERVED

    # 1 GiB / 9,531,392 = 112; three quarters of it 84; less 5 reserved, 79. The functions: 10 + 2 + 10 + 1 = 23.
    assert (by_the_formula, connections, caps(template)) == (112, 79, 23)
    assert GENERATIONS * caps(template) < connections


def test_the_alarm_lies_between_what_the_functions_open_and_what_the_database_takes(template: Template) -> None:
    threshold = deployed().one("DatabaseConnectionsAlarm")["Threshold"]
    memory = MEMORY[defaults(template)["DatabaseInstanceClass"]]

    assert GENERATIONS * caps(template) < threshold < memory // BYTES_PER_CONNECTION * SHARE_LEFT - RESERVED
