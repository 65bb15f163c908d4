"""The schema's statements: one `.sql` file per subject, under `sql/`.

Revisions create and alter tables. Functions, triggers, views and comments, which can be replaced as a whole, are edited
in their files, and applied after the revisions.
"""

from pathlib import Path

from sqlalchemy import Connection

SQL = Path(__file__).parent / "sql"

REPLACEABLE = (
    "gold_pool",
    "gold_compute",
    "gold_refresh",
    "archive",
    "corrections",
    "gold_reads",
    "partitions",
    "gold_views",
    "sources",
    "expectations",
    "catalogue",
)
"""The subjects that can be replaced, in order of their dependencies."""


def apply(connection: Connection, *subjects: str) -> None:
    """Run all the statements of these subjects."""
    for subject in subjects:
        # Several statements in one call, without parameters: colons and percent signs are literal.
        connection.exec_driver_sql((SQL / f"{subject}.sql").read_text(encoding="utf-8"))
