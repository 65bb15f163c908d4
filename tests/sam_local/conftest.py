"""An engine, or the reason why the tests are skipped; and what the containers talk to."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest

from artefact.build import build_into
from artefact.samples import BUCKET, sample
from dropzone_local.environment import ACCESS_KEY, SECRET_KEY
from dropzone_local.ports import find_free
from dropzone_local.postgres import SUPERUSER, Postgres
from sam_local.sam import REGION, SamLocal, prepare
from support.moto_server import running_moto
from support.postgres import PASSWORD, SilverInPostgres, silver_in_postgres
from support.tls import Authority, TlsDoor

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_STAND_IN = "SAM_LOCAL_HOST"
_NO_ENGINE = (
    "no container engine: run these tests with Docker, or as root on Debian with "
    "PYTHON=/a/python3.13/with/pip tests/sam_local/with-engine .venv/bin/pytest tests/sam_local"
)
_ANSWERS = "cloudformation-custom-resource-response"


def _docker(*arguments: str) -> str | None:
    """What docker says; nothing where there is no docker, or no engine behind it."""
    try:
        done = subprocess.run(  # noqa: S603
            ["docker", *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@pytest.fixture(scope="session")
def host() -> str:
    """The address at which containers reach this machine."""
    if _docker("info") is None:
        pytest.skip(_NO_ENGINE)
    gateway = _docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")
    address = os.environ.get(_STAND_IN) or gateway
    assert address, "docker has no network named bridge"
    return address


@pytest.fixture(scope="session")
def aws(host: str) -> Iterator[str]:
    """The address of S3 and Secrets Manager."""
    with running_moto(host) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def secret_arn(aws: str) -> str:
    secrets = boto3.client(
        "secretsmanager",
        endpoint_url=aws,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    secret = json.dumps({"username": SUPERUSER, "password": PASSWORD})
    return secrets.create_secret(Name="dropzone-database", SecretString=secret)["ARN"]


@pytest.fixture(scope="session")
def s3_client(aws: str) -> "S3Client":
    client = boto3.client(
        "s3", endpoint_url=aws, region_name=REGION, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY
    )
    for bucket in (BUCKET, _ANSWERS):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def server(host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Postgres, at the loopback interface, where containers don't get; asked for after the host, without which none."""
    assert host
    postgres = Postgres(tmp_path_factory.mktemp("postgres"), port=find_free(), password=PASSWORD, bound_to_parent=True)
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.stop()


@pytest.fixture(scope="session")
def door(
    server: Postgres, host: str, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TlsDoor]:
    """Where containers get to Postgres: by TLS alone."""
    folder = tmp_path_factory.mktemp("door")
    with TlsDoor(host, behind=server.port, authority=authority, folder=folder) as door:
        yield door


@pytest.fixture(scope="session")
def sam(
    host: str,
    door: TlsDoor,
    aws: str,
    secret_arn: str,
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> SamLocal:
    folder = tmp_path_factory.mktemp("sam-local")
    artefacts = build_into(folder / "build")
    ca_file = prepare(artefacts, endpoint=aws, authority=authority.pem, stand_in=_STAND_IN in os.environ)
    parameters = {
        "DatabaseHost": host,
        "DatabasePort": str(door.port),
        "DatabaseAuth": "password",
        "DatabaseSecretArn": secret_arn,
        "DatabaseTls": "verify-full",
        "DatabaseCaFile": ca_file,
        "BronzeEndpointUrl": aws,
    }
    return SamLocal(artefacts, aws, parameters, folder)


@pytest.fixture(scope="session")
def migration(sam: SamLocal, s3_client: "S3Client") -> dict[str, object]:
    """What the custom resource answered CloudFormation, at a presigned address of S3, as on AWS."""
    address = s3_client.generate_presigned_url("put_object", Params={"Bucket": _ANSWERS, "Key": "migration"})
    event = sample("custom-resource-create") | {"ResponseURL": address}
    # An engine that stays may have an image with the layer of an earlier build.
    sam.invoke("MigrateFunction", event, options=("--force-image-build",))
    answer: dict[str, object] = json.loads(s3_client.get_object(Bucket=_ANSWERS, Key="migration")["Body"].read())
    return answer


@pytest.fixture
def tables(server: Postgres, migration: dict[str, object]) -> Iterator[SilverInPostgres]:
    assert migration["Status"] == "SUCCESS", migration
    with silver_in_postgres(server) as opened:
        yield opened


@pytest.fixture
def s3(s3_client: "S3Client") -> Iterator["S3Client"]:
    """A look into the bucket of the sample events, empty."""
    yield s3_client
    for entry in s3_client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3_client.delete_object(Bucket=BUCKET, Key=entry["Key"])
