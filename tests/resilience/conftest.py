"""Servers for the session, and worlds for the tests."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING
from uuid import uuid4

import boto3
import pytest
from obstore.store import S3Store

from resilience.harness import REGION, Containers, Plan, World, running_containers
from support.postgres import SilverInPostgres

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NewWorld = Callable[[Plan], World]


@pytest.fixture(scope="session")
def s3(moto_endpoint: str) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=moto_endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the server takes any
    )


@pytest.fixture(scope="session")
def containers(one_authority: Mapping[str, str]) -> Iterator[Containers]:
    with running_containers(one_authority) as running:
        yield running


@pytest.fixture(scope="session")
def other_containers(one_authority: Mapping[str, str]) -> Iterator[Containers]:
    with running_containers(one_authority) as running:
        yield running


@pytest.fixture
def new_world(containers: Containers, s3: "S3Client", moto_endpoint: str, tables: SilverInPostgres) -> NewWorld:
    """Make a world with nothing in it, that follows a plan."""

    def make(plan: Plan) -> World:
        tables.clear()
        bucket = f"bronze-{uuid4()}"
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        store = S3Store(
            bucket,
            endpoint=moto_endpoint,
            region=REGION,
            access_key_id="test",
            secret_access_key="test",  # noqa: S106 - the server takes any
            client_options={"allow_http": True},
        )
        return World(containers, moto_endpoint, bucket, store, tables, plan)

    return make


@pytest.fixture
def world(new_world: NewWorld) -> World:
    """A world in which nothing dies."""
    return new_world(Plan())
