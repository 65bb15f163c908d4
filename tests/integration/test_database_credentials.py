"""How the functions sign in: the token that boto3 signs, the secret, and what happens when there is neither."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest
from moto import mock_aws
from pg8000.native import Connection

from dropzone.adapters.database import connector
from dropzone.ports import SilverUnavailableError
from support.postgres import PASSWORD, SilverInPostgres, database_settings

REGION = "eu-central-1"
SECRET = "database"  # noqa: S105 - a name
IAM = {"database_auth": "iam", "database_password": None}


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what Lambda's environment has, and nothing of the developer's own account."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDMARKER",
        "AWS_SECRET_ACCESS_KEY": "SECRETMARKER",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)


# ---- tokens ----------------------------------------------------------------------------------------------------------


class Signer:
    """RDS's part: a token is good until it ends."""

    def __init__(self, tables: SilverInPostgres) -> None:
        self._tables = tables
        self.signed = 0

    def client(self, _service: str, **_others: object) -> "Signer":
        return self

    def generate_db_auth_token(self, **_whom: object) -> str:
        self.signed += 1
        token = f"token-{self.signed}"
        self._let_in_with(token)
        return token

    def end_token(self) -> None:
        """Let 15 minutes pass."""
        self._let_in_with("nobody-has-this-one")

    def _let_in_with(self, password: str) -> None:
        self._tables.query(f"ALTER ROLE dropzone_writer PASSWORD '{password}'")


@pytest.fixture
def signer(tables: SilverInPostgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Signer]:
    signer = Signer(tables)
    monkeypatch.setattr(boto3, "client", signer.client)
    yield signer
    tables.query(f"ALTER ROLE dropzone_writer PASSWORD '{PASSWORD}'")


def test_a_connection_that_is_rebuilt_after_its_token_ended_signs_a_new_one(
    tables: SilverInPostgres, signer: Signer
) -> None:
    # GIVEN a connection that signed in with a token, and outlived it
    database = tables.open(**IAM)
    ((pid,),) = database.run("SELECT pg_backend_pid()")
    signer.end_token()
    assert database.run("SELECT pg_backend_pid()") == [[pid]]
    assert signer.signed == 1

    # WHEN it is cut
    tables.query("SELECT pg_terminate_backend(:pid, 50000)", pid=pid)

    # THEN the next one signs in with a token of its own
    assert database.run("SELECT pg_backend_pid()") != [[pid]]
    assert signer.signed == 2


class Recorded(Connection):  # type: ignore[misc] # pg8000 carries no types
    """A connection that is never made, and shows what it would sign in with."""

    def __init__(self, user: str, *, password: str, sock: Any, **_others: object) -> None:  # noqa: ANN401 - a socket
        sock.close()
        self.signed_in_as, self.signed_in_with = user, password


@pytest.mark.parametrize("secret", [None, "of-the-owner"])
def test_the_token_is_for_user_and_server_and_expires_after_15_minutes(
    tables: SilverInPostgres, secret: str | None
) -> None:
    settings = database_settings(tables.server, **IAM, database_secret_arn=secret)
    connection = connector(settings, Recorded)(20.0)
    assert connection.signed_in_as == "dropzone_writer"
    address, _, query = connection.signed_in_with.partition("/?")
    assert address == f"127.0.0.1:{tables.server.port}"
    signed = parse_qs(query)
    assert (signed["Action"], signed["DBUser"], signed["X-Amz-Expires"]) == (["connect"], ["dropzone_writer"], ["900"])


def test_without_credentials_to_sign_with_the_database_is_unavailable(
    tables: SilverInPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(SilverUnavailableError, match="no credentials for the database: NoCredentialsError"):
        tables.open(**IAM).run("SELECT 1")


def test_a_rebuilt_connection_that_finds_no_credentials_is_unavailable(
    tables: SilverInPostgres, monkeypatch: pytest.MonkeyPatch, signer: Signer
) -> None:
    # GIVEN a connection that is cut when its function may not sign any more
    database = tables.open(**IAM)
    ((pid,),) = database.run("SELECT pg_backend_pid()")
    tables.query("SELECT pg_terminate_backend(:pid, 50000)", pid=pid)
    with monkeypatch.context() as patch:
        patch.setattr(boto3, "client", boto3.session.Session().client)
        patch.delenv("AWS_ACCESS_KEY_ID")

        # THEN the next call says so, and the one after it finds all well again
        with pytest.raises(SilverUnavailableError, match="no credentials"):
            database.run("SELECT 1")
    assert database.run("SELECT 1") == [[1]]
    assert signer.signed == 2


# ---- secrets ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def secrets() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("secretsmanager", region_name=REGION)


def with_secret(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any setting's
    return {"database_password": None, "database_secret_arn": SECRET, "aws_region": REGION, **changes}


def test_the_secrets_user_and_password_sign_in(tables: SilverInPostgres, secrets: Any) -> None:  # noqa: ANN401
    value = json.dumps({"username": "dropzone_reader", "password": PASSWORD})
    secrets.create_secret(Name=SECRET, SecretString=value)
    assert tables.open(**with_secret()).run("SELECT current_user") == [["dropzone_reader"]]


@pytest.mark.usefixtures("secrets")
def test_a_secret_that_is_not_there_is_unavailable(tables: SilverInPostgres) -> None:
    with pytest.raises(SilverUnavailableError, match="AWS answered ResourceNotFoundException"):
        tables.open(**with_secret()).run("SELECT 1")


@pytest.mark.parametrize("value", ["telltale", '"telltale"', '["telltale"]', '{"password": "telltale"}'])
def test_a_secret_that_is_not_what_it_should_be_is_unavailable_and_not_shown(
    tables: SilverInPostgres,
    secrets: Any,  # noqa: ANN401
    value: str,
) -> None:
    secrets.create_secret(Name=SECRET, SecretString=value)
    with pytest.raises(SilverUnavailableError, match="no credentials") as raised:
        tables.open(**with_secret()).run("SELECT 1")
    assert "telltale" not in str(raised.value)
    assert raised.value.__context__ is None


def test_a_silent_secrets_manager_is_given_up_in_time(
    tables: SilverInPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN an address that takes connections and never answers
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{silent.getsockname()[1]}")
        boto3.client("secretsmanager", region_name=REGION)  # which takes its time at first
        database = tables.open(**with_secret(call_seconds=3))

        # THEN the call ends, long before boto3 would give up by itself
        began = time.monotonic()
        with pytest.raises(SilverUnavailableError, match="ReadTimeoutError"):
            database.run("SELECT 1")
        assert time.monotonic() - began < 30
