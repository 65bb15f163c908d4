-- Figures by quarter of an hour, right for silver as it stands: what was computed, and what is stale from silver itself.
CREATE OR REPLACE VIEW gold.measured_now AS
SELECT * FROM gold.measured AS kept
WHERE NOT EXISTS (SELECT FROM gold.measured_stale AS stale WHERE stale.bucket_start = kept.bucket_start)
UNION ALL
SELECT live.* FROM (SELECT DISTINCT bucket_start FROM gold.measured_stale) AS stale
CROSS JOIN LATERAL gold.measure(ARRAY[stale.bucket_start], '15 minutes') AS live;

CREATE OR REPLACE VIEW gold.arrived_now AS
SELECT * FROM gold.arrived AS kept
WHERE NOT EXISTS (SELECT FROM gold.arrived_stale AS stale WHERE stale.bucket_start = kept.bucket_start)
UNION ALL
SELECT live.* FROM (SELECT DISTINCT bucket_start FROM gold.arrived_stale) AS stale
CROSS JOIN LATERAL gold.arrive(ARRAY[stale.bucket_start], '15 minutes') AS live;

DO $do$
DECLARE
    name  text;
    width interval;
BEGIN
    FOR name, width IN VALUES ('hourly', '1 hour'::interval), ('daily', '1 day') LOOP
        EXECUTE format($sql$
            CREATE OR REPLACE VIEW gold.kpis_%1$s AS
            SELECT bucket_start, source, CAST(sum(events) AS bigint) AS events,
                   CAST(sum(sample_count) AS bigint) AS sample_count,
                   gold.pooled_mean(gold.combine(gold.part(weight, mean, std_dev, near)), min(near)) AS mean,
                   gold.pooled_std_dev(gold.combine(gold.part(weight, mean, std_dev, near)),
                                       bool_and(mean = near AND coalesce(std_dev, 1) = 0)) AS std_dev,
                   min(min) AS min, max(max) AS max,
                   min(first_measured_at) AS first_measured_at, max(last_measured_at) AS last_measured_at
            FROM (
                SELECT date_bin(%2$L, m.bucket_start, '2000-01-01T00:00:00Z') AS bucket_start, source, events,
                       sample_count, mean, std_dev, min, max, first_measured_at, last_measured_at,
                       gold.near(min(mean) OVER whole, max(mean) OVER whole) AS near,
                       sample_count / sum(CAST(sample_count AS double precision)) OVER whole AS weight
                FROM gold.measured_now AS m
                WINDOW whole AS (PARTITION BY date_bin(%2$L, m.bucket_start, '2000-01-01T00:00:00Z'), source)
            ) AS part
            GROUP BY 1, 2;
            CREATE OR REPLACE VIEW gold.quality_%1$s AS
            SELECT date_bin(%2$L, a.bucket_start, '2000-01-01T00:00:00Z') AS bucket_start, source,
                   CAST(sum(processed) + sum(rejected) AS bigint) AS received,
                   CAST(sum(processed) AS bigint) AS processed, CAST(sum(rejected) AS bigint) AS rejected,
                   CAST(sum(rejected) / nullif(sum(processed) + sum(rejected), 0) AS double precision) AS rejected_share,
                   sum(latency_total_ms) / nullif(sum(settled), 0) AS latency_mean_ms, max(latency_max_ms) AS latency_max_ms
            FROM gold.arrived_now AS a GROUP BY 1, 2;
            CREATE OR REPLACE VIEW gold.rejections_%1$s AS
            SELECT date_bin(%2$L, a.bucket_start, '2000-01-01T00:00:00Z') AS bucket_start, source, rule.code,
                   CAST(sum(CAST(rule.events AS bigint)) AS bigint) AS events
            FROM gold.arrived_now AS a CROSS JOIN LATERAL jsonb_each_text(rejected_by_rule) AS rule (code, events)
            GROUP BY 1, 2, 3
        $sql$, name, width);
    END LOOP;
END $do$;
