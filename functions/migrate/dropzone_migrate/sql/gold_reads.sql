-- Where the local date changes: midnight, or the first of two, or the end of the gap that it lies in.
CREATE OR REPLACE FUNCTION gold.day_start(day date, tz text) RETURNS timestamptz LANGUAGE sql STABLE
RETURN (SELECT CASE WHEN CAST((midnight - interval '1 hour') AT TIME ZONE tz AS date) = day
                    THEN midnight - interval '1 hour' ELSE midnight END
        FROM (SELECT CAST(day AS timestamp) AT TIME ZONE tz AS midnight) AS usual);

-- Buckets begin at a multiple of 15 minutes of UTC: hours where the local clock begins one or is set, days, weeks and
-- months where the local date changes. From the bucket that the range begins in to the end of the one it ends in.
CREATE OR REPLACE FUNCTION gold.bucket_starts(
    granularity gold.granularity, since timestamptz, until timestamptz, tz text
) RETURNS timestamptz[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    step       CONSTANT interval := CASE WHEN granularity IN ('quarter_hour', 'hour') THEN '15 minutes'
                                         ELSE '1 ' || granularity END;
    candidates CONSTANT timestamptz[] := CASE WHEN granularity < 'day' THEN ARRAY(
        SELECT start FROM generate_series(
            gold.bucket_of(since) - interval '2 hours', until + interval '2 hours', step
        ) AS start
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

-- Planned by index, as gold.refresh is; with the rights of the schema's owner, so that readers need none to its tables.
CREATE OR REPLACE FUNCTION gold.quality(
    granularity gold.granularity, since timestamptz, until timestamptz, only_source text DEFAULT NULL,
    tz text DEFAULT 'UTC', together boolean DEFAULT false
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, source text, processed bigint, rejected bigint,
    flagged bigint, rejected_by_rule jsonb, flagged_by_rule jsonb, latency_mean_ms double precision,
    latency_p50_ms double precision, latency_p95_ms double precision, latency_max_ms double precision
) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_memoize = off AS $$
#variable_conflict use_column
DECLARE
    starts CONSTANT timestamptz[] := gold.bucket_starts(granularity, since, until, tz);
BEGIN
    RETURN QUERY
    WITH part AS MATERIALIZED (
        SELECT width_bucket(a.bucket_start, starts) AS bucket, CASE WHEN together THEN '' ELSE source END AS source,
               events, rejected, flagged, rejected_by_rule, flagged_by_rule, settled, latency_total_ms, latency_max_ms,
               latency_bins, latency_counts
        FROM (
            SELECT * FROM gold.arrived_now
            WHERE granularity <> 'minute' AND bucket_start >= starts[1] AND bucket_start < starts[cardinality(starts)]
            UNION ALL
            SELECT * FROM gold.compute_arrived(trim_array(starts, 1), '1 minute') WHERE granularity = 'minute'
        ) AS a
        WHERE only_source IS NULL OR source = only_source
    ), arrived AS (
        SELECT bucket, source, sum(events - rejected) AS processed, sum(rejected) AS rejected,
               sum(flagged) AS flagged, sum(latency_total_ms) / nullif(sum(settled), 0) AS mean, max(latency_max_ms) AS longest
        FROM part GROUP BY 1, 2
    ), rules AS (
        SELECT bucket, source, jsonb_object_agg_strict(code, rejected) AS rejected_by_rule,
               jsonb_object_agg_strict(code, flagged) AS flagged_by_rule
        FROM (
            SELECT bucket, source, code, sum(CAST(rejected_by_rule ->> code AS integer)) AS rejected,
                   sum(CAST(flagged_by_rule ->> code AS integer)) AS flagged
            FROM part, jsonb_object_keys(rejected_by_rule || flagged_by_rule) AS code GROUP BY 1, 2, 3
        ) AS rule GROUP BY 1, 2
    ), percentile AS (
        SELECT bucket, source, min(bin) FILTER (WHERE up_to >= 0.5 * total) AS p50,
               min(bin) FILTER (WHERE up_to >= 0.95 * total) AS p95
        FROM (
            SELECT bucket, source, bin, sum(sum(number)) OVER (PARTITION BY bucket, source ORDER BY bin) AS up_to,
                   sum(sum(number)) OVER (PARTITION BY bucket, source) AS total
            FROM part CROSS JOIN LATERAL unnest(latency_bins, latency_counts) AS latency (bin, number)
            WHERE bin IS NOT NULL GROUP BY 1, 2, 3
        ) AS latency GROUP BY 1, 2
    )
    SELECT starts[bucket], starts[bucket + 1], source, processed, rejected, flagged, coalesce(rejected_by_rule, '{}'),
           coalesce(flagged_by_rule, '{}'), mean,
           least(2 ^ ((p50 - 0.5::double precision) / 4), longest),
           least(2 ^ ((p95 - 0.5::double precision) / 4), longest), longest
    FROM arrived LEFT JOIN rules USING (bucket, source) LEFT JOIN percentile USING (bucket, source)
    ORDER BY bucket, source;
END $$;

-- Derived from the corrections as they are now, so that a replay that rejects one opens what it had resolved.
CREATE OR REPLACE FUNCTION gold.resolved_by(rejected_raw_id uuid, rejected_item integer)
RETURNS TABLE (raw_id uuid, item integer) LANGUAGE sql STABLE ROWS 1 AS $$
    WITH RECURSIVE correction AS (
        SELECT c.raw_id, c.item, c.outcome FROM public.outcomes AS c
        WHERE c.corrects_raw_id = rejected_raw_id AND c.corrects_item = rejected_item
        UNION
        SELECT c.raw_id, c.item, c.outcome FROM correction AS failed
        JOIN public.outcomes AS c ON c.corrects_raw_id = failed.raw_id AND c.corrects_item = failed.item
        WHERE failed.outcome = 'rejected'
    )
    SELECT c.raw_id, c.item FROM correction AS c WHERE c.outcome = 'processed'
    ORDER BY c.raw_id DESC, c.item DESC LIMIT 1
$$;

CREATE OR REPLACE FUNCTION gold.resolved(
    granularity gold.granularity, since timestamptz, until timestamptz, only_source text DEFAULT NULL,
    tz text DEFAULT 'UTC'
) RETURNS TABLE (bucket_start timestamptz, source text, resolved bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    starts CONSTANT timestamptz[] := gold.bucket_starts(granularity, since, until, tz);
BEGIN
    RETURN QUERY
    SELECT starts[width_bucket(uuid_extract_timestamp(o.raw_id), starts)], coalesce(o.source, ''), count(*)
    FROM (
        SELECT DISTINCT corrects_raw_id AS raw_id, corrects_item AS item FROM public.outcomes
        WHERE corrects_raw_id >= gold.earliest_raw_id(starts[1])
          AND corrects_raw_id < gold.earliest_raw_id(starts[cardinality(starts)])
    ) AS corrected
    JOIN public.outcomes AS o ON o.raw_id = corrected.raw_id AND o.item = corrected.item
    WHERE o.outcome = 'rejected' AND (only_source IS NULL OR coalesce(o.source, '') = only_source)
      AND EXISTS (SELECT FROM gold.resolved_by(o.raw_id, o.item))
    GROUP BY 1, 2;
END $$;

CREATE OR REPLACE FUNCTION gold.kpis(
    granularity gold.granularity, since timestamptz, until timestamptz, only_source text DEFAULT NULL,
    tz text DEFAULT 'UTC', expected_seconds double precision DEFAULT NULL
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, source text, events bigint, sample_count bigint,
    mean double precision, std_dev double precision, min double precision, max double precision,
    first_measured_at timestamptz, last_measured_at timestamptz,
    gaps bigint, longest_pause_seconds double precision, expected_pause_seconds double precision,
    gap_limit_seconds double precision, processed bigint, rejected bigint, flagged bigint, rejected_by_rule jsonb,
    flagged_by_rule jsonb, latency_mean_ms double precision, latency_max_ms double precision
) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off SET enable_memoize = off AS $$
#variable_conflict use_column
DECLARE
    starts CONSTANT timestamptz[] := gold.bucket_starts(granularity, since, until, tz);
BEGIN
    RETURN QUERY
    WITH ordered AS (
        SELECT *, lag(last_measured_at) OVER (PARTITION BY source ORDER BY bucket, m.bucket_start) AS measured_before,
               gold.near(min(mean) OVER whole, max(mean) OVER whole) AS near,
               sample_count / sum(CAST(sample_count AS double precision)) OVER whole AS weight
        FROM (
            SELECT * FROM gold.measured_now
            WHERE granularity <> 'minute' AND bucket_start >= starts[1] AND bucket_start < starts[cardinality(starts)]
            UNION ALL
            SELECT * FROM gold.compute_measured(trim_array(starts, 1), '1 minute') WHERE granularity = 'minute'
        ) AS m
        CROSS JOIN LATERAL (SELECT width_bucket(m.bucket_start, starts) AS bucket) AS place
        WHERE only_source IS NULL OR source = only_source
        WINDOW whole AS (PARTITION BY source, bucket)
    ), paused AS MATERIALIZED (
        SELECT *, date_part('epoch', first_measured_at - coalesce(measured_before, (
            SELECT max(measured_at) FROM public.measurements AS m
            WHERE m.source = ordered.source AND m.measured_at < first_measured_at
        ))) AS pause_before
        FROM ordered
    ), bound AS MATERIALIZED (
        SELECT *, gold.bin(1.5 * expected) AS bin, 2 ^ (gold.bin(1.5 * expected) / 4.0::double precision) AS seconds
        FROM (
            SELECT source, coalesce(expected_seconds, percentile_disc(0.5) WITHIN GROUP (
                       ORDER BY coalesce(usual_pause_seconds, pause_before))) AS expected
            FROM paused GROUP BY 1
        ) AS usual
    ), measured AS (
        SELECT starts[bucket] AS bucket_start, starts[bucket + 1] AS bucket_end, source, sum(events) AS events,
               CAST(sum(sample_count) AS bigint) AS sample_count,
               gold.combine(gold.part(weight, mean, std_dev, near)) AS pooled, min(near) AS near,
               min(min) AS min, max(max) AS max, min(first_measured_at) AS first, max(last_measured_at) AS last,
               count(*) FILTER (WHERE pause_before > seconds) + CAST(coalesce(sum((
                   SELECT sum(number) FROM unnest(pause_bins, pause_counts) AS pauses (pause_bin, number)
                   WHERE pause_bin > bin
               )) FILTER (WHERE longest_pause_seconds > seconds), 0) AS bigint) AS gaps,
               max(greatest(pause_before, longest_pause_seconds)) AS longest,
               min(expected) AS expected, min(seconds) AS seconds
        FROM paused JOIN bound USING (source) GROUP BY bucket, source
    )
    SELECT bucket_start, bucket_end, source, coalesce(events, 0), coalesce(sample_count, 0),
           gold.pooled_mean(pooled, near), gold.pooled_std_dev(pooled), min, max, first, last,
           coalesce(gaps, 0), longest, expected, seconds, coalesce(processed, 0), coalesce(rejected, 0),
           coalesce(flagged, 0), coalesce(rejected_by_rule, '{}'), coalesce(flagged_by_rule, '{}'), latency_mean_ms, latency_max_ms
    FROM measured FULL JOIN gold.quality(granularity, since, until, only_source, tz) AS quality
         USING (bucket_start, bucket_end, source)
    ORDER BY bucket_start, source;
END $$;

-- What a question costs, by kind: rows of gold in its range, and events to read from silver, by what gold knows of them.
CREATE OR REPLACE FUNCTION gold.cost(
    granularity gold.granularity, since timestamptz, until timestamptz, only_source text, tz text, most bigint
) RETURNS TABLE (kind text, parts bigint, events bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    starts CONSTANT timestamptz[] := gold.bucket_starts(granularity, since, until, tz);
BEGIN
    FOREACH kind IN ARRAY ARRAY['measured', 'arrived'] LOOP
        RETURN QUERY EXECUTE format($sql$
            SELECT %1$L, count(*), coalesce(sum(events) FILTER (WHERE $5), 0) + (
                SELECT coalesce(sum(events), 0) FROM gold.%1$I_stale WHERE bucket_start >= $1 AND bucket_start < $2
            )
            FROM (
                SELECT events FROM gold.%1$I
                WHERE bucket_start >= gold.bucket_of($1) AND bucket_start < $2 AND ($3 IS NULL OR source = $3) LIMIT $4
            ) AS kept
        $sql$, kind) USING starts[1], starts[cardinality(starts)], only_source, most, granularity = 'minute';
    END LOOP;
END $$;
