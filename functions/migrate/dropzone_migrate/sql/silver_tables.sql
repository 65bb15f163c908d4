-- Columns of eight bytes first, then those of four, then texts: Postgres aligns each column, and a row that starts with texts
-- has up to 16 bytes of padding.
CREATE TABLE receipts (
    settled_at  timestamptz,
    retry_at    timestamptz,
    tried_at    timestamptz,
    raw_id      uuid PRIMARY KEY,
    items       integer,
    attempts    integer NOT NULL DEFAULT 0,
    last_error  text,
    CHECK ((settled_at IS NULL) = (items IS NULL))
) PARTITION BY RANGE (raw_id);

CREATE INDEX receipts_unsettled ON receipts (attempts, raw_id) WHERE settled_at IS NULL;

CREATE TABLE outcomes (
    measured_at   timestamptz,
    processed_at  timestamptz NOT NULL DEFAULT now(),
    mean          double precision,
    std_dev       double precision,
    min           double precision,
    max           double precision,
    raw_id        uuid NOT NULL,
    corrects_raw_id uuid,
    corrects_item   integer,
    item          integer NOT NULL,
    sample_count  integer,
    outcome       text NOT NULL CHECK (outcome IN ('processed', 'rejected')),
    source        text,
    contract      text NOT NULL DEFAULT '',
    ruleset       text NOT NULL,
    unit          text NOT NULL DEFAULT '',
    tags          jsonb NOT NULL DEFAULT '{}',
    violations    jsonb NOT NULL,
    PRIMARY KEY (raw_id, item),
    CONSTRAINT outcomes_figures CHECK (
        CASE outcome
            WHEN 'processed' THEN num_nulls(measured_at, source, mean, std_dev, sample_count, min, max) = 0
            ELSE num_nonnulls(measured_at, mean, std_dev, sample_count, min, max) = 0
        END
    )
) PARTITION BY RANGE (raw_id);

-- A replay looks up the last processed outcome of an instant and source, and rejected outcomes.
CREATE INDEX outcomes_processed ON outcomes (measured_at, source, raw_id, item) WHERE outcome = 'processed';
CREATE INDEX outcomes_rejected ON outcomes (raw_id, item) WHERE outcome = 'rejected';
CREATE INDEX outcomes_corrects ON outcomes (corrects_raw_id, corrects_item) WHERE corrects_raw_id IS NOT NULL;

CREATE TABLE measurements (
    measured_at   timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL DEFAULT now(),
    mean          double precision NOT NULL,
    std_dev       double precision NOT NULL,
    min           double precision NOT NULL,
    max           double precision NOT NULL,
    raw_id        uuid NOT NULL,
    item          integer NOT NULL,
    sample_count  integer NOT NULL,
    source        text NOT NULL DEFAULT '',
    unit          text NOT NULL DEFAULT '',
    tags          jsonb NOT NULL DEFAULT '{}',
    flags         text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (measured_at, source)
) PARTITION BY RANGE (measured_at);
-- For pages of one source, and the event before a range, even if gold is stale.
CREATE INDEX measurements_by_source ON measurements (source, measured_at);

CREATE TABLE sweep (
    one_row    boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    watermark  uuid NOT NULL
);
INSERT INTO sweep (watermark) VALUES ('00000000-0000-0000-0000-000000000000');

-- Partitions by month in UTC (partitions.sql), in a schema of their own: everything reads and writes the tables above. Rows of
-- months without a partition go to the default.
CREATE SCHEMA parts;
CREATE TABLE parts.receipts_default PARTITION OF receipts DEFAULT;
CREATE TABLE parts.outcomes_default PARTITION OF outcomes DEFAULT;
CREATE TABLE parts.measurements_default PARTITION OF measurements DEFAULT;
