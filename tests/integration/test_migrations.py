"""The migrations, and the custom resource that runs them at each deploy."""

import io
import json
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pg8000.dbapi
import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from pg8000.dbapi import Cursor
from pg8000.exceptions import DatabaseError
from pg8000.native import Connection
from pydantic import ValidationError

import dropzone_migrate.handler as function
from dropzone.adapters.database import connector
from dropzone.settings import DatabaseSettings, MigrateSettings
from dropzone_local.ports import find_free
from dropzone_local.postgres import Postgres
from dropzone_migrate import migrations
from dropzone_migrate.migrations import MigrationError, head, migrate
from dropzone_migrate.roles import DOCUMENTED
from dropzone_migrate.statements import REPLACEABLE, apply
from support.background import in_background
from support.cloudformation import Answers, cloudformation
from support.lambda_context import Context
from support.postgres import PASSWORD, database_settings, empty_database, migrate_settings
from support.traces import assert_no_trace

DEPLOY = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text(encoding="utf-8")
TABLES = {"alembic_version", "measurements", "outcomes", "receipts", "replay_ranges", "replays", "sweep"}


@dataclass(slots=True)
class Fresh:
    """A database of its own, at first empty."""

    server: Postgres
    name: str

    def settings(self, **changes: Any) -> MigrateSettings:  # noqa: ANN401 - any setting's
        return migrate_settings(self.server, database_name=self.name, **changes)

    def query(self, sql: str) -> list[Any]:
        with self.server.connect(self.name) as connection:
            return list(connection.run(sql) or [])

    def tables(self) -> set[str]:
        return {name for (name,) in self.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}

    def owner(self) -> pg8000.dbapi.Connection:
        return connector(self.settings(), pg8000.dbapi.Connection)(20.0)

    def as_role(self, role: str, sql: str) -> list[Any]:
        settings: DatabaseSettings = database_settings(self.server, database_name=self.name, database_user=role)
        connection = connector(settings, Connection)(20.0)
        try:
            return list(connection.run(sql) or [])
        finally:
            connection.close()


@pytest.fixture
def fresh(postgres: Postgres) -> Iterator[Fresh]:
    with empty_database(postgres) as name:
        yield Fresh(postgres, name)


@pytest.fixture(scope="module")
def migrated(postgres: Postgres) -> Iterator[Fresh]:
    with empty_database(postgres) as name:
        database = Fresh(postgres, name)
        migrate(database.settings())
        yield database


@pytest.fixture
def answers() -> Iterator[Answers]:
    with cloudformation() as listening:
        yield listening


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    written = io.StringIO()
    for handler in function.logger.handlers:
        monkeypatch.setattr(handler, "stream", written)
    return written


def use(monkeypatch: pytest.MonkeyPatch, settings: MigrateSettings) -> None:
    """Let the function have these settings."""
    monkeypatch.setattr(function, "settings", lambda: settings)


# ---- the schema ------------------------------------------------------------------------------------------------------


def test_an_empty_database_is_brought_forward(fresh: Fresh) -> None:
    assert migrate(fresh.settings()) == head()
    assert fresh.tables() == TABLES
    assert fresh.query("SELECT version_num FROM alembic_version") == [[head()]]
    assert fresh.query("SELECT watermark::text FROM sweep") == [["00000000-0000-0000-0000-000000000000"]]


def test_the_seeds_columns_are_there_with_their_types(fresh: Fresh) -> None:
    migrate(fresh.settings())
    types = dict(
        fresh.query("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'measurements'")
    )
    assert types["measured_at"] == "timestamp with time zone"
    assert types["mean"] == types["std_dev"] == "double precision"


def test_migrating_again_changes_nothing(fresh: Fresh) -> None:
    # GIVEN a migrated database with data in it
    migrate(fresh.settings())
    fresh.query("INSERT INTO receipts (raw_id, items, settled_at) VALUES (gen_random_uuid(), 1, now())")
    fresh.query("UPDATE sweep SET watermark = gen_random_uuid()")
    state = "SELECT (SELECT array_agg(r) FROM receipts r)::text, (SELECT watermark FROM sweep)"
    before = fresh.query(state)

    # WHEN it is migrated again
    assert migrate(fresh.settings()) == head()

    # THEN all is as it was
    assert fresh.query(state) == before
    assert fresh.tables() == TABLES


def test_the_newest_revision_is_alembic_s_own() -> None:
    assert ScriptDirectory(str(migrations.REVISIONS)).get_heads() == [head()]


def test_a_database_at_the_newest_revision_is_recognised_without_alembic(
    fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a migrated database
    migrate(fresh.settings())

    # WHEN it is migrated again THEN no revision has to run
    monkeypatch.setattr(migrations, "_upgrade", lambda _connection: pytest.fail("Alembic was asked"))
    assert migrate(fresh.settings()) == head()


def test_the_function_starts_without_alembic() -> None:
    code = "import sys, dropzone_migrate.handler; print({'alembic', 'sqlalchemy'} & sys.modules.keys())"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own command line

    assert (done.stdout, done.stderr) == ("set()\n", "")


@pytest.mark.parametrize("rows", [[], ["0001", head()], [head(), "another"]])
def test_any_other_state_of_a_database_is_left_to_alembic(
    fresh: Fresh, monkeypatch: pytest.MonkeyPatch, rows: list[str]
) -> None:
    # GIVEN a migrated database that is said to be at another revision, or at several
    migrate(fresh.settings())
    fresh.query("DELETE FROM alembic_version")
    for row in rows:
        fresh.query(f"INSERT INTO alembic_version VALUES ('{row}')")  # noqa: S608 - the test's own

    # WHEN it is migrated again THEN it's Alembic that goes on
    asked: list[object] = []
    monkeypatch.setattr(migrations, "_upgrade", lambda connection, _revision: asked.append(connection))
    migrate(fresh.settings())
    assert len(asked) == 1


def test_a_database_that_is_newer_than_the_artefact_stays_as_it_is(fresh: Fresh) -> None:
    # GIVEN a database that a later version has migrated, and a role that has lost a right
    migrate(fresh.settings())
    fresh.query("UPDATE alembic_version SET version_num = '9999'")
    fresh.query("REVOKE SELECT ON receipts FROM dropzone_reader")

    # WHEN this version comes back, as in a rollback THEN the schema stays, and roles are what they should be
    assert migrate(fresh.settings()) == "9999"
    assert fresh.query("SELECT version_num FROM alembic_version") == [["9999"]]
    assert fresh.query("SELECT has_table_privilege('dropzone_reader', 'receipts', 'SELECT')") == [[True]]


def test_a_revision_from_before_the_baseline_is_refused(fresh: Fresh) -> None:
    # GIVEN a database of a version whose revisions the baseline has replaced
    migrate(fresh.settings())
    fresh.query("UPDATE alembic_version SET version_num = '0005'")

    # WHEN it is migrated THEN the reason says what can be done, and nothing has changed
    with pytest.raises(MigrationError, match=r"has revision 0005 .* starts at \d+: .* `make clean`"):
        migrate(fresh.settings())
    assert fresh.query("SELECT version_num FROM alembic_version") == [["0005"]]


def test_a_revision_that_has_changed_since_is_refused(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN a database of an older checkout, with a function that returned something else, and a revision after it
    revision = migrate(fresh.settings())
    monkeypatch.setattr(migrations, "head", lambda: f"{int(revision) + 1:04}")
    fresh.query("DROP FUNCTION gold.resolved")
    fresh.query("CREATE FUNCTION gold.resolved(timestamptz, timestamptz) RETURNS integer RETURN 1")

    # WHEN it is migrated THEN the reason says what can be done, and nothing has changed
    with pytest.raises(MigrationError, match=rf"not the one that revision {revision} makes .* 42P13.* `make clean`"):
        migrate(fresh.settings())
    assert fresh.query("SELECT version_num FROM alembic_version") == [[revision]]


def test_functions_and_views_can_be_replaced_where_they_are(fresh: Fresh) -> None:
    # GIVEN a database with data, and a view that has gone
    migrate(fresh.settings())
    before = fresh.query(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'gold'::regnamespace ORDER BY 1"
    )
    fresh.query("DROP VIEW gold.kpis_daily")

    # WHEN what can be replaced is applied, as after each new revision THEN all of it is there once
    engine = sqlalchemy.create_engine("postgresql+pg8000://", creator=fresh.owner)
    with engine.begin() as connection:
        apply(connection, *REPLACEABLE)
    engine.dispose()
    after = fresh.query(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'gold'::regnamespace ORDER BY 1"
    )
    assert after == before
    assert fresh.query("SELECT count(*) FROM gold.kpis_daily") == [[0]]


def test_an_unknown_revision_is_reported(fresh: Fresh) -> None:
    migrate(fresh.settings())
    fresh.query("UPDATE alembic_version SET version_num = 'theirs'")
    fresh.query("REVOKE SELECT ON receipts FROM dropzone_reader")

    with pytest.raises(CommandError, match="Can't locate revision identified by 'theirs'"):
        migrate(fresh.settings())

    # AND nothing has changed
    assert fresh.query("SELECT version_num FROM alembic_version") == [["theirs"]]
    assert fresh.query("SELECT has_table_privilege('dropzone_reader', 'receipts', 'SELECT')") == [[False]]


def test_the_revisions_run_in_the_transaction_that_looked(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN revisions that try to end their transaction, and look whether others could begin
    run_revisions, free = command.upgrade, []

    def upgrade(configuration: Config, revision: str) -> None:
        run_revisions(configuration, revision)
        configuration.attributes["connection"].commit()
        free.extend(fresh.query(f"SELECT pg_try_advisory_xact_lock({migrations._LOCK})"))

    monkeypatch.setattr(command, "upgrade", upgrade)

    # WHEN they have run, and the roles can't be set
    def fail(*_arguments: object) -> None:
        free.extend(fresh.query(f"SELECT pg_try_advisory_xact_lock({migrations._LOCK})"))
        raise RuntimeError("no roles today")

    monkeypatch.setattr(migrations, "set_roles", fail)
    with pytest.raises(RuntimeError, match="no roles today"):
        migrate(fresh.settings())

    # THEN nobody else could have migrated meanwhile, and nothing is left
    assert free == [[False], [False]]
    assert fresh.tables() == set()

    # AND the next try succeeds
    monkeypatch.undo()
    assert migrate(fresh.settings()) == head()


@pytest.mark.parametrize("at_newest", [True, False])
def test_a_lost_connection_is_reported(fresh: Fresh, monkeypatch: pytest.MonkeyPatch, *, at_newest: bool) -> None:
    if at_newest:
        migrate(fresh.settings())

    def set_roles(cursor: Cursor, _settings: MigrateSettings) -> None:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(migrations, "set_roles", set_roles)
    with pytest.raises(MigrationError, match="InterfaceError: network error"):
        migrate(fresh.settings())
    assert fresh.tables() == (TABLES if at_newest else set())


def test_two_migrations_at_once_both_succeed(fresh: Fresh) -> None:
    migrating = [in_background(lambda: migrate(fresh.settings())) for _ in range(4)]
    assert [future.result(60) for future in migrating] == [head()] * 4
    assert fresh.tables() == TABLES


def test_a_migration_waits_for_another_one(fresh: Fresh) -> None:
    # GIVEN someone who holds the migrations' lock
    with fresh.server.connect(fresh.name) as connection:
        connection.run("BEGIN")
        connection.run("SELECT pg_advisory_xact_lock(:lock)", lock=migrations._LOCK)
        waiting = in_background(lambda: migrate(fresh.settings()))
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        assert fresh.tables() == set()
        connection.run("COMMIT")
    assert waiting.result(60) == head()


# ---- the roles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["dropzone_writer", "dropzone_reader"])
@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE own (id integer)",
        "CREATE SCHEMA own",
        "DROP TABLE measurements",
        "ALTER TABLE measurements ADD COLUMN more text",
        "TRUNCATE measurements",
        "CREATE INDEX ON measurements (mean)",
        "UPDATE alembic_version SET version_num = '9999'",
        "CREATE ROLE another",
        "GRANT ALL ON measurements TO PUBLIC",
    ],
)
def test_roles_may_not_change_the_schema(migrated: Fresh, role: str, sql: str) -> None:
    if sql.startswith("GRANT"):
        # Postgres warns, and grants nothing.
        migrated.as_role(role, sql)
        assert (
            migrated.query(
                "SELECT FROM information_schema.table_privileges WHERE grantee = 'PUBLIC'"
                " AND table_name = 'measurements'"
            )
            == []
        )
        return
    with pytest.raises(DatabaseError) as raised:
        migrated.as_role(role, sql)
    assert raised.value.args[0]["C"] == "42501"


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO receipts (raw_id) VALUES (gen_random_uuid())",
        "UPDATE receipts SET attempts = 1",
        "DELETE FROM outcomes",
        "UPDATE sweep SET watermark = gen_random_uuid()",
    ],
)
def test_the_reader_may_not_write(migrated: Fresh, sql: str) -> None:
    with pytest.raises(DatabaseError) as raised:
        migrated.as_role("dropzone_reader", sql)
    assert raised.value.args[0]["C"] == "42501"


def test_the_reader_may_read(migrated: Fresh) -> None:
    for table in DOCUMENTED:
        assert len(migrated.as_role("dropzone_reader", f"SELECT count(*) FROM {table}")) == 1  # noqa: S608 - our own names


@pytest.mark.parametrize(
    "sql", ["DELETE FROM sweep", "INSERT INTO sweep (only, watermark) SELECT false, gen_random_uuid()"]
)
def test_the_writer_keeps_the_one_row_of_the_sweep(migrated: Fresh, sql: str) -> None:
    with pytest.raises(DatabaseError):
        migrated.as_role("dropzone_writer", sql)


def test_a_password_may_be_of_any_characters(fresh: Fresh, postgres: Postgres) -> None:
    # GIVEN a password that quoting could trip over
    odd = 'it\'s "odd" $1 :x \\ %s {}'
    with postgres.connect() as connection:
        connection.run("CREATE ROLE odd_owner SUPERUSER LOGIN PASSWORD 'it''s \"odd\" $1 :x \\ %s {}'")
    try:
        # WHEN the functions get the same
        migrate(fresh.settings(database_user="odd_owner", database_password=odd))

        # THEN they sign in with it
        settings = database_settings(
            postgres, database_name=fresh.name, database_user="dropzone_writer", database_password=odd
        )
        connection = connector(settings, Connection)(20.0)
        connection.close()
    finally:
        migrate(migrate_settings(postgres))
        fresh.query("DROP OWNED BY odd_owner CASCADE")
        with postgres.connect() as connection:
            connection.run("DROP ROLE odd_owner")


def test_a_new_password_reaches_the_roles_without_a_new_revision(fresh: Fresh, postgres: Postgres) -> None:
    # GIVEN a migrated database, whose owner gets another password
    migrate(fresh.settings())
    with postgres.connect() as connection:
        connection.run("CREATE ROLE new_owner SUPERUSER LOGIN PASSWORD 'another one'")
    try:
        # WHEN it is migrated again
        migrate(fresh.settings(database_user="new_owner", database_password="another one"))  # noqa: S106 - the test's

        # THEN the functions sign in with it
        settings = database_settings(
            postgres,
            database_name=fresh.name,
            database_user="dropzone_reader",
            database_password="another one",  # noqa: S106 - the test's own
        )
        connector(settings, Connection)(20.0).close()
    finally:
        migrate(migrate_settings(postgres))
        fresh.query("DROP OWNED BY new_owner CASCADE")
        with postgres.connect() as connection:
            connection.run("DROP ROLE new_owner")


# ---- the custom resource ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_a_deploy_migrates_and_answers_the_revision(
    fresh: Fresh, answers: Answers, monkeypatch: pytest.MonkeyPatch, log: io.StringIO, request_type: str
) -> None:
    use(monkeypatch, fresh.settings())
    function.handler(answers.request(request_type), Context())
    assert answers.received == [
        {
            "Status": "SUCCESS",
            "Data": {"Revision": head()},
            "PhysicalResourceId": "dropzone-schema",
            "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/dropzone/1",
            "RequestId": f"request of {request_type}",
            "LogicalResourceId": "Migration",
        }
    ]
    assert answers.content_types == [""]
    assert fresh.tables() == TABLES
    assert_no_trace(log.getvalue(), PASSWORD)
    assert "X-Amz-Signature" not in log.getvalue()


def test_a_schema_of_a_later_version_is_no_failure_of_a_rollback(
    fresh: Fresh, answers: Answers, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    use(monkeypatch, fresh.settings())
    migrate(fresh.settings())
    fresh.query("UPDATE alembic_version SET version_num = '9999'")

    function.handler(answers.request("Update"), Context())

    assert [(answer["Status"], answer["Data"]) for answer in answers.received] == [("SUCCESS", {"Revision": "9999"})]
    (line,) = [json.loads(line) for line in log.getvalue().splitlines()]
    assert (line["level"], line["revision"], line["newest_here"]) == ("WARNING", "9999", head())


def test_the_longest_reason_fits_in_what_cloudformation_takes(
    answers: Answers, fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> str:
        raise MigrationError("表" * 2_000)

    use(monkeypatch, fresh.settings())
    monkeypatch.setattr(function, "migrate", fail)

    function.handler(answers.request("Update"), Context())

    (answer,) = answers.received
    assert answer["Reason"].startswith("MigrationError: 表表")
    assert answers.lengths[0] <= 4_096


@pytest.mark.parametrize(
    "changes",
    [
        {"RequestType": "Replace"},
        {"ResponseURL": "ftp://telltale.example/answer?X-Amz-Signature=telltale"},
        {"ResponseURL": None},
        {"StackId": 1},
    ],
)
def test_what_is_no_request_is_an_error_that_does_not_quote_its_address(
    answers: Answers, log: io.StringIO, changes: dict[str, object]
) -> None:
    with pytest.raises(ValidationError, match=next(iter(changes))) as raised:
        function.handler(answers.request("Create", **changes), Context())
    assert "telltale" not in f"{raised.value}{log.getvalue()}"


def test_a_deletion_answers_without_touching_the_database(
    fresh: Fresh, answers: Answers, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    # GIVEN a database that is down, and settings that can't even be read
    use(monkeypatch, fresh.settings(database_port=find_free()))

    # WHEN the stack goes
    function.handler(answers.request("Delete", PhysicalResourceId="dropzone-schema"), Context())

    # THEN it may
    (answer,) = answers.received
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "dropzone-schema")
    assert json.loads(log.getvalue())["level"] == "INFO"


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_a_failure_is_answered_with_its_reason_and_rolled_back(
    fresh: Fresh, answers: Answers, monkeypatch: pytest.MonkeyPatch, log: io.StringIO, request_type: str
) -> None:
    # GIVEN a database in which a table of another owner is in the way
    use(monkeypatch, fresh.settings())
    fresh.query("CREATE TABLE measurements (id integer)")

    # WHEN a deploy comes
    function.handler(answers.request(request_type), Context())

    # THEN the deploy learns why it failed, and nothing else was changed
    (answer,) = answers.received
    assert answer["Status"] == "FAILED"
    assert 'relation "measurements" already exists' in answer["Reason"]
    assert len(answer["Reason"]) <= 1_000
    assert answer["PhysicalResourceId"] == "dropzone-schema"
    assert fresh.tables() == {"measurements"}

    # AND the log says so, in one object to a line, without secrets
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["level"] for line in lines] == ["ERROR"]
    assert PASSWORD not in log.getvalue() + str(answer)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"database_password": "not-the-password"}, "28P01"),
        ({"database_name": "not_there"}, "3D000"),
        ({"database_user": "dropzone_writer"}, "permission denied"),
    ],
)
def test_a_database_that_refuses_is_answered_with_its_reason(
    fresh: Fresh,
    answers: Answers,
    monkeypatch: pytest.MonkeyPatch,
    log: io.StringIO,
    changes: dict[str, str],
    reason: str,
) -> None:
    use(monkeypatch, migrate_settings(fresh.server, **{"database_name": fresh.name, **changes}))
    function.handler(answers.request("Create"), Context())
    (answer,) = answers.received
    assert answer["Status"] == "FAILED"
    assert reason in answer["Reason"]
    for secret in (PASSWORD, "not-the-password"):
        assert secret not in log.getvalue() + str(answer)


def test_a_database_that_is_down_is_answered_as_a_failure(
    fresh: Fresh, answers: Answers, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    use(monkeypatch, fresh.settings(database_port=find_free()))
    function.handler(answers.request("Create"), Context())
    (answer,) = answers.received
    assert answer["Status"] == "FAILED"
    assert "refused" in answer["Reason"].lower()
    assert_no_trace(log.getvalue(), PASSWORD)


def test_roles_that_may_not_be_set_fail_without_showing_the_password(
    fresh: Fresh, answers: Answers, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    # GIVEN an owner of the database who may not alter the roles, which are there already
    fresh.query(f"CREATE ROLE plain_owner LOGIN PASSWORD '{PASSWORD}'")
    fresh.query("ALTER SCHEMA public OWNER TO plain_owner")
    use(monkeypatch, fresh.settings(database_user="plain_owner"))
    try:
        # WHEN a deploy comes
        function.handler(answers.request("Create"), Context())
    finally:
        fresh.query("DROP OWNED BY plain_owner CASCADE")
        fresh.query("DROP ROLE plain_owner")

    # THEN it fails with the reason, and the password is nowhere
    (answer,) = answers.received
    assert answer["Status"] == "FAILED"
    assert "42501" in answer["Reason"]
    assert PASSWORD not in answer["Reason"]
    assert_no_trace(log.getvalue(), PASSWORD)


@pytest.mark.parametrize("refusals", [[503], [None], [500, None, 503]])
def test_an_answer_that_does_not_arrive_is_given_again(
    answers: Answers, monkeypatch: pytest.MonkeyPatch, log: io.StringIO, refusals: list[int | None]
) -> None:
    # GIVEN an address that fails at first
    answers.refusals += refusals
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)

    # WHEN an answer is due
    function.handler(answers.request("Delete"), Context())

    # THEN it arrives in the end
    assert [answer["Status"] for answer in answers.received] == ["SUCCESS"]
    assert len(pauses) == len(refusals)
    assert json.loads(log.getvalue())["message"] == "deletion acknowledged; the database is not touched"


def test_an_answer_that_can_never_be_given_is_an_error(
    answers: Answers, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    answers.refusals += [None] * 10
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with pytest.raises(OSError, match="closed connection"):
        function.handler(answers.request("Delete"), Context())
    assert len(answers.refusals) == 6
    assert json.loads(log.getvalue())["message"] == "deletion acknowledged; the database is not touched"


def test_by_hand_it_migrates_and_answers_the_revision(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, fresh.settings())
    assert function.handler({}, Context()) == {"revision": head()}
    assert fresh.tables() == TABLES


def test_by_hand_a_failure_is_raised(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, fresh.settings())
    fresh.query("CREATE TABLE receipts (id integer)")
    with pytest.raises(MigrationError, match="already exists"):
        function.handler({}, Context())


# What statements refuse: a row's value is in the details of the first, and in the message of the second.
QUOTING = {
    "23505": [
        "CREATE TABLE odd (name text CONSTRAINT one_name UNIQUE)",
        "INSERT INTO odd VALUES ('telltale'), ('telltale')",
    ],
    "22P02": [
        "CREATE TABLE odd (name text)",
        "INSERT INTO odd VALUES ('telltale')",
        "SELECT CAST(name AS integer) FROM odd",
    ],
    "P0001": ["DO $$ BEGIN RAISE EXCEPTION 'telltale' USING DETAIL = 'telltale', HINT = 'telltale'; END $$"],
}


# Each state once, and one of them in every way.
@pytest.mark.parametrize(
    ("state", "at", "by_hand"),
    [
        *(("23505", at, by_hand) for at in ("revision", "roles") for by_hand in (True, False)),
        ("22P02", "revision", False),
        ("P0001", "roles", True),
    ],
)
def test_a_reason_quotes_nothing_of_a_row(
    fresh: Fresh,
    answers: Answers,
    monkeypatch: pytest.MonkeyPatch,
    log: io.StringIO,
    state: str,
    at: str,
    *,
    by_hand: bool,
) -> None:
    # GIVEN a statement that meets a row that it can't take, in a revision or among those that set the roles
    if at == "revision":

        def upgrade(configuration: Config, _revision: str) -> None:
            for statement in QUOTING[state]:
                configuration.attributes["connection"].execute(sqlalchemy.text(statement))

        monkeypatch.setattr(command, "upgrade", upgrade)
    else:

        def set_roles(cursor: Cursor, _settings: MigrateSettings) -> None:
            for statement in QUOTING[state]:
                cursor.execute(statement)

        monkeypatch.setattr(migrations, "set_roles", set_roles)
    use(monkeypatch, fresh.settings())

    # WHEN it is deployed, or run by hand
    if by_hand:
        with pytest.raises(MigrationError) as raised:
            function.handler({}, Context())
        written = "".join(traceback.format_exception(raised.value))
    else:
        function.handler(answers.request("Update"), Context())
        (answer,) = answers.received
        written = f"{answer['Reason']} {log.getvalue()}"

    # THEN state, table and constraint are reported, and no value
    assert f"SQLSTATE {state}" in written
    assert ("odd one_name" in written) == (state == "23505")
    assert "telltale" not in written


# ---- its limits ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Limits:
    """What a revision found."""

    silence: float = 0.0
    statement: str = ""


def run_as_revision(monkeypatch: pytest.MonkeyPatch, *statements: str) -> Limits:
    """Let the next revision be these statements."""
    limits = Limits()

    def upgrade(connection: Any, _revision: str | None) -> None:  # noqa: ANN401 - pg8000 carries no types
        limits.silence = connection._usock.gettimeout()
        cursor = connection.cursor()
        cursor.execute("SHOW statement_timeout")
        (limits.statement,) = cursor.fetchone()
        for statement in statements:
            cursor.execute(statement)

    monkeypatch.setattr(migrations, "_upgrade", upgrade)
    return limits


def test_a_statement_has_the_limit_of_its_parameter(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    run_as_revision(monkeypatch, "CREATE TABLE receipts (id integer)", "SELECT pg_sleep(60)")

    with pytest.raises(MigrationError, match="57014: canceling statement due to statement timeout"):
        migrate(fresh.settings(statement_seconds=1))
    assert fresh.tables() == set()


def test_a_statement_may_take_what_the_call_has(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN a call of 15 minutes, and no limit for a statement
    limits = run_as_revision(monkeypatch, "SELECT 1/0")

    with pytest.raises(MigrationError):
        migrate(fresh.settings(call_seconds=900))

    # THEN half a minute is kept for the answer, and the network may be silent for as long as a statement
    assert limits.statement in {"870s", "14min 30s"} or limits.statement.startswith("869")
    assert 870 < limits.silence < 900


def test_a_migration_ends_in_time_to_say_so(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN statements none of which is too long
    run_as_revision(monkeypatch, *["SELECT pg_sleep(0.2)"] * 100)

    # THEN together they are, and the server ends them
    with pytest.raises(MigrationError, match=r"25P04|network error"):
        migrate(fresh.settings(call_seconds=4))


def test_a_revision_does_not_wait_for_a_lock_for_long(
    fresh: Fresh, monkeypatch: pytest.MonkeyPatch, answers: Answers
) -> None:
    # GIVEN somebody who has a table, behind whom a revision waits, behind which everybody else would
    migrate(fresh.settings())
    monkeypatch.setattr(migrations, "head", lambda: "9999")
    run_as_revision(monkeypatch, "ALTER TABLE receipts ADD COLUMN more text")
    use(monkeypatch, fresh.settings(lock_seconds=1))
    with fresh.server.connect(fresh.name) as connection:
        connection.run("BEGIN")
        connection.run("SELECT FROM receipts")
        function.handler(answers.request("Update"), Context())

    # THEN the deploy fails, and says why
    (answer,) = answers.received
    assert "55P03: canceling statement due to lock timeout" in answer["Reason"]


@pytest.mark.parametrize("table", ["replay_ranges", "receipts"])
def test_an_index_that_was_made_while_everything_ran_is_not_made_again(
    fresh: Fresh, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    # GIVEN an index that docs/deploy.md has an operator make beside running writers, before the deploy
    revision = migrate(fresh.settings())
    section = DEPLOY.partition("**Create an index on a big table beforehand**")[2].partition("\n### ")[0]
    alone, partitioned = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    text = re.sub(r"\bname\b", "items_of_it", partitioned if table == "receipts" else alone)
    text = re.sub(r"\bcolumn\b", "items" if table == "receipts" else "objects", text)
    statements = re.sub(r"(?<=ON )table\b|(?<=ONLY )table\b|(?<=')table(?=')", table, text)
    for statement, ending in re.findall(r"\s*(.*?)(;|\\gexec)\n", statements, re.DOTALL):
        rows = fresh.query(statement)
        for (generated,) in rows if ending != ";" else ():
            fresh.query(generated)
    before = fresh.query("SELECT indexrelid FROM pg_index WHERE indisvalid AND indexrelid = 'items_of_it'::regclass")
    assert len(before) == 1

    # WHEN a revision has the same
    monkeypatch.setattr(migrations, "head", lambda: f"{int(revision) + 1:04}")
    column = "items" if table == "receipts" else "objects"
    run_as_revision(monkeypatch, f"CREATE INDEX IF NOT EXISTS items_of_it ON {table} ({column})")
    migrate(fresh.settings())

    # THEN it is the same one, and it is valid
    assert (
        fresh.query("SELECT indexrelid FROM pg_index WHERE indisvalid AND indexrelid = 'items_of_it'::regclass")
        == before
    )
