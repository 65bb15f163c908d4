CREATE OR REPLACE FUNCTION gold.day_start(day date, tz text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    midnight timestamptz := CAST(day AS timestamp) AT TIME ZONE tz;
    earlier  timestamptz := midnight - interval '1 hour';
BEGIN
    RETURN CASE WHEN CAST(earlier AT TIME ZONE tz AS date) = day THEN earlier ELSE midnight END;
END $$;

CREATE OR REPLACE FUNCTION gold.starts(granularity text, since timestamptz, until timestamptz, tz text)
RETURNS timestamptz[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    origin CONSTANT timestamptz := '2000-01-01T00:00:00Z';
    latest CONSTANT timestamptz := until - interval '1 microsecond';
    width  interval;
BEGIN
    IF granularity = 'day' THEN
        RETURN ARRAY(
            SELECT gold.day_start(CAST(day AS date), tz)
            FROM generate_series(
                CAST(CAST(since AT TIME ZONE tz AS date) AS timestamp),
                CAST(latest AT TIME ZONE tz AS date) + interval '1 day', interval '1 day'
            ) AS day
            ORDER BY day
        );
    END IF;
    width := CASE granularity
        WHEN 'minute' THEN '1 minute' WHEN 'quarter_hour' THEN '15 minutes' WHEN 'hour' THEN '1 hour' END;
    IF width IS NULL THEN
        RAISE EXCEPTION 'the granularity is minute, quarter_hour, hour or day' USING ERRCODE = '22023';
    END IF;
    RETURN ARRAY(
        SELECT generate_series(date_bin(width, since, origin), date_bin(width, latest, origin) + width, width)
    );
END $$;

CREATE OR REPLACE FUNCTION gold.measured_in(starts timestamptz[], by_minute boolean, only_source text)
RETURNS SETOF gold.measured LANGUAGE plpgsql STABLE SET jit = off AS $$
DECLARE
    width CONSTANT interval := '15 minutes';
    since CONSTANT timestamptz := starts[1];
    until CONSTANT timestamptz := starts[cardinality(starts)];
    cuts  CONSTANT timestamptz[] := ARRAY(
        SELECT cut FROM unnest(starts) AS cut WHERE cut <> gold.quarter_of(cut) AND NOT by_minute
    );
    split CONSTANT timestamptz[] := ARRAY(SELECT gold.quarter_of(cut) FROM unnest(cuts) AS cut);
    stale CONSTANT timestamptz[] := ARRAY(
        SELECT DISTINCT quarter FROM gold.measured_stale WHERE quarter >= since AND quarter < until AND quarter <> ALL (split)
    );
BEGIN
    IF by_minute THEN
        RETURN QUERY SELECT * FROM gold.measure(since, until, interval '1 minute', only_source);
        RETURN;
    END IF;
    RETURN QUERY
    SELECT kept.* FROM gold.measured AS kept
    WHERE kept.quarter >= since AND kept.quarter < until AND kept.quarter <> ALL (split || stale)
      AND (only_source IS NULL OR kept.source = only_source)
    UNION ALL
    SELECT live.*
    FROM unnest(stale) AS quarter
    CROSS JOIN LATERAL gold.measure(quarter, quarter + width, width, only_source) AS live
    UNION ALL
    SELECT live.*
    FROM unnest(cuts) AS cut CROSS JOIN LATERAL (
        SELECT * FROM gold.measure(gold.quarter_of(cut), cut, width, only_source) WHERE cut > since
        UNION ALL
        SELECT * FROM gold.measure(cut, gold.quarter_of(cut) + width, width, only_source) WHERE cut < until
    ) AS live;
END $$;

CREATE OR REPLACE FUNCTION gold.arrived_in(starts timestamptz[], by_minute boolean, only_source text)
RETURNS SETOF gold.arrived LANGUAGE plpgsql STABLE SET jit = off AS $$
DECLARE
    width CONSTANT interval := '15 minutes';
    since CONSTANT timestamptz := starts[1];
    until CONSTANT timestamptz := starts[cardinality(starts)];
    cuts  CONSTANT timestamptz[] := ARRAY(
        SELECT cut FROM unnest(starts) AS cut WHERE cut <> gold.quarter_of(cut) AND NOT by_minute
    );
    split CONSTANT timestamptz[] := ARRAY(SELECT gold.quarter_of(cut) FROM unnest(cuts) AS cut);
    stale CONSTANT timestamptz[] := ARRAY(
        SELECT DISTINCT quarter FROM gold.arrived_stale WHERE quarter >= since AND quarter < until AND quarter <> ALL (split)
    );
BEGIN
    IF by_minute THEN
        RETURN QUERY SELECT * FROM gold.arrive(since, until, interval '1 minute', only_source);
        RETURN;
    END IF;
    RETURN QUERY
    SELECT kept.* FROM gold.arrived AS kept
    WHERE kept.quarter >= since AND kept.quarter < until AND kept.quarter <> ALL (split || stale)
      AND (only_source IS NULL OR kept.source = only_source)
    UNION ALL
    SELECT live.*
    FROM unnest(stale) AS quarter
    CROSS JOIN LATERAL gold.arrive(quarter, quarter + width, width, only_source) AS live
    UNION ALL
    SELECT live.*
    FROM unnest(cuts) AS cut CROSS JOIN LATERAL (
        SELECT * FROM gold.arrive(gold.quarter_of(cut), cut, width, only_source) WHERE cut > since
        UNION ALL
        SELECT * FROM gold.arrive(cut, gold.quarter_of(cut) + width, width, only_source) WHERE cut < until
    ) AS live;
END $$;

CREATE OR REPLACE FUNCTION gold.rejected_in(starts timestamptz[], by_minute boolean, only_source text)
RETURNS SETOF gold.rejected LANGUAGE plpgsql STABLE SET jit = off AS $$
DECLARE
    width CONSTANT interval := '15 minutes';
    since CONSTANT timestamptz := starts[1];
    until CONSTANT timestamptz := starts[cardinality(starts)];
    cuts  CONSTANT timestamptz[] := ARRAY(
        SELECT cut FROM unnest(starts) AS cut WHERE cut <> gold.quarter_of(cut) AND NOT by_minute
    );
    split CONSTANT timestamptz[] := ARRAY(SELECT gold.quarter_of(cut) FROM unnest(cuts) AS cut);
    stale CONSTANT timestamptz[] := ARRAY(
        SELECT DISTINCT quarter FROM gold.arrived_stale WHERE quarter >= since AND quarter < until AND quarter <> ALL (split)
    );
BEGIN
    IF by_minute THEN
        RETURN QUERY SELECT * FROM gold.reject(since, until, interval '1 minute', only_source);
        RETURN;
    END IF;
    RETURN QUERY
    SELECT kept.* FROM gold.rejected AS kept
    WHERE kept.quarter >= since AND kept.quarter < until AND kept.quarter <> ALL (split || stale)
      AND (only_source IS NULL OR kept.source = only_source)
    UNION ALL
    SELECT live.*
    FROM unnest(stale) AS quarter
    CROSS JOIN LATERAL gold.reject(quarter, quarter + width, width, only_source) AS live
    UNION ALL
    SELECT live.*
    FROM unnest(cuts) AS cut CROSS JOIN LATERAL (
        SELECT * FROM gold.reject(gold.quarter_of(cut), cut, width, only_source) WHERE cut > since
        UNION ALL
        SELECT * FROM gold.reject(cut, gold.quarter_of(cut) + width, width, only_source) WHERE cut < until
    ) AS live;
END $$;

CREATE OR REPLACE FUNCTION gold.last_before(of_source text, instant timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
DECLARE
    part timestamptz := instant;
    last timestamptz;
BEGIN
    LOOP
        part := greatest(
            (SELECT max(quarter) FROM gold.measured WHERE source = of_source AND quarter < part),
            (SELECT max(quarter) FROM gold.measured_stale WHERE quarter < part)
        );
        SELECT measured_at INTO last FROM public.measurements
        WHERE measured_at >= part AND measured_at < least(part + interval '15 minutes', instant) AND source = of_source
        ORDER BY measured_at DESC LIMIT 1;
        IF part IS NULL OR last IS NOT NULL THEN
            RETURN last;
        END IF;
    END LOOP;
END $$;

COMMENT ON FUNCTION gold.starts IS 'Where the buckets begin that hold what is from one instant to before another; and at last, where the last one ends.';

COMMENT ON FUNCTION gold.last_before IS 'When a source measured last before an instant.';
