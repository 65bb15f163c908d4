-- The last processed event that corrects a rejected one, or that corrects a rejected correction of it, up to 50 in a row:
-- otherwise each unsuccessful correction would make the search longer. It must have the source of the rejected event, if that
-- has one, so that a client that is restricted to sources can't resolve events of others. Derived from the current
-- corrections, so that a replay that rejects one reopens what it had resolved. since: a lower bound of the arrival of the
-- event and its corrections; earlier months are not read.
CREATE OR REPLACE FUNCTION gold.resolved_by(
    rejected_raw_id uuid, rejected_item integer, since uuid DEFAULT '00000000-0000-0000-0000-000000000000'
) RETURNS TABLE (raw_id uuid, item integer) LANGUAGE sql STABLE ROWS 1 AS $$
    WITH RECURSIVE correction AS (
        SELECT o.raw_id, o.item, o.outcome, coalesce(o.source, '') AS source, 0 AS depth FROM public.outcomes AS o
        WHERE o.raw_id = rejected_raw_id AND o.item = rejected_item AND o.raw_id >= since
        UNION
        SELECT c.raw_id, c.item, c.outcome, coalesce(c.source, ''), depth + 1 FROM correction AS failed
        JOIN public.outcomes AS c ON c.corrects_raw_id = failed.raw_id AND c.corrects_item = failed.item
        WHERE failed.outcome = 'rejected' AND depth < 50 AND c.raw_id >= since
    )
    SELECT c.raw_id, c.item FROM correction AS c
    JOIN correction AS rejected ON rejected.depth = 0 AND rejected.source IN ('', c.source)
    WHERE c.outcome = 'processed' AND c.depth > 0
    ORDER BY c.raw_id DESC, c.item DESC LIMIT 1
$$;

-- The rejected events that arrived in a range and are corrected by a processed one. With OFFSET 0, corrections are looked up
-- first; otherwise Postgres may look up each rejected event.
CREATE OR REPLACE FUNCTION gold.resolved(since timestamptz, until timestamptz)
RETURNS TABLE (raw_id uuid, item integer, source text) LANGUAGE sql STABLE AS $$
    SELECT o.raw_id, o.item, coalesce(o.source, '')
    FROM (
        SELECT DISTINCT corrects_raw_id, corrects_item FROM public.outcomes
        WHERE corrects_raw_id >= gold.earliest_raw_id(since) AND corrects_raw_id < gold.earliest_raw_id(until) OFFSET 0
    ) AS correction CROSS JOIN LATERAL (
        SELECT raw_id, item, source FROM public.outcomes
        WHERE raw_id = correction.corrects_raw_id AND item = correction.corrects_item AND outcome = 'rejected' OFFSET 0
    ) AS o
    WHERE EXISTS (SELECT FROM gold.resolved_by(o.raw_id, o.item))
$$;
