CREATE OR REPLACE FUNCTION gold.earliest_raw_id(instant timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CAST(
    lpad(to_hex(CAST(greatest(floor(1000 * extract(epoch FROM instant AT TIME ZONE 'UTC')), 0) AS bigint)), 12, '0')
    || '70008000000000000000' AS uuid
);

-- A bucket as silver has it. One statement computes as many as are joined to these functions: Postgres plans them as a
-- part of the query around them, and looks each bucket up along an index.
CREATE OR REPLACE FUNCTION gold.compute_measured(start timestamptz, width interval DEFAULT '15 minutes')
RETURNS SETOF gold.measured LANGUAGE sql STABLE ROWS 10 AS $$
    WITH event AS (
        SELECT *, date_part('epoch', measured_at - lag(measured_at) OVER part) AS pause,
               gold.near(min(mean) OVER part, max(mean) OVER part) AS near,
               sample_count / sum(CAST(sample_count AS double precision)) OVER part AS weight
        FROM public.measurements WHERE measured_at >= start AND measured_at < start + width
        WINDOW part AS (
            PARTITION BY source ORDER BY measured_at ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        )
    ), piece AS (
        SELECT source, gold.bin(pause) AS bin, count(*) AS events, sum(sample_count) AS sample_count,
               gold.combine(gold.part(weight, mean, std_dev, near)) AS pooled, min(near) AS near,
               min(min) AS min, max(max) AS max,
               min(measured_at) AS first, max(measured_at) AS last, sum(pause) AS paused, max(pause) AS longest
        FROM event GROUP BY 1, 2
    ), around AS (
        SELECT *, sum(events) OVER beside AS events_around, sum(paused) OVER beside AS paused_around
        FROM piece
        WINDOW beside AS (PARTITION BY source ORDER BY bin RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING)
    )
    SELECT start, source, sum(events), sum(sample_count), gold.pooled_mean(gold.combine(pooled), min(near)),
           gold.pooled_std_dev(gold.combine(pooled)), min(min), max(max), min(first), max(last),
           (max(ARRAY[events_around, -bin, paused_around / events_around]) FILTER (WHERE bin IS NOT NULL))[3],
           max(longest), array_agg(bin), array_agg(events)
    FROM around GROUP BY source
$$;

CREATE OR REPLACE FUNCTION gold.compute_arrived(start timestamptz, width interval DEFAULT '15 minutes')
RETURNS SETOF gold.arrived LANGUAGE sql STABLE ROWS 10 AS $$
    WITH receipt AS NOT MATERIALIZED (
        SELECT * FROM public.receipts
        WHERE raw_id >= gold.earliest_raw_id(start) AND raw_id < gold.earliest_raw_id(start + width)
    ), event AS NOT MATERIALIZED (
        SELECT coalesce(source, '') AS source, outcome, violations, raw_id FROM public.outcomes
        WHERE raw_id >= gold.earliest_raw_id(start) AND raw_id < gold.earliest_raw_id(start + width)
    ), piece AS (
        SELECT source, gold.bin(CASE WHEN latency < 1 THEN 1 ELSE latency END) AS bin,
               count(*) AS events, count(*) FILTER (WHERE outcome = 'rejected') AS rejected,
               sum(latency) AS total, max(latency) AS longest, max(arrived_at) AS last
        FROM event LEFT JOIN receipt USING (raw_id)
        CROSS JOIN LATERAL (SELECT uuid_extract_timestamp(raw_id) AS arrived_at) AS id
        CROSS JOIN LATERAL (SELECT 1000 * date_part('epoch', settled_at - least(arrived_at, settled_at)) AS latency) AS l
        GROUP BY 1, 2
    ), rules AS (
        SELECT source, jsonb_object_agg(code, events) AS by_rule FROM (
            SELECT source, code, count(*) AS events FROM event
            CROSS JOIN LATERAL (SELECT DISTINCT v ->> 'code' AS code FROM jsonb_array_elements(violations) AS v) AS b
            WHERE outcome = 'rejected' GROUP BY 1, 2
        ) AS rule GROUP BY 1
    )
    SELECT start, source, sum(events), sum(rejected), coalesce(any_value(by_rule), '{}'),
           coalesce(sum(events) FILTER (WHERE bin IS NOT NULL), 0), coalesce(sum(total), 0), max(longest),
           array_agg(bin), array_agg(events), max(last)
    FROM piece LEFT JOIN rules USING (source) GROUP BY source
$$;

-- What was computed, and what is stale from silver itself. USING has a condition on bucket_start hold for the marks.
CREATE OR REPLACE VIEW gold.measured_now AS
SELECT * FROM gold.measured AS kept
WHERE NOT EXISTS (SELECT FROM gold.measured_stale AS stale WHERE stale.bucket_start = kept.bucket_start)
UNION ALL
SELECT * FROM (SELECT DISTINCT bucket_start FROM gold.measured_stale) AS stale
JOIN LATERAL gold.compute_measured(stale.bucket_start) AS live USING (bucket_start);

CREATE OR REPLACE VIEW gold.arrived_now AS
SELECT * FROM gold.arrived AS kept
WHERE NOT EXISTS (SELECT FROM gold.arrived_stale AS stale WHERE stale.bucket_start = kept.bucket_start)
UNION ALL
SELECT * FROM (SELECT DISTINCT bucket_start FROM gold.arrived_stale) AS stale
JOIN LATERAL gold.compute_arrived(stale.bucket_start) AS live USING (bucket_start);
