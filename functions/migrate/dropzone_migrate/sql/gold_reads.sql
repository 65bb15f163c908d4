-- When the local date changes: midnight, or the first of two midnights, or the end of a gap that includes midnight.
CREATE OR REPLACE FUNCTION gold.day_start(day date, tz text) RETURNS timestamptz LANGUAGE sql STABLE
RETURN (SELECT CASE WHEN CAST((midnight - interval '1 hour') AT TIME ZONE tz AS date) = day
                    THEN midnight - interval '1 hour' ELSE midnight END
        FROM (SELECT CAST(day AS timestamp) AT TIME ZONE tz AS midnight) AS usual);

-- Buckets start at multiples of 15 minutes in UTC: hours when a local hour starts or the clock is changed; days, weeks and
-- months when the local date changes. From the bucket with the start of the range to the end of the one with its end.
CREATE OR REPLACE FUNCTION gold.bucket_starts(granularity gold.granularity, since timestamptz, until timestamptz, tz text)
RETURNS timestamptz[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    step       CONSTANT interval := CASE WHEN granularity IN ('quarter_hour', 'hour') THEN '15 minutes'
                                         ELSE '1 ' || granularity END;
    candidates CONSTANT timestamptz[] := CASE WHEN granularity < 'day' THEN ARRAY(
        SELECT start FROM generate_series(gold.bucket_of(since) - interval '2 hours', until + interval '2 hours', step) AS start
        WHERE granularity <> 'hour' OR date_part('minute', start AT TIME ZONE tz) < 15
           OR start AT TIME ZONE tz <> (start - step) AT TIME ZONE tz + step
    ) ELSE ARRAY(
        SELECT DISTINCT gold.bucket_of(gold.day_start(CAST(day AS date), tz)) AS start FROM generate_series(
            date_trunc(CAST(granularity AS text), since AT TIME ZONE tz), (until AT TIME ZONE tz) + 2 * step, step
        ) AS day ORDER BY start
    ) END;
BEGIN
    RETURN candidates[width_bucket(since, candidates):width_bucket(until - interval '1 microsecond', candidates) + 1];
END $$;

-- `readable` limits the result to sources that are LIKE one of these patterns. Planned by index, like gold.refresh; with the
-- privileges of the schema's owner, so that readers don't need any on its tables.
CREATE OR REPLACE FUNCTION gold.quality(
    granularity gold.granularity, since timestamptz, until timestamptz, only_source text DEFAULT NULL,
    tz text DEFAULT 'UTC', together boolean DEFAULT false, readable text[] DEFAULT NULL
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, source text, processed bigint, rejected bigint, resolved bigint,
    flagged bigint, rejected_by_rule jsonb, flagged_by_rule jsonb, rules jsonb,
    latency_mean_ms float8, latency_p50_ms float8, latency_p95_ms float8, latency_max_ms float8
) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off
SET enable_memoize = off AS $$
#variable_conflict use_column
DECLARE
    starts CONSTANT timestamptz[] := gold.bucket_starts(granularity, since, until, tz);
    width  CONSTANT interval := '1 ' || least(granularity, 'minute');
BEGIN
    RETURN QUERY
    WITH kept AS MATERIALIZED (
        SELECT *, width_bucket(a.bucket_start, starts) AS bucket, CASE WHEN together THEN '' ELSE source END AS shown
        FROM (
            SELECT * FROM gold.arrived_now
            WHERE granularity > 'minute' AND bucket_start >= starts[1] AND bucket_start < starts[cardinality(starts)]
            UNION ALL
            SELECT * FROM gold.compute_arrived(trim_array(starts, 1), width) WHERE granularity <= 'minute'
        ) AS a
        WHERE (only_source IS NULL OR source = only_source) AND (readable IS NULL OR source LIKE ANY (readable))
    ), arrived AS (
        SELECT bucket, shown, sum(events - rejected) AS processed, sum(rejected) AS rejected,
               sum(flagged) AS flagged, sum(latency_total_ms) / nullif(sum(latency_count), 0) AS mean, max(latency_max_ms) AS longest
        FROM kept GROUP BY 1, 2
    ), part AS MATERIALIZED (
        SELECT bucket, shown, bin, rules, sum(number) AS events, sum(bad) AS rejected
        FROM kept, unnest(group_bins, group_rules, group_events, group_rejected) AS part (bin, rules, number, bad)
        GROUP BY 1, 2, 3, 4
    ), code AS (
        SELECT bucket, shown, jsonb_object_agg(code, bad) FILTER (WHERE bad > 0) AS rejected_by_rule,
               jsonb_object_agg(code, good) FILTER (WHERE good > 0) AS flagged_by_rule
        FROM (
            SELECT bucket, shown, code, sum(rejected) AS bad, sum(events - rejected) AS good
            FROM part, LATERAL (SELECT DISTINCT code FROM gold.broken_rules(rules)) AS broken GROUP BY 1, 2, 3
        ) AS broken GROUP BY 1, 2
    ), rule AS (
        SELECT bucket, shown, jsonb_path_query_array(jsonb_agg(
                   to_jsonb(hit) - ARRAY['bucket', 'shown'] ORDER BY events DESC, code, contract, rule, severity
               ), '$[0 to 99]') AS rules
        FROM (
            SELECT bucket, shown, code, contract, rule, severity, sum(number) AS events
            FROM part, gold.broken_rules(rules) AS broken,
                 LATERAL (VALUES ('error', rejected), ('warning', events - rejected)) AS became (severity, number)
            WHERE number > 0 GROUP BY 1, 2, 3, 4, 5, 6
        ) AS hit GROUP BY 1, 2
    ), percentile AS (
        SELECT bucket, shown, min(bin) FILTER (WHERE share >= 0.5) AS p50, min(bin) FILTER (WHERE share >= 0.95) AS p95
        FROM (
            SELECT *, sum(events) OVER (whole ORDER BY bin) / sum(events) OVER whole AS share
            FROM part WHERE bin IS NOT NULL WINDOW whole AS (PARTITION BY bucket, shown)
        ) AS latency GROUP BY 1, 2
    ), fixed AS (
        SELECT width_bucket(uuid_extract_timestamp(raw_id), starts) AS bucket,
               CASE WHEN together THEN '' ELSE source END AS shown, count(*) AS resolved
        FROM gold.resolved(starts[1], starts[cardinality(starts)])
        WHERE (only_source IS NULL OR source = only_source) AND (readable IS NULL OR source LIKE ANY (readable))
        GROUP BY 1, 2
    )
    SELECT starts[bucket], starts[bucket + 1], shown, processed, rejected, coalesce(resolved, 0), flagged,
           coalesce(rejected_by_rule, '{}'), coalesce(flagged_by_rule, '{}'), coalesce(rules, '[]'), mean,
           least(2 ^ ((p50 - 0.5::float8) / 4), longest), least(2 ^ ((p95 - 0.5::float8) / 4), longest), longest
    FROM arrived LEFT JOIN code USING (bucket, shown) LEFT JOIN rule USING (bucket, shown)
    LEFT JOIN percentile USING (bucket, shown) LEFT JOIN fixed USING (bucket, shown) ORDER BY bucket, shown;
END $$;

CREATE OR REPLACE FUNCTION gold.kpis(
    granularity gold.granularity, since timestamptz, until timestamptz, only_source text DEFAULT NULL,
    tz text DEFAULT 'UTC', expected_seconds float8 DEFAULT NULL, readable text[] DEFAULT NULL
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, source text, events bigint, sample_count bigint,
    mean float8, std_dev float8, min float8, max float8, first_measured_at timestamptz, last_measured_at timestamptz,
    gaps bigint, longest_pause_seconds float8, expected_pause_seconds float8, gap_limit_seconds float8
) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off
SET enable_memoize = off AS $$
#variable_conflict use_column
DECLARE
    starts CONSTANT timestamptz[] := gold.bucket_starts(granularity, since, until, tz);
    width  CONSTANT interval := '1 ' || least(granularity, 'minute');
BEGIN
    RETURN QUERY
    WITH kept AS MATERIALIZED (
        SELECT *, date_part('epoch', first_measured_at - coalesce(
                   lag(last_measured_at) OVER (PARTITION BY source ORDER BY bucket, bucket_start), (
                       SELECT greatest(max(measured_at), archive.last_measured(m.source, max(measured_at), m.bucket_start))
                       FROM public.measurements AS b WHERE b.source = m.source AND b.measured_at < m.first_measured_at
                   )
               )) AS pause_before,
               greatest(min(mean) OVER whole, least(max(mean) OVER whole, 0)) AS near,
               sample_count / sum(CAST(sample_count AS float8)) OVER whole AS weight
        FROM (
            SELECT * FROM gold.measured_now
            WHERE granularity > 'minute' AND bucket_start >= starts[1] AND bucket_start < starts[cardinality(starts)]
            UNION ALL
            SELECT * FROM gold.compute_measured(trim_array(starts, 1), width) WHERE granularity <= 'minute'
        ) AS m
        CROSS JOIN LATERAL (SELECT width_bucket(m.bucket_start, starts) AS bucket) AS place
        WHERE (only_source IS NULL OR source = only_source) AND (readable IS NULL OR source LIKE ANY (readable))
        WINDOW whole AS (PARTITION BY source, bucket)
    ), bound AS MATERIALIZED (
        SELECT source, expected, limit_bin, 2 ^ (limit_bin / 4.0::float8) AS seconds
        FROM (
            SELECT source, coalesce(expected_seconds, percentile_disc(0.5) WITHIN GROUP (
                       ORDER BY coalesce(usual_pause_seconds, pause_before))) AS expected
            FROM kept GROUP BY 1
        ) AS usual, gold.bin(1.5 * expected) AS limit_bin
    )
    SELECT starts[bucket], starts[bucket + 1], source, sum(events), CAST(sum(sample_count) AS bigint),
           min(near) + (gold.combine(gold.part(weight, mean, std_dev, near)))[2],
           gold.pooled_std_dev(gold.combine(gold.part(weight, mean, std_dev, near))),
           min(min), max(max), min(first_measured_at), max(last_measured_at),
           count(*) FILTER (WHERE pause_before > seconds) + CAST(coalesce(sum((
               SELECT sum(number) FROM unnest(pause_bins, pause_counts) AS pauses (bin, number) WHERE bin > limit_bin
           )) FILTER (WHERE longest_pause_seconds > seconds), 0) AS bigint),
           max(greatest(pause_before, longest_pause_seconds)), min(expected), min(seconds)
    FROM kept JOIN bound USING (source) GROUP BY bucket, source
    ORDER BY bucket, source;
END $$;

-- The cost of a request, by kind: the rows of gold in its range, and the events to read from silver, estimated from gold.
CREATE OR REPLACE FUNCTION gold.cost(
    kind text, granularity gold.granularity, since timestamptz, until timestamptz, only_source text, tz text, most bigint,
    readable text[] DEFAULT NULL
) RETURNS TABLE (parts bigint, events bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    starts CONSTANT timestamptz[] := gold.bucket_starts(granularity, since, until, tz);
BEGIN
    RETURN QUERY EXECUTE format($sql$
        SELECT count(*), coalesce(sum(events) FILTER (WHERE $5), 0) + (
            SELECT coalesce(sum(events), 0) FROM gold.%1$I_stale WHERE bucket_start >= $1 AND bucket_start < $2
        )
        FROM (
            SELECT events FROM gold.%1$I
            WHERE bucket_start >= gold.bucket_of($1) AND bucket_start < $2 AND ($3 IS NULL OR source = $3)
              AND ($6 IS NULL OR source LIKE ANY ($6)) LIMIT $4
        ) AS kept
    $sql$, kind) USING starts[1], starts[cardinality(starts)], only_source, most, granularity <= 'minute', readable;
END $$;
