"""Alembic's entry: runs the revisions on the connection, and in the transaction, that `migrations` hands over."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
