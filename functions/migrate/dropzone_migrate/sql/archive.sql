-- Whether the silver rows of a bucket of gold are archived, so that the bucket can't be computed again and is kept.
CREATE OR REPLACE FUNCTION archive.is_archived(bucket_start timestamptz, of_kind text DEFAULT 'measured') RETURNS boolean
LANGUAGE sql STABLE RETURN EXISTS (
    SELECT FROM archive.months WHERE kind = of_kind AND month = archive.month_of(bucket_start) AND state <> 'writing'
);

-- A source's first archived measurement, and its last archived one after an instant (null for any) and before a bucket.
-- Between silver's last measurement and the bucket, gold has no others.
CREATE OR REPLACE FUNCTION archive.first_measured(of_source text) RETURNS timestamptz LANGUAGE sql STABLE
RETURN (SELECT CASE WHEN archive.is_archived(bucket_start) THEN first_measured_at END FROM (
            SELECT * FROM gold.measured WHERE source = of_source ORDER BY bucket_start LIMIT 1
        ) AS first);

CREATE OR REPLACE FUNCTION archive.last_measured(of_source text, instant timestamptz, bucket timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE
RETURN (SELECT last_measured_at FROM gold.measured
        WHERE source = of_source AND bucket_start > coalesce(instant - interval '15 minutes', '-infinity') AND bucket_start < bucket
          AND archive.is_archived(bucket_start)
        ORDER BY bucket_start DESC LIMIT 1);

-- The months of these instants that are in files, or being written to files.
CREATE OR REPLACE FUNCTION archive.touched(of_kind text, instants timestamptz[]) RETURNS TABLE (kind text, month date)
LANGUAGE sql STABLE AS $$
    SELECT kind, month FROM archive.months
    WHERE kind = of_kind AND month IN (SELECT archive.month_of(instant) FROM unnest(instants) AS instant)
$$;

-- After a truncation, marks all of gold as stale, except archived buckets, whose months are marked as changed.
CREATE OR REPLACE FUNCTION archive.mark_all(of_kind text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    EXECUTE format('INSERT INTO gold.%1$I_stale SELECT DISTINCT bucket_start, 0 FROM gold.%1$I', of_kind);
    EXECUTE format('DELETE FROM gold.%1$I_stale WHERE archive.is_archived(bucket_start, %1$L)', of_kind);
    INSERT INTO archive.changes SELECT kind, month FROM archive.months WHERE kind = of_kind;
END $$;

-- The steps of archiving, with the privileges of the schema's owner. Each is one transaction, and may be repeated.

-- Ensures that there is one run at a time: the run's session holds the lock, and each step takes it as well.
CREATE OR REPLACE FUNCTION archive.check_alone() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(7308335::bigint) THEN
        RAISE EXCEPTION 'another archive run is in progress' USING ERRCODE = '55P03';
    END IF;
END $$;

-- Whether a month has no pending work: gold is up to date. For a month of arrival, also: it is not requested, all its objects
-- have receipts (according to the sweep's watermark) and all their outcomes, and no replay by fleet still has to read it,
-- except a replay without progress for a week.
CREATE OR REPLACE FUNCTION archive.is_quiet(of_kind text, of_month date) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE of_kind WHEN 'measured' THEN NOT EXISTS (
        SELECT FROM gold.measured_stale WHERE bucket_start >= since AND bucket_start < until
    ) ELSE NOT EXISTS (
        SELECT FROM gold.arrived_stale WHERE bucket_start >= since AND bucket_start < until
    ) AND NOT EXISTS (
        SELECT FROM archive.requested WHERE month = of_month AND requested.until > now()
    ) AND NOT EXISTS (
        SELECT FROM public.sweep WHERE watermark < gold.earliest_raw_id(span.until)
    ) AND NOT EXISTS (
        SELECT FROM public.receipts
        WHERE settled_at IS NULL AND raw_id >= gold.earliest_raw_id(since) AND raw_id < gold.earliest_raw_id(until)
    ) AND NOT EXISTS (
        SELECT FROM public.replays AS r
        WHERE finished_at IS NULL AND NOT is_sweep AND active_at > now() - interval '7 days'
          AND r.since < span.until AND r.until > span.since
          AND (planned_until < least(r.until, span.until) OR EXISTS (
              SELECT FROM public.replay_ranges AS own
              WHERE own.replay_id = r.replay_id AND NOT is_done AND own.since < span.until AND own.until > span.since
          ))
    ) END
    FROM (SELECT archive.start_of(of_month) AS since, archive.end_of(of_month) AS until) AS span
$$;

-- Months with rows that ended `kept` months ago or earlier, and have no pending work.
CREATE OR REPLACE FUNCTION archive.closed(of_kind text, kept integer) RETURNS SETOF date
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    newest CONSTANT date := CAST(archive.month_of(now()) - make_interval(months => kept) AS date);
    closed date := NULL;
BEGIN
    LOOP
        IF of_kind = 'measured' THEN
            SELECT archive.month_of(min(measured_at)) INTO closed FROM public.measurements
            WHERE measured_at >= coalesce(archive.end_of(closed), '-infinity');
        ELSE
            closed := archive.month_of(uuid_extract_timestamp((
                SELECT raw_id FROM public.receipts
                WHERE raw_id >= gold.earliest_raw_id(coalesce(archive.end_of(closed), '1970-01-01Z'))
                ORDER BY raw_id LIMIT 1
            )));
        END IF;
        EXIT WHEN closed IS NULL OR closed >= newest;
        CONTINUE WHEN EXISTS (SELECT FROM archive.months WHERE kind = of_kind AND month = closed AND state <> 'writing')
            OR NOT archive.is_quiet(of_kind, closed);
        RETURN NEXT closed;
    END LOOP;
END $$;

-- From now on, every change to the month is marked; running writers are waited for. A file has the whole month, or a day, an
-- hour or five minutes, if there are too many events for one call, or if a call ended while writing a file.
CREATE OR REPLACE FUNCTION archive.begin(of_kind text, of_month date, most_events bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    minutes integer;
BEGIN
    PERFORM archive.check_alone();
    UPDATE archive.months SET is_in_file = false,
        file_minutes = CASE WHEN is_in_file THEN CASE file_minutes WHEN 44640 THEN 1440 WHEN 1440 THEN 60 ELSE 5 END
                       ELSE file_minutes END
    WHERE kind = of_kind AND month = of_month RETURNING file_minutes INTO minutes;
    IF FOUND THEN
        UPDATE archive.layouts SET file_minutes = minutes WHERE kind = of_kind AND month = of_month;
        RETURN;
    END IF;
    EXECUTE format($sql$
        SELECT CASE WHEN max(of_hour) > $2 THEN 5 WHEN max(of_day) > $2 THEN 60 WHEN sum(of_hour) > $2 THEN 1440 ELSE 44640 END
        FROM (
            SELECT sum(events) AS of_hour, sum(sum(events)) OVER (PARTITION BY date_trunc('day', hour, 'UTC')) AS of_day
            FROM gold.%I CROSS JOIN LATERAL date_trunc('hour', bucket_start, 'UTC') AS hour
            WHERE bucket_start >= archive.start_of($1) AND bucket_start < archive.end_of($1) GROUP BY hour
        ) AS own
    $sql$, of_kind) INTO minutes USING of_month, most_events;
    -- Writers of outcomes write the receipt first.
    IF of_kind = 'measured' THEN
        LOCK TABLE ONLY public.measurements IN SHARE MODE;
    ELSE
        LOCK TABLE ONLY public.receipts IN SHARE MODE;
    END IF;
    -- Checked again, since changes since the month was found to be closed were not marked.
    IF archive.is_quiet(of_kind, of_month) THEN
        INSERT INTO archive.layouts AS known VALUES (of_kind, of_month, coalesce(minutes, 44640))
        ON CONFLICT (kind, month) DO UPDATE SET file_minutes = least(known.file_minutes, excluded.file_minutes)
        RETURNING file_minutes INTO minutes;
        INSERT INTO archive.months (kind, month, file_minutes) VALUES (of_kind, of_month, minutes);
    END IF;
END $$;

-- Called before a file of a month is written, and afterwards, whether it succeeded or not. Afterwards, the connection may be a
-- new one, while Postgres has not noticed the end of the run's connection yet.
CREATE OR REPLACE FUNCTION archive.mark_file(of_kind text, of_month date, is_begun boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF is_begun THEN
        PERFORM archive.check_alone();
    END IF;
    UPDATE archive.months SET is_in_file = is_begun WHERE kind = of_kind AND month = of_month;
END $$;

-- Drops a month if its files match the tables: no change was marked since before the first file was written, and gold,
-- which is computed from the tables, counts as many events. Returns the result.
--
-- Some outcomes of a month of arrival stay: rejected ones, corrections, and those of months of measurements that are not
-- archived. So a month of measurements that is in the table has all its outcomes there.
CREATE OR REPLACE FUNCTION archive.finish(
    of_kind text, of_month date, most_rows bigint DEFAULT 500000, least_rows bigint DEFAULT 10000
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    since   CONSTANT timestamptz := archive.start_of(of_month);
    until   CONSTANT timestamptz := archive.end_of(of_month);
    first   CONSTANT uuid := gold.earliest_raw_id(since);
    beyond  CONSTANT uuid := gold.earliest_raw_id(until);
    staying date[];
    counted bigint;
    stayed  bigint;
    next    text;
    ended   text;
BEGIN
    PERFORM archive.check_alone();
    PERFORM FROM archive.months WHERE kind = of_kind AND month = of_month AND state = 'writing' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_begun';
    END IF;
    IF of_kind = 'arrived' THEN
        SELECT array_agg(CAST(own.month || '-01' AS date)), coalesce(sum(own.events), 0) INTO staying, counted
        FROM (
            SELECT each.key AS month, sum(CAST(each.value AS bigint)) AS events
            FROM archive.files CROSS JOIN jsonb_each_text(by_month) AS each
            WHERE kind = of_kind AND month = of_month GROUP BY 1
        ) AS own
        WHERE NOT EXISTS (
            SELECT FROM archive.months AS measured
            WHERE measured.kind = 'measured' AND measured.month = CAST(own.month || '-01' AS date) AND state = 'archived'
        );
        IF counted > most_rows THEN
            RETURN 'early';
        END IF;
        -- Before locking, since it may take long: changes in the meantime are marked. With indexes, to replace the partition.
        next := parts.name('outcomes', of_month) || '_next';
        EXECUTE format('CREATE TABLE parts.%I (LIKE public.outcomes INCLUDING ALL)', next);
        EXECUTE format($sql$
            INSERT INTO parts.%I
            SELECT * FROM public.outcomes WHERE raw_id >= $1 AND raw_id < $2 AND outcome = 'rejected'
            UNION ALL
            SELECT * FROM public.outcomes
            WHERE raw_id >= $1 AND raw_id < $2 AND corrects_raw_id IS NOT NULL AND outcome = 'processed'
            UNION ALL
            SELECT o.* FROM unnest($3) AS own (month) CROSS JOIN LATERAL (
                SELECT * FROM public.outcomes
                WHERE raw_id >= $1 AND raw_id < $2 AND corrects_raw_id IS NULL AND outcome = 'processed'
                  AND measured_at >= archive.start_of(own.month) AND measured_at < archive.end_of(own.month) OFFSET 0
            ) AS o
        $sql$, next) USING first, beyond, staying;
        GET DIAGNOSTICS stayed = ROW_COUNT;
        -- In the same order as writers. Partitions are only written through their parent.
        LOCK TABLE ONLY public.receipts, ONLY public.outcomes IN ACCESS EXCLUSIVE MODE;
    ELSE
        LOCK TABLE ONLY public.measurements IN ACCESS EXCLUSIVE MODE;
    END IF;
    IF EXISTS (SELECT FROM archive.changes WHERE kind = of_kind AND month = of_month) THEN
        DELETE FROM archive.months WHERE kind = of_kind AND month = of_month;
        DELETE FROM archive.changes WHERE kind = of_kind AND month = of_month;
        ended := 'changed';
    ELSIF NOT archive.is_quiet(of_kind, of_month) THEN
        ended := 'open';
    END IF;
    IF ended IS NOT NULL THEN
        IF next IS NOT NULL THEN
            EXECUTE format('DROP TABLE parts.%I', next);
        END IF;
        RETURN ended;
    END IF;
    EXECUTE format('SELECT coalesce(sum(events), 0) FROM gold.%I WHERE bucket_start >= $1 AND bucket_start < $2', of_kind)
    INTO counted USING since, until;
    IF counted <> (
        SELECT sum(events) FROM archive.files WHERE kind = of_kind AND month = of_month AND relation <> 'receipts'
    ) OR EXISTS (SELECT FROM archive.unwritten(of_kind, of_month)) THEN
        RAISE EXCEPTION 'the files of % do not hold as many events as gold counts', of_month USING ERRCODE = 'DZ001';
    END IF;
    UPDATE archive.months SET state = 'archived', archived_at = now() WHERE kind = of_kind AND month = of_month;
    -- Drop its partition, and delete its rows from the default.
    IF of_kind = 'measured' THEN
        PERFORM parts.drop_month('measurements', of_month);
        DELETE FROM public.measurements WHERE measured_at >= since AND measured_at < until;
    ELSE
        PERFORM parts.drop_month(relation, of_month) FROM unnest(ARRAY['receipts', 'outcomes']) AS relation;
        DELETE FROM public.receipts WHERE raw_id >= first AND raw_id < beyond;
        DELETE FROM public.outcomes WHERE raw_id >= first AND raw_id < beyond;
        IF stayed >= least_rows THEN
            EXECUTE format('ALTER TABLE parts.%I RENAME TO %I', next, parts.name('outcomes', of_month));
            PERFORM parts.attach_month('outcomes', of_month);
        ELSE
            EXECUTE format('INSERT INTO public.outcomes SELECT * FROM parts.%I', next);
            EXECUTE format('DROP TABLE parts.%I', next);
        END IF;
        UPDATE archive.files SET in_table_for = ARRAY(
            SELECT own.month FROM unnest(staying) AS own (month) WHERE by_month ? to_char(own.month, 'YYYY-MM')
        ) WHERE kind = of_kind AND month = of_month AND relation = 'outcomes';
    END IF;
    -- The changes marked by the deletion itself.
    DELETE FROM archive.changes WHERE kind = of_kind AND month = of_month;
    RETURN 'archived';
END $$;

-- Files of arrival whose outcomes are still in the table, though their months of measurements are archived by now.
CREATE OR REPLACE FUNCTION archive.surplus() RETURNS TABLE (relation text, begins_at timestamptz, ends_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT relation, begins_at, ends_at FROM archive.files
    WHERE EXISTS (SELECT FROM archive.months AS own WHERE own.kind = files.kind AND own.month = files.month AND state = 'archived')
      AND EXISTS (SELECT FROM archive.months AS m WHERE m.kind = 'measured' AND m.month = ANY (in_table_for) AND state = 'archived')
    ORDER BY begins_at
$$;

-- Deletes these outcomes. This is a separate step, since archiving a month of measurements locks its table.
CREATE OR REPLACE FUNCTION archive.remove_surplus(of_begin timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    file record;
BEGIN
    PERFORM archive.check_alone();
    FOR file IN
        SELECT gold.earliest_raw_id(begins_at) AS first, gold.earliest_raw_id(ends_at) AS beyond, m.month AS gone
        FROM archive.files JOIN archive.months AS own USING (kind, month) JOIN archive.months AS m ON m.month = ANY (in_table_for)
        WHERE relation = 'outcomes' AND begins_at = of_begin AND own.state = 'archived' AND m.kind = 'measured' AND m.state = 'archived'
    LOOP
        DELETE FROM public.outcomes
        WHERE raw_id >= file.first AND raw_id < file.beyond AND outcome = 'processed' AND corrects_raw_id IS NULL
          AND measured_at >= archive.start_of(file.gone) AND measured_at < archive.end_of(file.gone);
        UPDATE archive.files SET in_table_for = array_remove(in_table_for, file.gone)
        WHERE relation = 'outcomes' AND begins_at = of_begin;
    END LOOP;
END $$;

-- The files of a month that are still to be written, in order.
CREATE OR REPLACE FUNCTION archive.unwritten(of_kind text, of_month date)
RETURNS TABLE (relation text, begins_at timestamptz, ends_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
    SELECT part.relation, begins, least(begins + make_interval(mins => file_minutes), archive.end_of(month))
    FROM archive.months CROSS JOIN LATERAL generate_series(
        archive.start_of(month), archive.end_of(month) - interval '5 minutes', make_interval(mins => file_minutes)
    ) AS begins
    CROSS JOIN unnest(CASE of_kind WHEN 'measured' THEN ARRAY['measurements'] ELSE ARRAY['outcomes', 'receipts'] END)
        WITH ORDINALITY AS part (relation, place)
    WHERE kind = of_kind AND month = of_month
      -- An earlier, larger file may have several of these. Files don't overlap, so the last one that starts before is checked.
      AND NOT coalesce((
          SELECT files.ends_at > begins FROM archive.files
          WHERE files.relation = part.relation AND files.begins_at <= begins ORDER BY files.begins_at DESC LIMIT 1
      ), false)
    ORDER BY place, begins
$$;

-- The files to read to restore a month, in order: for measurements, the files of arrival with outcomes of the month, then the
-- month's own files, whose measurements are derived.
CREATE OR REPLACE FUNCTION archive.away(of_kind text, of_month date)
RETURNS TABLE (relation text, begins_at timestamptz, ends_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT relation, begins_at, ends_at FROM archive.files
    WHERE kind = of_kind AND month = of_month
       OR of_kind = 'measured' AND relation = 'outcomes' AND by_month ? to_char(of_month, 'YYYY-MM')
          AND NOT of_month = ANY (in_table_for)
          AND EXISTS (SELECT FROM archive.months AS own WHERE own.kind = files.kind AND own.month = files.month AND state <> 'writing')
    ORDER BY relation <> 'outcomes', begins_at
$$;

CREATE OR REPLACE FUNCTION archive.begin_reinstating(of_kind text, of_month date) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
BEGIN
    PERFORM archive.check_alone();
    -- Rows are not restored to the default, from which they could not be dropped.
    PERFORM parts.add_month(relation, of_month)
    FROM unnest(CASE of_kind WHEN 'measured' THEN ARRAY['measurements'] ELSE ARRAY['receipts', 'outcomes'] END) AS relation;
    PERFORM parts.add_month('outcomes', own.month) FROM (
        SELECT month FROM archive.files
        WHERE of_kind = 'measured' AND relation = 'outcomes' AND NOT of_month = ANY (in_table_for)
        GROUP BY month HAVING sum(CAST(by_month ->> to_char(of_month, 'YYYY-MM') AS bigint)) >= 10000
    ) AS own;
    UPDATE archive.months SET state = 'reinstating' WHERE kind = of_kind AND month = of_month AND state = 'archived';
END $$;

-- Restores rows of a file of arrival after the first `after` ones: all of them, or the outcomes of a month of measurements.
-- Rows that are in the table are unchanged. In files, JSON is text. Returns the number of rows restored so far.
CREATE OR REPLACE FUNCTION archive.put_back(
    of_relation text, of_begin timestamptz, after bigint, rows json, of_month date DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    back CONSTANT bigint := after + json_array_length(rows);
BEGIN
    PERFORM archive.check_alone();
    IF of_relation = 'receipts' THEN
        INSERT INTO public.receipts SELECT * FROM json_populate_recordset(CAST(NULL AS public.receipts), rows)
        ON CONFLICT DO NOTHING;
    ELSIF of_relation = 'outcomes' THEN
        INSERT INTO public.outcomes (
            raw_id, item, outcome, violations, measured_at, source, mean, std_dev, sample_count, min, max, processed_at,
            contract, ruleset, unit, tags, corrects_raw_id, corrects_item
        )
        SELECT raw_id, item, outcome, CAST(violations #>> '{}' AS jsonb), measured_at, source, mean, std_dev, sample_count,
               min, max, processed_at, contract, ruleset, unit, CAST(tags #>> '{}' AS jsonb), corrects_raw_id, corrects_item
        FROM json_populate_recordset(CAST(NULL AS public.outcomes), rows)
        WHERE of_month IS NULL OR outcome = 'processed' AND archive.month_of(measured_at) = of_month
        ON CONFLICT DO NOTHING;
    END IF;
    UPDATE archive.files SET rows_back = back, back_for = of_month WHERE relation = of_relation AND begins_at = of_begin;
    RETURN back;
END $$;

-- Records that all rows of a file are restored, for a month of measurements or for its own month.
CREATE OR REPLACE FUNCTION archive.has_put_back(of_relation text, of_begin timestamptz, for_month date DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM archive.check_alone();
    IF for_month IS NULL THEN
        DELETE FROM archive.files WHERE relation = of_relation AND begins_at = of_begin;
    ELSE
        UPDATE archive.files SET in_table_for = in_table_for || for_month, rows_back = 0, back_for = NULL
        WHERE relation = of_relation AND begins_at = of_begin;
    END IF;
END $$;

-- Restores the measurements of an hour by deriving them from their outcomes, with the day's lock of a replay
-- (dropzone.adapters.silver_statements).
CREATE OR REPLACE FUNCTION archive.derive(begins timestamptz, ends timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM archive.check_alone();
    PERFORM pg_advisory_xact_lock(7308333, (CAST(begins AT TIME ZONE 'UTC' AS date) - date '1970-01-01') & 63);
    INSERT INTO public.measurements AS m (
        measured_at, source, mean, std_dev, sample_count, min, max, unit, tags, flags, raw_id, item
    )
    SELECT DISTINCT ON (measured_at, source) measured_at, source, mean, std_dev, sample_count, min, max, unit, tags,
           CASE WHEN violations = '[]' THEN '{}'
           ELSE ARRAY(SELECT DISTINCT v ->> 'code' FROM jsonb_array_elements(violations) AS v ORDER BY 1) END,
           raw_id, item
    FROM public.outcomes
    WHERE outcome = 'processed' AND measured_at >= begins AND measured_at < ends
    ORDER BY measured_at, source, raw_id DESC, item DESC
    ON CONFLICT (measured_at, source) DO UPDATE SET
        mean = excluded.mean, std_dev = excluded.std_dev, sample_count = excluded.sample_count, min = excluded.min,
        max = excluded.max, unit = excluded.unit, tags = excluded.tags, flags = excluded.flags, raw_id = excluded.raw_id,
        item = excluded.item, updated_at = now()
        WHERE (m.raw_id, m.item) < (excluded.raw_id, excluded.item);
END $$;

-- Marks a completely restored month as not archived, and its gold as stale.
CREATE OR REPLACE FUNCTION archive.reopen(of_kind text, of_month date) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
BEGIN
    PERFORM archive.check_alone();
    -- Running writers don't mark buckets of gold for this month, so wait for them.
    IF of_kind = 'measured' THEN
        LOCK TABLE ONLY public.measurements IN SHARE MODE;
    ELSE
        LOCK TABLE ONLY public.receipts IN SHARE MODE;
    END IF;
    DELETE FROM archive.months WHERE kind = of_kind AND month = of_month AND state = 'reinstating'
    AND NOT EXISTS (SELECT FROM archive.away(of_kind, of_month));
    IF FOUND THEN
        DELETE FROM archive.changes WHERE kind = of_kind AND month = of_month;
        EXECUTE format($sql$
            INSERT INTO gold.%I SELECT bucket_start, 0 FROM generate_series(
                archive.start_of($1), archive.end_of($1) - interval '1 second', interval '15 minutes'
            ) AS bucket_start
        $sql$, of_kind || '_stale') USING of_month;
    END IF;
END $$;

-- Requests the next run to restore a month of arrival, and to keep it for some days.
CREATE OR REPLACE FUNCTION archive.request(of_month date, days integer) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO archive.requested VALUES (of_month, now() + make_interval(days => days))
    ON CONFLICT (month) DO UPDATE SET until = excluded.until;
    INSERT INTO archive.changes (kind, month)
    SELECT kind, month FROM archive.months WHERE kind = 'arrived' AND month = of_month;
    RETURN FOUND;
END $$;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA archive FROM PUBLIC;
GRANT EXECUTE ON FUNCTION archive.month_of, archive.start_of, archive.end_of, archive.is_archived TO PUBLIC;
