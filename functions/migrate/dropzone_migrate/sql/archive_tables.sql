-- Months that are in files, and those on their way there and back (docs/adr/0029). Measured: of measurements, by their own
-- instant. Arrived: of outcomes and receipts, by arrival.
CREATE SCHEMA archive;

CREATE FUNCTION archive.month_of(instant timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CAST(date_trunc('month', instant AT TIME ZONE 'UTC') AS date);

CREATE FUNCTION archive.start_of(day date) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CAST(day AS timestamp) AT TIME ZONE 'UTC';

CREATE FUNCTION archive.end_of(month date) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN archive.start_of(CAST(month + interval '1 month' AS date));

-- In files alone are the months that are archived or being reinstated. Is in file: a file of it was begun, and has not ended.
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

-- By month: how many events of which month of measurements a file of outcomes has. In table for: those of which the table
-- has them as well, since they stayed, or were put back. Rows back: how many of its rows have been gone through, to put back
-- those of the month in back_for, or all where that is null.
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

-- How a month was ever cut into files. A file is replaced by one that begins as it does, and none is deleted: a month is not
-- cut more coarsely afterwards, or files of days would stay beside that of their month.
CREATE TABLE archive.layouts (
    kind          text NOT NULL,
    month         date NOT NULL,
    file_minutes  integer NOT NULL,
    PRIMARY KEY (kind, month)
);

-- Marks of months that have changed since their writing began. Each statement adds its own, so that writers never wait
-- for each other.
CREATE TABLE archive.changes (
    kind       text NOT NULL,
    month      date NOT NULL,
    marked_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX changes_month ON archive.changes (kind, month);

-- Months of arrival that somebody has asked for, and that stay until then.
CREATE TABLE archive.requested (
    month  date PRIMARY KEY CHECK (extract(day FROM month) = 1),
    until  timestamptz NOT NULL
);
