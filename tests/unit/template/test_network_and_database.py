"""The stack's own database and network, or yours: private, encrypted, backed up, and open to the functions alone."""

import re
from collections.abc import Mapping

import pytest

from dropzone_migrate.roles import ARCHIVER, READER, WRITER
from unit.template.intrinsics import Evaluator, broken_rules
from unit.template.loading import PROJECT, Template, defaults
from unit.template.stacks import IN_THE_NETWORK, ON_AWS, OUTSIDE, PARAMETERS, USERS, YOURS_IAM, Stack, deployed, leaves

GIB = 1024**3

# PostgreSQL on RDS: max_connections = LEAST({DBInstanceClassMemory/9531392}, 5000). DBInstanceClassMemory is what is
# left when RDS and the operating system have had theirs; of 1 GiB (db.t4g.micro), a quarter is a careful guess.
BYTES_PER_CONNECTION = 9_531_392
SHARE_LEFT = 0.75
GIBIBYTES = {
    "db.t4g.micro": 1,
    "db.t4g.small": 2,
    "db.t4g.medium": 4,
    "db.t4g.large": 8,
    "db.t4g.xlarge": 16,
    "db.t4g.2xlarge": 32,
    **{
        f"db.m{generation}g.{size}": 8 * times
        for generation in (7, 8)
        for size, times in (("large", 1), ("xlarge", 2), ("2xlarge", 4))
    },
    **{
        f"db.r{generation}g.{size}": 16 * times
        for generation in (7, 8)
        for size, times in (("large", 1), ("xlarge", 2))
    },
}
CAPS = ("ProcessConcurrency", "SweepConcurrency", "QueryConcurrency", "ReplayConcurrency")
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
    # The details of an error quote the row that it is about.
    assert parameters["Parameters"]["log_error_verbosity"] == "terse"
    assert parameters["Family"] == "postgres" + stack.one("Database")["EngineVersion"].partition(".")[0]


def test_everybody_signs_in_to_the_database_by_token_and_there_is_no_secret() -> None:
    stack = deployed()
    database = stack.one("Database")

    assert database["EnableIAMDatabaseAuthentication"] is True
    assert database["MasterUserAuthenticationType"] == "iam-db-auth"
    # RDS refuses either of them beside it.
    assert not {"ManageMasterUserPassword", "MasterUserPassword"}.intersection(database)
    assert not [text for text in leaves(dict(stack.resources)) if "secretsmanager" in text]


@pytest.mark.parametrize(
    ("parameter", "field", "value", "default"),
    [
        ("DatabaseMultiAz", "MultiAZ", "true", "false"),
        ("DatabaseDeletionProtection", "DeletionProtection", "true", "false"),
        ("DatabaseBackupDays", "BackupRetentionPeriod", "35", "7"),
        ("DatabaseInstanceClass", "DBInstanceClass", "db.r8g.large", "db.t4g.small"),
        ("DatabaseStorage", "AllocatedStorage", "100", "20"),
        ("DatabaseMaxStorage", "MaxAllocatedStorage", "1000", "400"),
        ("DatabaseVersion", "EngineVersion", "19", "18"),
    ],
)
def test_the_database_is_as_its_parameters_say(parameter: str, field: str, value: str, default: str) -> None:
    assert deployed().one("Database")[field] == default
    assert deployed("own", (parameter, value)).one("Database")[field] == value


def test_zones_are_the_region_s_first_two_or_yours() -> None:
    zones = ("AvailabilityZoneA", "eu-central-1b"), ("AvailabilityZoneB", "eu-central-1c")

    for given, expected in (((), "ab"), (zones, "bc")):
        subnets = [deployed("own", *given).one(name) for name in ("PrivateSubnetA", "PrivateSubnetB")]
        assert [entry["AvailabilityZone"] for entry in subnets] == [f"eu-central-1{letter}" for letter in expected]


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


def test_the_database_lets_in_the_functions_and_who_has_the_clients_group() -> None:
    stack = deployed()

    rules = stack.one("DatabaseSecurityGroup")["SecurityGroupIngress"]
    assert [rule["SourceSecurityGroupId"] for rule in rules] == ["FunctionsSecurityGroup", "ClientSecurityGroup"]
    for rule in rules:
        assert str(rule["FromPort"]) == str(rule["ToPort"]) == "5432"
        assert rule["IpProtocol"] == "tcp"
    # Whom an operator gives it: the stack gives it to nobody.
    carried = {"VPCSecurityGroups", "VpcConfig", "SecurityGroupIds"}
    assert not [
        name
        for name, entry in stack.resources.items()
        if "ClientSecurityGroup"
        in leaves({key: entry["Properties"][key] for key in carried & entry["Properties"].keys()})
    ]
    [out] = stack.one("DatabaseSecurityGroup")["SecurityGroupEgress"]
    assert out["CidrIp"] == "127.0.0.1/32"
    for group in ("FunctionsSecurityGroup", "ClientSecurityGroup"):
        assert "SecurityGroupIngress" not in stack.one(group)
    assert not stack.of("AWS::EC2::SecurityGroupIngress")


def test_the_functions_reach_the_database_and_endpoints_only() -> None:
    rules = deployed().of("AWS::EC2::SecurityGroupEgress")

    clients = rules.pop("ClientsToDatabase")
    assert (clients["GroupId"], clients["DestinationSecurityGroupId"]) == (
        "ClientSecurityGroup",
        "DatabaseSecurityGroup",
    )
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
        ("s3:GetObject", f"{bucket}/access/clients.json"),
        ("s3:ListBucket", f"{bucket}/access/clients.json"),
        ("s3:PutObject", f"{bucket}/notifications/*"),
        ("s3:GetObject", f"{bucket}/silver/*"),
        ("s3:PutObject", f"{bucket}/silver/*"),
        # The region's own: anybody may have a bucket whose name only begins so.
        ("s3:PutObject", "arn:aws:s3:::cloudformation-custom-resource-response-eucentral1/*"),
    }


def test_the_migration_waits_for_its_ways_to_the_database_and_back() -> None:
    waits_for = set(deployed().one("Migration")["Network"].split())

    associations = deployed().of("AWS::EC2::SubnetRouteTableAssociation").keys()
    egress = deployed().of("AWS::EC2::SecurityGroupEgress").keys() - {"ClientsToDatabase"}
    assert waits_for == {"S3Endpoint", *associations, *egress}


def test_clients_elsewhere_are_let_in_by_their_addresses() -> None:
    rule = deployed("own", ("DatabaseClientCidr", "10.20.0.0/16")).one("ClientsElsewhere")

    assert rule["GroupId"] == "DatabaseSecurityGroup"
    assert rule["CidrIp"] == "10.20.0.0/16"
    assert str(rule["FromPort"]) == str(rule["ToPort"]) == "5432"
    assert not deployed("own").of("AWS::EC2::SecurityGroupIngress")


@pytest.mark.parametrize(
    ("cidr", "subnets"),
    [
        ("10.83.0.0/24", ["10.83.0.0/25", "10.83.0.128/25"]),
        ("172.20.16.0/20", ["172.20.16.0/25", "172.20.16.128/25"]),
        ("10.9.0.0/16", ["10.9.0.0/25", "10.9.0.128/25"]),
    ],
)
def test_the_network_s_addresses_are_a_parameter(cidr: str, subnets: list[str]) -> None:
    stack = deployed("own", ("NetworkCidr", cidr))

    assert stack.one("Network")["CidrBlock"] == cidr
    assert [stack.one(f"PrivateSubnet{letter}")["CidrBlock"] for letter in "AB"] == subnets


@pytest.mark.parametrize("cidr", ["10.83.0.0/25", "10.83.0.0/15", "10.83.0/24", ""])
def test_a_network_too_small_or_too_large_is_refused(template: Template, cidr: str) -> None:
    assert not re.fullmatch(template["Parameters"]["NetworkCidr"]["AllowedPattern"], cidr)


def test_outputs_say_how_to_reach_the_database() -> None:
    stack, yours = deployed(), deployed("yours-iam")
    outputs = {name: entry["Value"] for name, entry in stack.outputs.items()}

    assert outputs["NetworkId"] == "Network"
    assert outputs["PrivateSubnetIds"] == "PrivateSubnetA,PrivateSubnetB"
    assert outputs["PrivateRouteTableId"] == "PrivateRoutes"
    assert outputs["DatabaseSecurityGroupId"] == "DatabaseSecurityGroup"
    assert outputs["ClientSecurityGroupId"] == "ClientSecurityGroup"
    assert outputs["DatabaseEndpoint"] == "Database.Endpoint.Address"
    assert outputs["DatabaseUser"] == stack.parameters["DatabaseMasterUser"]
    # The very resource that a function is allowed.
    allowed = {resource for action, resource in stack.rights("QueryFunction") if action == "rds-db:connect"}
    assert allowed == {outputs["DatabaseResource"] + "dropzone_reader"}
    assert "DatabaseSecret" not in outputs
    assert yours.outputs["DatabaseSecret"]["Value"] == YOURS_IAM["DatabaseSecretArn"]
    assert "NetworkId" not in yours.outputs


# ---- versions, windows, limits ---------------------------------------------------------------------------------------


def test_the_next_postgres_gets_a_parameter_group_of_its_own() -> None:
    for version in ("18", "19"):
        stack = deployed("own", ("DatabaseVersion", version))
        assert stack.one("Database")["EngineVersion"] == version
        # Another family replaces the group, and its name is CloudFormation's: the old one goes after the upgrade.
        assert stack.one("DatabaseParameters")["Family"] == f"postgres{version}"
        assert "DBParameterGroupName" not in stack.one("DatabaseParameters")
        assert stack.one("Database")["AllowMajorVersionUpgrade"] is True


@pytest.mark.parametrize(
    ("parameter", "field", "good", "bad"),
    [
        ("DatabaseBackupWindow", "PreferredBackupWindow", "02:00-02:30", ["2:00-2:30", "25:00-26:00", "02:00"]),
        ("DatabaseMaintenanceWindow", "PreferredMaintenanceWindow", "sun:03:00-sun:03:30", ["Sunday", "03:00-03:30"]),
    ],
)
def test_windows_are_parameters(template: Template, parameter: str, field: str, good: str, bad: list[str]) -> None:
    pattern = template["Parameters"][parameter]["AllowedPattern"]

    assert field not in deployed().one("Database")
    assert deployed("own", (parameter, good)).one("Database")[field] == good
    assert [text for text in ["", good, *bad] if re.fullmatch(pattern, text)] == ["", good]


def test_a_migration_s_limits_are_parameters_up_to_lambda_s_15_minutes(template: Template) -> None:
    times = allowed(template, "MigrationTimeout")

    assert times[-1] == "900"
    for seconds in times:
        given = [("MigrationTimeout", seconds), ("MigrationStatementTimeout", "7"), ("MigrationLockTimeout", "3")]
        stack = deployed("own", *given)
        function = stack.one("MigrateFunction")
        names = ("CALL_SECONDS", "STATEMENT_SECONDS", "LOCK_SECONDS")
        assert [str(function["Environment"]["Variables"][name]) for name in names] == [seconds, "7", "3"]
        # CloudFormation goes on waiting for a little longer than the function may run.
        assert int(function["Timeout"]) < int(stack.one("Migration")["ServiceTimeout"]) <= int(seconds) + 20


# ---- from a snapshot -------------------------------------------------------------------------------------------------

SNAPSHOT = ("DatabaseSnapshot", "dropzone-before")


def test_a_new_generation_is_made_from_a_snapshot_beside_the_old_one() -> None:
    before, after = (deployed("own", *changes) for changes in ((), (SNAPSHOT, ("DatabaseGeneration", "2"))))
    old, new = before.one("Database"), after.one("Database")

    # Another name is another instance: CloudFormation makes it, and then removes the old one, with a snapshot.
    assert (old["DBInstanceIdentifier"], new["DBInstanceIdentifier"]) == (
        "dropzone-prod-silver-1",
        "dropzone-prod-silver-2",
    )
    assert after.resources["Database"]["UpdateReplacePolicy"] == "Snapshot"
    assert new["DBSnapshotIdentifier"] == "dropzone-before"
    # What the snapshot brings is not to be named beside it; the rest is as it was.
    inherited = {"DBName", "MasterUsername", "StorageEncrypted", "KmsKeyId"}
    assert not inherited.intersection(new)
    assert new.keys() == old.keys() - inherited | {"DBSnapshotIdentifier"}


def test_without_a_snapshot_nothing_is_inherited() -> None:
    assert "DBSnapshotIdentifier" not in deployed().one("Database")


def test_the_database_s_key_is_a_parameter() -> None:
    key = "arn:aws:kms:eu-central-1:111122223333:key/12345678-1234-1234-1234-123456789012"

    assert "KmsKeyId" not in deployed().one("Database")
    assert deployed("own", ("DatabaseKmsKeyArn", key)).one("Database")["KmsKeyId"] == key


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
    assert set(USERS.values()) == {WRITER, READER, ARCHIVER}
    assert USERS["QueryFunction"] == READER


def variables(name: str, function: str) -> dict[str, str]:
    """What a function's environment says of the database and of bronze."""
    environment = deployed(name).one(function)["Environment"]["Variables"]
    return {key: value for key, value in environment.items() if key.startswith(("DATABASE_", "BRONZE_"))}


@pytest.mark.parametrize("name", PARAMETERS)
def test_all_functions_get_the_same_settings_of_the_database(name: str) -> None:
    process, *others, migrate = (variables(name, function) for function in (*USERS, "MigrateFunction"))
    # How the schema's owner signs in is Migrate's own.
    own = {"DATABASE_USER", "DATABASE_AUTH", "DATABASE_SECRET_ARN"}

    assert len(others) == len(USERS) - 1
    assert all(other | {"DATABASE_USER": WRITER} == process for other in others)
    assert migrate.keys() <= process.keys()
    assert {key: process[key] for key in migrate.keys() - own} == {key: migrate[key] for key in migrate.keys() - own}


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_migrations_run_where_the_functions_will_look(name: str) -> None:
    migration, process = deployed(name).one("Migration"), variables(name, "ProcessFunction")

    # CloudFormation calls when one of its properties changes.
    for part in ("Host", "Port", "Name"):
        assert str(migration[f"Database{part}"]) == str(process[f"DATABASE_{part.upper()}"])


@pytest.mark.parametrize(
    ("parameter", "value"), [("DatabaseHost", "other.example.com"), ("DatabasePort", "6432"), ("DatabaseName", "other")]
)
def test_another_database_is_migrated(parameter: str, value: str) -> None:
    assert deployed("yours-iam", (parameter, value)).one("Migration") != deployed("yours-iam").one("Migration")


def caps(parameters: Mapping[str, str]) -> int:
    """The most connections that the functions open at once: one each container; Migrate, Archive and a report have one.

    A function without a reservation (0) has no cap of the stack's, and is not counted.
    """
    return sum(int(parameters[name]) for name in CAPS) + 3


def by_the_formula(gibibytes: int) -> int:
    """The most connections that RDS lets a class of so much memory have."""
    return min(gibibytes * GIB // BYTES_PER_CONNECTION, 5_000)


def connections(gibibytes: int) -> int:
    """What of them is certain, and not reserved."""
    return int(by_the_formula(gibibytes) * SHARE_LEFT) - RESERVED


def allowed(template: Template, parameter: str) -> list[str]:
    return [str(value) for value in template["Parameters"][parameter]["AllowedValues"]]


@pytest.mark.parametrize("name", ON_AWS)
def test_every_function_with_connections_is_capped_by_its_parameter(name: str) -> None:
    stack = deployed(name)
    mapping = stack.one("ProcessFunctionQueue")

    assert mapping["ScalingConfig"]["MaximumConcurrency"] == stack.parameters["ProcessConcurrency"]
    assert reservations(stack) == {
        "SweepFunction": stack.parameters["SweepConcurrency"],
        "QueryFunction": stack.parameters["QueryConcurrency"],
    }


def reservations(stack: Stack) -> dict[str, str]:
    return {
        function: properties["ReservedConcurrentExecutions"]
        for function, properties in stack.of("AWS::Lambda::Function").items()
        if "ReservedConcurrentExecutions" in properties
    }


@pytest.mark.parametrize(
    ("parameter", "left"), [("SweepConcurrency", "QueryFunction"), ("QueryConcurrency", "SweepFunction")]
)
def test_0_reserves_nothing(parameter: str, left: str) -> None:
    # An account with a limit of 10 calls at once, as a new one has, refuses to reserve any of them; and 0 itself
    # would be a reservation of none, with which Lambda refuses every call.
    assert reservations(deployed("own", (parameter, "0"))).keys() == {left}


def test_ingest_and_web_may_be_given_a_share_of_the_account() -> None:
    given = ("IngestConcurrency", "50"), ("WebConcurrency", "2"), ("SweepConcurrency", "0"), ("QueryConcurrency", "0")

    assert reservations(deployed("own", *given)) == {"IngestFunction": "50", "WebFunction": "2"}


def test_the_functions_caps_are_below_the_database_s_connections(template: Template) -> None:
    # 2 GiB / 9,531,392 = 225; three quarters of it 168; less 5 reserved, 163. The functions: 10 + 5 + 10 + 2 + 3 = 30.
    assert (by_the_formula(2), connections(2), caps(defaults(template))) == (225, 163, 30)
    assert GENERATIONS * caps(defaults(template)) < connections(GIBIBYTES[defaults(template)["DatabaseInstanceClass"]])


def test_every_class_has_its_memory_and_its_alarm(template: Template) -> None:
    classes = allowed(template, "DatabaseInstanceClass")

    assert classes == list(GIBIBYTES) == list(template["Mappings"]["DatabaseClasses"])


@pytest.mark.parametrize("kind", GIBIBYTES)
def test_the_buffers_leave_what_signing_in_with_tokens_needs(template: Template, kind: str) -> None:
    # Of the memory that RDS gives Postgres, in pages of 8 KiB. AWS asks for 300 to 1,000 MiB of spare memory.
    memory = GIBIBYTES[kind] * GIB * SHARE_LEFT
    written = template["Resources"]["DatabaseParameters"]["Properties"]["Parameters"]["shared_buffers"]
    buffers = Evaluator(template, {**defaults(template), "DatabaseInstanceClass": kind}).value(written)

    match = re.fullmatch(r"\{DBInstanceClassMemory/(\d+)\}", buffers)
    assert match
    spare = memory - memory / int(match[1]) * 8_192
    assert spare >= 600 * 1024**2
    assert spare >= 1_000 * 1024**2 or kind == "db.t4g.micro"


@pytest.mark.parametrize("kind", GIBIBYTES)
def test_a_deploy_whose_functions_may_open_too_many_connections_is_refused(template: Template, kind: str) -> None:
    # Each parameter has a limit of its own: together their limits pass, and nothing above one does.
    parameters = {**defaults(template), "DatabaseInstanceClass": kind}
    assert not broken_rules(template, parameters)
    limits = {
        name: max(
            (value for value in allowed(template, name) if not broken_rules(template, {**parameters, name: value})),
            key=int,
        )
        for name in CAPS
    }
    assert not broken_rules(template, {**parameters, **limits})
    most = caps({**parameters, **limits})

    assert GENERATIONS * most < connections(GIBIBYTES[kind])
    # And the alarm on connections lies between what the functions may open and what the database takes.
    threshold = deployed("own", ("DatabaseInstanceClass", kind)).one("DatabaseConnectionsAlarm")["Threshold"]
    assert GENERATIONS * most < threshold < connections(GIBIBYTES[kind])


def test_your_database_s_connections_are_yours_to_count(template: Template) -> None:
    given = {**defaults(template), **YOURS_IAM, "ProcessConcurrency": "1000", "QueryConcurrency": "200"}

    assert broken_rules(template, given) == []


def test_the_document_s_table_of_connections_is_what_the_rules_say(template: Template) -> None:
    text = (PROJECT / "docs" / "deploy.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| \d+ GiB \|", line)]

    classes: dict[str, int] = {}
    for row in rows:
        memory, kinds, certain, *numbers = [cell.strip() for cell in row.strip("|").split("|")]
        gibibytes = int(memory.removesuffix("GiB"))
        classes |= dict.fromkeys(kinds.split(", "), gibibytes)
        assert number(certain) == connections(gibibytes)
        *most, together = map(number, numbers)
        assert most == [
            max(int(value) for value in allowed(template, name) if passes(template, gibibytes, name, value))
            for name in CAPS
        ]
        assert together == GENERATIONS * (sum(most) + 3)
    assert classes == GIBIBYTES


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


def passes(template: Template, gibibytes: int, parameter: str, value: str) -> bool:
    kind = next(kind for kind, memory in GIBIBYTES.items() if memory == gibibytes)
    return not broken_rules(template, {**defaults(template), "DatabaseInstanceClass": kind, parameter: value})
