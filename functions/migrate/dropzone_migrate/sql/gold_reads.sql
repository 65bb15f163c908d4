CREATE OR REPLACE FUNCTION gold.kpis(
    granularity text, since timestamptz, until timestamptz, only_source text DEFAULT NULL,
    tz text DEFAULT 'UTC', expected_seconds double precision DEFAULT NULL
) RETURNS TABLE (
    starts_at timestamptz, ends_at timestamptz, source text, events bigint, samples bigint,
    mean double precision, std_dev double precision, min double precision, max double precision,
    first timestamptz, last timestamptz,
    gaps bigint, gap_longest double precision, gap_expected double precision, gap_limit double precision,
    processed bigint, rejected bigint, rejected_by_rule jsonb,
    latency_mean_ms double precision, latency_max_ms double precision
) LANGUAGE plpgsql STABLE SET jit = off AS $$
#variable_conflict use_column
DECLARE
    starts    CONSTANT timestamptz[] := gold.starts(granularity, since, until, tz);
    by_minute CONSTANT boolean := granularity = 'minute';
BEGIN
    RETURN QUERY
    WITH part AS (
        SELECT p.*, width_bucket(p.quarter, starts) AS bucket,
               date_part('epoch', p.first - lag(p.last) OVER (PARTITION BY p.source ORDER BY p.quarter)) AS pause
        FROM gold.measured_in(starts, by_minute, only_source) AS p
    ), joined AS MATERIALIZED (
        SELECT *, coalesce(pause, date_part('epoch', first - gold.last_before(source, first))) AS pause_before
        FROM part
    ), wild AS MATERIALIZED (
        SELECT coalesce(bool_or(
            greatest(abs(mean), std_dev) > 1e140
            OR abs(mean) < 1e-120 AND mean <> 0 OR std_dev < 1e-120 AND std_dev <> 0
        ), false) AS is_wild FROM joined
    ), usual AS (
        SELECT source, coalesce(expected_seconds, percentile_disc(0.5) WITHIN GROUP (
                   ORDER BY coalesce(pause_usual, pause_before))) AS expected
        FROM joined GROUP BY source
    ), bound AS MATERIALIZED (
        SELECT source, expected, ceil(4 / log(2::float8) * log(1.5 * expected) - 1e-9) AS bin FROM usual
    ), measured AS MATERIALIZED (
        SELECT j.bucket, j.source, CAST(sum(j.events) AS bigint) AS events,
               CAST(sum(j.samples) AS bigint) AS samples,
               sum(j.samples * j.mean) FILTER (WHERE NOT (SELECT is_wild FROM wild)) / sum(j.samples) AS near,
               min(j.min) AS min, max(j.max) AS max, min(j.first) AS first, max(j.last) AS last,
               CAST(sum(CASE WHEN j.pause_before > 2 ^ (b.bin / 4) THEN 1 ELSE 0 END
                        + CASE WHEN j.pause_longest > 2 ^ (b.bin / 4) THEN (
                            SELECT coalesce(sum(number), 0)
                            FROM unnest(j.pause_bins, j.pause_counts) AS pauses (bin, number)
                            WHERE pauses.bin > b.bin
                        ) ELSE 0 END) AS bigint) AS gaps,
               max(greatest(j.pause_before, j.pause_longest)) AS longest,
               min(b.expected) AS expected, min(2 ^ (b.bin / 4)) AS bound
        FROM joined AS j JOIN bound AS b ON b.source = j.source GROUP BY j.bucket, j.source
    ), around AS MATERIALIZED (
        SELECT bucket, source, sum(j.samples * (j.mean - m.near)) / min(m.samples) AS away,
               sum(j.samples * (j.std_dev * j.std_dev + (j.mean - m.near) * (j.mean - m.near))) / min(m.samples)
               AS spread
        FROM joined AS j JOIN measured AS m USING (bucket, source)
        WHERE NOT (SELECT is_wild FROM wild) GROUP BY 1, 2
    ), pool AS MATERIALIZED (
        SELECT bucket, source, gold.pool(samples, mean, std_dev) AS pooled
        FROM joined WHERE (SELECT is_wild FROM wild) GROUP BY 1, 2
    ), arrived AS MATERIALIZED (
        SELECT width_bucket(a.quarter, starts) AS bucket, a.source, CAST(sum(a.processed) AS bigint) AS processed,
               CAST(sum(a.rejected) AS bigint) AS rejected,
               sum(a.latency_total) / nullif(sum(a.settled), 0) AS latency, max(a.latency_longest) AS longest
        FROM gold.arrived_in(starts, by_minute, only_source) AS a GROUP BY 1, 2
    ), rule AS MATERIALIZED (
        SELECT width_bucket(r.quarter, starts) AS bucket, r.source, r.code, sum(r.events) AS events
        FROM gold.rejected_in(starts, by_minute, only_source) AS r GROUP BY 1, 2, 3
    ), rules AS (
        SELECT bucket, source, jsonb_object_agg(code, events) AS by_rule FROM rule GROUP BY 1, 2
    )
    SELECT starts[bucket], starts[bucket + 1], source, coalesce(m.events, 0), coalesce(m.samples, 0),
           coalesce((p.pooled).mean, m.near + c.away),
           CASE WHEN c.spread IS NULL THEN (p.pooled).std_dev
                ELSE sqrt(greatest(c.spread - gold.squared(c.away), 0)) END,
           m.min, m.max, m.first, m.last,
           coalesce(m.gaps, 0), m.longest, m.expected, m.bound,
           coalesce(a.processed, 0), coalesce(a.rejected, 0), coalesce(r.by_rule, '{}'), a.latency, a.longest
    FROM measured AS m LEFT JOIN around AS c USING (bucket, source) LEFT JOIN pool AS p USING (bucket, source)
    FULL JOIN arrived AS a USING (bucket, source) LEFT JOIN rules AS r USING (bucket, source)
    ORDER BY bucket, source;
END $$;

CREATE OR REPLACE FUNCTION gold.quality(
    granularity text, since timestamptz, until timestamptz, only_source text DEFAULT NULL, tz text DEFAULT 'UTC'
) RETURNS TABLE (
    starts_at timestamptz, ends_at timestamptz, source text, processed bigint, rejected bigint,
    rejected_by_rule jsonb, latency_mean_ms double precision, latency_p50_ms double precision,
    latency_p95_ms double precision, latency_max_ms double precision
) LANGUAGE plpgsql STABLE SET jit = off AS $$
#variable_conflict use_column
DECLARE
    starts    CONSTANT timestamptz[] := gold.starts(granularity, since, until, tz);
    by_minute CONSTANT boolean := granularity = 'minute';
BEGIN
    RETURN QUERY
    WITH part AS MATERIALIZED (
        SELECT width_bucket(a.quarter, starts) AS bucket, a.*
        FROM gold.arrived_in(starts, by_minute, only_source) AS a
    ), arrived AS (
        SELECT bucket, source, CAST(sum(processed) AS bigint) AS processed,
               CAST(sum(rejected) AS bigint) AS rejected,
               sum(latency_total) / nullif(sum(settled), 0) AS latency, max(latency_longest) AS longest
        FROM part GROUP BY 1, 2
    ), latency AS (
        SELECT bucket, source, bin, sum(number) AS number
        FROM part CROSS JOIN LATERAL unnest(latency_bins, latency_counts) AS latencies (bin, number)
        GROUP BY 1, 2, 3
    ), rank AS (
        SELECT bucket, source, bin, sum(number) OVER (PARTITION BY bucket, source ORDER BY bin) AS up_to,
               sum(number) OVER (PARTITION BY bucket, source) AS total
        FROM latency
    ), percentile AS (
        SELECT bucket, source, min(bin) FILTER (WHERE up_to >= 0.5 * total) AS p50,
               min(bin) FILTER (WHERE up_to >= 0.95 * total) AS p95
        FROM rank GROUP BY 1, 2
    ), rule AS MATERIALIZED (
        SELECT width_bucket(r.quarter, starts) AS bucket, r.source, r.code, sum(r.events) AS events
        FROM gold.rejected_in(starts, by_minute, only_source) AS r GROUP BY 1, 2, 3
    ), rules AS (
        SELECT bucket, source, jsonb_object_agg(code, events) AS by_rule FROM rule GROUP BY 1, 2
    )
    SELECT starts[bucket], starts[bucket + 1], source, a.processed, a.rejected, coalesce(r.by_rule, '{}'),
           a.latency, least(2 ^ ((p.p50 - 0.5::float8) / 4), a.longest),
           least(2 ^ ((p.p95 - 0.5::float8) / 4), a.longest), a.longest
    FROM arrived AS a LEFT JOIN percentile AS p USING (bucket, source) LEFT JOIN rules AS r USING (bucket, source)
    ORDER BY bucket, source;
END $$;

COMMENT ON FUNCTION gold.kpis IS 'Buckets of a minute, quarter_hour, hour or day (of a time zone) and source: measurements by their own instant, arrivals by theirs. A gap is a pause of more than gap_limit seconds before an event of the bucket: one and a half times what is expected, up to the next quarter power of two.';

COMMENT ON FUNCTION gold.quality IS 'Buckets of a minute, quarter_hour, hour or day (of a time zone) of arrival and source. Percentiles are within 10 % of the true ones.';
