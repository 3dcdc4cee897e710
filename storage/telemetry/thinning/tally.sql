-- How many spans and traces a slice holds, and how many of them are kept.
SELECT
    count() AS spans,
    uniqExact(trace_id) AS traces,
    countIf(is_kept) AS spans_kept,
    uniqExactIf(trace_id, is_kept) AS traces_kept
FROM (
    SELECT trace_id, trace_id IN (
        SELECT trace_id FROM kept_traces
        WHERE slice >= toDateTime({slice:UInt32} - {reach:UInt32}) AND slice <= toDateTime({slice:UInt32} + {reach:UInt32})
            AND cityHash64(trace_id) % {buckets:UInt32} = {bucket:UInt32}
    ) AS is_kept
    FROM spans
    WHERE ts >= toDateTime64({slice:UInt32}, 9) AND ts < toDateTime64({slice:UInt32} + {length:UInt32}, 9)
        AND cityHash64(trace_id) % {buckets:UInt32} = {bucket:UInt32}
)
