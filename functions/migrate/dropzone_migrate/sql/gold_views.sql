CREATE OR REPLACE VIEW gold.measured_now AS
SELECT kept.* FROM gold.measured AS kept
WHERE NOT EXISTS (SELECT FROM gold.measured_stale AS stale WHERE stale.quarter = kept.quarter)
UNION ALL
SELECT stale.quarter, live.source, live.events, live.samples, live.mean, live.std_dev, live.min, live.max, live.first, live.last, live.pause_usual, live.pause_longest, live.pause_bins, live.pause_counts
FROM (SELECT DISTINCT quarter FROM gold.measured_stale) AS stale
CROSS JOIN LATERAL gold.measure(stale.quarter, stale.quarter + interval '15 minutes', interval '15 minutes') AS live;

CREATE OR REPLACE VIEW gold.arrived_now AS
SELECT kept.* FROM gold.arrived AS kept
WHERE NOT EXISTS (SELECT FROM gold.arrived_stale AS stale WHERE stale.quarter = kept.quarter)
UNION ALL
SELECT stale.quarter, live.source, live.processed, live.rejected, live.settled, live.latency_total, live.latency_longest, live.latency_bins, live.latency_counts
FROM (SELECT DISTINCT quarter FROM gold.arrived_stale) AS stale
CROSS JOIN LATERAL gold.arrive(stale.quarter, stale.quarter + interval '15 minutes', interval '15 minutes') AS live;

CREATE OR REPLACE VIEW gold.rejected_now AS
SELECT kept.* FROM gold.rejected AS kept
WHERE NOT EXISTS (SELECT FROM gold.arrived_stale AS stale WHERE stale.quarter = kept.quarter)
UNION ALL
SELECT stale.quarter, live.source, live.code, live.events
FROM (SELECT DISTINCT quarter FROM gold.arrived_stale) AS stale
CROSS JOIN LATERAL gold.reject(stale.quarter, stale.quarter + interval '15 minutes', interval '15 minutes') AS live;

CREATE OR REPLACE VIEW gold.kpis_hourly AS
SELECT starts_at, source, events, (pooled).samples, (pooled).mean, (pooled).std_dev, min, max, first, last
FROM (
    SELECT date_bin('1 hour', quarter, '2000-01-01T00:00:00Z') AS starts_at, source,
           CAST(sum(events) AS bigint) AS events, gold.pool(samples, mean, std_dev) AS pooled,
           min(min) AS min, max(max) AS max, min(first) AS first, max(last) AS last
    FROM gold.measured_now GROUP BY 1, 2
) AS bucket;

CREATE OR REPLACE VIEW gold.quality_hourly AS
SELECT date_bin('1 hour', quarter, '2000-01-01T00:00:00Z') AS starts_at, source,
       CAST(sum(processed) + sum(rejected) AS bigint) AS received, CAST(sum(processed) AS bigint) AS processed,
       CAST(sum(rejected) AS bigint) AS rejected,
       CAST(sum(rejected) AS double precision) / nullif(sum(processed) + sum(rejected), 0) AS rejected_share,
       sum(latency_total) / nullif(sum(settled), 0) AS latency_mean_ms, max(latency_longest) AS latency_max_ms
FROM gold.arrived_now GROUP BY 1, 2;

CREATE OR REPLACE VIEW gold.rejections_hourly AS
SELECT date_bin('1 hour', quarter, '2000-01-01T00:00:00Z') AS starts_at, source, code,
       CAST(sum(events) AS bigint) AS events
FROM gold.rejected_now GROUP BY 1, 2, 3;

CREATE OR REPLACE VIEW gold.kpis_daily AS
SELECT starts_at, source, events, (pooled).samples, (pooled).mean, (pooled).std_dev, min, max, first, last
FROM (
    SELECT date_bin('1 day', quarter, '2000-01-01T00:00:00Z') AS starts_at, source,
           CAST(sum(events) AS bigint) AS events, gold.pool(samples, mean, std_dev) AS pooled,
           min(min) AS min, max(max) AS max, min(first) AS first, max(last) AS last
    FROM gold.measured_now GROUP BY 1, 2
) AS bucket;

CREATE OR REPLACE VIEW gold.quality_daily AS
SELECT date_bin('1 day', quarter, '2000-01-01T00:00:00Z') AS starts_at, source,
       CAST(sum(processed) + sum(rejected) AS bigint) AS received, CAST(sum(processed) AS bigint) AS processed,
       CAST(sum(rejected) AS bigint) AS rejected,
       CAST(sum(rejected) AS double precision) / nullif(sum(processed) + sum(rejected), 0) AS rejected_share,
       sum(latency_total) / nullif(sum(settled), 0) AS latency_mean_ms, max(latency_longest) AS latency_max_ms
FROM gold.arrived_now GROUP BY 1, 2;

CREATE OR REPLACE VIEW gold.rejections_daily AS
SELECT date_bin('1 day', quarter, '2000-01-01T00:00:00Z') AS starts_at, source, code,
       CAST(sum(events) AS bigint) AS events
FROM gold.rejected_now GROUP BY 1, 2, 3;

COMMENT ON VIEW gold.measured_now IS 'Measurements by quarter of an hour and source, right for silver as it stands.';

COMMENT ON VIEW gold.arrived_now IS 'Outcomes by quarter of an hour of arrival and source, right for silver as it stands.';

COMMENT ON VIEW gold.rejected_now IS 'Rejected events by quarter of an hour of arrival, source and rule, right for silver as it stands.';

COMMENT ON VIEW gold.kpis_hourly IS 'Measurements by hour and source: how many events and samples, mean and population deviation of all samples, extremes, first and last instant. Bound starts_at.';

COMMENT ON VIEW gold.quality_hourly IS 'Events by hour of arrival and source: received, processed, rejected, and milliseconds from arrival to silver. Bound starts_at.';

COMMENT ON VIEW gold.rejections_hourly IS 'Rejected events by hour of arrival, source and rule. Bound starts_at.';

COMMENT ON VIEW gold.kpis_daily IS 'Measurements by day of UTC and source: how many events and samples, mean and population deviation of all samples, extremes, first and last instant. Bound starts_at.';

COMMENT ON VIEW gold.quality_daily IS 'Events by day of UTC of arrival and source: received, processed, rejected, and milliseconds from arrival to silver. Bound starts_at.';

COMMENT ON VIEW gold.rejections_daily IS 'Rejected events by day of UTC of arrival, source and rule. Bound starts_at.';
