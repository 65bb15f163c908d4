"""Gold's computations without one of their figures each, to see by difference what it costs."""

from typing import Final

_MEASURED: Final = """
CREATE OR REPLACE FUNCTION gold.compute_measured(starts timestamptz[], width interval DEFAULT '15 minutes')
RETURNS SETOF gold.measured LANGUAGE sql STABLE ROWS 1000 AS $$
    WITH event AS (
        SELECT start, m.*, {pause} AS pause,
               greatest(min(mean) OVER part, least(max(mean) OVER part, 0)) AS near,
               sample_count / sum(CAST(sample_count AS double precision)) OVER part AS weight
        FROM unnest(starts) AS start CROSS JOIN LATERAL (
            SELECT * FROM public.measurements WHERE measured_at >= start AND measured_at < start + width OFFSET 0
        ) AS m
        WINDOW part AS (PARTITION BY start, source{order})
    )
    SELECT start, source, count(*), sum(sample_count), {pooled},
           min(min), max(max), min(measured_at), max(measured_at),
           CAST(NULL AS double precision), max(pause), CAST('{{}}' AS integer[]), CAST('{{}}' AS integer[])
    FROM event GROUP BY 1, 2
$$
"""
_POOLED: Final = (
    "min(near) + (gold.combine(gold.part(weight, mean, std_dev, near)))[2], "
    "gold.pooled_std_dev(gold.combine(gold.part(weight, mean, std_dev, near)))"
)
_ARRIVED: Final = """
CREATE OR REPLACE FUNCTION gold.compute_arrived(starts timestamptz[], width interval DEFAULT '15 minutes')
RETURNS SETOF gold.arrived LANGUAGE sql STABLE ROWS 1000 AS $$
    SELECT start, source, sum(events), sum(rejected),
           coalesce(sum(events - rejected) FILTER (WHERE codes IS NOT NULL), 0),
           sum(latency_count), coalesce(sum(total), 0), max(longest), max(last),
           array_agg(NULL::integer), array_agg(codes), array_agg(events), array_agg(rejected)
    FROM (
        SELECT start, coalesce(source, '') AS source, codes, count(*) AS events,
               count(*) FILTER (WHERE outcome = 'rejected') AS rejected, count(latency) AS latency_count,
               sum(latency) AS total, max(latency) AS longest, max(arrived_at) AS last
        FROM unnest(starts) AS start, gold.earliest_raw_id(start) AS since,
        gold.earliest_raw_id(start + width) AS until, LATERAL (
            SELECT source, outcome, uuid_extract_timestamp(raw_id) AS arrived_at,
                   CASE WHEN violations <> '[]' THEN jsonb_path_query_array(violations, '$.code') END AS codes,
                   {latency} AS latency
            FROM (SELECT * FROM public.outcomes WHERE raw_id >= since AND raw_id < until) AS o {receipts} OFFSET 0
        ) AS event GROUP BY 1, 2, 3
    ) AS part GROUP BY 1, 2
$$
"""
_PAUSE: Final = "date_part('epoch', measured_at - lag(measured_at) OVER part)"
_ORDER: Final = " ORDER BY measured_at ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
_LATENCY: Final = "1000 * date_part('epoch', settled_at - least(uuid_extract_timestamp(raw_id), settled_at))"
_RECEIPTS: Final = (
    "LEFT JOIN (SELECT * FROM public.receipts WHERE raw_id >= since AND raw_id < until) AS r USING (raw_id)"
)
_NONE: Final = "CAST(NULL AS double precision)"

WITHOUT: Final = {
    "the histogram of pauses, and what is usual": _MEASURED.format(pause=_PAUSE, order=_ORDER, pooled=_POOLED),
    "pauses": _MEASURED.format(pause=_NONE, order="", pooled=_POOLED),
    "pauses, mean and deviation": _MEASURED.format(pause=_NONE, order="", pooled="0, 0"),
    "the histogram of latencies": _ARRIVED.format(latency=_LATENCY, receipts=_RECEIPTS),
    "latencies": _ARRIVED.format(latency=_NONE, receipts=""),
}
"""The statement that replaces a function, by what it leaves out."""
