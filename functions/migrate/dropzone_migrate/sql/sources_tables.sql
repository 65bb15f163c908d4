-- What is known of a source as of the last refresh of a bucket with an event of it.
CREATE TABLE gold.source (
    source                  text PRIMARY KEY,
    last_measured_at        timestamptz,
    next_measured_at        timestamptz,
    last_processed_at       timestamptz,
    usual_interval_seconds  double precision,
    last_arrived_at         timestamptz
);
