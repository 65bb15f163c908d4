"""Servers for the session, and worlds for the tests."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

from dropzone_local.postgres import Postgres
from resilience.harness import REGION, Containers, Plan, World, running_containers
from support.postgres import SilverInPostgres, running_postgres, silver_in_postgres

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NewWorld = Callable[[Plan], World]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def tables(postgres: Postgres) -> Iterator[SilverInPostgres]:
    with silver_in_postgres(postgres) as opened:
        yield opened


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def s3(s3_endpoint: str) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=s3_endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the server takes any
    )


@pytest.fixture(scope="session")
def containers() -> Iterator[Containers]:
    with running_containers() as running:
        yield running


@pytest.fixture(scope="session")
def other_containers() -> Iterator[Containers]:
    with running_containers() as running:
        yield running


@pytest.fixture
def new_world(containers: Containers, s3: "S3Client", s3_endpoint: str, tables: SilverInPostgres) -> NewWorld:
    """Make a world with nothing in it, that follows a plan."""

    def make(plan: Plan) -> World:
        tables.clear()
        bucket = f"bronze-{uuid4()}"
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        return World(containers, s3, s3_endpoint, bucket, tables, plan)

    return make


@pytest.fixture
def world(new_world: NewWorld) -> World:
    """A world in which nothing dies."""
    return new_world(Plan())
