"""The tables of silver and gold.

Its number follows those of the revisions that it replaces, so that a database with one of them is detected and refused.
"""

from alembic import op

from dropzone_migrate.statements import apply

revision = "0009"
down_revision = None


def upgrade() -> None:
    apply(op.get_bind(), "silver_tables", "archive_tables", "gold_tables", "sources_tables", "replays_tables")
