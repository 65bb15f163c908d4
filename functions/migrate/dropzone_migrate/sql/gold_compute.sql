CREATE OR REPLACE FUNCTION gold.earliest_raw_id(instant timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CAST(
    lpad(to_hex(CAST(greatest(floor(1000 * extract(epoch FROM instant AT TIME ZONE 'UTC')), 0) AS bigint)), 12, '0')
    || '70008000000000000000' AS uuid
);

-- Computes the buckets with these starts from silver. With OFFSET 0, each is looked up by an index, whatever Postgres
-- estimates for an unknown range: it once read all of silver for each.
CREATE OR REPLACE FUNCTION gold.compute_measured(starts timestamptz[], width interval DEFAULT '15 minutes')
RETURNS SETOF gold.measured LANGUAGE sql STABLE ROWS 1000 AS $$
    WITH event AS (
        SELECT start, m.*, date_part('epoch', measured_at - lag(measured_at) OVER part) AS pause,
               greatest(min(mean) OVER part, least(max(mean) OVER part, 0)) AS near,
               sample_count / sum(CAST(sample_count AS float8)) OVER part AS weight
        FROM unnest(starts) AS start CROSS JOIN LATERAL (
            SELECT * FROM public.measurements WHERE measured_at >= start AND measured_at < start + width OFFSET 0
        ) AS m
        WINDOW part AS (PARTITION BY start, source ORDER BY measured_at
                        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    ), piece AS (
        SELECT start, source, gold.bin(pause) AS bin, count(*) AS events, sum(sample_count) AS sample_count,
               gold.combine(gold.part(weight, mean, std_dev, near)) AS pooled, min(near) AS near, min(min) AS min, max(max) AS max,
               min(measured_at) AS first, max(measured_at) AS last, sum(pause) AS paused, max(pause) AS longest
        FROM event GROUP BY 1, 2, 3
    ), around AS (
        SELECT *, sum(events) OVER beside AS events_around, sum(paused) OVER beside AS paused_around
        FROM piece WINDOW beside AS (PARTITION BY start, source ORDER BY bin RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING)
    )
    SELECT start, source, sum(events), sum(sample_count), min(near) + (gold.combine(pooled))[2],
           gold.pooled_std_dev(gold.combine(pooled)), min(min), max(max), min(first), max(last),
           (max(ARRAY[events_around, -bin, paused_around / events_around]) FILTER (WHERE bin IS NOT NULL))[3],
           max(longest), array_agg(bin), array_agg(events)
    FROM around GROUP BY 1, 2
$$;

-- The distinct rules of a group of events with the same violations: rules of its contract, or basic ones (both null).
CREATE OR REPLACE FUNCTION gold.broken_rules(violated jsonb) RETURNS TABLE (code text, contract text, rule text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT DISTINCT code, CASE WHEN rule IS NOT NULL THEN violated ->> 2 END, rule
    FROM ROWS FROM (jsonb_array_elements_text(violated -> 0), jsonb_array_elements_text(violated -> 1)) AS broken (code, rule)
$$;

-- Computes buckets by groups of events with the same latency bin and broken rules. Either all or none of an event's violations
-- are of its contract's rules: checking each of them would take five times as long.
CREATE OR REPLACE FUNCTION gold.compute_arrived(starts timestamptz[], width interval DEFAULT '15 minutes')
RETURNS SETOF gold.arrived LANGUAGE sql STABLE ROWS 1000 AS $$
    SELECT start, source, sum(events), sum(rejected),
           coalesce(sum(events - rejected) FILTER (WHERE rules IS NOT NULL), 0),
           sum(latency_count), coalesce(sum(total), 0), max(longest), max(last),
           array_agg(bin), array_agg(rules), array_agg(events), array_agg(rejected)
    FROM (
        SELECT start, coalesce(source, '') AS source, rules,
               gold.bin(CASE WHEN latency < 1 THEN 1 ELSE latency END) AS bin, count(*) AS events,
               count(*) FILTER (WHERE outcome = 'rejected') AS rejected, count(latency) AS latency_count, sum(latency) AS total,
               max(latency) AS longest, max(arrived_at) AS last
        FROM unnest(starts) AS start, gold.earliest_raw_id(start) AS since, gold.earliest_raw_id(start + width) AS until,
        LATERAL (
            SELECT source, outcome, uuid_extract_timestamp(raw_id) AS arrived_at,
                   CASE WHEN violations <> '[]' THEN jsonb_build_array(
                       jsonb_path_query_array(violations, '$.code'), jsonb_path_query_array(violations, '$.rule'),
                       split_part(contract, '@', 1)
                   ) END AS rules,
                   1000 * date_part('epoch', settled_at - least(uuid_extract_timestamp(raw_id), settled_at)) AS latency
            FROM (SELECT * FROM public.outcomes WHERE raw_id >= since AND raw_id < until) AS o
            LEFT JOIN (SELECT * FROM public.receipts WHERE raw_id >= since AND raw_id < until) AS r USING (raw_id) OFFSET 0
        ) AS event GROUP BY 1, 2, 3, 4
    ) AS part GROUP BY 1, 2
$$;

-- Computed buckets, and stale ones from silver. With USING, a condition on bucket_start applies to the marks as well.
CREATE OR REPLACE VIEW gold.measured_now AS
SELECT * FROM gold.measured AS kept
WHERE NOT EXISTS (SELECT FROM gold.measured_stale AS stale WHERE stale.bucket_start = kept.bucket_start)
UNION ALL
SELECT * FROM (SELECT DISTINCT bucket_start FROM gold.measured_stale) AS stale
JOIN LATERAL gold.compute_measured(ARRAY[stale.bucket_start]) AS live USING (bucket_start);

CREATE OR REPLACE VIEW gold.arrived_now AS
SELECT * FROM gold.arrived AS kept
WHERE NOT EXISTS (SELECT FROM gold.arrived_stale AS stale WHERE stale.bucket_start = kept.bucket_start)
UNION ALL
SELECT * FROM (SELECT DISTINCT bucket_start FROM gold.arrived_stale) AS stale
JOIN LATERAL gold.compute_arrived(ARRAY[stale.bucket_start]) AS live USING (bucket_start);
