"""Migrations as RDS would have them: by an owner who is no superuser, and whom RDS may refuse passwords."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from pg8000.exceptions import DatabaseError
from pg8000.native import Connection

from dropzone.adapters.database import connector
from dropzone.settings import MigrateSettings
from dropzone_local.ports import LOOPBACK
from dropzone_migrate import migrations
from dropzone_migrate.migrations import MigrationError, head, migrate
from support.postgres import database_settings
from support.rds import OWNER, OWNER_PASSWORD, Rds, Tokens, rds

SECRET = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:owner"  # noqa: S105 - a name

# Since when the owner's password is refused: on the stack's own database from the beginning, since RDS makes the master
# user a member of rds_iam; on another one from the first migration on, which makes the owner a member of the roles that
# it creates. That can't be had here with rds_iam itself, which other than on RDS only a member may grant.
FROM_THE_BEGINNING = "+rds_iam"
FROM_THE_FIRST_MIGRATION = "+dropzone_writer,+dropzone_reader"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rds]:
    with rds(tmp_path_factory.mktemp("rds")) as server:
        yield server


@pytest.fixture
def server(running: Rds, monkeypatch: pytest.MonkeyPatch) -> Rds:
    running.clear()
    monkeypatch.setattr(boto3, "client", Aws(running).client)
    # Nobody waits for IAM here.
    monkeypatch.setattr(migrations, "_PAUSES", (0.01, 0.01))
    return running


class Aws:
    """Signs tokens that this server takes, and has the owner's secret."""

    def __init__(self, server: Rds) -> None:
        self._server = server

    def client(self, _service: str, **_others: object) -> "Aws":
        return self

    def generate_db_auth_token(self, *, DBUsername: str, **_where: object) -> str:  # noqa: N803 - boto3's name
        return self._server.tokens.sign(DBUsername)

    def get_secret_value(self, **_which: object) -> dict[str, str]:
        return {"SecretString": json.dumps({"username": OWNER, "password": OWNER_PASSWORD})}


def settings(server: Rds, **changes: Any) -> MigrateSettings:  # noqa: ANN401 - any setting's
    return MigrateSettings.of(
        {
            "database_host": LOOPBACK,
            "database_port": server.server.port,
            "database_name": server.database,
            "database_user": OWNER,
            "database_auth": "iam",
            "database_tls": "disable",
            "aws_region": "eu-central-1",
            "call_seconds": 20,
            "role_auth": "iam",
            **changes,
        }
    )


def sign_in(server: Rds, user: str, password: str) -> None:
    values = {"database_name": server.database, "database_user": user, "database_password": password}
    connector(database_settings(server.server, **values), Connection)(10.0).close()


def test_the_stack_s_own_database_is_migrated_twice_by_token(server: Rds) -> None:
    # GIVEN a master user whose password counts for nothing
    server.let_in_by_token(FROM_THE_BEGINNING)
    with pytest.raises(DatabaseError, match="28000"):
        sign_in(server, OWNER, OWNER_PASSWORD)

    # WHEN it is migrated, and again
    assert [migrate(settings(server)) for _ in range(2)] == [head()] * 2

    # THEN the functions' roles take tokens and nothing else
    for role in ("dropzone_writer", "dropzone_reader"):
        sign_in(server, role, server.tokens.sign(role))
        with pytest.raises(DatabaseError, match="28000"):
            sign_in(server, role, "anything")
    # AND they own nothing: all of it is the owner's, who is no superuser
    owners = server.query(
        "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname IN ('public', 'gold', 'archive', 'parts')"
    )
    assert owners == [[OWNER]]
    assert server.query("SELECT count(*) FROM pg_roles WHERE rolsuper") == [[1]]


def test_a_password_that_the_first_migration_ends_is_followed_by_a_token(server: Rds) -> None:
    # GIVEN a database whose owner signs in by the secret's password
    by_password = settings(server, database_auth="password", database_secret_arn=SECRET)
    migrate(by_password)
    assert server.tokens.asked == []

    # WHEN the owner has become a member of roles that take tokens only
    server.let_in_by_token(FROM_THE_FIRST_MIGRATION)
    with pytest.raises(DatabaseError, match="28000"):
        sign_in(server, OWNER, OWNER_PASSWORD)

    # THEN the next migration signs in by token, after its password was refused
    assert migrate(by_password) == head()
    assert server.tokens.asked[-2:] == [OWNER, OWNER]


def test_a_token_that_iam_does_not_know_yet_is_followed_by_another(
    server: Rds, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN an owner whose right to sign in was made a moment ago, so that RDS takes the third token only
    server.let_in_by_token(FROM_THE_BEGINNING)
    sign, signed = Tokens.sign, []

    def sign_too_early(tokens: Tokens, user: str) -> str:
        signed.append(user)
        return sign(tokens, user) if len(signed) == 3 else "too early"

    monkeypatch.setattr(Tokens, "sign", sign_too_early)

    assert migrate(settings(server)) == head()
    assert signed == [OWNER] * 3


def test_a_migration_does_not_wait_for_longer_than_its_time(server: Rds, monkeypatch: pytest.MonkeyPatch) -> None:
    server.let_in_by_token(FROM_THE_BEGINNING)
    monkeypatch.setattr(Tokens, "sign", lambda _self, _user: "a token that nobody knows")
    monkeypatch.setattr(migrations, "_PAUSES", (60,))

    with pytest.raises(MigrationError, match="28000"):
        migrate(settings(server))
    assert server.tokens.asked == [OWNER]


def test_a_migration_that_is_refused_both_ways_says_so(server: Rds, monkeypatch: pytest.MonkeyPatch) -> None:
    server.let_in_by_token(FROM_THE_BEGINNING)
    monkeypatch.setattr(Tokens, "sign", lambda _self, _user: "a token that nobody knows")

    with pytest.raises(MigrationError, match=r"the secret's password was refused \(.*28000.*\), and then a token"):
        migrate(settings(server, database_auth="password", database_secret_arn=SECRET))


def test_roles_with_passwords_need_no_token(server: Rds) -> None:
    # GIVEN a server that refuses the owner's password, and functions that sign in by the secret too
    server.let_in_by_token(FROM_THE_BEGINNING)

    # THEN no token is tried
    with pytest.raises(MigrationError, match="DatabaseError: SQLSTATE 28000"):
        migrate(settings(server, database_auth="password", database_secret_arn=SECRET, role_auth="password"))
    assert server.tokens.good == {}
