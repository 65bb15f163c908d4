"""Stacks in one account: a first deploy that fails, two side by side, updates, a move, and what a deletion leaves."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import jmespath
import pexpect  # type: ignore[import-untyped]
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, WaiterError

from dropzone.domain.identifiers import object_key
from dropzone_local import sam
from dropzone_local.deployment import STACK_NAME, Deployment, correct_event_sources
from dropzone_local.environment import tool_environment
from dropzone_local.files import write_json
from dropzone_local.polling import wait_until
from dropzone_local.stack import PROJECT
from e2e.client import EXAMPLE, Client
from unit.template.loading import load_template
from unit.template.test_data_survives import RETAINED

RECOVERY = (PROJECT / "docs" / "disaster-recovery.md").read_text(encoding="utf-8")

ROW = ["2019-05-01 10:00:00+00", 1.0, 1.0]
BRANCH = "dropzone-branch"
DOMAIN = "events.example.com"
ROLES = "arn:aws:iam::000000000000:role"
CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/of-tests"

# What an account can be asked for: the service, the operation, and where the names are in its answer.
INVENTORY: dict[str, tuple[str, str, str, str]] = {
    "buckets": ("s3", "list_buckets", "Buckets", "Name"),
    "queues": ("sqs", "list_queues", "QueueUrls", ""),
    "functions": ("lambda", "list_functions", "Functions", "FunctionName"),
    "layers": ("lambda", "list_layers", "Layers", "LayerName"),
    "event sources": ("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
    "roles": ("iam", "list_roles", "Roles", "RoleName"),
    "APIs": ("apigateway", "get_rest_apis", "items", "name"),
    "APIs for those who sign in": ("apigatewayv2", "get_apis", "Items", "Name"),
    "domains": ("apigateway", "get_domain_names", "items", "domainName"),
    "keys": ("apigateway", "get_api_keys", "items", "id"),
    "plans": ("apigateway", "get_usage_plans", "items", "id"),
    "log groups": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "schedules": ("scheduler", "list_schedules", "Schedules", "Name"),
    "secrets": ("secretsmanager", "list_secrets", "SecretList", "Name"),
    "alarms": ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "databases": ("rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
    "network interfaces": ("ec2", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
}

UNKNOWN_TO_THE_EMULATOR = {"AWS::EC2::SecurityGroupEgress", "AWS::RDS::EventSubscription"}

NOT_MADE_HERE = {"alarms", "databases", "domains", "network interfaces", "secrets"}
"""What the stack doesn't make on this machine. It is looked for all the same."""


class Moved(NamedTuple):
    """The stack with another database, and another way to sign in."""

    client: Client
    before: str
    """Its database of before."""
    at_first: list[list[Any]]
    """The measurements in its database of now, before anything was processed."""


@pytest.fixture(scope="module")
def moved(waiting_client: Client) -> Moved:
    """Deploy the stack whose queue feeds nothing once more, for roles, and with an empty database.

    It stays so: tests/conftest.py runs this file after all others that have this stack.
    """
    stack = waiting_client.stack
    before = stack.postgres.database
    waiting_client.ingest(EXAMPLE)
    assert waiting_client.process_all()
    create_database(waiting_client, "elsewhere")
    # What is not named stays as it was.
    roles = {"SignIn": "iam", "JwtIssuer": "", "JwtAudience": ""}
    parameters = {**stack.options.parameters, **roles, "DatabaseName": "elsewhere"}
    stack.options = replace(stack.options, parameters=parameters)
    waiting_client.endpoints = stack.up()
    # Before the first request: what a function has read of these, it knows for a minute.
    waiting_client.key_keeper.enlist({"name": "analyst", "role": f"{ROLES}/analyst", "scopes": ["read"]})
    return Moved(waiting_client, before, rows(waiting_client, "elsewhere"))


@pytest.fixture(scope="module")
def later(waiting_client: Client) -> Iterator[list[Callable[[], None]]]:  # noqa: ARG001 - whose stack is there as long
    """Checks of what takes a minute to happen: made after the module's other tests."""
    checks: list[Callable[[], None]] = []
    yield checks
    for check in checks:
        check()


class SecondStack:
    """A stack beside the local one, in the same account, of what SAM uploaded for that one."""

    def __init__(self, beside: Client, name: str) -> None:
        self.name, self._beside = name, beside
        self._cloudformation = beside.clients.cloudformation()

    def deploy(self, database: str, **parameters: str) -> None:
        """Deploy it with a database of its own on this machine's server; an error where that fails."""
        self.deploy_template(self.template(), {**self._beside.stack.parameters, "DatabaseName": database, **parameters})
        correct_event_sources(self._beside.clients, enabled=False)

    def template(self) -> dict[str, Any]:
        """Return the local stack's template, as SAM sent it to CloudFormation."""
        answer = self._cloudformation.get_template(StackName=STACK_NAME, TemplateStage="Original")
        return dict(answer["TemplateBody"])

    def deploy_template(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        """Create or update it, with a tag."""
        bucket = urlsplit(template["Resources"]["CommonLayer"]["Properties"]["ContentUri"]).netloc
        key = f"{self.name}.json"
        self._beside.clients.s3().put_object(Bucket=bucket, Key=key, Body=json.dumps(template).encode())
        is_there = self.is_there
        act = self._cloudformation.update_stack if is_there else self._cloudformation.create_stack
        act(
            StackName=self.name,
            TemplateURL=f"{self._beside.endpoints.emulator_url}/{bucket}/{key}",
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            Tags=[{"Key": "team", "Value": "data"}],
        )
        waiter = self._cloudformation.get_waiter("stack_update_complete" if is_there else "stack_create_complete")
        waiter.wait(StackName=self.name, WaiterConfig={"Delay": 1})

    def client(self) -> Client:
        """Return a client of it."""
        stack = self._beside.stack
        client = Client(stack)
        deployment = Deployment(stack.emulator, project=PROJECT, root=stack.root, stack=self.name)
        client.endpoints = deployment.endpoints(client.endpoints.database_url)
        return client

    def delete(self) -> None:
        """Delete it, and wait until it is gone."""
        self._cloudformation.delete_stack(StackName=self.name)
        self._cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=self.name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )

    def adopt(self, bucket: str) -> None:
        """Begin with a bucket that is there, as docs/disaster-recovery.md has it, by its own template and names."""
        template = re.search(r"cat > bucket\.yaml <<END\n(.*?)\n +END", RECOVERY, re.DOTALL)
        names = re.search(r'--resources-to-import "(.*?)"\n', RECOVERY, re.DOTALL)
        assert template
        assert names
        self._beside.clients.s3().delete_bucket_policy(Bucket=bucket)
        self._cloudformation.create_change_set(
            StackName=self.name,
            ChangeSetName="adopt",
            ChangeSetType="IMPORT",
            TemplateBody=template[1].replace("$BUCKET", bucket),
            ResourcesToImport=json.loads(names[1].replace('\\"', '"').replace("$BUCKET", bucket)),
        )
        self._cloudformation.get_waiter("change_set_create_complete").wait(
            StackName=self.name, ChangeSetName="adopt", WaiterConfig={"Delay": 1}
        )
        self._cloudformation.execute_change_set(StackName=self.name, ChangeSetName="adopt")
        self._cloudformation.get_waiter("stack_import_complete").wait(StackName=self.name, WaiterConfig={"Delay": 1})

    @property
    def is_there(self) -> bool:
        """Whether CloudFormation has a stack of this name."""
        try:
            return bool(self.status)
        except ClientError:
            return False

    @property
    def status(self) -> str:
        """Return CloudFormation's word for how it is."""
        answer = self._cloudformation.describe_stacks(StackName=self.name)
        return answer["Stacks"][0]["StackStatus"]

    def failures(self) -> list[str]:
        """Return the resources that could not be made or changed, the newest first, as docs/deploy.md asks for them."""
        text = (PROJECT / "docs" / "deploy.md").read_text(encoding="utf-8")
        [query] = re.findall(r"--query \"(StackEvents\[\?ends_with.*?)\"", text)
        events = self._cloudformation.describe_stack_events(StackName=self.name)
        return [resource for resource, _ in jmespath.search(query, events)]

    def resources(self) -> dict[str, str]:
        """Return the stack's resources, each with the name that it has in the account."""
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name)
        return {
            entry["LogicalResourceId"]: entry["PhysicalResourceId"]
            for page in pages
            for entry in page["StackResourceSummaries"]
        }


@pytest.fixture
def branch(waiting_client: Client) -> SecondStack:
    return SecondStack(waiting_client, BRANCH)


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


def create_database(client: Client, name: str) -> None:
    with client.stack.postgres.connect() as connection:
        connection.run(f"CREATE DATABASE {name}")


def rows(client: Client, database: str) -> list[list[Any]]:
    """The measurements in a database, by their instants."""
    with client.stack.postgres.connect(database) as connection:
        return list(connection.run("SELECT measured_at::text, mean, std_dev FROM measurements ORDER BY 1, source"))


def known_to_the_emulator(template: dict[str, Any], *others: str) -> dict[str, Any]:
    """Return a template without the types for which the emulator refuses all of it, and without others."""
    for resource in template["Resources"].values():
        if resource["Type"] in {*UNKNOWN_TO_THE_EMULATOR, *others}:
            resource["Type"] = "AWS::CloudFormation::WaitConditionHandle"  # which is nothing
            del resource["Properties"]
    return template


def own_database(client: Client) -> dict[str, str]:
    """The least parameters of a stack that makes its own database. Alarms with metric math are beyond the emulator."""
    return {"Architecture": client.stack.builder.architecture, "Monitoring": "false"}


def test_a_stack_lives_beside_another_from_a_failed_first_deploy_to_its_deletion(
    waiting_client: Client, branch: SecondStack, later: list[Callable[[], None]]
) -> None:
    # GIVEN a stack in the account
    before = inventory(waiting_client)
    assert {kind for kind, _ in before} >= INVENTORY.keys() - NOT_MADE_HERE

    # WHEN the first deploy of a second one fails at its migration
    with pytest.raises(WaiterError):
        branch.deploy("branch")
    assert branch.failures()[-1] == "Migration"

    # THEN it leaves nothing, and what is left of it can be deleted
    assert branch.status == "ROLLBACK_COMPLETE"
    assert inventory(waiting_client) == before
    branch.delete()

    # WHEN it is deployed again, with the cause removed
    create_database(waiting_client, "branch")
    branch.deploy("branch")

    # THEN there are two stacks, each with all that it needs, and neither sees the other's events
    made = branch.resources()
    tags = waiting_client.clients.sqs().list_queue_tags(QueueUrl=made["Queue"])["Tags"]
    assert tags["team"] == "data"  # of the deploy, as everything has that the emulator tags
    with branch.client() as client:
        assert client.endpoints.url != waiting_client.endpoints.url
        raw_id = client.ingest(EXAMPLE)
        assert waiting_client.request("GET", f"/ingest/{raw_id}").status_code == 404
        assert client.process()["processed"] == 1
        assert rows(client, "branch") == [ROW]

        # WHEN an update fails
        with pytest.raises(WaiterError):
            branch.deploy("nowhere")

        # THEN the stack goes on as it was
        assert branch.status == "UPDATE_ROLLBACK_COMPLETE"
        assert branch.resources().keys() == made.keys()
        assert client.request("GET", f"/ingest/{raw_id}").json()["status"] == "processed"

        # WHEN one succeeds
        branch.deploy("branch", MaxBodyBytes="10", DomainName=DOMAIN, CertificateArn=CERTIFICATE)

        # THEN it is in force, and the API is found by its own name, without a stage in its paths
        assert client.request("POST", "/ingest", EXAMPLE, content_type="application/json").status_code == 413
        by_name = {"Host": DOMAIN, "x-api-key": client.endpoints.api_key}
        answer = client.http.get(f"{client.endpoints.emulator_url}/ingest/{raw_id}", headers=by_name)
        assert answer.json()["status"] == "processed"

        # WHEN the stack is deleted
        branch.delete()

    # THEN nothing of it is left but what the template retains, with all that is in it
    bucket = made["BronzeBucket"]
    assert RETAINED.keys() & made.keys() == {"BronzeBucket", "BronzeBucketPolicy"}
    assert inventory(waiting_client) == before | {("buckets", bucket)}
    s3 = waiting_client.clients.s3()
    assert "WrittenByIngestOnly" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
    assert s3.head_object(Bucket=bucket, Key=object_key(raw_id))["ContentLength"] == len(EXAMPLE)
    assert rows(waiting_client, "branch") == [ROW]

    # WHEN a new stack of the same name adopts the bucket, and is deployed with an empty database
    branch.adopt(bucket)
    create_database(waiting_client, "recovered")
    branch.deploy("recovered", SweepMinAge="1")

    # THEN it is the same bucket, with a policy of the new stack's, and the first stack has not noticed
    again = branch.resources()
    assert again["BronzeBucket"] == bucket
    assert f"/{again['IngestFunctionRole']}" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
    assert waiting_client.request("GET", "/health", key=None).status_code == 200

    # AND the schedule's sweep brings the data back
    def data_is_back() -> None:
        assert wait_until(lambda: rows(waiting_client, "recovered") or None, seconds=100) == [ROW]
        branch.delete()

    later.append(data_is_back)


def session_of(client: Client, role: str, *routes: str) -> Credentials:
    """Make a role that may call routes of the API for those who sign in, and return the credentials of a session."""
    iam: Any = client.clients.of("iam")
    sts: Any = client.clients.of("sts")

    def policy(**statement: object) -> str:
        return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})

    trust = policy(Principal={"AWS": "*"}, Action="sts:AssumeRole")
    arn = iam.create_role(RoleName=role, Path="/people/", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    if routes:
        api = f"arn:aws:execute-api:{client.endpoints.region}:000000000000:{client.signed_api_id}"
        allowed = policy(Action="execute-api:Invoke", Resource=[f"{api}/*/{route}" for route in routes])
        iam.put_role_policy(RoleName=role, PolicyName="calls", PolicyDocument=allowed)
    made = sts.assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
    return Credentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def test_a_role_signs_in_with_its_signature(moved: Moved) -> None:
    client = moved.client

    def ask(credentials: Credentials | None, path: str = "/sources", method: str = "GET") -> int:
        request = AWSRequest(method, client.signed_url + path, {"x-api-key": client.endpoints.api_key})
        if credentials is not None:
            SigV4Auth(credentials, "execute-api", client.endpoints.region).add_auth(request)
        return client.http.request(method, str(request.url), headers=dict(request.headers.items())).status_code

    analyst = session_of(client, "analyst", "GET/*", "POST/process")
    operator = session_of(client, "operator", "POST/process")
    stranger = session_of(client, "stranger")

    # What IAM allows and the role's entry opens, in any session and under any path.
    assert ask(analyst) == 200
    assert ask(operator, "/process?limit=1", "POST") == 200
    # What IAM allows, and the entry does not open; and the reverse.
    assert ask(analyst, "/process?limit=1", "POST") == 403
    assert ask(operator) == ask(stranger) == 403
    # Nobody who has signed it, whatever key is with it.
    assert ask(None) == 403
    assert ask(replace_secret(analyst)) == 403


def replace_secret(credentials: Credentials) -> Credentials:
    return Credentials(credentials.access_key, "another", credentials.token)


def test_a_first_deploy_with_a_database_of_its_own_that_fails_leaves_nothing(waiting_client: Client) -> None:
    # GIVEN the template as it goes to AWS, but for what the emulator does not know
    stack = SecondStack(waiting_client, "dropzone-own")
    template = known_to_the_emulator(stack.template())
    before = inventory(waiting_client)

    # WHEN its migration fails, since nothing answers at the database's address
    with pytest.raises(WaiterError):
        stack.deploy_template(
            template, {"Architecture": waiting_client.stack.builder.architecture, "Monitoring": "false"}
        )
    assert stack.failures()[-1] == "Migration"

    # THEN nothing is left, neither of the database nor of what else outlives a stack
    assert stack.status == "ROLLBACK_COMPLETE"
    assert inventory(waiting_client) == before
    assert waiting_client.clients.of("rds").describe_db_snapshots()["DBSnapshots"] == []  # type: ignore[attr-defined] # RDS's
    stack.delete()


def test_a_new_generation_of_a_stack_s_own_database_takes_the_old_one_s_place(waiting_client: Client) -> None:
    # GIVEN a stack with a database of its own, behind which the emulator has no Postgres: nothing can be migrated
    stack = SecondStack(waiting_client, "dropzone-grown")
    template = known_to_the_emulator(stack.template(), "Custom::Migration")
    rds: Any = waiting_client.clients.of("rds")
    ec2: Any = waiting_client.clients.of("ec2")

    def deploy(**parameters: str) -> dict[str, str]:
        """Deploy it, and return its outputs."""
        others = {"ManageApiGatewayAccount": "false", "NetworkCidr": "10.9.0.0/20"}
        stack.deploy_template(template, {**own_database(waiting_client), **others, **parameters})
        [answer] = waiting_client.clients.cloudformation().describe_stacks(StackName=stack.name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in answer["Outputs"]}

    def databases() -> dict[str, str]:
        """The instances that are there, with their addresses."""
        instances = rds.describe_db_instances()["DBInstances"]
        return {instance["DBInstanceIdentifier"]: instance["Endpoint"]["Address"] for instance in instances}

    def hosts() -> set[str]:
        """Where the functions look for the database."""
        functions = waiting_client.clients.of("lambda")
        variables = [
            function.get("Environment", {}).get("Variables", {})
            for function in every(functions, "list_functions", "Functions")
            if function["FunctionName"].startswith(stack.name)
        ]
        return {entry["DATABASE_HOST"] for entry in variables if "DATABASE_HOST" in entry}

    outputs = deploy(DatabaseDeletionProtection="false")
    assert databases() == {"dropzone-grown-silver-1": outputs["DatabaseEndpoint"]}
    assert hosts() == {outputs["DatabaseEndpoint"]}
    subnets = ec2.describe_subnets(SubnetIds=outputs["PrivateSubnetIds"].split(","))["Subnets"]
    assert {subnet["VpcId"] for subnet in subnets} == {outputs["NetworkId"]}
    assert sorted(subnet["CidrBlock"] for subnet in subnets) == ["10.9.0.0/25", "10.9.0.128/25"]

    # WHEN the next generation is made from a snapshot
    again = deploy(DatabaseDeletionProtection="false", DatabaseSnapshot="before", DatabaseGeneration="2")

    # THEN it takes the old one's place: in the network as it was, and for every function
    assert databases() == {"dropzone-grown-silver-2": again["DatabaseEndpoint"]}
    assert hosts() == {again["DatabaseEndpoint"]}
    assert {key for key in outputs if outputs[key] != again[key]} == {"DatabaseEndpoint", "DatabaseResource"}
    stack.delete()


def test_a_stack_moves_to_an_empty_database(moved: Moved) -> None:
    client = moved.client

    # THEN that has the schema, and whatever is in bronze comes along
    assert moved.at_first == []
    assert client.process_all(limit=1_000)
    assert rows(client, "elsewhere") == rows(client, moved.before)
    assert ROW in rows(client, "elsewhere")


def test_a_guided_deploy_reaches_the_change_set_by_enter_alone(waiting_client: Client, tmp_path: Path) -> None:
    # GIVEN SAM's questions, in a terminal
    config = tmp_path / "samconfig.toml"
    config.write_text("version = 0.1\n", encoding="utf-8")
    template = tmp_path / "template.yaml"
    built = json.loads(sam.packed(waiting_client.stack.builder.build()).read_text(encoding="utf-8"))
    write_json(template, known_to_the_emulator(built))  # JSON is YAML
    terminal = pexpect.spawn(
        str(Path(sys.executable).with_name("sam")),
        [
            *("deploy", "--guided", "--confirm-changeset", "--config-file", str(config)),
            *("--template-file", str(template)),
        ],
        env=tool_environment(waiting_client.endpoints.emulator_url) | {"TERM": "dumb"},
        cwd=str(tmp_path),
        encoding="utf-8",
        timeout=120,
        dimensions=(50, 250),
    )

    # WHEN each is answered with Enter
    asked, said = [], ""
    try:
        while terminal.expect([r"\[[^\[\]\r\n]*\]: ", pexpect.EOF]) == 0:
            said += terminal.before + terminal.after
            asked.append(terminal.before.rpartition("\n")[2])
            terminal.sendline("")
        said += terminal.before
    finally:
        terminal.close(force=True)

    # THEN SAM has asked for every parameter, and whether to carry out the change set, which Enter does not
    assert [
        name for name in load_template()["Parameters"] if not any(f"Parameter {name}" in line for line in asked)
    ] == []
    assert "Changeset created successfully" in said
    assert "Deploy this changeset?" in asked[-1]
    [saved] = re.findall(r"parameter_overrides = .*", config.read_text(encoding="utf-8"))
    assert "DatabaseAuth" in saved
    waiting_client.clients.cloudformation().delete_stack(StackName="sam-app")
