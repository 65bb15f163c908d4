-- By hour and by day, computed from current silver.
DO $do$
DECLARE
    name  text;
    width text;
BEGIN
    FOR name, width IN VALUES ('hourly', '1 hour'), ('daily', '1 day') LOOP
        EXECUTE format($sql$
            CREATE OR REPLACE VIEW gold.kpis_%1$s AS
            SELECT bucket AS bucket_start, source, sum(events) AS events, CAST(sum(sample_count) AS bigint) AS sample_count,
                   min(near) + (gold.combine(gold.part(weight, mean, std_dev, near)))[2] AS mean,
                   gold.pooled_std_dev(gold.combine(gold.part(weight, mean, std_dev, near))) AS std_dev,
                   min(min) AS min, max(max) AS max,
                   min(first_measured_at) AS first_measured_at, max(last_measured_at) AS last_measured_at
            FROM (
                SELECT *, gold.bucket_of(m.bucket_start, %2$L) AS bucket,
                       greatest(min(mean) OVER whole, least(max(mean) OVER whole, 0)) AS near,
                       sample_count / sum(CAST(sample_count AS float8)) OVER whole AS weight
                FROM gold.measured_now AS m
                WINDOW whole AS (PARTITION BY gold.bucket_of(m.bucket_start, %2$L), source)
            ) AS part
            GROUP BY 1, 2;
            CREATE OR REPLACE VIEW gold.quality_%1$s AS
            SELECT gold.bucket_of(a.bucket_start, %2$L) AS bucket_start, source,
                   sum(events) AS received, sum(events - rejected) AS processed, sum(rejected) AS rejected, sum(flagged) AS flagged,
                   sum(rejected) / CAST(sum(events) AS float8) AS rejected_share,
                   sum(latency_total_ms) / nullif(sum(latency_count), 0) AS latency_mean_ms, max(latency_max_ms) AS latency_max_ms
            FROM gold.arrived_now AS a GROUP BY 1, 2;
            CREATE OR REPLACE VIEW gold.rules_%1$s AS
            SELECT gold.bucket_of(a.bucket_start, %2$L) AS bucket_start, source, code, contract, rule,
                   sum(part.rejected) AS rejected, sum(part.events - part.rejected) AS flagged
            FROM gold.arrived_now AS a, unnest(group_rules, group_events, group_rejected) AS part (rules, events, rejected),
            gold.broken_rules(rules) AS broken GROUP BY 1, 2, 3, 4, 5
        $sql$, name, width);
    END LOOP;
END $do$;
