CREATE SCHEMA gold;

CREATE TABLE gold.measured (
    quarter        timestamptz NOT NULL,
    source         text NOT NULL,
    events         bigint NOT NULL,
    samples        bigint NOT NULL,
    mean           double precision NOT NULL,
    std_dev        double precision NOT NULL,
    min            double precision NOT NULL,
    max            double precision NOT NULL,
    first          timestamptz NOT NULL,
    last           timestamptz NOT NULL,
    pause_usual    double precision,
    pause_longest  double precision,
    pause_bins     integer[] NOT NULL,
    pause_counts   bigint[] NOT NULL,
    PRIMARY KEY (quarter, source)
);

CREATE INDEX measured_source ON gold.measured (source, quarter);

CREATE INDEX measured_hour ON gold.measured (date_bin('1 hour', quarter, '2000-01-01T00:00:00Z'));

CREATE INDEX measured_day ON gold.measured (date_bin('1 day', quarter, '2000-01-01T00:00:00Z'));

CREATE TABLE gold.arrived (
    quarter          timestamptz NOT NULL,
    source           text NOT NULL,
    processed        bigint NOT NULL,
    rejected         bigint NOT NULL,
    settled          bigint NOT NULL,
    latency_total    double precision NOT NULL,
    latency_longest  double precision,
    latency_bins     integer[] NOT NULL,
    latency_counts   bigint[] NOT NULL,
    PRIMARY KEY (quarter, source)
);

CREATE INDEX arrived_hour ON gold.arrived (date_bin('1 hour', quarter, '2000-01-01T00:00:00Z'));

CREATE INDEX arrived_day ON gold.arrived (date_bin('1 day', quarter, '2000-01-01T00:00:00Z'));

CREATE TABLE gold.rejected (
    quarter  timestamptz NOT NULL,
    source   text NOT NULL,
    code     text NOT NULL,
    events   bigint NOT NULL,
    PRIMARY KEY (quarter, source, code)
);

CREATE INDEX rejected_hour ON gold.rejected (date_bin('1 hour', quarter, '2000-01-01T00:00:00Z'));

CREATE INDEX rejected_day ON gold.rejected (date_bin('1 day', quarter, '2000-01-01T00:00:00Z'));

CREATE TABLE gold.measured_stale (quarter timestamptz NOT NULL, marked_at timestamptz NOT NULL DEFAULT now());

CREATE INDEX measured_stale_quarter ON gold.measured_stale (quarter);

CREATE TABLE gold.arrived_stale (quarter timestamptz NOT NULL, marked_at timestamptz NOT NULL DEFAULT now());

CREATE INDEX arrived_stale_quarter ON gold.arrived_stale (quarter);

COMMENT ON TABLE gold.measured IS 'Measurements by quarter of an hour and source, where gold.measured_stale does not name the quarter. Pauses lie between two events of the quarter, in seconds: how many there are in which bin; bin b is up to 2^(b/4) seconds.';

COMMENT ON TABLE gold.arrived IS 'Outcomes by quarter of an hour of their arrival and source, where gold.arrived_stale does not name the quarter. Latency is from arrival to silver, of settled objects'' events, in milliseconds; bin b is up to 2^(b/4) milliseconds.';

COMMENT ON TABLE gold.rejected IS 'Rejected events by quarter of an hour of their arrival, source and rule, where gold.arrived_stale does not name the quarter. An event that breaks two rules counts for both.';

COMMENT ON TABLE gold.measured_stale IS 'Quarters whose measurements have changed since they were computed.';

COMMENT ON TABLE gold.arrived_stale IS 'Quarters of whose arrivals outcomes have changed since.';

CREATE TYPE gold.pooled AS (samples bigint, mean double precision, std_dev double precision);
