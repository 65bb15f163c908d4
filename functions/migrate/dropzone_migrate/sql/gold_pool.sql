CREATE OR REPLACE FUNCTION gold.squared(x double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN abs(x) < 1e-150 THEN 0 ELSE x * x END;

CREATE OR REPLACE FUNCTION gold.shrunk(x double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN abs(x) < 2.0::float8 ^ -400 THEN 0 ELSE x * 2.0::float8 ^ -600 END;

CREATE OR REPLACE FUNCTION gold.pool_step(
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
END $$;

CREATE OR REPLACE FUNCTION gold.pool_end(state double precision[]) RETURNS gold.pooled
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
END $$;

CREATE OR REPLACE AGGREGATE gold.pool(samples bigint, mean double precision, std_dev double precision) (
    SFUNC = gold.pool_step, STYPE = double precision[], FINALFUNC = gold.pool_end, PARALLEL = SAFE
);

COMMENT ON AGGREGATE gold.pool(bigint, double precision, double precision) IS 'Samples, mean and population deviation of all samples together, from the number, the mean and the deviation of each group of them.';
