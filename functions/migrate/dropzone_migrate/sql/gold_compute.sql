CREATE OR REPLACE FUNCTION gold.quarter_of(instant timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN date_bin('15 minutes', instant, '2000-01-01T00:00:00Z');

CREATE OR REPLACE FUNCTION gold.earliest_raw_id(instant timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CAST(
    lpad(to_hex(CAST(greatest(trunc(extract(epoch FROM instant) * 1000), 0) AS bigint)), 12, '0')
    || '70008000000000000000' AS uuid
);

CREATE OR REPLACE FUNCTION gold.measure(since timestamptz, until timestamptz, width interval, only_source text DEFAULT NULL)
RETURNS SETOF gold.measured LANGUAGE plpgsql STABLE ROWS 100 SET jit = off AS $$
DECLARE
    careful boolean;
    parts   gold.measured[];
BEGIN
    FOREACH careful IN ARRAY ARRAY[false, true] LOOP
        BEGIN
            WITH event AS (
                SELECT quarter, source, measured_at, samples, mean, std_dev, min, max,
                       date_part('epoch', measured_at - lag(measured_at) OVER part) AS pause,
                       sum(samples * mean) OVER part / sum(samples) OVER part AS near
                FROM (
                    SELECT date_bin(width, measured_at, since) AS quarter, source, measured_at, min, max,
                           sample_count AS samples,
                           CASE WHEN careful THEN 0 ELSE mean END AS mean,
                           CASE WHEN careful THEN 0 ELSE std_dev END AS std_dev
                    FROM public.measurements
                    WHERE measured_at >= since AND measured_at < until
                      AND (only_source IS NULL OR source = only_source)
                ) AS m
                WINDOW part AS (
                    PARTITION BY quarter, source ORDER BY measured_at
                    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
                )
            ), piece AS (
                SELECT quarter, source, ceil(4 / log(2::float8) * log(pause) - 1e-9)::integer AS bin,
                       count(*) AS events, sum(samples) AS samples, min(near) AS near,
                       sum(samples * (mean - near)) AS away,
                       sum(samples * (std_dev * std_dev + (mean - near) * (mean - near))) AS spread,
                       min(min) AS min, max(max) AS max, min(measured_at) AS first, max(measured_at) AS last,
                       sum(pause) AS paused, max(pause) AS longest
                FROM event GROUP BY 1, 2, 3
            ), around AS (
                SELECT *, sum(events) OVER beside AS events_around, sum(paused) OVER beside AS paused_around
                FROM piece
                WINDOW beside AS (
                    PARTITION BY quarter, source ORDER BY bin RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING
                )
            ), part AS (
                SELECT quarter, source, sum(events)::bigint AS events, sum(samples)::bigint AS samples,
                       min(near) AS near, sum(away) / sum(samples) AS away, sum(spread) / sum(samples) AS spread,
                       min(min) AS min, max(max) AS max, min(first) AS first, max(last) AS last,
                       (array_agg(paused_around / events_around ORDER BY events_around DESC, bin)
                        FILTER (WHERE bin IS NOT NULL))[1] AS usual,
                       max(longest) AS longest,
                       array_agg(bin ORDER BY bin) FILTER (WHERE bin IS NOT NULL) AS bins,
                       array_agg(events ORDER BY bin) FILTER (WHERE bin IS NOT NULL) AS counts
                FROM around GROUP BY 1, 2
            ), pool AS (
                SELECT date_bin(width, measured_at, since) AS quarter, source,
                       gold.pool(sample_count, mean, std_dev) AS pooled
                FROM public.measurements
                WHERE careful AND measured_at >= since AND measured_at < until
                  AND (only_source IS NULL OR source = only_source)
                GROUP BY 1, 2
            )
            SELECT array_agg(ROW(
                       quarter, source, events, samples, coalesce((pooled).mean, near + away),
                       coalesce((pooled).std_dev, sqrt(greatest(spread - away * away, 0))),
                       min, max, first, last, usual, longest, coalesce(bins, '{}'), coalesce(counts, '{}')
                   )::gold.measured)
            INTO parts
            FROM part LEFT JOIN pool USING (quarter, source);
            EXIT;
        EXCEPTION WHEN numeric_value_out_of_range THEN
            IF careful THEN
                RAISE;
            END IF;
        END;
    END LOOP;
    RETURN QUERY SELECT * FROM unnest(parts);
END $$;

CREATE OR REPLACE FUNCTION gold.arrive(since timestamptz, until timestamptz, width interval, only_source text DEFAULT NULL)
RETURNS SETOF gold.arrived LANGUAGE sql STABLE ROWS 100
SET jit = off SET enable_nestloop = off SET enable_sort = off AS $$
    WITH event AS (
        SELECT date_bin(width, uuid_extract_timestamp(o.raw_id), since) AS quarter,
               coalesce(o.source, '') AS source, o.outcome,
               date_part('epoch', r.settled_at - least(uuid_extract_timestamp(o.raw_id), r.settled_at)) * 1000
               AS latency
        FROM public.outcomes AS o LEFT JOIN public.receipts AS r
          ON r.raw_id = o.raw_id AND r.settled_at IS NOT NULL
             AND r.raw_id >= gold.earliest_raw_id(since) AND r.raw_id < gold.earliest_raw_id(until)
        WHERE o.raw_id >= gold.earliest_raw_id(since) AND o.raw_id < gold.earliest_raw_id(until)
          AND (only_source IS NULL OR coalesce(o.source, '') = only_source)
    ), piece AS (
        SELECT quarter, source,
               CASE WHEN latency IS NOT NULL
                    THEN ceil(4 / log(2::float8) * log(greatest(latency, 1)) - 1e-9)::integer END AS bin,
               count(*) AS events, count(*) FILTER (WHERE outcome = 'rejected') AS rejected,
               sum(latency) AS total, max(latency) AS longest
        FROM event GROUP BY 1, 2, 3
    )
    SELECT quarter, source, (sum(events) - sum(rejected))::bigint, sum(rejected)::bigint,
           coalesce(sum(events) FILTER (WHERE bin IS NOT NULL), 0)::bigint, coalesce(sum(total), 0), max(longest),
           coalesce(array_agg(bin ORDER BY bin) FILTER (WHERE bin IS NOT NULL), '{}'),
           coalesce(array_agg(events ORDER BY bin) FILTER (WHERE bin IS NOT NULL), '{}')
    FROM piece GROUP BY 1, 2
$$;

CREATE OR REPLACE FUNCTION gold.reject(since timestamptz, until timestamptz, width interval, only_source text DEFAULT NULL)
RETURNS SETOF gold.rejected LANGUAGE sql STABLE ROWS 100 SET jit = off AS $$
    SELECT date_bin(width, uuid_extract_timestamp(raw_id), since), coalesce(source, ''), code, count(*)
    FROM public.outcomes CROSS JOIN LATERAL (
        SELECT DISTINCT violation ->> 'code' AS code FROM jsonb_array_elements(violations) AS violation
    ) AS broken
    WHERE outcome = 'rejected'
      AND raw_id >= gold.earliest_raw_id(since) AND raw_id < gold.earliest_raw_id(until)
      AND (only_source IS NULL OR coalesce(source, '') = only_source)
    GROUP BY 1, 2, 3
$$;

COMMENT ON FUNCTION gold.earliest_raw_id IS 'The smallest raw_id that can be made at an instant: raw_ids are in the order of arrival.';

COMMENT ON FUNCTION gold.measure IS 'The measurements from one instant to before another, computed from silver: a row for each source and piece of this width, the first of which begins with the first instant.';

COMMENT ON FUNCTION gold.arrive IS 'As gold.measure, of the outcomes of what arrived.';

COMMENT ON FUNCTION gold.reject IS 'As gold.measure, of the rules that broke what arrived.';
