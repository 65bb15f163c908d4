CREATE SCHEMA gold;

CREATE TYPE gold.granularity AS ENUM ('minute', 'quarter_hour', 'hour', 'day', 'week', 'month');

-- A bucket is a quarter of an hour of UTC: every time zone's hours and days are made of whole ones.
CREATE TABLE gold.measured (
    bucket_start           timestamptz NOT NULL,
    source                 text NOT NULL,
    events                 bigint NOT NULL,
    sample_count           bigint NOT NULL,
    mean                   double precision NOT NULL,
    std_dev                double precision,
    min                    double precision NOT NULL,
    max                    double precision NOT NULL,
    first_measured_at      timestamptz NOT NULL,
    last_measured_at       timestamptz NOT NULL,
    usual_pause_seconds    double precision,
    longest_pause_seconds  double precision,
    pause_bins             integer[] NOT NULL,
    pause_counts           bigint[] NOT NULL,
    PRIMARY KEY (bucket_start, source)
);
CREATE INDEX measured_by_source ON gold.measured (source, bucket_start);

CREATE TABLE gold.arrived (
    bucket_start        timestamptz NOT NULL,
    source              text NOT NULL,
    processed           bigint NOT NULL,
    rejected            bigint NOT NULL,
    rejected_by_rule    jsonb NOT NULL,
    settled             bigint NOT NULL,
    latency_total_ms    double precision NOT NULL,
    latency_max_ms      double precision,
    latency_bins        integer[] NOT NULL,
    latency_counts      bigint[] NOT NULL,
    last_arrived_at     timestamptz NOT NULL,
    PRIMARY KEY (bucket_start, source)
);

CREATE INDEX arrived_by_source ON gold.arrived (source, bucket_start);

-- The views by hour and by day compare their own column.
CREATE INDEX measured_by_hour_and_day ON gold.measured USING brin (
    date_bin('1 hour', bucket_start, '2000-01-01T00:00:00Z'), date_bin('1 day', bucket_start, '2000-01-01T00:00:00Z')
) WITH (pages_per_range = 16, autosummarize);
CREATE INDEX arrived_by_hour_and_day ON gold.arrived USING brin (
    date_bin('1 hour', bucket_start, '2000-01-01T00:00:00Z'), date_bin('1 day', bucket_start, '2000-01-01T00:00:00Z')
) WITH (pages_per_range = 16, autosummarize);

-- What is known of a source as of the last refresh of a bucket with an event of it.
CREATE TABLE gold.source (
    source                  text PRIMARY KEY,
    last_measured_at        timestamptz,
    next_measured_at        timestamptz,
    last_processed_at       timestamptz,
    usual_interval_seconds  double precision,
    last_arrived_at         timestamptz
);

-- Marks of buckets that have changed. Each statement adds its own, so that writers never wait for each other.
CREATE TABLE gold.measured_stale (
    bucket_start  timestamptz NOT NULL,
    events        bigint NOT NULL,
    marked_at     timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE gold.arrived_stale (LIKE gold.measured_stale INCLUDING ALL);
CREATE INDEX measured_stale_bucket ON gold.measured_stale (bucket_start);
CREATE INDEX arrived_stale_bucket ON gold.arrived_stale (bucket_start);
