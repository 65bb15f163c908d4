-- Descriptions for analysts' tools. Columns with the same name have the same meaning everywhere.
COMMENT ON SCHEMA public IS 'Silver: what was received and what it was found to be, event by event.';
COMMENT ON SCHEMA gold IS 'Figures of silver by buckets of time and source, computed from current silver.';
COMMENT ON SCHEMA archive IS 'Months that are in files of the bucket, and no longer in silver.';
COMMENT ON TABLE archive.months IS 'Months of UTC that are archived, or on their way: what is archived or reinstating is in the files alone.';
COMMENT ON TABLE archive.files IS 'A Parquet file of a day or an hour of these months.';
COMMENT ON TABLE archive.layouts IS 'How finely a month was ever cut into files.';
COMMENT ON TABLE archive.changes IS 'Months that have changed since they were written: the next run brings them back, and writes them again.';
COMMENT ON TABLE archive.requested IS 'Months of arrival that somebody has asked for: the next run brings them back, and they stay until then.';
COMMENT ON TYPE gold.granularity IS 'How long a bucket is, on the clock of its time zone. Weeks begin on Monday.';
COMMENT ON TABLE receipts IS 'One row per object of bronze that was tried; settled_at says that it has its outcomes.';
COMMENT ON TABLE outcomes IS 'One row per event: processed, with its figures, or rejected, with its violations.';
COMMENT ON TABLE measurements IS 'One row per instant and source: the event that arrived last.';
COMMENT ON TABLE sweep IS 'Every object of bronze up to the watermark has a receipt.';
COMMENT ON TABLE replays IS 'Replays and sweeps by fleet: which objects, and whether they go on.';
COMMENT ON TABLE replay_ranges IS 'Ranges of arrival of a replay or sweep by fleet, and how far each is.';
COMMENT ON TABLE gold.measured IS 'Measurements by 15-minute bucket and source, but for what gold.measured_stale names.';
COMMENT ON TABLE gold.arrived IS 'Outcomes by 15-minute bucket of arrival and source, but for what gold.arrived_stale names.';
COMMENT ON TABLE gold.source IS 'What gold.sources knows of a source as of the last refresh of a bucket with an event of it.';
COMMENT ON TABLE gold.contract IS 'What the deployed contracts expect of their sources over time, as of the last scheduled run.';
COMMENT ON TABLE gold.expectation IS 'By source: its contract, and what it broke of it at the last scheduled run.';
COMMENT ON TABLE gold.notification IS 'What has changed of what sources break, until it is handed over.';
COMMENT ON TABLE gold.measured_stale IS 'Buckets whose measurements have changed since they were computed.';
COMMENT ON TABLE gold.arrived_stale IS 'Buckets of arrival whose outcomes have changed since they were computed.';
COMMENT ON VIEW gold.measured_now IS 'Measurements by 15-minute bucket and source, computed from current silver.';
COMMENT ON VIEW gold.arrived_now IS 'Outcomes by 15-minute bucket of arrival and source, computed from current silver.';
COMMENT ON VIEW gold.kpis_hourly IS 'Measurements by hour of UTC and source. Bound bucket_start.';
COMMENT ON VIEW gold.kpis_daily IS 'Measurements by day of UTC and source. Bound bucket_start.';
COMMENT ON VIEW gold.quality_hourly IS 'Outcomes by hour of UTC of arrival and source. Bound bucket_start.';
COMMENT ON VIEW gold.quality_daily IS 'Outcomes by day of UTC of arrival and source. Bound bucket_start.';
COMMENT ON VIEW gold.rules_hourly IS 'Events that broke a rule, by hour of UTC of arrival, source and rule. Bound bucket_start.';
COMMENT ON VIEW gold.rules_daily IS 'Events that broke a rule, by day of UTC of arrival, source and rule. Bound bucket_start.';
COMMENT ON FUNCTION gold.kpis IS
    'Measurements by bucket and source. A gap is a pause of more than '
    'gap_limit_seconds before an event of the bucket: one and a half times what is expected, up to the next quarter '
    'power of two.';
COMMENT ON FUNCTION gold.quality IS 'By bucket of arrival and source. Percentiles are within 10 % of the true ones.';
COMMENT ON FUNCTION gold.sources IS
'Sources by name, as of now: those whose names begin so, in one state, after a name, so many at most. By its contract''s frequency, else its usual interval (the median of its last twenty pauses, a minute at least; a day where it measured once), a source is ok, late (quiet for one and a half of them) or silent (two and a half); rejected events whose source could not be read are unnamed. What was measured after now does not count; the last day is that of arrival.';
COMMENT ON FUNCTION gold.check_expectations IS
    'Compares sources with what is expected of them, keeps what is broken, and writes a notification of each change. '
    'Answers by expectation how many sources break it, and how many changes there were.';
COMMENT ON FUNCTION gold.resolved_by IS
    'The last processed event that corrects an event, or that corrects a rejected correction of it; no row while the '
    'rejection is open.';
COMMENT ON FUNCTION gold.resolved IS 'Rejected events that arrived from one instant to another, and that a processed one corrects.';
COMMENT ON FUNCTION gold.resolved_of_sources IS 'How many of them there are of each source.';
COMMENT ON FUNCTION gold.earliest_raw_id IS 'The smallest raw_id that can be made at an instant: they ascend by arrival.';
COMMENT ON FUNCTION gold.refresh IS
    'Computes stale buckets again: of about so many events, the stalest first, and those that are written to at this '
    'moment not before ten times the quiet interval. Answers how many; 0 also where another call is at it.';

DO $do$
DECLARE
    name text;
    said text;
    kind text;
BEGIN
    FOR name, said IN VALUES
        ('raw_id', 'The object of bronze that it came with (raw/<raw_id>.json): a UUIDv7, which holds the instant of arrival.'),
        ('item', 'Its place in its object, counted from 0.'),
        ('items', 'How many events the object has; null until it has its outcomes.'),
        ('settled_at', 'When all of its outcomes were first there; null until then. UTC.'),
        ('attempts', 'How often it was tried without success.'),
        ('last_error', 'What kept the last attempt from success.'),
        ('retry_at', 'When it is tried again at the earliest. UTC.'),
        ('tried_at', 'When the attempt began that has not reported its end; null where there is none. UTC.'),
        ('outcome', 'processed or rejected.'),
        ('violations', 'The rules that it broke: code, field and message of each. Of a processed event those of severity warning.'),
        ('measured_at', 'When it was measured, as its sender says. UTC.'),
        ('source', 'What measured it; '''' where the event names none.'),
        ('mean', 'The mean of the samples, in the unit of the measurement.'),
        ('std_dev', 'The population''s standard deviation of the samples, in the unit of the measurement. In gold null where binary64 can''t hold its square.'),
        ('sample_count', 'How many samples.'),
        ('min', 'The smallest sample (of silver: of the event), in the unit of the measurement.'),
        ('max', 'The largest sample (of silver: of the event), in the unit of the measurement.'),
        ('unit', 'The unit of the samples; '''' where the event names none.'),
        ('tags', 'What else the event says of itself, as text by name.'),
        ('processed_at', 'When it was last validated. UTC.'),
        ('corrects_raw_id', 'The object of the rejected event that it replaces; null where it names none.'),
        ('corrects_item', 'The item of the rejected event that it replaces; null where it names none.'),
        ('updated_at', 'When this event took the place. UTC.'),
        ('contract', 'The data contract that it was validated by, as id@version; '''' where its source can''t be read.'),
        ('ruleset', 'The version of the basic rules and of all contracts together that it was validated by.'),
        ('flags', 'The codes of the warnings that it was processed with.'),
        ('one_row', 'There is one.'),
        ('watermark', 'The last object before which none is without a receipt.'),
        ('bucket_start', 'When the bucket begins; it ends where the next one begins. UTC.'),
        ('events', 'How many events.'),
        ('first_measured_at', 'When the first event was measured. UTC.'),
        ('last_measured_at', 'When the last event was measured. UTC.'),
        ('usual_pause_seconds', 'From one event to the next, as it is most often, in seconds.'),
        ('longest_pause_seconds', 'The longest from one event to the next, in seconds.'),
        ('pause_bins', 'Bins of pauses between events: bin b holds those up to 2^(b/4) seconds; null the first event, which has none.'),
        ('pause_counts', 'How many events are in each of the bins.'),
        ('received', 'How many events arrived that have an outcome.'),
        ('processed', 'How many events were processed.'),
        ('rejected', 'How many events were rejected.'),
        ('rejected_share', 'Rejected events as a part of those received, from 0 to 1.'),
        ('flagged', 'How many events were processed with warnings.'),
        ('code', 'The code of the rule (docs/errors.md).'),
        ('rule', 'The identifier of the contract''s rule; null for a basic rule.'),
        ('latency_count', 'How many events have a latency: those of objects with all of their outcomes.'),
        ('latency_total_ms', 'From arrival to silver, all events together, in milliseconds.'),
        ('latency_mean_ms', 'From arrival to silver, the mean, in milliseconds.'),
        ('latency_max_ms', 'From arrival to silver, the longest, in milliseconds.'),
        ('group_bins', 'Of groups of events with the same bin of latency and the same broken rules: bin b holds latencies up to 2^(b/4) milliseconds; null for objects that have none yet.'),
        ('group_rules', 'The rules that each event of the group broke, as [codes, rules of the contract, contract] for gold.broken_rules; null where it broke none.'),
        ('group_events', 'How many events are in each of the groups.'),
        ('group_rejected', 'How many of them were rejected.'),
        ('next_measured_at', 'When the first event after the last refresh is measured, of a clock that is ahead. UTC.'),
        ('last_processed_at', 'When the last of its latest measurements arrived. UTC.'),
        ('usual_interval_seconds', 'The median of the last twenty pauses between its events, in seconds.'),
        ('usual_latency_seconds', 'The median of the time from measurement to arrival of its last twenty events, in seconds.'),
        ('id', 'Its identifier.'),
        ('version', 'The version of the contract.'),
        ('interval_seconds', 'From one event to the next (frequency), in seconds; null where none is expected.'),
        ('latency_seconds', 'From a measurement to its arrival at most (latency), in seconds; null where none is expected.'),
        ('retention_seconds', 'How long measurements are to be kept (retention), in seconds; null where it is not stated.'),
        ('unchanged_seconds', 'How long all samples may be the same (unchanged), in seconds; null where it is not stated.'),
        ('rejected_share', 'The share of a day''s events that may be rejected (rejectedShare), from 0 to 1; null where it is not stated.'),
        ('assigned_at', 'When its contract was last looked up. UTC.'),
        ('broken', 'What it broke at the last scheduled run: silent, stuck, rejected_share, latency; null before the first.'),
        ('stuck_since', 'Since when all samples are the same, at least; null where no longer than expected. UTC.'),
        ('month', 'The first day of the month, of UTC.'),
        ('kind', 'measured: of measurements, by their own instant; arrived: of outcomes and receipts, by arrival.'),
        ('file_minutes', 'How many minutes of rows a file has: a month, a day, an hour or five minutes.'),
        ('is_in_file', 'Whether a file of it was begun, and has not ended.'),
        ('relation', 'The table whose rows the file has.'),
        ('begins_at', 'It has rows from then on. UTC.'),
        ('ends_at', 'It has rows of before. UTC.'),
        ('by_month', 'Of a file of outcomes: how many are of which month of measurements.'),
        ('in_table_for', 'The months of measurements of which the table has its outcomes as well.'),
        ('state', 'writing, while silver has it as well; archived; reinstating, on its way back.'),
        ('began_at', 'When it began. UTC.'),
        ('archived_at', 'When silver dropped it; null before. UTC.'),
        ('key', 'Its name in the bucket.'),
        ('bytes', 'Its size.'),
        ('e_tag', 'What S3 calls its content.'),
        ('sha256', 'The SHA-256 of its content, with which it is compared each time that it is read.'),
        ('rows_back', 'How many of its rows have been gone through, on the way back.'),
        ('back_for', 'The month of measurements whose outcomes that is for; null where it is for all.'),
        ('written_at', 'When it was written and compared. UTC.'),
        ('created_at', 'When it was written. UTC.'),
        ('changes', 'What has changed: source, expectation, whether it is broken, since when, what was found and expected.'),
        ('last_arrived_at', 'When the last event arrived, also one that was rejected. UTC.'),
        ('marked_at', 'When a statement marked it. UTC.'),
        ('replay_id', 'The replay: a UUIDv7, which holds when it began.'),
        ('since', 'Objects that arrived from then on. UTC.'),
        ('until', 'Objects that arrived before. UTC.'),
        ('is_open', 'Whether the end was not named, and was the beginning of the replay.'),
        ('dry_run', 'Whether changes are counted and not written.'),
        ('planned_until', 'Up to which arrival there are ranges. UTC.'),
        ('is_paused', 'Whether its calls are to end.'),
        ('active_at', 'When it was begun, or got further last, to the hour. UTC.'),
        ('finished_at', 'When its last range was done; null before. UTC.'),
        ('number', 'Its place among the ranges of its replay, counted from 0.'),
        ('objects', 'How many objects it has.'),
        ('cursor', 'Where to go on; null at its beginning.'),
        ('is_done', 'Whether all of its objects were replayed.'),
        ('checked', 'How many events were validated.'),
        ('unread', 'How many objects could not be read.')
    LOOP
        FOR kind IN
            SELECT format('%I.%I', table_schema, table_name) FROM information_schema.columns
            WHERE column_name = name AND table_schema IN ('public', 'gold', 'archive')
        LOOP
            EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', kind, name, said);
        END LOOP;
    END LOOP;
END $do$;
COMMENT ON COLUMN gold.rules_hourly.contract IS 'The data contract whose rule it is; null for a basic rule.';
COMMENT ON COLUMN gold.rules_daily.contract IS 'The data contract whose rule it is; null for a basic rule.';
COMMENT ON COLUMN replays.contract IS 'The contract whose older decisions are replayed; null for all objects.';
COMMENT ON COLUMN replays.is_sweep IS 'Whether objects without a receipt are processed, in place of replaying all.';
COMMENT ON COLUMN replay_ranges.changes IS 'How many outcomes changed, by how.';
