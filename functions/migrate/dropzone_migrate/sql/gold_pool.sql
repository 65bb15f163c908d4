-- Groups of samples are pooled by Postgres's own float8_combine: count, sum and sum of squared deviations. To avoid
-- cancellation, the sums are of differences from a value near all means: the one closest to zero in the range of the means,
-- from which no difference overflows. Weights add up to one, so that neither counts nor squares overflow, and the sum is the
-- mean difference.
CREATE OR REPLACE AGGREGATE gold.combine(state float8[]) (
    SFUNC = float8_combine, STYPE = float8[], INITCOND = '{0,0,0}', PARALLEL = SAFE
);

-- NaN marks squares beyond binary64, and 1e-320 a deviation whose square would underflow: Postgres raises errors for such
-- products. The sum is 0 without any deviation.
CREATE OR REPLACE FUNCTION gold.part(weight float8, mean float8, std_dev float8, near float8) RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY[
    weight,
    CASE WHEN abs(mean - near) < 1e-290 THEN 0 ELSE weight * (mean - near) END,
    CASE WHEN mean = near AND std_dev = 0 THEN 0
         WHEN std_dev IS NULL OR greatest(abs(mean), abs(near), std_dev) > 1e154 THEN 'NaN'
         WHEN std_dev < 1e-154 THEN 1e-320 ELSE weight * std_dev * std_dev END
];

-- Null if its square is neither zero nor a normal binary64.
CREATE OR REPLACE FUNCTION gold.pooled_std_dev(state float8[]) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN state[3] = 0 THEN 0 WHEN state[3] BETWEEN 1e-292 AND 1.7e308 THEN sqrt(state[3]) END;

-- Bin b of a histogram has values above 2^((b - 1) / 4) and up to 2^(b / 4).
CREATE OR REPLACE FUNCTION gold.bin(value float8) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CAST(ceil(4 / log(2::float8) * log(value) - 1e-9) AS integer);
