-- Months that are in files, or being moved to files or back (docs/adr/0029). Kind `measured`: measurements, by their instant;
-- `arrived`: outcomes and receipts, by arrival.
CREATE SCHEMA archive;

CREATE FUNCTION archive.month_of(instant timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CAST(date_trunc('month', instant AT TIME ZONE 'UTC') AS date);

CREATE FUNCTION archive.start_of(day date) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CAST(day AS timestamp) AT TIME ZONE 'UTC';

CREATE FUNCTION archive.end_of(month date) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN archive.start_of(CAST(month + interval '1 month' AS date));

-- Only months in state `archived` or `reinstating` are just in files. is_in_file: a file was started and has not ended.
CREATE TABLE archive.months (
    kind         text NOT NULL CHECK (kind IN ('measured', 'arrived')),
    month        date NOT NULL CHECK (extract(day FROM month) = 1),
    state        text NOT NULL DEFAULT 'writing' CHECK (state IN ('writing', 'archived', 'reinstating')),
    file_minutes integer NOT NULL CHECK (file_minutes IN (5, 60, 1440, 44640)),
    is_in_file   boolean NOT NULL DEFAULT false,
    began_at     timestamptz NOT NULL DEFAULT now(),
    archived_at  timestamptz,
    PRIMARY KEY (kind, month),
    CHECK ((state = 'writing') = (archived_at IS NULL))
);

-- by_month: the number of events in a file of outcomes by month of measurements. in_table_for: the months whose events are in
-- the table as well, since they stayed, or were restored. rows_back: the number of rows processed so far to restore those of
-- the month in back_for, or all rows if that is null.
CREATE TABLE archive.files (
    relation      text NOT NULL CHECK (relation IN ('measurements', 'outcomes', 'receipts')),
    begins_at     timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL,
    kind          text NOT NULL,
    month         date NOT NULL,
    key           text NOT NULL,
    events        bigint NOT NULL,
    bytes         bigint NOT NULL,
    e_tag         text NOT NULL,
    sha256        text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    by_month      jsonb NOT NULL DEFAULT '{}',
    in_table_for  date[] NOT NULL DEFAULT '{}',
    rows_back     bigint NOT NULL DEFAULT 0,
    back_for      date,
    written_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (relation, begins_at),
    FOREIGN KEY (kind, month) REFERENCES archive.months ON DELETE CASCADE
);
CREATE INDEX files_month ON archive.files (kind, month);

-- The smallest files that a month was ever divided into. A file is only replaced by one with the same start, and never deleted:
-- with larger files later, files of days would remain next to the file of their month.
CREATE TABLE archive.layouts (
    kind          text NOT NULL,
    month         date NOT NULL,
    file_minutes  integer NOT NULL,
    PRIMARY KEY (kind, month)
);

-- Marks of months that have changed since their writing started. Each statement adds a mark, so that writers never wait for
-- each other.
CREATE TABLE archive.changes (
    kind       text NOT NULL,
    month      date NOT NULL,
    marked_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX changes_month ON archive.changes (kind, month);

-- Months of arrival that were requested, and are kept in silver until then.
CREATE TABLE archive.requested (
    month  date PRIMARY KEY CHECK (extract(day FROM month) = 1),
    until  timestamptz NOT NULL
);
