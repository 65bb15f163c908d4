-- The last measurement up to now (a clock that is ahead is no sign of life), the first one after now, the last arrival among
-- the recent ones, and the medians of the last twenty pauses and of recent latencies. The last 31 days are in two or three
-- months, and are enough for most sources; others are looked up in all months.
CREATE OR REPLACE FUNCTION gold.measured_by(of_source text) RETURNS TABLE (
    last_measured_at timestamptz, next_measured_at timestamptz, last_processed_at timestamptz,
    usual_interval_seconds double precision, usual_latency_seconds double precision
) LANGUAGE sql STABLE ROWS 1 AS $$
    WITH recent AS MATERIALIZED (
        SELECT measured_at, raw_id FROM public.measurements
        WHERE source = of_source AND measured_at <= now() AND measured_at > now() - interval '31 days'
        ORDER BY measured_at DESC LIMIT 21
    )
    SELECT greatest(max(measured_at) FILTER (WHERE measured_at <= now()), archive.last_measured(
               of_source, max(measured_at) FILTER (WHERE measured_at <= now()), now()
           )), (
               SELECT min(measured_at) FROM public.measurements WHERE source = of_source AND measured_at > now()
           ), max(uuid_extract_timestamp(raw_id)), percentile_disc(0.5) WITHIN GROUP (ORDER BY pause),
           percentile_disc(0.5) WITHIN GROUP (ORDER BY latency)
    FROM (
        SELECT measured_at, raw_id,
               date_part('epoch', measured_at - lead(measured_at) OVER (ORDER BY measured_at DESC)) AS pause,
               date_part('epoch', uuid_extract_timestamp(raw_id) - measured_at) AS latency
        FROM (
            SELECT * FROM recent WHERE (SELECT count(*) FROM recent) = 21
            UNION ALL
            SELECT * FROM (
                SELECT measured_at, raw_id FROM public.measurements WHERE source = of_source AND measured_at <= now()
                ORDER BY measured_at DESC LIMIT 21
            ) AS all_months WHERE (SELECT count(*) FROM recent) < 21
        ) AS event
        UNION ALL
        SELECT measured_at, raw_id, NULL, NULL
        FROM (
            SELECT measured_at, raw_id FROM public.measurements WHERE source = of_source AND measured_at > now()
            ORDER BY measured_at DESC LIMIT 21
        ) AS ahead
    ) AS recent
$$;

-- gold.refresh deletes a bucket's rows and inserts them again; this updates the sources that they belong to. A deleted row only
-- matters if its source has lost its last measurement.
CREATE OR REPLACE FUNCTION gold.keep_measured() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO gold.source (
        source, last_measured_at, next_measured_at, last_processed_at, usual_interval_seconds, usual_latency_seconds
    )
    SELECT source, found.*
    FROM (SELECT DISTINCT source FROM touched) AS touched
    LEFT JOIN gold.source AS kept USING (source) CROSS JOIN LATERAL gold.measured_by(source) AS found
    WHERE TG_OP = 'INSERT' OR NOT EXISTS (
        SELECT FROM public.measurements AS m
        WHERE m.source = touched.source AND m.measured_at = kept.last_measured_at
    )
    ON CONFLICT (source) DO UPDATE SET (
        last_measured_at, next_measured_at, last_processed_at, usual_interval_seconds, usual_latency_seconds
    ) = (
        excluded.last_measured_at, excluded.next_measured_at,
        -- The values of a source with only archived measurements are kept.
        CASE WHEN excluded.last_measured_at IS NULL THEN excluded.last_processed_at
             ELSE coalesce(excluded.last_processed_at, source.last_processed_at) END,
        CASE WHEN excluded.last_measured_at IS NULL THEN excluded.usual_interval_seconds
             ELSE coalesce(excluded.usual_interval_seconds, source.usual_interval_seconds) END,
        excluded.usual_latency_seconds
    );
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION gold.keep_arrived() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO gold.source (source, last_arrived_at)
    SELECT source, (
        SELECT last_arrived_at FROM gold.arrived AS kept WHERE kept.source = touched.source
        ORDER BY bucket_start DESC LIMIT 1
    )
    FROM (SELECT DISTINCT source FROM touched) AS touched
    ON CONFLICT (source) DO UPDATE SET last_arrived_at = excluded.last_arrived_at;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER source_insert AFTER INSERT ON gold.measured REFERENCING NEW TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION gold.keep_measured();
CREATE OR REPLACE TRIGGER source_delete AFTER DELETE ON gold.measured REFERENCING OLD TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION gold.keep_measured();
CREATE OR REPLACE TRIGGER source_insert AFTER INSERT ON gold.arrived REFERENCING NEW TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION gold.keep_arrived();
CREATE OR REPLACE TRIGGER source_delete AFTER DELETE ON gold.arrived REFERENCING OLD TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION gold.keep_arrived();

-- A CASE, for which Postgres estimates half of all rows: for the conditions themselves it estimates almost none, and sorts.
CREATE OR REPLACE FUNCTION gold.is_asked_for(source text, prefix text, readable text[], after text, upto text)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN starts_with(source, prefix) AND (readable IS NULL OR source LIKE ANY (readable)) AND (after IS NULL OR source > after)
             AND (upto IS NULL OR source <= upto)
            THEN true ELSE false END;

-- Stored sources, with the changes in stale buckets. Silver is read if a source's last measurement was in one of these buckets
-- and is gone, or if the time of one that was in the future has come.
--
-- late: one event is missing. silent: two are missing, or none was measured up to now. unnamed: rejected events whose source
-- could not be read, which is not a source that could be late. The expected interval is the contract's frequency, or else the
-- usual interval: at least a minute, since latencies vary, and a day for a source that has measured only once. Broken
-- expectations and stuck values are as of the last scheduled run (expectations.sql).
CREATE OR REPLACE FUNCTION gold.sources(
    prefix text DEFAULT '', in_state text DEFAULT NULL, after text DEFAULT NULL, most bigint DEFAULT NULL,
    readable text[] DEFAULT NULL
) RETURNS TABLE (
    source text, state text, first_measured_at timestamptz, last_measured_at timestamptz, last_arrived_at timestamptz,
    usual_interval_seconds double precision, events_of_last_day bigint, rejected_of_last_day bigint,
    usual_latency_seconds double precision, expected_interval_seconds double precision, contract text, broken text[],
    stuck_since timestamptz
) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off
SET enable_memoize = off AS $$
    -- If any state is requested, all stored sources are shown, so a page ends no later than a page of only stored sources.
    WITH bound AS MATERIALIZED (
        SELECT (
            SELECT source FROM gold.source
            WHERE in_state IS NULL AND most IS NOT NULL AND gold.is_asked_for(source, prefix, readable, after, NULL)
              AND num_nonnulls(last_processed_at, last_arrived_at) > 0
            ORDER BY source OFFSET greatest(most - 1, 0) LIMIT 1
        ) AS upto
    ), stale AS MATERIALIZED (
        SELECT DISTINCT bucket_start FROM gold.measured_stale
    ), measured AS MATERIALIZED (
        SELECT m.source, max(m.measured_at) FILTER (WHERE m.measured_at <= now()) AS last,
               max(uuid_extract_timestamp(m.raw_id)) AS arrived
        FROM stale CROSS JOIN bound CROSS JOIN LATERAL (
            SELECT source, measured_at, raw_id FROM public.measurements
            WHERE measured_at >= bucket_start AND measured_at < bucket_start + interval '15 minutes'
              AND gold.is_asked_for(source, prefix, readable, after, upto) OFFSET 0
        ) AS m
        GROUP BY 1
    ), arriving AS MATERIALIZED (
        SELECT gold.earliest_raw_id(bucket_start) AS since,
               gold.earliest_raw_id(bucket_start + interval '15 minutes') AS until,
               bucket_start > now() - interval '1 day' AS is_today
        FROM (SELECT DISTINCT bucket_start FROM gold.arrived_stale) AS stale
    ), rejected AS MATERIALIZED (
        SELECT coalesce(source, '') AS source, max(uuid_extract_timestamp(raw_id)) AS arrived_at
        FROM arriving CROSS JOIN bound CROSS JOIN LATERAL (
            SELECT source, raw_id FROM public.outcomes
            WHERE raw_id >= since AND raw_id < until AND outcome = 'rejected' OFFSET 0
        ) AS o
        WHERE gold.is_asked_for(coalesce(source, ''), prefix, readable, after, upto)
        GROUP BY 1
    ), known AS (
        SELECT source, kept.usual_interval_seconds AS usual, kept.usual_latency_seconds AS latency,
               measured.last, rejected.arrived_at, kept.last_arrived_at,
               CASE WHEN stale.bucket_start IS NULL THEN kept.last_measured_at END AS kept_last,
               kept.next_measured_at <= now() OR measured.last IS NULL AND stale.bucket_start IS NOT NULL
               OR measured.last < stale.bucket_start AS is_doubtful,
               greatest(kept.last_processed_at, measured.arrived) AS processed_at, contract, interval_seconds, broken,
               stuck_since
        FROM (
            SELECT source.*, contract.id || '@' || contract.version AS contract, interval_seconds, broken, stuck_since
            FROM gold.source CROSS JOIN bound
            LEFT JOIN gold.expectation USING (source) LEFT JOIN gold.contract ON contract.id = expectation.contract
            WHERE gold.is_asked_for(source.source, prefix, readable, after, upto)
        ) AS kept FULL JOIN measured USING (source) FULL JOIN rejected USING (source)
        LEFT JOIN stale ON stale.bucket_start = gold.bucket_of(kept.last_measured_at)
    ), dated AS MATERIALIZED (
        SELECT source, processed_at, greatest(arrived_at, last_arrived_at) AS arrived_at,
               CASE WHEN is_doubtful THEN (
                   SELECT greatest(last, archive.last_measured(known.source, last, now())) FROM (
                       SELECT max(measured_at) AS last FROM public.measurements AS m
                       WHERE m.source = known.source AND m.measured_at <= now()
                   ) AS m
               ) ELSE greatest(kept_last, last) END AS last_measured_at,
               CASE WHEN usual IS NULL AND last IS NOT NULL THEN (
                   SELECT ARRAY[usual_interval_seconds, usual_latency_seconds] FROM gold.measured_by(known.source)
               ) ELSE ARRAY[usual, latency] END AS usually, contract, interval_seconds, broken, stuck_since
        FROM known
    ), page AS MATERIALIZED (
        SELECT * FROM (
            SELECT *, CASE
                       WHEN source = '' AND num_nonnulls(last_measured_at, processed_at) = 0 THEN 'unnamed'
                       WHEN last_seen >= now() - 1.5 * expected * interval '1 second' THEN 'ok'
                       WHEN last_seen >= now() - 2.5 * expected * interval '1 second' THEN 'late' ELSE 'silent' END AS state
            FROM (
                SELECT *, CASE WHEN last_measured_at IS NOT NULL THEN least(last_measured_at, processed_at) END AS last_seen,
                       coalesce(interval_seconds, greatest(coalesce(usually[1], 86400), 60)) AS expected
                FROM dated WHERE last_measured_at IS NOT NULL OR processed_at IS NOT NULL OR arrived_at IS NOT NULL
            ) AS source
        ) AS source
        WHERE in_state IS NULL OR state = in_state
        ORDER BY source LIMIT most
    ), arrived AS MATERIALIZED (
        SELECT coalesce(o.source, '') AS source, max(uuid_extract_timestamp(raw_id)) AS last,
               count(*) FILTER (WHERE is_today) AS events,
               count(*) FILTER (WHERE is_today AND outcome = 'rejected') AS rejected
        FROM arriving CROSS JOIN LATERAL (
            SELECT source, raw_id, outcome FROM public.outcomes WHERE raw_id >= since AND raw_id < until OFFSET 0
        ) AS o
        -- IS TRUE, since a join would be planned for the few rows that Postgres estimates for a page.
        WHERE (coalesce(o.source, '') IN (SELECT page.source FROM page)) IS TRUE
        GROUP BY 1
    )
    SELECT source, state, least((
               SELECT min(m.measured_at) FROM public.measurements AS m
               WHERE m.source = page.source AND m.measured_at <= now()
           ), archive.first_measured(page.source)), last_measured_at, greatest(page.arrived_at, arrived.last), usually[1],
           CAST(coalesce(day.events, 0) + coalesce(arrived.events, 0) AS bigint),
           CAST(coalesce(day.rejected, 0) + coalesce(arrived.rejected, 0) AS bigint), usually[2], expected, contract,
           coalesce(broken, '{}'), stuck_since
    FROM page LEFT JOIN arrived USING (source) CROSS JOIN LATERAL (
        SELECT sum(kept.events) AS events, sum(kept.rejected) AS rejected
        FROM gold.arrived AS kept
        WHERE kept.source = page.source AND kept.bucket_start > now() - interval '1 day'
          AND NOT EXISTS (SELECT FROM gold.arrived_stale AS stale WHERE stale.bucket_start = kept.bucket_start)
    ) AS day
    ORDER BY source
$$;

-- The number of resolved rejected events of each source. If nothing was corrected, as is usual, no other month is read.
CREATE OR REPLACE FUNCTION gold.resolved_of_sources(since timestamptz, until timestamptz)
RETURNS TABLE (source text, resolved bigint) LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    IF EXISTS (
        SELECT FROM public.outcomes AS correction
        WHERE corrects_raw_id >= gold.earliest_raw_id(since) AND corrects_raw_id < gold.earliest_raw_id(until)
    ) THEN
        RETURN QUERY SELECT fixed.source, count(*) FROM gold.resolved(since, until) AS fixed GROUP BY 1;
    END IF;
END $$;
