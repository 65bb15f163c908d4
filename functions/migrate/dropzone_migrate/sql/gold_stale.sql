CREATE OR REPLACE FUNCTION gold.mark_measured() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO gold.measured_stale (quarter) SELECT DISTINCT gold.quarter_of(measured_at) FROM touched;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION gold.mark_arrived() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO gold.arrived_stale (quarter)
    SELECT DISTINCT quarter
    FROM (SELECT gold.quarter_of(uuid_extract_timestamp(raw_id)) AS quarter FROM touched) AS arrival
    WHERE quarter IS NOT NULL;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION gold.mark_all() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'measurements' THEN
        INSERT INTO gold.measured_stale (quarter) SELECT DISTINCT quarter FROM gold.measured;
    ELSE
        INSERT INTO gold.arrived_stale (quarter) SELECT DISTINCT quarter FROM gold.arrived;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER gold_insert AFTER INSERT ON measurements REFERENCING NEW TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_measured();

CREATE OR REPLACE TRIGGER gold_update AFTER UPDATE ON measurements REFERENCING NEW TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_measured();

CREATE OR REPLACE TRIGGER gold_delete AFTER DELETE ON measurements REFERENCING OLD TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_measured();

CREATE OR REPLACE TRIGGER gold_insert AFTER INSERT ON receipts REFERENCING NEW TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_arrived();

CREATE OR REPLACE TRIGGER gold_update AFTER UPDATE ON receipts REFERENCING NEW TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_arrived();

CREATE OR REPLACE TRIGGER gold_delete AFTER DELETE ON receipts REFERENCING OLD TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_arrived();

CREATE OR REPLACE TRIGGER gold_truncate AFTER TRUNCATE ON measurements FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_all();

CREATE OR REPLACE TRIGGER gold_truncate AFTER TRUNCATE ON receipts FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_all();

CREATE OR REPLACE FUNCTION gold.due(stale regclass, most integer, quiet interval) RETURNS timestamptz[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    quarters timestamptz[];
BEGIN
    EXECUTE format(
        'SELECT array_agg(quarter) FROM (
            SELECT quarter FROM %s GROUP BY quarter
            HAVING max(marked_at) <= now() - $2 OR min(marked_at) <= now() - 10 * $2
            ORDER BY min(marked_at), quarter LIMIT $1
        ) AS due', stale
    ) INTO quarters USING most, quiet;
    RETURN quarters;
END $$;

CREATE OR REPLACE FUNCTION gold.refresh(most integer DEFAULT 100, quiet interval DEFAULT '2 minutes') RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    width    CONSTANT interval := '15 minutes';
    of_these timestamptz[];
    done     integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7308332::bigint) THEN
        RETURN 0;
    END IF;
    of_these := gold.due('gold.measured_stale', most, quiet);
    DELETE FROM gold.measured_stale WHERE quarter = ANY (of_these);
    DELETE FROM gold.measured WHERE quarter = ANY (of_these);
    INSERT INTO gold.measured
    SELECT f.* FROM unnest(of_these) AS q CROSS JOIN LATERAL gold.measure(q, q + width, width) AS f;
    done := coalesce(cardinality(of_these), 0);

    of_these := gold.due('gold.arrived_stale', most, quiet);
    DELETE FROM gold.arrived_stale WHERE quarter = ANY (of_these);
    DELETE FROM gold.arrived WHERE quarter = ANY (of_these);
    DELETE FROM gold.rejected WHERE quarter = ANY (of_these);
    INSERT INTO gold.arrived
    SELECT f.* FROM unnest(of_these) AS q CROSS JOIN LATERAL gold.arrive(q, q + width, width) AS f;
    INSERT INTO gold.rejected
    SELECT f.* FROM unnest(of_these) AS q CROSS JOIN LATERAL gold.reject(q, q + width, width) AS f;
    RETURN done + coalesce(cardinality(of_these), 0);
END $$;

REVOKE EXECUTE ON FUNCTION gold.refresh FROM PUBLIC;

COMMENT ON FUNCTION gold.refresh IS 'Computes stale quarters anew: so many at most, the stalest first, and those that are written to at this moment not before ten times the quiet interval. Answers how many; 0 also where another call is at it.';
