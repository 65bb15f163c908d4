"""Derive measurements again after outcomes were removed or replaced."""

from collections.abc import Iterable
from typing import Final

from dropzone.adapters.database import Row, Run
from dropzone.adapters.rows import FLAGS, MEASURED, REPLACED, json_text

# Writers of measurements wait until this transaction ends, and it begins when theirs have: what is derived below sees
# every outcome that counts. It is taken before any row's lock, so that nobody waits in a circle.
ALONE: Final = "LOCK TABLE measurements IN SHARE ROW EXCLUSIVE MODE"
"""The first statement of such a transaction."""

_DERIVE: Final = f"""
WITH key AS (
    SELECT DISTINCT * FROM json_to_recordset(CAST(:keys AS json)) AS k (measured_at timestamptz, source text)
), best AS (
    SELECT o.* FROM key CROSS JOIN LATERAL (
        SELECT {MEASURED}, {FLAGS}, raw_id, item FROM outcomes
        WHERE outcome = 'processed' AND measured_at = key.measured_at AND source = key.source
        ORDER BY raw_id DESC, item DESC LIMIT 1
    ) AS o
), gone AS (
    DELETE FROM measurements USING key
    WHERE measurements.measured_at = key.measured_at AND measurements.source = key.source
      AND NOT EXISTS (SELECT FROM best WHERE best.measured_at = key.measured_at AND best.source = key.source)
)
INSERT INTO measurements AS m ({MEASURED}, flags, raw_id, item)
SELECT {MEASURED}, flags, raw_id, item FROM best
ON CONFLICT (measured_at, source) DO UPDATE SET {REPLACED}
"""  # noqa: S608 - the columns are this project's own


def derive(run: Run, touched: Iterable[Row]) -> None:
    """Derive the measurement of each key from its last processed outcome; delete it if there is none.

    A key is an instant, as Postgres writes it, and a source. Keys without an instant are ignored.
    """
    keys = [
        {"measured_at": measured_at, "source": source} for measured_at, source in touched if measured_at is not None
    ]
    run(_DERIVE, keys=json_text(keys))
