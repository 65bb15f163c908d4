-- The last processed event that corrects a rejected one, or that corrects a rejected correction of it, up to 50 in a row: a
-- client that corrects without success would make it longer to look for with each try. It has to be of the rejected event's
-- source, if that has one: who may write some sources alone resolves nothing of others. Derived from the corrections as
-- they are now, so that a replay that rejects one opens what it had resolved. Since: neither it nor what corrects it
-- arrived before, and months before are not looked into.
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

-- Of the rejected events that arrived from one instant to another, those that a processed one corrects. OFFSET 0 has what
-- corrects looked up first: Postgres may ask of every rejected event instead.
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
