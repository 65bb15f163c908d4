-- Replays and sweeps by fleet: the selected objects, and the progress of each range of arrival.
CREATE TABLE replays (
    replay_id      uuid PRIMARY KEY,
    since          timestamptz NOT NULL,
    until          timestamptz NOT NULL,
    is_open        boolean NOT NULL,
    contract       text,
    dry_run        boolean NOT NULL,
    ruleset        text NOT NULL,
    planned_until  timestamptz NOT NULL,
    is_sweep       boolean NOT NULL,
    is_paused      boolean NOT NULL DEFAULT false,
    active_at      timestamptz NOT NULL DEFAULT now(),
    finished_at    timestamptz
);

CREATE TABLE replay_ranges (
    replay_id  uuid NOT NULL REFERENCES replays ON DELETE CASCADE,
    number     integer NOT NULL,
    since      timestamptz NOT NULL,
    until      timestamptz NOT NULL,
    objects    integer NOT NULL,
    cursor     text,
    is_done    boolean NOT NULL DEFAULT false,
    checked    bigint NOT NULL DEFAULT 0,
    rejected   bigint NOT NULL DEFAULT 0,
    unread     bigint NOT NULL DEFAULT 0,
    changes    jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (replay_id, number)
);
