-- Whether silver has no longer what a bucket of gold was computed from: it stays as it is.
CREATE OR REPLACE FUNCTION archive.is_archived(bucket_start timestamptz) RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (SELECT FROM archive.months WHERE month = archive.month_of(bucket_start) AND state <> 'writing');

-- The source's last measurement before a bucket, of those that silver has no longer.
CREATE OR REPLACE FUNCTION archive.last_measured_before(of_source text, bucket timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE
RETURN (SELECT last_measured_at FROM gold.measured
        WHERE source = of_source AND bucket_start < bucket AND archive.is_archived(bucket_start)
        ORDER BY bucket_start DESC LIMIT 1);

-- The steps of archiving, with the rights of the schema's owner. Each is one transaction, and may be repeated.

-- Months with measurements that ended so many months ago, and of which gold knows all.
CREATE OR REPLACE FUNCTION archive.closed(kept integer) RETURNS SETOF date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE there AS (
        SELECT archive.month_of(min(measured_at)) AS month FROM public.measurements
        UNION ALL
        SELECT (
            SELECT archive.month_of(min(measured_at)) FROM public.measurements
            WHERE measured_at >= archive.start_of(CAST(there.month + interval '1 month' AS date))
        ) FROM there WHERE month < archive.month_of(now()) - make_interval(months => kept)
    )
    SELECT month FROM there
    WHERE month < archive.month_of(now()) - make_interval(months => kept)
      AND NOT EXISTS (SELECT FROM archive.months AS known WHERE known.month = there.month AND state <> 'writing')
      AND NOT EXISTS (
          SELECT FROM gold.measured_stale WHERE bucket_start >= archive.start_of(month)
          AND bucket_start < archive.start_of(CAST(month + interval '1 month' AS date))
      )
    ORDER BY month
$$;

-- From then on, every change of the month is marked: whoever writes at this moment is waited for.
CREATE OR REPLACE FUNCTION archive.begin(of_month date) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM archive.months WHERE month = of_month) THEN
        LOCK TABLE ONLY public.measurements IN SHARE MODE;
        INSERT INTO archive.months (month) VALUES (of_month) ON CONFLICT DO NOTHING;
    END IF;
END $$;

-- Drops a month's measurements, if its files have what the table has: no change was marked since before the first was
-- written, and gold, which is computed from the table, counts as many events. Answers how it ended.
CREATE OR REPLACE FUNCTION archive.finish(of_month date) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    since CONSTANT timestamptz := archive.start_of(of_month);
    until CONSTANT timestamptz := archive.start_of(CAST(of_month + interval '1 month' AS date));
BEGIN
    -- Partitions are written to by their parent alone.
    LOCK TABLE ONLY public.measurements IN ACCESS EXCLUSIVE MODE;
    PERFORM FROM archive.months WHERE month = of_month AND state = 'writing' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_begun';
    ELSIF EXISTS (SELECT FROM archive.changes WHERE month = of_month) THEN
        DELETE FROM archive.months WHERE month = of_month;
        DELETE FROM archive.changes WHERE month = of_month;
        RETURN 'changed';
    ELSIF EXISTS (SELECT FROM gold.measured_stale WHERE bucket_start >= since AND bucket_start < until) THEN
        RETURN 'stale';
    ELSIF (SELECT coalesce(sum(events), 0) FROM gold.measured WHERE bucket_start >= since AND bucket_start < until)
          <> (SELECT sum(events) FROM archive.files WHERE month = of_month)
       OR (SELECT count(*) FROM archive.files WHERE month = of_month) <> CAST(of_month + interval '1 month' AS date) - of_month THEN
        RAISE EXCEPTION 'the files of % do not hold as many events as gold counts', of_month USING ERRCODE = 'DZ001';
    END IF;
    UPDATE archive.months SET state = 'archived', archived_at = now() WHERE month = of_month;
    PERFORM parts.drop_month('measurements', of_month);
    -- What the default has of it.
    DELETE FROM public.measurements WHERE measured_at >= since AND measured_at < until;
    -- Those of the deletion itself.
    DELETE FROM archive.changes WHERE month = of_month;
    RETURN 'archived';
END $$;

-- Puts the measurements of a day back, as its outcomes have them; the day's lock is that of a replay
-- (dropzone.adapters.days).
CREATE OR REPLACE FUNCTION archive.reinstate(of_month date, of_day date) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Not into the default, where they could not be dropped.
    PERFORM set_config('lock_timeout', '1s', true), parts.add_month('measurements', of_month);
    PERFORM set_config('lock_timeout', '0', true);
    PERFORM pg_advisory_xact_lock(7308333, (of_day - date '1970-01-01') & 63);
    UPDATE archive.months SET state = 'reinstating' WHERE month = of_month AND state = 'archived';
    INSERT INTO public.measurements AS m (
        measured_at, source, mean, std_dev, sample_count, min, max, unit, tags, flags, raw_id, item
    )
    SELECT DISTINCT ON (measured_at, source) measured_at, source, mean, std_dev, sample_count, min, max, unit, tags,
           CASE WHEN violations = '[]' THEN '{}'
           ELSE ARRAY(SELECT DISTINCT v ->> 'code' FROM jsonb_array_elements(violations) AS v ORDER BY 1) END,
           raw_id, item
    FROM public.outcomes
    WHERE outcome = 'processed' AND measured_at >= archive.start_of(of_day) AND measured_at < archive.start_of(of_day + 1)
    ORDER BY measured_at, source, raw_id DESC, item DESC
    ON CONFLICT (measured_at, source) DO UPDATE SET
        mean = excluded.mean, std_dev = excluded.std_dev, sample_count = excluded.sample_count, min = excluded.min,
        max = excluded.max, unit = excluded.unit, tags = excluded.tags, flags = excluded.flags, raw_id = excluded.raw_id,
        item = excluded.item, updated_at = now()
        WHERE (m.raw_id, m.item) < (excluded.raw_id, excluded.item);
    DELETE FROM archive.files WHERE month = of_month AND day = of_day;
END $$;

-- Once all days of a month are back: it is one of the table's again, and gold computes it again.
CREATE OR REPLACE FUNCTION archive.reopen(of_month date) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
BEGIN
    -- Who writes at this moment marks no bucket of gold.
    LOCK TABLE ONLY public.measurements IN SHARE MODE;
    DELETE FROM archive.months AS m WHERE month = of_month AND state = 'reinstating'
    AND NOT EXISTS (SELECT FROM archive.files WHERE files.month = m.month);
    IF FOUND THEN
        DELETE FROM archive.changes WHERE month = of_month;
        INSERT INTO gold.measured_stale
        SELECT bucket_start, 0 FROM generate_series(
            archive.start_of(of_month), archive.start_of(CAST(of_month + interval '1 month' AS date)) - interval '1 second',
            interval '15 minutes'
        ) AS bucket_start;
    END IF;
END $$;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA archive FROM PUBLIC;
GRANT EXECUTE ON FUNCTION archive.month_of, archive.start_of, archive.is_archived TO PUBLIC;
