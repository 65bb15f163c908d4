-- What is known of a source as of the last refresh of a bucket with an event of it.
CREATE TABLE gold.source (
    source                  text PRIMARY KEY,
    last_measured_at        timestamptz,
    next_measured_at        timestamptz,
    last_processed_at       timestamptz,
    usual_interval_seconds  double precision,
    usual_latency_seconds   double precision,
    last_arrived_at         timestamptz
);

-- What the deployed contracts expect of their sources over time, as of the last scheduled run.
CREATE TABLE gold.contract (
    id                 text PRIMARY KEY,
    version            text NOT NULL,
    interval_seconds   double precision,
    latency_seconds    double precision,
    retention_seconds  double precision,
    unchanged_seconds  double precision,
    rejected_share     double precision
);

-- By which contract a source is looked at, and what of it was broken at the last scheduled run; null before the first.
CREATE TABLE gold.expectation (
    source       text PRIMARY KEY,
    contract     text NOT NULL,
    ruleset      text NOT NULL,
    assigned_at  timestamptz NOT NULL DEFAULT now(),
    broken       text[],
    stuck_since  timestamptz
);

-- Changes of what is broken, until they are handed over. Written with them, in one transaction.
CREATE TABLE gold.notification (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at  timestamptz NOT NULL DEFAULT now(),
    changes     jsonb NOT NULL
);
