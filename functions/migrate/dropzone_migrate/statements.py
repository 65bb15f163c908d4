"""The schema's statements: one `.sql` file per subject, under `sql/`.

Revisions create and alter tables, and apply the files of those. What can be replaced as a whole (functions, triggers,
views, comments) is edited in its file, and applied after the revisions whenever one of them had to run.
"""

from pathlib import Path

from sqlalchemy import Connection

_SQL = Path(__file__).parent / "sql"

REPLACEABLE = ("gold_pool", "gold_compute", "gold_refresh", "gold_reads", "gold_views", "gold_sources", "catalogue")
"""The subjects of what can be replaced, in an order in which each finds what it uses."""


def apply(connection: Connection, *subjects: str) -> None:
    """Run all the statements of these subjects."""
    for subject in subjects:
        # As the driver takes it: several statements at once, with colons and per cent signs that mean themselves.
        connection.exec_driver_sql((_SQL / f"{subject}.sql").read_text(encoding="utf-8"))
