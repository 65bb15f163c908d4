"""The build, an interpreter like Lambda's, S3, Postgres, and functions that end with the test that started them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import httpx
import pytest

from artefact.build import Artefacts, build_into
from artefact.interpreter import Interpreter, make_interpreter
from artefact.lambda_runtime import CREDENTIALS, REGION, RunningFunction, running
from artefact.samples import BUCKET, sample
from dropzone_local.ports import LOOPBACK, find_free
from dropzone_local.postgres import SUPERUSER, Postgres
from support.cloudformation import cloudformation
from support.moto_server import running_moto
from support.postgres import PASSWORD, SilverInPostgres, silver_in_postgres

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Start = Callable[..., RunningFunction]
PASSWORD_VARIABLE = {"DATABASE_PASSWORD": PASSWORD}
"""What functions inherit on the local stack, and the template does not give them."""


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Artefacts:
    return build_into(tmp_path_factory.mktemp("artefacts") / "build")


@pytest.fixture(scope="session")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Interpreter:
    return make_interpreter(tmp_path_factory.mktemp("lambda"))


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    with running_moto() as endpoint:
        yield endpoint


@pytest.fixture
def s3(s3_endpoint: str) -> Iterator["S3Client"]:
    """A look into S3, with the bucket of the sample events in it, empty."""
    client = boto3.client(
        "s3",
        endpoint_url=s3_endpoint,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    yield client
    client.close()
    httpx.post(f"{s3_endpoint}/moto-api/reset", trust_env=False).raise_for_status()


@pytest.fixture(scope="session")
def empty_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server with a database that nobody has migrated."""
    server = Postgres(tmp_path_factory.mktemp("postgres"), port=find_free(), password=PASSWORD, bound_to_parent=True)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres(
    empty_postgres: Postgres,
    artefacts: Artefacts,
    interpreter: Interpreter,
    tmp_path_factory: pytest.TempPathFactory,
) -> Postgres:
    """The same, migrated by the artefact of the function Migrate, as CloudFormation has it done."""
    function = artefacts.functions(**database_parameters(empty_postgres))["MigrateFunction"]
    folder = tmp_path_factory.mktemp("migrate") / "function"
    with cloudformation() as answers, running(function, interpreter, folder, {}, PASSWORD_VARIABLE) as migrate:
        migrate.succeed(sample("custom-resource-create") | {"ResponseURL": answers.url})
        assert [answer["Status"] for answer in answers.received] == ["SUCCESS"], answers.received
    return empty_postgres


@pytest.fixture
def tables(postgres: Postgres) -> Iterator[SilverInPostgres]:
    with silver_in_postgres(postgres) as opened:
        yield opened


def database_parameters(server: Postgres, database: str | None = None) -> dict[str, str]:
    """The template's parameters for a server on this machine."""
    return {
        "DatabaseHost": LOOPBACK,
        "DatabasePort": str(server.port),
        "DatabaseName": database or server.database,
        "DatabaseAuth": "password",
        "DatabaseMasterUser": SUPERUSER,
        "DatabaseTls": "disable",
    }


@pytest.fixture
def start(artefacts: Artefacts, interpreter: Interpreter, tmp_path: Path) -> Iterator[Start]:
    """Start a function of the template, by its logical name, with these of the template's parameters."""
    numbers = count(1)
    with ExitStack() as stack:

        def start(name: str, **parameters: str) -> RunningFunction:
            function = artefacts.functions(**parameters)[name]
            # SAM reads a reference to a resource as the resource's logical name.
            bucket = {"BRONZE_BUCKET": BUCKET} if "BRONZE_BUCKET" in function.variables else {}
            folder = tmp_path / f"{name}-{next(numbers)}"
            return stack.enter_context(running(function, interpreter, folder, bucket, PASSWORD_VARIABLE))

        yield start
