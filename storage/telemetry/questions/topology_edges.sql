-- Who called whom, busiest first, and what the callers' circuit breakers said last. Several proxies and targets may stand
-- behind one edge: the worst of their states counts.
SELECT
    e.source AS source,
    e.destination AS destination,
    e.source_version AS source_version,
    e.destination_version AS destination_version,
    e.calls AS calls,
    e.errors AS errors,
    e.retries AS retries,
    e.paired AS paired,
    e.calls / {seconds:Float64} AS rate,
    e.errors / e.calls AS error_rate,
    e.ns[1] / 1e6 AS p50_ms,
    e.ns[2] / 1e6 AS p95_ms,
    e.ns[3] / 1e6 AS p99_ms,
    arrayResize(e.hop_ns, 4) AS hop_ns,
    arrayResize(e.hop_calls, 4) AS hop_calls,
    nullIf(lower(hex(e.slowest)), repeat('0', 32)) AS slowest_trace,
    nullIf(lower(hex(e.failed)), repeat('0', 32)) AS failed_trace,
    if(b.state = '', 'none', b.state) AS breaker_state
FROM (
    SELECT
        toString(r.source) AS source,
        toString(r.destination) AS destination,
        if({by_version:Bool}, toString(r.source_version), '') AS source_version,
        if({by_version:Bool}, toString(r.destination_version), '') AS destination_version,
        sum(r.calls) AS calls,
        sum(r.errors) AS errors,
        sum(r.retries) AS retries,
        sum(r.paired) AS paired,
        quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(r.latency) AS ns,
        sumForEach(r.hop_ns) AS hop_ns,
        sumForEach(r.hop_calls) AS hop_calls,
        argMax(r.slowest_trace, r.slowest_ns) AS slowest,
        argMaxIf(r.failed_trace, r.minute, notEmpty(r.failed_trace)) AS failed
    FROM edges_1m AS r FINAL
    WHERE r.minute >= toDateTime({from_s:UInt32}) AND r.minute < toDateTime({to_s:UInt32}) AND r.calls > 0
    GROUP BY source, destination, source_version, destination_version
    ORDER BY calls DESC, source, destination, source_version, destination_version
    LIMIT {limit:UInt32}
) AS e
LEFT JOIN (
    SELECT source, destination, multiIf(has(states, 'opened'), 'open', has(states, 'half_opened'), 'half_open', 'closed') AS state
    FROM (
        SELECT toString(source) AS source, toString(destination) AS destination, groupUniqArray(last_action) AS states
        FROM (
            SELECT source, destination, argMax(action, ts) AS last_action
            FROM mesh_events
            WHERE type = 'circuit_breaker' AND enforced AND action IN ('opened', 'half_opened', 'closed')
                AND ts >= fromUnixTimestamp64Nano({believed_from_ns:Int64}) AND ts < fromUnixTimestamp64Nano({end_ns:Int64})
            GROUP BY source, destination, target, instance
        )
        GROUP BY source, destination
    )
) AS b ON e.source = b.source AND e.destination = b.destination
ORDER BY calls DESC, source, destination, source_version, destination_version
