CREATE SCHEMA gold;

CREATE TYPE gold.granularity AS ENUM ('second', 'minute', 'quarter_hour', 'hour', 'day', 'week', 'month');

-- A bucket is 15 minutes in UTC: the hours and days of every time zone consist of whole buckets.
CREATE FUNCTION gold.bucket_of(instant timestamptz, width interval DEFAULT '15 minutes') RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN date_bin(width, instant, '2000-01-01T00:00:00Z');

CREATE TABLE gold.measured (
    bucket_start           timestamptz NOT NULL,
    source                 text NOT NULL,
    events                 integer NOT NULL,
    sample_count           bigint NOT NULL,
    mean                   float8 NOT NULL,
    std_dev                float8,
    min                    float8 NOT NULL,
    max                    float8 NOT NULL,
    first_measured_at      timestamptz NOT NULL,
    last_measured_at       timestamptz NOT NULL,
    usual_pause_seconds    float8,
    longest_pause_seconds  float8,
    pause_bins             integer[] NOT NULL,
    pause_counts           integer[] NOT NULL,
    PRIMARY KEY (bucket_start, source)
);
CREATE INDEX measured_by_source ON gold.measured (source, bucket_start);

CREATE TABLE gold.arrived (
    bucket_start        timestamptz NOT NULL,
    source              text NOT NULL,
    events              integer NOT NULL,
    rejected            integer NOT NULL,
    flagged             integer NOT NULL,
    latency_count       integer NOT NULL,
    latency_total_ms    float8 NOT NULL,
    latency_max_ms      float8,
    last_arrived_at     timestamptz NOT NULL,
    group_bins          integer[] NOT NULL,
    group_rules         jsonb[] NOT NULL,
    group_events        integer[] NOT NULL,
    group_rejected      integer[] NOT NULL,
    PRIMARY KEY (bucket_start, source)
);
CREATE INDEX arrived_by_source ON gold.arrived (source, bucket_start);

-- For the views by hour and by day, which compare their own column.
CREATE INDEX ON gold.measured USING brin (gold.bucket_of(bucket_start, '1 hour'), gold.bucket_of(bucket_start, '1 day'))
WITH (pages_per_range = 16, autosummarize);
CREATE INDEX ON gold.arrived USING brin (gold.bucket_of(bucket_start, '1 hour'), gold.bucket_of(bucket_start, '1 day'))
WITH (pages_per_range = 16, autosummarize);

-- Marks of buckets that have changed. Each statement adds a mark, so that writers never wait for each other.
CREATE TABLE gold.measured_stale (
    bucket_start  timestamptz NOT NULL,
    events        integer NOT NULL,
    marked_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON gold.measured_stale (bucket_start);
CREATE TABLE gold.arrived_stale (LIKE gold.measured_stale INCLUDING ALL);
