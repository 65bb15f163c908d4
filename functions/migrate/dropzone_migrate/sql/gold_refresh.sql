-- Marks the buckets that a statement has changed, with the privileges of the schema's owner: nobody else writes gold.
-- Outcomes are written with their object's receipt, in the same transaction.
CREATE OR REPLACE FUNCTION gold.mark() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM archive.mark_all(TG_ARGV[0]);
    ELSIF TG_TABLE_NAME = 'measurements' THEN
        WITH bucket AS (SELECT gold.bucket_of(measured_at) AS bucket_start, count(*) AS events FROM touched GROUP BY 1),
        changed AS (
            INSERT INTO archive.changes SELECT * FROM archive.touched('measured', ARRAY(SELECT bucket_start FROM bucket))
        )
        INSERT INTO gold.measured_stale SELECT * FROM bucket WHERE NOT archive.is_archived(bucket_start);
    ELSE
        WITH bucket AS (
            SELECT gold.bucket_of(uuid_extract_timestamp(raw_id)) AS bucket_start, sum(coalesce(items, 1)) AS events
            FROM touched WHERE uuid_extract_timestamp(raw_id) IS NOT NULL GROUP BY 1
        ), changed AS (
            INSERT INTO archive.changes SELECT * FROM archive.touched('arrived', ARRAY(SELECT bucket_start FROM bucket))
        )
        INSERT INTO gold.arrived_stale SELECT * FROM bucket WHERE NOT archive.is_archived(bucket_start, 'arrived');
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER gold_insert AFTER INSERT ON measurements REFERENCING NEW TABLE AS touched EXECUTE FUNCTION gold.mark();
CREATE OR REPLACE TRIGGER gold_update AFTER UPDATE ON measurements REFERENCING NEW TABLE AS touched EXECUTE FUNCTION gold.mark();
CREATE OR REPLACE TRIGGER gold_delete AFTER DELETE ON measurements REFERENCING OLD TABLE AS touched EXECUTE FUNCTION gold.mark();
CREATE OR REPLACE TRIGGER gold_truncate AFTER TRUNCATE ON measurements EXECUTE FUNCTION gold.mark('measured');
CREATE OR REPLACE TRIGGER gold_insert AFTER INSERT ON receipts REFERENCING NEW TABLE AS touched EXECUTE FUNCTION gold.mark();
CREATE OR REPLACE TRIGGER gold_update AFTER UPDATE ON receipts REFERENCING NEW TABLE AS touched EXECUTE FUNCTION gold.mark();
CREATE OR REPLACE TRIGGER gold_delete AFTER DELETE ON receipts REFERENCING OLD TABLE AS touched EXECUTE FUNCTION gold.mark();
CREATE OR REPLACE TRIGGER gold_truncate AFTER TRUNCATE ON receipts EXECUTE FUNCTION gold.mark('arrived');

-- Marks are deleted first. Later statements, each with its own snapshot, see at least the marked changes; a mark added in
-- between stays. Planned by index, and without materializing what is read once: Postgres has no good estimate for ranges
-- joined to an array.
CREATE OR REPLACE FUNCTION gold.refresh(most_events bigint DEFAULT 100000, quiet interval DEFAULT '2 minutes')
RETURNS integer LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_memoize = off SET work_mem = '32MB' AS $$
DECLARE
    kind text;
    due  timestamptz[];
    done integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7308332::bigint) THEN
        RETURN 0;
    END IF;
    FOREACH kind IN ARRAY ARRAY['measured', 'arrived'] LOOP
        EXECUTE format($sql$
            SELECT array_agg(bucket_start) FROM (
                SELECT bucket_start, sum(1 + sum(events) + (
                    SELECT coalesce(sum(events), 0) FROM gold.%1$I AS kept WHERE kept.bucket_start = stale.bucket_start
                )) OVER (
                    ORDER BY min(marked_at), bucket_start ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ) AS before
                FROM gold.%1$I_stale AS stale GROUP BY bucket_start
                HAVING max(marked_at) <= now() - $2 OR min(marked_at) <= now() - 10 * $2
                ORDER BY min(marked_at), bucket_start LIMIT 50000
            ) AS due WHERE coalesce(before, 0) < $1
        $sql$, kind) INTO due USING most_events, quiet;
        EXECUTE format('DELETE FROM gold.%I_stale WHERE bucket_start = ANY ($1)', kind) USING due;
        EXECUTE format('DELETE FROM gold.%I WHERE bucket_start = ANY ($1)', kind) USING due;
        EXECUTE format('INSERT INTO gold.%1$I SELECT * FROM gold.compute_%1$I($1)', kind) USING due;
        done := done + coalesce(cardinality(due), 0);
    END LOOP;
    RETURN done;
END $$;
REVOKE EXECUTE ON FUNCTION gold.refresh FROM PUBLIC;
