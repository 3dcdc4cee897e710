-- Keeps those of a slice's traces that erred, were slow for their route, or fall in the random share.
--
-- Slow is an incoming request above its route's quantile over {past} seconds; the estimate may be 1 % too low. Without rollups of
-- that time nothing is slow.
-- The share goes by the trace id alone, so that every slice, and every process, finds the same.
INSERT INTO kept_traces
SELECT toDateTime({slice:UInt32}) AS slice, trace_id, why
FROM (
    SELECT
        trace_id,
        groupBitOr(if(failed, 1, 0) + if(incoming AND usual.requests > 0 AND duration_ns * 0.99 > usual.slow_ns, 2, 0)) AS evidence,
        evidence + if(reinterpretAsUInt32(substring(MD5(trace_id), 1, 4)) < {share:UInt64}, 8, 0) AS why
    FROM (
        SELECT
            trace_id, error AS failed, duration_ns, service, hop, if(http_route != '', http_route, name) AS route,
            kind IN ('server', 'consumer') AND hop != 'outbound' AS incoming
        FROM spans
        WHERE ts >= toDateTime64({slice:UInt32}, 9) AND ts < toDateTime64({slice:UInt32} + {length:UInt32}, 9)
            AND cityHash64(trace_id) % {buckets:UInt32} = {bucket:UInt32}
    ) AS span
    LEFT JOIN (
        SELECT service, route, hop, sum(calls) AS requests, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(latency)[{quantile:UInt8}] AS slow_ns
        FROM golden_signals_1h
        WHERE ts > toStartOfHour(toDateTime({slice:UInt32} - {past:UInt32})) AND ts < toDateTime({slice:UInt32} + {length:UInt32})
        GROUP BY service, route, hop
    ) AS usual USING (service, route, hop)
    GROUP BY trace_id
)
WHERE why > 0
