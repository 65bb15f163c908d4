"""The schema's statements: one `.sql` file per subject, under `sql/`.

Revisions create and alter tables. What can be replaced as a whole (functions, triggers, views, comments) is edited in
its file, and applied after the revisions.
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
"""The replaceable subjects, in the order of their dependencies."""


def apply(connection: Connection, *subjects: str) -> None:
    """Run all the statements of these subjects."""
    for subject in subjects:
        # Several statements at once, without parameters: colons and percent signs are literal.
        connection.exec_driver_sql((SQL / f"{subject}.sql").read_text(encoding="utf-8"))
