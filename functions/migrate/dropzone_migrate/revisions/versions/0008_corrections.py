"""An event can name the rejected event that it replaces."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the columns, and find the corrections of an event by them."""
    op.execute("ALTER TABLE outcomes ADD COLUMN corrects_raw_id uuid, ADD COLUMN corrects_item integer")
    op.execute(
        "CREATE INDEX outcomes_corrects ON outcomes (corrects_raw_id, corrects_item) WHERE corrects_raw_id IS NOT NULL"
    )
