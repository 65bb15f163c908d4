"""Unit and tags of a measurement, and the source of a rejected event.

The functions of the version before go on: what they don't name has a default, and what they write stays allowed.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_STATEMENTS = """
ALTER TABLE measurements
    ADD COLUMN unit text NOT NULL DEFAULT '',
    ADD COLUMN tags jsonb NOT NULL DEFAULT '{}';

ALTER TABLE outcomes
    ADD COLUMN unit text NOT NULL DEFAULT '',
    ADD COLUMN tags jsonb NOT NULL DEFAULT '{}',
    DROP CONSTRAINT outcomes_check,
    ADD CONSTRAINT outcomes_figures CHECK (
        CASE outcome
            WHEN 'processed' THEN num_nulls(measured_at, source, mean, std_dev, sample_count, min, max) = 0
            ELSE num_nonnulls(measured_at, mean, std_dev, sample_count, min, max) = 0
        END
    ) NOT VALID;

ALTER TABLE outcomes VALIDATE CONSTRAINT outcomes_figures;
"""


def upgrade() -> None:
    """Add them."""
    for statement in filter(None, map(str.strip, _STATEMENTS.split(";"))):
        op.execute(statement)
