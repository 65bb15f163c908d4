"""Alembic's entry point: runs the revisions in the given connection's transaction, then the replaceable statements."""

from alembic import context

from dropzone_migrate.statements import REPLACEABLE, apply

connection = context.config.attributes["connection"]
context.configure(connection=connection)
context.run_migrations()
apply(connection, *REPLACEABLE)
