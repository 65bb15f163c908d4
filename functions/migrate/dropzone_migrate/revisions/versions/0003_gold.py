"""Gold: the figures of silver by quarter of an hour, always right for silver as it stands (docs/adr/0012).

Whoever writes silver marks the quarters that it touches as stale, in the same transaction; `gold.refresh` computes
them anew, later. Whoever reads takes a stale quarter from silver itself, and every other one from what was computed.

The functions of the version before go on: the triggers mark what they write.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

# Which tables the writers meet first: in that order, so that nobody waits in a circle.
_LOCK = "LOCK TABLE receipts, measurements IN SHARE ROW EXCLUSIVE MODE"

_TABLES = (
    "CREATE SCHEMA gold",
    """
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
    )
    """,
    "CREATE INDEX measured_source ON gold.measured (source, quarter)",
    # The views by hour and by day look for their own column.
    "CREATE INDEX measured_hour ON gold.measured (date_bin('1 hour', quarter, '2000-01-01T00:00:00Z'))",
    "CREATE INDEX measured_day ON gold.measured (date_bin('1 day', quarter, '2000-01-01T00:00:00Z'))",
    """
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
    )
    """,
    "CREATE INDEX arrived_hour ON gold.arrived (date_bin('1 hour', quarter, '2000-01-01T00:00:00Z'))",
    "CREATE INDEX arrived_day ON gold.arrived (date_bin('1 day', quarter, '2000-01-01T00:00:00Z'))",
    """
    CREATE TABLE gold.rejected (
        quarter  timestamptz NOT NULL,
        source   text NOT NULL,
        code     text NOT NULL,
        events   bigint NOT NULL,
        PRIMARY KEY (quarter, source, code)
    )
    """,
    "CREATE INDEX rejected_hour ON gold.rejected (date_bin('1 hour', quarter, '2000-01-01T00:00:00Z'))",
    "CREATE INDEX rejected_day ON gold.rejected (date_bin('1 day', quarter, '2000-01-01T00:00:00Z'))",
    # Rows are added alone, by as many writers as there are; nobody waits for anybody.
    "CREATE TABLE gold.measured_stale (quarter timestamptz NOT NULL, marked_at timestamptz NOT NULL DEFAULT now())",
    "CREATE INDEX measured_stale_quarter ON gold.measured_stale (quarter)",
    "CREATE TABLE gold.arrived_stale (quarter timestamptz NOT NULL, marked_at timestamptz NOT NULL DEFAULT now())",
    "CREATE INDEX arrived_stale_quarter ON gold.arrived_stale (quarter)",
)

_PLAIN_FUNCTIONS = (
    """
    CREATE FUNCTION gold.quarter_of(instant timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN date_bin('15 minutes', instant, '2000-01-01T00:00:00Z')
    """,
    """
    CREATE FUNCTION gold.earliest_raw_id(instant timestamptz) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CAST(
        lpad(to_hex(CAST(greatest(trunc(extract(epoch FROM instant) * 1000), 0) AS bigint)), 12, '0')
        || '70008000000000000000' AS uuid
    )
    """,
    # Postgres refuses what underflows, also in between.
    """
    CREATE FUNCTION gold.squared(x double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN abs(x) < 1e-150 THEN 0 ELSE x * x END
    """,
    """
    CREATE FUNCTION gold.shrunk(x double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN abs(x) < 2.0::float8 ^ -400 THEN 0 ELSE x * 2.0::float8 ^ -600 END
    """,
)

# The state: the unit that all figures are in, so that squares neither overflow nor underflow (2^-600, 1 or 2^600);
# samples; the first mean; how far the pooled mean is from it; the sum of squared deviations. Differences are taken
# from the first mean, so that what is large in all means alike doesn't count (Chan, Golub, LeVeque 1979, shifted).
_POOL = (
    "CREATE TYPE gold.pooled AS (samples bigint, mean double precision, std_dev double precision)",
    """
    CREATE FUNCTION gold.pool_step(
        state double precision[], samples bigint, mean double precision, std_dev double precision
    ) RETURNS double precision[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    DECLARE
        unit  double precision;
        size  double precision := greatest(abs(mean), std_dev);
        m     double precision := mean;
        s     double precision := std_dev;
        delta double precision;
        total double precision;
    BEGIN
        IF mean IS NULL THEN
            RETURN state;
        END IF;
        IF state IS NULL THEN
            unit := CASE WHEN size > 1e140 THEN 2.0::float8 ^ 600 WHEN size < 1e-140 THEN 2.0::float8 ^ -600 ELSE 1 END;
            state := ARRAY[unit, 0, CASE WHEN unit > 1 THEN gold.shrunk(mean) ELSE mean / unit END, 0, 0];
        END IF;
        unit := state[1];
        IF unit <> 1 OR size > 1e140 THEN
            WHILE size > 1e140 AND unit <= 1 OR size >= 1e-140 AND unit < 1 LOOP
                unit := unit * 2.0::float8 ^ 600;
                state := ARRAY[
                    unit, state[2], gold.shrunk(state[3]), gold.shrunk(state[4]), gold.shrunk(gold.shrunk(state[5]))
                ];
            END LOOP;
            m := CASE WHEN unit > 1 THEN gold.shrunk(mean) ELSE mean / unit END;
            s := CASE WHEN unit > 1 THEN gold.shrunk(std_dev) ELSE std_dev / unit END;
        END IF;
        total := state[2] + samples;
        delta := (m - state[3]) - state[4];
        delta := CASE WHEN abs(delta) < 1e-200 THEN 0 ELSE delta END;
        RETURN ARRAY[
            unit, total, state[3], state[4] + delta * (samples / total),
            state[5] + samples * (gold.squared(s) + gold.squared(delta) * (state[2] / total))
        ];
    END $$
    """,
    """
    CREATE FUNCTION gold.pool_end(state double precision[]) RETURNS gold.pooled
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    DECLARE
        unit    double precision := state[1];
        mean    double precision := state[3] + state[4];
        std_dev double precision := CASE WHEN state[5] < 1e-290 THEN 0 ELSE sqrt(state[5] / state[2]) END;
        largest double precision;
    BEGIN
        IF unit > 1 THEN
            largest := 1.7976931348623157e308::float8 / unit;
            mean := least(greatest(mean, -largest), largest);
            std_dev := least(std_dev, largest);
        ELSIF unit < 1 THEN
            mean := CASE WHEN abs(mean) < 2.1e-143 THEN 0 ELSE mean END;
            std_dev := CASE WHEN std_dev < 2.1e-143 THEN 0 ELSE std_dev END;
        END IF;
        RETURN ROW(CAST(state[2] AS bigint), mean * unit, std_dev * unit);
    END $$
    """,
    """
    CREATE AGGREGATE gold.pool(samples bigint, mean double precision, std_dev double precision) (
        SFUNC = gold.pool_step, STYPE = double precision[], FINALFUNC = gold.pool_end, PARALLEL = SAFE
    )
    """,
)

# A quarter is computed in one pass over its measurements, by plain sums around a mean that lies near the true one. They
# fail for figures that binary64 can hold and their squares can't be: then once more, through the careful aggregate.
_COMPUTE = (
    """
    CREATE FUNCTION gold.measure(since timestamptz, until timestamptz, width interval, only_source text DEFAULT NULL)
    RETURNS SETOF gold.measured LANGUAGE plpgsql STABLE ROWS 100 SET jit = off AS $$
    DECLARE
        careful boolean;
        parts   gold.measured[];
    BEGIN
        FOREACH careful IN ARRAY ARRAY[false, true] LOOP
            BEGIN
                WITH event AS (
                    SELECT quarter, source, measured_at, samples, mean, std_dev, min, max,
                           date_part('epoch', measured_at - lag(measured_at) OVER part) AS pause,
                           sum(samples * mean) OVER part / sum(samples) OVER part AS near
                    FROM (
                        SELECT date_bin(width, measured_at, since) AS quarter, source, measured_at, min, max,
                               sample_count AS samples,
                               CASE WHEN careful THEN 0 ELSE mean END AS mean,
                               CASE WHEN careful THEN 0 ELSE std_dev END AS std_dev
                        FROM public.measurements
                        WHERE measured_at >= since AND measured_at < until
                          AND (only_source IS NULL OR source = only_source)
                    ) AS m
                    WINDOW part AS (
                        PARTITION BY quarter, source ORDER BY measured_at
                        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
                    )
                ), piece AS (
                    SELECT quarter, source, ceil(4 / log(2::float8) * log(pause) - 1e-9)::integer AS bin,
                           count(*) AS events, sum(samples) AS samples, min(near) AS near,
                           sum(samples * (mean - near)) AS away,
                           sum(samples * (std_dev * std_dev + (mean - near) * (mean - near))) AS spread,
                           min(min) AS min, max(max) AS max, min(measured_at) AS first, max(measured_at) AS last,
                           sum(pause) AS paused, max(pause) AS longest
                    FROM event GROUP BY 1, 2, 3
                ), around AS (
                    SELECT *, sum(events) OVER beside AS events_around, sum(paused) OVER beside AS paused_around
                    FROM piece
                    WINDOW beside AS (
                        PARTITION BY quarter, source ORDER BY bin RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING
                    )
                ), part AS (
                    SELECT quarter, source, sum(events)::bigint AS events, sum(samples)::bigint AS samples,
                           min(near) AS near, sum(away) / sum(samples) AS away, sum(spread) / sum(samples) AS spread,
                           min(min) AS min, max(max) AS max, min(first) AS first, max(last) AS last,
                           (array_agg(paused_around / events_around ORDER BY events_around DESC, bin)
                            FILTER (WHERE bin IS NOT NULL))[1] AS usual,
                           max(longest) AS longest,
                           array_agg(bin ORDER BY bin) FILTER (WHERE bin IS NOT NULL) AS bins,
                           array_agg(events ORDER BY bin) FILTER (WHERE bin IS NOT NULL) AS counts
                    FROM around GROUP BY 1, 2
                ), pool AS (
                    SELECT date_bin(width, measured_at, since) AS quarter, source,
                           gold.pool(sample_count, mean, std_dev) AS pooled
                    FROM public.measurements
                    WHERE careful AND measured_at >= since AND measured_at < until
                      AND (only_source IS NULL OR source = only_source)
                    GROUP BY 1, 2
                )
                SELECT array_agg(ROW(
                           quarter, source, events, samples, coalesce((pooled).mean, near + away),
                           coalesce((pooled).std_dev, sqrt(greatest(spread - away * away, 0))),
                           min, max, first, last, usual, longest, coalesce(bins, '{}'), coalesce(counts, '{}')
                       )::gold.measured)
                INTO parts
                FROM part LEFT JOIN pool USING (quarter, source);
                EXIT;
            EXCEPTION WHEN numeric_value_out_of_range THEN
                IF careful THEN
                    RAISE;
                END IF;
            END;
        END LOOP;
        RETURN QUERY SELECT * FROM unnest(parts);
    END $$
    """,
    # Postgres can't estimate ranges of uuid, and would take a nested loop for what is best merged.
    """
    CREATE FUNCTION gold.arrive(since timestamptz, until timestamptz, width interval, only_source text DEFAULT NULL)
    RETURNS SETOF gold.arrived LANGUAGE sql STABLE ROWS 100
    SET jit = off SET enable_nestloop = off SET enable_sort = off AS $$
        WITH event AS (
            SELECT date_bin(width, uuid_extract_timestamp(o.raw_id), since) AS quarter,
                   coalesce(o.source, '') AS source, o.outcome,
                   date_part('epoch', r.settled_at - least(uuid_extract_timestamp(o.raw_id), r.settled_at)) * 1000
                   AS latency
            FROM public.outcomes AS o LEFT JOIN public.receipts AS r
              ON r.raw_id = o.raw_id AND r.settled_at IS NOT NULL
                 AND r.raw_id >= gold.earliest_raw_id(since) AND r.raw_id < gold.earliest_raw_id(until)
            WHERE o.raw_id >= gold.earliest_raw_id(since) AND o.raw_id < gold.earliest_raw_id(until)
              AND (only_source IS NULL OR coalesce(o.source, '') = only_source)
        ), piece AS (
            SELECT quarter, source,
                   CASE WHEN latency IS NOT NULL
                        THEN ceil(4 / log(2::float8) * log(greatest(latency, 1)) - 1e-9)::integer END AS bin,
                   count(*) AS events, count(*) FILTER (WHERE outcome = 'rejected') AS rejected,
                   sum(latency) AS total, max(latency) AS longest
            FROM event GROUP BY 1, 2, 3
        )
        SELECT quarter, source, (sum(events) - sum(rejected))::bigint, sum(rejected)::bigint,
               coalesce(sum(events) FILTER (WHERE bin IS NOT NULL), 0)::bigint, coalesce(sum(total), 0), max(longest),
               coalesce(array_agg(bin ORDER BY bin) FILTER (WHERE bin IS NOT NULL), '{}'),
               coalesce(array_agg(events ORDER BY bin) FILTER (WHERE bin IS NOT NULL), '{}')
        FROM piece GROUP BY 1, 2
    $$
    """,
    """
    CREATE FUNCTION gold.reject(since timestamptz, until timestamptz, width interval, only_source text DEFAULT NULL)
    RETURNS SETOF gold.rejected LANGUAGE sql STABLE ROWS 100 SET jit = off AS $$
        SELECT date_bin(width, uuid_extract_timestamp(raw_id), since), coalesce(source, ''), code, count(*)
        FROM public.outcomes CROSS JOIN LATERAL (
            SELECT DISTINCT violation ->> 'code' AS code FROM jsonb_array_elements(violations) AS violation
        ) AS broken
        WHERE outcome = 'rejected'
          AND raw_id >= gold.earliest_raw_id(since) AND raw_id < gold.earliest_raw_id(until)
          AND (only_source IS NULL OR coalesce(source, '') = only_source)
        GROUP BY 1, 2, 3
    $$
    """,
)

# With the rights of the schema's owner: whoever may write silver may not write gold otherwise.
_MARKS = (
    """
    CREATE FUNCTION gold.mark_measured() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        INSERT INTO gold.measured_stale (quarter) SELECT DISTINCT gold.quarter_of(measured_at) FROM touched;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION gold.mark_arrived() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        INSERT INTO gold.arrived_stale (quarter)
        SELECT DISTINCT quarter
        FROM (SELECT gold.quarter_of(uuid_extract_timestamp(raw_id)) AS quarter FROM touched) AS arrival
        WHERE quarter IS NOT NULL;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION gold.mark_all() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF TG_TABLE_NAME = 'measurements' THEN
            INSERT INTO gold.measured_stale (quarter) SELECT DISTINCT quarter FROM gold.measured;
        ELSE
            INSERT INTO gold.arrived_stale (quarter) SELECT DISTINCT quarter FROM gold.arrived;
        END IF;
        RETURN NULL;
    END $$
    """,
    # Outcomes are written with their object's receipt: what changes them changes that, in the same transaction.
    *(
        f"""
        CREATE TRIGGER gold_{action.lower()} AFTER {action} ON {table} REFERENCING {rows} TABLE AS touched
        FOR EACH STATEMENT EXECUTE FUNCTION gold.{function}()
        """
        for table, function in (("measurements", "mark_measured"), ("receipts", "mark_arrived"))
        for action, rows in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))
    ),
    *(
        f"CREATE TRIGGER gold_truncate AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION gold.mark_all()"
        for table in ("measurements", "receipts")
    ),
    (
        "INSERT INTO gold.measured_stale SELECT DISTINCT gold.quarter_of(measured_at), '-infinity'::timestamptz "
        "FROM measurements"
    ),
    (
        "INSERT INTO gold.arrived_stale SELECT DISTINCT quarter, '-infinity'::timestamptz "
        "FROM (SELECT gold.quarter_of(uuid_extract_timestamp(raw_id)) AS quarter FROM receipts) AS arrival "
        "WHERE quarter IS NOT NULL"
    ),
)

# The marks go first, and what they stand for is read by later statements, which see at least as much: a mark that comes
# in between stays. Each statement has a snapshot of its own, since the function is volatile.
_REFRESH = (
    """
    CREATE FUNCTION gold.due(stale regclass, most integer, quiet interval) RETURNS timestamptz[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        quarters timestamptz[];
    BEGIN
        EXECUTE format(
            'SELECT array_agg(quarter) FROM (
                SELECT quarter FROM %s GROUP BY quarter
                HAVING max(marked_at) <= now() - $2 OR min(marked_at) <= now() - 10 * $2
                ORDER BY min(marked_at), quarter LIMIT $1
            ) AS due', stale
        ) INTO quarters USING most, quiet;
        RETURN quarters;
    END $$
    """,
    """
    CREATE FUNCTION gold.refresh(most integer DEFAULT 100, quiet interval DEFAULT '2 minutes') RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    DECLARE
        width    CONSTANT interval := '15 minutes';
        of_these timestamptz[];
        done     integer := 0;
    BEGIN
        IF NOT pg_try_advisory_xact_lock(7308332::bigint) THEN
            RETURN 0;
        END IF;
        of_these := gold.due('gold.measured_stale', most, quiet);
        DELETE FROM gold.measured_stale WHERE quarter = ANY (of_these);
        DELETE FROM gold.measured WHERE quarter = ANY (of_these);
        INSERT INTO gold.measured
        SELECT f.* FROM unnest(of_these) AS q CROSS JOIN LATERAL gold.measure(q, q + width, width) AS f;
        done := coalesce(cardinality(of_these), 0);

        of_these := gold.due('gold.arrived_stale', most, quiet);
        DELETE FROM gold.arrived_stale WHERE quarter = ANY (of_these);
        DELETE FROM gold.arrived WHERE quarter = ANY (of_these);
        DELETE FROM gold.rejected WHERE quarter = ANY (of_these);
        INSERT INTO gold.arrived
        SELECT f.* FROM unnest(of_these) AS q CROSS JOIN LATERAL gold.arrive(q, q + width, width) AS f;
        INSERT INTO gold.rejected
        SELECT f.* FROM unnest(of_these) AS q CROSS JOIN LATERAL gold.reject(q, q + width, width) AS f;
        RETURN done + coalesce(cardinality(of_these), 0);
    END $$
    """,
    "REVOKE EXECUTE ON FUNCTION gold.refresh FROM PUBLIC",
)

_NOW = """
CREATE VIEW gold.{kind}_now AS
SELECT kept.* FROM gold.{kind} AS kept
WHERE NOT EXISTS (SELECT FROM gold.{stale} AS stale WHERE stale.quarter = kept.quarter)
UNION ALL
SELECT stale.quarter, {columns}
FROM (SELECT DISTINCT quarter FROM gold.{stale}) AS stale
CROSS JOIN LATERAL gold.{function}(stale.quarter, stale.quarter + interval '15 minutes', interval '15 minutes') AS live
"""

_MEASURED = (
    "source",
    "events",
    "samples",
    "mean",
    "std_dev",
    "min",
    "max",
    "first",
    "last",
    "pause_usual",
    "pause_longest",
    "pause_bins",
    "pause_counts",
)
_ARRIVED = (
    "source",
    "processed",
    "rejected",
    "settled",
    "latency_total",
    "latency_longest",
    "latency_bins",
    "latency_counts",
)
_REJECTED = ("source", "code", "events")

_KPIS_VIEW = """
CREATE VIEW gold.kpis_{name} AS
SELECT starts_at, source, events, (pooled).samples, (pooled).mean, (pooled).std_dev, min, max, first, last
FROM (
    SELECT date_bin('{width}', quarter, '2000-01-01T00:00:00Z') AS starts_at, source,
           CAST(sum(events) AS bigint) AS events, gold.pool(samples, mean, std_dev) AS pooled,
           min(min) AS min, max(max) AS max, min(first) AS first, max(last) AS last
    FROM gold.measured_now GROUP BY 1, 2
) AS bucket
"""

_QUALITY_VIEW = """
CREATE VIEW gold.quality_{name} AS
SELECT date_bin('{width}', quarter, '2000-01-01T00:00:00Z') AS starts_at, source,
       CAST(sum(processed) + sum(rejected) AS bigint) AS received, CAST(sum(processed) AS bigint) AS processed,
       CAST(sum(rejected) AS bigint) AS rejected,
       CAST(sum(rejected) AS double precision) / nullif(sum(processed) + sum(rejected), 0) AS rejected_share,
       sum(latency_total) / nullif(sum(settled), 0) AS latency_mean_ms, max(latency_longest) AS latency_max_ms
FROM gold.arrived_now GROUP BY 1, 2
"""

_REJECTIONS_VIEW = """
CREATE VIEW gold.rejections_{name} AS
SELECT date_bin('{width}', quarter, '2000-01-01T00:00:00Z') AS starts_at, source, code,
       CAST(sum(events) AS bigint) AS events
FROM gold.rejected_now GROUP BY 1, 2, 3
"""


def _live(columns: tuple[str, ...]) -> str:
    return ", ".join(f"live.{column}" for column in columns)


_VIEWS = (
    _NOW.format(kind="measured", stale="measured_stale", function="measure", columns=_live(_MEASURED)),
    _NOW.format(kind="arrived", stale="arrived_stale", function="arrive", columns=_live(_ARRIVED)),
    _NOW.format(kind="rejected", stale="arrived_stale", function="reject", columns=_live(_REJECTED)),
    *(
        view.format(name=name, width=width)
        for name, width in (("hourly", "1 hour"), ("daily", "1 day"))
        for view in (_KPIS_VIEW, _QUALITY_VIEW, _REJECTIONS_VIEW)
    ),
)

# Days are of a time zone, and begin where the local date changes; it may do so at any second (Monrovia until 1972), or
# twice (Havana each autumn). Every other bucket is a whole number of quarters of UTC.
_BUCKETS = (
    """
    CREATE FUNCTION gold.day_start(day date, tz text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
    DECLARE
        midnight timestamptz := CAST(day AS timestamp) AT TIME ZONE tz;
        earlier  timestamptz := midnight - interval '1 hour';
    BEGIN
        RETURN CASE WHEN CAST(earlier AT TIME ZONE tz AS date) = day THEN earlier ELSE midnight END;
    END $$
    """,
    """
    CREATE FUNCTION gold.starts(granularity text, since timestamptz, until timestamptz, tz text)
    RETURNS timestamptz[] LANGUAGE plpgsql STABLE AS $$
    DECLARE
        origin CONSTANT timestamptz := '2000-01-01T00:00:00Z';
        latest CONSTANT timestamptz := until - interval '1 microsecond';
        width  interval;
    BEGIN
        IF granularity = 'day' THEN
            RETURN ARRAY(
                SELECT gold.day_start(CAST(day AS date), tz)
                FROM generate_series(
                    CAST(CAST(since AT TIME ZONE tz AS date) AS timestamp),
                    CAST(latest AT TIME ZONE tz AS date) + interval '1 day', interval '1 day'
                ) AS day
                ORDER BY day
            );
        END IF;
        width := CASE granularity
            WHEN 'minute' THEN '1 minute' WHEN 'quarter_hour' THEN '15 minutes' WHEN 'hour' THEN '1 hour' END;
        IF width IS NULL THEN
            RAISE EXCEPTION 'the granularity is minute, quarter_hour, hour or day' USING ERRCODE = '22023';
        END IF;
        RETURN ARRAY(
            SELECT generate_series(date_bin(width, since, origin), date_bin(width, latest, origin) + width, width)
        );
    END $$
    """,
    *(
        f"""
        CREATE FUNCTION gold.{kind}_in(starts timestamptz[], by_minute boolean, only_source text)
        RETURNS SETOF gold.{kind} LANGUAGE plpgsql STABLE SET jit = off AS $$
        DECLARE
            width CONSTANT interval := '15 minutes';
            since CONSTANT timestamptz := starts[1];
            until CONSTANT timestamptz := starts[cardinality(starts)];
            cuts  CONSTANT timestamptz[] := ARRAY(
                SELECT cut FROM unnest(starts) AS cut WHERE cut <> gold.quarter_of(cut) AND NOT by_minute
            );
            split CONSTANT timestamptz[] := ARRAY(SELECT gold.quarter_of(cut) FROM unnest(cuts) AS cut);
        BEGIN
            IF by_minute THEN
                RETURN QUERY SELECT * FROM gold.{function}(since, until, interval '1 minute', only_source);
                RETURN;
            END IF;
            RETURN QUERY
            SELECT kept.* FROM gold.{kind} AS kept
            WHERE kept.quarter >= since AND kept.quarter < until AND kept.quarter <> ALL (split)
              AND (only_source IS NULL OR kept.source = only_source)
              AND NOT EXISTS (SELECT FROM gold.{stale} AS stale WHERE stale.quarter = kept.quarter)
            UNION ALL
            SELECT live.*
            FROM (
                SELECT DISTINCT quarter FROM gold.{stale}
                WHERE quarter >= since AND quarter < until AND quarter <> ALL (split)
            ) AS stale
            CROSS JOIN LATERAL gold.{function}(stale.quarter, stale.quarter + width, width, only_source) AS live
            UNION ALL
            SELECT live.*
            FROM unnest(cuts) AS cut CROSS JOIN LATERAL (
                SELECT * FROM gold.{function}(gold.quarter_of(cut), cut, width, only_source) WHERE cut > since
                UNION ALL
                SELECT * FROM gold.{function}(cut, gold.quarter_of(cut) + width, width, only_source) WHERE cut < until
            ) AS live;
        END $$
        """  # noqa: S608 - our own names
        for kind, stale, function in (
            ("measured", "measured_stale", "measure"),
            ("arrived", "arrived_stale", "arrive"),
            ("rejected", "arrived_stale", "reject"),
        )
    ),
    """
    CREATE FUNCTION gold.last_before(of_source text, instant timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
        SELECT event.measured_at
        FROM (
            SELECT quarter FROM gold.measured WHERE source = of_source AND quarter < instant
            UNION ALL
            SELECT quarter FROM gold.measured_stale WHERE quarter < instant
        ) AS part
        CROSS JOIN LATERAL (
            SELECT measured_at FROM public.measurements
            WHERE measured_at >= part.quarter AND measured_at < least(part.quarter + interval '15 minutes', instant)
              AND source = of_source
            ORDER BY measured_at DESC LIMIT 1
        ) AS event
        ORDER BY part.quarter DESC LIMIT 1
    $$
    """,
)

_ANSWERS = (
    """
    CREATE FUNCTION gold.kpis(
        granularity text, since timestamptz, until timestamptz, only_source text DEFAULT NULL,
        tz text DEFAULT 'UTC', expected_seconds double precision DEFAULT NULL
    ) RETURNS TABLE (
        starts_at timestamptz, ends_at timestamptz, source text, events bigint, samples bigint,
        mean double precision, std_dev double precision, min double precision, max double precision,
        first timestamptz, last timestamptz,
        gaps bigint, gap_longest double precision, gap_expected double precision, gap_limit double precision,
        processed bigint, rejected bigint, rejected_by_rule jsonb,
        latency_mean_ms double precision, latency_max_ms double precision
    ) LANGUAGE plpgsql STABLE SET jit = off AS $$
    #variable_conflict use_column
    DECLARE
        starts    CONSTANT timestamptz[] := gold.starts(granularity, since, until, tz);
        by_minute CONSTANT boolean := granularity = 'minute';
    BEGIN
        RETURN QUERY
        WITH part AS (
            SELECT p.*, width_bucket(p.quarter, starts) AS bucket,
                   date_part('epoch', p.first - lag(p.last) OVER (PARTITION BY p.source ORDER BY p.quarter)) AS pause
            FROM gold.measured_in(starts, by_minute, only_source) AS p
        ), joined AS MATERIALIZED (
            SELECT *, coalesce(pause, date_part('epoch', first - gold.last_before(source, first))) AS pause_before
            FROM part
        ), usual AS (
            SELECT source, coalesce(expected_seconds, percentile_disc(0.5) WITHIN GROUP (
                       ORDER BY coalesce(pause_usual, pause_before))) AS expected
            FROM joined GROUP BY source
        ), bound AS MATERIALIZED (
            SELECT source, expected, ceil(4 / log(2::float8) * log(1.5 * expected) - 1e-9) AS bin FROM usual
        ), measured AS MATERIALIZED (
            SELECT j.bucket, j.source, CAST(sum(j.events) AS bigint) AS events,
                   gold.pool(j.samples, j.mean, j.std_dev) AS pooled, min(j.min) AS min, max(j.max) AS max,
                   min(j.first) AS first, max(j.last) AS last,
                   CAST(sum(CASE WHEN j.pause_before > 2 ^ (b.bin / 4) THEN 1 ELSE 0 END
                            + CASE WHEN j.pause_longest > 2 ^ (b.bin / 4) THEN (
                                SELECT coalesce(sum(number), 0)
                                FROM unnest(j.pause_bins, j.pause_counts) AS pauses (bin, number)
                                WHERE pauses.bin > b.bin
                            ) ELSE 0 END) AS bigint) AS gaps,
                   max(greatest(j.pause_before, j.pause_longest)) AS longest,
                   min(b.expected) AS expected, min(2 ^ (b.bin / 4)) AS bound
            FROM joined AS j JOIN bound AS b ON b.source = j.source GROUP BY j.bucket, j.source
        ), arrived AS MATERIALIZED (
            SELECT width_bucket(a.quarter, starts) AS bucket, a.source, CAST(sum(a.processed) AS bigint) AS processed,
                   CAST(sum(a.rejected) AS bigint) AS rejected,
                   sum(a.latency_total) / nullif(sum(a.settled), 0) AS latency, max(a.latency_longest) AS longest
            FROM gold.arrived_in(starts, by_minute, only_source) AS a GROUP BY 1, 2
        ), rule AS MATERIALIZED (
            SELECT width_bucket(r.quarter, starts) AS bucket, r.source, r.code, sum(r.events) AS events
            FROM gold.rejected_in(starts, by_minute, only_source) AS r GROUP BY 1, 2, 3
        ), rules AS (
            SELECT bucket, source, jsonb_object_agg(code, events) AS by_rule FROM rule GROUP BY 1, 2
        )
        SELECT starts[bucket], starts[bucket + 1], source, coalesce(m.events, 0), coalesce((m.pooled).samples, 0),
               (m.pooled).mean, (m.pooled).std_dev, m.min, m.max, m.first, m.last,
               coalesce(m.gaps, 0), m.longest, m.expected, m.bound,
               coalesce(a.processed, 0), coalesce(a.rejected, 0), coalesce(r.by_rule, '{}'), a.latency, a.longest
        FROM measured AS m FULL JOIN arrived AS a USING (bucket, source) LEFT JOIN rules AS r USING (bucket, source)
        ORDER BY bucket, source;
    END $$
    """,
    """
    CREATE FUNCTION gold.quality(
        granularity text, since timestamptz, until timestamptz, only_source text DEFAULT NULL, tz text DEFAULT 'UTC'
    ) RETURNS TABLE (
        starts_at timestamptz, ends_at timestamptz, source text, processed bigint, rejected bigint,
        rejected_by_rule jsonb, latency_mean_ms double precision, latency_p50_ms double precision,
        latency_p95_ms double precision, latency_max_ms double precision
    ) LANGUAGE plpgsql STABLE SET jit = off AS $$
    #variable_conflict use_column
    DECLARE
        starts    CONSTANT timestamptz[] := gold.starts(granularity, since, until, tz);
        by_minute CONSTANT boolean := granularity = 'minute';
    BEGIN
        RETURN QUERY
        WITH part AS MATERIALIZED (
            SELECT width_bucket(a.quarter, starts) AS bucket, a.*
            FROM gold.arrived_in(starts, by_minute, only_source) AS a
        ), arrived AS (
            SELECT bucket, source, CAST(sum(processed) AS bigint) AS processed,
                   CAST(sum(rejected) AS bigint) AS rejected,
                   sum(latency_total) / nullif(sum(settled), 0) AS latency, max(latency_longest) AS longest
            FROM part GROUP BY 1, 2
        ), latency AS (
            SELECT bucket, source, bin, sum(number) AS number
            FROM part CROSS JOIN LATERAL unnest(latency_bins, latency_counts) AS latencies (bin, number)
            GROUP BY 1, 2, 3
        ), rank AS (
            SELECT bucket, source, bin, sum(number) OVER (PARTITION BY bucket, source ORDER BY bin) AS up_to,
                   sum(number) OVER (PARTITION BY bucket, source) AS total
            FROM latency
        ), percentile AS (
            SELECT bucket, source, min(bin) FILTER (WHERE up_to >= 0.5 * total) AS p50,
                   min(bin) FILTER (WHERE up_to >= 0.95 * total) AS p95
            FROM rank GROUP BY 1, 2
        ), rule AS MATERIALIZED (
            SELECT width_bucket(r.quarter, starts) AS bucket, r.source, r.code, sum(r.events) AS events
            FROM gold.rejected_in(starts, by_minute, only_source) AS r GROUP BY 1, 2, 3
        ), rules AS (
            SELECT bucket, source, jsonb_object_agg(code, events) AS by_rule FROM rule GROUP BY 1, 2
        )
        SELECT starts[bucket], starts[bucket + 1], source, a.processed, a.rejected, coalesce(r.by_rule, '{}'),
               a.latency, least(2 ^ ((p.p50 - 0.5::float8) / 4), a.longest),
               least(2 ^ ((p.p95 - 0.5::float8) / 4), a.longest), a.longest
        FROM arrived AS a LEFT JOIN percentile AS p USING (bucket, source) LEFT JOIN rules AS r USING (bucket, source)
        ORDER BY bucket, source;
    END $$
    """,
)


_COMMENTS = {
    "TABLE gold.measured": (
        "Measurements by quarter of an hour and source, where gold.measured_stale does not name the quarter. Pauses "
        "lie between two events of the quarter, in seconds: how many there are in which bin; bin b is up to 2^(b/4) "
        "seconds."
    ),
    "TABLE gold.arrived": (
        "Outcomes by quarter of an hour of their arrival and source, where gold.arrived_stale does not name the "
        "quarter. Latency is from arrival to silver, of settled objects' events, in milliseconds; bin b is up to "
        "2^(b/4) milliseconds."
    ),
    "TABLE gold.rejected": (
        "Rejected events by quarter of an hour of their arrival, source and rule, where gold.arrived_stale does not "
        "name the quarter. An event that breaks two rules counts for both."
    ),
    "TABLE gold.measured_stale": "Quarters whose measurements have changed since they were computed.",
    "TABLE gold.arrived_stale": "Quarters of whose arrivals outcomes have changed since.",
    "FUNCTION gold.earliest_raw_id": (
        "The smallest raw_id that can be made at an instant: raw_ids are in the order of arrival."
    ),
    "AGGREGATE gold.pool(bigint, double precision, double precision)": (
        "Samples, mean and population deviation of all samples together, from the number, the mean and the deviation "
        "of each group of them."
    ),
    "FUNCTION gold.measure": (
        "The measurements from one instant to before another, computed from silver: a row for each source and piece "
        "of this width, the first of which begins with the first instant."
    ),
    "FUNCTION gold.arrive": "As gold.measure, of the outcomes of what arrived.",
    "FUNCTION gold.reject": "As gold.measure, of the rules that broke what arrived.",
    "FUNCTION gold.refresh": (
        "Computes stale quarters anew: so many at most, the stalest first, and those that are written to at this "
        "moment not before ten times the quiet interval. Answers how many; 0 also where another call is at it."
    ),
    "VIEW gold.measured_now": "Measurements by quarter of an hour and source, right for silver as it stands.",
    "VIEW gold.arrived_now": "Outcomes by quarter of an hour of arrival and source, right for silver as it stands.",
    "VIEW gold.rejected_now": (
        "Rejected events by quarter of an hour of arrival, source and rule, right for silver as it stands."
    ),
    "FUNCTION gold.starts": (
        "Where the buckets begin that hold what is from one instant to before another; and at last, where the last "
        "one ends."
    ),
    "FUNCTION gold.last_before": "When a source measured last before an instant.",
    "FUNCTION gold.kpis": (
        "Buckets of a minute, quarter_hour, hour or day (of a time zone) and source: measurements by their own "
        "instant, arrivals by theirs. A gap is a pause of more than gap_limit seconds before an event of the bucket: "
        "one and a half times what is expected, up to the next quarter power of two."
    ),
    "FUNCTION gold.quality": (
        "Buckets of a minute, quarter_hour, hour or day (of a time zone) of arrival and source. Percentiles are "
        "within 10 % of the true ones."
    ),
    **{
        what.format(name=name): text.format(unit=unit)
        for name, unit in (("hourly", "hour"), ("daily", "day of UTC"))
        for what, text in {
            "VIEW gold.kpis_{name}": (
                "Measurements by {unit} and source: how many events and samples, mean and population deviation of all "
                "samples, extremes, first and last instant. Bound starts_at."
            ),
            "VIEW gold.quality_{name}": (
                "Events by {unit} of arrival and source: received, processed, rejected, and milliseconds from arrival "
                "to silver. Bound starts_at."
            ),
            "VIEW gold.rejections_{name}": "Rejected events by {unit} of arrival, source and rule. Bound starts_at.",
        }.items()
    },
}


def upgrade() -> None:
    """Add the schema gold, and have silver's writers mark what they change."""
    for statements in (
        (_LOCK,),
        _TABLES,
        _PLAIN_FUNCTIONS,
        _POOL,
        _COMPUTE,
        _MARKS,
        _REFRESH,
        _VIEWS,
        _BUCKETS,
        _ANSWERS,
    ):
        for statement in statements:
            op.execute(statement)
    for what, text in _COMMENTS.items():
        quoted = text.replace("'", "''")
        op.execute(f"COMMENT ON {what} IS '{quoted}'")
