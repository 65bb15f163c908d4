-- Months of the partitioned tables (silver_tables.sql): they are made ahead, and when many rows of a month without one are in
-- the default. A statement that names a partition fires no triggers of its table: gold is not marked.

-- The partition key of a table, and the literals that bound a month.
CREATE OR REPLACE FUNCTION parts.bounds(relation text, month date, OUT key text, OUT since text, OUT until text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
    SELECT CASE relation WHEN 'measurements' THEN 'measured_at' WHEN 'outcomes' THEN 'raw_id' WHEN 'receipts' THEN 'raw_id' END,
           CASE relation WHEN 'measurements' THEN CAST(begins AS text) ELSE CAST(gold.earliest_raw_id(begins) AS text) END,
           CASE relation WHEN 'measurements' THEN CAST(ends AS text) ELSE CAST(gold.earliest_raw_id(ends) AS text) END
    FROM (SELECT CAST(date_trunc('month', month) AS timestamptz), CAST(date_trunc('month', month) + interval '1 month' AS timestamptz))
        AS whole (begins, ends)
$$;

CREATE OR REPLACE FUNCTION parts.name(relation text, month date) RETURNS text LANGUAGE sql IMMUTABLE
RETURN relation || to_char(month, '_YYYY_MM');

-- The months that have a partition, ascending. Some plans compute the month of every relation's name, before the join, so it
-- must be null if there is none, not an error of to_date.
CREATE OR REPLACE FUNCTION parts.months(relation text) RETURNS TABLE (month date, bytes bigint)
LANGUAGE sql STABLE AS $$
    SELECT to_date(substring(c.relname FROM '[0-9]{4}_(?:0[1-9]|1[0-2])$'), 'YYYY_MM') AS month, pg_total_relation_size(c.oid)
    FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid
    WHERE inhparent = CAST('public.' || relation AS regclass) AND c.relname <> relation || '_default' ORDER BY month
$$;

-- Makes a month, including its rows in the default, unless it exists. It is attached, since creating a table as a partition
-- locks its parent exclusively. Writers may only have to wait for the default, which they rarely use.
CREATE OR REPLACE FUNCTION parts.add_month(relation text, month date) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    part   CONSTANT text := parts.name(relation, month);
    bounds CONSTANT record := parts.bounds(relation, month);
    inside CONSTANT text := format('%1$I >= %2$L AND %1$I < %3$L', bounds.key, bounds.since, bounds.until);
BEGIN
    IF to_regclass(format('parts.%I', part)) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('LOCK TABLE parts.%I IN ACCESS EXCLUSIVE MODE', relation || '_default');
    EXECUTE format('CREATE TABLE parts.%I (LIKE public.%I INCLUDING ALL EXCLUDING INDEXES)', part, relation);
    EXECUTE format(
        'WITH moved AS (DELETE FROM parts.%I WHERE %s RETURNING *) INSERT INTO parts.%I SELECT * FROM moved',
        relation || '_default', inside, part
    );
    -- With this constraint, the month is not scanned when it is attached.
    EXECUTE format('ALTER TABLE parts.%I ADD CONSTRAINT bounds CHECK (%s)', part, inside);
    PERFORM parts.attach_month(relation, month);
    EXECUTE format('ALTER TABLE parts.%I DROP CONSTRAINT bounds', part);
END $$;

-- Attaches a month's table as a partition.
CREATE OR REPLACE FUNCTION parts.attach_month(relation text, month date) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    bounds CONSTANT record := parts.bounds(relation, month);
BEGIN
    EXECUTE format(
        'ALTER TABLE public.%I ATTACH PARTITION parts.%I FOR VALUES FROM (%L) TO (%L)',
        relation, parts.name(relation, month), bounds.since, bounds.until
    );
END $$;

-- Makes this month and the next ones; and one with at least `least_rows` in the default, but not more than can be moved while
-- others wait. Returns how many it made, and how many it could not make, since the table was in use: the next call may.
CREATE OR REPLACE FUNCTION parts.add_months(
    relation text, ahead integer DEFAULT 2, least_rows bigint DEFAULT 10000, most_rows bigint DEFAULT 500000,
    OUT made integer, OUT missing integer
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC'
SET lock_timeout = '100ms' AS $$
DECLARE
    next   date;
    months date[];
BEGIN
    made := 0;
    missing := 0;
    IF NOT pg_try_advisory_xact_lock(7308334::bigint) THEN
        RETURN;
    END IF;
    months := ARRAY(
        SELECT CAST(date_trunc('month', now()) + n * interval '1 month' AS date) FROM generate_series(0, ahead) AS n
    );
    -- A small default is not scanned.
    IF pg_relation_size(CAST(format('parts.%I', relation || '_default') AS regclass)) > least_rows * 64 THEN
        EXECUTE format(
            $sql$
                SELECT month FROM (
                    SELECT date_trunc('month', %s) AS month, count(*) AS rows FROM parts.%I GROUP BY 1
                ) AS late
                WHERE rows >= $1 AND rows <= $2 AND month < '9999-12-01' ORDER BY month DESC LIMIT 1
            $sql$,
            CASE relation WHEN 'measurements' THEN 'measured_at' ELSE 'uuid_extract_timestamp(raw_id)' END,
            relation || '_default'
        ) INTO next USING least_rows, most_rows;
        months := months || next;
    END IF;
    FOR next IN
        SELECT DISTINCT due.month FROM unnest(months) AS due (month)
        WHERE due.month IS NOT NULL AND to_regclass(format('parts.%I', parts.name(relation, due.month))) IS NULL
        ORDER BY due.month
    LOOP
        BEGIN
            PERFORM parts.add_month(relation, next);
            made := made + 1;
        EXCEPTION WHEN lock_not_available THEN
            missing := missing + 1;
        END;
    END LOOP;
    -- Autovacuum analyzes partitions, but never the table as a whole, whose statistics are used to plan joins.
    IF NOT EXISTS (
        SELECT FROM pg_stat_user_tables
        WHERE relid = CAST(format('public.%I', relation) AS regclass) AND last_analyze > now() - interval '1 day'
    ) THEN
        EXECUTE format('ANALYZE ONLY public.%I', relation);
    END IF;
END $$;

-- Drops a month with all its rows; false if it has no partition. The caller must delete its rows in the default.
CREATE OR REPLACE FUNCTION parts.drop_month(relation text, month date) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM parts.months(relation) AS own WHERE own.month = drop_month.month) THEN
        RETURN false;
    END IF;
    EXECUTE format('ALTER TABLE public.%I DETACH PARTITION parts.%I', relation, parts.name(relation, month));
    EXECUTE format('DROP TABLE parts.%I', parts.name(relation, month));
    RETURN true;
END $$;

REVOKE EXECUTE ON FUNCTION parts.add_month, parts.attach_month, parts.add_months, parts.drop_month FROM PUBLIC;

SELECT parts.add_months(relation) FROM unnest(ARRAY['receipts', 'outcomes', 'measurements']) AS relation;
