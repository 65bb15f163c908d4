-- The data of a source as of the last refresh of a bucket with one of its events.
CREATE TABLE gold.source (
    source                  text PRIMARY KEY,
    last_measured_at        timestamptz,
    next_measured_at        timestamptz,
    last_processed_at       timestamptz,
    usual_interval_seconds  double precision,
    usual_latency_seconds   double precision,
    last_arrived_at         timestamptz
);

-- The expectations of the deployed contracts, as of the last scheduled run.
CREATE TABLE gold.contract (
    id                 text PRIMARY KEY,
    version            text NOT NULL,
    interval_seconds   double precision,
    latency_seconds    double precision,
    retention_seconds  double precision,
    unchanged_seconds  double precision,
    rejected_share     double precision
);

-- The contract that applies to a source, and the expectations broken as of the last scheduled run; null before the first one.
CREATE TABLE gold.expectation (
    source       text PRIMARY KEY,
    contract     text NOT NULL,
    ruleset      text NOT NULL,
    assigned_at  timestamptz NOT NULL DEFAULT now(),
    broken       text[],
    stuck_since  timestamptz
);

-- Changes of broken expectations, until they are handed over; written in the same transaction.
CREATE TABLE gold.notification (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at  timestamptz NOT NULL DEFAULT now(),
    changes     jsonb NOT NULL
);
