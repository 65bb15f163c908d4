-- Triggers mark what a statement has changed, with the rights of the schema's owner: nobody else writes gold.
CREATE OR REPLACE FUNCTION gold.mark_measured() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO gold.measured_stale (bucket_start, events)
    SELECT gold.bucket_of(measured_at), count(*) FROM touched GROUP BY 1;
    RETURN NULL;
END $$;

-- Outcomes are written with their object's receipt, in the same transaction.
CREATE OR REPLACE FUNCTION gold.mark_arrived() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO gold.arrived_stale (bucket_start, events)
    SELECT gold.bucket_of(uuid_extract_timestamp(raw_id)), sum(coalesce(items, 1)) FROM touched
    WHERE uuid_extract_timestamp(raw_id) IS NOT NULL GROUP BY 1;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION gold.mark_all() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('INSERT INTO gold.%1$I_stale SELECT DISTINCT bucket_start, 0 FROM gold.%1$I', TG_ARGV[0]);
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER gold_insert AFTER INSERT ON measurements REFERENCING NEW TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_measured();
CREATE OR REPLACE TRIGGER gold_update AFTER UPDATE ON measurements REFERENCING NEW TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_measured();
CREATE OR REPLACE TRIGGER gold_delete AFTER DELETE ON measurements REFERENCING OLD TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_measured();
CREATE OR REPLACE TRIGGER gold_truncate AFTER TRUNCATE ON measurements
FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_all('measured');
CREATE OR REPLACE TRIGGER gold_insert AFTER INSERT ON receipts REFERENCING NEW TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_arrived();
CREATE OR REPLACE TRIGGER gold_update AFTER UPDATE ON receipts REFERENCING NEW TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_arrived();
CREATE OR REPLACE TRIGGER gold_delete AFTER DELETE ON receipts REFERENCING OLD TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_arrived();
CREATE OR REPLACE TRIGGER gold_truncate AFTER TRUNCATE ON receipts
FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_all('arrived');

-- The marks go first, and later statements, each with a snapshot of its own, see at least what they stand for: a mark
-- that comes in between stays. Planned by index: of ranges joined to an array, Postgres has no good estimate.
CREATE OR REPLACE FUNCTION gold.refresh(most_events bigint DEFAULT 100000, quiet interval DEFAULT '2 minutes')
RETURNS integer LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off AS $$
DECLARE
    kind     text;
    compute  text;
    due      timestamptz[];
    done     integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7308332::bigint) THEN
        RETURN 0;
    END IF;
    FOR kind, compute IN VALUES ('measured', 'gold.measure'), ('arrived', 'gold.arrive') LOOP
        EXECUTE format($sql$
            WITH bucket AS (
                SELECT bucket_start, min(marked_at) AS oldest, sum(events) AS events FROM gold.%1$I_stale GROUP BY 1
                HAVING max(marked_at) <= now() - $2 OR min(marked_at) <= now() - 10 * $2
                ORDER BY 2, 1 LIMIT 50000
            ), weighed AS (
                SELECT bucket_start, sum(1 + events + (
                    SELECT coalesce(sum(%2$s), 0) FROM gold.%1$I AS kept WHERE kept.bucket_start = bucket.bucket_start
                )) OVER (ORDER BY oldest, bucket_start ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                FROM bucket
            )
            SELECT array_agg(bucket_start) FROM weighed WHERE coalesce(before, 0) < $1
        $sql$, kind, CASE kind WHEN 'measured' THEN 'events' ELSE 'processed + rejected' END)
        INTO due USING most_events, quiet;
        EXECUTE format('DELETE FROM gold.%I_stale WHERE bucket_start = ANY ($1)', kind) USING due;
        EXECUTE format('DELETE FROM gold.%I WHERE bucket_start = ANY ($1)', kind) USING due;
        EXECUTE format('INSERT INTO gold.%I SELECT * FROM %s($1, ''15 minutes'')', kind, compute) USING due;
        done := done + coalesce(cardinality(due), 0);
    END LOOP;
    RETURN done;
END $$;
REVOKE EXECUTE ON FUNCTION gold.refresh FROM PUBLIC;
