-- Writes the contracts of a deployment, given as the array in expectations.json, if they differ, and deletes all others.
CREATE OR REPLACE FUNCTION gold.deploy_contracts(contracts jsonb) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM gold.contract
    WHERE id NOT IN (SELECT id FROM jsonb_populate_recordset(CAST(NULL AS gold.contract), contracts));
    INSERT INTO gold.contract AS kept SELECT * FROM jsonb_populate_recordset(CAST(NULL AS gold.contract), contracts)
    ON CONFLICT (id) DO UPDATE SET (
        version, interval_seconds, latency_seconds, retention_seconds, unchanged_seconds, rejected_share
    ) = (
        excluded.version, excluded.interval_seconds, excluded.latency_seconds, excluded.retention_seconds,
        excluded.unchanged_seconds, excluded.rejected_share
    ) WHERE kept IS DISTINCT FROM excluded;
$$;

-- Sources without a contract, or with one of another ruleset, and hourly those with new events; with the contract that decided
-- their last event, which may have been sent to a contract by name.
CREATE OR REPLACE FUNCTION gold.unassigned(of_ruleset text, most bigint) RETURNS TABLE (source text, decided_by text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_memoize = off AS $$
    WITH due AS MATERIALIZED (
        SELECT source, greatest(last_arrived_at, last_processed_at) AS arrived_at
        FROM gold.source AS kept LEFT JOIN gold.expectation AS known USING (source)
        WHERE num_nonnulls(last_arrived_at, last_processed_at) > 0 AND (
            ruleset IS DISTINCT FROM of_ruleset OR assigned_at < now() - interval '1 hour'
            AND greatest(last_arrived_at, last_processed_at) > assigned_at - interval '1 hour'
        )
        ORDER BY source LIMIT most
    ), decided AS (
        SELECT DISTINCT ON (event.source) event.source, event.contract
        FROM (SELECT DISTINCT arrived_at FROM due) AS arrival CROSS JOIN LATERAL (
            SELECT coalesce(source, '') AS source, contract, raw_id, item FROM public.outcomes
            WHERE raw_id >= gold.earliest_raw_id(arrived_at)
              AND raw_id < gold.earliest_raw_id(arrived_at + interval '1 millisecond') OFFSET 0
        ) AS event
        ORDER BY event.source, event.raw_id DESC, event.item DESC
    )
    -- A source whose last outcome is archived keeps its contract.
    SELECT due.source, coalesce(decided.contract, known.contract, '')
    FROM due LEFT JOIN decided USING (source) LEFT JOIN gold.expectation AS known USING (source)
$$;

CREATE OR REPLACE FUNCTION gold.assign(of_ruleset text, sources jsonb) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO gold.expectation (source, contract, ruleset)
    SELECT source, contract, of_ruleset FROM jsonb_to_recordset(sources) AS given (source text, contract text)
    ON CONFLICT (source) DO UPDATE SET (contract, ruleset, assigned_at) = (
        excluded.contract, excluded.ruleset, excluded.assigned_at
    );
$$;

-- Since when all samples of a source have been the same, according to the buckets of the last `unchanged`, to a quarter of an
-- hour; NULL if that is shorter than `unchanged`. For most sources, the last bucket is enough to tell.
CREATE OR REPLACE FUNCTION gold.unchanged_since(of_source text, unchanged interval) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT min(bucket.first_measured_at)
    FROM (
        SELECT * FROM gold.measured WHERE source = of_source AND bucket_start <= now() ORDER BY bucket_start DESC LIMIT 1
    ) AS last CROSS JOIN LATERAL (
        SELECT bucket_start, first_measured_at, min, max FROM gold.measured
        WHERE source = of_source AND bucket_start <= last.bucket_start
          AND bucket_start > last.last_measured_at - unchanged - interval '15 minutes'
    ) AS bucket
    WHERE last.min = last.max
    GROUP BY last.min, last.last_measured_at
    HAVING min(bucket.min) = max(bucket.max) AND min(bucket.first_measured_at) <= last.last_measured_at - unchanged
$$;

-- Checks each source against its expectations, stores the broken ones, and writes notifications of changes. Returns the
-- number of sources that break each expectation now, and the number of changes.
--
-- A silent source that becomes late stays silent until it is ok. A source that is silent on its first check was silent
-- before, which is not a change.
CREATE OR REPLACE FUNCTION gold.check_expectations() RETURNS TABLE (expectation text, broken bigint, changed bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
BEGIN
    IF NOT pg_try_advisory_xact_lock(7308333::bigint) THEN
        RETURN;
    END IF;
    DELETE FROM gold.expectation AS known WHERE NOT EXISTS (
        SELECT FROM gold.source AS kept
        WHERE kept.source = known.source AND num_nonnulls(last_arrived_at, last_processed_at) > 0
    );
    RETURN QUERY WITH looked_at AS MATERIALIZED (
        SELECT source, s.contract, s.last_measured_at, s.usual_latency_seconds, s.expected_interval_seconds,
               s.state = 'silent' OR s.state = 'late' AND 'silent' = ANY (known.broken) AS is_silent,
               coalesce(c.interval_seconds, s.usual_interval_seconds) IS NOT NULL AS has_interval,
               CAST(s.rejected_of_last_day AS double precision) / nullif(s.events_of_last_day, 0) AS share,
               c.latency_seconds, c.rejected_share, c.unchanged_seconds, coalesce(known.broken, '{}') AS before,
               known.broken IS NULL AS is_new, known.stuck_since AS stuck_before, CASE WHEN c.unchanged_seconds IS NOT NULL THEN
                   gold.unchanged_since(source, c.unchanged_seconds * interval '1 second')
               END AS unchanged_since
        FROM gold.sources() AS s JOIN gold.expectation AS known USING (source) JOIN gold.contract AS c ON c.id = known.contract
    ), tested AS MATERIALIZED (
        SELECT source, expectation, is_broken, since, observed, expected
        FROM looked_at CROSS JOIN LATERAL (VALUES
            ('silent', has_interval AND is_silent, last_measured_at,
             date_part('epoch', now() - last_measured_at), expected_interval_seconds),
            ('stuck', unchanged_since IS NOT NULL, least(unchanged_since, stuck_before),
             date_part('epoch', last_measured_at - least(unchanged_since, stuck_before)), unchanged_seconds),
            ('rejected_share', share > rejected_share, NULL, share, rejected_share),
            ('latency', usual_latency_seconds > latency_seconds, NULL, usual_latency_seconds, latency_seconds)
        ) AS test (expectation, is_broken, since, observed, expected)
    ), found AS MATERIALIZED (
        SELECT source, array_agg(expectation ORDER BY expectation) FILTER (WHERE is_broken) AS broken,
               min(since) FILTER (WHERE is_broken AND expectation = 'stuck') AS stuck_since
        FROM tested GROUP BY source
    ), changed AS MATERIALIZED (
        SELECT tested.*, contract, coalesce(is_broken, false) AS is_broken_now
        FROM tested JOIN looked_at USING (source)
        WHERE coalesce(is_broken, false) <> (expectation = ANY (before)) AND NOT (is_new AND expectation = 'silent')
    ), kept AS (
        UPDATE gold.expectation AS known SET broken = coalesce(found.broken, '{}'), stuck_since = found.stuck_since
        FROM found WHERE found.source = known.source
          AND (known.broken, known.stuck_since) IS DISTINCT FROM (coalesce(found.broken, '{}'), found.stuck_since)
    ), written AS (
        INSERT INTO gold.notification (changes)
        SELECT jsonb_agg(jsonb_build_object(
            'source', source, 'expectation', expectation, 'is_broken', is_broken_now, 'contract', contract,
            'at', now(), 'since', since, 'observed', observed, 'expected', expected
        ) ORDER BY number)
        FROM (SELECT *, row_number() OVER (ORDER BY source, expectation) AS number FROM changed) AS change
        GROUP BY (number - 1) / 500
    )
    SELECT name, (SELECT count(*) FROM tested WHERE tested.expectation = name AND is_broken),
           (SELECT count(*) FROM changed WHERE changed.expectation = name)
    FROM unnest(ARRAY['silent', 'stuck', 'rejected_share', 'latency']) AS name;
END $$;

REVOKE EXECUTE ON FUNCTION gold.deploy_contracts, gold.unassigned, gold.assign, gold.check_expectations FROM PUBLIC;
