"""Servers that speak S3, and buckets in them."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import boto3
import pytest

from dropzone_ingest import handler
from dropzone_local.emulator import Emulator
from dropzone_local.ports import find_free
from functional.ingest_function import IngestFunction
from functional.scripted_s3 import ScriptedS3, scripted

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROJECT = Path(__file__).parents[2]
REGION: Final = "eu-central-1"
MAX_BODY_BYTES = 4 * 1024 * 1024

MakeBucket = Callable[[str], str]


@pytest.fixture(autouse=True)
def _aws_environment(monkeypatch: pytest.MonkeyPatch, one_authority: Mapping[str, str]) -> None:
    """What Lambda's environment has, and nothing of the developer's own account."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDMARKER",
        "AWS_SECRET_ACCESS_KEY": "SECRETMARKER",
        "AWS_SESSION_TOKEN": "TOKENMARKER",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "NO_PROXY": "127.0.0.1",
        **one_authority,
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def emulator_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    emulator = Emulator(tmp_path_factory.mktemp("emulator"), port=find_free(), project=PROJECT, bound_to_parent=True)
    emulator.start()
    yield emulator.endpoint
    emulator.stop()


@pytest.fixture(scope="session")
def s3_client() -> Callable[[str], "S3Client"]:
    """boto3's view of a server, one client each: what the tests look behind the scenes with."""
    clients: dict[str, S3Client] = {}

    def of(endpoint: str) -> "S3Client":
        if endpoint not in clients:
            clients[endpoint] = boto3.client(
                "s3",
                endpoint_url=endpoint,
                region_name=REGION,
                aws_access_key_id="test",
                aws_secret_access_key="test",  # noqa: S106 - the servers take any
            )
        return clients[endpoint]

    return of


@pytest.fixture
def make_bucket(s3_client: Callable[[str], "S3Client"]) -> MakeBucket:
    """Make a bucket of its own for the test, on the server of this address."""

    def make(endpoint: str) -> str:
        name = f"bronze-{uuid4()}"
        s3_client(endpoint).create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return name

    return make


@pytest.fixture
def scripted_s3() -> Iterator[ScriptedS3]:
    with scripted() as server:
        yield server


@pytest.fixture
def ingest_environment(moto_endpoint: str, make_bucket: MakeBucket) -> dict[str, str]:
    """The variables of the function Ingest."""
    return {
        "BRONZE_BUCKET": make_bucket(moto_endpoint),
        "MAX_BODY_BYTES": str(MAX_BODY_BYTES),
        "AWS_ENDPOINT_URL": moto_endpoint,
        "DEFAULT_SCOPES": "ingest",
    }


@pytest.fixture
def ingest_function(
    ingest_environment: dict[str, str],
    moto_endpoint: str,
    s3_client: Callable[[str], "S3Client"],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[IngestFunction]:
    for name, value in ingest_environment.items():
        monkeypatch.setenv(name, value)
    _forget_container()
    yield IngestFunction(ingest_environment["BRONZE_BUCKET"], s3_client(moto_endpoint))
    _forget_container()


def _forget_container() -> None:
    handler.settings.cache_clear()
    handler.bronze.cache_clear()
    handler.idempotency_store.cache_clear()
    handler.clients.cache_clear()
