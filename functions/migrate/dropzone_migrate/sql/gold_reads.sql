-- Where the local date changes: midnight, or the first of two, or the end of the gap that it lies in.
CREATE OR REPLACE FUNCTION gold.day_start(day date, tz text) RETURNS timestamptz LANGUAGE sql STABLE
RETURN (SELECT CASE WHEN CAST((midnight - interval '1 hour') AT TIME ZONE tz AS date) = day
                    THEN midnight - interval '1 hour' ELSE midnight END
        FROM (SELECT CAST(day AS timestamp) AT TIME ZONE tz AS midnight) AS usual);

-- Buckets begin at a quarter of an hour of UTC: hours where the local clock begins one or is set, days, weeks and months
-- where the local date changes.
CREATE OR REPLACE FUNCTION gold.bucket_starts(
    granularity gold.granularity, since timestamptz, until timestamptz, tz text
) RETURNS timestamptz[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    step  CONSTANT interval := CASE granularity WHEN 'quarter_hour' THEN '15 minutes' ELSE '1 ' || granularity END;
    first CONSTANT timestamptz := date_bin('1 hour', since, '2000-01-01T00:00:00Z') - interval '2 hours';
BEGIN
    RETURN ARRAY(
        SELECT start FROM (
            SELECT start, lag(start) OVER (ORDER BY start) AS previous, lead(start) OVER (ORDER BY start) AS next
            FROM (
                SELECT fixed AS start FROM generate_series(first, until + step, step) AS fixed
                WHERE granularity IN ('minute', 'quarter_hour')
                UNION
                SELECT quarter FROM (
                    SELECT quarter, quarter AT TIME ZONE tz AS clock,
                           lag(quarter AT TIME ZONE tz) OVER (ORDER BY quarter) AS clock_before
                    FROM generate_series(first, until + interval '2 hours', interval '15 minutes') AS quarter
                    WHERE granularity = 'hour'
                ) AS clock
                WHERE date_trunc('hour', clock) <> date_trunc('hour', clock_before)
                   OR clock - clock_before <> interval '15 minutes'
                UNION
                SELECT gold.bucket_of(gold.day_start(CAST(day AS date), tz)) FROM generate_series(
                    date_trunc(CAST(granularity AS text), since AT TIME ZONE tz), (until AT TIME ZONE tz) + 2 * step, step
                ) AS day
                WHERE granularity IN ('day', 'week', 'month')
            ) AS candidate
        ) AS bucket
        WHERE coalesce(next > since, true) AND coalesce(previous < until, true) ORDER BY start
    );
END $$;

-- gold.measured_in and gold.arrived_in: the parts of a range, what was computed and what is stale from silver itself.
DO $do$
DECLARE
    kind    text;
    compute text;
BEGIN
    FOR kind, compute IN VALUES ('measured', 'gold.measure'), ('arrived', 'gold.arrive') LOOP
        EXECUTE format($sql$
            CREATE OR REPLACE FUNCTION gold.%1$I_in(starts timestamptz[], width interval, only_source text)
            RETURNS SETOF gold.%1$I LANGUAGE sql STABLE AS $$
                SELECT * FROM gold.%1$I AS kept
                WHERE width = interval '15 minutes' AND (only_source IS NULL OR source = only_source)
                  AND bucket_start >= starts[1] AND bucket_start < starts[cardinality(starts)]
                  AND NOT EXISTS (
                      SELECT FROM gold.%1$I_stale AS stale WHERE stale.bucket_start = kept.bucket_start
                      AND stale.bucket_start >= starts[1] AND stale.bucket_start < starts[cardinality(starts)]
                  )
                UNION ALL
                SELECT * FROM %2$s(
                    CASE WHEN width < interval '15 minutes' THEN trim_array(starts, 1) ELSE ARRAY(
                        SELECT DISTINCT bucket_start FROM gold.%1$I_stale
                        WHERE bucket_start >= starts[1] AND bucket_start < starts[cardinality(starts)]
                    ) END, width, only_source)
            $$
        $sql$, kind, compute);
    END LOOP;
END $do$;

-- Planned by index, as gold.refresh is; with the rights of the schema's owner, so that readers need none to its tables.
CREATE OR REPLACE FUNCTION gold.quality(
    granularity gold.granularity, since timestamptz, until timestamptz, only_source text DEFAULT NULL,
    tz text DEFAULT 'UTC'
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, source text, processed bigint, rejected bigint,
    rejected_by_rule jsonb, latency_mean_ms double precision, latency_p50_ms double precision,
    latency_p95_ms double precision, latency_max_ms double precision
) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    starts CONSTANT timestamptz[] := gold.bucket_starts(granularity, since, until, tz);
    width  CONSTANT interval := CASE granularity WHEN 'minute' THEN '1 minute' ELSE '15 minutes' END;
BEGIN
    RETURN QUERY
    WITH part AS MATERIALIZED (
        SELECT width_bucket(a.bucket_start, starts) AS bucket, a.* FROM gold.arrived_in(starts, width, only_source) AS a
    ), arrived AS (
        SELECT bucket, source, CAST(sum(processed) AS bigint) AS processed, CAST(sum(rejected) AS bigint) AS rejected,
               sum(latency_total_ms) / nullif(sum(settled), 0) AS mean, max(latency_max_ms) AS longest
        FROM part GROUP BY 1, 2
    ), rule AS (
        SELECT bucket, source, code, sum(CAST(events AS bigint)) AS events
        FROM part CROSS JOIN LATERAL jsonb_each_text(rejected_by_rule) AS rule (code, events) GROUP BY 1, 2, 3
    ), rules AS (
        SELECT bucket, source, jsonb_object_agg(code, events) AS by_rule FROM rule GROUP BY 1, 2
    ), latency AS (
        SELECT bucket, source, bin, sum(sum(events)) OVER (PARTITION BY bucket, source ORDER BY bin) AS up_to,
               sum(sum(events)) OVER (PARTITION BY bucket, source) AS total
        FROM part CROSS JOIN LATERAL unnest(latency_bins, latency_counts) AS latency (bin, events) GROUP BY 1, 2, 3
    ), percentile AS (
        SELECT bucket, source, min(bin) FILTER (WHERE up_to >= 0.5 * total) AS p50,
               min(bin) FILTER (WHERE up_to >= 0.95 * total) AS p95
        FROM latency GROUP BY 1, 2
    )
    SELECT starts[bucket], starts[bucket + 1], source, processed, rejected, coalesce(by_rule, '{}'), mean,
           least(2 ^ ((p50 - 0.5::double precision) / 4), longest),
           least(2 ^ ((p95 - 0.5::double precision) / 4), longest), longest
    FROM arrived LEFT JOIN rules USING (bucket, source) LEFT JOIN percentile USING (bucket, source)
    ORDER BY bucket, source;
END $$;

CREATE OR REPLACE FUNCTION gold.kpis(
    granularity gold.granularity, since timestamptz, until timestamptz, only_source text DEFAULT NULL,
    tz text DEFAULT 'UTC', expected_seconds double precision DEFAULT NULL
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, source text, events bigint, sample_count bigint,
    mean double precision, std_dev double precision, min double precision, max double precision,
    first_measured_at timestamptz, last_measured_at timestamptz,
    gaps bigint, longest_pause_seconds double precision, expected_pause_seconds double precision,
    gap_limit_seconds double precision, processed bigint, rejected bigint, rejected_by_rule jsonb,
    latency_mean_ms double precision, latency_max_ms double precision
) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    starts CONSTANT timestamptz[] := gold.bucket_starts(granularity, since, until, tz);
    width  CONSTANT interval := CASE granularity WHEN 'minute' THEN '1 minute' ELSE '15 minutes' END;
BEGIN
    RETURN QUERY
    WITH part AS (
        SELECT width_bucket(p.bucket_start, starts) AS bucket, p.* FROM gold.measured_in(starts, width, only_source) AS p
    ), ordered AS (
        SELECT *, lag(last_measured_at) OVER (PARTITION BY source ORDER BY bucket, bucket_start) AS measured_before,
               gold.near(min(mean) OVER whole, max(mean) OVER whole) AS near,
               sample_count / sum(CAST(sample_count AS double precision)) OVER whole AS weight
        FROM part
        WINDOW whole AS (
            PARTITION BY source, bucket ORDER BY bucket_start ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        )
    ), paused AS MATERIALIZED (
        SELECT *, date_part('epoch', first_measured_at - coalesce(measured_before, (
            SELECT max(measured_at) FROM public.measurements AS m
            WHERE m.source = ordered.source AND m.measured_at < first_measured_at
        ))) AS pause_before
        FROM ordered
    ), usual AS (
        SELECT source, coalesce(expected_seconds, percentile_disc(0.5) WITHIN GROUP (
                   ORDER BY coalesce(usual_pause_seconds, pause_before))) AS expected
        FROM paused GROUP BY 1
    ), bound AS MATERIALIZED (
        SELECT source, expected, gold.bin(1.5 * expected) AS bin, 2 ^ (gold.bin(1.5 * expected) / 4.0::double precision) AS seconds
        FROM usual
    ), measured AS (
        SELECT bucket, source, CAST(sum(events) AS bigint) AS events, CAST(sum(sample_count) AS bigint) AS sample_count,
               gold.combine(gold.part(weight, mean, std_dev, near)) AS pooled, min(near) AS near,
               bool_and(mean = near AND coalesce(std_dev, 1) = 0) AS is_constant, min(min) AS min, max(max) AS max,
               min(first_measured_at) AS first, max(last_measured_at) AS last,
               CAST(sum(CASE WHEN pause_before > seconds THEN 1 ELSE 0 END
                        + CASE WHEN longest_pause_seconds > seconds THEN (
                            SELECT coalesce(sum(number), 0)
                            FROM unnest(pause_bins, pause_counts) AS pauses (pause_bin, number) WHERE pause_bin > bin
                        ) ELSE 0 END) AS bigint) AS gaps,
               max(greatest(pause_before, longest_pause_seconds)) AS longest,
               min(expected) AS expected, min(seconds) AS seconds
        FROM paused JOIN bound USING (source) GROUP BY 1, 2
    ), quality AS (
        SELECT width_bucket(q.bucket_start, starts) AS bucket, q.source, q.processed, q.rejected, q.rejected_by_rule,
               q.latency_mean_ms, q.latency_max_ms
        FROM gold.quality(granularity, since, until, only_source, tz) AS q
    )
    SELECT starts[bucket], starts[bucket + 1], source, coalesce(events, 0), coalesce(sample_count, 0),
           gold.pooled_mean(pooled, near), gold.pooled_std_dev(pooled, is_constant), min, max, first, last,
           coalesce(gaps, 0), longest, expected, seconds, coalesce(processed, 0), coalesce(rejected, 0),
           coalesce(rejected_by_rule, '{}'), latency_mean_ms, latency_max_ms
    FROM measured FULL JOIN quality USING (bucket, source)
    ORDER BY bucket, source;
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
            SELECT %1$L, count(*), CAST(coalesce(sum(events) FILTER (WHERE $5), 0) + (
                SELECT coalesce(sum(events), 0) FROM gold.%1$I_stale WHERE bucket_start >= $1 AND bucket_start < $2
            ) AS bigint)
            FROM (
                SELECT %2$s AS events FROM gold.%1$I
                WHERE bucket_start >= gold.bucket_of($1) AND bucket_start < $2 AND ($3 IS NULL OR source = $3) LIMIT $4
            ) AS kept
        $sql$, kind, CASE kind WHEN 'measured' THEN 'events' ELSE 'processed + rejected' END)
        USING starts[1], starts[cardinality(starts)], only_source, most, granularity = 'minute';
    END LOOP;
END $$;
