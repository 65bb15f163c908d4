"""The roles of the functions: one writes silver, one only reads, one archives; none may change the schema.

A fourth one can't sign in: analysts' own roles are members of it (docs/analysts.md). Roles are set in each migration,
since their authentication is a setting of the stack.
"""

from pg8000.dbapi import Cursor

from dropzone.settings import MigrateSettings

WRITER = "dropzone_writer"
READER = "dropzone_reader"
ARCHIVER = "dropzone_archiver"
ANALYST = "dropzone_analyst"

DOCUMENTED = (
    *("receipts", "outcomes", "measurements"),
    *("gold.kpis_hourly", "gold.kpis_daily", "gold.quality_hourly", "gold.quality_daily"),
    *("gold.rules_hourly", "gold.rules_daily"),
    *("archive.months", "archive.files"),
)
"""The tables and views that readers may select from: those of docs/analysts.md."""

_CREATE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role} {login}; END IF;
END $$
"""

# The password is passed as a setting of this transaction, so that it isn't in the text of a statement. Errors are
# raised again without their context, which would quote the executed statement.
_LET_SIGN_IN = """
DO $$ BEGIN
    EXECUTE format('ALTER ROLE {role} LOGIN PASSWORD %L', current_setting('dropzone.password'));
EXCEPTION WHEN OTHERS THEN
    RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM;
END $$
"""

_GRANTS = f"""
GRANT SELECT, INSERT, UPDATE ON receipts TO {WRITER};
GRANT SELECT, INSERT, UPDATE, DELETE ON outcomes, measurements TO {WRITER};
GRANT SELECT, UPDATE ON sweep TO {WRITER};
GRANT SELECT, INSERT, UPDATE ON replays, replay_ranges TO {WRITER};
GRANT DELETE ON replays TO {WRITER};
GRANT USAGE ON SCHEMA parts TO {WRITER};
GRANT EXECUTE ON FUNCTION parts.add_months TO {WRITER};
GRANT USAGE ON SCHEMA gold TO {WRITER}, {READER}, {ANALYST};
GRANT USAGE ON SCHEMA archive TO {WRITER}, {READER}, {ARCHIVER}, {ANALYST};
GRANT SELECT ON archive.months TO {WRITER};
GRANT INSERT ON archive.changes TO {WRITER};
GRANT SELECT ON measurements, outcomes, receipts, archive.months, archive.files, archive.changes,
    archive.requested TO {ARCHIVER};
GRANT INSERT ON archive.files TO {ARCHIVER};
GRANT EXECUTE ON FUNCTION archive.closed, archive.begin, archive.unwritten, archive.finish, archive.surplus,
    archive.remove_surplus, archive.begin_reinstating, archive.away, archive.put_back, archive.has_put_back,
    archive.derive, archive.reopen, archive.mark_file TO {ARCHIVER};
GRANT EXECUTE ON FUNCTION archive.request TO {WRITER};
GRANT EXECUTE ON FUNCTION gold.refresh, gold.deploy_contracts, gold.unassigned, gold.assign, gold.check_expectations
TO {WRITER};
GRANT SELECT, DELETE ON gold.notification TO {WRITER};
GRANT SELECT (marked_at) ON gold.measured_stale, gold.arrived_stale TO {WRITER};
GRANT SELECT ON {", ".join(DOCUMENTED)} TO {READER}, {ANALYST};
"""


def set_roles(cursor: Cursor, settings: MigrateSettings) -> None:
    """Create missing roles, set their authentication, and grant their privileges.

    If all functions sign in with one existing secret, there are no roles.
    """
    if settings.role_auth == "password" and settings.database_password is None:
        return
    cursor.execute(_CREATE.format(role=ANALYST, login="NOLOGIN"))
    for role in (WRITER, READER, ARCHIVER):
        cursor.execute(_CREATE.format(role=role, login="LOGIN"))
        if settings.role_auth == "iam":
            cursor.execute(f"GRANT rds_iam TO {role}")
        elif settings.database_password is not None:
            cursor.execute(
                "SELECT set_config('dropzone.password', %s, true)", (settings.database_password.get_secret_value(),)
            )
            cursor.execute(_LET_SIGN_IN.format(role=role))
    cursor.execute(_GRANTS)
