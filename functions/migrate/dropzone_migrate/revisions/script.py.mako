"""${message}.

Forward only, and safe for the functions of the version before, which run while this does.
"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Bring the schema forward."""
    ${upgrades if upgrades else 'op.execute("")'}
