"""Gold's readers look up once which quarters are stale, and go back no further than to what they look for.

The functions of the version before go on: they call the same functions.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_PARTS_IN = """
CREATE OR REPLACE FUNCTION gold.{kind}_in(starts timestamptz[], by_minute boolean, only_source text)
RETURNS SETOF gold.{kind} LANGUAGE plpgsql STABLE SET jit = off AS $$
DECLARE
    width CONSTANT interval := '15 minutes';
    since CONSTANT timestamptz := starts[1];
    until CONSTANT timestamptz := starts[cardinality(starts)];
    cuts  CONSTANT timestamptz[] := ARRAY(
        SELECT cut FROM unnest(starts) AS cut WHERE cut <> gold.quarter_of(cut) AND NOT by_minute
    );
    split CONSTANT timestamptz[] := ARRAY(SELECT gold.quarter_of(cut) FROM unnest(cuts) AS cut);
    stale CONSTANT timestamptz[] := ARRAY(
        SELECT DISTINCT quarter FROM gold.{stale} WHERE quarter >= since AND quarter < until AND quarter <> ALL (split)
    );
BEGIN
    IF by_minute THEN
        RETURN QUERY SELECT * FROM gold.{function}(since, until, interval '1 minute', only_source);
        RETURN;
    END IF;
    RETURN QUERY
    SELECT kept.* FROM gold.{kind} AS kept
    WHERE kept.quarter >= since AND kept.quarter < until AND kept.quarter <> ALL (split || stale)
      AND (only_source IS NULL OR kept.source = only_source)
    UNION ALL
    SELECT live.*
    FROM unnest(stale) AS quarter
    CROSS JOIN LATERAL gold.{function}(quarter, quarter + width, width, only_source) AS live
    UNION ALL
    SELECT live.*
    FROM unnest(cuts) AS cut CROSS JOIN LATERAL (
        SELECT * FROM gold.{function}(gold.quarter_of(cut), cut, width, only_source) WHERE cut > since
        UNION ALL
        SELECT * FROM gold.{function}(cut, gold.quarter_of(cut) + width, width, only_source) WHERE cut < until
    ) AS live;
END $$
"""

# In the order of the quarters, so that the first that holds such an event ends the search.
_LAST_BEFORE = """
CREATE OR REPLACE FUNCTION gold.last_before(of_source text, instant timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT event.measured_at
    FROM (
        SELECT DISTINCT quarter FROM (
            SELECT quarter FROM gold.measured WHERE source = of_source AND quarter < instant
            UNION ALL
            SELECT quarter FROM gold.measured_stale WHERE quarter < instant
        ) AS known
        ORDER BY quarter DESC
    ) AS part
    CROSS JOIN LATERAL (
        SELECT measured_at FROM public.measurements
        WHERE measured_at >= part.quarter AND measured_at < least(part.quarter + interval '15 minutes', instant)
          AND source = of_source
        ORDER BY measured_at DESC LIMIT 1
    ) AS event
    ORDER BY part.quarter DESC LIMIT 1
$$
"""


def upgrade() -> None:
    """Replace them."""
    op.execute(_LAST_BEFORE)
    for kind, stale, function in (
        ("measured", "measured_stale", "measure"),
        ("arrived", "arrived_stale", "arrive"),
        ("rejected", "arrived_stale", "reject"),
    ):
        op.execute(_PARTS_IN.format(kind=kind, stale=stale, function=function))
