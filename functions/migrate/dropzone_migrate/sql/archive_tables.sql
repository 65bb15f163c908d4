-- Months of measurements that are in files, and those on their way there and back (docs/adr/0029).
CREATE SCHEMA archive;

CREATE FUNCTION archive.month_of(instant timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CAST(date_trunc('month', instant AT TIME ZONE 'UTC') AS date);

CREATE FUNCTION archive.start_of(day date) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CAST(day AS timestamp) AT TIME ZONE 'UTC';

-- In files alone are the months that are archived or being reinstated.
CREATE TABLE archive.months (
    month        date PRIMARY KEY CHECK (extract(day FROM month) = 1),
    state        text NOT NULL DEFAULT 'writing' CHECK (state IN ('writing', 'archived', 'reinstating')),
    began_at     timestamptz NOT NULL DEFAULT now(),
    archived_at  timestamptz,
    CHECK ((state = 'writing') = (archived_at IS NULL))
);

CREATE TABLE archive.files (
    month       date NOT NULL REFERENCES archive.months ON DELETE CASCADE,
    day         date NOT NULL,
    key         text NOT NULL,
    events      bigint NOT NULL,
    bytes       bigint NOT NULL,
    e_tag       text NOT NULL,
    written_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (month, day)
);

-- Marks of months whose measurements have changed since their writing began. Each statement adds its own, so that
-- writers never wait for each other.
CREATE TABLE archive.changes (
    month      date NOT NULL,
    marked_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX changes_month ON archive.changes (month);
