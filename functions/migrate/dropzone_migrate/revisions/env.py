"""Alembic's entry: runs the revisions on the connection, and in the transaction, that `migrations` hands over.

Functions, triggers and views follow, as the newest revision's tables need them.
"""

from alembic import context

from dropzone_migrate.statements import REPLACEABLE, apply

connection = context.config.attributes["connection"]
context.configure(connection=connection)
context.run_migrations()
apply(connection, *REPLACEABLE)
